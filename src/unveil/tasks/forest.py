"""A random forest on frozen features: what the field lays on fingerprints, laid on every way alike."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Count
from unveil.data.samples import Samples
from unveil.tasks.bench import Bench
from unveil.tasks.goals import Goal, goals
from unveil.tasks.result import Result
from unveil.tasks.task import Task

MISSING = "scikit-learn: pip install unveil[sklearn]"
DRAWS = 3  # repeats of what takes longer than a linear probe


class Forest(Task):
    """Random forest (Breiman 2001) on frozen features, of classes or numbers, with scikit-learn's defaults but the number of trees.

    Args:
        trees: how many.
    """

    name = "forest"

    def __init__(self, *, trees: Count = 300):
        self.trees = trees

    def lacks(self, bench: Bench, name: str) -> str:
        if not goals(bench):
            return "labels, or numbers to predict that differ (--targets)"
        return "" if find_spec("sklearn") else MISSING

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        train, test = bench.sides(name)
        for goal in goals(bench, bench.ways[name].network):
            for each in goal.budgets(bench):
                answers = []
                for number in range(min(DRAWS, bench.repeats(each))):
                    at = goal.labelled(bench, each, number)
                    answers.append(self._answer(train.features[torch.as_tensor(at)].numpy(), bench.split.train.subset(at), goal,
                                                test.features.numpy(), bench.seed + number))
                yield from goal.results(bench, name, name, answers, each, task=self.name, n_train=len(at),
                                        protocol=f"random forest of {self.trees} trees on frozen features")

    def _answer(self, x: np.ndarray, samples: Samples, goal: Goal, asked: np.ndarray, seed: int) -> Tensor:
        """What the forest says of ``asked (m, D)``, as ``goal`` means it: ``(m, outputs)``."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
        how, goal = dict(n_estimators=self.trees, random_state=seed, n_jobs=torch.get_num_threads()), goal.fitted(samples)
        wanted = goal.wanted(samples).numpy()
        if goal.outputs == 1:
            found = RandomForestRegressor(**how).fit(x, wanted).predict(asked)[:, None]
        else:
            forest = RandomForestClassifier(**how).fit(x, wanted)
            found = np.full((len(asked), goal.outputs), -np.inf)
            with np.errstate(divide="ignore"):
                found[:, forest.classes_] = np.log(forest.predict_proba(asked))
        return goal.answer(torch.as_tensor(found))
