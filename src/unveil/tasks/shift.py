"""What is lost on groups that were never seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unveil.randomness import Generator
from unveil.tasks.bench import Bench, right
from unveil.tasks.linear import fit, predict
from unveil.tasks.result import Result, jackknife
from unveil.tasks.task import Task

KEPT = 0.25  # share of the samples of the known groups that the probe does not learn from


class Shift(Task):
    """One probe on samples of known groups that it has not seen, and on new groups."""

    name = "shift"

    def lacks(self, bench: Bench, name: str) -> str:
        train, test = bench.split.train.groups, bench.split.test.groups
        if reason := super().lacks(bench, name):
            return reason
        if train is None or min(len(np.unique(train)), len(np.unique(test))) < 2:
            return "two groups at least on both sides of the split"
        return "a split that holds out whole groups" if np.isin(test, train).any() else ""

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        (train, test), at = bench.sides(name), bench.labelled(None, 0)
        at = at[Generator(bench.seed, "shift").permutation(len(at)).numpy()]
        kept, learned = np.split(at, [round(KEPT * len(at))])
        w = fit(train.features[learned].to(bench.device), train.labels[learned], train.groups[learned], bench.classes, None)
        found, counts = {}, {}
        for which, side in {"known groups": train.take(kept), "new groups": test.take(np.flatnonzero(test.labels >= 0))}.items():
            hits = right(predict(w[None], side.features)[0], side.labels)
            _, group = np.unique(side.groups, return_inverse=True)
            sums = np.stack([np.bincount(group), np.bincount(group, hits)], 1)
            found[which], counts[which] = jackknife(sums, lambda total: total[:, 1] / total[:, 0]), len(hits)
        found["difference"] = found["new groups"] - found["known groups"]
        for which, estimate in found.items():
            yield bench.figure(name, name, [estimate.value], *estimate.interval(), task=self.name,
                               labels=None, n_train=len(learned), n_test=counts.get(which, sum(counts.values())),
                               metric="accuracy" if which in counts else "accuracy gap", at={"on": which} if which in counts else {},
                               protocol=f"linear probe on {1 - KEPT:.0%} of the labelled samples of the known groups, scored on the "
                                        "others, which may neighbour them, and on new groups; interval over groups")
