"""SCD: say for each shaken atom from where it came, told one vector that the same network made of the structure at rest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Encoder, Features, Fraction, Method, NotNegative, Output, Positive, Step
from unveil.parts.noise import Running, row_error, shaken
from unveil.parts.ragged import pooled
from unveil.parts.vectors import VectorHead


class Summary(nn.Module):
    """Features of rows to one vector a sample: row by row ``LN, Linear, SiLU, LN``, the sum, then ``LN, Linear, SiLU, LN, Linear``."""

    def __init__(self, width: int):
        super().__init__()
        self.rows = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.LayerNorm(width))
        self.whole = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.LayerNorm(width), nn.Linear(width, width))
        for part in (self.rows[1], self.whole[1], self.whole[4]):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)

    def forward(self, local: Tensor, features: Features) -> Tensor:
        """``local (sum N, D)`` of ``features`` -> ``(B, D)``."""
        return self.whole(pooled(self.rows(local), features.valid, features.graph, "sum"))


class SCD(Method):
    """Self-conditioned denoising (Perez and Gomez-Bombarelli 2026, arXiv 2603.17196).

    The same network runs twice. Of the structure, hardly moved, it makes one vector that no motion changes; told this vector in every
    layer, it says for every atom of the shaken structure how it was moved. The vector is worth something because it says to which structure
    to go back. Gradient flows through both passes, and there is no other term.

    Args:
        encoder: what is taught and kept; it takes a condition.
        sigma: deviation of the noise, in the unit of the places. As broken twin so little that it cannot be seen.
        centred: the noise of a sample has mean zero.
        jitter: deviation of the noise on the structure that the vector is made of.
        drop: share of samples of which the denoiser is told nothing. As control 1: denoising alone, in one pass.
        stop: as control the first pass gets no gradient; its head still learns.
        frozen: what stands for each element stays as it was drawn, and so does the token for no condition; else they shrink.
    """

    source = "arXiv 2603.17196; TyJPerez/SelfConditionedDenoisingAtoms"
    needs = frozenset({"vectors", "condition"})
    twins = {"noise too small to see": dict(sigma=1e-7)}
    tiny = dict(sigma=0.2)

    def __init__(self, encoder: Encoder, *, sigma: Positive = 0.04, centred: bool = True, jitter: NotNegative = 0.005,
                 drop: Fraction = 0.2, stop: bool = False, frozen: bool = True):
        super().__init__(encoder)
        self.sigma, self.centred, self.jitter, self.drop, self.stop = sigma, centred, jitter, drop, stop
        self.summary = Summary(encoder.width) if drop < 1 else None
        self.head, self.target = VectorHead(encoder.width), Running(3)
        if frozen:
            encoder.chain()[0].requires_grad_(False)  # of values their first vectors
            encoder.unconditioned.requires_grad_(False)

    def told(self, batch: Batch, step: Step) -> tuple[Tensor, Features]:
        """The vector of each sample ``(B, D)``, and the features that it was made of."""
        clean, _ = shaken(batch, self.jitter, step.generator("jitter"))
        features = self.encoder(clean)
        return self.summary(features.local.detach() if self.stop else features.local, features), features

    def error(self, noisy: Batch, noise: Tensor, condition: Tensor | None) -> tuple[Tensor, Features]:
        """Of the answer to a shaken batch, and what it was made of."""
        features = self.encoder.encode(self.encoder.embed(noisy), condition=condition)
        return row_error(self.head(features.local, features.vectors), self.target(noise, noisy.valid), noisy.valid), features

    def forward(self, batch: Batch, step: Step) -> Output:
        batch, = step.view(batch)
        noisy, noise = shaken(batch, self.sigma, step.generator("noise"), self.centred)
        if self.summary is None:
            loss, features = self.error(noisy, noise, None)
            return Output(loss, shown={"embedding": features.pooled.detach()[None]})
        told, clean = self.told(batch, step)
        condition = told
        if self.training:
            without = step.generator("drop").uniform(1, keys=batch.keys) < self.drop
            condition = torch.where(without, self.encoder.unconditioned.to(told), told)
        loss, _ = self.error(noisy, noise, condition)
        return Output(loss, shown={"embedding": clean.pooled.detach()[None], "projection": told.detach()[None]})

    @torch.no_grad()
    def swapped(self, batch: Batch, step: Step, sigma: float) -> dict[str, Tensor]:
        """Errors on a batch shaken by ``sigma``, told its own vectors, those of the sample before, or nothing, as shares of the error of an
        answer that is always zero. Where the vectors are used, the second is worse than the first: that is what the method stands on. To
        be asked in evaluation mode."""
        batch, = step.view(batch)
        noisy, noise = shaken(batch, sigma, step.generator("noise"), self.centred)
        told, _ = self.told(batch, step)
        goal = self.target(noise, batch.valid)
        zero = row_error(torch.zeros_like(goal), goal, batch.valid)
        return {name: self.error(noisy, noise, condition)[0] / zero
                for name, condition in (("own", told), ("swapped", told.roll(1, 0)), ("none", None))}
