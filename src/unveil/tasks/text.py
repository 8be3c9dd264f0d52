"""Asking for samples in words: by prompts that say one value of a property, and by captions. Nothing is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Count
from unveil.data.samples import Samples
from unveil.tasks.bench import Bench, some
from unveil.tasks.result import Result
from unveil.tasks.task import Task

NEAR = (1, 5)  # ranks that count as found


class _Asked(Task):
    """What the two tasks share: a text part that was kept beside the encoder, and vectors of test samples."""

    def lacks(self, bench: Bench, name: str) -> str:
        network = bench.ways[name].network
        if network is None or "text" not in network.beside:
            return "an encoder with a text part that was kept beside it"
        return "" if bench.split.test.text else "samples with captions, see unveil list " + bench.kind.name

    def vectors(self, bench: Bench, name: str, most: int) -> tuple[np.ndarray, Tensor]:
        """Which test samples are asked for, and the unit vector of each; computed once."""
        return bench.once(("text", name, most), lambda: self._vectors(bench, name, most))

    @torch.no_grad()
    def _vectors(self, bench: Bench, name: str, most: int) -> tuple[np.ndarray, Tensor]:
        network, asked = bench.ways[name].network.eval(), some(len(bench.split.test), most)
        part = network.beside["text"].to(bench.device)
        return asked, torch.cat([part.samples(network(batch.to(bench.device))).cpu() for batch in batches(bench.split.test, asked)])


class ZeroShot(_Asked):
    """For each property that captions speak of, which of its values a sample has: the one whose prompts lie nearest.

    Each value's vector is the mean of those of its prompts. A property counts that has several values among the test samples; every value
    counts alike, however many samples have it.

    Args:
        samples: test samples, at most.
    """

    name = "zero-shot"

    def __init__(self, *, samples: Count = 2000):
        self.samples = samples

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        asked, vectors = self.vectors(bench, name, self.samples)
        truth = joined(bench.kind.says(batch) for batch in batches(bench.split.test, asked))
        prompts, scores, chances = self._prompts(bench, name), [], []
        for title, number in truth.items():
            values, count = np.unique(number[number >= 0], return_counts=True)
            if len(values) < 2:
                continue
            found = (vectors @ prompts[title].T).argmax(1).numpy()
            weight = np.full(len(prompts[title]), np.nan)
            weight[values] = count.sum() / (len(values) * count)
            score = np.where(number >= 0, (found == number) * weight[number], np.nan)
            scores.append(score)
            chances.append(1 / len(prompts[title]))
            yield from self._told(bench, name, title, score, asked, chances[-1], f"{len(prompts[title])} values of {title}")
        if scores:
            what = f"mean over {len(scores)} properties"
            yield from self._told(bench, name, "", np.nanmean(scores, 0), asked, float(np.mean(chances)), what)

    @torch.no_grad()
    def _prompts(self, bench: Bench, name: str) -> dict[str, Tensor]:
        """Of each property the unit vectors ``(values, D)``."""
        part = bench.ways[name].network.beside["text"].to(bench.device)
        mean = lambda texts: F.normalize(part.texts(texts.to(bench.device)).mean(0), dim=0).cpu()
        return {title: torch.stack([mean(texts) for texts in values.values()]) for title, values in bench.kind.prompts().items()}

    def _told(self, bench: Bench, name: str, title: str, score: np.ndarray, asked: np.ndarray, chance: float,
              what: str) -> Iterator[Result]:
        whole = np.full(len(bench.split.test), np.nan)
        whole[asked] = score
        metric = f"balanced accuracy{' of ' * bool(title)}{title}"
        protocol = f"nearest prompt among {what}, every value counts alike"
        result = bench.result(name, name, [whole], task=self.name, protocol=protocol, labels=None, n_train=0, metric=metric)
        yield result
        yield by_chance(result, chance, "guessed among the prompts")


class TextRetrieval(_Asked):
    """Finds a sample by its caption among test samples, and the caption by the sample. Others that are as near count half before it.

    Args:
        samples: test samples that are asked for and searched, at most.
    """

    name = "text-retrieval"

    def __init__(self, *, samples: Count = 500):
        self.samples = samples

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        asked, vectors = self.vectors(bench, name, self.samples)
        near = vectors @ self._captions(bench, name, asked).T
        count = len(asked)
        for way, likeness in (("signal by text", near.T), ("text by signal", near)):
            rank = ranks(likeness)
            facts = dict(task=self.name, labels=None, n_train=0)
            protocol = f"{way}, among {count} test samples, without fitting"
            for k in NEAR:
                score = np.full(len(bench.split.test), np.nan)
                score[asked] = rank <= k
                result = bench.result(name, name, [score], protocol=protocol, metric=f"recall@{k}, {way}", **facts)
                yield result
                yield by_chance(result, min(1.0, k / count), "in any order")
            result = bench.figure(name, name, [float(np.median(rank))], None, None, n_test=count, protocol=protocol, unit="rank",
                                  direction="lower", metric=f"median rank, {way}", **facts)
            yield result
            yield by_chance(result, (count + 1) / 2, "in any order")

    @torch.no_grad()
    def _captions(self, bench: Bench, name: str, asked: np.ndarray) -> Tensor:
        part = bench.ways[name].network.beside["text"].to(bench.device)
        return torch.cat([part.texts(batch.extras["text"].to(bench.device)).cpu() for batch in batches(bench.split.test, asked)])


def batches(samples: Samples, at: np.ndarray):
    """Some of the samples, 256 at a time."""
    return (samples.batch(part) for part in torch.as_tensor(at).split(256))


def joined(parts) -> dict[str, np.ndarray]:
    """Columns of several parts, one after the other."""
    parts = list(parts)
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}


def ranks(likeness: Tensor) -> np.ndarray:
    """Rank ``(n,)``, from 1, of the one on the diagonal among each row of ``(n, n)``; of those as near half count as before it."""
    likeness = likeness.round(decimals=6)  # equal captions are equally near, up to rounding
    own = likeness.diagonal()[:, None]
    return (1 + (likeness > own).sum(1) + ((likeness == own).sum(1) - 1) / 2).numpy()


def by_chance(result: Result, value: float, how: str) -> Result:
    """The same figure without an encoder."""
    return replace(result, features="chance", protocol=how, value=value, values=[value], parts=[value] * len(result.parts), low=None, high=None, encoder="none")
