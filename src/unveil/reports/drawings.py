"""Samples as drawings, each made once."""

from __future__ import annotations

from typing import Any

import torch

from unveil.data.samples import Samples
from unveil.tasks.bench import spread


class Drawings(dict):
    """Drawings by sample id, each made once.

    Args:
        kind: that draws.
    """

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def draw(self, samples: Samples, at: int) -> str:
        """Draws the sample at a position; its id."""
        name = str(int(samples.index[at]))
        if name not in self:
            self[name] = self.kind.draw(samples.batch(torch.tensor([at])).one(0))
        return name

    def also(self, samples: Samples, at: int) -> dict[str, str]:
        """Further drawings of the sample at a position, each with what it shows."""
        return self.kind.portraits(samples.batch(torch.tensor([at])).one(0))

    def told(self, samples: Samples, at: int) -> dict[str, Any]:
        """Draws the sample at a position; all that is known of it."""
        label, group = (None if column is None else int(column[at]) for column in (samples.labels, samples.groups))
        return {"id": self.draw(samples, at), "name": str(samples.name(int(samples.index[at]))), "label": label, "group": group}


def evenly(samples: Samples, most: int) -> Samples:
    """At most ``most`` samples, evenly spaced."""
    return samples.subset(spread(len(samples), most))
