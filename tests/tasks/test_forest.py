"""Random forests and folds over all samples: scikit-learn's own on the same features, said to be what they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benches import bench_of, blobs, features
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import mean_absolute_error, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from unveil.data.split import Fold, split, stratified
from unveil.errors import Unusable
from unveil.tasks import forest, tenfold
from unveil.tasks.forest import Forest
from unveil.tasks.task import judge
from unveil.tasks.tenfold import COSTS, TenFold


def measured(count: int = 240, **columns):
    """Features of which a target is no linear function."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 4))
    held = features(x, np.zeros(count, int), **columns)
    held.labels, held.classes, held.targets, held.target = None, [], 300 + 50 * np.sign(x[:, 0] * x[:, 1]), "melting point (K)"
    return held


@pytest.mark.parametrize("classes", [2, 3])
def test_a_forest_of_classes_is_that_of_scikit_learn(classes):
    x, y = blobs(200, classes=classes, apart=1.5)
    bench = bench_of(features(x, y), budgets=(5, None), draws=2)
    rows, left = judge(bench, [Forest(trees=20)])
    told = [(metric, each) for each in (5, None) for metric in ("accuracy", "balanced accuracy", "kappa", "ROC-AUC")]
    assert not left and [(row["metric"], row["labels"]) for row in rows] == told
    (train, test), found = bench.sides("features"), {row["metric"]: row["value"] for row in rows if row["labels"] is None}
    theirs = RandomForestClassifier(20, random_state=0).fit(train.features.numpy(), train.labels).predict_proba(test.features.numpy())
    assert found["accuracy"] == pytest.approx((theirs.argmax(1) == test.labels).mean())
    assert found["ROC-AUC"] == pytest.approx(roc_auc_score(test.labels, theirs[:, 1] if classes == 2 else theirs, multi_class="ovr"))


def test_a_forest_of_numbers_is_that_of_scikit_learn_and_beats_a_line():
    bench = bench_of(measured(), budgets=(None,))
    rows, _ = judge(bench, [Forest(trees=20)])
    found = {row["metric"]: row for row in rows}
    train, test = bench.sides("features")
    target = bench.split.train.targets
    wanted = ((target - target.mean()) / target.std()).astype(np.float32)
    theirs = RandomForestRegressor(20, random_state=0).fit(train.features.numpy(), wanted)
    answer = target.mean() + target.std() * theirs.predict(test.features.numpy())
    assert found["MAE"]["value"] == pytest.approx(mean_absolute_error(bench.split.test.targets, answer), rel=1e-5)
    assert found["MAE"]["unit"] == "K" and found["R2"]["value"] > 0.5 and len(found["MAE"]["parts"]) == 20


def test_a_class_that_was_not_drawn_is_never_answered():
    x, y = blobs(60, classes=3)
    bench = bench_of(features(x, np.where(y == 2, np.where(np.arange(60) < 30, 2, -1), y), test=np.arange(60) < 30), budgets=(None,))
    assert judge(bench, [Forest(trees=5)])[0][0]["n_test"] == 30


def test_without_scikit_learn_it_is_said_what_to_install(monkeypatch):
    bench = bench_of(features(*blobs(80)))
    for module in (forest, tenfold):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert Forest().lacks(bench, "features") == TenFold().lacks(bench, "features") == "scikit-learn: pip install unveil[sklearn]"
    assert TenFold(probe="logistic").lacks(bench, "features") == ""


def test_folds_hold_every_labelled_sample_out_once_with_its_share_of_each_class():
    labels = np.random.default_rng(0).choice([-1, 0, 1, 2], 188, p=[0.1, 0.6, 0.2, 0.1])
    part = stratified(labels, 10)
    assert ((part >= 0) == (labels >= 0)).all() and np.ptp(np.bincount(part[part >= 0])) <= 1
    for label in range(3):
        assert np.ptp(np.bincount(part[labels == label], minlength=10)) <= 1
    assert not (stratified(labels, 10, 1) == part).all() and (stratified(labels, 10) == part).all()


def test_a_fold_is_a_split_with_a_name():
    held = features(*blobs(60, classes=3), np.arange(60) // 10)
    parts = [split(held, Fold(number, 5)) for number in range(5)]
    assert sorted(i for part in parts for i in part.test.index.tolist()) == list(range(60))
    assert parts[1].name == "fold 2 of 5, stratified by label, groups not kept apart"
    held.groups = None
    assert split(held, Fold(0, 5)).name == "fold 1 of 5, stratified by label"
    with pytest.raises(Unusable, match="need a class of 30 samples"):
        split(held, Fold(0, 30))
    held.labels = None
    with pytest.raises(Unusable, match="5 stratified folds need labels"):
        split(held, Fold(0, 5))


def test_ten_folds_are_those_of_scikit_learn_and_say_that_nothing_was_held_out():
    x, y = blobs(150, classes=3, apart=1.2)
    bench = bench_of(features(x, y, np.arange(150) // 5))
    row, = judge(bench, [TenFold(folds=5, shuffles=2)])[0]
    sides = bench.sides("features")
    z, labels = torch.cat([side.features for side in sides]).numpy(), np.concatenate([side.labels for side in sides])
    for shuffle in range(2):
        part, hits = stratified(labels, 5, shuffle), 0
        for fold in range(5):
            held, z_ = part == fold, StandardScaler().fit(z[part != fold])
            search = GridSearchCV(SVC(), {"C": COSTS}, cv=StratifiedKFold(5)).fit(z_.transform(z[~held]), labels[~held])
            hits += (search.predict(z_.transform(z[held])) == labels[held]).sum()
        assert row["values"][shuffle] == pytest.approx(hits / 150, abs=0.0134), "two of 150: features are float32"
    assert (row["n_test"], row["n_train"], len(row["parts"])) == (150, 120, 20) and row["low"] < row["value"] < row["high"]
    assert "Not held out from teaching" in row["protocol"] and "groups not kept apart" in row["split_name"]


@pytest.mark.parametrize("probe", ["svm", "logistic"])
def test_shuffled_labels_are_at_chance_over_folds(probe):
    x, y = blobs(160, classes=2, apart=3.0)
    task = TenFold(folds=5, shuffles=2, probe=probe)
    known, = judge(bench_of(features(x, y)), [task])[0]
    assert known["value"] > 0.95 and ("logistic" in known["protocol"]) == (probe == "logistic")
    chance, = judge(bench_of(features(x, np.random.default_rng(0).permutation(y))), [task])[0]
    assert abs(chance["value"] - 0.5) < 0.12 and chance["high"] - chance["low"] > 0.1


def test_what_ten_folds_lack():
    x, y = blobs(60, classes=2)
    assert "one of them of 10" in TenFold().lacks(bench_of(features(x[:12], y[:12])), "features")
    assert TenFold().lacks(bench_of(measured()), "features") == "labels"
