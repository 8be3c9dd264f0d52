"""The first line of a report: what to do, with figures. Pure functions of scores; nothing is read or drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from unveil.studies.summary import gain, mean, scores

OURS = (("encoder", "linear"), ("fine-tuned", "network"))
CONTROLS = {  # what a control is called, its verb, and what to do where it wins
    ("statistics", "linear"): ("hand statistics", "give", "use hand statistics, not {who}"),
    ("MiniRocket", "linear"): ("MiniRocket features", "give", "use MiniRocket features, not {who}"),
    ("from scratch", "network"): ("training from scratch", "gives", "train from scratch, without {who}"),
    ("raw + PCA", "linear"): ("raw values + PCA", "give", "use raw values + PCA, not {who}"),
    ("random init", "linear"): ("the same network untrained", "gives", "do not use {who}, the same network untrained is better")}
TOLD = (("statistics", "linear"), ("from scratch", "network"))  # controls that are named even where they do not come second
ELSE = (  # figures that stand for accuracy where there are no classes of samples, and what stands for the probe
    {("regression", "R2"): "linear", ("network", "R2"): "network"},
    {("dense", "token accuracy"): "linear"},
    {("forces", "cosine"): "linear"})
SMALLEST = 0.01  # gain that decides anything
Way = tuple[str, str]


@dataclass(frozen=True)
class Score:
    """How one way of describing a sample did at one label budget.

    Attributes:
        value: mean.
        low: of its 95% interval; None where there is none.
        high: of it.
        values: what the mean is over; equal keys of two scores are a pair (a draw of labels, or a seed on a split).
    """

    value: float
    low: float | None
    high: float | None
    values: Mapping[Any, float]

    def __str__(self) -> str:
        return share(self.value) if self.low is None else f"{share(self.value)} [{share(self.low)}, {share(self.high)}]"


@dataclass(frozen=True)
class Decision:
    """What a report says first.

    Attributes:
        tone: ``"use"``, ``"avoid"``, ``"even"`` (no clear gain) or ``"open"`` (not judged).
        headline: one sentence.
        rest: further ones, of less weight.
    """

    tone: Literal["use", "avoid", "even", "open"]
    headline: str
    rest: list[str]


Table = Mapping[tuple[Way, int | None], Score]


def share(value: float) -> str:
    """``.82``; 0 and 1 keep their digit."""
    text = f"{min(1.0, max(0.0, value)):.2f}"
    return text[1:] if text.startswith("0.") and text != "0.00" else text


def of_run(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[Way, int | None], Score]:
    """Scores of the rows of :class:`unveil.tasks.result.Result`: accuracies, or of the first of :data:`ELSE` that was judged."""
    rows = [row for row in rows if not row.get("at")]
    found = [row for row in rows if row.get("metric", "accuracy") == "accuracy"]
    for probes in ELSE:
        found = found or [{**row, "task": probes[asked]} for row in rows if (asked := (row["task"], row.get("metric"))) in probes]
    return {((row["features"], row["task"]), row["labels"]):
            Score(row["value"], row["low"], row["high"], dict(enumerate(row["values"]))) for row in found}


def of_study(rows: Sequence[Mapping[str, Any]], arm: str, budgets: Sequence[int | None]) -> dict[tuple[Way, int | None], Score]:
    """Scores of an arm: means over seeds and splits, or of a single one over its draws of labels."""
    table = {}
    for way in (*OURS, *CONTROLS):
        for each in budgets:
            found: Mapping = scores(rows, arm, way[1], way[0], each)
            if len(found) == 1:
                found = dict(enumerate(_draws(rows, arm, way, each)))
            if found:
                value, low, high = mean(found)
                table[way, each] = Score(value, *((low, high) if len(found) > 1 else (None, None)), found)
    return table


def _draws(rows: Sequence[Mapping[str, Any]], arm: str, way: Way, each: int | None) -> list[float]:
    return [value for row in rows if row["arm"] == arm for fold in row["folds"] for score in fold["scores"]
            if (score["features"], score["task"], score["labels"], score.get("metric", "accuracy")) == (*way, each, "accuracy")
            for value in score["values"]]


def beats(a: Score, b: Score) -> bool:
    """``a`` is clearly above ``b``, by :data:`SMALLEST` or more: the interval of the paired gain says so, or where there are no
    pairs the two intervals."""
    if a.value - b.value < SMALLEST:
        return False
    if len(a.values) > 1 and len(b.values) > 1:
        return gain(a.values, b.values)[1] > 0
    return a.low is not None and b.high is not None and a.low > b.high


def decide(table: Table, findings: Sequence[Mapping[str, Any]] = (), status: str = "finished", step: int = 0,
           who: str = "this encoder") -> Decision:
    """What to do.

    Args:
        table: scores; empty where nothing was judged.
        findings: of the diagnosis, each with ``sentence``, ``advice`` and ``fatal``.
        status: how the run ended.
        step: where.
        who: what the encoder is called.
    """
    if status == "stopped":
        return Decision("open", f"Stopped after {step} steps, before {who} was judged.", ["The same command goes on from there."])
    judged = _judged(table, who)
    ill = [f"{finding['sentence'][:1].upper()}{finding['sentence'][1:]}. Try: {finding['advice']}." for finding in findings]
    if any(finding["fatal"] for finding in findings) or (findings and not judged):
        first = next((finding for finding in findings if finding["fatal"]), findings[0])
        return Decision("avoid", f"Do not use {who}: {first['sentence'].partition(':')[0]}.", ill + [text for _, text in judged])
    if not judged:
        return Decision("open", f"Healthy; name labels with --labels to know whether to use {who}.",
                        ["Without labels nothing can be said of what its features are good for."])
    tone = next(tone for tone in ("use", "avoid", "even") if tone in dict(judged))
    at = next(i for i, (its, _) in enumerate(judged) if its == tone)
    return Decision(tone, judged[at][1], [text for i, (_, text) in enumerate(judged) if i != at] + _taught(table, who) + ill)


def _judged(table: Table, who: str) -> list[tuple[str, str]]:
    """A tone and a sentence for every group of neighbouring label budgets with the same advice."""
    budgets = sorted({each for _, each in table}, key=lambda each: float("inf") if each is None else each)
    found = [(_advice(table, each), each) for each in budgets if (OURS[0], each) in table]
    sentences = []
    for (tone, ours, rival), group in groupby((f for f in found if f[0]), key=lambda f: f[0]):
        group = [each for _, each in group]
        sentences.append((tone, _sentence(table, tone, ours, rival, group, who)))
    return sentences


def _advice(table: Table, each: int | None) -> tuple[str, Way, Way | None] | None:
    """Tone, way to use the encoder (frozen, unless tuning clearly gains) and, where it does not beat every control, the best of
    those that it does not."""
    ours = [way for way in OURS if (way, each) in table]
    controls = [way for way in CONTROLS if (way, each) in table]
    if not controls:
        return None
    score = lambda way: table[way, each]
    rival, best = (max(ways, key=lambda way: score(way).value) for ways in (controls, ours))
    unbeaten = {way: [control for control in controls if not beats(score(way), score(control))] for way in ours}
    winners = [way for way in ours if not unbeaten[way]]
    if winners:
        return "use", best if best == winners[0] or beats(score(best), score(winners[0])) else winners[0], None
    if all(beats(score(rival), score(way)) for way in ours):
        return "avoid", best, rival
    return "even", best, max(unbeaten[best], key=lambda way: score(way).value)


def _sentence(table: Table, tone: str, way: Way, rival: Way | None, group: Sequence[int | None], who: str) -> str:
    each = group[-1]
    ours, how = table[way, each], f"{who} + linear" if way == OURS[0] else f"{who}, fine-tuned"
    at = "" if len(group) == 1 else " with all" if each is None else f" with {each}"
    if tone == "use":
        controls = [control for control in CONTROLS if (control, each) in table]
        best = max(controls, key=lambda control: table[control, each].value)
        told = sorted({best, *(c for c in TOLD if c in controls)}, key=lambda control: -table[control, each].value)
        others = ", ".join(f"{CONTROLS[c][0]} {CONTROLS[c][1]} {share(table[c, each].value)}" if c == told[0]
                           else f"{CONTROLS[c][0]} {share(table[c, each].value)}" for c in told)
        return f"With {_labels(group)} use {how}: {ours}{at}; {others}."
    theirs = table[rival, each]
    if tone == "avoid":
        return f"With {_labels(group)} {CONTROLS[rival][2].format(who=who)}: {theirs} against {share(ours.value)}{_how(way)}{at}."
    if ours.low is None:
        name, gives, _ = CONTROLS[rival]
        return f"With {_labels(group)} {name} {gives} {theirs}, {who} {ours}{_how(way)}{at}; a single run gives no interval."
    return f"With {_labels(group)} {who} gains nothing clear over {CONTROLS[rival][0]}: {ours}{_how(way)} against {theirs}{at}."


def _how(way: Way) -> str:
    return " (linear)" if way == OURS[0] else " (fine-tuned)"


def _labels(group: Sequence[int | None]) -> str:
    """``"5 to 20 labels a class"``."""
    first, last = group[0], group[-1]
    if first is None:
        return "all labels"
    if last is None:
        return f"{first} label{'s' * (first != 1)} a class or more"
    return f"{first} label{'s' * (first != 1)} a class" if first == last else f"{first} to {last} labels a class"


def _taught(table: Table, who: str) -> list[str]:
    """A warning where no label budget shows that the training did anything."""
    pairs = [(table[OURS[0], each], score, each) for (way, each), score in table.items()
             if way == ("random init", "linear") and (OURS[0], each) in table]
    if not pairs or any(beats(ours, untaught) or beats(untaught, ours) for ours, untaught, _ in pairs):
        return []
    ours, untaught, each = pairs[-1]
    return [f"Its training shows no gain: with {_labels([each])} the same network untrained gives {share(untaught.value)}, {who} "
            f"{share(ours.value)}."]
