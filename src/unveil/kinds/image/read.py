"""Arrays of any layout and number type as pictures of one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.data.records import Records, Unreadable, scaled
from unveil.data.samples import Samples
from unveil.errors import Unusable


def hwc(array: np.ndarray, layout: str | None) -> np.ndarray:
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


def narrow(array: np.ndarray) -> np.ndarray:
    """Wide integers as 8 or 16 bits where these hold them all: the greatest value of the type stands for full brightness."""
    if array.dtype.kind in "ui" and array.dtype.itemsize > 2 and array.min() >= 0:
        return array.astype(next((small for small in (np.uint8, np.uint16) if array.max() <= np.iinfo(small).max), array.dtype))
    return array


def places(records: Records, given: tuple[int, int] | None, size: int) -> np.ndarray | None:
    """Class numbers of pixels ``(n, size, size)``, scaled and cut as the pictures of ``given`` height and width are; None without.

    Raises:
        Unusable: where they have not the pictures' shape.
    """
    if records.dense is None:
        return None
    if records.dense.shape[1:] != given:
        raise Unusable(f"dense holds labels of {'x'.join(map(str, records.dense.shape[1:]))} places, the pictures are "
                       f"{'x'.join(map(str, given))}: give one label a pixel")
    to = scaled(given, size)
    rows, columns = (((np.arange(size) + (full - size) // 2 + 0.5) * side / full).astype(int) for full, side in zip(to, given, strict=True))
    return records.dense[:, rows][:, :, columns]


def finite(samples: Samples, values: Tensor) -> Samples:
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


def fitted(picture: np.ndarray, size: int, channels: int, convert: bool, smallest: int) -> np.ndarray:
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
        if picture.shape[2] > 4:
            raise Unreadable(f"has {picture.shape[2]} channels, which are no colours: they are not converted to {channels}")
        colour = picture[..., :3] if picture.shape[2] >= 3 else picture[..., :1].repeat(3, -1)
        picture = colour if channels == 3 else (colour @ np.array([0.299, 0.587, 0.114])).astype(picture.dtype)[..., None]
    to = scaled(picture.shape[:2], size)
    cut = slice((to[0] - size) // 2, (to[0] + size) // 2), slice((to[1] - size) // 2, (to[1] + size) // 2)
    if picture.dtype == np.uint8 and to == picture.shape[:2]:
        return np.ascontiguousarray(np.moveaxis(picture[cut], -1, 0))
    scale = np.iinfo(picture.dtype).max if picture.dtype.kind in "ui" else 1
    x = torch.from_numpy(np.moveaxis(picture, -1, 0).astype(np.float32) / scale)[None]
    x = x if to == picture.shape[:2] else F.interpolate(x, to, mode="bilinear", antialias=True)
    x = x[0][(slice(None), *cut)]
    return (x * 255).round().clamp(0, 255).to(torch.uint8).numpy() if picture.dtype == np.uint8 else x.numpy()
