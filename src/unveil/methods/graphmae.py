"""GraphMAE: hide the features of some nodes, and reconstruct them from the graph around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import nn

from unveil.contracts import Batch, Encoder, Fraction, Method, Output, Range, Step
from unveil.parts.losses import scaled_cosine
from unveil.parts.message import Form, Message, Paths
from unveil.parts.ragged import random_row, random_share


class GraphMAE(Method):
    """Masked graph autoencoder (Hou et al. 2022, arXiv 2205.10803).

    Of each graph a random share of the nodes gets a learned token in place of its features, and a share of these the features of a
    random node of the same graph. What the encoder says of hidden nodes is hidden again before one layer of messages decodes, so that
    they are reconstructed from their neighbours. The error is a power of one less the cosine.

    Shares are taken graph by graph, not of the whole batch, so that a graph is masked alike in any batch.

    Args:
        encoder: what is taught and kept.
        ratio: share of the nodes that are hidden.
        replaced: of these, the share that gets another node's features instead of the token.
        power: of the error.
        remask: hide the codes of hidden nodes before decoding.
        decoder: its layer of messages.
        asked: the hidden nodes, or as control the seen ones, which need only be copied.
        aim: a node's own features. As broken twin those of a node of another graph of the batch, of which nothing here tells.
    """

    source = "arXiv 2205.10803; THUDM/GraphMAE"
    needs = frozenset({"rows", "edges"})
    twins = {"the aim is of another graph": dict(aim="another")}

    def __init__(self, encoder: Encoder, *, ratio: Fraction = 0.5, replaced: Fraction = 0.0, power: Annotated[float, Range(1)] = 1.0,
                 remask: bool = True, decoder: Form = "gin", asked: Literal["hidden", "seen"] = "hidden",
                 aim: Literal["own", "another"] = "own"):
        super().__init__(encoder)
        if "hierarchy" in encoder.supports:
            raise ValueError("it teaches nodes, so that coarser levels would stay as they are: use hi-gmae, or the encoder gin")
        self.ratio, self.replaced, self.power, self.remask, self.asked, self.aim = ratio, replaced, power, remask, asked, aim
        self.mask_token = nn.Parameter(torch.zeros(encoder.spec.channels))
        self.between = nn.Linear(encoder.width, encoder.width, bias=False)
        self.decode = Message(decoder, encoder.width, encoder.spec.channels, edge_channels=encoder.spec.edge_channels, closing=False)

    def forward(self, batch: Batch, step: Step) -> Output:
        batch, = step.view(batch)
        graph, draw = batch.graph, step.generator("masks")
        there = batch.there
        hidden = random_share(there, self.ratio, graph, draw, batch.keys)
        noisy = random_share(hidden, self.replaced, graph, draw, batch.keys)
        x = torch.where(hidden[:, None], self.mask_token, batch.values)
        x = torch.where(noisy[:, None], batch.values[random_row(there, graph, draw, batch.keys)], x)
        seen = self.encoder(replace(batch, values=x))
        code = self.between(seen.local)
        if self.remask:
            code = code * ~hidden[:, None]
        answer = self.decode(code, Paths.of(graph, batch.valid))
        asked = hidden if self.asked == "hidden" else there & ~hidden
        goal = batch.values if self.aim == "own" else batch.values.roll(len(batch.values) // 2, 0)
        loss = scaled_cosine(answer, goal, self.power, asked)
        return Output(loss, shown={"embedding": seen.pooled.detach()[None], "views": batch.values[None], "hidden": hidden})
