"""Small encoders as a user has them."""

from __future__ import annotations

from unveil.contracts import Spec
from unveil.kinds.image import Image
from unveil.kinds.signal import Signal
from unveil.randomness import Generator
from unveil.recipes.recipe import build_encoder

SPECS = {"line": Spec(3, (32,), ("t",), (0.02,), "s", (0.1, -0.2, 9.8), (1.0, 2.0, 0.5)),
         "colour": Spec(3, (16, 16), ("y", "x"), (1.0, 1.0), "px", (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)),
         "grey": Spec(1, (16, 16), ("y", "x"), (1.0, 1.0), "px", (0.3,), (0.3,)),
         "block": Spec(1, (8, 8, 8), ("z", "y", "x"), (1.0, 1.0, 2.0), "mm", (0.0,), (1.0,))}
SMALL = {"transformer": dict(patch=4, width=24, depth=2, heads=2), "conv": dict(width=16, stages=2)}


def made(name: str, spec: str = "colour", **settings):
    """An encoder with weights that make a difference everywhere, and the kind that reads its data."""
    held = build_encoder({"name": name, **SMALL.get(name, {}), **settings}, SPECS[spec], 0).eval()
    for number, p in enumerate(held.parameters()):
        p.data = p.data + Generator("weights", number).normal(*p.shape).view(p.shape) * 0.1
    held.kind = Signal(window=32) if spec == "line" else Image(size=16, channels=SPECS[spec].channels)
    return held
