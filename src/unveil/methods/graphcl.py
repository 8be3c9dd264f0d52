"""GraphCL: a graph agrees with a changed copy of itself, and not with changed copies of others."""

from __future__ import annotations

from typing import Literal

import torch

from unveil.contracts import Batch, Encoder, Method, Output, Positive, Step
from unveil.errors import Unusable
from unveil.parts.distributed import world
from unveil.parts.losses import contrast
from unveil.parts.projector import projector
from unveil.parts.ragged import chosen

Change = Literal["nodes", "subgraph", "noise"]
ASKED = {"nodes": dict(area=(0.9, 0.9)), "subgraph": dict(area=(0.2, 0.2)), "noise": dict(strength=1.0)}


class GraphCL(Method):
    """Graph contrastive learning (You et al. 2020, arXiv 2010.13902).

    Each graph as it is goes with one changed copy of itself, and is told from those of the other graphs of the batch: one direction, and
    the partner is not among what it is told from, as in the published code. How a graph is changed is drawn anew each time.

    Args:
        encoder: what is taught and kept.
        temperature: of the cosines.
        changes: of these, one is drawn: a tenth of the nodes dropped, a connected fifth of them kept, or the kind's usual noise (for
            graphs a tenth of the edges dropped and a tenth of the nodes with random features, which the published code draws apart).
        partner: its own changed copy. As broken twin the next graph's, with which it has nothing in common.
    """

    source = "arXiv 2010.13902; Shen-Lab/GraphCL"
    needs = frozenset({"rows"})
    twins = {"the partner is of another graph": dict(partner="another")}
    tiny = dict(changes=("nodes", "noise"))  # a fifth of a dozen nodes is two, which say little of a graph

    def __init__(self, encoder: Encoder, *, temperature: Positive = 0.2, changes: tuple[Change, ...] = ("nodes", "subgraph", "noise"),
                 partner: Literal["own", "another"] = "own"):
        super().__init__(encoder)
        if not changes:
            raise ValueError("changes is empty: name at least one of nodes, subgraph and noise")
        self.temperature, self.changes, self.partner = temperature, changes, partner
        self.project = projector(encoder.width, encoder.width, encoder.width, norm=False)

    def forward(self, batch: Batch, step: Step) -> Output:
        if len(batch) * world() < 2:
            raise Unusable("one graph has nothing to be told from: give --train.batch 2 or more")
        whole, = step.view(batch)
        views = [step.view(batch, **ASKED[change])[0] for change in self.changes]
        changed = chosen(views, step.generator("changes").integers(0, len(views), keys=batch.keys))
        h = self.encoder(Batch.cat([whole, changed])).pooled
        z, other = self.project(h).chunk(2)
        loss = contrast(z, other if self.partner == "own" else other.roll(1, 0), self.temperature)
        both = torch.stack([z, other]).detach()
        return Output(loss, shown={"embedding": h.detach().unflatten(0, (2, -1)), "projection": both,
                                   "views": torch.stack([whole.values, changed.values])})
