"""Images: pictures with any number of channels and any depth."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Fraction, Spec
from unveil.data.records import Records, Unreadable, scaled
from unveil.data.samples import Files, Samples, encode_labels, in_memory
from unveil.errors import Unusable
from unveil.kinds.image.corrupt import LEVELS, corrupted
from unveil.kinds.image.read import finite, fitted, hwc, narrow, places
from unveil.kinds.image.view import cropped, varied
from unveil.kinds.kind import Kind, templates
from unveil.randomness import Generator


class Image(Kind):
    """Pictures brought to one square size by scaling the shorter side and cutting the centre.

    Values are in [0, 1] for integer pictures (over the greatest value of their type), as they are for float ones.

    Args:
        size: side in pixels; None takes the median of the first pictures, at most 64.
        channels: number of channels to convert to (1 and 3 only); None takes that of most of the first pictures and sets others aside.
        mirror: a left-right mirror image means the same, so views may use it.
        solarise: how often a view of strength 1 has its bright half inverted.
        cache: share of the machine's memory that decoded pictures may take; it changes no number.
    """

    name = "image"
    tiny = dict(size=16)
    pictorial = True
    smallest = 8
    corruptions = tuple(LEVELS)

    def __init__(self, *, size: Count | None = None, channels: Count | None = None, mirror: bool = True, solarise: Fraction = 0.1,
                 cache: Fraction = 0.25):
        self.size, self.channels, self.mirror, self.solarise, self.cache = size, channels, mirror, solarise, cache

    def open(self, records: Records) -> Samples:
        if not len(records):
            raise Unusable("there are no pictures")
        labels, classes = encode_labels(records.labels)
        groups, group_names = encode_labels(records.groups)
        facts = dict(axes=("y", "x"), spacing=(1.0, 1.0), unit="px", labels=labels, classes=classes, targets=records.targets,
                     groups=groups, group_names=group_names, test=records.test, name=lambda i: records.names[i], notes=records.notes)
        array = None if records.array is None else narrow(hwc(records.array, records.layout))
        if array is not None and self.channels in (None, array.shape[-1]):
            values, scale = self._whole_array(array)
            whole = Samples(in_memory(values, scale), len(records), shape=tuple(values.shape[2:]), channels=values.shape[1],
                            dense=places(records, array.shape[1:3], values.shape[-1]), **facts)
            return finite(whole, values)
        load = records.load if array is None else array.__getitem__
        faults: dict[str, str] = {}
        size, channels = self._look(records, load, faults)
        least = max(size, self.smallest)
        read = (lambda i: records.smaller(i, least)) if array is None and records.smaller else load
        files = Files(lambda i: fitted(read(i), size, channels, self.channels is not None, self.smallest), len(records),
                      lambda i: records.names[i], faults, self.cache)
        dense = places(records, None if array is None else array.shape[1:3], size)
        return Samples(files, len(records), shape=(size, size), channels=channels, dense=dense, faults=faults, in_memory=False, **facts)

    def _whole_array(self, array: np.ndarray) -> tuple[Tensor, float]:
        if min(array.shape[1:3]) < self.smallest:
            raise Unusable(f"the pictures are {array.shape[2]} x {array.shape[1]} pixels, smaller than {self.smallest} x {self.smallest}; "
                           "where this is not so, say which axis is which with --layout chw or hwc")
        scale = 1.0 / np.iinfo(array.dtype).max if array.dtype.kind in "ui" else 1.0
        if array.dtype != np.uint8:
            array = array.astype(np.float32)
        values = torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1)))
        side = self.size or min(values.shape[2:])
        if tuple(values.shape[2:]) != (side, side):
            to = scaled(values.shape[2:], side)
            values = torch.cat([F.interpolate(part.float() * scale, to, mode="bilinear", antialias=True) for part in values.split(1024)])
            top, left = (to[0] - side) // 2, (to[1] - side) // 2
            values, scale = values[..., top:top + side, left:left + side].contiguous(), 1.0
        return values, scale

    def _look(self, records: Records, load: Callable[[int], np.ndarray], faults: dict[str, str], limit: int = 64) -> tuple[int, int]:
        """Size and channels from some pictures, evenly spaced over the set; where none of these is readable, from the next that is."""
        sides, channels = [], Counter()
        first = np.unique(np.linspace(0, len(records) - 1, min(limit, len(records))).astype(int)).tolist()
        for number, i in enumerate(chain(first, range(len(records)))):
            if sides and number >= len(first):
                break
            if records.names[i] in faults:
                continue
            try:
                picture = load(i)
            except Unreadable as why:
                faults[records.names[i]] = str(why)
                continue
            if min(picture.shape[:2]) >= self.smallest:
                sides.append(min(picture.shape[:2]))
                channels[picture.shape[2]] += 1
        if not sides:
            name, why = next(iter(faults.items()), (records.names[0], f"smaller than {self.smallest} x {self.smallest} pixels"))
            raise Unusable(f"none of the {len(records)} pictures is usable; {name}: {why}")
        return self.size or min(64, int(np.median(sides))), self.channels or channels.most_common(1)[0][0]

    def spec(self, channels: int | None = None) -> Spec | None:
        if self.size is None or self.channels is None:
            return None
        return Spec(self.channels, (self.size, self.size), ("y", "x"), (1.0, 1.0), "px", (0.0,) * self.channels, (1.0,) * self.channels)

    def fixed(self, samples: Samples) -> dict[str, object]:
        return {"size": samples.shape[0], "channels": samples.channels}

    def view(self, batch: Batch, count: int, *, area: tuple[float, float], size: float, strength: float, symmetry: bool,
             generator: Generator) -> list[Batch]:
        """Random resized crops (aspect 3/4 to 4/3) with mirror images where ``symmetry``; then, by ``strength``, brightness,
        contrast, saturation and hue (.4, .4, .2, .1, in 80% of views), grey (20%), blur (50%), solarise."""
        views = []
        for _ in range(count):
            view = cropped(batch, area, size, symmetry and self.mirror, generator)
            if strength > 0:
                view = replace(view, values=varied(view.values, view.keys, strength, self.solarise, generator))
            views.append(view)
        return views

    def corrupted(self, batch: Batch, name: str, severity: int, generator: Generator) -> Tensor:
        """Additive noise, blur, less contrast, more light, a covered square, coarse pixels, a turn; see :mod:`.corrupt`."""
        return corrupted(batch.values, batch.keys, name, severity, generator)

    def statistics(self, batch: Batch) -> Tensor:
        """Of each channel: mean, deviation, 16-bin histogram; of the mean channel: a 4 x 4 thumbnail and 8 x 4 edge directions."""
        x = batch.values
        bins = (x * 16).long().clamp(0, 15).flatten(2)
        histogram = torch.zeros(*bins.shape[:2], 16, device=x.device).scatter_add_(2, bins, torch.ones_like(bins, dtype=x.dtype))
        grey = x.mean(1, keepdim=True)
        down, across = grey[..., 1:, :-1] - grey[..., :-1, :-1], grey[..., :-1, 1:] - grey[..., :-1, :-1]
        way = ((torch.atan2(down, across) / torch.pi + 1) * 4).long().clamp(0, 7)
        strength = (down.square() + across.square()).sqrt()
        edges = torch.cat([F.adaptive_avg_pool2d(strength * (way == d), 2).flatten(1) for d in range(8)], 1)
        return torch.cat([x.mean((2, 3)), x.std((2, 3)), histogram.flatten(1) / bins.shape[-1],
                          F.adaptive_avg_pool2d(grey, 4).flatten(1), edges], 1)

    def draw(self, sample: Tensor) -> str:
        values = sample.numpy()
        low, high = (0.0, 1.0) if values.min() >= 0 and values.max() <= 1 else (float(values.min()), float(values.max()))
        shown = (255 * (values - low) / max(high - low, 1e-9)).clip(0, 255).astype(np.uint8)
        picture = Picture.fromarray(np.moveaxis(shown[:3], 0, -1)) if len(shown) >= 3 else Picture.fromarray(shown[0])
        picture.thumbnail((64, 64))
        held = io.BytesIO()
        picture.save(held, "PNG", optimize=True)
        return f'<img alt="" class="sample" src="data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}">'

    def planted(self, count: int, generator: Generator) -> Samples:
        side = self.size or 16
        values, label = templates((1, side, side), count, generator)
        values = (0.5 + 0.1 * values).clamp(0, 1)
        return Samples(lambda ids: (values[ids], None), count, shape=(side, side), channels=1, axes=("y", "x"), spacing=(1.0, 1.0),
                       unit="px", labels=label.numpy(), classes=["a", "b", "c", "d"])
