"""Graph-JEPA: from one patch of a graph, predict what a slow teacher says of other patches, or where on a hyperbola it puts them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Fraction, Method, Output, Step
from unveil.parts.losses import mean_over
from unveil.parts.precision import wide
from unveil.parts.projector import projector
from unveil.parts.ragged import random_rows
from unveil.parts.schedules import linear
from unveil.parts.teacher import Teacher
from unveil.tokens import Graph


class GraphJEPA(Method):
    """Graph joint-embedding predictive architecture (Skenderi et al. 2023, arXiv 2309.16014), after its idea.

    Patches are the coarsest nodes of the hierarchy. One of each graph, the context, goes through the attention of the encoder alone. From
    it and the random-walk code of another, a small network says two numbers: a point of the unit hyperbola, ``(cosh m, sinh m)``, where
    m is the mean of what the teacher, a moving average of the encoder, has at that patch when it attends to the targets, whose codes it is
    not given, as the predictor is. The error is smooth L1. The teacher is kept.

    One number a patch teaches little: on the planted graphs it does not beat the untaught encoder in as many steps as the teacher's whole
    vector does, which the small recipe therefore asks for.

    Where it differs from the published code: patches come from the kind's coarsening instead of METIS with one hop around, are the same in
    every epoch, and are sums over their nodes, not means; their codes are of walks between patches, not of walks between nodes; the
    teacher follows the whole encoder, its layers of messages included, not the attention alone, and its attention is of the plain kind,
    not weighed by which patches touch.

    Args:
        encoder: what is taught.
        targets: patches that are asked for; fewer where a graph has fewer.
        hidden: width inside the predictor.
        momentum: of the teacher, at the start and at the end.
        target: a point of the hyperbola, as published, or the teacher's vector after a layer norm without parameters.
        teacher: follow the encoder. As broken twin the target is the encoder itself, with gradient.
    """

    source = "arXiv 2309.16014; geriskenderi/graph-jepa"
    style = True
    needs = frozenset({"rows", "hierarchy"})
    twins = {"no teacher and no stop-gradient": dict(teacher=False)}
    tiny = dict(targets=3, hidden=32, momentum=(0.99, 1.0), target="features")

    def __init__(self, encoder: Encoder, *, targets: Count = 2, hidden: Count = 512, momentum: tuple[Fraction, Fraction] = (0.996, 1.0),
                 target: Literal["hyperbola", "features"] = "hyperbola", teacher: bool = True):
        super().__init__(encoder)
        if not encoder.spec.code_channels:
            raise ValueError("the coarse nodes have no random-walk code, which says what patch is asked for")
        self.targets, self.momentum, self.target = targets, momentum, target
        self.place = nn.Linear(encoder.spec.code_channels, encoder.width)
        self.predict = projector(encoder.width, hidden, hidden, 2 if target == "hyperbola" else encoder.width, norm=False)
        self.teacher = Teacher(encoder) if teacher else None

    def _patches(self, network: Encoder, batch: Batch, shown: Tensor) -> Features:
        """What a network says of the patches while it attends to those that are ``shown``, and of whole graphs as ``pooled``."""
        top = torch.zeros_like(batch.graph.sample, dtype=torch.bool)
        seen = network.encode(network.embed(batch), hide=[top] * len(_levels(batch)) + [~shown])
        return replace(seen.levels[-1], pooled=seen.pooled)

    def forward(self, batch: Batch, step: Step) -> Output:
        batch, = step.view(batch)
        graph, draw = batch.graph, step.generator("patches")
        there = batch.there
        for level in _levels(batch):
            above = torch.zeros_like(level.coarser.sample).index_add_(0, level.parent, there.long())
            graph, there = level.coarser, above > 0
        one = torch.ones(graph.count, dtype=torch.long, device=there.device)
        context = random_rows(there, one, graph, draw, batch.keys)
        asked = random_rows(there & ~context, self.targets * one, graph, draw, batch.keys)
        seen, bare = self._patches(self.encoder, batch, context), replace(batch, graph=_without_codes(batch.graph))
        if self.teacher is None:
            goal = self._patches(self.encoder, bare, asked)
        else:
            with torch.no_grad():
                goal = self._patches(self.teacher.network, bare, asked)
        start = seen.local.new_zeros(graph.count, seen.local.shape[1]).index_add(0, graph.sample, seen.local * context[:, None])
        answer = wide(self.predict(start[graph.sample] + self.place(graph.code.to(start.dtype))))
        if self.target == "hyperbola":
            middle = wide(goal.local).mean(1, keepdim=True)
            aim = torch.cat([middle.cosh(), middle.sinh()], 1)
        else:
            aim = F.layer_norm(wide(goal.local), goal.local.shape[-1:])
        loss = mean_over(F.smooth_l1_loss(answer, aim, reduction="none").mean(1), asked)
        return Output(loss, shown={"embedding": goal.pooled.detach()[None], "views": batch.values[None]})

    def after_step(self, step: Step) -> None:
        if self.teacher is not None:
            self.teacher.follow(self.encoder, linear(*self.momentum, step.progress))

    def kept(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder if self.teacher is None else self.teacher.network}


def _without_codes(graph: Graph) -> Graph:
    """The same levels, of which nothing says where a row stands."""
    return replace(graph, code=None, coarser=graph.coarser and _without_codes(graph.coarser))


def _levels(batch: Batch) -> list:
    """The graphs below the coarsest, finest first."""
    levels, graph = [], batch.graph
    while graph.coarser is not None:
        levels.append(graph)
        graph = graph.coarser
    return levels
