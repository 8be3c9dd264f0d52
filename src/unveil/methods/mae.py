"""MAE: hide most of a sample, encode the rest, and reconstruct what was hidden."""

from __future__ import annotations

from typing import Literal

import torch

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, Output, Step
from unveil.parts.losses import masked_mean
from unveil.parts.masking import random_masks
from unveil.parts.precision import wide
from unveil.parts.predictor import Predictor
from unveil.tokens import take


class MAE(Method):
    """Masked autoencoder (He et al. 2022, arXiv 2111.06377), for any token grid.

    The encoder sees only the tokens that are left; a small decoder gets mask tokens at the hidden places and says their raw
    values, each token's normalised by its own mean and deviation. The error counts on hidden tokens alone.

    Args:
        encoder: what is taught and kept.
        ratio: share of tokens that are hidden.
        decoder_width: of the decoder's blocks.
        decoder_depth: their number.
        decoder_heads: attention heads of the decoder.
        normalise: targets are normalised token by token.
        area: share of a sample that is read, by random crop.
        symmetry: use the kind's exact symmetries.
        asked: the hidden tokens. As broken twin the seen ones, which need only be copied.
    """

    source = "arXiv 2111.06377; facebookresearch/mae"
    needs = frozenset({"keep", "tokens"})
    twins = {"seen tokens are asked for": dict(asked="seen")}
    tiny = dict(decoder_width=32, decoder_depth=1, decoder_heads=2, area=(0.8, 1.0), symmetry=False)

    def __init__(self, encoder: Encoder, *, ratio: Fraction = 0.75, decoder_width: Count = 512, decoder_depth: Count = 8,
                 decoder_heads: Count = 16, normalise: bool = True, area: tuple[Fraction, Fraction] = (0.2, 1.0),
                 symmetry: bool = True, asked: Literal["hidden", "seen"] = "hidden"):
        super().__init__(encoder)
        self.ratio, self.normalise, self.area, self.symmetry, self.asked = ratio, normalise, area, symmetry, asked
        self.decoder = Predictor(encoder.width, encoder.patch_values, width=decoder_width, depth=decoder_depth, heads=decoder_heads)

    def forward(self, batch: Batch, step: Step) -> Output:
        view, = step.view(batch, area=self.area, symmetry=self.symmetry)
        tokens = self.encoder.embed(view)
        masks = random_masks(tokens.values.shape[1], self.ratio, step.generator("masks"), batch.keys)
        seen = self.encoder.encode(tokens, keep=masks.context)
        asked = masks.targets[:, 0] if self.asked == "hidden" else masks.context
        answer = wide(self.decoder(seen.local, masks.context, asked, tokens.grid))
        goal = wide(take(tokens.raw, asked))
        if self.normalise:
            var, mean = torch.var_mean(goal, -1, correction=min(1, goal.shape[-1] - 1), keepdim=True)
            goal = (goal - mean) / (var + 1e-6).sqrt()
        valid = None if tokens.valid is None else take(tokens.valid, asked)
        loss = masked_mean((answer - goal).square(), valid)
        return Output(loss, shown={"embedding": seen.pooled.detach()[None], "views": view.values[None], "seen": masks.context,
                                   "asked": asked[:, None]})
