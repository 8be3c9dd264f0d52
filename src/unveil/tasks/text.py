"""Asking for samples in words: by prompts that say one value of a property, and by captions. Nothing is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Count, Encoder
from unveil.data.samples import Samples
from unveil.parts.text import CLASS
from unveil.tasks.bench import Bench, some
from unveil.tasks.result import Result, jackknife, pseudovalues
from unveil.tasks.task import Task

NEAR = (1, 5)  # ranks that count as found


class _Asked(Task):
    """What the two tasks share: a text part that was kept beside the encoder, and what it pools of test samples."""

    untaught = "chance"

    def lacks(self, bench: Bench, name: str) -> str:
        network = bench.ways[name].network
        if network is None or "text" not in network.beside:
            return "an encoder with a text part that was kept beside it, of the words of this version"
        return "" if bench.split.test.text else "samples with captions, see unveil list " + bench.kind.name

    @torch.no_grad()
    def vectors(self, bench: Bench, name: str, asked: np.ndarray) -> Tensor:
        """The unit vector of each test sample that is asked for."""
        network, part = self.networks(bench, name)
        return torch.cat([part.samples(network(batch.to(bench.device))).cpu() for batch in batches(bench.split.test, asked)])

    @staticmethod
    def networks(bench: Bench, name: str) -> tuple[Encoder, nn.Module]:
        """The encoder and its text part, where they work."""
        network = bench.ways[name].network.eval()
        return network, network.beside["text"].to(bench.device)


class ZeroShot(_Asked):
    """For each property that captions speak of, which of its values a sample has: the one whose prompts lie nearest.

    Each value's vector is the mean of those of its prompts. A text part without such vectors, which was taught to say captions alone, is
    asked how likely it is to say each prompt of a sample, less the mean of that over training samples, as some prompts are likely always.
    A property counts that has several values among the test samples; every value counts alike, however many samples have it. The class is
    one of them where captions name it, and then the encoder was taught by labels.

    Args:
        samples: test samples, and training samples for the mean, at most.
    """

    name = "zero-shot"

    def __init__(self, *, samples: Count = 500):
        self.samples = samples

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        contrasted = bench.ways[name].network.beside["text"].contrasted
        asked = some(len(bench.split.test), self.samples)
        truth = joined(bench.kind.says(batch) for batch in batches(bench.split.test, asked))
        if CLASS in self._prompts(bench):
            truth[CLASS] = bench.split.test.labels[asked]
        near, counts, chances = (self._near if contrasted else self._likely)(bench, name, asked), [], []
        how = "nearest prompt" if contrasted else "prompt most likely said, over training samples,"
        for title, number in truth.items():
            many = near[title].shape[1]
            is_so = number[:, None] == np.arange(many)
            if is_so.any(0).sum() < 2:
                continue
            found = near[title].argmax(1).numpy()[:, None] == np.arange(many)
            counts.append(np.zeros((len(bench.split.test), many, 2)))
            counts[-1][asked] = np.stack([is_so, is_so & found], -1)
            chances.append(1 / many)
            yield from self._told(bench, name, title, counts[-1:], chances[-1:], len(asked), f"{how} among {many} values of {title}")
        if counts:
            what = f"{how} among the values of each of {len(counts)} properties, their mean"
            yield from self._told(bench, name, "", counts, chances, len(asked), what)

    @torch.no_grad()
    def _near(self, bench: Bench, name: str, asked: np.ndarray) -> dict[str, Tensor]:
        """Of each property how near samples are to its values ``(n, values)``."""
        vectors, (_, part) = self.vectors(bench, name, asked), self.networks(bench, name)
        mean = lambda texts: F.normalize(part.texts(texts.to(bench.device)).mean(0), dim=0).cpu()
        prompts = self._prompts(bench)
        return {title: vectors @ torch.stack([mean(texts) for texts in values.values()]).T for title, values in prompts.items()}

    @staticmethod
    def _prompts(bench: Bench) -> dict[str, dict[str, Tensor]]:
        """Texts of each property, of the class too where captions name it and samples have one."""
        return bench.kind.prompts(() if bench.split.test.labels is None else bench.split.test.classes)

    @torch.no_grad()
    def _likely(self, bench: Bench, name: str, asked: np.ndarray) -> dict[str, Tensor]:
        """Of each property how much more likely its values are said of samples than of training samples ``(n, values)``."""
        network, part = self.networks(bench, name)
        sides = ((bench.split.test, asked), (bench.split.train, some(len(bench.split.train), self.samples)))
        pooled = [torch.cat([part.pooled(network(batch.to(bench.device))) for batch in batches(*side)]) for side in sides]
        found = {}
        for title, values in self._prompts(bench).items():
            texts = torch.cat(list(values.values())).to(bench.device)
            texts = texts[:, :int((texts != 0).sum(1).max())]
            said, usual = (part.likelihood(each, texts).unflatten(1, (len(values), -1)).mean(2) for each in pooled)
            found[title] = (said - usual.mean(0)).cpu()
        return found

    def _told(self, bench: Bench, name: str, title: str, counts: list[np.ndarray], chances: list[float], n_test: int,
              what: str) -> Iterator[Result]:
        """The mean over properties, of each of which ``counts`` has ``(n_test, values, 2)``: that a sample has a value, and that it was
        found."""
        sums, ends = bench.by_part(np.concatenate(counts, 1)), np.cumsum([count.shape[1] for count in counts])[:-1]
        statistic = lambda total: np.mean([balanced(part) for part in np.split(total, ends, 1)], 0)
        estimate = jackknife(sums, statistic)
        low, high = np.clip(estimate.interval(), 0, 1).tolist()
        result = bench.figure(name, name, [estimate.value], low, high, parts=pseudovalues(sums, statistic).tolist(), n_test=n_test,
                              task=self.name, protocol=f"{what}; every value counts alike", labels=None, n_train=0,
                              metric=f"balanced accuracy{' of ' * bool(title)}{title}")
        yield result
        yield by_chance(result, float(np.mean(chances)), "guessed among the prompts")


def balanced(total: np.ndarray) -> np.ndarray:
    """Mean share that is found ``(times,)`` over the values that occur, from ``(times, values, 2)``: how many samples have one, and of how
    many it was found."""
    there = total[..., 0] > 0
    return np.where(there, total[..., 1] / np.maximum(total[..., 0], 1), 0).sum(1) / np.maximum(there.sum(1), 1)


class TextRetrieval(_Asked):
    """Finds a sample by its caption among test samples, and the caption by the sample. Others that are as near count half before it.

    Args:
        samples: test samples that are asked for and searched, at most.
    """

    name = "text-retrieval"

    def __init__(self, *, samples: Count = 500):
        self.samples = samples

    def lacks(self, bench: Bench, name: str) -> str:
        lacking = super().lacks(bench, name)
        if not lacking and not bench.ways[name].network.beside["text"].contrasted:
            return "a text part that a contrast has taught"
        return lacking

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        asked = some(len(bench.split.test), self.samples)
        near = self.vectors(bench, name, asked) @ self._captions(bench, name, asked).T
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
        _, part = self.networks(bench, name)
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
    return replace(result, features="chance", protocol=how, value=value, values=[value], parts=[value] * len(result.parts), low=None,
                   high=None, encoder="none")
