"""Hi-GMAE: hide whole parts of a graph at every level of its hierarchy, and reconstruct the features of its nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, NotNegative, Output, Range, Step
from unveil.parts.losses import scaled_cosine
from unveil.parts.message import Form, Message, Paths
from unveil.parts.ragged import random_row, random_share
from unveil.parts.schedules import recovered
from unveil.randomness import Generator
from unveil.tokens import Graph


class HiGMAE(Method):
    """Hierarchical graph masked autoencoder (Liu et al. 2024, arXiv 2405.10642).

    What is hidden is drawn at the coarsest level and copied down, so that whole parts of a graph are gone at all levels. Early on, a
    shrinking random share of what is hidden at finer levels is shown again. A mirrored decoder goes down the levels, one layer of messages
    each, and at each is given what the encoder says there of nodes that are not hidden. The error is a power of one less the cosine between
    features of hidden nodes and the answer, at the finest level.

    Shares are taken graph by graph, not of the whole batch, so that a graph is masked alike in any batch; features of other nodes come
    from the same graph.

    Args:
        encoder: what is taught and kept.
        ratio: share of the coarsest nodes that are hidden.
        replaced: of these, the share whose nodes get features of other nodes instead of the token.
        recovery: how the share that is shown again shrinks: in a line, as the text says, or compounded over epochs, as the code does.
        shown_again: that share at the start.
        until: share of the run after which nothing is shown again.
        gamma: power of the decay.
        epochs: of compounded recovery, until it ends.
        power: of the error.
        decoder: its layers of messages.
        masks: drawn at the coarsest level and copied down, or as control at every level by itself.
        asked: the hidden nodes, or as control the seen ones, which need only be copied.
        aim: a node's own features. As broken twin those of a node of another graph of the batch, of which nothing here tells.
    """

    source = "arXiv 2405.10642; LiuChuang0059/Hi-GMAE"
    needs = frozenset({"rows", "edges", "hierarchy"})
    twins = {"the aim is of another graph": dict(aim="another")}
    tiny = dict(shown_again=0.0)  # the task grows harder while recovery lasts, which in a run of seconds reads as a loss that does not fall

    def __init__(self, encoder: Encoder, *, ratio: Fraction = 0.6, replaced: Fraction = 0.05,
                 recovery: Literal["linear", "compounded"] = "linear", shown_again: Fraction = 0.8, until: Fraction = 0.25,
                 gamma: NotNegative = 1.0, epochs: Count = 25, power: Annotated[float, Range(1)] = 1.0, decoder: Form = "gin",
                 masks: Literal["coarse-to-fine", "independent"] = "coarse-to-fine", asked: Literal["hidden", "seen"] = "hidden",
                 aim: Literal["own", "another"] = "own"):
        super().__init__(encoder)
        self.ratio, self.replaced, self.power, self.masks, self.asked, self.aim = ratio, replaced, power, masks, asked, aim
        self.shown_again, self.until, self.gamma = shown_again, until, gamma
        self.epochs = epochs if recovery == "compounded" else None
        width, channels, known = encoder.width, encoder.spec.channels, encoder.spec.edge_channels
        self.mask_token = nn.Parameter(torch.zeros(channels))
        self.decode = nn.ModuleList(Message(decoder, width, width if level else channels, edge_channels=0 if level else known,
                                            closing=False) for level in range(encoder.levels))

    def _hidden(self, levels: list[Graph], there: list[Tensor], keys: Tensor, draw: Generator,
                again: float) -> tuple[list[Tensor], Tensor]:
        """Bool ``(rows)`` a level, what is hidden, finest first; and which nodes get features of others."""
        if self.masks == "independent":
            hidden = [random_share(rows, self.ratio, level, draw, keys) for level, rows in zip(levels, there)]
            noisy = random_share(hidden[0], self.replaced, levels[0], draw, keys)
        else:
            hidden = [random_share(there[-1], self.ratio, levels[-1], draw, keys)]
            noisy = random_share(hidden[0], self.replaced, levels[-1], draw, keys)
            for level, rows in zip(levels[-2::-1], there[-2::-1]):
                hidden.insert(0, hidden[0][level.parent] & rows)
                noisy = noisy[level.parent]
        for number, level in enumerate(levels[:-1]):
            hidden[number] = hidden[number] & ~random_share(hidden[number], again, level, draw, keys)
        return hidden, noisy & hidden[0]

    def forward(self, batch: Batch, step: Step) -> Output:
        batch, = step.view(batch)
        draw, levels = step.generator("masks"), [batch.graph]
        there = [batch.there]
        while levels[-1].coarser is not None:
            above = torch.zeros_like(levels[-1].coarser.sample).index_add_(0, levels[-1].parent, there[-1].long())
            levels, there = [*levels, levels[-1].coarser], [*there, above > 0]
        again = recovered(self.shown_again, step.progress, self.until, self.gamma, self.epochs)
        hidden, noisy = self._hidden(levels, there, batch.keys, draw, again)
        x = torch.where(hidden[0][:, None], self.mask_token, batch.values)
        x = torch.where(noisy[:, None], batch.values[random_row(there[0], batch.graph, draw, batch.keys)], x)
        seen = self.encoder.encode(self.encoder.embed(replace(batch, values=x)), hide=hidden)
        codes = [seen, *seen.levels]
        answer = codes[-1].local
        for number in reversed(range(len(levels))):
            if number < len(levels) - 1:
                answer = answer[levels[number].parent] + codes[number].local * ~hidden[number][:, None]
            answer = self.decode[number](answer, Paths.of(levels[number], codes[number].valid))
        asked = hidden[0] if self.asked == "hidden" else there[0] & ~hidden[0]
        goal = batch.values if self.aim == "own" else batch.values.roll(len(batch.values) // 2, 0)
        loss = scaled_cosine(answer, goal, self.power, asked)
        return Output(loss, shown={"embedding": seen.pooled.detach()[None], "views": batch.values[None], "hidden": hidden[0]})
