"""Labels of places: a linear probe on every local feature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Count, Encoder, Features
from unveil.data.samples import Samples
from unveil.parts.patches import patchify
from unveil.tasks.bench import Bench
from unveil.tasks.linear import fit, predict
from unveil.tasks.local import has_tokens, passed, seen, thinned
from unveil.tasks.result import Result, jackknife
from unveil.tasks.task import Task

MOST = 1000  # classes: a larger number is more likely a code for "unlabelled"


class Dense(Task):
    """Multinomial logistic regression on single tokens, which are labelled by the majority of the places that they cover.

    Tokens without a majority, or without a measured value, are neither learned from nor scored. Where a token lies may say its class
    without any feature, so the row "position" is a probe on coordinates.

    Args:
        samples: that are learned from, at most, evenly spaced.
        tokens: that are learned from, at most, evenly spaced over theirs.
    """

    name = "dense"

    def __init__(self, *, samples: Count = 2048, tokens: Count = 20_000):
        self.samples, self.tokens = samples, tokens

    def lacks(self, bench: Bench, name: str) -> str:
        found = bench.once("classes of places", lambda: [_range(side) for side in (bench.split.train, bench.split.test)])
        if None in found or found[0][0] == found[0][1]:
            return "labels of places of two classes at least, an array called dense"
        if (most := max(high for _, high in found)) >= MOST:
            return f"class numbers of places below {MOST}, not {most} (below 0 where unlabelled)"
        if not has_tokens(bench.ways[name]):
            return "a network with local features"
        patch = getattr(bench.ways[name].network, "patch", None)
        framed = isinstance(patch, tuple) and len(patch) != len(bench.split.train.shape)
        return "a network whose tokens lie along the axes of a sample, not of frames cut from it" if framed else ""

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        yield from self._results(bench, name, name, "standardised local features", lambda found: found.local)

    def controls(self, bench: Bench, name: str) -> Iterator[Result]:
        """A probe on coordinates: each axis, and the products of two."""
        for result in self._results(bench, "position", name, "the tokens' coordinates, squares and products", _position):
            yield replace(result, encoder="none")

    def _results(self, bench: Bench, features: str, way: str, what: str, read) -> Iterator[Result]:
        """Accuracy and intersection over union of a probe on what ``read`` takes of :class:`Features`."""
        network, train, test = bench.ways[way].network, bench.split.train, bench.split.test
        part = train.subset(thinned(np.flatnonzero((train.dense >= 0).reshape(len(train), -1).any(1)), self.samples))
        classes = 1 + max(high for _, high in map(_range, (train, test)))
        x, y, owner = _tokens(network, part, bench.device, read, self.tokens)
        who = owner if part.groups is None or len(np.unique(part.groups)) < 2 else part.groups[owner]
        w = fit(x, y, who, classes, None)
        sums, total, hits = np.zeros((bench.part.max() + 1, classes, classes)), np.zeros(len(test)), np.zeros(len(test))
        for at, found in passed(network, test, bench.device):
            label = token_labels(network, test, at, found)
            told = predict(w[None], read(found).flatten(0, 1).float().cpu())[0].numpy().reshape(label.shape)
            place, token = np.nonzero(label >= 0)
            np.add.at(sums, (bench.part[at[place]], label[place, token], told[place, token]), 1)
            total[at], hits[at] = (label >= 0).sum(1), (label == told).sum(1)
        share = np.where(total > 0, hits / np.maximum(total, 1), np.nan)
        facts = dict(task=self.name, labels=None, n_train=len(part), at={}, protocol=(
            f"multinomial logistic regression on {what}, labels by majority, C chosen by cross-validation, "
            f"{'samples' if who is owner else 'groups'} whole; {len(x):,} tokens of {len(part):,} samples, evenly spaced"))
        yield bench.result(features, way, [share], metric="token accuracy", **facts)
        value, known = float(iou(sums.sum(0)[None])[0]), int((total > 0).sum())
        yield bench.figure(features, way, [value], *jackknife(sums, iou).interval(), metric="mean IoU", n_test=known, **facts)


def _range(side: Samples) -> tuple[int, int] | None:
    """Least and greatest class number of places; None where none is labelled."""
    known = side.dense[side.dense >= 0] if side.dense is not None else np.empty(0)
    return (int(known.min()), int(known.max())) if known.size else None


def _position(found: Features) -> Tensor:
    """Coordinates, squares and products of two: ``(B, N, F)``."""
    where = found.where
    pairs = torch.combinations(torch.arange(where.shape[-1]), 2, with_replacement=True)
    return torch.cat([where, where[..., pairs[:, 0]] * where[..., pairs[:, 1]]], -1)


def _tokens(network: Encoder, samples: Samples, device: torch.device | str, read, most: int) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Features, labels and samples of labelled tokens, ``(m, F)``, ``(m,)`` and ``(m,)``: evenly spaced over each batch."""
    held, labels, owners = [], [], []
    for at, found in passed(network, samples, device):
        label = token_labels(network, samples, at, found)
        place, token = np.nonzero(label >= 0)
        chosen = thinned(np.arange(len(place)), max(1, most * len(at) // len(samples)))
        place, token = place[chosen], token[chosen]
        held.append(read(found)[torch.as_tensor(place), torch.as_tensor(token)].float().cpu())
        labels.append(label[place, token])
        owners.append(at[place])
    return torch.cat(held), np.concatenate(labels), np.concatenate(owners)


def token_labels(network: Encoder, samples: Samples, at: np.ndarray, found: Features) -> np.ndarray:
    """The class that more than half of a token's places have, -1 where there is none or nothing was measured: ``(B, N)``.

    The side of a token is twice the first one's distance from the edge.
    """
    spacing = found.where.new_tensor(samples.spacing)
    side = tuple((2 * found.where[0, 0] / spacing).round().int().tolist())
    labels = torch.as_tensor(samples.dense[at].astype(np.int64))
    cells = patchify(labels[:, None], side)
    most = cells.mode(-1).values
    known = (2 * (cells == most[..., None]).sum(-1) > cells.shape[-1]) & (most >= 0) & seen(found).cpu()
    return torch.where(known, most, -1).numpy()


def iou(counts: np.ndarray) -> np.ndarray:
    """Mean over the classes that occur of intersection over union (Everingham et al. 2010): ``(times, C, C)`` -> ``(times,)``.

    Args:
        counts: of tokens, by true class and answer.
    """
    both = np.diagonal(counts, axis1=1, axis2=2)
    either = counts.sum(1) + counts.sum(2) - both
    there = counts.sum(2) > 0
    return np.where(there, both / np.maximum(either, 1), 0).sum(1) / np.maximum(there.sum(1), 1)
