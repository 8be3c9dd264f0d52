"""What a kind of data must be able to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch, Spec
from unveil.data.records import Records
from unveil.data.samples import Samples
from unveil.errors import Unusable, nearest
from unveil.randomness import Generator


class Kind:
    """What one sample is, how it is read, viewed, described without a network, and drawn.

    Keyword-only constructor arguments are its settings; they are saved beside an encoder, so new data are read alike.

    Attributes:
        name: as in ``--kind``.
        offers: what its samples have for encoders to read, see ``Encoder.reads``.
        optional: what samples have under certain settings alone, and these settings.
        tiny: settings with which planted samples are small, for conformance.
        pictorial: samples are pictures ``(C, height, width)``, as other programs read them, too.
        encoder: that reads it where nothing else is asked for.
        method: that teaches where nothing else is asked for.
        corruptions: names that :meth:`corrupt` knows.
        strengths: of those whose strength is a figure, what it is, such as ``"share of time"``, and its value at severities 1 to 5.
        uses_labels: under these settings what a method is given holds what the labels say; every judgement then says so.
        light: settings of :meth:`view` under which a sample keeps what its label says: networks are trained on labels with them.
    """

    name: ClassVar[str]
    offers: frozenset[str] = frozenset({"grid"})
    optional: ClassVar[dict[str, dict[str, Any]]] = {}
    tiny: ClassVar[dict[str, Any]] = {}
    pictorial: ClassVar[bool] = False
    encoder: ClassVar[str] = "transformer"
    method: ClassVar[str] = "simclr"
    corruptions: ClassVar[tuple[str, ...]] = ()
    strengths: ClassVar[Mapping[str, tuple[str, tuple[float, ...]]]] = {}
    uses_labels: bool = False
    light: ClassVar[dict[str, Any]] = {"area": (0.7, 1.0), "strength": 0.5}

    def open(self, records: Records) -> Samples:
        """Records to samples, without reading more than is needed to know what they look like.

        Raises:
            Unusable: where the records cannot be of this kind, or none is usable.
        """
        raise NotImplementedError

    def grouping(self, samples: Samples, name: str | None) -> tuple[np.ndarray, list[str], str] | None:
        """Groups that the kind makes of samples themselves, where it knows ``name``, as in ``--groups``: of each its group ``(n,)``, the
        groups in their order, each in words, and what they are in order of. None for any other name."""
        return None

    def to(self, device: torch.device) -> Kind:
        """Itself, with what it knows of the data (means, deviations) on ``device``, so that no view has to be waited for."""
        vars(self).update({name: held.to(device) for name, held in vars(self).items() if isinstance(held, Tensor)})
        return self

    def spec(self, channels: int | None = None) -> Spec | None:
        """What samples look like, unnormalised, where the settings alone say it, or together with the number of ``channels``; None where it
        takes data."""
        return None

    def fixed(self, samples: Samples) -> dict[str, object]:
        """Settings, as opened samples had them, with which new data are read alike; saved beside an encoder."""
        raise NotImplementedError

    def view(self, batch: Batch, count: int, *, area: tuple[float, float], size: float, strength: float, symmetry: bool,
             generator: Generator) -> list[Batch]:
        """Random views on the batch's device; see :meth:`unveil.contracts.Step.view`."""
        raise NotImplementedError

    def corrupt(self, batch: Batch, name: str, severity: int, generator: Generator) -> Batch:
        """Samples as a worse world would have recorded them, on the batch's device; the samples themselves stay as they are.

        Args:
            batch: samples.
            name: one of :attr:`corruptions`.
            severity: 1 (hardly matters) to 5 (as bad as it gets).
            generator: of the draws, keyed by ``batch.keys``; one that is made alike draws the same at every severity.

        Raises:
            Unusable: for a name or a severity that does not exist.
        """
        if name not in self.corruptions:
            raise Unusable(f"{self.name} data know no corruption {name!r}{nearest(name, self.corruptions)}")
        if not isinstance(severity, int) or not 1 <= severity <= 5:
            raise Unusable(f"the severity of {name} is {severity!r}; it must be 1, 2, 3, 4 or 5")
        changed = self.corrupted(batch, name, severity, generator)
        if isinstance(changed, Batch):
            return changed
        return replace(batch, values=changed if batch.valid is None else changed * batch.valid[:, None])

    def corrupted(self, batch: Batch, name: str, severity: int, generator: Generator) -> Tensor | Batch:
        """New values for :meth:`corrupt`, which has checked the name and the severity and keeps missing values at 0; a new batch where more
        than values changes."""
        raise NotImplementedError

    def says(self, batch: Batch) -> dict[str, Tensor]:
        """What texts say of samples: for each property which of its values a sample has, int64 ``(B,)``, -1 where it has none. Empty for a
        kind without texts."""
        return {}

    def prompts(self, classes: Sequence[str] = ()) -> dict[str, dict[str, Tensor]]:
        """Texts that say one value of one property, for each of :meth:`says` in the order of its numbers: ``(ways to say it, L)`` token
        numbers by the value's name. Under :attr:`uses_labels`, where texts name classes, these too, as :data:`unveil.parts.text.CLASS`."""
        return {}

    def spelled(self, text: Tensor) -> list[str]:
        """Texts ``(B, L)`` of token numbers, such as those of :meth:`prompts`, in words."""
        raise NotImplementedError(f"{self.name} has no texts")

    def statistics(self, batch: Batch) -> Tensor:
        """The field's plain features ``(B, F)`` without a network: the control beside every judgement."""
        raise NotImplementedError

    def fitted(self, samples: Samples) -> dict[str, Callable[[Batch], Tensor]]:
        """Further features ``(B, F)`` without a network that first look at ``samples``, by the name of the control; no label is read."""
        return {}

    def flat(self, batch: Batch) -> Tensor:
        """Samples as one row of numbers each ``(B, F)``, as they are: what the control "raw + PCA" reads."""
        return batch.values.flatten(1)

    def draw(self, sample: Tensor | Batch) -> str:
        """One sample, as :meth:`unveil.contracts.Batch.one` gives it, as an image tag or SVG, at most about 200 pixels wide."""
        raise NotImplementedError

    def portraits(self, sample: Tensor | Batch) -> dict[str, str]:
        """Further drawings of one sample, as :meth:`draw` makes them, each with what it shows."""
        return {}

    def planted(self, count: int, generator: Generator) -> Samples:
        """A tiny set with one hidden factor of four values that a method must find, labelled by it, for conformance."""
        raise NotImplementedError


