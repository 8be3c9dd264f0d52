"""Whether a claim holds, from rows alone: paired differences, their interval, and what would decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unveil.studies.study import Study
from unveil.studies.summary import ACCURACY, Figure, decimals, facts, held
from unveil.tasks.result import interval

RISE = 0.02  # of the accuracy of neighbours in the last quarter of the steps: who gains more is still learning
HOLDS, FAILS, OPEN, UNTESTABLE = "holds", "does not hold", "undecided", "not testable here"
Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """What is to be said of one part of a claim.

    Attributes:
        word: ``"holds"``, ``"does not hold"``, ``"undecided"`` or ``"not testable here"``.
        about: the part of the claim, such as ``"bootleg over pixels"``.
        why: the figures in a sentence.
        gain: mean paired difference in what arms are judged by, positive where the claimant is better; None where there is none.
        low: of its 95% interval.
        high: of it.
        seeds: that the figures are from.
        cost: processor time of the claimant over that of the other.
    """

    word: str
    about: str
    why: str
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    cost: float | None = None


def verdicts(study: Study, rows: Rows) -> list[Verdict]:
    """One verdict for each arm that the claim names; none where the study claims nothing or an arm has fewer than two seeds."""
    seeds = {arm: len({row["seed"] for row in rows if row["arm"] == arm}) for arm in study.arms}
    if not study.claim or min(seeds[arm] for arm in (study.arm, *study.over, *study.without, *study.level)) < 2:
        return []
    found = [_against(study, rows, rival, level=False) for rival in (*study.over, *study.without)]
    found += [_against(study, rows, rival, level=True) for rival in study.level]
    found += [_over_control(study, rows, *control) for control in study.controls]
    return found + ([_ranking(study, rows)] if study.ranks else [])


def overall(found: Sequence[Verdict]) -> str:
    """Of a claim with several parts: it holds where all of them do, and fails where one does."""
    words = [verdict.word for verdict in found]
    return next((word for word in (FAILS, UNTESTABLE, OPEN) if word in words), HOLDS)


def budget(study: Study) -> int | None:
    """Labels a class at which the verdict is given: the middle one."""
    return study.budgets[(len(study.budgets) - 1) // 2]


def _against(study: Study, rows: Rows, rival: str, level: bool) -> Verdict:
    about, figure = f"{study.arm} {'not worse than' if level else 'over'} {rival}", study.figure
    difference = paired(rows, (study.arm, figure, figure.taught), (rival, figure, figure.taught), budget(study))
    arms = (study.arm,) if rival in study.without else (study.arm, rival)
    cost = _seconds(rows, study.arm) / _seconds(rows, rival)
    return _weighed(study, rows, about, difference, arms, level, f"; {cost:.2f} times the processor time{_stopped(rows, rival)}", cost)


def _over_control(study: Study, rows: Rows, features: str, task: str) -> Verdict:
    figure = study.figure
    theirs = study.arm, Figure(task, figure.metric), features
    difference = paired(rows, (study.arm, figure, figure.taught), theirs, budget(study))
    return _weighed(study, rows, f"{study.arm} over {features} ({task})", difference, (study.arm,), False, "", None)


def _weighed(study: Study, rows: Rows, about: str, difference: np.ndarray, arms: Sequence[str], level: bool, rest: str,
             cost: float | None) -> Verdict:
    """The verdict from paired differences ``(seeds, parts)``, which says nothing where one of ``arms`` cannot be judged."""
    at = study.figure.budget(budget(study))
    if not difference.size:
        return Verdict(UNTESTABLE, about, f"the rows hold no pair of {study.figure.metric} of {study.figure.task} at {at}", cost=cost)
    mean, low, high = crossed(difference)
    known = dict(about=about, gain=mean, low=low, high=high, seeds=len(difference), cost=cost)
    for arm in arms:
        if why := untestable(study, rows, arm):
            return Verdict(UNTESTABLE, why=why, **known)
    word = judged(mean, low, high, study.smallest, level)
    unit = facts(rows, study.figure)[0]
    figures = (f"{_told(study, rows, mean, low, high)} at {at}, over {len(difference)} seeds and "
               f"{difference.shape[1]} parts of the test data; smallest that matters {study.smallest:g}{_unit(unit)}{rest}")
    if word == OPEN:
        edge = (-study.smallest if level else 0.0) if level or mean >= study.smallest else study.smallest
        figures += f". {deciding(difference, abs(mean - edge))}"
    return Verdict(word, why=figures, **known)


def _told(study: Study, rows: Rows, mean: float, low: float, high: float) -> str:
    """A gain with its interval, and of what it is where it is none in accuracy."""
    form = f"{{:+.{decimals(study.figure, study.smallest)}f}}".format
    unit, sign = facts(rows, study.figure)
    what = "" if study.metric == ACCURACY.metric else f"{study.figure.metric} {'higher' if sign > 0 else 'lower'} by "
    return f"{what}{form(mean)} [{form(low)}, {form(high)}]{_unit(unit)}"


def _unit(unit: str) -> str:
    """Behind a number; nothing for what is a share."""
    return "" if unit == "1" or unit.startswith("share") else f" {unit}"


def judged(mean: float, low: float, high: float, smallest: float, level: bool = False) -> str:
    """The word for an interval of a gain.

    A gain holds where the interval is above zero and its middle is not below ``smallest``; it does not where the interval is below
    ``smallest``. ``level`` asks for no loss of that size: it holds where the interval is above ``-smallest``, and does not where below.
    """
    if level:
        return HOLDS if low > -smallest else FAILS if high < -smallest else OPEN
    return HOLDS if low > 0 and mean >= smallest else FAILS if high < smallest else OPEN


def untestable(study: Study, rows: Rows, arm: str) -> str:
    """Why nothing can be said of an arm here: the data do not carry the claim, it did not clearly beat its untaught network, or it was
    still learning. Else empty."""
    figure = study.figure
    if doubts := [doubt for row in rows if row["arm"] == arm for fold in row["folds"] for doubt in fold.get("doubts", ())]:
        return doubts[0]
    difference = paired(rows, (arm, figure, figure.taught), (arm, figure, figure.untaught), budget(study))
    gain, low, high = crossed(difference)
    if not low > 0:
        said = _told(study, rows, gain, low, high) if difference.size else "there is no pair of them"
        return f"{arm} does not clearly beat the same network untaught: {said} at {figure.budget(budget(study))}"
    rises = [fold["rise"] for row in rows if row["arm"] == arm for fold in row["folds"] if fold["rise"] is not None]
    matters = study.smallest if figure.metric == "accuracy" else RISE
    if rises and (rise := float(np.mean(rises))) > matters and interval(rises)[0] > 0:
        return f"{arm} was still learning when its steps ended: accuracy of neighbours rose by {rise:.3f} in the last quarter of them"
    return ""


def paired(rows: Iterable[dict[str, Any]], ours: tuple[str, Figure, str], theirs: tuple[str, Figure, str],
           labels: int | None) -> np.ndarray:
    """By how much one (arm, figure, features) is better than another: ``(seeds, parts)``, parts being those of all splits. Seeds whose
    parts are others than those of most are left out, and all where the two were scored on other numbers of samples."""
    table: dict[tuple[str, Figure, str], dict[int, list[float]]] = {ours: {}, theirs: {}}
    scored: dict[tuple[str, Figure, str], set[Any]] = {ours: set(), theirs: set()}
    rows = list(rows)
    for row in rows:
        for one, found in table.items():
            if row["arm"] == one[0]:
                mine = [score for _, score in held(row, *one[1:], labels)]
                found[row["seed"]] = [part for score in mine for part in score["parts"]]
                scored[one].add(tuple(score.get("n_test") for score in mine))
    both = sorted(set(table[ours]) & set(table[theirs])) if scored[ours] & scored[theirs] else []
    counts = [len(found[seed]) for seed in both for found in table.values()]
    most = max(counts, key=counts.count, default=0)
    seeds = [seed for seed in both if len(table[ours][seed]) == len(table[theirs][seed]) == most > 0]
    return facts(rows, ours[1])[1] * np.array([np.subtract(table[ours][seed], table[theirs][seed]) for seed in seeds])


def crossed(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean and its interval where both seeds and test parts are drawn from more of their kind.

    The variance is the sum of that over seeds and that over parts (the crossed random-effects bound of Owen 2007, which errs on
    the wide side), with Satterthwaite's degrees of freedom.

    Args:
        values: ``(seeds, parts)``.
        level: of the interval; it is the whole line below two seeds.
    """
    from scipy.stats import t
    mean = float(values.mean()) if values.size else float("nan")
    spread = _spread(values)
    if len(values) < 2:
        return mean, float("-inf"), float("inf")
    total = sum(variance for variance, _ in spread)
    freedom = total**2 / max(sum(variance**2 / df for variance, df in spread), 1e-300)
    half = float(t.ppf((1 + level) / 2, max(freedom, 1.0)) * total**0.5)
    return mean, mean - half, mean + half


