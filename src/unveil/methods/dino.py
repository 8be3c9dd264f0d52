"""DINO: every view of a sample is given the class that a slow teacher gives to its large views."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, NotNegative, Output, Positive, Step
from unveil.parts.distributed import global_sum, world
from unveil.parts.losses import centred_cross_entropy
from unveil.parts.precision import full_precision
from unveil.parts.schedules import cosine, linear
from unveil.parts.teacher import Teacher


class Head(nn.Module):
    """Three layers to a narrow bottleneck, then cosines with prototypes of unit length (weight normalisation, gain 1).

    Weights start at the published 0.02 where a layer has 384 inputs (ViT-S) or more, and at the same gain where it has
    fewer: three narrow layers at 0.02 end in a vector so small that its direction jumps at every update.
    """

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(),
                                    nn.Linear(hidden, bottleneck))
        self.prototypes = nn.Linear(bottleneck, prototypes, bias=False)
        for layer in self.layers[::2]:
            nn.init.trunc_normal_(layer.weight, std=0.02 * max(1.0, 384 / layer.in_features) ** 0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, moving: float = 1.0) -> tuple[Tensor, Tensor]:
        """Bottleneck ``(B, K)`` and logits ``(B, prototypes)``; ``moving`` scales the gradient of the prototypes."""
        weight = self.prototypes.weight
        return cosines(self.layers(x), moving * weight + (1.0 - moving) * weight.detach())


@full_precision
def cosines(x: Tensor, prototypes: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors of ``x (B, D)`` and their cosines ``(B, K)`` with ``prototypes (K, D)``."""
    z = F.normalize(x, dim=-1)
    return z, z @ F.normalize(prototypes, dim=-1).T


class DINO(Method):
    """Self-distillation with no labels (Caron et al. 2021, arXiv 2104.14294).

    Student classes of every view are drawn to the teacher's classes of each global view but the same one. The teacher is a
    moving average; its logits are centred on their running mean and sharpened, which together keep it from collapse.

    Args:
        encoder: what is taught.
        global_views: large views; the teacher sees these alone.
        local_views: small views.
        global_area: share of a sample that a global view covers.
        local_area: share that a local view covers.
        local_size: side of a local view over that of a global one.
        strength: of value changes.
        symmetry: views use the kind's exact symmetries.
        hidden: width inside the head.
        bottleneck: width before the prototypes.
        prototypes: K, number of classes.
        student_temperature: of the student's softmax.
        teacher_temperature: of the teacher's, at the start and after its warm-up.
        temperature_warmup: share of the run over which the teacher's temperature rises.
        centre: momentum of the running mean of the teacher's logits. As broken twin 1 leaves it at zero.
        momentum: of the teacher, at the start and at the end, along a cosine.
        frozen_prototypes: share of the run at its start in which prototypes do not move.
    """

    source = "arXiv 2104.14294; facebookresearch/dino"
    twins = {"neither centred nor sharpened": dict(centre=1.0, teacher_temperature=(1.0, 1.0))}
    tiny = dict(hidden=64, bottleneck=32, prototypes=16, local_views=0, teacher_temperature=(0.07, 0.07), momentum=(0.9, 1.0),
                global_area=(0.8, 1.0), strength=0.2, symmetry=False)

    def __init__(self, encoder: Encoder, *, global_views: Count = 2, local_views: NotNegative = 8,
                 global_area: tuple[Fraction, Fraction] = (0.4, 1.0), local_area: tuple[Fraction, Fraction] = (0.05, 0.4),
                 local_size: Fraction = 0.4286, strength: NotNegative = 1.0, symmetry: bool = True, hidden: Count = 2048,
                 bottleneck: Count = 256, prototypes: Count = 65536, student_temperature: Positive = 0.1,
                 teacher_temperature: tuple[Positive, Positive] = (0.04, 0.07), temperature_warmup: Fraction = 0.3,
                 centre: Fraction = 0.9, momentum: tuple[Fraction, Fraction] = (0.996, 1.0), frozen_prototypes: Fraction = 0.01):
        super().__init__(encoder)
        self.global_views, self.local_views = global_views, int(local_views)
        self.global_area, self.local_area, self.local_size = global_area, local_area, local_size
        self.strength, self.symmetry = strength, symmetry
        self.student_temperature, self.teacher_temperature = student_temperature, teacher_temperature
        self.temperature_warmup, self.centre, self.momentum, self.frozen = temperature_warmup, centre, momentum, frozen_prototypes
        self.head = Head(encoder.width, hidden, bottleneck, prototypes)
        self.teacher = Teacher(nn.ModuleList([encoder, self.head]))
        self.register_buffer("mean_logits", torch.zeros(prototypes))

    def _views(self, batch: Batch, step: Step) -> list[Batch]:
        """Global views in one batch and, where there are any, local views in another."""
        changes = dict(strength=self.strength, symmetry=self.symmetry)
        groups = [Batch.cat(step.view(batch, self.global_views, area=self.global_area, **changes))]
        if self.local_views:
            groups.append(Batch.cat(step.view(batch, self.local_views, area=self.local_area, size=self.local_size, **changes)))
        return groups

    @torch.no_grad()
    def _goal(self, views: Batch, step: Step) -> Tensor:
        """The teacher's classes of the global views ``(views, B, K)``, by the running mean before this batch."""
        encode, head = self.teacher.network
        _, logits = head(encode(views).pooled)
        warm = min(1.0, step.progress / max(self.temperature_warmup, 1e-9))
        goal = ((logits - self.mean_logits) / linear(*self.teacher_temperature, warm)).softmax(-1)
        self.mean_logits.lerp_(global_sum(logits.mean(0)) / world(), 1 - self.centre)
        return goal.unflatten(0, (self.global_views, -1))

    def forward(self, batch: Batch, step: Step) -> Output:
        groups = self._views(batch, step)
        h = torch.cat([self.encoder(group).pooled for group in groups])
        z, logits = self.head(h, moving=float(step.progress >= self.frozen))
        goal, logits = self._goal(groups[0], step), logits.unflatten(0, (-1, len(batch)))
        terms = [centred_cross_entropy(logits[s], goal[t], self.student_temperature)
                 for t in range(self.global_views) for s in range(len(logits)) if s != t]
        entropy = -(goal * goal.clamp_min(1e-12).log()).sum(-1).mean()
        views = groups[0].values.unflatten(0, (self.global_views, -1))
        shown = {name: x.detach().unflatten(0, (-1, len(batch)))[:self.global_views] for name, x in (("embedding", h), ("projection", z))}
        return Output(torch.stack(terms).mean(), {"teacher_entropy": entropy}, shown | {"target": goal, "views": views})

    def after_step(self, step: Step) -> None:
        self.teacher.follow(nn.ModuleList([self.encoder, self.head]), cosine(*self.momentum, step.progress))

    def kept(self) -> dict[str, nn.Module]:
        return {"encoder": self.teacher.network[0]}
