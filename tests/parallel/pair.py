"""Two processes that live as long as the test session, and do the same step as one."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from unveil.contracts import Batch
from unveil.data.order import stream
from unveil.recipes.check import find
from unveil.recipes.recipe import build
from unveil.testing import Cell
from unveil.training.step import TrainStep

KINDS = {"signal": dict(window=64), "image": dict(size=16)}
INDEX, TOTAL, SIZE = 50, 100, 12


@dataclass(frozen=True)
class Job:
    """One step of a method, all by name so that it goes through a pipe."""

    method: str
    encoder: str
    kind: str
    settings: dict[str, Any] = field(default_factory=dict)
    missing: bool = False


class DoubleStep(TrainStep):
    """Views are made as ever, in float32, and seen in float64."""

    def view(self, batch: Batch, count: int = 1, **asked) -> list[Batch]:
        return [_cast(view, torch.float64) for view in super().view(_cast(batch, torch.float32), count, **asked)]


def _cast(batch: Batch, dtype: torch.dtype) -> Batch:
    return batch.map(lambda x: x.to(dtype) if x.is_floating_point() else x)


def _batch(cell: Cell, job: Job, rank: int, world: int) -> Batch:
    samples = cell.samples()[0]
    batch = samples.batch(*stream(0, INDEX, SIZE, len(samples), rank, world))
    if job.missing:
        first = 4 * (batch.keys % 5)
        valid = torch.arange(batch.values.shape[2]) >= first[:, None]
        valid = valid.view(*valid.shape, *[1] * (batch.values.dim() - 3)).expand(-1, *batch.values.shape[2:])
        batch = replace(batch, valid=valid, values=batch.values * valid[:, None])
    return batch


def work(job: Job, rank: int = 0, world: int = 1) -> dict[str, torch.Tensor]:
    """Loss (mean over processes), gradients, and after the update all weights and buffers, in float64."""
    kind = build("kind", {"name": job.kind} | KINDS[job.kind])
    cell = Cell(find("method", job.method), kind, find("encoder", job.encoder), dict(job.settings))
    method = cell.build().double().train()
    module = DistributedDataParallel(method) if world > 1 else method
    step = DoubleStep(kind, 0, INDEX, TOTAL)
    loss = module(_batch(cell, job, rank, world), step).loss
    loss.backward()
    loss = loss.detach().clone()
    if world > 1:
        dist.all_reduce(loss)
    left = {"loss": loss / world}
    left |= {f"gradient of {name}": p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}
    with torch.no_grad():
        for p in method.parameters():
            if p.grad is not None:
                p -= 0.1 * p.grad
    method.after_step(step)
    return left | dict(method.state_dict())


def _serve(pipe, rank: int, meeting: str) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    while (job := pipe.recv()) is not None:
        try:
            pipe.send({name: x.numpy() for name, x in work(job, rank, 2).items()})
        except Exception as why:
            pipe.send(repr(why))
    dist.destroy_process_group()


class Pair:
    """The two processes; a job goes to both, and both answers come back."""

    def __init__(self):
        self.place = tempfile.TemporaryDirectory()
        context = multiprocessing.get_context("spawn")
        self.pipes, self.processes = [], []
        for rank in range(2):
            mine, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, rank, str(Path(self.place.name) / "meeting")), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(mine)
            self.processes.append(process)

    def __call__(self, job: Job, patience: float = 60.0) -> list[dict[str, torch.Tensor]]:
        for pipe in self.pipes:
            pipe.send(job)
        answers = []
        for rank, pipe in enumerate(self.pipes):
            assert pipe.poll(patience), f"process {rank} gave no answer to {job} in {patience:g} s"
            answer = pipe.recv()
            assert isinstance(answer, dict), f"process {rank} failed on {job}: {answer}"
            answers.append({name: torch.from_numpy(x) for name, x in answer.items()})
        return answers

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join(10)
            if process.is_alive():
                process.kill()
        self.place.cleanup()
