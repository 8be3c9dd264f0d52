"""Training on labels, whole or the last blocks: finds what was planted, moves only what it says, chooses its rate without the test."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.planted import halves
from unveil.data.samples import Samples
from unveil.encoders.conv import ConvNet
from unveil.encoders.transformer import Transformer
from unveil.kinds.signal import Signal
from unveil.randomness import Generator
from unveil.tasks import supervised
from unveil.tasks.bench import Bench, Way
from unveil.tasks.goals import Classes, Numbers
from unveil.tasks.supervised import Network, Partial, Supervised, train_on_labels

QUICK = Supervised(steps=30, epochs=1, batch=32, rates=(1e-3, 1e-2), strength=0.0, area=(1.0, 1.0))
KIND = Signal(window=32)


def samples(count: int = 160, **columns) -> Samples:
    held = KIND.planted(count, Generator(0, "test"))
    for name, column in columns.items():
        setattr(held, name, column)
    return held


def bench(held: Samples, encoder=ConvNet, budgets=(None,)) -> Bench:
    torch.manual_seed(0)
    network = encoder(held.spec(), **encoder.tiny)
    return Bench(halves(held), {"random init": Way.frozen(network, "from scratch")}, KIND, budgets=budgets, draws=2)


def rows(task: Network, held: Bench) -> list:
    return [row for row in task.judge(held, "random init") if row.metric in ("accuracy", "MAE")]


@pytest.mark.parametrize("task, called", [(Network(settings=QUICK), "from scratch"), (Partial(settings=QUICK), "random init")])
def test_what_was_planted_is_learned_and_shuffled_labels_are_not(task, called):
    held = samples()
    row, = rows(task, bench(held))
    assert row.value > 0.6 and row.features == called and row.n_train == 80 and row.task == task.name
    held.labels = np.random.default_rng(0).permutation(held.labels)
    assert rows(task, bench(held))[0].value < 0.45


@pytest.mark.parametrize("encoder", [ConvNet, Transformer])
def test_only_the_last_blocks_move(encoder):
    held = samples(32)
    network = encoder(held.spec(), **encoder.tiny)
    chain, before = network.chain(), {name: x.clone() for name, x in network.state_dict().items()}
    taught = train_on_labels(network, held, Classes(4), KIND, QUICK, 0, blocks=1).__closure__
    copied = next(cell.cell_contents for cell in taught if isinstance(cell.cell_contents, encoder))
    moved = {name for name, x in copied.state_dict().items() if not torch.equal(x, before[name])}
    last = {id(x) for part in chain[-2:] for x in [*part.parameters(), *part.buffers()]}
    ours = {name for name, x in [*network.named_parameters(), *network.named_buffers()] if id(x) in last}
    assert moved and moved <= ours, "neither weights nor running statistics of earlier blocks"
    assert {name for name, x in copied.named_parameters()} & ours <= moved | {name for name in ours if "qkv.bias" in name}
    assert all(torch.equal(x, before[name]) for name, x in network.state_dict().items()), "the encoder itself stays"


@pytest.mark.parametrize("encoder", [ConvNet, Transformer])
def test_a_chain_names_every_weight_once(encoder):
    network = encoder(samples(8).spec(), **encoder.tiny)
    held = [id(p) for part in network.chain() for p in part.parameters()]
    assert sorted(held) == sorted(id(p) for p in network.parameters())


def test_rates_are_tried_on_whole_groups_of_the_labelled_samples(monkeypatch):
    learn, seen = supervised.train_on_labels, []
    monkeypatch.setattr(supervised, "train_on_labels",
                        lambda encoder, part, *rest: seen.append((part, rest[2].lr)) or learn(encoder, part, *rest))
    held = samples(groups=np.arange(160) // 8 % 10)
    quick = Supervised(steps=1, epochs=1, batch=8, rates=(1e-3, 1e-2))
    row, = rows(Network(settings=quick), bench(held))
    (first, low), (second, high), (whole, chosen) = seen
    assert (low, high) == (1e-3, 1e-2) and chosen in (low, high) and len(whole) == 80 and f"lr {chosen:g} of 0.001, 0.01" in row.protocol
    out = set(whole.index.tolist()) - set(first.index.tolist())
    assert out and first.index.tolist() == second.index.tolist() and not set(first.groups) & {held.groups[i] for i in out}


def test_on_few_labels_the_rate_is_fixed_and_said(monkeypatch):
    seen = []
    monkeypatch.setattr(supervised, "train_on_labels", lambda encoder, part, goal, *rest: seen.append((part, rest[1].lr)) or (
        lambda batch: torch.zeros(len(batch), goal.outputs)))
    row, = rows(Network(settings=QUICK), bench(samples(), budgets=(2,)))
    assert [(len(part), lr) for part, lr in seen] == [(8, QUICK.lr)] * 2 and "lr 0.001, light" in row.protocol


def test_samples_without_a_label_are_neither_learned_from_nor_scored(monkeypatch):
    learn, seen = supervised.train_on_labels, []
    monkeypatch.setattr(supervised, "train_on_labels", lambda encoder, part, *rest: seen.append(part) or learn(encoder, part, *rest))
    labels = np.where(np.arange(160) % 3 == 0, -1, np.arange(160) % 4)
    row, = rows(Network(settings=Supervised(steps=1, epochs=1, batch=8, rates=(1e-3,))), bench(samples(labels=labels)))
    assert all((part.labels >= 0).all() for part in seen) and (row.n_train, row.n_test) == (53, 53)


def test_a_network_with_too_few_blocks_is_not_trained_in_part():
    held = bench(samples(16))
    assert Partial(blocks=2).lacks(held, "random init") == ""
    assert Partial(blocks=3).lacks(held, "random init") == "a network with 3 blocks or more that says their order"
    held.ways = {"raw": Way(lambda batch: batch.values.flatten(1))}
    assert Partial().lacks(held, "raw") == "a network to train"


def test_numbers_are_learned_in_their_unit_and_shuffled_ones_are_not():
    held = samples(240)
    held.targets = 300.0 + 40.0 * held.labels + np.random.default_rng(0).normal(size=240)
    held.labels, held.classes, held.target = None, [], "melting point (K)"
    held.targets[::7] = np.nan
    row, = rows(Network(settings=Supervised(steps=120, batch=32, rates=(1e-3, 1e-2))), bench(held))
    assert row.unit == "K" and row.direction == "lower" and row.value < 20 < 40 / 1, "the median is off by 40"
    assert row.n_train == np.isfinite(held.targets[:120]).sum() and len(row.parts) == 8 and "targets" in row.protocol
    known = np.isfinite(held.targets)
    held.targets[known] = np.random.default_rng(1).permutation(held.targets[known])
    assert rows(Network(settings=Supervised(steps=120, batch=32, rates=(1e-3, 1e-2))), bench(held))[0].value > 30


def test_numbers_are_standardised_by_what_is_learned_from_alone(monkeypatch):
    learn, seen = supervised.train_on_labels, []
    monkeypatch.setattr(supervised, "train_on_labels",
                        lambda encoder, part, goal, *rest: seen.append(goal.fitted(part)) or learn(encoder, part, goal, *rest))
    held = samples(240)
    held.targets, held.labels = np.arange(240.0), None
    found = rows(Network(settings=Supervised(steps=1, epochs=1, batch=8)), bench(held, budgets=(2,)))
    assert [row.at for row in found] == [{"samples": 20}] and [row.n_train for row in found] == [20]
    assert len({goal.centre for goal in seen}) == 2, "two draws"
    constant = Numbers().fitted(held.subset(np.zeros(4, np.int64)))
    assert (constant.centre, constant.scale) == (0.0, 1.0)


def test_labels_and_targets_are_both_judged():
    held = samples(80)
    held.targets = np.arange(80.0)
    found = list(Network(settings=Supervised(steps=1, epochs=1, batch=8, rates=(1e-3,))).judge(bench(held), "random init"))
    assert [row.metric for row in found] == ["accuracy", "balanced accuracy", "kappa", "ROC-AUC", "R2", "MAE"]
    held.targets = held.labels = None
    assert Network().lacks(bench(held), "random init") == "labels, or numbers to predict that differ (--targets)"


def test_views_are_the_kinds_light_ones_unless_settings_say_otherwise():
    class Molecules(Signal):
        light = {"area": (1.0, 1.0), "strength": 0.1}

    assert Supervised().views(Signal()) == {"area": (0.7, 1.0), "strength": 0.5, "size": 1.0, "symmetry": True}
    assert Supervised().views(Molecules()) == {"area": (1.0, 1.0), "strength": 0.1, "size": 1.0, "symmetry": True}
    assert Supervised(strength=0.0).views(Molecules())["strength"] == 0.0
