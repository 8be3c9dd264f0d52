"""What another program must do to a sample before the encoder can take it."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor

from unveil.contracts import Encoder


def reading(encoder: Encoder) -> dict[str, Any]:
    """Shape, axes, units, range and order of channels of the input ``values``, and in words how the kind reads a sample.

    ``range`` is None where the data's own units are taken as they are.
    """
    spec, kind = encoder.spec, encoder.kind
    words = inspect.getdoc(type(kind)).partition("\nArgs:")[0].split("\n\n")
    order = {1: "grey", 3: "RGB"}.get(spec.channels) if kind.pictorial else None
    shape = ["rows", spec.channels] if spec.packed else ["batch", spec.channels, *spec.shape]
    axes = ["row of all samples", "channel"] if spec.packed else ["batch", "channel", *spec.axes]
    return {"name": "values", "dtype": "float32", "shape": shape, "axes": axes,
            "spacing": list(spec.spacing), "unit": spec.unit, "range": [0.0, 1.0] if in_share(encoder) else None,
            "channels": order or "as in the data it was taught on", "kind": kind.name,
            "read": " ".join(" ".join(words).split()), "missing": "a value that is missing is given as its channel's mean",
            "mean": list(spec.mean), "std": list(spec.std)}


def in_share(encoder: Encoder) -> bool:
    """Whether values are pictures as shares of full brightness, which 8-bit pictures over 255 are."""
    return encoder.kind.pictorial and all(0 <= mean <= 1 for mean in encoder.spec.mean)


def eight_bit(encoder: Encoder) -> bool:
    """Whether other libraries' ways of reading pictures serve: 8 bits, grey or RGB."""
    return in_share(encoder) and encoder.spec.channels in (1, 3)


def pictures(values: Tensor) -> list:
    """``(B, C, H, W)`` in [0, 1] as 8-bit pictures, grey or RGB."""
    from PIL import Image
    arrays = (values * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(each[..., 0] if each.shape[-1] == 1 else each) for each in arrays]
