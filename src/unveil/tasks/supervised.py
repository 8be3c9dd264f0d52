"""Training the whole network on labels: from scratch, the control that every frozen feature must beat, or from taught weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from unveil.contracts import Count, Encoder, Fraction, NotNegative, Positive
from unveil.data.order import stream
from unveil.data.samples import Samples
from unveil.parts.schedules import warmup_cosine
from unveil.randomness import Generator, key
from unveil.tasks.bench import Bench, right
from unveil.tasks.embedded import embed
from unveil.tasks.result import Result
from unveil.tasks.task import Task

DRAWS = 3  # repeats of training a whole network, which takes a hundred times longer than a probe


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """How a network is trained on labels. Both controls use the same.

    Args:
        steps: updates at the fewest labels.
        epochs: passes over the labelled samples, where that is more.
        batch: samples an update, at most.
        lr: peak of AdamW.
        decay: weight decay.
        area: share of a sample that a training view covers.
        strength: of value changes in training views.
    """

    steps: Count = 150
    epochs: Positive = 10.0
    batch: Count = 64
    lr: Positive = 1e-3
    decay: NotNegative = 0.05
    area: tuple[Fraction, Fraction] = (0.7, 1.0)
    strength: NotNegative = 0.5


def train_on_labels(encoder: Encoder, samples: Samples, labels: np.ndarray, classes: int, kind, settings: Supervised, seed: int,
                    device: torch.device | str = "cpu"):
    """A copy of ``encoder`` with a linear head, trained on every sample; returns batch -> logits ``(B, classes)``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(seed, "supervised") >> 1)
        network = copy.deepcopy(encoder).to(device).requires_grad_(True).train()
        head = nn.Linear(encoder.width, classes).to(device)
    groups = [*network.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.decay)
    target = torch.as_tensor(labels, device=device)
    size = min(settings.batch, len(samples))
    bf16 = torch.cuda.is_bf16_supported() if target.is_cuda else torch.cpu._is_avx512_bf16_supported()
    total = max(settings.steps, round(settings.epochs * len(samples) / size))
    for step in range(total):
        generator = Generator(seed, "supervised", step, device=device)
        at, keys = stream(seed, step, size, len(samples))
        batch = samples.batch(at, keys).to(device)
        view, = kind.view(batch, 1, area=settings.area, size=1.0, strength=settings.strength, symmetry=True, generator=generator)
        for group in optimiser.param_groups:
            group["lr"] = settings.lr * warmup_cosine(step / total, 0.1)
        with torch.autocast(target.device.type, torch.bfloat16, enabled=bf16):
            loss = nn.functional.cross_entropy(head(network(view).pooled), target[at.to(device)])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    return lambda batch: head(network(batch).pooled)



class Network(Task):
    """The whole network trained on the labels, from the weights of each way that asks for it."""

    name = "network"

    def __init__(self, *, settings: Supervised | None = None):
        self.settings = settings or Supervised()

    def lacks(self, bench: Bench, name: str) -> str:
        return super().lacks(bench, name) or ("" if bench.ways[name].trained else "a network to train")

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        way, train, test = bench.ways[name], bench.split.train, bench.split.test
        for each in bench.budgets:
            scores, at = [], None
            for number in range(min(DRAWS, bench.repeats(each))):
                bench.say(f"{way.trained} on {each or 'all'} labels a class")
                at = bench.labelled(each, number)
                answer = train_on_labels(way.network, train.subset(at), train.labels[at], bench.classes, bench.kind, self.settings,
                                         bench.seed + number, bench.device)
                scores.append(right(embed(test, answer, device=bench.device).features.argmax(-1), test.labels))
            yield bench.result(way.trained, name, scores, task=self.name, labels=each, n_train=len(at),
                               protocol="all weights trained on the labels, AdamW, light views")
