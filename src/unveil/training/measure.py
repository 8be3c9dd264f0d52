"""What a step will take, before any is made: memory and time."""

from __future__ import annotations

import copy
import math
import time

import torch

from unveil.contracts import Batch, Method
from unveil.data import machine
from unveil.data.order import Order
from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.training import optimiser
from unveil.training.settings import Training
from unveil.training.step import TrainStep


def device() -> torch.device:
    """A GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def memory_limit(device: torch.device) -> int:
    """Bytes that this process may use: of the GPU, else the least of the machine's memory and its control groups' limits."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return machine.memory_limit()


def step_bytes(method: Method, kind, samples: Samples, settings: Training, device: torch.device, probe: int = 4) -> int:
    """Bytes that a step takes: weights, gradients, the optimiser's two moments, and what the forward pass keeps for the
    backward pass, counted on ``probe`` samples and scaled to the batch; that of most rows, where samples are packed."""
    batch, share = probed(samples, settings, probe)
    batch = batch.to(device)
    kept: dict[int, int] = {}

    def count(x: torch.Tensor) -> torch.Tensor:
        held = x.untyped_storage()
        kept[held.data_ptr()] = held.nbytes()
        return x

    trial = copy.deepcopy(method).train()
    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
        trial(batch, TrainStep(kind, 0, 0, 1, device))
    weights = {x.untyped_storage().data_ptr() for x in trial.state_dict().values()}
    activations = sum(size for place, size in kept.items() if place not in weights)
    fixed = sum(x.numel() * x.element_size() for x in trial.state_dict().values())
    trained = sum(p.numel() * p.element_size() for p in trial.parameters() if p.requires_grad)
    parts = settings.processes if settings.strategy == "fsdp" else 1
    return int((fixed + 3 * trained) // parts + activations * share)


def probed(samples: Samples, settings: Training, probe: int) -> tuple[Batch, float]:
    """A few samples, and how many times as much the largest part of a batch holds that one process takes at once."""
    few = Order(samples, 0, min(probe * (8 if samples.packed else 1), settings.batch))
    batch = samples.batch(*few(0))
    if not samples.packed:
        return batch, settings.batch / (settings.parts * len(batch))
    return batch, largest(samples, settings) / len(batch.graph.sample)


def largest(samples: Samples, settings: Training) -> float:
    """Rows of the largest part of a batch that one process takes at once: what is allowed, else what chance hardly ever goes beyond."""
    sizes, count = samples.sizes.double(), settings.batch / settings.parts
    mean, most = float(sizes.mean()), float(sizes.max())
    chance = max(count * mean + 4 * math.sqrt(count) * float(sizes.std(correction=0)), most + (count - 1) * mean)
    return min(chance, count * most, settings.rows / settings.parts if settings.rows else math.inf)


def refuse_too_large(need: int, limit: int, settings: Training) -> None:
    """Raises:
        Unusable: where a step would take more than the allowed share of the memory limit.
    """
    if need > settings.memory_share * limit:
        name, held = ("rows", settings.rows) if settings.rows else ("batch", settings.batch)
        fits = max(1, int(held * settings.memory_share * limit / need))
        raise Unusable(f"a step with --train.{name} {held} is estimated to take {need / 2**30:.1f} GiB, over "
                       f"{settings.memory_share:.0%} of the limit of {limit / 2**30:.1f} GiB. Use --train.{name} {fits}, or keep the "
                       f"batch and add --train.accumulate {-(-held // fits)}")


def seconds_per_step(method: Method, kind, samples: Samples, settings: Training, device: torch.device, steps: int = 20) -> float:
    """Median time of a step, measured on a copy that is thrown away."""
    trial = copy.deepcopy(method).to(device).train()
    update = optimiser.build(trial, settings, device)
    times, order = [], settings.order(samples)
    with torch.random.fork_rng(devices=[]):
        for index in range(steps):
            began = time.perf_counter()
            step = TrainStep(kind, 0, index, steps, device)
            for part in range(settings.accumulate):
                step.viewed = 0
                trial(samples.batch(*order(index * settings.accumulate + part)).to(device), step).loss.backward()
            update.step()
            update.zero_grad()
            trial.after_step(step)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]
