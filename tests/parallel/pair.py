"""Two processes that live as long as the test session, and do the same step as one."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import tempfile
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from unveil.contracts import Batch
from unveil.data.order import stream
from unveil.parts import distributed
from unveil.parts.distributed import whole
from unveil.recipes.check import TABLES, find
from unveil.recipes.fit import ways
from unveil.recipes.recipe import build
from unveil.testing import Cell
from unveil.testing.packed import taken
from unveil.training.processes import shard
from unveil.training.step import TrainStep

KINDS = {name: find("kind", name).tiny for name in TABLES["kind"]}
INDEX, TOTAL, SIZE = 50, 100, 12


@dataclass(frozen=True)
class Job:
    """One step of a method, all by name so that it goes through a pipe."""

    method: str
    encoder: str
    kind: str
    settings: dict[str, Any] = field(default_factory=dict)
    missing: bool = False
    fault: str = ""
    sharded: bool = False

    def __str__(self) -> str:
        marks = [f"{name}={value}" for name, value in self.settings.items()] + ["missing"] * self.missing + [self.fault] * bool(self.fault)
        marks += ["sharded"] * self.sharded
        return "-".join([self.method, self.encoder, self.kind, *marks])


class DoubleStep(TrainStep):
    """Views are made as ever, in float32, and seen in float64."""

    def view(self, batch: Batch, count: int = 1, **asked) -> list[Batch]:
        return [_cast(view, torch.float64) for view in super().view(_cast(batch, torch.float32), count, **asked)]


def _cast(batch: Batch, dtype: torch.dtype) -> Batch:
    return batch.map(lambda x: x.to(dtype) if x.is_floating_point() else x)


def _batch(cell: Cell, job: Job, rank: int, world: int) -> Batch:
    samples = cell.samples()[0]
    batch = samples.batch(*stream(0, INDEX, SIZE, len(samples), rank, world))
    if job.missing and batch.graph is not None:
        return taken(batch, batch.graph.place < 1 + batch.keys[batch.graph.sample] % 4)
    if job.missing:
        first = 4 * (batch.keys % 5)
        valid = torch.arange(batch.values.shape[2]) >= first[:, None]
        valid = valid.view(*valid.shape, *[1] * (batch.values.dim() - 3)).expand(-1, *batch.values.shape[2:])
        batch = replace(batch, valid=valid, values=batch.values * valid[:, None])
    return batch


def _own(ctx, grad: torch.Tensor) -> torch.Tensor:
    return grad.clone()


def _own_rows(ctx, grad: torch.Tensor) -> torch.Tensor:
    return grad.chunk(distributed.world())[distributed.rank()].clone()


def _times_world(backward):
    return lambda ctx, grad: distributed.world() * backward(ctx, grad)


# Each makes a part of the gradient wrong by the number of processes: whose backward pass is replaced, and by what.
# Beside them, "summed" is DDP that adds gradients instead of taking their mean.
FAULTS = {"sum not reduced": (distributed._Sum, _own), "sum times world": (distributed._Sum, _times_world(distributed._Sum.backward)),
          "gather not reduced": (distributed._Gather, _own_rows),
          "gather times world": (distributed._Gather, _times_world(distributed._Gather.backward))}


def _summed(state, bucket):
    """A hook of DDP that leaves out the division by the number of processes."""
    return dist.all_reduce(bucket.buffer(), async_op=True).get_future().then(lambda done: done.value()[0])


@contextmanager
def planted(fault: str):
    """While it is open, the named fault is in the code."""
    where, wrong = FAULTS.get(fault, (None, None))
    with mock.patch.object(where, "backward", staticmethod(wrong)) if where else nullcontext():
        yield


def work(job: Job, rank: int = 0, world: int = 1) -> dict[str, torch.Tensor]:
    """Loss (mean over processes), gradients, and after the update all weights and buffers, in float64."""
    kind = build("kind", {"name": job.kind} | KINDS[job.kind] | dict(ways(job.kind, job.method)).get(job.encoder, {}))
    cell = Cell(find("method", job.method), kind, find("encoder", job.encoder), dict(job.settings))
    method = cell.build().double().train()
    if job.sharded and world > 1:
        module = shard(method, init_device_mesh("cpu", (world,), mesh_dim_names=("data_parallel",)))
        assert all(isinstance(p, DTensor) for p in method.parameters())
    else:
        module = DistributedDataParallel(method) if world > 1 else method
    if job.fault == "summed" and world > 1:
        module.register_comm_hook(None, _summed)
    step = DoubleStep(kind, 0, INDEX, TOTAL)
    with planted(job.fault):
        loss = module(_batch(cell, job, rank, world), step).loss
        loss.backward()
    loss = loss.detach().clone()
    if world > 1:
        dist.all_reduce(loss)
    left = {"loss": loss / world}
    left |= {f"gradient of {name}": whole(p.grad).clone() for name, p in method.named_parameters() if p.grad is not None}
    with torch.no_grad():
        for p in method.parameters():
            if p.grad is not None:
                p -= 0.1 * p.grad
    method.after_step(step)
    return left | {name: whole(x) for name, x in method.state_dict().items()}


def distances(answer: dict[str, torch.Tensor], one: dict[str, torch.Tensor]) -> dict[str, float]:
    """How far an answer is from that of one process, tensor by tensor: the norm of the difference over the norm of the tensor.

    A gradient that is truly zero has no norm of its own, only the rounding of what cancels in it, and so has a weight that started at zero
    and follows it: their scale is the whole gradient's.
    """
    whole = torch.stack([x.norm() for name, x in one.items() if name.startswith("gradient")]).norm()
    own = {name: x.double().norm() for name, x in one.items()}
    return {name: float((answer[name].double() - x.double()).norm() / (own[name] if own[name] > 1e-9 * whole else whole))
            for name, x in one.items()}


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
    """The two processes; a job goes to both, and both answers come back. After a failure the next job gets two new ones."""

    def __init__(self):
        self.pipes, self.processes, self.place = [], [], None

    def _start(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        context = multiprocessing.get_context("spawn")
        for rank in range(2):
            mine, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, rank, str(Path(self.place.name) / "meeting")), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(mine)
            self.processes.append(process)

    def __call__(self, job: Job, patience: float = 60.0) -> list[dict[str, torch.Tensor]]:
        if not self.processes:
            self._start()
        try:
            for pipe in self.pipes:
                pipe.send(job)
            waiting, answers = list(self.pipes), {}
            while waiting:
                ready = multiprocessing.connection.wait(waiting, patience)
                assert ready, f"no answer to {job} in {patience:g} s"
                for pipe in ready:
                    rank, answer = self.pipes.index(pipe), pipe.recv()
                    assert isinstance(answer, dict), f"process {rank} failed on {job}: {answer}"
                    answers[rank] = {name: torch.from_numpy(x) for name, x in answer.items()}
                    waiting.remove(pipe)
            return [answers[0], answers[1]]
        except (AssertionError, OSError, EOFError):
            self._end()
            raise

    def _end(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()
        self.pipes, self.processes = [], []
        self.place.cleanup()

    def close(self) -> None:
        """Lets the processes end by themselves."""
        if not self.processes:
            return
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join(10)
        self._end()
