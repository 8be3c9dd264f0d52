"""BYOL: from one view, predict what a slow teacher makes of another; nothing is pushed apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, NotNegative, Output, Step
from unveil.parts.precision import wide
from unveil.parts.projector import projector
from unveil.parts.schedules import cosine
from unveil.parts.teacher import Teacher


class BYOL(Method):
    """Bootstrap your own latent (Grill et al. 2020, arXiv 2006.07733).

    The online network (encoder, projector, predictor) of each view predicts the teacher's projection of the other: twice
    one minus their cosine, summed over the two directions. The teacher is a moving average of encoder and projector.

    Args:
        encoder: what is taught and kept.
        hidden: width inside projector and predictor.
        projection: width of what the loss sees.
        momentum: of the teacher, at the start and at the end, along a cosine.
        area: smallest and largest share of a sample that a view covers.
        strength: of value changes.
        symmetry: views use the kind's exact symmetries.
        predictor: predict the teacher's projection. Without, as broken twin, projections are compared directly.
        teacher: use the moving average. Without, as control, the online network with stopped gradient is the target.
    """

    source = "arXiv 2006.07733; deepmind/deepmind-research"
    twins = {"no predictor": dict(predictor=False, momentum=(0.9, 0.9))}
    tiny = dict(hidden=64, projection=32, momentum=(0.9, 1.0), area=(0.5, 1.0), strength=0.5, symmetry=False)

    def __init__(self, encoder: Encoder, *, hidden: Count = 4096, projection: Count = 256,
                 momentum: tuple[Fraction, Fraction] = (0.996, 1.0), area: tuple[Fraction, Fraction] = (0.08, 1.0),
                 strength: NotNegative = 1.0, symmetry: bool = True, predictor: bool = True, teacher: bool = True):
        super().__init__(encoder)
        self.momentum, self.area, self.strength, self.symmetry = momentum, area, strength, symmetry
        self.project = projector(encoder.width, hidden, projection)
        self.predict = projector(projection, hidden, projection) if predictor else nn.Identity()
        self.teacher = Teacher(nn.ModuleList([encoder, self.project])) if teacher else None

    def _target(self, views: Batch) -> Tensor:
        encode, project = (self.encoder, self.project) if self.teacher is None else self.teacher.network
        with torch.no_grad():
            return project(encode(views).pooled)

    def forward(self, batch: Batch, step: Step) -> Output:
        views = step.view(batch, 2, area=self.area, strength=self.strength, symmetry=self.symmetry)
        both = Batch.cat(views)
        h = self.encoder(both).pooled
        z = self.project(h)
        answer, goal = F.normalize(wide(self.predict(z)), dim=-1), F.normalize(wide(self._target(both)), dim=-1)
        other = goal.roll(len(batch), 0)
        loss = 2 * (2 - 2 * (answer * other).sum(-1)).mean()
        return Output(loss, shown={"embedding": h.detach().unflatten(0, (2, -1)), "projection": z.detach().unflatten(0, (2, -1)),
                                   "target": goal.unflatten(0, (2, -1)), "views": torch.stack([view.values for view in views])})

    def after_step(self, step: Step) -> None:
        if self.teacher is not None:
            self.teacher.follow(nn.ModuleList([self.encoder, self.project]), cosine(*self.momentum, step.progress))