def templates(shape: tuple[int, ...], count: int, generator: Generator, noise: float = 0.5) -> tuple[Tensor, Tensor]:
    """Four smooth patterns, each sample one of them under a random gain, offset and white noise that say nothing of it.

    Args:
        shape: ``(C, *grid)`` of a sample.
        count: number of samples.
        generator: of patterns and samples.
        noise: deviation of the noise over that of a pattern.

    Returns:
        ``(count, *shape)`` of deviation about 1.5 and labels ``(count,)``, in turn.
    """
    channels, *grid = shape
    waves = torch.zeros(4, *shape)
    for _ in range(4):
        angle = generator.uniform(4, channels, *[1] * len(grid), high=2 * math.pi)
        for axis, size in enumerate(grid):
            place = torch.arange(size).view([-1 if a == axis else 1 for a in range(len(grid))]) / size
            turns = generator.integers(1, 4, 4, channels, *[1] * len(grid))
            angle = angle + 2 * math.pi * turns * place
        waves = waves + angle.cos()
    waves = waves / waves.std(list(range(1, waves.dim())), keepdim=True)
    keys = torch.arange(count)
    one = [1] * len(grid)
    gain = generator.uniform(1, *one, keys=keys, low=0.7, high=1.4)
    offset = generator.normal(channels, *one, keys=keys)
    return gain * waves[keys % 4] + 0.5 * offset + noise * generator.normal(*shape, keys=keys), keys % 4
