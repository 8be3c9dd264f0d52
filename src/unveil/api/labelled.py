"""What the labels of a data set are worth: balance, and labels that can be read off something trivial."""

from __future__ import annotations

import os

import numpy as np
import torch

from unveil.api.looking import Finding, Looked, many
from unveil.health.leaks import between, halves, readable

ENOUGH = 0.95  # a label is readable where one number gives so many right, each class counting alike, on samples it was not fitted to
CODE = 0.99  # share of a number's variance that lies between classes, from which it is a code rather than a measurement
TESTED = 20  # samples at least that this is judged on
VALUES = 1 << 25  # that are looked at one by one


def labelled(looked: Looked) -> tuple[dict[str, dict[str, int]], str | None, list[Finding]]:
    """Samples of each class on both sides of the split, how labels lie in the order of the data, and findings."""
    samples, label = looked.samples, looked.samples.labels
    groups = _shared_groups(looked)
    if label is None:
        return {}, None, groups
    known = label >= 0
    test = np.isin(samples.index.numpy(), looked.parts.test.index.numpy()) if looked.parts else np.zeros(len(label), dtype=bool)
    sides = {name: {"train": int((label[~test] == number).sum()), "test": int((label[test] == number).sum())}
             for number, name in enumerate(samples.classes)}
    found = [*groups, *_balance(sides, known, looked)]
    order = None
    if sum(side["train"] + side["test"] > 0 for side in sides.values()) > 1:
        runs = 1 + int((np.diff(label[known]) != 0).sum())
        order = "sorted by label" if runs == len(np.unique(label[known])) else "mixed"
        found += [*_confounded(looked), *_trivial(looked)]
    return sides, order, found


def _shared_groups(looked: Looked) -> list[Finding]:
    """Groups on both sides of the split, which happens where the source made the split."""
    if looked.parts is None or looked.samples.groups is None:
        return []
    both = np.intersect1d(looked.parts.train.groups, looked.parts.test.groups)
    if not len(both):
        return []
    first = [looked.names[np.argmax(looked.samples.groups == group)] for group in both]
    return [Finding("serious", "leak across the split", f"{many(len(both), 'group')} on both sides ({looked.parts.name}).",
                    "Scores count what was learned of these groups: name groups to hold out with --hold-out.",
                    [f"group {group}, such as {name}" for group, name in zip(both, first, strict=True)])]


def _balance(sides: dict[str, dict[str, int]], known: np.ndarray, looked: Looked) -> list[Finding]:
    found, split = [], looked.parts is not None
    if not known.all():
        found.append(Finding("note" if known.any() else "warning", "unlabelled",
                             f"{known.sum():,} of {len(known):,} samples have a label.",
                             "Training uses all, judging those with a label; check that this is what you expect.",
                             list(dict.fromkeys(looked.names[~known].tolist()))))
    all_of = {name: side["train"] + side["test"] for name, side in sides.items()}
    if len(all_of) == 1:
        return [*found, Finding("serious", "one class", f"All labels say {next(iter(all_of))!r}.",
                                "Nothing can be judged: check where the labels are taken from (--labels).")]
    lacking = [f"{name}: {side['train']} to learn from, {side['test']} to score on" for name, side in sides.items()
               if split and min(side.values()) == 0]
    if lacking:
        found.append(Finding("serious", "class on one side", f"On one side of the split alone ({looked.parts.name}): {len(lacking)} of "
                             f"{len(sides)} classes.", "Hold out other groups with --hold-out, or merge classes.", lacking))
    tiny = [f"{name}: {count}" for name, count in all_of.items() if 0 < count < 20]
    if tiny:
        found.append(Finding("warning", "tiny classes", f"Fewer than 20 samples: {len(tiny)} of {len(all_of)} classes.",
                             "Their accuracy cannot be told from chance; merge or leave out, or label more.", tiny))
    most, least = max(all_of, key=all_of.get), min(all_of, key=all_of.get)
    if all_of[most] >= 10 * max(1, all_of[least]):
        found.append(Finding("note", "imbalance", f"{most!r} has {all_of[most]:,} samples, {least!r} {all_of[least]:,}.",
                             "Read balanced accuracy: always saying the largest class looks good otherwise."))
    return found


def _confounded(looked: Looked) -> list[Finding]:
    """Groups that stand for a label: the number of a subject alone would say it."""
    samples = looked.samples
    if samples.groups is None or len(np.unique(samples.groups)) == len(np.unique(looked.sources)):
        return []  # a group is then no more than one recording, which has one label as a rule
    known = samples.labels >= 0
    pairs = np.unique(np.stack([samples.groups[known], samples.labels[known]], 1), axis=0)
    if len(pairs) > len(np.unique(pairs[:, 0])):
        return []
    alone = [samples.classes[number] for number, count in enumerate(np.bincount(pairs[:, 1])) if count == 1]
    if not alone:
        return [Finding("note", "label leak", "Every group has one label.",
                        "Only a split by whole groups, as unveil makes it, tells recognising the class from recognising the group.")]
    return [Finding("serious", "label leak", f"{len(alone)} of {len(samples.classes)} classes come from one group each, and no group has "
                    "two labels: the group alone says the label.",
                    "Nothing can tell whether the class or the group was learned: get more groups of these classes.", alone)]


