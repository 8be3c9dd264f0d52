"""The loop: from batch to update, readable in one function, on Lightning Fabric."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from unveil.contracts import Method, Output
from unveil.data.feed import Feed
from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.health.verdict import EXPLODED
from unveil.parts.distributed import any_of
from unveil.randomness import key
from unveil.training import checkpoint, optimiser, processes
from unveil.training.guard import Guard, spoilt
from unveil.training.log import Log
from unveil.training.memory import freed_memory_kept
from unveil.training.settings import Training
from unveil.training.step import TrainStep

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of its own precision setting at every run


@dataclass
class Ending:
    """How a run ended.

    Attributes:
        status: ``"finished"``, ``"stopped"`` by the user, or ``"unhealthy"`` by the diagnosis.
        step: updates made.
        seconds: wall time of the run, with what an interrupted part of it had logged.
        cpu_seconds: processor time of it, all threads.
        waited: seconds spent waiting for data.
        findings: what the diagnosis said, in order.
    """

    status: str
    step: int
    seconds: float
    cpu_seconds: float
    waited: float
    findings: list[dict[str, Any]] = field(default_factory=list)


class Loop:
    """Trains a method on samples, and leaves checkpoints and a log in a folder.

    Args:
        method: what is trained, around its encoder.
        kind: makes views.
        samples: what is learned from.
        settings: of the training.
        seed: of everything random.
        folder: where checkpoints and the log go; None keeps nothing.
        definition: hash of all that defines the run; a checkpoint of another is refused.
        monitor: watches the outputs: ``observe(index, batch, output)`` and ``judge(done, row) -> (figures, findings)``,
            ``recall(rows)``, ``findings``; may be None.
        show: called at each logging step with the row.
        say: tells the user a sentence.
        snapshot: called by every process after each of the settings' snapshot steps, with the steps made.
    """

    def __init__(self, method: Method, kind, samples: Samples, settings: Training, *, seed: int = 0, folder: Path | None = None,
                 definition: str = "", monitor=None, show: Callable[[dict], None] = lambda row: None,
                 say: Callable[[str], None] = lambda text: None, snapshot: Callable[[int], None] = lambda done: None):
        self.method, self.kind, self.samples, self.settings, self.seed = method, kind, samples, settings, seed
        self.folder, self.definition, self.monitor, self.show, self.say = folder, definition, monitor, show, say
        self.total, self.snapshot, self.snapshot_steps = settings.total(len(samples)), snapshot, settings.snapshot_steps(len(samples))
        self.log_every = max(1, min(20, self.total // 50))
        self.interrupted = False

    def run(self) -> Ending:
        """Trains from the newest checkpoint to the end, a stop by the user, or a fault."""
        self.fabric = processes.fabric(self.settings, self.samples.packed, self.method)
        self.fabric.launch()
        self.kind.to(self.fabric.device)
        changed = processes.sharded(self.settings) or processes.compiled(self.settings, self.fabric.device, self.samples.packed)
        plain = processes.blueprint(self.method) if changed else None
        self.module, self.optimiser = processes.set_up(self.fabric, self.method, self.settings, self.samples.packed)
        start = 0
        if self.folder:
            start = checkpoint.restore(self.folder, self.method, self.optimiser, self.definition, self.say)
        self.guard, self.saved = Guard(self.fabric.device), start
        self.feed = Feed(self.samples, self.settings.order(self.samples, self.seed), self.fabric.global_rank,
                         self.total * self.settings.accumulate)
        home = self.folder if self.fabric.is_global_zero else None
        with freed_memory_kept(), Log(home, start, self.settings.logger, self.say) as log, _Interrupts(self):
            log.kept = self.fabric.broadcast(log.kept)  # only the first process has a log, and all judge alike
            if self.monitor:
                self.monitor.recall(log.kept)
            ending = self._steps(start, log)
        self.method = processes.restored(plain, self.method) if changed else self.method
        if self.fabric.world_size > 1:
            self.fabric.barrier()
            torch.distributed.destroy_process_group()  # what comes after training is done by one process alone
        return ending

    def _steps(self, start: int, log: Log) -> Ending:
        spent = log.kept[-1] if log.kept else {"seconds": 0.0, "cpu_seconds": 0.0}
        began, cpu_began = time.perf_counter() - spent["seconds"], time.process_time() - spent["cpu_seconds"]
        findings = [finding.to_json() for finding in self.monitor.findings] if self.monitor else []
        first = log.kept[0]["loss"] if log.kept else None
        status, index, saved_at = "finished", start, time.perf_counter()
        self.method.train()
        for index in range(start, self.total):
            output, rates = self._update(index)
            done = index + 1
            if done in self.snapshot_steps:
                self._whole(done)
                self.snapshot(done)
            if done % self.log_every and done < self.total and not (self.interrupted and self.fabric.world_size == 1):
                continue  # several processes stop where they can agree, at a row of the log
            row = self._row(done, output, rates, began, cpu_began)
            first = row["loss"] if first is None else first
            figures, found = self.monitor.judge(done, row) if self.monitor else ({}, [])
            findings += found
            log.write(row | figures)
            self.show(row | figures | {"total": self.total})
            asked, due = any_of(self.interrupted, self._due(done, saved_at))
            if any(finding["fatal"] for finding in found) and self.settings.stop_unhealthy:
                status = "unhealthy"
                break
            if asked:
                status = "stopped"
                break
            # A run that may be diverging is not stored: the verdict takes its time, and what is kept should be from before.
            exploding = self.monitor and self.settings.stop_unhealthy and row["loss"] > EXPLODED * abs(first)
            if due and not exploding:
                self._store(done)
                saved_at = time.perf_counter()
        self.method.eval()
        made = index + 1 if self.total > start else start
        self._whole(made)
        if self.folder and status != "unhealthy" and made > self.saved:
            self._store(made)
        return Ending(status, made, time.perf_counter() - began, time.process_time() - cpu_began, self.feed.waited, findings)

    def _update(self, index: int) -> tuple[Output, tuple[float, float]]:
        """One update of the weights, from batch to teacher."""
        settings, device = self.settings, self.fabric.device
        rates = optimiser.schedule(self.optimiser, settings, index / self.total)
        torch.manual_seed(key(self.seed, "dropout", index, self.fabric.global_rank) >> 1)
        step = TrainStep(self.kind, self.seed, index, self.total, device)
        for part in range(settings.accumulate):
            batch = self.feed(index * settings.accumulate + part).to(device)
            step.viewed = 0
            with self.fabric.no_backward_sync(self.module, enabled=part < settings.accumulate - 1):
                output = self.module(batch, step)
                self.fabric.backward(output.loss / settings.accumulate)
            self.guard.see(index + 1, output.loss)
            if self.monitor:
                self.monitor.observe(index, batch, output)
        if settings.clip:
            self.fabric.clip_gradients(self.module, self.optimiser, max_norm=settings.clip, error_if_nonfinite=False)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.method.after_step(step)
        return output, rates

    def _row(self, done: int, output: Output, rates: tuple[float, float], began: float, cpu_began: float) -> dict[str, float]:
        if (step := self.guard.broken()) is not None:
            raise self._diverged(f"the loss was no finite number at step {step}")
        loss, *scalars = (float(self.fabric.all_reduce(x.detach(), reduce_op="mean")) for x in (output.loss, *output.scalars.values()))
        seconds = time.perf_counter() - began
        return {"step": done, "loss": loss, "lr": rates[0], "decay": rates[1], "seconds": seconds,
                "cpu_seconds": time.process_time() - cpu_began, "waited": self.feed.waited,
                "samples_per_second": self.feed.order.start(done * self.settings.accumulate) / seconds} | dict(zip(output.scalars, scalars))

    def _diverged(self, what: str) -> Unusable:
        kept = f"The checkpoint of step {self.saved} is kept" if self.folder and self.saved else "No checkpoint had been made"
        return Unusable(f"{what}. {kept}. Try a lower --train.lr (now {self.settings.lr:g}), a longer --train.warmup, or --train.clip 1")

    def _due(self, done: int, saved_at: float) -> bool:
        if not self.folder or done >= self.total:
            return False
        every = self.settings.checkpoint_every
        return done - self.saved >= every if every else time.perf_counter() - saved_at >= 60

    def _whole(self, done: int) -> None:
        """Refuses to go on, and to keep anything, where a number of what would be kept is not finite."""
        what = spoilt(self.method, self.optimiser)
        if any_of(what is not None)[0]:
            raise self._diverged(f"{what or 'weights of another process'} were no longer finite by step {done}")

    def _store(self, done: int) -> None:
        self._whole(done)
        if self.fabric.is_global_zero or processes.sharded(self.settings):
            state = checkpoint.state_of(self.method, self.optimiser)
        if self.fabric.is_global_zero:
            checkpoint.store(self.folder, done, state, self.definition)
        self.fabric.barrier()
        self.saved = done


class _Interrupts:
    """While training, Ctrl-C and SIGTERM ask for a clean stop after the step; a second Ctrl-C ends at once."""

    def __init__(self, loop: Loop):
        self.loop, self.before = loop, {}

    def _ask(self, number, frame) -> None:
        if self.loop.interrupted:
            raise KeyboardInterrupt
        self.loop.interrupted = True
        self.loop.say("stopping after this step; the same command goes on from here")

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *error) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def definition(recipe: dict[str, Any]) -> str:
    """Hash of what defines a run."""
    return f"{key(json.dumps(recipe, sort_keys=True, default=asdict)):016x}"
