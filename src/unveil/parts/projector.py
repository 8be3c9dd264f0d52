"""The small network between features and loss."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from unveil.parts.norms import BatchNorm


def projector(*widths: int, norm: bool = True, last_norm: bool = False, bias: bool = True) -> nn.Sequential:
    """Linear layers through ``widths`` with batch normalisation and ReLU between them.

    Args:
        *widths: input, hidden and output widths.
        norm: batch normalisation after hidden layers.
        last_norm: batch normalisation without scale and shift after the last layer.
        bias: of the last layer; layers before a normalisation need none.
    """
    layers: list[nn.Module] = []
    for number, (a, b) in enumerate(pairwise(widths), start=1):
        last = number == len(widths) - 1
        layers.append(nn.Linear(a, b, bias=(bias and not last_norm) if last else not norm))
        if not last:
            layers += [BatchNorm(b)] * norm + [nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *[BatchNorm(widths[-1], affine=False)] * last_norm)
