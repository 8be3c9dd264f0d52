"""Honest splits: the source's own, else whole groups, else single samples, and always said which."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.randomness import Generator


@dataclass(frozen=True)
class _OneOf:
    """One of several folds.

    Attributes:
        number: of the fold, from 0.
        count: of folds.
        seed: of the choice.
    """

    number: int
    count: int
    seed: int = 0


class Fold(_OneOf):
    """One of several folds that hold every labelled sample out once, each with its share of every class."""


class GroupFold(_OneOf):
    """One of several folds of whole groups that hold every group out once; as many folds as groups leave one out at a time."""


@dataclass(frozen=True)
class Split:
    """Samples to learn from and samples to score on.

    Attributes:
        train: to learn from.
        test: to score on, once.
        name: how it was made, such as ``"held-out groups 0,1,2"``.
    """

    train: Samples
    test: Samples
    name: str

    @property
    def hash(self) -> str:
        """Of the ids on both sides."""
        sides = [np.ascontiguousarray(side.index.numpy()).tobytes() for side in (self.train, self.test)]
        return hashlib.sha256(b"|".join(sides)).hexdigest()[:12]

    def readable(self) -> Split:
        """Without the samples that cannot be read, so that no label meets a sample that stood in for its own."""
        return Split(*(side.subset(side.readable()) for side in (self.train, self.test)), self.name)


def split(samples: Samples, held: Sequence[int] | Fold | GroupFold | None = None, share: float = 0.25, seed: int = 0) -> Split:
    """Cuts samples in two so that nothing of a group is on both sides.

    Args:
        samples: to cut.
        held: numbers of the groups to hold out, in sorted order of their names; or a fold, of single samples or of whole groups; None
            takes the source's own test part, else ``share`` of the groups, the last ones where they are in an order that says something,
            else ``share`` of the samples.
        share: of what is held out.
        seed: of the choice.

    Raises:
        Unusable: where ``held`` names groups that are not there, the source's own test part shares groups with the rest, or nothing is
            left on a side.
    """
    if isinstance(held, Fold):
        return _fold(samples, held)
    if isinstance(held, GroupFold):
        return _group_fold(samples, held)
    if held is not None:
        known = [] if samples.groups is None else np.unique(samples.groups).tolist()
        if missing := [group for group in held if group not in known]:
            raise Unusable(f"cannot hold out group {missing[0]}: the data have {len(known)} groups, numbered from 0")
        return _cut(samples, np.isin(samples.groups, list(held)), f"held-out groups {','.join(map(str, held))}{_by(samples)}")
    if samples.test is not None and samples.test.any() and not samples.test.all():
        _refuse_shared(samples)
        return _cut(samples, samples.test, "the source's own test part")
    generator = Generator(seed, "split")
    if samples.groups is not None and len(names := np.unique(samples.groups)) > 1:
        many = max(1, round(share * len(names)))
        chosen = names[-many:] if samples.ordered else names[generator.permutation(len(names)).numpy()[:many]]
        of = f" of greatest {samples.ordered}" if samples.ordered else ""
        return _cut(samples, np.isin(samples.groups, chosen), f"{len(chosen)} of {len(names)} groups{of} held out")
    chosen = generator.permutation(len(samples)).numpy()[:max(1, round(share * len(samples)))]
    what = "groups unknown" if samples.apart else "subjects and recordings on both sides, as --groups windows asks"
    return _cut(samples, np.isin(np.arange(len(samples)), chosen), f"{len(chosen)} of {len(samples)} samples held out, {what}")


def _by(samples: Samples) -> str:
    """What the numbers of groups count, where they are in an order that says something."""
    return f" by {samples.ordered}" if samples.ordered else ""


def _fold(samples: Samples, fold: Fold) -> Split:
    if samples.labels is None:
        raise Unusable(f"{fold.count} stratified folds need labels, of which each fold takes its share")
    if samples.labels.max() < 0 or np.bincount(samples.labels[samples.labels >= 0]).max() < fold.count:
        raise Unusable(f"{fold.count} stratified folds need a class of {fold.count} samples at least")
    apart = "" if samples.groups is None or len(np.unique(samples.groups)) < 2 else ", groups not kept apart"
    name = f"fold {fold.number + 1} of {fold.count}, stratified by label{apart}"
    return _cut(samples, stratified(samples.labels, fold.count, fold.seed) == fold.number, name)


def _group_fold(samples: Samples, fold: GroupFold) -> Split:
    part = by_group(samples.groups, fold.count, fold.seed)
    held = np.unique(samples.groups[part == fold.number]).tolist()
    many = "group" if len(held) == 1 else "groups"
    name = f"fold {fold.number + 1} of {fold.count}, {many} {','.join(map(str, held))}{_by(samples)} held out"
    return _cut(samples, part == fold.number, name)


def by_group(groups: np.ndarray | None, count: int, seed: int = 0) -> np.ndarray:
    """Fold of each sample ``(n,)``, whole groups in one: of as many groups each, give or take one.

    Args:
        groups: int64 ``(n,)``.
        count: of folds.
        seed: of the choice; as many folds as groups are in the order of the groups.

    Raises:
        Unusable: where there are fewer groups than folds.
    """
    names, place = np.unique([] if groups is None else groups, return_inverse=True)
    if len(names) < max(2, count):
        raise Unusable(f"{count} folds by group need {max(2, count)} groups at least, the data have {len(names) or 'none'}")
    order = np.arange(count) if count == len(names) else Generator(seed, "groups", count).permutation(len(names)).numpy()
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names)) % count
    return rank[place]


def stratified(labels: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Fold of each sample ``(n,)``, -1 where it has no label: sizes differ by one at most, and so does each class over folds.

    Args:
        labels: int64 ``(n,)``, below 0 for none.
        count: of folds.
        seed: of the choice.
    """
    order = Generator(seed, "folds", count).permutation(len(labels)).numpy()
    order = order[np.argsort(labels[order], kind="stable")]
    order, part = order[labels[order] >= 0], np.full(len(labels), -1)
    part[order] = np.arange(len(order)) % count
    return part


def judgeable(parts: Split) -> Split:
    """The same split, without labels where targets, forces or labels of places alone can judge.

    Raises:
        Unusable: where nothing that is known of its samples can judge.
    """
    sides = parts.train, parts.test
    train, test = ([] if side.labels is None else np.unique(side.labels[side.labels >= 0]) for side in sides)
    if len(train) < 2 or not len(test):
        if all(side.dense is not None or side.forced.any() or (side.targets is not None and np.isfinite(side.targets).sum() > 1)
               for side in sides):
            return Split(*(side.without_labels() for side in sides), parts.name)
        raise Unusable(f"{parts.name} leaves labels of {len(train)} classes to learn from and of {len(test)} to score on; judging needs "
                       "two classes at least, with some of their samples held out")
    return parts


def _refuse_shared(samples: Samples) -> None:
    if samples.groups is None:
        return
    both = np.intersect1d(samples.groups[samples.test], samples.groups[~samples.test])
    if both := [samples.group_names[group] if samples.group_names else str(group) for group in both if group >= 0]:
        named = ", ".join(both[:5]) + (f" and {len(both) - 5} more" if len(both) > 5 else "")
        raise Unusable(f"the source's own test part shares subjects with what is learned from: {named}; scores on them would say nothing "
                       "of new subjects. Correct the split, or choose whole groups with --hold-out 0,1")


def _cut(samples: Samples, test: np.ndarray, name: str) -> Split:
    if test.all() or not test.any():
        raise Unusable(f"{name}: nothing is left on one side of the split")
    return Split(samples.subset(~test), samples.subset(test), name)
