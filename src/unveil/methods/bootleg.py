"""Bootleg-style: from one part of a sample, predict several hidden layers of a slow teacher in other parts."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, Output, Positive, Step
from unveil.parts.losses import latent_error
from unveil.parts.masking import multiblock
from unveil.parts.precision import wide
from unveil.parts.predictor import Predictor
from unveil.parts.schedules import linear
from unveil.parts.teacher import Teacher


class Bootleg(Method):
    """Self-distillation of hidden layers (Lowe et al. 2026, arXiv 2603.15553), as far as its abstract and first figure say.

    As I-JEPA, but one predictor, from the last layer of the encoder, says the concatenated outputs of several blocks of the
    teacher, each normalised on its own. The paper's method section was not available: masks, normalisation, layers, loss and
    schedule follow I-JEPA and are settings.

    Args:
        encoder: what is taught.
        levels: how many of the teacher's blocks are predicted, evenly spaced up to the last; 1 is the last alone.
        normalise: layer norm without parameters on each level.
        predictor_width: of the predictor's blocks.
        predictor_depth: their number.
        predictor_heads: attention heads of the predictor.
        blocks: number of target blocks, predicted separately.
        target_scale: share of the grid that a target covers.
        target_aspect: height over width of a target.
        context_scale: share of the grid that the context's block covers, before targets are cut out of it.
        min_keep: a context has more tokens than this; lower it on a small grid.
        momentum: of the teacher, at the start and at the end.
        area: share of a sample that is read, by random crop.
        target: the teacher's layers, or as control the normalised raw values of the same tokens.
        teacher: follow the encoder. As broken twin the target is the encoder itself, with gradient.
    """

    source = "arXiv 2603.15553 (abstract and figure 1); base recipe facebookresearch/ijepa"
    style = True
    needs = frozenset({"keep", "tokens", "layers"})
    twins = {"no teacher and no stop-gradient": dict(teacher=False)}
    tiny = dict(predictor_width=32, predictor_depth=1, predictor_heads=2, min_keep=1, momentum=(0.9, 1.0), area=(1.0, 1.0),
                target_scale=(0.1, 0.15))

    def __init__(self, encoder: Encoder, *, levels: Count = 4, normalise: bool = True, predictor_width: Count = 384,
                 predictor_depth: Count = 12, predictor_heads: Count = 12, blocks: Count = 4,
                 target_scale: tuple[Fraction, Fraction] = (0.15, 0.2), target_aspect: tuple[Positive, Positive] = (0.75, 1.5),
                 context_scale: tuple[Fraction, Fraction] = (0.85, 1.0), min_keep: Count = 10,
                 momentum: tuple[Fraction, Fraction] = (0.996, 1.0), area: tuple[Fraction, Fraction] = (0.3, 1.0),
                 target: Literal["layers", "values"] = "layers", teacher: bool = True):
        super().__init__(encoder)
        self.normalise, self.blocks, self.target_scale, self.target_aspect = normalise, blocks, target_scale, target_aspect
        self.context_scale, self.min_keep, self.momentum, self.area, self.target = context_scale, min_keep, momentum, area, target
        self.layers = evenly_spaced(levels, encoder.depth)
        self.teacher = Teacher(encoder) if teacher else None
        asked = len(self.layers) * encoder.width if target == "layers" else encoder.patch_values
        self.predictor = Predictor(encoder.width, asked, width=predictor_width, depth=predictor_depth, heads=predictor_heads)

    def forward(self, batch: Batch, step: Step) -> Output:
        view, = step.view(batch, area=self.area)
        tokens = self.encoder.embed(view)
        masks = multiblock(tokens.grid, step.generator("masks"), batch.keys, blocks=self.blocks, target_scale=self.target_scale,
                           target_aspect=self.target_aspect, context_scale=self.context_scale, min_keep=self.min_keep)
        whole = self.encoder.encode(tokens, layers=self.layers) if self.teacher is None else self.teacher(view, layers=self.layers)
        context = self.encoder.encode(tokens, keep=masks.context)
        answer = self.predictor(context.local, masks.context, masks.targets, tokens.grid)
        levels = whole.hidden if self.target == "layers" else [tokens.raw]
        goal = torch.cat([F.layer_norm(h, h.shape[-1:]) if self.normalise else h for h in map(wide, levels)], -1)
        loss = latent_error(answer, goal, masks.targets, tokens.valid)
        return Output(loss, shown={"embedding": whole.pooled.detach()[None], "views": view.values[None], "seen": masks.context,
                                   "asked": masks.targets})

    def after_step(self, step: Step) -> None:
        if self.teacher is not None:
            self.teacher.follow(self.encoder, linear(*self.momentum, step.progress))

    def kept(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder if self.teacher is None else self.teacher.network}


def evenly_spaced(count: int, depth: int) -> list[int]:
    """``count`` of ``depth`` layers up to the last, at equal distances: 4 of 12 are 2, 5, 8, 11."""
    count = min(count, depth)
    return [round((number + 1) * depth / count) - 1 for number in range(count)]
