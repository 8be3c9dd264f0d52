"""One pass over all samples, and what a finding is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from unveil.api.opening import Say
from unveil.contracts import Batch
from unveil.data.samples import Samples
from unveil.data.split import Split, split
from unveil.errors import Unusable
from unveil.health.duplicates import outlines, unordered
from unveil.tokens import pool


@dataclass(frozen=True)
class Finding:
    """Something that a person should know of the data.

    Attributes:
        severity: ``"serious"`` (figures made on these data mislead), ``"warning"`` or ``"note"``.
        topic: what it is about, such as ``"label leak"``.
        sentence: what was found.
        advice: what to do.
        evidence: names of samples, or what else shows it.
    """

    severity: str
    topic: str
    sentence: str
    advice: str
    evidence: list[str] = field(default_factory=list)


@dataclass
class Looked:
    """All samples that can be read, and what one pass over them gave.

    Attributes:
        samples: without those that cannot be read.
        parts: the split that would be judged on; None where nothing can be held out.
        names: of the samples.
        sources: int64 ``(n,)``: which record a sample was cut from; equal for all windows of a recording.
        count: values a channel of each sample that are there; of packed samples their rows.
        mean, std, low, high: ``(n, C)`` over the values that are there.
        digest: of all that is known of each sample.
        outline: ``(n, F)`` of the standardised values, see :func:`unveil.health.duplicates.outlines`; of packed samples ``(n,)``, see
            :func:`unveil.health.duplicates.unordered`.
        scale: mean and deviation of each channel over the data, shaped like a batch.
    """

    samples: Samples
    parts: Split | None
    names: np.ndarray
    sources: np.ndarray
    count: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    digest: np.ndarray
    outline: Tensor
    scale: tuple[Tensor, Tensor]

    @property
    def blank(self) -> np.ndarray:
        """Bool ``(n,)``: no channel varies inside the sample; of packed samples, there is a single row."""
        if self.samples.packed:
            return self.count < 2
        return (self.std <= 1e-6 * (1e-6 + np.abs(self.mean))).all(1)

    @property
    def missing(self) -> np.ndarray:
        """``(n,)``: share of the values of each sample that are missing; rows of packed samples are all there."""
        return np.zeros(len(self.count)) if self.samples.packed else 1 - self.count / np.prod(self.samples.shape)

    def standardised(self, at: Tensor) -> tuple[Tensor, Tensor | None]:
        """Values ``(B, C, *shape)`` of comparable channels, and which are there."""
        batch = self.samples.batch(at)
        return _standardised(batch, self.scale), batch.valid



def look(samples: Samples, hold_out: Sequence[int] | None, seed: int, say: Say) -> Looked:
    """Reads all samples once."""
    spec = samples.spec()
    line = (1, -1, *[1] * len(spec.shape))
    scale = torch.tensor(spec.mean).view(line), torch.tensor(spec.std).view(line)
    held, tick = [], ticker(say, "read")
    for at in torch.arange(len(samples)).split(512):
        batch = samples.batch(at)
        held.append(_figures(batch, scale) if batch.graph is None else _packed_figures(batch))
        tick(int(at[-1]) + 1, len(samples))
    sound = samples.sound()
    columns = [np.concatenate(column)[sound] for column in zip(*(row[:-1] for row in held), strict=True)]
    outline = torch.cat([row[-1] for row in held])[torch.as_tensor(sound)]
    samples = samples.subset(sound)
    names = np.array([samples.name(int(i)) for i in samples.index])
    sources = np.unique(names, return_inverse=True)[1]
    try:
        parts = split(samples, hold_out, seed=seed)
    except Unusable:
        if hold_out is not None:
            raise
        parts = None
    return Looked(samples, parts, names, sources, *columns, outline, scale)


def _figures(batch: Batch, scale: tuple[Tensor, Tensor]) -> tuple:
    """Count, mean, deviation, least, greatest, digest and outline of each sample, as in :class:`Looked`."""
    x = batch.values
    there = torch.ones_like(x[:, 0], dtype=torch.bool) if batch.valid is None else batch.valid
    flat, seen = x.flatten(2), there.flatten(1)[:, None]
    weight = seen.double()
    count = weight.sum(2)
    mean = (flat * weight).sum(2) / count
    std = (((flat - mean[..., None]).square() * weight).sum(2) / count).sqrt()
    low, high = (torch.where(seen, flat, end).aminmax(dim=2)[side] for side, end in enumerate((torch.inf, -torch.inf)))
    rows = zip(x.numpy(), there.numpy(), strict=True)
    digest = [hashlib.blake2b(np.ascontiguousarray(v).tobytes() + m.tobytes(), digest_size=16).hexdigest() for v, m in rows]
    return (count[:, 0].numpy(), mean.float().numpy(), std.float().numpy(), low.numpy(), high.numpy(), np.array(digest),
            outlines(_standardised(batch, scale)))


def _packed_figures(batch: Batch) -> tuple:
    """The same of packed samples."""
    x, graph = batch.values.double(), batch.graph
    at, ends = graph.sample[:, None].expand_as(x), {}
    count = torch.zeros(len(batch), dtype=torch.float64).index_add_(0, graph.sample, torch.ones(len(x), dtype=torch.float64))
    mean = pool(x, sample=graph.sample, count=graph.count)
    std = pool((x - mean[graph.sample]).square(), sample=graph.sample, count=graph.count).sqrt()
    for end in ("amin", "amax"):
        ends[end] = x.new_zeros(mean.shape).scatter_reduce_(0, at, x, end, include_self=False).float().numpy()
    digest = [_digest(batch.one(number)) for number in range(len(batch))]
    return (count.numpy(), mean.float().numpy(), std.float().numpy(), ends["amin"], ends["amax"], np.array(digest),
            unordered(batch.values, graph, batch.where))


def _digest(one: Batch) -> str:
    """Of everything that is known of a packed sample."""
    graph, held = one.graph, hashlib.blake2b(digest_size=16)
    for x in (one.values, one.where, graph.edges, graph.edge_values, graph.cell):
        held.update(b"-" if x is None else f"{tuple(x.shape)}".encode() + x.contiguous().numpy().tobytes())
    return held.hexdigest()


def _standardised(batch: Batch, scale: tuple[Tensor, Tensor]) -> Tensor:
    values = (batch.values - scale[0]) / scale[1]
    return values if batch.valid is None else values * batch.valid[:, None]


def ticker(say: Say, verb: str, every: float = 5.0) -> Callable[[int, int], None]:
    """Says how much is done, every few seconds, with the time that is left."""
    start = last = time.monotonic()

    def tick(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > every and done < total:
            last = now
            say(f"{verb} {done:,} of {total:,} samples, {(now - start) * (total - done) / done:.0f} s left")

    return tick


def many(count: int, what: str) -> str:
    """``1 sample``, ``2 samples``."""
    return f"{count:,} {what}{'s' * (count != 1)}"
