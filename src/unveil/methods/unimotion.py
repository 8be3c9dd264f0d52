"""UniMotion: say hidden values of a motion, which are mostly hidden where it happens. With other settings this is LIMU-BERT."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import nn

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, Output, Range, Step
from unveil.parts.losses import mean_over
from unveil.parts.precision import wide
from unveil.parts.spans import span_masks


class UniMotion(Method):
    """Stage one of UniMotion (Khanna et al. 2026, arXiv 2603.12218), after the first author's code; the paper's text was not read.

    Some values in time are hidden, in spans that begin mostly in the nucleus of the motion, which the encoder finds and is told; a small
    decoder says them. In a fifth of the samples what is asked for is not hidden. With ``masks: uniform`` and an encoder without marks it
    is LIMU-BERT (Xu et al. 2021).

    Args:
        encoder: what is taught and kept.
        ratio: share of the values that are asked for.
        stop: chance that a span ends at a value.
        longest: values a span has at most.
        masks: spans begin mostly in the nucleus, or anywhere.
        bias: chance that a span begins in the nucleus.
        hide: share of the samples in which what is asked for is hidden.
        aim: the sample's own values, or as broken twin those of another.
    """

    source = "arXiv 2603.12218; prerna-khanna/gesture-foundational-model, dapowan/LIMU-BERT-Public"
    style = True
    needs = frozenset({"tokens", "hide", "core"})
    twins = {"the aim is of another sample": dict(aim="another")}

    def __init__(self, encoder: Encoder, *, ratio: Fraction = 0.15, stop: Annotated[float, Range(1e-3, 1)] = 0.2, longest: Count = 10,
                 masks: Literal["nucleus", "uniform"] = "nucleus", bias: Fraction = 0.8, hide: Fraction = 0.8,
                 aim: Literal["own", "another"] = "own"):
        super().__init__(encoder)
        self.ratio, self.stop, self.longest, self.hide, self.aim = ratio, stop, longest, hide, aim
        self.bias = bias if masks == "nucleus" else 0.0
        width = encoder.local_width
        self.decode = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, encoder.patch_values))

    def forward(self, batch: Batch, step: Step) -> Output:
        view, = step.view(batch)
        tokens = self.encoder.embed(view)
        count = max(1, round(tokens.values.shape[1] * self.ratio))
        asked = span_masks(tokens.values.shape[1], count, step.generator("spans"), batch.keys, stop=self.stop, longest=self.longest,
                           core=tokens.core, bias=self.bias)
        gone = step.generator("hidden").uniform(1, keys=batch.keys) < self.hide
        features = self.encoder.encode(tokens, hide=asked & gone)
        goal = wide(tokens.raw if self.aim == "own" else tokens.raw.roll(1, 0))
        error = (wide(self.decode(features.local)) - goal).square().mean(-1)
        known = asked if tokens.valid is None else asked & tokens.valid
        loss = mean_over(error.flatten(), known.flatten())
        return Output(loss, shown={"embedding": features.pooled.detach()[None], "views": view.values[None], "hidden": asked})
