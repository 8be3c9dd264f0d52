"""What a step will take, before any is made: memory and time."""

from __future__ import annotations

import copy
import time

import torch

from unveil.contracts import Method
from unveil.data import machine
from unveil.data.order import stream
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
    backward pass, counted on ``probe`` samples and scaled to the batch."""
    probe = min(probe, settings.batch)
    at, keys = stream(0, 0, probe, len(samples))
    batch = samples.batch(at, keys).to(device)
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
    return (fixed + 3 * trained) // parts + activations * settings.batch // (settings.accumulate * settings.processes * probe)


def refuse_too_large(need: int, limit: int, settings: Training) -> None:
    """Raises:
        Unusable: where a step would take more than the allowed share of the memory limit.
    """
    if need > settings.memory_share * limit:
        fits = max(1, int(settings.batch * settings.memory_share * limit / need))
        raise Unusable(f"a step with --train.batch {settings.batch} is estimated to take {need / 2**30:.1f} GiB, over "
                       f"{settings.memory_share:.0%} of the limit of {limit / 2**30:.1f} GiB. Use --train.batch {fits}, or keep the "
                       f"batch and add --train.accumulate {-(-settings.batch // fits)}")


def seconds_per_step(method: Method, kind, samples: Samples, settings: Training, device: torch.device, steps: int = 20) -> float:
    """Median time of a step, measured on a copy that is thrown away."""
    trial = copy.deepcopy(method).to(device).train()
    update = optimiser.build(trial, settings, device)
    times = []
    with torch.random.fork_rng(devices=[]):
        for index in range(steps):
            began = time.perf_counter()
            at, keys = stream(0, index, settings.batch, len(samples))
            step = TrainStep(kind, 0, index, steps, device)
            trial(samples.batch(at, keys).to(device), step).loss.backward()
            update.step()
            update.zero_grad()
            trial.after_step(step)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]
