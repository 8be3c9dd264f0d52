"""A small head on frozen tokens, taught by labels and by how alike the texts of classes are; beside it the same without the texts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Count, Index, Positive
from unveil.data.order import stream
from unveil.parts.blocks import Block, initialise
from unveil.parts.losses import likeness_margin, supervised_contrast
from unveil.parts.projector import projector
from unveil.parts.schedules import warmup_cosine
from unveil.parts.sentences import vectors
from unveil.randomness import Generator, key
from unveil.tasks.agreement import agreement
from unveil.tasks.bench import Bench
from unveil.tasks.local import has_tokens, passed, seen, store
from unveil.tasks.result import Result
from unveil.tasks.task import Task
from unveil.tokens import pool

DRAWS = 2  # repeats of a head that is trained by steps
LIKENESS, CONTRAST = (0.3, 10), (0.5, 20)  # the greatest weight of a loss, and the epoch that has it
LEAST = 0.1  # the weight that they begin from
TEMPERATURE = 0.07
PROJECTED, PLACED = 128, 32  # widths that the contrast and the margin see


@dataclass(frozen=True)
class Arm:
    """What a head is taught by beside cross-entropy.

    Attributes:
        called: behind the name of the features; empty for what the task is about.
        texts: each class with its own text, with that of another, or none.
        contrast: with supervised contrast.
    """

    called: str = ""
    texts: str = "own"
    contrast: bool = True


ARMS = (Arm(), Arm("shuffled text", "others'"), Arm("supervised contrast alone", "none"), Arm("cross-entropy alone", "none", False))


class Guided(Task):
    """UniMotion's second stage (Khanna et al. 2026, arXiv 2603.12218), after the first author's code: a head on the frozen tokens of an
    encoder, whose loss is cross-entropy, a margin that parts classes by how alike their texts are, and supervised contrast.

    Three others stand beside it, with the same samples, order and initial weights: texts that belong to other classes, no texts, and
    cross-entropy alone. What texts are worth is the difference to the first two. The weights rise with the epochs as in that code. Here the
    rate is warmed up and ends at 0, the last step is kept and not the best on held-out labels, and tokens are not augmented.

    A text is what the data say of a class (``--descriptions FILE.csv``), else its name. Its vector is that of a frozen sentence encoder,
    or of its letters where none is installed; results say which. How alike two are is the cube of their cosine.

    Args:
        depth: blocks of the head; 0 for the mean of tokens as they are.
        heads: of its attention; fewer where the width is no multiple.
        tokens: a sample, at most; where it has more, means over neighbours are taken.
        epochs: passes over the labelled samples.
        steps: updates, at most.
        batch: samples an update, at most.
        lr: peak of Adam.
        same: also part samples of one class by the margin, as the authors' code does.
        samples: that are learned from, at most, evenly spaced over those with labels; 512 MiB of features bound them too.
    """

    name = "guided"

    def __init__(self, *, depth: Index = 2, heads: Count = 4, tokens: Count = 12, epochs: Count = 60, steps: Count = 200, batch: Count = 64,
                 lr: Positive = 5e-3, same: bool = False, samples: Count = 4096):
        self.depth, self.heads, self.tokens, self.epochs, self.steps = depth, heads, tokens, epochs, steps
        self.batch, self.lr, self.same, self.samples = batch, lr, same, samples

    def lacks(self, bench: Bench, name: str) -> str:
        if reason := super().lacks(bench, name):
            return reason
        if len(np.unique(bench.split.train.labels[bench.split.train.labels >= 0])) < 3:
            return "three classes: of two there is one likeness alone, and texts say no more than a number"
        return "" if has_tokens(bench.ways[name]) else "a network with local features"

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        alike, texts = bench.once(("likeness",), lambda: likeness(bench))
        taught: list[tuple[Head, Tensor, Tensor]] = []
        learned = {}
        for each in bench.budgets:
            for number in range(min(DRAWS, bench.repeats(each))):
                bench.say(f"judging {name}: guided on {each or 'all'} labels a class")
                part = bench.split.train.subset(bench.labelled(each, number))
                held = store(bench.ways[name].network, part, self.samples, bench.device)
                x, valid = stretched(held.values.float(), held.valid, self.tokens)
                labels = torch.as_tensor(part.labels[held.at])
                taught += [(self._train(arm, x, valid, labels, alike, bench, number), held.mean, held.std) for arm in ARMS]
                learned[each] = len(labels)
        answers = iter(self._answers(taught, bench, name))
        for each in bench.budgets:
            draws = [[next(answers) for _ in ARMS] for _ in range(min(DRAWS, bench.repeats(each)))]
            for arm, *mine in zip(ARMS, *draws, strict=True):
                called = f"{name}, {arm.called}" if arm.called else name
                yield from agreement(bench, called, name, mine, task=self.name, labels=each, n_train=learned[each],
                                     protocol=self._protocol(arm, texts))

    def _protocol(self, arm: Arm, texts: str) -> str:
        said = {"own": f", margin by {texts}", "others'": f", margin by {texts}, each class with that of another", "none": ""}[arm.texts]
        pairs = " (samples of one class parted too)" if self.same and arm.texts != "none" else ""
        contrast = f", supervised contrast at temperature {TEMPERATURE:g}" if arm.contrast else ""
        return (f"{self.depth} blocks over at most {self.tokens} frozen tokens, their mean, then linear: cross-entropy{said}{pairs}"
                f"{contrast}; Adam, lr {self.lr:g}, {self.epochs} epochs or {self.steps} steps; at most {self.samples} samples, evenly "
                "spaced")

    def _train(self, arm: Arm, x: Tensor, valid: Tensor, labels: Tensor, alike: Tensor, bench: Bench, number: int) -> Head:
        """A head that learned from all of ``x (n, N, D)``, in evaluation mode."""
        seed, size = bench.seed + number, min(self.batch, len(x))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(seed, "guided") >> 1)
            head = Head(x.shape[-1], bench.classes, self.depth, self.heads).to(bench.device)
        order = derangement(bench.classes, seed) if arm.texts == "others'" else torch.arange(bench.classes)
        alike = alike[order][:, order].to(bench.device)
        optimiser = torch.optim.Adam(head.parameters(), lr=self.lr)
        total = min(self.steps, math.ceil(self.epochs * len(x) / size))
        for step in range(total):
            for group in optimiser.param_groups:
                group["lr"] = self.lr * warmup_cosine(step / total, 0.1)
            now, epoch = stream(seed, step, size, len(x))[0], step * size // len(x)
            wanted = labels[now].to(bench.device)
            pooled = head(x[now].to(bench.device), valid[now].to(bench.device))
            loss = F.cross_entropy(head.answer(pooled), wanted)
            if arm.texts != "none":
                placed = F.normalize(head.place(pooled), dim=-1)
                loss = loss + weight(epoch, *LIKENESS) * likeness_margin(placed, wanted, alike, self.same)
            if arm.contrast:
                loss = loss + weight(epoch, *CONTRAST) * supervised_contrast(head.project(pooled), wanted, TEMPERATURE)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return head.eval()

    @torch.no_grad()
    def _answers(self, taught: list[tuple[Head, Tensor, Tensor]], bench: Bench, name: str) -> list[Tensor]:
        """Of each head the class of each test sample ``(n_test,)``, in one pass over them."""
        answers: list[list[Tensor]] = [[] for _ in taught]
        for _, found in passed(bench.ways[name].network, bench.split.test, bench.device):
            for (head, mean, std), told in zip(taught, answers, strict=True):
                x, valid = stretched((found.local.float() - mean) / std, seen(found), self.tokens)
                told.append(head.answer(head(x, valid)).argmax(-1).cpu())
        return [torch.cat(told) for told in answers]


class Head(nn.Module):
    """Blocks over tokens and their mean ``(B, N, D)`` -> ``(B, D)``; from it the classes, and what the two other losses look at.

    Args:
        width: D.
        classes: that are told apart.
        depth: blocks.
        heads: of attention; the next lower divisor of ``width`` where it is none.
    """

    def __init__(self, width: int, classes: int, depth: int, heads: int):
        super().__init__()
        heads = max(h for h in range(1, heads + 1) if width % h == 0)
        self.blocks, self.norm = nn.ModuleList(Block(width, heads, 2.0) for _ in range(depth)), nn.LayerNorm(width)
        self.answer, self.place = nn.Linear(width, classes), nn.Linear(width, PLACED)
        self.project = projector(width, 2 * width, PROJECTED, norm=False)
        initialise(self, self.blocks)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """A sample without a valid token is seen evenly."""
        valid = valid | ~valid.any(1, keepdim=True)
        for block in self.blocks:
            x = block(x, valid)
        return pool(self.norm(x), valid)


def weight(epoch: int, most: float, until: int) -> float:
    """Of a loss in an epoch, from 0."""
    return min(max(most * epoch / until, LEAST), most)


def stretched(x: Tensor, valid: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """At most ``most`` tokens of ``x (B, N, D)`` and ``valid (B, N)``: means over stretches of neighbours, as equal in length as can be."""
    if x.shape[1] <= most:
        return x, valid
    into = torch.arange(x.shape[1], device=x.device) * most // x.shape[1]
    weight = valid.to(x.dtype)
    total = x.new_zeros(len(x), most, x.shape[2]).index_add_(1, into, x * weight[..., None])
    count = x.new_zeros(len(x), most).index_add_(1, into, weight)
    return total / count.clamp_min(1)[..., None], count > 0


def derangement(count: int, seed: int) -> Tensor:
    """Whose text each class is given ``(count,)``, never its own: the classes stand in a random ring and each takes the next one's."""
    ring = Generator(seed, "texts of others").permutation(count)
    return torch.empty_like(ring).scatter_(0, ring, ring.roll(1))


def likeness(bench: Bench) -> tuple[Tensor, str]:
    """How alike the texts of two classes are ``(classes, classes)``, and what they are, in words."""
    samples = bench.split.train
    told = [samples.described.get(name, "") for name in samples.classes]
    found, how = vectors([text or name.replace("_", " ") for text, name in zip(told, samples.classes, strict=True)])
    alike = (found @ found.T) ** 3
    others = alike[~torch.eye(len(alike), dtype=torch.bool)]
    what = "descriptions" if all(told) else "names" if not any(told) else "descriptions and names"
    return alike, f"the likeness of the {what} of classes ({how}), {float(others.min()):.2f} to {float(others.max()):.2f}"
