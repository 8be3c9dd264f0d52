"""How often a label-free criterion picks the encoder that labels pick, in stored rows of studies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unveil.errors import Unusable
from unveil.health.criteria import CRITERIA, Criterion
from unveil.studies.summary import scores


@dataclass(frozen=True)
class Contest:
    """The arms of a study on one seed and split.

    Attributes:
        study: its name.
        accuracy: of each arm's linear probe at the middle label budget.
        figures: of each arm, as its last panel had them.
    """

    study: str
    accuracy: dict[str, float]
    figures: dict[str, dict[str, float]]

    def regret(self, criterion: Criterion) -> float:
        """Accuracy that is lost by the criterion's pick; NaN where an arm lacks the figure."""
        rated = {arm: criterion.score(figures) for arm, figures in self.figures.items()}
        return max(self.accuracy.values()) - self.accuracy[max(rated, key=rated.get)] if np.isfinite(list(rated.values())).all() else np.nan

    @property
    def chance(self) -> float:
        """Mean regret of a pick at random."""
        return max(self.accuracy.values()) - float(np.mean(list(self.accuracy.values())))


@dataclass(frozen=True)
class Record:
    """What picks gave over contests.

    Attributes:
        n: contests.
        studies: that they are from.
        hits: picks that labels would have made too.
        low: end of the rate's 95% interval (Clopper and Pearson 1934).
        high: its other end. Contests of one study are alike, so the interval is too narrow.
        regret: accuracy lost, mean.
        chance_hits: hits that picks at random have on average.
        chance_regret: accuracy that they lose.
    """

    n: int
    studies: int
    hits: int
    low: float
    high: float
    regret: float
    chance_hits: float
    chance_regret: float

    @property
    def beats_chance(self) -> bool:
        """The whole interval of the rate lies above that of picks at random, and less is lost."""
        return self.low > self.chance_hits / self.n and self.regret < self.chance_regret


def contests(results: Path) -> list[Contest]:
    """Every (study, seed, split) of the rows under ``results`` with two healthy arms or more: what collapsed is picked by nobody.

    Raises:
        Unusable: where a row cannot be read.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(results.glob("*/*-s*.json")):
        try:
            row = json.loads(path.read_text())
        except ValueError as why:
            raise Unusable(f"cannot read the result row {path}: {why}; put it back, or name another folder with --results") from why
        if {"study", "arm", "seed", "folds"} <= row.keys():
            rows.setdefault(row["study"], []).append(row)
    return [contest for study, held in rows.items() for contest in _of_study(study, held)]


def _of_study(study: str, rows: Sequence[Mapping[str, Any]]) -> Iterable[Contest]:
    budgets = list(dict.fromkeys(score["labels"] for row in rows for fold in row["folds"] for score in fold["scores"]
                                 if (score["task"], score["features"]) == ("linear", "encoder")))
    held: dict[tuple[int, str], dict[str, tuple[float, dict[str, float]]]] = {}
    middle = budgets[(len(budgets) - 1) // 2] if budgets else None
    for row in rows:
        accuracy = scores([row], row["arm"], "linear", "encoder", middle)
        for fold in row["folds"]:
            place, ill = (row["seed"], fold["split"]), any(finding.get("fatal") for finding in fold["findings"])
            if place in accuracy and not ill:
                held.setdefault(place, {})[row["arm"]] = accuracy[place], fold["figures"]
    for arms in held.values():
        if len(arms) > 1:
            yield Contest(study, *({arm: pair[side] for arm, pair in arms.items()} for side in (0, 1)))


def record(contests: Sequence[Contest], regrets: Sequence[float]) -> Record:
    """What picks with these regrets gave."""
    from scipy.stats import binomtest
    hits, n = sum(regret == 0 for regret in regrets), len(contests)
    interval = binomtest(hits, n).proportion_ci(method="exact")
    return Record(n, len({contest.study for contest in contests}), hits, float(interval.low), float(interval.high), float(np.mean(regrets)),
                  sum(1 / len(contest.accuracy) for contest in contests), float(np.mean([contest.chance for contest in contests])))


def records(contests: Sequence[Contest]) -> dict[str, Record]:
    """What each criterion's picks gave in the contests where all arms have its figure; least regret first, most contests before that."""
    held = {}
    for name, criterion in CRITERIA.items():
        regrets = {i: regret for i, contest in enumerate(contests) if np.isfinite(regret := contest.regret(criterion))}
        if regrets:
            held[name] = record([contests[i] for i in regrets], list(regrets.values()))
    return dict(sorted(held.items(), key=lambda pair: (-pair[1].n, pair[1].regret)))


def chosen_elsewhere(contests: Sequence[Contest]) -> Record | None:
    """What picks gave when the criterion for each study was the one with the least regret in the other studies.

    None with fewer than two studies, or where such a criterion has no figure.
    """
    regrets = []
    for contest in contests:
        others = records([other for other in contests if other.study != contest.study])
        regret = contest.regret(CRITERIA[next(iter(others))]) if others else np.nan
        if np.isnan(regret):
            return None
        regrets.append(regret)
    return record(contests, regrets) if regrets else None


def in_words(contests: Sequence[Contest], by: str) -> list[str]:
    """How far to trust picks by a criterion, in sentences."""
    if not contests:
        return ["No stored results here, so how often such picks are right is not known: name a folder of result rows with --results."]
    all_held = records(contests)
    held, elsewhere = all_held.get(by), chosen_elsewhere(contests) if by == next(iter(all_held), None) else None
    if held is None:
        return [f"No stored result holds the figure of {by}, so how often its picks are right is not known."]
    told = [f"In {held.n} stored contest{'s' * (held.n != 1)} (the arms of a study on one seed and split; from {held.studies} "
            f"{'study' if held.studies == 1 else 'studies'}) {by} made the pick of the labels {_rate(held)}; a random pick "
            f"{held.chance_hits:.1f} of {held.n}. Its picks lost {held.regret:.3f} of accuracy on average, random ones "
            f"{held.chance_regret:.3f}."]
    if elsewhere:
        told.append(f"Looking for the best criterion in these same rows flatters it: with the criterion for each study taken from the "
                    f"other studies alone, the pick was that of the labels {_rate(elsewhere)}, and lost {elsewhere.regret:.3f}.")
    if not (elsewhere or held).beats_chance:
        told.append("So such picks are not shown to be better than chance. With a few labels, unveil evaluate RUN --data DATA "
                    "--labels ... is surer.")
    return [*told, "The contests are between methods and settings, none between snapshots of a run. Their figures are of what each method "
                   "saw in training, not of whole samples. Contests of one study are alike, so the intervals are too narrow. Losses of "
                   "different methods cannot be compared at all."]


def _rate(held: Record) -> str:
    return f"{held.hits} of {held.n} times ({held.hits / held.n:.0%}, 95% interval {held.low:.0%} to {held.high:.0%})"
