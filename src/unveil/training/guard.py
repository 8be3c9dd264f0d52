"""Notices numbers that are no longer finite, without making a step wait for the device."""

from __future__ import annotations

import torch
from torch import Tensor

from unveil.contracts import Method
from unveil.parts.distributed import gather, held


class Guard:
    """Remembers, on the device, the first step whose loss was no finite number. It is read where figures are read anyway.

    Args:
        device: of the losses.
    """

    def __init__(self, device: torch.device):
        self.first = torch.zeros((), dtype=torch.int64, device=device)

    def see(self, done: int, loss: Tensor) -> None:
        """Takes the loss, or a part of it, of the step that is ``done``-th."""
        self.first = torch.where((self.first == 0) & ~loss.detach().isfinite(), done, self.first)

    def broken(self) -> int | None:
        """The first such step of any process, known to all of them; None where there was none."""
        return min((step for step in gather(self.first[None]).tolist() if step), default=None)


def spoilt(method: Method, optimiser: torch.optim.Optimizer) -> str | None:
    """What is no longer finite in weights, buffers and the optimiser's state; None where all is.

    A gradient too large to be squared leaves weights finite and an optimiser that never moves them again, so both are looked at.
    """
    for name, x in method.state_dict().items():
        if not held(x).isfinite().all():
            return f"the weights {name}"
    for number, state in optimiser.state_dict()["state"].items():
        for name, x in state.items():
            if isinstance(x, Tensor) and not held(x).isfinite().all():
                return f"the optimiser's {name} of weight {number}"
    return None
