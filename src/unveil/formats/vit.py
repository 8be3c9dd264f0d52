"""What a transformer encoder must be to have a form in another library's ViT."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unveil.contracts import Encoder
from unveil.errors import Unusable
from unveil.parts.positions import sincos_grid

OUTER, INNER = ("project", "norm"), ("norm1", "norm2", "attention.qkv", "attention.out", "inner", "outer")


def plain(encoder: Encoder, library: str) -> tuple[dict[str, Tensor], Tensor | None]:
    """Weights by name, with the input map as a kernel ``(D, C, *patch)`` and without the standardisation, and the class token.

    Raises:
        Unusable: where the encoder is no plain ViT of pictures: what differs.
    """
    name = type(encoder).__name__
    if not hasattr(encoder, "positions"):
        raise Unusable(f"{name} has no form in {library}: only the transformer encoder has one")
    spec = encoder.spec
    if len(spec.shape) != 2:
        raise Unusable(f"samples with axes {', '.join(spec.axes)} have no form in the ViT of {library}: it reads pictures")
    if encoder.positions != "sincos" or encoder.frame != "view":
        raise Unusable(f"--encoder.positions {encoder.positions} with --encoder.frame {encoder.frame} has no form in "
                       f"the ViT of {library}: it adds one vector to each place of the view (sincos, view)")
    left = {key: x.detach() for key, x in encoder.state_dict().items() if not key.startswith("standardise.")}
    token, known = left.pop("class_token", None), names(encoder.depth)
    if set(known) != left.keys():
        odd = ", ".join(sorted(set(known) ^ left.keys()))
        raise Unusable(f"{name} has weights that have no place in the ViT of {library}: {odd}")
    left["project.weight"] = left["project.weight"].view(encoder.width, spec.channels, *encoder.patch)
    return {key: left[key].clone() for key in known}, token


def names(depth: int) -> list[str]:
    """Of every weight but the class token."""
    stems = [*OUTER, *(f"blocks.{number}.{part}" for number in range(depth) for part in INNER)]
    return [f"{stem}.{kind}" for stem in stems for kind in ("weight", "bias")]


def table(shape: tuple[int, ...], patch: tuple[int, ...], width: int, token: bool = False) -> Tensor:
    """The vectors that are added ``(N, width)``; before them, for a class token, one of zeros."""
    places = sincos_grid(tuple(size // side for size, side in zip(shape, patch)), width, torch.device("cpu"))
    return torch.cat([places.new_zeros(1, width), places]) if token else places.clone()


def mlp_ratio(width: int, inner: int) -> float:
    """The ratio that gives ``inner`` back as ``int(width * ratio)``, which rounding can miss by one."""
    return inner / width if int(width * (inner / width)) == inner else math.nextafter(inner / width, math.inf)
