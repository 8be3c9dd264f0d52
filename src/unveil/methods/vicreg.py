"""VICReg: views agree, every dimension keeps its variance, and no two dimensions say the same."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, NotNegative, Output, Step
from unveil.parts.losses import variance_covariance
from unveil.parts.precision import wide
from unveil.parts.projector import projector


class VICReg(Method):
    """Variance-invariance-covariance regularisation (Bardes et al. 2022, arXiv 2105.04906).

    ``invariance * MSE(z1, z2) + variance * mean of both branches' hinge on the deviation + covariance * sum of both branches'
    squared covariances``.

    Args:
        encoder: what is taught and kept.
        invariance: weight of the squared distance of the two views, mean over all elements.
        variance: weight of ``relu(1 - std)``, mean over dimensions and the two branches.
        covariance: weight of the squared off-diagonal covariances over D, summed over the branches.
        hidden: width inside the expander; its hidden layers number two.
        projection: width of what the loss sees.
        area: smallest and largest share of a sample that a view covers.
        strength: of value changes.
        symmetry: views use the kind's exact symmetries.
    """

    source = "arXiv 2105.04906; facebookresearch/vicreg"
    twins = {"no variance term": dict(variance=0.0, covariance=0.0)}
    tiny = dict(hidden=64, projection=64, area=(0.5, 1.0), strength=0.5, symmetry=False)

    def __init__(self, encoder: Encoder, *, invariance: NotNegative = 25.0, variance: NotNegative = 25.0, covariance: NotNegative = 1.0,
                 hidden: Count = 8192, projection: Count = 8192, area: tuple[Fraction, Fraction] = (0.08, 1.0),
                 strength: NotNegative = 1.0, symmetry: bool = True):
        super().__init__(encoder)
        self.invariance, self.variance, self.covariance = invariance, variance, covariance
        self.area, self.strength, self.symmetry = area, strength, symmetry
        self.expand = projector(encoder.width, hidden, hidden, projection, bias=False)

    def forward(self, batch: Batch, step: Step) -> Output:
        views = step.view(batch, 2, area=self.area, strength=self.strength, symmetry=self.symmetry)
        h = self.encoder(Batch.cat(views)).pooled
        z = wide(self.expand(h))
        a, b = z.chunk(2)
        apart = F.mse_loss(a, b)
        (spread_a, cov_a), (spread_b, cov_b) = variance_covariance(a), variance_covariance(b)
        spread, cov = (spread_a + spread_b) / 2, cov_a + cov_b
        loss = self.invariance * apart + self.variance * spread + self.covariance * cov
        return Output(loss, {"invariance": apart.detach(), "variance": spread.detach(), "covariance": cov.detach()},
                      {"embedding": h.detach().unflatten(0, (2, -1)), "projection": z.detach().unflatten(0, (2, -1)),
                       "views": torch.stack([view.values for view in views])})
