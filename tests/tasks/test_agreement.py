"""Balanced accuracy and kappa: scikit-learn's own, intervals that cover, parts that a verdict can pair, in every judgement of classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benches import bench_of, blobs, features
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

from unveil.data.split import Split
from unveil.tasks.agreement import agreement, balanced, kappa
from unveil.tasks.fewshot import FewShot
from unveil.tasks.knn import KNN
from unveil.tasks.linear import Linear
from unveil.tasks.task import judge


def table(labels: np.ndarray, answers: np.ndarray, classes: int = 4) -> np.ndarray:
    found = np.zeros((1, classes, classes))
    np.add.at(found, (0, labels, answers), 1)
    return found


def judged(labels: np.ndarray, answers: list[np.ndarray], groups: np.ndarray | None = None) -> dict[str, object]:
    side = features(np.zeros((len(labels), 2)), labels, groups)
    side.classes = [str(c) for c in range(4)]
    bench = bench_of(Split(side, side, "made up"))
    given = [torch.as_tensor(each) for each in answers]
    return {result.metric: result for result in agreement(bench, "features", "features", given, task="t", protocol="p", labels=None,
                                                          n_train=1)}


@pytest.mark.parametrize("seed", range(4))
def test_values_are_those_of_scikit_learn(seed):
    draw = np.random.default_rng(seed)
    labels = draw.choice(4, 90, p=[0.7, 0.2, 0.1, 0.0])
    answers = np.where(draw.uniform(size=90) < 0.6, labels, draw.integers(0, 4, 90))
    recalls = [(answers == labels)[labels == c].mean() for c in np.unique(labels)]
    assert balanced(table(labels, answers))[0] == pytest.approx(np.mean(recalls))
    inside = answers < 3
    assert balanced(table(labels[inside], answers[inside]))[0] == pytest.approx(
        balanced_accuracy_score(labels[inside], answers[inside]))
    assert kappa(table(labels, answers))[0] == pytest.approx(cohen_kappa_score(labels, answers))


def test_who_always_names_the_largest_class_is_not_flattered():
    labels = np.array([0] * 90 + [1] * 10)
    found = judged(labels, [np.zeros(100, int)])
    assert found["accuracy"].value == 0.9 and found["balanced accuracy"].value == 0.5 and found["kappa"].value == 0.0


def test_one_class_has_an_accuracy_alone_and_unknown_labels_do_not_count():
    assert set(judged(np.zeros(30, int), [np.zeros(30, int)])) == {"accuracy"}
    labels = np.array([0, 1, 1, -1, -1])
    found = judged(labels, [np.array([0, 1, 0, 1, 1])])
    assert found["balanced accuracy"].value == pytest.approx(0.75) and found["kappa"].n_test == 3


def test_where_all_is_right_no_interval_is_made_up():
    labels = np.arange(40) % 2
    found = judged(labels, [labels])
    assert found["accuracy"].low < 1 and found["kappa"].value == 1.0 and found["kappa"].low is None is found["balanced accuracy"].high


def test_intervals_of_few_parts_stay_within_what_can_be():
    labels, groups = np.arange(40) % 2, np.arange(40) // 20
    found = judged(labels, [np.where(groups == 0, labels, 0)], groups)
    assert (found["kappa"].low, found["kappa"].high) == (-1.0, 1.0) and found["balanced accuracy"].low == 0.0


def test_parts_have_the_value_as_their_mean():
    draw = np.random.default_rng(0)
    labels, groups = draw.integers(0, 3, 120), np.arange(120) // 10
    answers = [np.where(draw.uniform(size=120) < 0.7, labels, 0) for _ in range(3)]
    for metric in ("balanced accuracy", "kappa"):
        found = judged(labels, answers, groups)[metric]
        alone = [judged(labels, [each], groups)[metric].value for each in answers]
        assert found.values == pytest.approx(alone) and len(found.parts) == 12 and found.low < found.value < found.high
        assert np.mean(judged(labels, answers[:1], groups)[metric].parts) == pytest.approx(alone[0], abs=0.02)


@pytest.mark.parametrize("groups, size", [(None, 1), (15, 8)])
def test_intervals_cover_the_truth(groups, size):
    """Answers of which a known share is right, alike within a group: three classes of unequal size."""
    draw, inside = np.random.default_rng(1), {"balanced accuracy": 0, "kappa": 0}
    p, share = np.array([0.6, 0.3, 0.1]), np.array([0.9, 0.6, 0.5])
    joint = np.zeros((1, 4, 4))
    joint[0, :3, :3] = p[:, None] * (np.diag(share) + (1 - share)[:, None] / 2 * (1 - np.eye(3)))
    truth = {"balanced accuracy": balanced(1e6 * joint)[0], "kappa": kappa(1e6 * joint)[0]}
    for _ in range(200):
        count = 200 if groups is None else groups * size
        labels = draw.choice(3, count, p=p)
        luck = draw.uniform(size=count)
        if groups is not None:
            luck = np.where(draw.uniform(size=count) < 0.3, np.repeat(draw.uniform(size=groups), size), luck)
        answers = np.where(luck < share[labels], labels, (labels + draw.integers(1, 3, count)) % 3)
        found = judged(labels, [answers], None if groups is None else np.repeat(np.arange(groups), size))
        for metric, value in truth.items():
            inside[metric] += found[metric].low <= value <= found[metric].high
    assert min(inside.values()) >= 180


def test_every_judgement_of_classes_has_them():
    x, y = blobs(count=300)
    rows, _ = judge(bench_of(features(x, y), budgets=(5, None), draws=2), [Linear(), KNN(), FewShot(labels=(1, 2))])
    accuracies = {(row["task"], row["labels"]) for row in rows if row["metric"] == "accuracy"}
    for metric in ("balanced accuracy", "kappa"):
        assert {(row["task"], row["labels"]) for row in rows if row["metric"] == metric} == accuracies and len(accuracies) == 5
