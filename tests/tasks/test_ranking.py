"""The area under the ROC curve: a count of pairs, scikit-learn's own, an interval that covers, parts that a verdict can pair."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
import torch
from benches import bench_of, blobs, features
from sklearn.metrics import roc_auc_score

from unveil.tasks.bench import draw
from unveil.tasks.fewshot import FewShot
from unveil.tasks.linear import Linear, logits, probe
from unveil.tasks.ranking import area, macro, odds, spread
from unveil.tasks.task import judge


def pairs(scores: np.ndarray, positive: np.ndarray) -> float:
    """Counted one by one."""
    return float(np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in scores[positive] for b in scores[~positive]]))


@pytest.mark.parametrize("levels", [2, 5, 10_000])
def test_the_area_is_a_count_of_pairs_with_ties_as_halves(levels):
    rng = np.random.default_rng(levels)
    positive = rng.uniform(size=120) < 0.3
    scores = rng.integers(0, levels, 120) + 0.4 * levels * positive * rng.integers(0, 2, 120)
    value, influence = area(scores, positive)
    assert value == pytest.approx(pairs(scores, positive), abs=1e-12) and value == pytest.approx(roc_auc_score(positive, scores))
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    assert area(np.zeros(120), positive)[0] == 0.5


def test_the_error_is_that_of_delong_written_down_again():
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=80) < 0.4).astype(int)
    scores = labels + 1.5 * rng.normal(size=80)
    by_pair = np.array([[1.0 * (a > b) for b in scores[labels == 0]] for a in scores[labels == 1]])
    ours = spread(*area(scores, labels == 1), labels, None).error
    theirs = by_pair.mean(1).var(ddof=1) / by_pair.shape[0] + by_pair.mean(0).var(ddof=1) / by_pair.shape[1]
    assert ours**2 == pytest.approx(theirs)


def test_several_classes_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    z, labels = torch.as_tensor(rng.normal(size=(200, 4))), rng.integers(0, 4, 200)
    theirs = roc_auc_score(labels, z.softmax(1).numpy(), multi_class="ovr", average="macro")
    assert macro(odds(z).numpy(), labels)[0] == pytest.approx(theirs)
    some = labels < 3
    assert macro(odds(z).numpy()[some], labels[some])[0] == pytest.approx(
        np.mean([roc_auc_score(labels[some] == c, z.softmax(1)[some, c]) for c in range(3)])), "a class that is not there is left out"


def test_what_is_equal_stays_equal_whatever_the_other_classes_are():
    p = torch.tensor([[0.3, 0.3, 0.4], [0.3, 0.7, 0.0], [0.3, 0.1, 0.6], [0.3, 0.35, 0.35]], dtype=torch.double)
    assert area(odds(p.log())[:, 0].numpy(), np.array([True, False, True, False]))[0] == 0.5


def test_sure_answers_keep_their_order():
    z = torch.tensor([[0.0, 800.0], [0.0, 900.0], [0.0, 850.0]], dtype=torch.double)
    assert macro(odds(z).numpy(), np.array([0, 1, 0]))[0] == 1.0, "their probabilities are all 1"


@pytest.mark.parametrize("groups, size", [(None, 1), (20, 6)])
def test_intervals_cover_the_truth(groups, size):
    """Of samples alone, and of whole groups whose samples are alike; the true area is that of a great many."""
    rng, inside = np.random.default_rng(0), 0
    truth = NormalDist().cdf(1 / 2 ** (0.5 if groups is None else 1))  # normal scores one deviation apart; that of groups is added

    def drawn():
        count = (groups or 120) * size
        who = np.arange(count) // size
        labels = (rng.uniform(size=count) < 0.5).astype(int) if groups is None else (who % 2)
        return labels + rng.normal(size=count) + (0 if groups is None else rng.normal(size=groups)[who]), labels, who

    for _ in range(400):
        scores, labels, who = drawn()
        low, high = spread(*area(scores, labels == 1), labels, None if groups is None else who).interval()
        inside += low <= truth <= high
    assert 0.917 <= inside / 400 <= 0.983, "three standard errors of the count"


@pytest.mark.parametrize("classes", [2, 3])
def test_it_stands_beside_accuracy_at_every_budget(classes):
    x, y = blobs(300, classes=classes, apart=1.5)
    bench = bench_of(features(x, np.where(np.arange(300) % 7 == 0, -1, y)), budgets=(5, None), draws=3)
    rows, _ = judge(bench, [Linear(), FewShot(labels=(5,))])
    found = {row["labels"]: row for row in rows if row["metric"] == "ROC-AUC"}
    assert list(found) == [5, None] and [len(row["values"]) for row in found.values()] == [3, 1]
    labels, answer = bench.split.test.labels, logits(probe(bench, "features")[None], bench.sides("features")[1].features)[0]
    known = labels >= 0
    theirs = roc_auc_score(labels[known], answer.softmax(1)[known, 1]) if classes == 2 else \
        roc_auc_score(labels[known], answer.softmax(1)[known], multi_class="ovr")
    row = found[None]
    assert row["value"] == pytest.approx(theirs) and row["low"] < row["value"] < row["high"] and row["n_test"] == known.sum()
    assert np.mean(row["parts"]) == pytest.approx(row["value"]) and len(row["parts"]) == 20
    assert ("each against the rest" in row["protocol"]) == (classes > 2)
    assert found[5]["value"] == pytest.approx(np.mean(found[5]["values"]))


def test_parts_spread_as_the_groups_do():
    """The spread of the parts' mean is the standard error over groups."""
    x, y = blobs(600, classes=2, apart=0.7)
    who = np.arange(600) // 2 % 30
    row = next(row for row in judge(bench_of(features(x, y, who), budgets=(None,)), [Linear()])[0] if row["metric"] == "ROC-AUC")
    from scipy.stats import t
    count = len(row["parts"])
    half = t.ppf(0.975, count - 1) * np.std(row["parts"], ddof=1) / np.sqrt(count)
    assert row["high"] - row["value"] == pytest.approx(half, rel=1e-6)


def test_nothing_is_said_where_the_test_samples_are_of_one_class_and_no_interval_where_none_is_known():
    x, y = blobs(80, classes=2, apart=1.0)
    test = np.arange(80) >= 60
    bench = bench_of(features(x, np.where(test & (y == 1), -1, y), test=test), budgets=(None,))
    assert [row["metric"] for row in judge(bench, [Linear()])[0]] == ["accuracy"]
    x, y = blobs(80, classes=2, apart=40.0)
    row = judge(bench_of(features(x, y), budgets=(None,)), [Linear()])[0][-1]
    assert row["value"] == 1.0 and row["low"] is None, "a perfect order says nothing of its error"


def test_shuffled_labels_are_at_one_half():
    x, y = blobs(800, classes=2)
    rows, _ = judge(bench_of(features(x, np.random.default_rng(1).permutation(y)), budgets=(None,)), [Linear()])
    assert abs(rows[-1]["value"] - 0.5) < 0.12 and len(draw(y, None, 0)) == 800
