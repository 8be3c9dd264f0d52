"""PatchTST's pretraining: hide some patches of each channel and say their values."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

from unveil.contracts import Batch, Encoder, Fraction, Method, Output, Step
from unveil.errors import Unusable
from unveil.parts.losses import mean_over
from unveil.parts.precision import wide


class PatchTST(Method):
    """Masked patches, channel by channel (Nie et al. 2023, arXiv 2211.14730).

    Of every row along the last axis of the token grid, which is a channel where the encoder keeps them apart, the same share of tokens is
    set to 0, each row's own; a linear map says their values from what the encoder makes of them. The error counts on hidden tokens alone.

    Args:
        encoder: what is taught and kept.
        ratio: share of the tokens of a row that are hidden.
        aim: the sample's own values, or as broken twin those of another.
    """

    source = "arXiv 2211.14730; yuqinie98/PatchTST"
    needs = frozenset({"tokens", "hide"})
    twins = {"the aim is of another sample": dict(aim="another")}

    def __init__(self, encoder: Encoder, *, ratio: Fraction = 0.4, aim: Literal["own", "another"] = "own"):
        super().__init__(encoder)
        self.ratio, self.aim = ratio, aim
        self.decode = nn.Linear(encoder.local_width, encoder.patch_values)

    def forward(self, batch: Batch, step: Step) -> Output:
        view, = step.view(batch)
        tokens = self.encoder.embed(view)
        *rows, length = tokens.grid
        if not 0 < (count := round(length * self.ratio)) < length:
            raise Unusable(f"of {length} tokens in a row {count} are hidden at a share of {self.ratio:g}: change --method.ratio, or use "
                           "smaller patches")
        chance = step.generator("masks").uniform(math.prod(rows), length, keys=batch.keys)
        hidden = (chance.argsort(-1).argsort(-1) < count).flatten(1)
        features = self.encoder.encode(tokens, hide=hidden)
        goal = wide(tokens.raw if self.aim == "own" else tokens.raw.roll(1, 0))
        error = (wide(self.decode(features.local)) - goal).square().mean(-1)
        asked = hidden if tokens.valid is None else hidden & tokens.valid
        loss = mean_over(error.flatten(), asked.flatten())
        return Output(loss, shown={"embedding": features.pooled.detach()[None], "views": view.values[None], "hidden": hidden})
