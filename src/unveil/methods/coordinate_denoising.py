"""Coordinate denoising: shake the atoms a little, and say for each from where it came."""

from __future__ import annotations

from unveil.contracts import Batch, Encoder, Method, Output, Positive, Step
from unveil.parts.noise import Running, row_error, shaken
from unveil.parts.vectors import VectorHead


class CoordinateDenoising(Method):
    """Pre-training via denoising (Zaidi et al. 2023, arXiv 2206.00133), for any encoder whose features hold vectors.

    Places get normal noise of a few hundredths of an angstrom; a head on the vectors answers with the noise of every atom, normalised by
    its mean and deviation over all steps so far. Around structures at rest this is to learn a force field.

    Args:
        encoder: what is taught and kept.
        sigma: deviation of the noise, in the unit of the places. As broken twin so little that it cannot be seen.
        centred: the noise of a sample has mean zero.
    """

    source = "arXiv 2206.00133; shehzaidi/pre-training-via-denoising"
    needs = frozenset({"vectors"})
    twins = {"noise too small to see": dict(sigma=1e-7)}
    tiny = dict(sigma=0.15)

    def __init__(self, encoder: Encoder, *, sigma: Positive = 0.04, centred: bool = True):
        super().__init__(encoder)
        self.sigma, self.centred = sigma, centred
        self.head, self.target = VectorHead(encoder.width), Running(3)

    def forward(self, batch: Batch, step: Step) -> Output:
        batch, = step.view(batch)
        noisy, noise = shaken(batch, self.sigma, step.generator("noise"), self.centred)
        features = self.encoder(noisy)
        loss = row_error(self.head(features.local, features.vectors), self.target(noise, batch.valid), batch.valid)
        return Output(loss, shown={"embedding": features.pooled.detach()[None]})
