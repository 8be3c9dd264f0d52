"""Named hardware, and what a step takes on it by a model that is written out here: compute, memory and network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch

from unveil.errors import Unusable, nearest
from unveil.training.cost import Cost
from unveil.training.measure import memory_limit
from unveil.training.settings import Training


@dataclass(frozen=True)
class Hardware:
    """What one device can do at most.

    Attributes:
        name: for people.
        tflops: 10^12 floating point operations a second of dense bf16 matrix products.
        memory: 10^9 bytes.
        bandwidth: of the memory, 10^9 bytes a second.
        link: between devices of a machine, 10^9 bytes a second that a device sends.
        network: between machines, 10^9 bytes a second that a device sends.
        machine: devices in one.
        source: of the figures.
        mixed: it computes faster in bf16 than in float32, so that mixed precision is used.
    """

    name: str
    tflops: float
    memory: float
    bandwidth: float
    link: float
    network: float
    machine: int
    source: str
    mixed: bool = True


_DOUBLED = "1,979 TFLOPS with sparsity, which doubles it"

# Peaks without sparsity. A link's published figure counts both directions; half of it is sent. The network of a machine is no property of
# the device: it is the usual one of such machines, one adapter a device of 200 (A100) or 400 Gbit/s (H100, H200), 100 Gbit/s shared by 8
# consumer cards.
TABLE = {
    "a100": Hardware("A100 SXM", 312, 80, 2039, 300, 25, 8, "NVIDIA A100 80 GB data sheet: 312 TFLOPS, 2,039 GB/s, NVLink 600 GB/s"),
    "h100": Hardware("H100 SXM", 989.4, 80, 3350, 450, 50, 8, f"NVIDIA H100 data sheet: {_DOUBLED}, 3.35 TB/s, NVLink 900 GB/s"),
    "h200": Hardware("H200 SXM", 989.4, 141, 4800, 450, 50, 8, f"NVIDIA H200 data sheet: {_DOUBLED}, 4.8 TB/s, NVLink 900 GB/s"),
    "rtx-4090": Hardware("RTX 4090", 165.2, 24, 1008, 32, 1.6, 8,
                         "NVIDIA Ada white paper: 165.2 TFLOPS (bf16, float32 sums), 1,008 GB/s; PCIe 4.0 x16, 64 GB/s both ways"),
}


def here() -> Hardware:
    """This machine's CPU, measured in about a second: products of matrices of 1,024 rows in the number type that training takes, and a
    copy of memory."""
    mixed = torch.cpu._is_avx512_bf16_supported()
    a, b = torch.randn(2, 1024, 1024, dtype=torch.bfloat16 if mixed else torch.float32)
    product = quickest(lambda: a @ b)
    source, target = torch.ones(2, 1 << 25)
    copy = quickest(lambda: target.copy_(source))
    kind = "bf16" if mixed else "float32"
    return Hardware(f"this CPU, {torch.get_num_threads()} threads", 2 * 1024**3 / product / 1e12, memory_limit(torch.device("cpu")) / 1e9,
                    2 * source.nbytes / copy / 1e9, 0, 0, 1, f"measured now: matrix products in {kind}, and a copy of memory", mixed)


def quickest(run: Callable[[], object], least: float = 0.4) -> float:
    """The quickest of the calls that fit into ``least`` seconds, at least three."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < least:
        began = perf_counter()
        run()
        times.append(perf_counter() - began)
    return min(times)


def find(name: str) -> Hardware:
    """The hardware of that name.

    Raises:
        Unusable: with the nearest name, where there is none.
    """
    if name == "cpu":
        return here()
    if name not in TABLE:
        raise Unusable(f"there is no hardware {name!r}{nearest(name, list(TABLE))}; there are {', '.join(TABLE)} and cpu")
    return TABLE[name]


@dataclass(frozen=True)
class Memory:
    """Bytes on one device.

    Attributes:
        weights: with teachers and buffers, in float32.
        gradients: in float32.
        optimiser: its moments, in float32.
        activations: of one accumulated part.
    """

    weights: float
    gradients: float
    optimiser: float
    activations: float

    @property
    def total(self) -> float:
        """All of it; what operations need while they run is not counted."""
        return self.weights + self.gradients + self.optimiser + self.activations


@dataclass(frozen=True)
class Time:
    """Seconds of a step.

    Attributes:
        compute: of matrix products and convolutions at the assumed share of the peak.
        network: of gradients and shards; it runs beside the computation.
        update: of reading and writing weights, moments and teachers.
        sent: bytes that a device sends for gradients and shards.
    """

    compute: float
    network: float
    update: float
    sent: float

    @property
    def step(self) -> float:
        """The network hides behind the computation as far as that lasts."""
        return max(self.compute, self.network) + self.update


MOMENTS = {"adamw": 2, "sgd": 1, "lars": 1}


def memory(cost: Cost, settings: Training) -> Memory:
    """What a device holds. In shards, one repeated part and what belongs to none are whole at a time, which is left out."""
    cut = settings.processes if settings.strategy == "fsdp" else 1
    held = cost.weights
    return Memory(4 * ((held.trained + held.teacher) / cut + held.buffers), 4 * held.trained / cut,
                  4 * MOMENTS[settings.optimiser] * held.trained / cut, cost.activations)


def sent(cost: Cost, settings: Training) -> float:
    """Bytes that each device sends in a step, by rings: all that is reduced or gathered passes once, less its own part.

    DDP reduces the gradients and hands them round, once a step. FSDP gathers weights and teachers in the forward pass and the repeated
    parts again in the backward pass, for each accumulated part, and scatters the gradients once.
    """
    n, held = settings.processes, cost.weights
    gathered = held.trained + held.teacher + held.units
    passes = settings.accumulate * gathered + held.trained if settings.strategy == "fsdp" else 2 * held.trained
    return 4 * passes * (n - 1) / n


def time(cost: Cost, settings: Training, hardware: Hardware, share: float) -> Time:
    """What a step takes at ``share`` of the peak. Latency, waiting for data and the losses' own gathers are not in it."""
    volume, held = sent(cost, settings), cost.weights
    cut = settings.processes if settings.strategy == "fsdp" else 1
    speed = hardware.link if settings.processes <= hardware.machine else hardware.network
    touched = (3 + 2 * MOMENTS[settings.optimiser]) * held.trained + 3 * held.teacher
    return Time(cost.flops / (1e12 * hardware.tflops * share), volume / (1e9 * speed) if speed else math.inf if volume else 0.0,
                4 * touched / cut / (1e9 * hardware.bandwidth), volume)
