"""Training a network on labels, whole or its last blocks: from scratch, the control that every frozen feature must beat, or from
taught weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Count, Encoder, Fraction, NotNegative, Positive
from unveil.data.order import stream
from unveil.data.samples import Samples
from unveil.parts.noise import row_error, shaken
from unveil.parts.precision import bfloat16_pays
from unveil.parts.schedules import warmup_cosine
from unveil.parts.vectors import VectorHead
from unveil.randomness import Generator, key
from unveil.tasks.bench import Bench
from unveil.tasks.embedded import embed
from unveil.tasks.goals import Goal, goals
from unveil.tasks.linear import fold_of
from unveil.tasks.result import Result
from unveil.tasks.task import Task

DRAWS = 3  # repeats of training a whole network, which takes a hundred times longer than a probe


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """How a network is trained on labels. All ways use the same.

    Args:
        steps: updates at the fewest labels.
        epochs: passes over the labelled samples, where that is more.
        batch: samples an update, at most.
        lr: peak of AdamW on few labels, too few to choose it by.
        rates: peaks to choose from on all labels.
        decay: weight decay.
        area: share of a sample that a training view covers; None takes that of the kind's light views.
        strength: of value changes in training views; None likewise.
        noise: deviation of the noise on the places of rows, in their unit, that the network is asked for beside the answer; 0 for none.
        noise_weight: of that in the loss.
    """

    steps: Count = 150
    epochs: Positive = 10.0
    batch: Count = 64
    lr: Positive = 1e-3
    rates: tuple[Positive, ...] = (3e-4, 1e-3, 3e-3)
    decay: NotNegative = 0.05
    area: tuple[Fraction, Fraction] | None = None
    strength: NotNegative | None = None
    noise: NotNegative = 0.0
    noise_weight: NotNegative = 0.1

    def views(self, kind) -> dict[str, Any]:
        """Settings of the training views of a kind."""
        given = {"area": self.area, "strength": self.strength}
        return dict(kind.light, size=1.0, symmetry=True) | {name: value for name, value in given.items() if value is not None}


def train_on_labels(encoder: Encoder, samples: Samples, goal: Goal, kind, settings: Supervised, seed: int,
                    device: torch.device | str = "cpu", blocks: int | None = None) -> Callable[[Batch], Tensor]:
    """A copy of ``encoder`` with a linear head, trained on every sample; returns batch -> answers ``(B, outputs)``.

    Args:
        encoder: where training begins.
        samples: of each of which the answer is known.
        goal: what is to be answered.
        kind: makes views.
        settings: of the training.
        seed: of head, order and views.
        device: where it works.
        blocks: train so many last blocks and the closing norm alone; None trains everything.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(seed, "supervised") >> 1)
        network = copy.deepcopy(encoder).to(device)
        head = nn.Linear(encoder.width, goal.outputs).to(device)
        aside = VectorHead(encoder.width).to(device) if settings.noise else nn.Module()
    moving = _opened(network, blocks)
    trained = [*(p for p in network.parameters() if p.requires_grad), *head.parameters(), *aside.parameters()]
    optimiser = torch.optim.AdamW(trained, lr=settings.lr, weight_decay=settings.decay)
    goal, views = goal.fitted(samples), settings.views(kind)
    wanted = goal.wanted(samples).to(device)
    size = min(settings.batch, len(samples))
    bf16 = bfloat16_pays(wanted.device.type, samples.packed, network)
    total = max(settings.steps, round(settings.epochs * len(samples) / size))
    for part in moving:
        part.train()
    for step in range(total):
        generator = Generator(seed, "supervised", step, device=device)
        at, keys = stream(seed, step, size, len(samples))
        batch = samples.batch(at, keys).to(device)
        view, = kind.view(batch, 1, generator=generator, **views)
        for group in optimiser.param_groups:
            group["lr"] = settings.lr * warmup_cosine(step / total, 0.1)
        if settings.noise:
            view, noise = shaken(view, settings.noise, Generator(seed, "noise", step, device=device), centred=True)
        with torch.autocast(wanted.device.type, torch.bfloat16, enabled=bf16):
            found = network(view)
            loss = goal.loss(head(found.pooled), wanted[at.to(device)])
            if settings.noise:
                said = aside(found.local, found.vectors)
                loss = loss + settings.noise_weight * row_error(said, noise / settings.noise, view.valid)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    return lambda batch: goal.answer(head(network(batch).pooled))


def _opened(network: Encoder, blocks: int | None) -> list[nn.Module]:
    """Lets gradients into what is trained; the modules that are then to be in training mode."""
    moving = [network] if blocks is None else network.chain()[-1 - blocks:]
    network.eval().requires_grad_(False)
    for part in moving:
        part.requires_grad_(True)
    return moving


