"""A run that is killed, stopped or damaged goes on to the same bits, or says clearly why it does not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from unveil.contracts import Output
from unveil.encoders.conv import ConvNet
from unveil.errors import Unusable
from unveil.health.monitor import Monitor
from unveil.kinds.signal import Signal
from unveil.methods.dino import DINO
from unveil.methods.mae import MAE
from unveil.methods.simclr import SimCLR
from unveil.testing import Cell, bits
from unveil.training import checkpoint, log

STEPS = 8
KILLED = ["dino", "byol", "i-jepa", "lejepa", "simclr"]


def cell() -> Cell:
    """With everything that must survive: running statistics, a teacher, a centre, two moments."""
    return Cell(DINO, Signal(window=32), ConvNet)


def loop(cell: Cell, folder: Path | None, definition: str = "one", **settings):
    return cell.loop(folder, definition, **settings)


@pytest.fixture(scope="module")
def straight():
    """Final bits of the run without any interruption."""
    held = loop(cell(), None, steps=STEPS)
    held.run()
    return bits(held)


def saved(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.safetensors"))


def stopped(folder: Path, at: int, **settings):
    """A run that was asked to stop after step ``at``."""
    held = loop(cell(), folder, **({"steps": STEPS, "checkpoint_every": 2} | settings))
    held.show = lambda row: setattr(held, "interrupted", row["step"] == at)
    assert held.run().status == "stopped"
    return held


def test_killed_at_random_points_runs_of_five_methods_end_in_the_same_bits(tmp_path):
    driver = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    done = subprocess.run([sys.executable, str(driver), "--kills", "5", "--methods", ",".join(KILLED), "--seed", "3", "--records"],
                          capture_output=True, text=True, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    kills = json.loads(done.stdout.splitlines()[-1])
    assert [kill["cell"].split()[0] for kill in kills] == KILLED and {kill["where"] for kill in kills} == {"step", "write", "anywhere"}
    assert any(kill["checkpoints"] for kill in kills), "some were killed after a checkpoint, so that there was something to resume"
    assert all(kill["bits"] and kill["rows"] for kill in kills), [kill for kill in kills if not (kill["bits"] and kill["rows"])]
    assert not any(kill["left"] for kill in kills), "no half-written file stays behind, and no lock"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_and_the_run_goes_on_from_there(tmp_path, straight, number):
    told, before = [], signal.getsignal(number)
    held = loop(cell(), tmp_path / "run", steps=STEPS)
    held.say = told.append
    forward = held.method.forward

    def interrupted(batch, step):
        if step.index == 3:
            signal.raise_signal(number)
        return forward(batch, step)

    held.method.forward = interrupted
    ending = held.run()
    assert (ending.status, ending.step) == ("stopped", 4) and saved(tmp_path / "run") == [4]
    assert "the same command goes on from here" in told[0] and signal.getsignal(number) is before
    again = loop(cell(), tmp_path / "run", steps=STEPS)
    ending = again.run()
    assert (ending.status, ending.step) == ("finished", STEPS) and bits(again) == straight
    assert [row["step"] for row in log.read(tmp_path / "metrics.jsonl")] == list(range(1, STEPS + 1))


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    held = loop(cell(), tmp_path, steps=STEPS, checkpoint_every=2)
    forward = held.method.forward

    def interrupted(batch, step):
        if step.index == 5:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return forward(batch, step)

    held.method.forward = interrupted
    with pytest.raises(KeyboardInterrupt):
        held.run()
    assert saved(tmp_path) == [2, 4]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    stopped(tmp_path, 4)
    with pytest.raises(Unusable, match="run with other settings: choose another --out"):
        loop(cell(), tmp_path, definition="other", steps=STEPS).run()
    assert saved(tmp_path) == [2, 4]


@pytest.mark.parametrize("change", [dict(encoder_settings=dict(width=16)), dict(encoder_settings=dict(blocks=2))])
def test_a_checkpoint_of_another_architecture_is_refused(tmp_path, change):
    stopped(tmp_path, 4)
    other = cell()
    other.encoder_settings |= change["encoder_settings"]
    with pytest.raises(Unusable, match=r"of another architecture \(\d+ of \d+ tensors do not match, the first is encoder"):
        loop(other, tmp_path, steps=STEPS).run()


def test_a_batch_in_two_parts_makes_the_same_update():
    held = [loop(Cell(MAE), None, steps=4, batch=16, optimiser="sgd", lr=0.05, accumulate=parts) for parts in (1, 2)]
    for one in held:
        one.run()
    start = Cell(MAE).build().state_dict()
    for name, x in held[0].method.state_dict().items():
        torch.testing.assert_close(held[1].method.state_dict()[name], x, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(x, start[name]) for name, x in held[0].method.state_dict().items())


@pytest.mark.parametrize("stop", [True, False])
def test_an_unhealthy_run_is_ended_unless_told_to_go_on(tmp_path, stop):
    equal = Cell(SimCLR, Signal(window=32), settings=SimCLR.twins["views that are equal"])
    held = loop(equal, tmp_path, steps=100, stop_unhealthy=stop)
    held.monitor = Monitor(100)
    ending = held.run()
    assert (ending.status, ending.step < 100) == (("unhealthy", True) if stop else ("finished", False))
    assert [finding["fault"] for finding in ending.findings] == ["trivial task"]
    assert saved(tmp_path) == ([] if stop else [100])


class Spoilt(MAE):
    """Its loss is not a number from step 5 on."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        return output if step.index < 5 else Output(output.loss * float("nan"), shown=output.shown)


class _Poison(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * float("nan")


class SpoiltGradient(MAE):
    """The gradient of a finite loss is not a number at step 5."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        return Output(_Poison.apply(output.loss), shown=output.shown) if step.index == 5 else output


@pytest.mark.parametrize("method, says", [(Spoilt, "the loss was no finite number at step 6"),
                                          (SpoiltGradient, "the weights encoder.* were no longer finite by step 6")])
def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_checkpoint_before(tmp_path, method, says):
    with pytest.raises(Unusable, match=f"{says}. The checkpoint of step 4 is kept. Try a lower --train.lr"):
        loop(Cell(method), tmp_path, steps=STEPS, checkpoint_every=2).run()
    assert saved(tmp_path) == [2, 4]
    held = loop(Cell(MAE), tmp_path, steps=STEPS)
    held.run()
    assert all(x.isfinite().all() for x in held.method.state_dict().values())
    assert checkpoint.restore(tmp_path, held.method, held.optimiser, "one") == STEPS
