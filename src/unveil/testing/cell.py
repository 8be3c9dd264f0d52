"""What is checked: one method, with a tiny encoder, on a tiny planted set."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from unveil.contracts import Encoder, Method
from unveil.data.order import stream
from unveil.data.samples import Samples
from unveil.kinds.kind import Kind
from unveil.provenance import fingerprint
from unveil.randomness import Generator, key
from unveil.recipes.check import TABLES, find, names
from unveil.recipes.fit import encoders, variants
from unveil.recipes.recipe import Recipe
from unveil.training.loop import Loop
from unveil.training.settings import Training
from unveil.training.step import TrainStep

HELD = 512  # samples that are learned from, and as many to test on
TRAINING = dict(steps=400, batch=32, lr=3e-3, precision="32")


@dataclass
class Cell:
    """A method to be checked on a kind with an encoder, all tiny.

    Args:
        method: class.
        kind: with settings that make its planted samples small; None takes the first that offers what encoder and method ask for.
        encoder: class; None takes the kind's own, or the first that reads what it offers and supports what the method needs.
        settings: of the method, over its own ``tiny``.
        encoder_settings: of the encoder, over its own ``tiny``.
        training: settings of :class:`unveil.training.settings.Training` for the checks that learn, over :data:`TRAINING`.
    """

    method: type[Method]
    kind: Kind | None = None
    encoder: type[Encoder] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    encoder_settings: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kind, self.encoder = fitted(self.method.needs, self.kind, self.encoder, self.method.asks)

    def __str__(self) -> str:
        return f"{self.method.__name__} with {self.encoder.__name__} on {self.kind.name}"

    def samples(self, seed: int = 0) -> tuple[Samples, Samples]:
        """Planted samples to learn from and, of the same patterns, to test on; another seed has other patterns."""
        return planted(self.kind, seed)

    def build_encoder(self, seed: int = 0) -> Encoder:
        """With initial weights that depend on ``seed`` alone."""
        spec = self.samples(seed)[0].spec()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(seed, "encoder") >> 1)
            encoder = self.encoder(spec, **(self.encoder.tiny | self.encoder_settings))
        encoder.kind = self.kind
        return encoder

    def build(self, seed: int = 0, **changes: Any) -> Method:
        """The method around a new encoder; ``changes`` are settings over the cell's."""
        encoder = self.build_encoder(seed)
        lacks = self.method.needs - encoder.supports
        assert not lacks, f"{self}: the method needs {sorted(lacks)}, which the encoder does not support: check it with another"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(seed, "method") >> 1)
            return self.method(encoder, **(self.method.tiny | self.settings | changes))

    def step(self, index: int = 0, total: int = 100, seed: int = 0) -> TrainStep:
        return TrainStep(self.kind, seed, index, total)

    def batch(self, index: int = 0, size: int = 8, seed: int = 0):
        """What the run of ``seed`` reads at step ``index``."""
        samples = self.samples(seed)[0]
        return samples.batch(*stream(seed, index, size, len(samples)))

    def settings_of_training(self, **changes: Any) -> Training:
        return Training(**(TRAINING | self.training | changes))

    def loop(self, folder: Path | None, definition: str = "one", **changes: Any) -> Loop:
        """A new run of 8 samples a step; ``changes`` are settings of its training."""
        settings = self.settings_of_training(**({"batch": 8} | changes))
        return Loop(self.build(), self.kind, self.samples()[0], settings, folder=folder, definition=definition)

    def recipe(self, names: dict[str, str], seed: int = 0) -> Recipe:
        """As a run of this cell would save it, under the ``names`` that :func:`named` gave."""
        return Recipe(kind={"name": names["kind"]} | self.kind.fixed(self.samples(seed)[0]),
                      encoder={"name": names["encoder"]} | self.encoder.tiny | self.encoder_settings,
                      method={"name": names["method"]} | self.method.tiny | self.settings, train={}, seed=seed)

    @contextmanager
    def named(self) -> Iterator[dict[str, str]]:
        """Names under which recipes find the three classes while this lasts, also those of another package."""
        with named("kind", type(self.kind)) as kind, named("encoder", self.encoder) as encoder, named("method", self.method) as method:
            yield {"kind": kind, "encoder": encoder, "method": method}


def fitted(needs: frozenset[str], kind: Kind | None = None, encoder: type[Encoder] | None = None,
           asks: frozenset[str] = frozenset()) -> tuple[Kind, type[Encoder]]:
    """A kind and an encoder that go together and support what a method needs and asks for: those given, else the first of their tables,
    grids before others."""
    made = [(kind, kind.offers)] if kind else [(find("kind", name)(**find("kind", name).tiny | settings), offers)
                                               for name in names("kind") for settings, offers in variants(find("kind", name))]
    made.sort(key=lambda each: "grid" not in each[1])
    for each, offers in made:
        if asks - offers:
            continue
        if encoder:
            if encoder.reads <= offers:
                return each, encoder
        elif found := encoders(offers, needs):
            return each, find("encoder", each.encoder if each.encoder in found else found[0])
    reads = f"reads {sorted(encoder.reads)}" if encoder else f"supports {sorted(needs)}"
    raise AssertionError(f"no kind has samples for {encoder.__name__ if encoder else 'an encoder'} that {reads}"
                         + (f": {kind.name} offers {sorted(kind.offers)}" if kind else ""))


def left(loop: Loop) -> dict[str, torch.Tensor]:
    """All that a run leaves for the next step: weights, buffers, and the optimiser's state."""
    tensors = dict(loop.method.state_dict())
    for number, state in loop.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser {number} {name}": torch.as_tensor(x) for name, x in state.items() if x is not None}
    return tensors


def bits(loop: Loop) -> str:
    """Hash of all that a run leaves."""
    return fingerprint(left(loop))


@lru_cache(maxsize=16)
def planted(kind: Kind, seed: int = 0) -> tuple[Samples, Samples]:
    """Samples to learn from and to test on."""
    samples = kind.planted(2 * HELD, Generator("planted", seed))
    return samples.subset(np.arange(HELD)), samples.subset(np.arange(HELD, 2 * HELD))


@contextmanager
def named(section: str, thing: type) -> Iterator[str]:
    """The name of a class in its table; one that is in none stands there while this lasts."""
    place = f"{thing.__module__}:{thing.__qualname__}"
    known = next((name for name, at in TABLES[section].items() if at == place), None)
    if known:
        yield known
        return
    name, module = f"checked {thing.__name__}", ModuleType(f"checked_{section}")
    module.thing = thing
    sys.modules[module.__name__], TABLES[section][name] = module, f"{module.__name__}:thing"
    try:
        yield name
    finally:
        del sys.modules[module.__name__], TABLES[section][name]
