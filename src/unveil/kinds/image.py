"""Images: pictures with any number of channels and any depth."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Fraction
from unveil.data.records import Records, Unreadable
from unveil.data.samples import Files, Samples, encode_labels, in_memory
from unveil.errors import Unusable
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
    """

    name = "image"
    smallest = 8

    def __init__(self, *, size: Count | None = None, channels: Count | None = None, mirror: bool = True, solarise: Fraction = 0.1):
        self.size, self.channels, self.mirror, self.solarise = size, channels, mirror, solarise

    def open(self, records: Records) -> Samples:
        if not len(records):
            raise Unusable("there are no pictures")
        labels, classes = encode_labels(records.labels)
        groups, _ = encode_labels(records.groups)
        facts = dict(axes=("y", "x"), spacing=(1.0, 1.0), unit="px", labels=labels, classes=classes, groups=groups, test=records.test,
                     name=lambda i: records.names[i], notes=records.notes)
        array = None if records.array is None else _narrow(_hwc(records.array, records.layout))
        if array is not None and self.channels in (None, array.shape[-1]):
            values, scale = self._whole_array(array)
            whole = Samples(in_memory(values, scale), len(records), shape=tuple(values.shape[2:]), channels=values.shape[1], **facts)
            return _finite(whole, values)
        load = records.load if array is None else array.__getitem__
        faults: dict[str, str] = {}
        size, channels = self._look(records, load, faults)
        files = Files(lambda i: _fitted(load(i), size, channels, self.channels is not None, self.smallest), len(records),
                      lambda i: records.names[i], faults)
        return Samples(files, len(records), shape=(size, size), channels=channels, faults=faults, in_memory=False, **facts)

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
            shorter = min(values.shape[2:])
            to = [max(side, round(s * side / shorter)) for s in values.shape[2:]]
            values = torch.cat([F.interpolate(part.float() * scale, to, mode="bilinear", antialias=True) for part in values.split(1024)])
            top, left = (to[0] - side) // 2, (to[1] - side) // 2
            values, scale = values[..., top:top + side, left:left + side].contiguous(), 1.0
        return values, scale

    def _look(self, records: Records, load: Callable[[int], np.ndarray], faults: dict[str, str], limit: int = 64) -> tuple[int, int]:
        """Size and channels from the first readable pictures, evenly spaced over the set."""
        sides, channels = [], Counter()
        for i in np.unique(np.linspace(0, len(records) - 1, min(limit, len(records))).astype(int)):
            try:
                picture = load(int(i))
            except Unreadable as why:
                faults[records.names[i]] = str(why)
                continue
            if min(picture.shape[:2]) >= self.smallest:
                sides.append(min(picture.shape[:2]))
                channels[picture.shape[2]] += 1
        if not sides:
            first = next(iter(faults.items()), (records.names[0], f"smaller than {self.smallest} x {self.smallest} pixels"))
            raise Unusable(f"none of the first {min(limit, len(records))} pictures is usable; {first[0]}: {first[1]}")
        return self.size or min(64, int(np.median(sides))), self.channels or channels.most_common(1)[0][0]

    def fixed(self, samples: Samples) -> dict[str, object]:
        return {"size": samples.shape[0], "channels": samples.channels}

    def view(self, batch: Batch, count: int, *, area: tuple[float, float], size: float, strength: float, symmetry: bool,
             generator: Generator) -> list[Batch]:
        """Random resized crops (aspect 3/4 to 4/3) with mirror images where ``symmetry``; then, by ``strength``, brightness,
        contrast, saturation and hue (.4, .4, .2, .1, in 80% of views), grey (20%), blur (50%), solarise."""
        views = []
        for _ in range(count):
            view = self._crop(batch, area, size, symmetry and self.mirror, generator)
            views.append(replace(view, values=self._varied(view.values, view.keys, strength, generator)) if strength > 0 else view)
        return views

    def _crop(self, batch: Batch, area, size: float, mirror: bool, generator: Generator) -> Batch:
        keys, (height, width) = batch.keys, batch.values.shape[2:]
        out = (max(1, round(height * size)), max(1, round(width * size)))
        if area == (1.0, 1.0) and out == (height, width) and not mirror:
            return batch
        share = generator.uniform(1, keys=keys, low=area[0], high=area[1])
        bent = 1.0 if area == (1.0, 1.0) else (generator.uniform(1, keys=keys, low=-1.0) * np.log(4 / 3)).exp()
        side = torch.cat([(share / bent).sqrt(), (share * bent).sqrt()], 1).clamp_max(1.0)
        first = generator.uniform(2, keys=keys) * (1 - side)
        first, last = first, first + side
        if mirror:
            flip = torch.stack([torch.zeros_like(keys, dtype=torch.bool), generator.uniform(1, keys=keys)[:, 0] < 0.5], 1)
            first, last = torch.where(flip, last, first), torch.where(flip, first, last)
        return _window(batch, first, last, out)

    def _varied(self, x: Tensor, keys: Tensor, strength: float, generator: Generator) -> Tensor:
        def sometimes(share: float, changed: Tensor) -> Tensor:
            return torch.where(generator.uniform(1, 1, 1, keys=keys) < share, changed, x)

        def factor(reach: float) -> Tensor:
            return generator.uniform(1, 1, 1, keys=keys, low=max(0.0, 1 - reach), high=1 + reach)

        y = (x * factor(0.4 * strength)).clamp(0, 1)
        mean = y.mean((1, 2, 3), keepdim=True)
        y = (mean + (y - mean) * factor(0.4 * strength)).clamp(0, 1)
        if x.shape[1] == 3:
            grey = _grey(y)
            y = (grey + (y - grey) * factor(0.2 * strength)).clamp(0, 1)
            y = _turn_hue(y, generator.uniform(1, 1, 1, keys=keys, low=-1.0) * (0.1 * strength))
        x = sometimes(0.8, y)
        if x.shape[1] == 3:
            x = sometimes(0.2 * min(1.0, strength), _grey(x).expand_as(x))
        x = sometimes(0.5 * min(1.0, strength), _blurred(x, generator.uniform(1, keys=keys, low=0.1, high=2.0)))
        return sometimes(self.solarise * min(1.0, strength), torch.where(x >= 0.5, 1 - x, x))

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

    def draw(self, values: np.ndarray) -> str:
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