def _spread(values: np.ndarray) -> list[tuple[float, int]]:
    """Variance of the mean due to seeds and due to parts, each with its degrees of freedom."""
    return [(float(values.mean(1 - axis).var(ddof=1) / count), count - 1) for axis, count in enumerate(values.shape) if count > 1]


def deciding(values: np.ndarray, distance: float) -> str:
    """How many seeds or test parts would bring the interval within ``distance`` of the mean."""
    (by_seed, _), *rest = _spread(values)
    seeds, parts = values.shape
    by_part = rest[0][0] if rest else 0.0
    room = (distance / 2.0) ** 2  # two standard errors
    if room > by_part * 1.05:
        return f"About {int(np.ceil(by_seed * seeds / (room - by_part)))} seeds would decide"
    if room > by_seed * 1.05:
        return f"More seeds would not decide: about {int(np.ceil(by_part * parts / (room - by_seed)))} test parts would"
    scale = (by_seed + by_part) / max(room, 1e-12)
    return f"About {int(np.ceil(scale * seeds)):,} seeds on {int(np.ceil(scale * parts)):,} test parts would decide"


def _ranking(study: Study, rows: Rows) -> Verdict:
    """Spearman correlation of the last loss with what arms are judged by over the runs of some arms, on each split and seed apart."""
    from scipy.stats import spearmanr
    found, (_, sign) = [], facts(rows, study.figure)
    for seed in sorted({row["seed"] for row in rows}):
        mine = {row["arm"]: row for row in rows if row["seed"] == seed and row["arm"] in study.ranks}
        for number in range(len(study.folds)) if len(mine) == len(study.ranks) else ():
            points = [_point(mine[arm], number, study, sign) for arm in study.ranks]
            found.append(float(spearmanr(*zip(*points)).statistic))
    mean, low, high = float(np.mean(found)), *np.clip(interval(found), -1.0, 1.0)
    word = HOLDS if low > 0 else FAILS if high <= 0.5 else OPEN
    return Verdict(word, f"the loss ranks the {study.figure.metric} of {', '.join(study.ranks)}",
                   f"Spearman correlation of -loss / lambda^0.4 with {'' if sign > 0 else '-'}{study.figure.metric} {mean:+.2f} "
                   f"[{low:+.2f}, {high:+.2f}] over {len(found)} runs of {len(study.ranks)} weights", seeds=len(found))