def _trivial(looked: Looked) -> list[Finding]:
    """Labels that one number gives: the place of one value, a channel, what is missing, the size of the file; brightness or swing."""
    samples = looked.samples
    at = np.flatnonzero(samples.labels >= 0)
    label, units = samples.labels[at], (looked.sources if samples.groups is None else samples.groups)[at]
    learn = halves(label, units)
    if (~learn).sum() < TESTED or not learn.any():
        return []
    chance = f"chance {1 / len(np.unique(label)):.0%}"
    found = []
    rows = looked.count if samples.packed else None
    for name, fact, advice in (("share of missing values", looked.missing,
                                "Fill or cut the gaps alike in all classes: an encoder is told them."),
                               ("number of rows", rows, "That may be what the classes are, or how they were chosen: an encoder sees it."),
                               ("size of the file", _file_sizes(looked), "Classes were made or saved otherwise (camera, resolution, "
                                "compression), and an encoder will see that: make and save all alike.")):
        if fact is not None and fact.std() > 0 and (right := readable(fact[at], label, learn)) >= ENOUGH:
            found.append(Finding("warning", "label leak", f"The {name} alone {_gives(right, chance)}.", advice))
    channels = _coded_channels(looked, at, label, learn)
    for number, right in channels.items():
        found.append(Finding("serious", "label leak", f"Channel {number} stays constant inside a sample, and alone "
                             f"{_gives(right, chance)}: it looks like a label that was left among the channels.",
                             "Take the channel out.", [f"channel {number}"]))
    found += [] if samples.packed else _coded_places(looked, at, label, learn, list(channels), chance)
    return found or _easy(looked, at, label, learn, chance)


def _gives(right: float, chance: str) -> str:
    return f"gives the label of {right:.0%} of samples ({chance})"


def _file_sizes(looked: Looked) -> np.ndarray | None:
    """Logarithm of the bytes of each sample's file, where each has one of its own."""
    names = looked.names.tolist()
    if len(set(names)) < len(names) or not all(map(os.path.isfile, names)):
        return None
    return np.log([max(1, os.path.getsize(name)) for name in names])


def _coded_channels(looked: Looked, at: np.ndarray, label: np.ndarray, learn: np.ndarray) -> dict[int, float]:
    """Channels that do not vary inside a sample but say its label, with how often they are right."""
    flat = (looked.std <= 1e-4 * looked.scale[1].flatten().numpy()).mean(0) > 0.99
    held = {int(number): readable(looked.mean[at, number].astype(np.float64), label, learn) for number in np.flatnonzero(flat)}
    return {number: right for number, right in held.items() if right >= ENOUGH}


def _coded_places(looked: Looked, at: np.ndarray, label: np.ndarray, learn: np.ndarray, done: list[int],
                  chance: str) -> list[Finding]:
    """The one value, always at the same place, that says the label best, where it is a code: its classes' values hardly vary, or
    its neighbours do not know what it knows, as neighbours of honest measurements do."""
    samples = looked.samples
    places = samples.channels * int(np.prod(samples.shape))
    some = np.unique(np.linspace(0, len(at) - 1, min(len(at), 4096, max(64, VALUES // places))).astype(int))
    label, learn = label[some], learn[some]
    parts = torch.as_tensor(at[some]).split(512)
    x = torch.cat([looked.standardised(part)[0] for part in parts]).flatten(1).numpy()
    apart = between(x[learn], label[learn]).reshape(samples.channels, *samples.shape)
    apart[done] = 0
    best = np.unravel_index(apart.argmax(), apart.shape)
    right = lambda place: readable(x[:, np.ravel_multi_index(place, apart.shape)], label, learn)
    if (~learn).sum() < TESTED or (known := right(best)) < ENOUGH:
        return []
    near = [tuple(best[i] + step * (i == axis) for i in range(len(best))) for axis in range(1, len(best)) for step in (-2, -1, 1, 2)]
    beside = max((right(place) for place in near if all(0 <= p < n for p, n in zip(place, apart.shape, strict=True))), default=0.0)
    guess = 1 / len(np.unique(label))
    if apart[best] < CODE and beside - guess > (known - guess) / 2:
        return []
    alike = int((apart >= CODE).sum()) - 1
    where = ", ".join(f"{axis} {p}" for axis, p in zip(samples.axes, best[1:], strict=True))
    more = f" So do {alike:,} other places." if alike > 0 else ""
    why = "hardly varies inside a class" if apart[best] >= CODE else "its neighbours do not"
    return [Finding("serious", "label leak", f"The value at {where} of channel {best[0]} alone {_gives(known, chance)}, and {why}: it "
                    f"looks like a mark that was written into the data.{more}", "Blank the place, or cut it off.",
                    [f"channel {best[0]}, {where}"])]


def _easy(looked: Looked, at: np.ndarray, label: np.ndarray, learn: np.ndarray, chance: str) -> list[Finding]:
    """A mean or deviation of a channel that says the label: often honest, but then a network has nothing to show here."""
    facts = np.concatenate([looked.mean, looked.std], 1)[at].astype(np.float64)
    best = int(between(facts[learn], label[learn]).argmax())
    if (right := readable(facts[:, best], label, learn)) < ENOUGH:
        return []
    what = f"the {('mean', 'deviation')[best // looked.samples.channels]} of channel {best % looked.samples.channels}"
    return [Finding("note", "easy labels", f"{what.capitalize()} alone {_gives(right, chance)}.",
                    "That may be what the classes are, or a trace of how they were recorded; either way these labels cannot show what an "
                    "encoder is worth.")]