def _hwc(array: np.ndarray, layout: str | None) -> np.ndarray:
    """Pictures in one array as ``(n, H, W, C)``.

    Raises:
        Unusable: where the axes are not certain.
    """
    if array.ndim == 3:
        return array[..., None]
    if array.ndim != 4:
        raise Unusable(f"an array of {'x'.join(map(str, array.shape))} holds no pictures: it needs 3 or 4 axes, samples first")
    if layout is None:
        few = [axis for axis in (1, 3) if array.shape[axis] <= 16]
        if len(few) != 1:
            raise Unusable(f"an array of {'x'.join(map(str, array.shape))} can have its channels second or last. Say which:\n"
                           "  --layout chw\n  --layout hwc")
        layout = "chw" if few == [1] else "hwc"
    return np.moveaxis(array, 1, -1) if layout == "chw" else array


def _narrow(array: np.ndarray) -> np.ndarray:
    """Wide integers as 8 or 16 bits where these hold them all: the greatest value of the type stands for full brightness."""
    if array.dtype.kind in "ui" and array.dtype.itemsize > 2 and array.min() >= 0:
        return array.astype(next((small for small in (np.uint8, np.uint16) if array.max() <= np.iinfo(small).max), array.dtype))
    return array


def _finite(samples: Samples, values: Tensor) -> Samples:
    """Without the pictures that hold values that are not finite; each is named among the faults.

    Raises:
        Unusable: where no picture is left.
    """
    if not values.is_floating_point():
        return samples
    sound = torch.cat([part.flatten(1).isfinite().all(1) for part in values.split(1024)]).numpy()
    samples.faults |= {samples.name(int(i)): "holds values that are not finite" for i in np.flatnonzero(~sound)}
    if not sound.any():
        raise Unusable(f"every one of the {len(samples)} pictures holds values that are not finite (NaN or infinity)")
    low, high = float(values[torch.as_tensor(sound)].min()), float(values[torch.as_tensor(sound)].max())
    if low < 0 or high > 1:
        samples.notes.append(f"values go from {low:.3g} to {high:.3g}; pictures of floats are taken as they are, and colour changes of "
                             "views cut them to 0 to 1: scale them before, or give --method.strength 0")
    return samples if sound.all() else samples.subset(sound)


