"""Signals: multichannel series cut into windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from torch import Tensor

from unveil.contracts import Batch, Count, Index, NotNegative, Positive, Spec
from unveil.data.processing import Processing
from unveil.data.records import Records
from unveil.data.samples import Samples
from unveil.data.series import Series
from unveil.errors import Unusable
from unveil.kinds.kind import Kind, templates
from unveil.kinds.signal import describe, plain, read
from unveil.kinds.signal.captions import TOKENISER, captioned, prompts, said_of
from unveil.kinds.signal.corrupt import LEVELS, corrupted
from unveil.kinds.signal.draw import drawing, head, spectrogram
from unveil.kinds.signal.kernels import Kernels
from unveil.kinds.signal.movements import Movements, cropped
from unveil.kinds.signal.planted import montages, movements, waves
from unveil.kinds.signal.view import Rate, crop, fewer, present, varied
from unveil.randomness import Generator


class Signal(Kind):
    """Windows of series with channels, such as sensors, EEG or sound levels.

    Args:
        window: length of a sample, in values at ``rate``.
        stride: distance between window starts; None for a quarter of the window.
        rate: values a second to resample to; None keeps the source's, or takes the lowest where recordings differ.
        triads: views turn the sensor, by about 3 degrees at strength 1: channels come in groups of x, y, z in its frame.
        montage: recordings have the same channels (``"same"``), or each its own, told apart by places and names (``"mixed"``); ``"auto"``
            looks at the recordings.
        band: lower and upper edge in Hz of a Butterworth filter that runs forth and back, so that nothing is delayed; 0 for no lower edge.
        notch: frequency in Hz that is taken out, such as 50 of the mains.
        reference: ``"average"`` subtracts the mean of a recording's channels at each instant.
        scale: each channel of a recording over its own deviation, or ``"robust"``, less its median and over IQR / 1.349; None does
            so for mixed channels, and nothing for channels that are the same, which the encoder brings to scale.
        short: a series shorter than a window is set aside (``"leave"``), or filled up with values marked as missing (``"pad"``).
        rates: all recordings are brought to one rate (``"common"``), or keep theirs (``"native"``), which samples then say.
        captions: samples come with a text that says what is computed from their own values (``"signal"``), and also the name of their class
            (``"classes"``): methods that read it are then taught by labels.
        movements: samples also have movement elements, of acceleration between its zero crossings (``"crossings"``), or as control its
            pieces of equal length (``"chunks"``); see :mod:`.movements`. Such samples have no views but crops, and no corruptions.
        accelerations: channels that movements are made of, from 0.
        g: what one g is in these channels.
        most: elements a sample, at most.
        chunks: pieces an axis; None for as many as a sample has elements there on average.

    Attributes:
        rest: mean of each channel ``(C, 1)`` over the data that were opened last; None before, and then views lose no channel.
        hertz: values a second of the data that were opened last; None before, and where it is unknown.
        names: of their channels; None before, and where channels are mixed or have no names.
    """

    name = "signal"
    tiny = dict(window=64)
    optional = {"montage": dict(montage="mixed"), "text": dict(captions="signal"), "movements": dict(movements="crossings")}
    corruptions = tuple(LEVELS)
    strengths = LEVELS

    def __init__(self, *, window: Count = 128, stride: Count | None = None, rate: Positive | None = None, triads: bool = False,
                 montage: Literal["auto", "same", "mixed"] = "auto", band: tuple[NotNegative, Positive] | None = None,
                 notch: Positive | None = None, reference: Literal["none", "average"] = "none",
                 scale: Literal["none", "deviation", "robust"] | None = None, short: Literal["leave", "pad"] = "leave",
                 rates: Literal["common", "native"] = "common", captions: Literal["none", "signal", "classes"] = "none",
                 movements: Literal["none", "crossings", "chunks"] = "none", accelerations: tuple[Index, ...] = (0, 1, 2),
                 g: Positive = 1.0, most: Count = 192, chunks: Count | None = None):
        if band and band[0] >= band[1]:
            raise Unusable(f"kind.band is {band[0]:g} to {band[1]:g} Hz: the lower edge must be below the upper one")
        if rate and rates == "native":
            raise Unusable("kind.rates native keeps each recording's rate: leave out kind.rate")
        self.window, self.stride, self.rate, self.triads = window, stride or max(1, window // 4), rate, triads
        self.montage, self.band, self.notch, self.reference, self.scale = montage, band, notch, reference, scale
        self.short, self.rates, self.captions = short, rates, captions
        self.movements, self.accelerations, self.g, self.most, self.chunks = movements, accelerations, g, most, chunks
        if movements != "none":
            self.corruptions, self.light = (), Kind.light | {"strength": 0.0}
        self.rest: Tensor | None = None
        self.hertz, self.names = rate, None

    @property
    def offers(self) -> frozenset[str]:
        more = {"text": self.captions != "none", "movements": self.movements != "none"}
        return frozenset({"series", "montage" if self.montage == "mixed" else "grid"} | {name for name, there in more.items() if there})

    @property
    def uses_labels(self) -> bool:
        return self.captions == "classes"

    def open(self, records: Records) -> Samples:
        if self.triads and records.channels and len(records.channels) % 3:
            raise Unusable(f"kind.triads needs groups of three channels, there are {len(records.channels)}")
        if not self._plain or isinstance(read.first(records), Series):
            return self._told(self._opened(records))
        samples, self.rest = plain.samples(records, self.window, self.stride, self.rate, self._moves)
        self.hertz, self.names = self.rate or records.rate, records.channels
        return self._told(samples)

    def _told(self, samples: Samples) -> Samples:
        """With captions, where they are asked for."""
        return samples if self.captions == "none" else captioned(samples, self.uses_labels)

    @property
    def _plain(self) -> bool:
        """Whether arrays are read as they are."""
        return (self.montage != "mixed" and self.band is None and self.notch is None and self.reference == "none"
                and self.scale in (None, "none") and self.short == "leave" and self.rates == "common")

    def _opened(self, records: Records) -> Samples:
        """Records with channels, rates and lengths of their own, or such that something is done to."""
        loaded = read.load(records)
        if self.montage == "auto" and read.differ(loaded):
            self.montage = "mixed"
        mixed = self.montage == "mixed"
        if self.movements != "none" and (mixed or self.rates == "native"):
            raise Unusable("movement elements are made of the same channels at one rate in every recording: say --kind.montage same and "
                           "--kind.rates common")
        if not mixed:
            read.alike(loaded, records)
        rate = None if self.rates == "native" else read.common_rate(loaded, self.rate)
        self.scale = self.scale or ("robust" if mixed else "none")
        how = Processing(self.band, self.notch, self.reference, self.scale, rate)
        reading = read.Reading(self.window, self.stride, self.short == "pad", self.rates == "native", how)
        samples = read.samples(read.cut(loaded, records, reading, mixed), loaded, records, reading, mixed, self._moves)
        self.rest = None if mixed else read.means(samples)
        self.hertz = 1.0 / samples.spacing[0] if samples.unit == "s" else None
        self.names = None if mixed else next(iter(loaded.series.values())).channels
        return samples

    @property
    def _moves(self) -> Callable | None:
        """What makes a fetch of windows one with movement elements; None where they are not asked for."""
        return None if self.movements == "none" else self._moving

    def _moving(self, fetch, series: Sequence[Series], which: np.ndarray, start: np.ndarray, rate: float | None) -> Movements:
        fetch = Movements(fetch, series, which, start, window=self.window, rate=rate, form=self.movements, axes=self.accelerations,
                          most=self.most, g=self.g, each=self.chunks)
        self.chunks = fetch.each
        return fetch

    def spec(self, channels: int | None = None) -> Spec | None:
        if channels is None:
            return None
        return Spec(channels, (self.window,), ("t",), (1.0 / (self.rate or 1.0),), "s" if self.rate else "sample", (0.0,) * channels,
                    (1.0,) * channels, mixed=self.montage == "mixed")

    def fixed(self, samples: Samples) -> dict[str, object]:
        return {"window": self.window, "rate": 1.0 / samples.spacing[0] if samples.unit == "s" else None,
                "montage": "mixed" if samples.mixed else "same", "band": self.band, "notch": self.notch, "reference": self.reference,
                "scale": self.scale or ("robust" if samples.mixed else "none"), "short": self.short, "rates": self.rates,
                "captions": self.captions, "movements": self.movements, "accelerations": self.accelerations, "g": self.g, "most": self.most,
                "chunks": self.chunks}

    def view(self, batch: Batch, count: int, *, area: tuple[float, float], size: float, strength: float, symmetry: bool,
             generator: Generator) -> list[Batch]:
        """Crops stretched to ``size`` times the window; then turned sensors, gains, offsets and noise, relative to the sample's
        own deviation, and lost channels, which read as their mean over the data. A series has no exact symmetry.

        Raises:
            Unusable: where values of movement elements are to change.
        """
        if strength > 0 and self.movements != "none":
            raise Unusable("samples with movement elements have no views with other values: use a method that hides parts of a sample, "
                           "such as --method biopm, or --kind.movements none")
        return [self._one_view(batch, area, size, strength, generator) for _ in range(count)]

    def _one_view(self, batch: Batch, area, size: float, strength: float, generator: Generator) -> Batch:
        whole, keys = batch.values.shape[-1], batch.keys
        out = max(1, round(whole * size))
        if area != (1.0, 1.0) or out != whole:
            share = generator.uniform(1, keys=keys, low=area[0], high=area[1])
            first = generator.uniform(1, keys=keys) * (1 - share)
            extras = cropped(batch, first, share, out) if "elements" in batch.extras else batch.extras
            batch = replace(crop(batch, first, share, out), extras=extras)
        if strength > 0:
            batch = replace(batch, values=present(batch, varied(batch.values, keys, strength, self.triads, self.rest, generator)))
            batch = fewer(batch, strength, generator) if "channel" in batch.extras else batch
        return batch

    def _rate(self, batch: Batch) -> Rate:
        """Values a second: of each sample where it says so."""
        return batch.extras["rate"][:, None, None] if "rate" in batch.extras else self.hertz

    def corrupted(self, batch: Batch, name: str, severity: int, generator: Generator) -> Tensor | Batch:
        """Noise of four kinds, blinks, drift, gains, missing frequencies, lost channels, gaps, uneven time; see :mod:`.corrupt`."""
        changed = corrupted(batch, name, severity, self._rate(batch), self.rest, generator)
        return changed if isinstance(changed, Batch) else present(batch, changed)

    def says(self, batch: Batch) -> dict[str, Tensor]:
        """Trend, period, level, outliers and size of the channel that moves most, and which it is; see :mod:`.captions`."""
        return said_of(batch, self.hertz) if self.captions != "none" else {}

    def prompts(self, classes: Sequence[str] = ()) -> dict[str, dict[str, Tensor]]:
        return prompts(classes if self.uses_labels else ()) if self.captions != "none" else {}

    def spelled(self, text: Tensor) -> list[str]:
        return [TOKENISER.decode(row) for row in text.tolist()]

    def statistics(self, batch: Batch) -> Tensor:
        """Moments, shapes and band powers of each channel, see :mod:`.describe`."""
        return describe.statistics(batch, self.hertz)

    def fitted(self, samples: Samples) -> dict[str, Callable[[Batch], Tensor]]:
        return {"MiniRocket": Kernels(samples, generator=Generator(0, "kernels"))}

    def draw(self, sample: Tensor | Batch) -> str:
        return drawing(sample, self.names)

    def portraits(self, sample: Tensor | Batch) -> dict[str, str]:
        made = {"power by time (across) and frequency (up)": spectrogram(sample), "power by electrode": head(sample)}
        return {what: drawn for what, drawn in made.items() if drawn}

    def planted(self, count: int, generator: Generator) -> Samples:
        if self.montage == "mixed":
            return self._told(montages(count, self.window, generator))
        if self.captions != "none":
            return self._told(waves(count, self.window, generator))
        if self.movements != "none":
            return movements(count, self.window, self._moving, generator)
        values, label = templates((2, self.window), count, generator)
        return Samples(lambda ids: (values[ids], None), count, shape=(self.window,), channels=2, axes=("t",), spacing=(1.0,),
                       unit="sample", labels=label.numpy(), classes=["a", "b", "c", "d"], groups=np.arange(count) // 4 % 8)
