"""What a network is trained to answer from what is known of samples: a class, or a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Encoder
from unveil.data.samples import Samples
from unveil.tasks import numbers
from unveil.tasks.agreement import agreement
from unveil.tasks.bench import Bench, right
from unveil.tasks.ranking import areas
from unveil.tasks.result import Result


class Goal(Protocol):
    """What is answered.

    Attributes:
        outputs: numbers that a network gives a sample.
        learned: what it is trained on, in words.
    """

    outputs: int
    learned: str

    def fitted(self, samples: Samples) -> Goal:
        """The same, made for what is known of ``samples``, which are learned from."""

    def wanted(self, samples: Samples) -> Tensor:
        """What the network is to give ``(n,)``."""

    def loss(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Of outputs ``(B, outputs)``, a scalar."""

    def answer(self, found: Tensor) -> Tensor:
        """Outputs as they are meant: log probabilities up to a constant, or numbers in the unit of the targets."""

    def merit(self, answer: Tensor, samples: Samples) -> np.ndarray:
        """How good each answer is ``(n,)``, more is better; by its mean a learning rate is chosen."""

    def budgets(self, bench: Bench) -> Sequence[int | None]:
        """Those of the bench that can be learned from."""

    def labelled(self, bench: Bench, each: int | None, number: int) -> np.ndarray:
        """Positions in the training side that a budget draws, in draw ``number``."""

    def varies(self, samples: Samples) -> bool:
        """Whether there is something to tell apart."""

    def strata(self, samples: Samples) -> np.ndarray:
        """What every fold should have of ``(n,)``."""

    def results(self, bench: Bench, features: str, way: str, answers: list[Tensor], each: int | None, **facts: Any) -> Iterator[Result]:
        """What is said of the answers of each repeat."""


@dataclass(frozen=True)
class Classes:
    """A class: cross-entropy; accuracy, balanced accuracy, kappa and area under the ROC curve."""

    outputs: int
    learned = "labels"

    def fitted(self, samples: Samples) -> Classes:
        return self

    def wanted(self, samples: Samples) -> Tensor:
        return torch.as_tensor(samples.labels)

    def loss(self, found: Tensor, wanted: Tensor) -> Tensor:
        return F.cross_entropy(found, wanted)

    def answer(self, found: Tensor) -> Tensor:
        return found

    def merit(self, answer: Tensor, samples: Samples) -> np.ndarray:
        return right(answer.argmax(-1), samples.labels)

    def budgets(self, bench: Bench) -> Sequence[int | None]:
        return bench.budgets

    def labelled(self, bench: Bench, each: int | None, number: int) -> np.ndarray:
        return bench.labelled(each, number)

    def varies(self, samples: Samples) -> bool:
        return len(np.unique(samples.labels)) > 1

    def strata(self, samples: Samples) -> np.ndarray:
        return samples.labels

    def results(self, bench: Bench, features: str, way: str, answers: list[Tensor], each: int | None, **facts: Any) -> Iterator[Result]:
        yield from agreement(bench, features, way, [answer.argmax(-1) for answer in answers], labels=each, **facts)
        yield from areas(bench, features, way, answers, labels=each, **facts)


@dataclass(frozen=True)
class Numbers:
    """A number: the mean absolute error of standardised targets; R2 and mean absolute error in their unit.

    Args:
        centre: of the targets that are learned from.
        scale: their deviation.
        by_row: shares of a row are learned, see :func:`unveil.tasks.numbers.by_row`.
    """

    centre: float = 0.0
    scale: float = 1.0
    by_row: bool = False
    outputs = 1
    learned = "targets"

    def fitted(self, samples: Samples) -> Numbers:
        target = numbers.learned(samples, self.by_row)
        return Numbers(float(target.mean()), float(target.std()) or 1.0, self.by_row)

    def wanted(self, samples: Samples) -> Tensor:
        return torch.as_tensor((numbers.learned(samples, self.by_row) - self.centre) / self.scale, dtype=torch.float32)

    def loss(self, found: Tensor, wanted: Tensor) -> Tensor:
        return F.l1_loss(found[:, 0].float(), wanted)

    def answer(self, found: Tensor) -> Tensor:
        return self.centre + self.scale * found.float()

    def merit(self, answer: Tensor, samples: Samples) -> np.ndarray:
        return -np.abs(answer[:, 0].cpu().double().numpy() - numbers.learned(samples, self.by_row))

    def budgets(self, bench: Bench) -> Sequence[int | None]:
        return numbers.budgets(bench)

    def labelled(self, bench: Bench, each: int | None, number: int) -> np.ndarray:
        return numbers.measured(bench, each, number)

    def varies(self, samples: Samples) -> bool:
        return numbers.differ(samples.targets)

    def strata(self, samples: Samples) -> np.ndarray:
        return np.zeros(len(samples), np.int64)

    def results(self, bench: Bench, features: str, way: str, answers: list[Tensor], each: int | None, **facts: Any) -> Iterator[Result]:
        told = [answer[:, 0].cpu().double().numpy() for answer in answers]
        yield from numbers.errors(bench, features, way, told, at=numbers.coordinates(each), by_row=self.by_row, **facts)


def goals(bench: Bench, network: Encoder | None = None) -> list[Goal]:
    """What can be learned and scored on these data, of the features of ``network`` where they are a network's."""
    classes: list[Goal] = [Classes(bench.classes)] if bench.split.train.labels is not None else []
    return classes + [Numbers(by_row=numbers.by_row(bench.split.train, network))] * numbers.predictable(bench)