def _fitted(picture: np.ndarray, size: int, channels: int, convert: bool, smallest: int) -> np.ndarray:
    """``(H, W, C)`` of any number type -> ``(channels, size, size)`` uint8, or float32 where 8 bits would lose.

    Raises:
        Unreadable: where it is too small, is not finite, or has another number of channels and may not be converted.
    """
    if min(picture.shape[:2]) < smallest:
        raise Unreadable(f"is {picture.shape[1]} x {picture.shape[0]} pixels, smaller than {smallest} x {smallest}")
    if picture.dtype.kind == "f" and not np.isfinite(picture).all():
        raise Unreadable("holds values that are not finite")
    if picture.shape[2] != channels:
        if not convert or channels not in (1, 3):
            raise Unreadable(f"has {picture.shape[2]} channels, most have {channels} (--kind.channels 1 or 3 converts)")
        colour = picture[..., :3] if picture.shape[2] >= 3 else picture[..., :1].repeat(3, -1)
        picture = colour if channels == 3 else (colour @ np.array([0.299, 0.587, 0.114])).astype(picture.dtype)[..., None]
    scale = np.iinfo(picture.dtype).max if picture.dtype.kind in "ui" else 1
    x = torch.from_numpy(np.moveaxis(picture, -1, 0).astype(np.float32) / scale)[None]
    to = [max(size, round(side * size / min(x.shape[2:]))) for side in x.shape[2:]]
    x = x if to == list(x.shape[2:]) else F.interpolate(x, to, mode="bilinear", antialias=True)
    top, left = (to[0] - size) // 2, (to[1] - size) // 2
    x = x[0, :, top:top + size, left:left + size]
    return (x * 255).round().clamp(0, 255).to(torch.uint8).numpy() if picture.dtype == np.uint8 else x.numpy()


def _window(batch: Batch, first: Tensor, last: Tensor, out: tuple[int, int]) -> Batch:
    """The rectangle from ``first (B, 2)`` to ``last (B, 2)`` in shares of the picture, read at ``out`` pixels; where first is
    beyond last the view is mirrored."""
    scale, middle = last - first, first + last - 1
    theta = torch.zeros(len(batch), 2, 3, device=first.device)
    theta[:, 0, 0], theta[:, 0, 2] = scale[:, 1], middle[:, 1]
    theta[:, 1, 1], theta[:, 1, 2] = scale[:, 0], middle[:, 0]
    grid = F.affine_grid(theta, [len(batch), 1, *out], align_corners=False)
    values = F.grid_sample(batch.values, grid, mode="bilinear", padding_mode="border", align_corners=False)
    low, length = batch.box[:, 0], batch.box[:, 1] - batch.box[:, 0]
    return replace(batch, values=values, box=torch.stack([low + first * length, low + last * length], 1))


def _grey(x: Tensor) -> Tensor:
    return (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _turn_hue(x: Tensor, turn: Tensor) -> Tensor:
    """Turns colours about the grey axis by ``turn`` of a full circle, in the YIQ plane (linear, so it needs no branches)."""
    to = x.new_tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    y, i, q = (to @ x.flatten(2)).unbind(1)
    angle = turn.view(-1, 1) * (2 * torch.pi)
    turned = torch.stack([y, i * angle.cos() - q * angle.sin(), i * angle.sin() + q * angle.cos()], 1)
    return (torch.linalg.inv_ex(to).inverse @ turned).view_as(x).clamp(0, 1)


def _blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur, ``sigma (B, 1)`` in pixels of a picture 224 wide, so that a small picture is blurred as a scaled one would be."""
    side = x.shape[-1]
    radius = max(1, round(side * 0.05))
    reach = torch.arange(-radius, radius + 1, device=x.device)
    kernel = (-reach.square() / (2 * (sigma * side / 224).clamp_min(1e-2).square())).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(x.shape[1], 0)[:, None]
    flat = F.pad(x.flatten(0, 1)[None], (radius,) * 4, mode="reflect")
    flat = F.conv2d(flat, kernel[:, :, :, None], groups=len(kernel))
    return F.conv2d(flat, kernel[:, :, None, :], groups=len(kernel))[0].view_as(x)
