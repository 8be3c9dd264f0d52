"""Splits: nothing of a group on both sides, the source's own part first, and always said how."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.data.records import Records
from unveil.data.samples import Samples
from unveil.data.split import judgeable, split
from unveil.errors import Unusable
from unveil.kinds.signal import Signal


def samples(count=40, **columns) -> Samples:
    return Samples(lambda ids: (torch.zeros(len(ids), 1, 4), None), count, shape=(4,), channels=1, axes=("t",), spacing=(1.0,), unit="s",
                   **columns)


def ids(side: Samples) -> list[int]:
    return side.index.tolist()


@settings(max_examples=60, deadline=None)
@given(groups=st.lists(st.integers(0, 9), min_size=2, max_size=60).filter(lambda held: len(set(held)) > 1), seed=st.integers(0, 99),
       share=st.floats(0.05, 0.6))
def test_a_split_by_subject_never_shares_one(groups, seed, share):
    parts = split(samples(len(groups), groups=np.array(groups)), share=share, seed=seed)
    assert not set(parts.train.groups) & set(parts.test.groups)
    assert sorted(ids(parts.train) + ids(parts.test)) == list(range(len(groups)))
    assert parts.name == f"{len(set(parts.test.groups))} of {len(set(groups))} groups held out"


def test_windows_of_one_recording_stay_together():
    series = [np.random.default_rng(i).normal(size=(2, 96)).astype(np.float32) for i in range(8)]
    opened = Signal(window=32, stride=8).open(Records([f"r{i}" for i in range(8)], series.__getitem__, layout="ct"))
    parts = split(opened)
    owners = [{side.name(i) for i in ids(side)} for side in (parts.train, parts.test)]
    assert not owners[0] & owners[1] and len(owners[0]) == 6 and len(owners[1]) == 2


def test_groups_are_held_out_by_number():
    held = samples(groups=np.arange(40) % 5, labels=np.arange(40) % 2, classes=["a", "b"])
    parts = split(held, (1, 3))
    assert set(parts.test.groups) == {1, 3} and parts.name == "held-out groups 1,3"
    assert (parts.test.labels == parts.test.index.numpy() % 2).all(), "labels go with their samples"
    for wrong in ((5,), (-1,), (0, 77)):
        with pytest.raises(Unusable, match=r"cannot hold out group -?\d+: the data have 5 groups, numbered from 0"):
            split(held, wrong)
    with pytest.raises(Unusable, match="cannot hold out group 0: the data have 0 groups"):
        split(samples(), (0,))
    with pytest.raises(Unusable, match="nothing is left on one side of the split"):
        split(held, range(5))


def test_the_sources_own_test_part_comes_before_groups():
    test = np.arange(40) >= 30
    parts = split(samples(test=test, groups=np.arange(40) // 10))
    assert ids(parts.test) == list(range(30, 40)) and parts.name == "the source's own test part"
    assert len(split(samples(test=np.ones(40, bool))).test) == 10, "a part that is the whole is none"


def test_a_test_part_that_shares_subjects_with_the_rest_is_refused_and_they_are_named():
    test = np.arange(40) >= 30
    shared = samples(test=test, groups=np.where(test, 1, np.arange(40) % 3), group_names=["ann", "bob", "cy"])
    with pytest.raises(Unusable, match="the source's own test part shares subjects with what is learned from: bob; scores on them"):
        split(shared)
    assert len(split(shared, (1,)).test) == 20, "whole groups can be held out all the same"
    unknown = samples(test=test, groups=np.where(np.arange(40) % 2, -1, np.arange(40) // 10))
    assert len(split(unknown).test) == 10, "samples of unknown subjects share none"


def test_without_groups_single_samples_are_held_out_and_that_is_said():
    parts = split(samples())
    assert len(parts.test) == 10 and parts.name == "10 of 40 samples held out, groups unknown"
    with pytest.raises(Unusable, match="nothing is left"):
        split(samples(1))


def test_a_split_is_a_function_of_its_seed():
    a, b, c = (split(samples(), seed=seed) for seed in (0, 0, 1))
    assert a.hash == b.hash != c.hash and ids(a.test) == ids(b.test)


def test_labels_must_be_able_to_judge():
    test = np.arange(40) >= 30
    two = np.arange(40) % 2
    assert judgeable(split(samples(test=test, labels=two, classes=["a", "b"])))
    for labels in (np.zeros(40, int), np.where(test, -1, two), np.where(test, two, -1)):
        with pytest.raises(Unusable, match=r"the source's own test part leaves labels of . classes to learn from and of . to score on"):
            judgeable(split(samples(test=test, labels=labels, classes=["a", "b"])))
