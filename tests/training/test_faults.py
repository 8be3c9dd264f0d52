"""What is not finite, explodes or jumps during a run ends it with a clear word or changes nothing, and never spoils what was kept."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from unveil.contracts import Output
from unveil.errors import Unusable
from unveil.health.monitor import Monitor
from unveil.methods.mae import MAE
from unveil.methods.simclr import SimCLR
from unveil.testing import Cell, bits
from unveil.testing.ops import watched
from unveil.training import log
from unveil.training.guard import Guard


class Changed(MAE):
    """Its loss is another at step 5 alone."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        return Output(self.other(output.loss), shown=output.shown) if step.index == 5 else output


class Unsaid(Changed):
    """The loss is not a number, its gradient is as ever: no weight and no later loss tells of it."""

    def other(self, loss):
        return loss + torch.full_like(loss, float("nan"))


class Infinite(Changed):
    """The gradient is infinite."""

    def other(self, loss):
        return loss * float("inf")


class Frozen(Changed):
    """The gradient is finite, its square is not: weights stay finite, and AdamW never moves them again."""

    def other(self, loss):
        return loss * 1e25


@pytest.mark.parametrize("method, says, rows", [(Unsaid, "the loss was no finite number at step 6", [4]),
                                                (Infinite, "the loss was no finite number at step 6", [4]),
                                                (Frozen, "the optimiser's exp_avg_sq of weight 0 were no longer finite by step 8", [4, 8])])
def test_one_step_that_is_not_finite_ends_the_run_at_the_next_row(tmp_path, method, says, rows):
    held = Cell(method).loop(tmp_path / "checkpoints", steps=200, checkpoint_every=4)
    assert held.log_every == 4
    with pytest.raises(Unusable, match=rf"{says}\. The checkpoint of step 4 is kept\. Try a lower --train\.lr"):
        held.run()
    assert [row["step"] for row in log.read(tmp_path / "metrics.jsonl")] == rows
    kept, = tmp_path.glob("checkpoints/*.safetensors")
    assert kept.stem == "step-00000004" and all(x.isfinite().all() for x in load_file(kept).values())


def test_no_copy_of_an_encoder_that_is_not_finite_is_left(tmp_path):
    held = Cell(Infinite).loop(tmp_path / "checkpoints", steps=200, checkpoint_every=4)
    held.snapshot, held.snapshot_steps = lambda done: pytest.fail("a copy was left"), {7}
    with pytest.raises(Unusable, match=r"the weights \S+ were no longer finite by step 7\. The checkpoint of step 4 is kept"):
        held.run()


def test_without_a_folder_nothing_that_is_not_finite_is_handed_on():
    with pytest.raises(Unusable, match=r"were no longer finite by step 6\. No checkpoint had been made"):
        Cell(Frozen).loop(None, steps=6).run()


def test_looking_for_what_is_not_finite_never_waits():
    guard, losses = Guard(torch.device("cpu")), [torch.tensor(x) for x in (1.0, float("inf"), 2.0, float("nan"))]
    count, waits = watched(lambda: [guard.see(done, loss) for done, loss in enumerate(losses, 1)])
    assert not waits and count and guard.broken() == 2


class Exploding(SimCLR):
    """Its loss is a thousand times what it was from step 60 on."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        return output if step.index < 60 else Output(output.loss * 1000, shown=output.shown)


def test_a_loss_that_explodes_ends_the_run_and_what_is_kept_is_from_before(tmp_path):
    held = Cell(Exploding).loop(tmp_path, steps=400, checkpoint_every=8)
    held.monitor = Monitor(400)
    ending = held.run()
    finding, = ending.findings
    assert ending.status == "unhealthy" and 60 < ending.step < 160
    assert finding["fault"] == "divergence" and "the run diverges since step 8" in finding["sentence"]
    assert finding["advice"] == "a lower --train.lr, a longer --train.warmup, or --train.clip 1"
    assert sorted(path.stem for path in tmp_path.glob("*.safetensors")) == ["step-00000048", "step-00000056"]


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    """Hours forward, and further back, at every look."""
    straight = Cell(MAE).loop(None, steps=8)
    straight.run()
    jumps = count()
    monkeypatch.setattr(time, "time", lambda: 1e9 + 3600 * (-1) ** next(jumps) * next(jumps))
    held, shown = Cell(MAE).loop(tmp_path / "checkpoints", steps=8), []
    held.show = shown.append
    began = time.perf_counter()
    ending = held.run()
    took = time.perf_counter() - began
    seconds = [row["seconds"] for row in log.read(tmp_path / "metrics.jsonl")]
    assert len(seconds) == 8 and seconds == sorted(seconds) and seconds[0] > 0 and seconds[-1] <= ending.seconds <= took
    assert all(row["samples_per_second"] > 0 for row in shown), "the time left is made of these"
    assert [path.stem for path in (tmp_path / "checkpoints").glob("*.safetensors")] == ["step-00000008"], "none came early"
    assert bits(held) == bits(straight)


def test_checkpoints_come_by_a_clock_that_cannot_be_set(tmp_path, monkeypatch):
    real, ahead = time.perf_counter, [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: real() + ahead[0])
    monkeypatch.setattr(time, "time", lambda: 0.0)
    held = Cell(MAE).loop(tmp_path, steps=8)
    held.show = lambda row: ahead.__setitem__(0, 30.0 * row["step"])
    held.run()
    assert saved(tmp_path) == [6, 8], "every second step takes a minute; the last two are kept"


def saved(folder: Path) -> list[int]:
    return sorted(int(path.stem[5:]) for path in folder.glob("*.safetensors"))
