"""The attentive probe: one learned query looks over the frozen local features, a linear map reads what it found."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from unveil.contracts import Count
from unveil.data.order import stream
from unveil.parts.schedules import warmup_cosine
from unveil.randomness import Generator
from unveil.tasks.agreement import agreement
from unveil.tasks.bench import Bench
from unveil.tasks.linear import fold_of
from unveil.tasks.local import Stored, has_tokens, passed, seen, store
from unveil.tasks.result import Result
from unveil.tasks.task import Task

DRAWS = 2  # repeats of a probe that is trained by steps
GRID = tuple(itertools.product((1e-3, 3e-3, 1e-2), (1e-2, 1e-1)))  # learning rate and weight decay
FEW = (3e-3, 1e-1)  # on few labels, too few to choose by


class Attentive(Task):
    """Cross-attention from one learned query with several heads, then a linear map, on frozen local features.

    Context Autoencoder (Chen et al. 2022, arXiv 2202.03026) and V-JEPA (Bardes et al. 2024, arXiv 2404.08471) judge so what the mean
    over tokens hides.

    Args:
        heads: of the query; fewer where the width is no multiple.
        steps: updates.
        batch: samples an update, at most.
        samples: that are learned from, at most, evenly spaced over those with labels; 512 MiB of features bound them too.
    """

    name = "attentive"

    def __init__(self, *, heads: Count = 4, steps: Count = 300, batch: Count = 256, samples: Count = 4096):
        self.heads, self.steps, self.batch, self.samples = heads, steps, batch, samples

    def lacks(self, bench: Bench, name: str) -> str:
        return super().lacks(bench, name) or ("" if has_tokens(bench.ways[name]) else "a network with local features")

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        train, network, probes, learned = bench.split.train, bench.ways[name].network, [], {}
        for each in bench.budgets:
            for number in range(min(DRAWS, bench.repeats(each))):
                bench.say(f"judging {name}: attentive on {each or 'all'} labels a class")
                part = train.subset(bench.labelled(each, number))
                held = store(network, part, self.samples, bench.device)
                groups = None if part.groups is None else part.groups[held.at]
                probes.append(self._probe(held, part.labels[held.at], groups, bench, FEW if each else None, number))
                learned[each] = len(held.at)
        answers, apart = iter(_answers(probes, bench, name)), "" if train.groups is None else ", groups whole"
        for each in bench.budgets:
            mine = [next(answers) for _ in range(min(DRAWS, bench.repeats(each)))]
            yield from agreement(bench, name, name, mine, task=self.name, labels=each, n_train=learned[each],
                                 protocol=self._protocol(each, apart))

    def _protocol(self, each: int | None, apart: str) -> str:
        how = "{:g}, decay {:g}".format(*FEW) if each else f"and decay of {len(GRID)} pairs the best on a fifth held out{apart}"
        return (f"one query of up to {self.heads} heads over local features, then linear; AdamW, {self.steps} steps, lr {how}; "
                f"at most {self.samples} samples, evenly spaced")

    def _probe(self, held: Stored, labels: np.ndarray, groups: np.ndarray | None, bench: Bench, setting: tuple | None,
               number: int) -> tuple[Probes, Tensor, Tensor]:
        """The probe with the setting that is given, or that was chosen on held-out samples and then learned from all, with what
        its features are standardised by."""
        target, everything = torch.as_tensor(labels), np.arange(len(labels))
        if setting is None:
            out = fold_of(len(labels), groups, 5, labels) == 0
            setting = GRID[0]
            if out.any() and not out.all():
                tried = self._train(held, target, everything[~out], GRID, bench, number)
                setting = GRID[int(_accuracy(tried, held, target, everything[out], bench.device).argmax())]
        return self._train(held, target, everything, [setting], bench, number), held.mean, held.std

    def _train(self, held: Stored, target: Tensor, at: np.ndarray, settings: list[tuple] | tuple, bench: Bench, number: int) -> Probes:
        """One probe a setting, all of them in one pass over the samples at ``at``."""
        probes = Probes(len(settings), held.values.shape[-1], bench.classes, self.heads, bench.seed + number).to(bench.device)
        optimiser = torch.optim.AdamW([{"params": one.parameters(), "weight_decay": decay, "peak": lr}
                                       for one, (lr, decay) in zip(probes.each, settings, strict=True)])
        at, size = torch.as_tensor(at), min(self.batch, len(at))
        for step in range(self.steps):
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * warmup_cosine(step / self.steps, 0.1)
            now = at[stream(bench.seed + number, step, size, len(at))[0]]
            found = probes(held.values[now].to(bench.device).float(), held.valid[now].to(bench.device))
            loss = nn.functional.cross_entropy(found.flatten(0, 1), target[now].to(bench.device).repeat(len(found)))
            optimiser.zero_grad()
            (loss * len(found)).backward()
            optimiser.step()
        return probes


class Probe(nn.Module):
    """Weights of one probe. With one query its product with the key map is all that matters, so that is what is learned.

    Args:
        width: D of the features.
        classes: number of classes.
        heads: of the query; the next lower divisor of ``width`` where it is none.
        generator: of the weights.
    """

    def __init__(self, width: int, classes: int, heads: int, generator: Generator):
        super().__init__()
        heads = max(h for h in range(1, heads + 1) if width % h == 0)
        self.query = nn.Parameter(torch.zeros(heads, width))
        self.value = nn.Parameter(generator.normal(heads, width, width // heads) / math.sqrt(width))
        self.out = nn.Parameter(torch.zeros(width, classes))
        self.bias = nn.Parameter(torch.zeros(classes))


class Probes(nn.Module):
    """Probes that begin alike and are computed at once."""

    def __init__(self, count: int, width: int, classes: int, heads: int, seed: int):
        super().__init__()
        self.each = nn.ModuleList(Probe(width, classes, heads, Generator(seed, "attentive")) for _ in range(count))

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """``x (B, N, D)``, ``valid (B, N)`` -> logits ``(R, B, classes)``; a sample without a valid token is seen evenly."""
        query, value, out, bias = (torch.stack([getattr(one, name) for one in self.each]) for name in ("query", "value", "out", "bias"))
        weight = torch.einsum("bnd,rhd->rbhn", x, query) / math.sqrt(x.shape[-1])
        weight = weight.masked_fill(~valid[:, None], torch.finfo(x.dtype).min).softmax(-1)
        found = torch.einsum("rbhn,bnd->rbhd", weight, x)
        return torch.einsum("rbhd,rhdv->rbhv", found, value).flatten(2) @ out + bias[:, None]


@torch.no_grad()
def _accuracy(probes: Probes, held: Stored, target: Tensor, at: np.ndarray, device: torch.device | str) -> Tensor:
    """Share of right answers of each probe ``(R,)``."""
    total = torch.zeros(len(probes.each))
    for part in torch.as_tensor(at).split(512):
        found = probes(held.values[part].to(device).float(), held.valid[part].to(device)).argmax(-1).cpu()
        total += (found == target[part]).sum(1)
    return total / len(at)


@torch.no_grad()
def _answers(probes: list[tuple[Probes, Tensor, Tensor]], bench: Bench, name: str) -> list[Tensor]:
    """Of each probe the class of each test sample ``(n_test,)``, in one pass over them."""
    test, answers = bench.split.test, [[] for _ in probes]
    for _, found in passed(bench.ways[name].network, test, bench.device):
        for (probe, mean, std), told in zip(probes, answers, strict=True):
            told.append(probe((found.local.float() - mean) / std, seen(found))[0].argmax(-1).cpu())
    return [torch.cat(told) for told in answers]