class Network(Task):
    """The whole network trained on the labels, or on the targets, from the weights of each way that asks for it.

    On all labels the learning rate is the one that does best on a fifth of the labelled samples, whole groups where there are two or
    more, after training on the rest in half of ``steps`` updates; on few labels it is fixed.
    """

    name = "network"
    taught, untaught = "fine-tuned", "from scratch"
    blocks: int | None = None

    def __init__(self, *, settings: Supervised | None = None):
        self.settings = settings or Supervised()

    def lacks(self, bench: Bench, name: str) -> str:
        if not bench.ways[name].trained:
            return "a network to train"
        return "" if goals(bench) else "labels, or numbers to predict that differ (--targets)"

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        for goal in goals(bench, bench.ways[name].network):
            yield from self._judge(bench, name, goal)

    def _judge(self, bench: Bench, name: str, goal: Goal) -> Iterator[Result]:
        way, train, test = bench.ways[name], bench.split.train, bench.split.test
        called = way.trained if self.blocks is None else name
        for each in goal.budgets(bench):
            answers, at = [], None
            for number in range(min(DRAWS, bench.repeats(each))):
                at = goal.labelled(bench, each, number)
                bench.say(f"{called}, {self._what()} on {len(at):,} {goal.learned}")
                part = train.subset(at)
                settings = self.settings if each else replace(self.settings, lr=self._rate(bench, way.network, part, goal))
                answer = train_on_labels(way.network, part, goal, bench.kind, settings, bench.seed + number, bench.device, self.blocks)
                answers.append(embed(test, answer, device=bench.device).features)
            rates = ", ".join(f"{rate:g}" for rate in self.settings.rates)
            how = f"lr {settings.lr:g}" + ("" if each else f" of {rates} by a fifth held out")
            yield from goal.results(bench, called, name, answers, each, task=self.name, n_train=len(at),
                                    protocol=f"{self._what()} trained on the {goal.learned}, AdamW, {how}, light views{self._more()}")

    def _what(self) -> str:
        return "all weights"

    def _more(self) -> str:
        noise, weight = self.settings.noise, self.settings.noise_weight
        return f"; places shaken by {noise:g}, the noise asked for with weight {weight:g}" if noise else ""

    def _rate(self, bench: Bench, network: Encoder, part: Samples, goal: Goal) -> float:
        """The best of the rates on held-out samples, of equals the smallest; the usual one where no samples can be held out."""
        out = fold_of(len(part), part.groups, 5, goal.strata(part)) == 0
        if out.all() or not goal.varies(part.subset(~out)):
            return self.settings.lr
        learn, held = part.subset(~out), part.subset(out)
        steps = max(1, self.settings.steps // 2)
        epochs, found = steps * min(self.settings.batch, len(learn)) / len(learn), []
        for rate in sorted(self.settings.rates):
            bench.say(f"trying a learning rate of {rate:g}")
            short = replace(self.settings, lr=rate, steps=steps, epochs=epochs)
            answer = train_on_labels(network, learn, goal, bench.kind, short, bench.seed, bench.device, self.blocks)
            found.append(np.mean(goal.merit(embed(held, answer, device=bench.device).features, held)))
        return sorted(self.settings.rates)[int(np.argmax(found))]


class Partial(Network):
    """The last blocks, the closing norm and a linear head trained on the labels, the rest as it was (He et al. 2022, arXiv 2111.06377).

    Args:
        blocks: how many.
        settings: of the training.
    """

    name = "partial"
    taught, untaught = Task.taught, Task.untaught

    def __init__(self, *, blocks: Count = 1, settings: Supervised | None = None):
        super().__init__(settings=settings)
        self.blocks = blocks

    def lacks(self, bench: Bench, name: str) -> str:
        if reason := super().lacks(bench, name):
            return reason
        there = len(bench.ways[name].network.chain()) - 2
        return "" if there >= self.blocks else f"a network with {self.blocks} blocks or more that says their order"

    def _what(self) -> str:
        return f"the last {self.blocks} blocks" if self.blocks > 1 else "the last block"


class NoisyNodes(Network):
    """As the task network, while places are shaken a little and a head on the vectors is asked for the noise: Noisy Nodes (Godwin et al.
    2022, arXiv 2106.07971), with the noise of the published fine-tuning on QM9. Scored on samples that are not shaken.

    Args:
        settings: of the training.
    """

    name = "noisy-nodes"

    def __init__(self, *, settings: Supervised | None = None):
        super().__init__(settings=settings or Supervised(noise=0.005))

    def lacks(self, bench: Bench, name: str) -> str:
        if reason := super().lacks(bench, name):
            return reason
        return "" if "vectors" in bench.ways[name].network.supports else "a network whose features hold vectors, for samples with places"
