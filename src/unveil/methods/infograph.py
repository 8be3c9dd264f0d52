"""InfoGraph: a graph's vector tells its own nodes from those of other graphs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Encoder, Method, NotNegative, Output, Step
from unveil.errors import Unusable
from unveil.parts.distributed import world
from unveil.parts.losses import jensen_shannon
from unveil.parts.projector import projector


class InfoGraph(Method):
    """Information shared by nodes and graphs (Sun et al. 2020, arXiv 1908.01000).

    Nodes and graphs go through a small residual network each. The Jensen-Shannon estimate of what they share is made large: dot products
    are high between a graph and its own nodes, low between it and those of the other graphs of the batch.

    Args:
        encoder: what is taught and kept.
        prior: weight of a network that tells vectors of graphs from uniform noise, trained with the rest as in the published code; 0 for
            none.
        others: tell from nodes of other graphs. Without, as broken twin, all agree.
    """

    source = "arXiv 1908.01000; sunfanyunn/InfoGraph"
    needs = frozenset({"rows"})
    twins = {"nothing to be told from": dict(others=False)}

    def __init__(self, encoder: Encoder, *, prior: NotNegative = 0.0, others: bool = True):
        super().__init__(encoder)
        self.prior, self.others = prior, others
        self.nodes, self.graphs = _Residual(encoder.width), _Residual(encoder.width)
        width = encoder.width
        self.judge = projector(width, width, width, 1, norm=False) if prior else None

    def forward(self, batch: Batch, step: Step) -> Output:
        if len(batch) * world() < 2:
            raise Unusable("one graph has nothing to be told from: give --train.batch 2 or more")
        view, = step.view(batch)
        seen = self.encoder(view)
        own, other = jensen_shannon(self.nodes(seen.local), self.graphs(seen.pooled), view.graph.sample, view.valid)
        loss = (other if self.others else 0) - own
        if self.judge is not None:
            noise = step.generator("prior").uniform(self.encoder.width, keys=batch.keys).to(seen.pooled.dtype)
            loss = loss + self.prior * (F.softplus(-self.judge(noise)) + F.softplus(self.judge(seen.pooled))).mean()
        return Output(loss, {"own": own.detach(), "other": other.detach()},
                      {"embedding": seen.pooled.detach()[None], "views": view.values[None]})


class _Residual(nn.Module):
    """Three layers with ReLU after each, and a linear way past them."""

    def __init__(self, width: int):
        super().__init__()
        self.block, self.past = projector(width, width, width, width, norm=False), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.block(x)) + self.past(x)
