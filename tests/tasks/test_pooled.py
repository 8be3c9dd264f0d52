"""Clusters, retrieval, robustness, shift and calibration, where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benches import bench_of, blobs, features
from sklearn import metrics

from unveil.data.split import Split
from unveil.kinds.signal import Signal
from unveil.randomness import Generator
from unveil.tasks.bench import Bench, Way
from unveil.tasks.calibration import Calibration, calibration_error, place
from unveil.tasks.cluster import Cluster, ari, kmeans, matched, nmi
from unveil.tasks.result import jackknife
from unveil.tasks.retrieve import Retrieve, ranked
from unveil.tasks.robust import Robust
from unveil.tasks.shift import Shift
from unveil.tasks.task import judge

TASKS = {"cluster": Cluster, "retrieve": Retrieve, "shift": Shift, "calibration": Calibration}


def rows_of(task, bench: Bench) -> dict[tuple, dict]:
    rows, left = judge(bench, [task])
    assert not left and all(row["low"] <= row["value"] <= row["high"] for row in rows if row["low"] is not None)
    return {(row["metric"], *row["at"].values()): row for row in rows}


def people(count=400, apart=4.0, between=0.0, seed=0):
    """Blobs of eight people, in whom all classes lie elsewhere by ``between`` deviations; further features say who it is."""
    x, y = blobs(count, width=4, apart=apart, seed=seed)
    groups = np.arange(count) // 4 % 8
    moved = x + between * np.random.default_rng(seed + 1).normal(size=(8, 4))[groups]
    return np.hstack([moved, 6 * np.eye(8)[groups]]), y, groups


def test_scores_of_clusters_are_those_of_scikit_learn():
    draw = np.random.default_rng(0)
    labels, found = draw.integers(0, 4, 500), draw.integers(0, 5, 500)
    found = np.where(draw.uniform(size=500) < 0.5, labels, found)
    table = np.zeros((1, 5, 4))
    np.add.at(table[0], (found, labels), 1)
    assert nmi(table)[0] == pytest.approx(metrics.normalized_mutual_info_score(labels, found), abs=1e-12)
    assert ari(table)[0] == pytest.approx(metrics.adjusted_rand_score(labels, found), abs=1e-12)
    names = np.array([3, 0, 1, 2, 0])
    perfect = np.zeros((1, 5, 4))
    np.add.at(perfect[0], (np.arange(100) % 4, names[np.arange(100) % 4]), 1)
    assert nmi(perfect)[0] == ari(perfect)[0] == matched(perfect)[0] == 1


def test_k_means_finds_what_is_apart_and_its_restarts_help():
    x, y = blobs(600, classes=6, apart=14.0)
    x = torch.as_tensor(x, dtype=torch.float32)
    assert metrics.adjusted_rand_score(y, kmeans(x, 6)) == 1
    spread = lambda found: sum(float((x[found == c] - x[found == c].mean(0)).square().sum()) for c in range(6))
    assert all(spread(kmeans(x, 6, 10, seed)) <= spread(kmeans(x, 6, 1, seed)) * (1 + 1e-6) for seed in range(4))
    assert set(kmeans(torch.zeros(10, 2), 3).tolist()) == {0}, "equal points are one cluster"


def test_clusters_are_scored_where_labels_are_known():
    x, y = blobs(400, apart=10.0)
    held = rows_of(Cluster(), bench_of(features(x, np.where(np.arange(400) % 3 == 0, -1, y))))
    assert held["ACC",]["value"] == 1 and held["ACC",]["n_test"] < 100 and held["ACC",]["n_train"] == 0


def test_average_precision_and_recall_are_those_of_scikit_learn():
    draw = np.random.default_rng(0)
    unit = lambda n: torch.nn.functional.normalize(torch.as_tensor(draw.normal(size=(n, 6))), dim=-1)
    queries, bank, labels, known = unit(30), unit(90), draw.integers(0, 4, 30), draw.integers(0, 4, 90)
    precision, first = ranked(queries, labels, bank, known)
    likeness = (queries @ bank.T).numpy()
    for row in range(30):
        assert precision[row] == pytest.approx(metrics.average_precision_score(known == labels[row], likeness[row]))
        assert first[row] == 1 + np.flatnonzero(known[np.argsort(-likeness[row])] == labels[row])[0]
    small = ranked(queries, labels, bank, known, numbers=100)
    assert (small[0] == precision).all() and (small[1] == first).all(), "however little is held at a time"


def test_what_ties_does_not_help():
    same = torch.ones(8, 1)
    precision, first = ranked(same[:2], np.array([0, 1]), same, np.arange(8) % 2)
    assert (first == 8).all() and precision == pytest.approx([(1 + 2 + 3 + 4) / 8 / 4] * 2)


def test_retrieval_asks_so_many_samples_and_finds_its_class():
    held = rows_of(Retrieve(queries=20), bench_of(features(*blobs(400, apart=8.0))))
    assert held.keys() == {(name,) for name in ("mAP", "recall@1", "recall@5", "recall@10")}
    assert all(row["value"] > 0.95 and row["n_test"] == 20 for row in held.values())


def test_neighbours_have_near_numbers_and_those_at_random_have_not():
    x, y = blobs(400, apart=4.0)
    samples = features(x, y)
    samples.targets, samples.target = np.where(np.arange(400) % 9 == 0, np.nan, 10.0 * y), "gap (eV)"
    held = {(row["features"], row["metric"]): row for row in judge(bench_of(samples), [Retrieve(queries=50)])[0]}
    assert held["features", "mAP"]["value"] > 0.9 and held["features", "difference@1"]["high"] < 3.0
    random = held["random", "difference@5"]
    known, asked = 10.0 * np.arange(4), random["n_test"]
    assert random["value"] == pytest.approx(np.abs(known[:, None] - known).mean(), abs=1.0) and 40 <= asked < 50
    assert (random["unit"], random["direction"]) == ("eV", "lower")
    samples.labels = None
    assert {row["metric"] for row in judge(bench_of(samples), [Retrieve()])[0]} == {"difference@1", "difference@5"}


@pytest.mark.parametrize("task", TASKS)
def test_shuffled_labels_are_at_chance(task):
    x, y, groups = people(800)
    held = rows_of(TASKS[task](), bench_of(features(x, np.random.default_rng(9).permutation(y), groups)))
    at = {"cluster": ("NMI", 0.0, 0.05), "retrieve": ("mAP", 0.25, 0.05), "calibration": ("Brier", 0.75, 0.1)}
    metric, chance, near = at.get(task, ("accuracy", 0.25, 0.1))
    assert all(abs(row["value"] - chance) < near for key, row in held.items() if key[0] == metric)


def test_shift_measures_what_new_people_cost():
    x, y, groups = people(800, between=6.0)
    far = rows_of(Shift(), bench_of(features(x, y, groups)))
    near = rows_of(Shift(), bench_of(features(*people(800))))
    assert far["accuracy gap",]["value"] < -0.1 and abs(near["accuracy gap",]["value"]) < 0.05
    known, new, gap = (far[key] for key in (("accuracy", "known groups"), ("accuracy", "new groups"), ("accuracy gap",)))
    assert gap["value"] == pytest.approx(new["value"] - known["value"]) and known["n_test"] + new["n_test"] == gap["n_test"]
    assert new["n_test"] == 200 and known["n_test"] == 150 and gap["n_train"] == 450


@pytest.mark.parametrize("groups, test, lacking", [
    (None, None, "two groups at least on both sides"), (np.arange(400) // 200, None, "two groups at least on both sides"),
    (np.arange(400) % 8, np.arange(400) % 5 == 0, "a split that holds out whole groups")])
def test_shift_needs_groups_on_both_sides_that_are_apart(groups, test, lacking):
    samples = features(*blobs(), groups)
    parts = samples if test is None else Split(samples.subset(~test), samples.subset(test), "a mixed split")
    assert lacking in Shift().lacks(bench_of(parts), "features")


def test_calibration_error_is_that_of_its_definition():
    draw = np.random.default_rng(0)
    confidence, right = draw.uniform(size=300), draw.integers(0, 2, 300)
    bins = place(confidence, 15)
    assert (np.bincount(bins) == 20).all() and all(confidence[bins == b].max() <= confidence[bins == b + 1].min() for b in range(14))
    slow = sum(20 / 300 * abs(confidence[bins == b].mean() - right[bins == b].mean()) for b in range(15))
    sums = np.stack([np.bincount(bins, confidence), np.bincount(bins, right)], -1)
    assert calibration_error(sums, np.array(300)) == pytest.approx(slow)


def test_a_probe_that_is_sure_and_wrong_is_told_apart_from_one_that_knows():
    x, y = blobs(1200, apart=2.0)
    held = rows_of(Calibration(), bench_of(features(x, y)))
    assert {row["direction"] for row in held.values()} == {"lower"}
    wrong = y.copy()
    wrong[np.flatnonzero(np.arange(1200) >= 900)] = (y[900:] + 1) % 4
    sides = features(x, wrong)
    moved = rows_of(Calibration(), bench_of(Split(sides.subset(np.arange(900)), sides.subset(np.arange(900, 1200)), "labels that moved")))
    assert all(moved[name,]["low"] > held[name,]["high"] for name in ("ECE", "Brier", "NLL"))


@pytest.mark.parametrize("parts", [3, 20])
def test_a_jackknife_over_parts_covers_what_it_should(parts):
    """Intervals of the mean of few or many parts hold the true mean, 0, in about 95 of 100 sets."""
    draw, held = np.random.default_rng(0), 0
    for _ in range(400):
        sums = np.stack([np.full(parts, 5.0), (draw.normal(size=(parts, 1)) + draw.normal(size=(parts, 5))).sum(1)], 1)
        low, high = jackknife(sums, lambda total: total[:, 1] / total[:, 0]).interval()
        held += low < 0 < high
    assert 0.92 <= held / 400 <= 0.98, "three standard errors of the count"


def test_a_difference_of_estimates_is_that_of_welch():
    from scipy.stats import ttest_ind
    one, other = np.random.default_rng(0).normal(size=8), 1 + 3 * np.random.default_rng(1).normal(size=4)
    mean = lambda values: jackknife(np.stack([np.ones(len(values)), values], 1), lambda total: total[:, 1] / total[:, 0])
    assert (mean(one) - mean(other)).interval() == pytest.approx(tuple(ttest_ind(one, other, equal_var=False).confidence_interval()))


def test_robustness_of_signals_falls_with_severity():
    kind = Signal(window=64)
    samples = kind.planted(280, Generator(0, "robust"))
    parts = Split(samples.subset(np.arange(200)), samples.subset(np.arange(200, 280)), "planted")
    flat = lambda batch: batch.values.flatten(1)
    bench = Bench(parts, {"values": Way(flat), "broken": Way(lambda batch: 0 * flat(batch))}, kind)
    rows, left = judge(bench, [Robust(samples=40)])
    ours = {(row["at"]["corruption"], row["at"]["severity"]): row for row in rows if row["features"] == "values"}
    assert ours["noise", 3]["at"] == {"corruption": "noise", "severity": 3, "level": 10.0, "levels in": "signal over noise in dB"}
    assert not left and ours.keys() == {(name, s) for name in kind.corruptions for s in range(1, 6)} | {("mean", s) for s in range(6)}
    assert ours["mean", 0]["value"] > 0.9 and ours["mean", 5]["value"] < ours["mean", 1]["value"] <= ours["mean", 0]["value"] + 0.05
    for severity in range(1, 6):
        assert ours["mean", severity]["value"] == pytest.approx(np.mean([ours[name, severity]["value"] for name in kind.corruptions]))
    assert all(row["n_test"] == 40 and len(row["parts"]) > 1 for row in rows)
    assert len({row["value"] for row in rows if row["features"] == "broken"}) == 1, "features that say nothing lose nothing"
    again, _ = judge(Bench(parts, bench.ways, kind), [Robust(samples=40)])
    assert [row["value"] for row in again] == [row["value"] for row in rows]
    some, _ = judge(Bench(parts, bench.ways, kind), [Robust(samples=40, only=("noise", "gap"))])
    assert {row["at"]["corruption"] for row in some} == {"noise", "gap", "mean"}
    assert "did you mean 'noise'" in Robust(only=("nois",)).lacks(bench, "values")
    assert "a kind that can be corrupted" in Robust().lacks(bench_of(features(*blobs())), "features")
