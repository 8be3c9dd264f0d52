"""Each group left out once: scikit-learn's own, folds of whole groups, and what subjects that differ cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benches import bench_of, blobs, features
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from unveil.data.split import GroupFold, by_group, split
from unveil.errors import Unusable
from unveil.tasks import subjects
from unveil.tasks.linear import fit
from unveil.tasks.subjects import Subjects
from unveil.tasks.task import judge

GROUPS = np.arange(240) // 30


def rows_of(x, y, groups=GROUPS, **how) -> dict[str, dict]:
    rows, left = judge(bench_of(features(x, y, groups)), [Subjects(**how)])
    return {row["metric"]: row for row in rows} | left


def test_it_is_scikit_learns_leave_one_group_out(monkeypatch):
    x, y = blobs(count=240, apart=1.5)
    monkeypatch.setattr(subjects, "fit", lambda x, y, groups, classes, cost: fit(x, y, groups, classes, 1.0))
    found = rows_of(x, y)
    parts = split(features(x, y, GROUPS))
    order = np.concatenate([parts.train.index.numpy(), parts.test.index.numpy()])
    x, y, groups = torch.as_tensor(x).float().numpy()[order], y[order], GROUPS[order]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=5000))
    theirs = cross_val_predict(model, x, y, groups=groups, cv=LeaveOneGroupOut())
    assert found["accuracy"]["value"] == pytest.approx((theirs == y).mean(), abs=0.01)
    assert len(found["accuracy"]["parts"]) == 8 and found["accuracy"]["n_test"] == 240
    assert found["accuracy"]["low"] < found["accuracy"]["value"] < found["accuracy"]["high"]
    assert set(found) == {"accuracy", "balanced accuracy", "kappa"}


def test_a_subject_that_is_told_apart_by_itself_is_no_help():
    """Labels that go with the subject alone are found by single samples, and not for a new subject."""
    draw = np.random.default_rng(0)
    y = GROUPS % 2
    x = np.eye(8)[GROUPS] + 0.1 * draw.normal(size=(240, 8))
    assert rows_of(x, y)["accuracy"]["value"] < 0.6


def test_many_groups_are_left_out_several_at_a_time():
    x, y = blobs(count=240)
    found = rows_of(x, y, np.arange(240) // 4, most=5)
    assert "5 folds of whole groups, of 60" in found["accuracy"]["protocol"] and len(found["accuracy"]["parts"]) == 60


def test_two_groups_are_too_few():
    x, y = blobs(count=240)
    assert rows_of(x, y, np.arange(240) // 120)["subjects"] == "three groups at least"


@pytest.mark.parametrize("count", [2, 5, 8])
def test_folds_by_group_hold_every_group_out_once(count):
    x, y = blobs(count=240)
    samples = features(x, y, GROUPS)
    held = []
    for number in range(count):
        parts = split(samples, GroupFold(number, count))
        assert not np.isin(parts.test.groups, parts.train.groups).any() and f"fold {number + 1} of {count}, group" in parts.name
        held.append(np.unique(parts.test.groups))
        assert len(held[-1]) in (8 // count, -(-8 // count))
    assert sorted(np.concatenate(held)) == list(range(8))
    if count == 8:
        assert [each.item() for each in held] == list(range(8))


def test_more_folds_than_groups_are_refused():
    x, y = blobs(count=240)
    with pytest.raises(Unusable, match="9 folds by group need 9 groups at least, the data have 8"):
        split(features(x, y, GROUPS), GroupFold(0, 9))
    with pytest.raises(Unusable, match="the data have none"):
        by_group(None, 3)
