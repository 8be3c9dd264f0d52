"""The probe: scikit-learn's own on the same features, many at once, at every label budget."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from benches import bench_of, blobs, features
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import cross_entropy

from unveil.tasks.bench import Bench
from unveil.tasks.fewshot import Curve, FewShot
from unveil.tasks.linear import GRID, Linear, fit, fold_of, predict, probe
from unveil.tasks.logistic import logistic
from unveil.tasks.task import judge


def objective(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor, cost: float) -> float:
    """What a regression ``(D + 1, classes)`` minimises, written down again."""
    return float(cost * cross_entropy(x @ w[:-1] + w[-1], y, reduction="sum") + w[:-1].square().sum() / 2)


def tensors(**how) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = blobs(**how)
    return torch.as_tensor(x), torch.as_tensor(y)


@pytest.mark.parametrize("cost", [1e-3, 0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("apart", [1.0, 4.0])
def test_the_minimum_is_that_of_scikit_learn(cost, apart):
    x, y = tensors(count=900, classes=5, width=40, apart=apart)
    theirs = LogisticRegression(C=cost, tol=1e-9, max_iter=20000).fit(x[:300], y[:300])
    ours = logistic(x[:300], y[:300], 5, torch.tensor([cost]))[0]
    held = torch.as_tensor(np.vstack([theirs.coef_.T, theirs.intercept_]))
    assert objective(ours, x[:300], y[:300], cost) == pytest.approx(objective(held, x[:300], y[:300], cost), rel=1e-4)
    assert (predict(ours[None], x)[0].numpy() == theirs.predict(x)).mean() >= 0.995


def test_a_probe_on_raw_features_is_scikit_learns_on_standardised_ones():
    x, y = tensors(count=900, classes=5, width=40, apart=3.0)
    x = x * torch.logspace(-3, 3, 40) + 5
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=5000))
    theirs.fit(x[:300], y[:300])
    ours = fit(x[:300], y[:300].numpy(), None, 5, 1.0)
    assert (predict(ours[None], x)[0].numpy() == theirs.predict(x)).mean() >= 0.995


def test_many_at_once_are_each_alone():
    x, y = tensors(count=200)
    weight = (torch.arange(200) % 3 > 0).double()
    many = logistic(x, y, 4, torch.tensor(GRID), weight=weight)
    kept = x[weight > 0], y[weight > 0]
    for cost, w in zip(GRID, many, strict=True):
        alone = logistic(*kept, 4, torch.tensor([cost]))[0]
        assert objective(w, *kept, cost) == pytest.approx(objective(alone, *kept, cost), rel=1e-4)
    own = torch.stack([weight, 1 - weight])
    pair = logistic(x, y, 4, torch.tensor([1.0, 1.0]), weight=own)
    assert torch.allclose(pair[1], logistic(x, y, 4, torch.tensor([1.0]), weight=own[1])[0], atol=1e-3)


def test_twenty_regularisations_cost_about_one():
    x, y = tensors(count=1000, classes=5, width=32, apart=3.0)

    def seconds(costs: torch.Tensor) -> float:
        begun = time.process_time()
        logistic(x.float(), y, 5, costs, steps=100, tolerance=1e-4)
        return time.process_time() - begun
    hardest, twenty = torch.tensor([100.0]), torch.logspace(-3, 2, 20)
    assert min(seconds(twenty) for _ in range(5)) < 5 * min(seconds(hardest) for _ in range(5)), "one by one they cost about 8"


def test_folds_hold_whole_groups_and_else_every_class():
    draw = np.random.default_rng(0)
    groups, labels = draw.integers(0, 9, 200), draw.integers(0, 3, 200)
    part = fold_of(200, groups, 5, labels)
    assert set(part) == set(range(5)) and all(len(set(part[groups == group])) == 1 for group in range(9))
    alone = fold_of(200, None, 5, labels)
    assert all(np.ptp([((alone == fold) & (labels == label)).sum() for fold in range(5)]) <= 1 for label in range(3))


def test_budgets_and_what_is_said_of_them():
    x, y = blobs(apart=4.0)
    bench = bench_of(features(x, y), budgets=(5, None), draws=3)
    rows, left = judge(bench, [Linear(), FewShot(), Curve()])
    assert not left
    of = {task: [row for row in rows if (row["task"], row["metric"]) == (task, "accuracy")] for task in ("linear", "few-shot", "curve")}
    assert [row["labels"] for row in of["linear"]] == [5, None] and [row["labels"] for row in of["few-shot"]] == [1, 2, 5, 10, 20]
    smallest = bench.smallest
    assert of["curve"][0]["labels"] == 1 and of["curve"][-1]["labels"] is None and len(of["curve"]) == 6
    assert all(row["labels"] < smallest for row in of["curve"][:-1])
    assert [row["value"] for row in of["linear"]] == [of["few-shot"][2]["value"], of["curve"][-1]["value"]]
    assert all(len(row["values"]) == (3 if row["labels"] else 1) for row in rows)
    assert all(row["low"] <= row["value"] <= row["high"] for its in of.values() for row in its)
    values = [row["value"] for row in of["curve"]]
    assert values[-1] > values[0] + 0.1 and values[-1] > 0.8, "more labels help"


def test_budgets_above_the_smallest_class_are_left_out_and_that_is_said():
    x, y = blobs(60)
    rows, _ = judge(bench_of(features(x, np.where((y == 3) & (np.arange(60) > 30), -1, y))), [FewShot()])
    assert [row["labels"] for row in rows if row["metric"] == "accuracy"] == [1, 2, 5]
    assert all(row["protocol"].endswith("labels: 10 and 20 left out") for row in rows)


def test_no_probe_is_made_twice(monkeypatch):
    made = []
    monkeypatch.setattr("unveil.tasks.linear.fit", lambda x, *rest: made.append(len(x)) or fit(x, *rest))
    bench = bench_of(features(*blobs(160)), budgets=(1, 5, None))
    judge(bench, [Linear(), FewShot(labels=(1, 5)), Linear()])
    assert len(made) == 5 + 5 + 1
    probe(bench, "features")
    assert len(made) == 11


def test_shuffled_labels_are_at_chance():
    x, y = blobs(800)
    rows, _ = judge(bench_of(features(x, np.random.default_rng(1).permutation(y)), budgets=(20, None)), [Linear()])
    chance = {"accuracy": 0.25, "balanced accuracy": 0.25, "kappa": 0.0, "ROC-AUC": 0.5}
    assert all(abs(row["value"] - chance[row["metric"]]) < 0.08 for row in rows)


def test_progress_of_a_long_step_is_said(monkeypatch):
    said, now = [], iter(range(0, 1000, 4))
    monkeypatch.setattr("unveil.tasks.bench.time.monotonic", lambda: next(now))
    tick = Bench(None, {}, say=said.append).counter("words", 1000)
    for _ in range(10):
        tick(100)
    assert said == ["words: 200 of 1,000, 32 s left", "words: 400 of 1,000, 24 s left", "words: 600 of 1,000, 16 s left",
                    "words: 800 of 1,000, 8 s left"]
