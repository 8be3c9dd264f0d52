"""The attentive probe finds what a mean over tokens hides, and nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.planted import Patches, halves, series
from unveil.tasks import local
from unveil.tasks.attentive import Attentive, Probes
from unveil.tasks.bench import Bench, Way
from unveil.tasks.linear import Linear


def flagged(count: int = 400, tokens: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every token shows one of three patterns; the class is that of the one token that carries a flag. Values, classes, flagged place."""
    rng = np.random.default_rng(seed)
    shown, place = rng.integers(0, 3, (count, tokens)), rng.integers(0, tokens, count)
    values = np.zeros((count, 1, tokens, 4), np.float32)
    values[..., :3] = 2 * np.eye(3)[shown][:, None] + 0.3 * rng.normal(size=(count, 1, tokens, 3))
    values[np.arange(count), 0, place, 3] = 3
    return values.reshape(count, 1, -1), shown[np.arange(count), place], place


def bench(labels: np.ndarray, values: np.ndarray, budgets=(None,), **columns) -> Bench:
    held = series(values, labels=labels, classes=["a", "b", "c"], **columns)
    return Bench(halves(held), {"patches": Way.frozen(Patches(4, 1, 1))}, budgets=budgets, draws=2)


def score(task, held: Bench) -> float:
    return [result.value for result in task.judge(held, "patches") if result.metric == "accuracy"][-1]


def test_a_flagged_token_is_found_where_the_mean_over_tokens_hides_it():
    values, labels, _ = flagged()
    held = bench(labels, values)
    found, mean = score(Attentive(steps=150), held), score(Linear(), held)
    assert found > 0.9 > 0.7 > mean
    shuffled = np.random.default_rng(1).permutation(labels)
    assert abs(score(Attentive(steps=150), bench(shuffled, values)) - 1 / 3) < 0.1, "shuffled labels must leave chance"


def test_tokens_without_values_are_not_seen():
    values, labels, place = flagged()
    valid = np.ones((len(values), values.shape[2]), bool)
    for i, at in enumerate(place):
        valid[i, 4 * at:4 * at + 4] = False
    assert score(Attentive(steps=150), bench(labels, values)) > 0.9
    held = bench(labels, values, valid=valid)
    assert score(Attentive(steps=150), held) < 0.5, "the flagged token has no values, and says nothing"


def test_a_sample_without_a_value_gives_a_finite_answer():
    probes = Probes(2, 8, 3, 4, seed=0)
    for one in probes.each:
        torch.nn.init.ones_(one.query)
    x = torch.randn(2, 5, 8)
    assert probes(x, torch.tensor([[False] * 5, [True] * 5])).isfinite().all()


def test_what_is_written_says_how_many_samples_were_learned_from(monkeypatch):
    values, labels, _ = flagged()
    rows = [row for row in Attentive(samples=100, steps=3).judge(bench(labels, values, (1, None)), "patches") if row.metric == "accuracy"]
    assert [(row.labels, row.n_train, len(row.values)) for row in rows] == [(1, 3, 2), (None, 100, 1)]
    assert rows[1].protocol != rows[0].protocol and rows[1].n_test == 200
    monkeypatch.setattr(local, "MEMORY", 50 * 2 * values[0].size)
    assert {row.n_train for row in Attentive(steps=1).judge(bench(labels, values), "patches")} == {50}


def test_settings_are_chosen_on_whole_groups(monkeypatch):
    values, labels, _ = flagged(200)
    task, chosen = Attentive(steps=2), []
    learn = task._train
    monkeypatch.setattr(task, "_train", lambda held, target, at, *rest: chosen.append(at) or learn(held, target, at, *rest))
    groups = np.arange(200) // 10 % 10
    list(task.judge(bench(labels, values, groups=groups), "patches"))
    first, whole = chosen
    left = set(range(100)) - set(first.tolist())
    assert len(whole) == 100 and left and not set(groups[first]) & set(groups[sorted(left)])


def test_a_way_without_tokens_is_told_what_it_lacks():
    values, labels, _ = flagged(40)
    held = bench(labels, values)
    held.ways = {"plain": Way(lambda batch: batch.values.flatten(1))}
    assert Attentive().lacks(held, "plain") == "a network with local features"


@pytest.mark.parametrize("heads, used", [(4, 4), (5, 4), (1, 1)])
def test_heads_divide_the_width(heads, used):
    assert Probes(1, 8, 2, heads, 0).each[0].query.shape == (used, 8)
