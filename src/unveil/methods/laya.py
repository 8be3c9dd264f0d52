"""Laya-style: from some stretches of a recording, predict what the same encoder makes of the others; SIGReg alone holds the space open."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Fraction, Method, NotNegative, Output, Positive, Step
from unveil.parts.losses import masked_mean, query_overlap, sigreg
from unveil.parts.masking import Masks
from unveil.parts.mixer import ChannelDecoder
from unveil.parts.precision import wide
from unveil.parts.predictor import Predictor
from unveil.parts.projector import projector
from unveil.parts.stretches import stretches
from unveil.tokens import Tokens, take


class Laya(Method):
    """Latent prediction on recordings (Panchavati et al. 2026, arXiv 2603.16281), as far as its abstract and summaries of it say.

    One encoder runs twice: on the whole sample, and on what is left when stretches of time are hidden. A narrow predictor says the
    projections of the whole's features at the hidden places, from the projections of what is seen. Gradient is stopped before the projector
    on the side of the target. There is no teacher: that the mean feature of a sample, projected, is a standard normal over the batch
    (SIGReg) is all that keeps features apart. ``MSE + weight * SIGReg + overlap * L_query``, a sum and no mixture, where the last keeps
    the queries that mix channels from looking at the same ones.

    Args:
        encoder: what is taught and kept.
        weight: lambda, of SIGReg. The balance goes with lambda times batch size.
        overlap: gamma, of the loss of queries.
        share: of the sequence that is hidden.
        length: shortest and longest hidden stretch, in tokens.
        hidden: width inside the projector; its hidden layers number two.
        projection: width of what the loss sees.
        slices: number of random directions.
        knots: points of the quadrature on [0, limit].
        limit: end of the integral.
        predictor_width: of the predictor's blocks.
        predictor_depth: their number.
        predictor_heads: attention heads of the predictor.
        target: the projected features; or as controls, without projector and SIGReg, the mixed channels of the hidden places, normalised
            token by token, or the values of every channel there (a masked autoencoder with the same network, masks and predictor).
        normalise: values that are asked for are normalised patch by patch.
        stop: where gradient ends on the side of the target. Before the projector, as is written of the paper, the projector itself may make
            targets all alike; in small runs here only an end after it has taught.
        statistics: of the projector's batch norms, of pooled features and of each pass's tokens apart, or over all of them at once.
        asked: the hidden stretches. As broken twin what is seen, which need only be copied.
    """

    source = "arXiv 2603.16281 (abstract and summaries); parts rbalestr-lab/lejepa, pulp-bio/BioFoundation"
    style = True
    needs = frozenset({"keep", "tokens", "channels"})
    twins = {"no SIGReg": dict(weight=0.0)}
    per_batch = {"weight": 512}
    tiny = dict(weight=0.05, stop="after projector", length=(2, 4), hidden=64, projection=8, slices=64, predictor_width=32,
                predictor_depth=1, predictor_heads=2)

    def __init__(self, encoder: Encoder, *, weight: NotNegative = 0.05, overlap: NotNegative = 1.0, share: Fraction = 0.6,
                 length: tuple[Count, Count] = (5, 10), hidden: Count = 2048, projection: Count = 128, slices: Count = 256,
                 knots: Count = 17, limit: Positive = 3.0, predictor_width: Count = 128, predictor_depth: Count = 4,
                 predictor_heads: Count = 4, target: Literal["latent", "tokens", "signal"] = "latent", normalise: bool = False,
                 stop: Literal["before projector", "after projector", "none"] = "before projector",
                 statistics: Literal["apart", "joint"] = "apart",
                 asked: Literal["hidden", "seen"] = "hidden"):
        super().__init__(encoder)
        self.weight, self.overlap, self.share, self.length = weight, overlap, share, length
        self.slices, self.knots, self.limit, self.projection = slices, knots, limit, projection
        self.target, self.normalise, self.stop, self.asked = target, normalise, stop, asked
        self.statistics = statistics
        latent, signal = target == "latent", target == "signal"
        self.project = projector(encoder.width, hidden, hidden, projection) if latent else None
        into = projection if latent else encoder.width
        self.predictor = Predictor(into, predictor_width if signal else into, width=predictor_width, depth=predictor_depth,
                                   heads=predictor_heads, turned=True)
        self.decoder = ChannelDecoder(predictor_width, encoder.patch_values // encoder.spec.channels) if signal else None

    def forward(self, batch: Batch, step: Step) -> Output:
        view, = step.view(batch)
        tokens = self.encoder.embed(view)
        masks = stretches(tokens.values.shape[1], self.share, self.length, step.generator("masks"), batch.keys)
        at = masks.targets[:, 0] if self.asked == "hidden" else masks.context
        seen = self.encoder.encode(tokens, keep=masks.context)
        valid = None if tokens.valid is None else take(tokens.valid, at)
        queries = query_overlap(tokens.mixing)
        scalars, shown = {"queries": queries.detach()}, {"seen": masks.context, "asked": at[:, None], "views": view.values[None]}
        if self.target == "latent":
            loss, whole, projected, parts = self._latent(tokens, seen, masks, at, valid, step)
            scalars |= parts
            shown |= {"embedding": whole.pooled.detach()[None], "projection": projected.detach()[None]}
        else:
            loss = self._reconstruction(view, tokens, seen, masks, at, valid)
            shown["embedding"] = seen.pooled.detach()[None]
        return Output(loss + self.overlap * queries, scalars, shown)

    def _latent(self, tokens: Tokens, seen: Features, masks: Masks, at: Tensor, valid: Tensor | None,
                step: Step) -> tuple[Tensor, Features, Tensor, dict[str, Tensor]]:
        """Error of the prediction and SIGReg, what the encoder makes of the whole, and its projection."""
        whole = self.encoder.encode(tokens)
        goal = take(whole.local.detach() if self.stop == "before projector" else whole.local, at)
        projected, goal, context = self._projections(whole.pooled[:, None], goal, seen.local)
        answer = wide(self.predictor(context, masks.context, at, tokens.grid))
        error = masked_mean((answer - wide(goal.detach() if self.stop == "after projector" else goal)).square(), valid)
        directions = step.generator("slices").normal(self.projection, self.slices)
        gaussian = sigreg(wide(projected)[:, 0], directions, knots=self.knots, limit=self.limit)
        return error + self.weight * gaussian, whole, projected[:, 0], {"prediction": error.detach(), "sigreg": gaussian.detach()}

    def _projections(self, *features: Tensor) -> list[Tensor]:
        """Projections of features ``(B, n, D)``, each ``(B, n, K)``, under the same batch statistics or each under its own."""
        if self.statistics == "apart":
            return [self.project(x.flatten(0, 1)).unflatten(0, x.shape[:2]) for x in features]
        joined = torch.cat(features, 1)
        return self.project(joined.flatten(0, 1)).unflatten(0, joined.shape[:2]).split([x.shape[1] for x in features], 1)

    def _reconstruction(self, view: Batch, tokens: Tokens, seen: Features, masks: Masks, at: Tensor, valid: Tensor | None) -> Tensor:
        """Error of what stands at the asked places; of absent channels and missing values there is none."""
        answer = self.predictor(seen.local, masks.context, at, tokens.grid)
        if self.target == "tokens":
            goal = wide(take(tokens.values.detach(), at))
            return masked_mean((wide(answer) - F.layer_norm(goal, goal.shape[-1:])).square(), valid)
        there = (view.extras["channel"] >= 0)[:, None].expand(-1, at.shape[1], -1)
        goal = wide(take(tokens.raw, at)).unflatten(-1, (there.shape[-1], -1))
        goal = F.layer_norm(goal, goal.shape[-1:]) if self.normalise else goal
        return masked_mean((wide(self.decoder(answer, view)) - goal).square(), there if valid is None else there & valid[..., None])