def _point(row: dict[str, Any], number: int, study: Study, sign: int) -> tuple[float, float]:
    fold, weight = row["folds"][number], row["recipe"]["method"]["weight"]
    one = {**row, "folds": [fold]}
    figure = next(np.mean(score["values"]) for _, score in held(one, study.figure, study.figure.taught, budget(study)))
    return -fold["loss"] / weight**0.4, sign * float(figure)


def differences(rows: Rows, first: str) -> dict[str, dict[str, tuple[Any, Any]]]:
    """For each arm but ``first`` the settings in which it differs from it: dotted name -> (of first, its own). Of two methods their names
    alone: the settings that they share are compared."""
    recipes = {row["arm"]: row["recipe"] for row in rows if "recipe" in row}
    found = {}
    for arm, theirs in recipes.items():
        pairs = {f"{section}.{name}": (value, theirs[section].get(name, value)) for section, held in recipes.get(first, {}).items()
                 for name, value in held.items()}
        found[arm] = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    return {arm: held for arm, held in found.items() if arm != first}


def _stopped(rows: Rows, arm: str) -> str:
    """That runs of an arm were ended by the diagnosis, so had fewer steps; empty where none was."""
    folds = [fold for row in rows if row["arm"] == arm for fold in row["folds"]]
    ended = [fold for fold in folds if fold["status"] != "finished"]
    faults = ", ".join(sorted({finding["fault"] for fold in ended for finding in fold["findings"]}))
    return f"; {arm} was ended early in {len(ended)} of {len(folds)} runs ({faults})" if ended else ""


def _seconds(rows: Rows, arm: str) -> float:
    return float(np.mean([row["cpu_seconds"] for row in rows if row["arm"] == arm]))


def as_table(found: Sequence[Verdict]) -> list[dict[str, Any]]:
    """As it is written."""
    return [asdict(verdict) for verdict in found]
