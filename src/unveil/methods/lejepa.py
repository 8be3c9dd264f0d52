"""LeJEPA: views agree on an embedding that is held to be an isotropic Gaussian, and nothing else."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, NotNegative, Output, Positive, Step
from unveil.parts.losses import sigreg
from unveil.parts.precision import wide
from unveil.parts.projector import projector


class LeJEPA(Method):
    """Joint-embedding prediction with sketched isotropic Gaussian regularisation (Balestriero and LeCun 2025, arXiv 2511.08544).

    Every view is drawn to the mean of the global views, with gradient through the mean; SIGReg tests, view by view, whether
    the batch of projections is a standard normal along random directions, new at every step. No teacher, no stop-gradient, no
    predictor: ``(1 - weight) * invariance + weight * SIGReg``, both means over all elements.

    Args:
        encoder: what is taught and kept.
        weight: lambda. The balance goes with lambda times batch size.
        global_views: large views, whose mean is the target.
        local_views: small views.
        global_area: share of a sample that a global view covers.
        local_area: share that a local view covers.
        local_size: side of a local view over that of a global one.
        strength: of value changes.
        symmetry: views use the kind's exact symmetries.
        hidden: width inside the projector; its hidden layers number two.
        projection: width K of what the loss sees.
        slices: M, number of random directions.
        knots: points of the quadrature on [0, limit].
        limit: end of the integral.
        form: ``"paper"`` as above; ``"pooled"`` adds lambda times one test of all views together to the invariance.
    """

    source = "arXiv 2511.08544; rbalestr-lab/lejepa"
    twins = {"no SIGReg": dict(weight=0.0)}
    tiny = dict(hidden=64, projection=16, slices=64, local_views=0, global_area=(0.5, 1.0), strength=0.5, symmetry=False)
    per_batch = {"weight": 128}

    def __init__(self, encoder: Encoder, *, weight: Fraction = 0.05, global_views: Count = 2, local_views: NotNegative = 8,
                 global_area: tuple[Fraction, Fraction] = (0.3, 1.0), local_area: tuple[Fraction, Fraction] = (0.05, 0.3),
                 local_size: Fraction = 0.4375, strength: NotNegative = 1.0, symmetry: bool = True, hidden: Count = 2048,
                 projection: Count = 64, slices: Count = 1024, knots: Count = 17, limit: Positive = 3.0,
                 form: Literal["paper", "pooled"] = "paper"):
        super().__init__(encoder)
        self.weight, self.global_views, self.local_views = weight, global_views, int(local_views)
        self.global_area, self.local_area, self.local_size = global_area, local_area, local_size
        self.strength, self.symmetry, self.slices, self.knots, self.limit, self.form = strength, symmetry, slices, knots, limit, form
        self.projection = projection
        self.project = projector(encoder.width, hidden, hidden, projection)

    def forward(self, batch: Batch, step: Step) -> Output:
        changes = dict(strength=self.strength, symmetry=self.symmetry)
        views = step.view(batch, self.global_views, area=self.global_area, **changes)
        groups = [Batch.cat(views)]
        if self.local_views:
            groups.append(Batch.cat(step.view(batch, self.local_views, area=self.local_area, size=self.local_size, **changes)))
        h = torch.cat([self.encoder(group).pooled for group in groups])
        z = wide(self.project(h)).unflatten(0, (-1, len(batch)))
        invariance, gaussian = self._terms(z, step)
        share = 1.0 if self.form == "pooled" else 1.0 - self.weight
        loss = share * invariance + self.weight * gaussian
        return Output(loss, {"invariance": invariance.detach(), "sigreg": gaussian.detach()},
                      {"embedding": h.detach().unflatten(0, (-1, len(batch)))[:self.global_views],
                       "projection": z.detach()[:self.global_views], "views": torch.stack([view.values for view in views])})

    def _terms(self, z: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Invariance and SIGReg of projections ``z (views, B, K)``."""
        invariance = (z[:self.global_views].mean(0) - z).square().mean()
        directions = step.generator("slices").normal(self.projection, self.slices)
        tested = z.flatten(0, 1) if self.form == "pooled" else z
        return invariance, sigreg(tested, directions, knots=self.knots, limit=self.limit)
