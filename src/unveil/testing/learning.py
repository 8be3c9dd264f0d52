"""Whether a method learns: its encoder against the same encoder untaught, on samples with a planted factor of four values.

The figure is the share of held-out samples whose value of the factor their nearest neighbours tell. Each seed has its own
patterns, samples and initial weights, so seeds are independent. With ``d_s`` the gain of seed s, the mean over its n test
samples of (right when taught) - (right when untaught), the squared standard error of the mean gain over S seeds is

    var_s(d_s) / S  +  mean_s(var_i(difference of sample i) / n) / S

the spread between seeds plus the binomial error of the paired test samples. The first holds the second already; adding it
keeps three seeds that agree by luck from passing for certainty. A method learns where the gain is at least :data:`ERRORS`
standard errors and no seed's monitor finds a fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unveil.contracts import Encoder
from unveil.data.samples import Samples
from unveil.health.monitor import Monitor
from unveil.tasks.embedded import embed, frozen, untrained
from unveil.tasks.knn import knn_predict
from unveil.testing.cell import Cell
from unveil.training.loop import Loop

ERRORS = 3.0
SEEDS = (0, 1, 2)


@dataclass
class Learned:
    """What came of a method, over seeds.

    Attributes:
        what: method, encoder, kind, and the twin's name where it is one.
        untaught: share that the initial encoder gets right, a seed each.
        taught: share that the kept encoder gets right.
        gain: mean of taught less untaught.
        error: its standard error.
        faults: of each seed, what the monitor named.
    """

    what: str
    untaught: list[float]
    taught: list[float]
    gain: float
    error: float
    faults: list[list[str]]

    @property
    def gains(self) -> bool:
        return self.gain > ERRORS * self.error

    @property
    def clean(self) -> bool:
        return not any(self.faults)

    def __str__(self) -> str:
        shares = ", ".join(f"{a:.2f} -> {b:.2f}" for a, b in zip(self.untaught, self.taught, strict=True))
        faults = "; ".join(f"seed {number}: {', '.join(held)}" for number, held in enumerate(self.faults) if held) or "none"
        return (f"{self.what}: right before -> after {shares}; gain {self.gain:.3f}, {self.gain / max(self.error, 1e-9):.1f} standard "
                f"errors of {self.error:.3f}; faults named: {faults}")

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"gains": self.gains, "clean": self.clean}


def learn(cell: Cell, seeds: Sequence[int] = SEEDS, twin: str | None = None) -> Learned:
    """Trains a cell on each seed, or a broken twin of it, and judges.

    Args:
        cell: what is trained.
        seeds: at least two.
        twin: one of the method's ``twins``.
    """
    changes = {} if twin is None else cell.method.twins[twin]
    untaught, taught, gains, within, faults = [], [], [], [], []
    for seed in seeds:
        train, test = cell.samples(seed)
        method, training = cell.build(seed, **changes), cell.settings_of_training()
        monitor = Monitor(training.total(len(train)))
        before = _right(untrained(cell.build_encoder(seed), train), train, test)
        Loop(method, cell.kind, train, training, seed=seed, monitor=monitor).run()
        after = _right(method.kept()["encoder"], train, test)
        difference = after - before
        untaught.append(float(before.mean()))
        taught.append(float(after.mean()))
        gains.append(float(difference.mean()))
        within.append(float(difference.var()) / len(difference))
        faults.append([f"{finding.fault} of {finding.part}" for finding in monitor.findings])
    count = len(gains)
    error = (float(torch.tensor(gains).var()) / count + sum(within) / count**2) ** 0.5
    return Learned(f"{cell}{f', {twin}' if twin else ''}", untaught, taught, sum(gains) / count, error, faults)


def _right(encoder: Encoder, train: Samples, test: Samples) -> Tensor:
    """Of each test sample whether neighbours among the training samples tell its label."""
    bank, asked = (embed(part, frozen(encoder)) for part in (train, test))
    guess = knn_predict(bank.features, torch.as_tensor(bank.labels), asked.features, len(train.classes))
    return (guess == torch.as_tensor(asked.labels)).double()


def check_learning(cell: Cell, seeds: Sequence[int] = SEEDS) -> Learned:
    """The method learns, with a clean verdict."""
    learned = learn(cell, seeds)
    assert learned.gains, f"does not beat its initial encoder by {ERRORS:g} standard errors. {learned}"
    assert learned.clean, f"learns, but the diagnosis names a fault. {learned}"
    return learned


def check_twin(cell: Cell, twin: str, seeds: Sequence[int] = SEEDS) -> Learned:
    """The broken twin fails the same test: it does not gain, or a fault is named."""
    learned = learn(cell, seeds, twin)
    assert not (learned.gains and learned.clean), f"the twin was to fail, but learns with a clean verdict. {learned}"
    return learned
