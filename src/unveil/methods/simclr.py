"""SimCLR: views of one sample agree, views of different samples do not."""

from __future__ import annotations

import torch

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, NotNegative, Output, Positive, Step
from unveil.parts.losses import infonce
from unveil.parts.projector import projector


class SimCLR(Method):
    """A simple framework for contrastive learning (Chen et al. 2020, arXiv 2002.05709).

    Two random views of each sample go through the encoder and a small projector; NT-Xent asks each view to find its
    partner among all 2B - 1 other views.

    Args:
        encoder: what is taught and kept.
        temperature: t of NT-Xent; 0.1 on ImageNet, 0.5 on CIFAR.
        hidden: width inside the projector.
        projection: width of what the loss sees.
        area: smallest and largest share of a sample that a view covers.
        strength: of value changes; the published colour jitter is twice the usual.
        symmetry: views use the kind's exact symmetries.
    """

    source = "arXiv 2002.05709; google-research/simclr"
    twins = {"views that are equal": dict(area=(1.0, 1.0), strength=0.0, symmetry=False)}
    tiny = dict(hidden=64, projection=32, temperature=0.2, area=(0.5, 1.0), strength=0.5, symmetry=False)

    def __init__(self, encoder: Encoder, *, temperature: Positive = 0.1, hidden: Count = 2048, projection: Count = 128,
                 area: tuple[Fraction, Fraction] = (0.08, 1.0), strength: NotNegative = 2.0, symmetry: bool = True):
        super().__init__(encoder)
        self.temperature, self.area, self.strength, self.symmetry = temperature, area, strength, symmetry
        self.project = projector(encoder.width, hidden, projection, bias=False)

    def forward(self, batch: Batch, step: Step) -> Output:
        views = step.view(batch, 2, area=self.area, strength=self.strength, symmetry=self.symmetry)
        h = self.encoder(Batch.cat(views)).pooled
        z = self.project(h)
        loss = infonce(*z.chunk(2), self.temperature)
        return Output(loss, shown={"embedding": h.detach().unflatten(0, (2, -1)), "projection": z.detach().unflatten(0, (2, -1)),
                                   "views": torch.stack([view.values for view in views])})
