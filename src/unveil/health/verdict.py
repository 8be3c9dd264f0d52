"""From the figures of a run to its faults, in words.

The thresholds were set on some 350 runs with seeds 100 to 129 and no others: eight methods on planted signals (window 64) and
images (side 16), Transformer (width 64, depth 2, patch 4) and ConvNet (width 64), batch 64, 300 to 400 steps, lr 3e-4, 1e-3 and
3e-3; their broken twins; SimCLR, LeJEPA and I-JEPA at lr 1e-8, 0.03 and 0.3. Beside each threshold stands what was seen there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from unveil.health.panel import PARTS

PATIENCE = 3  # rows in a row that a fault must hold for before it is named: transients at the start of a run last one or two
CONSTANT = 0.01  # spread below which features are constant, unless it rises. Random encoders .03 to .5, collapsed .001 to .007
FADED = 0.1  # share of its highest spread at which a layer has collapsed. Healthy at least .17, collapsed .01 to .1
AGREED = (0.6, 0.05)  # shares of highest spread and first loss that together are a collapse of the projection: the loss is gone
# because all samples agree. LeJEPA, VICReg and BYOL without what holds samples apart get there, no healthy run does
FLAT = 0.1  # share of its highest effective rank at which a layer's dimensions have collapsed. Healthy at least .19
LINE = 1.5  # effective rank at which they have, whatever it was. Healthy at least 2.5
SAME = 1e-3  # view distance below which views are equal. Healthy at least .02, equal views 0
FLOOR = 1e-4  # share of its first value at which a loss that cannot be negative has nothing left to ask. Healthy at least .003
EXPLODED = 10  # times its first size that the loss must reach to be called divergent
STILL = {"loss": 0.25, "spread": 0.16, "deviation": 0.16}  # range over mean of all rows up to which a figure has not moved.
# At lr 1e-8 the loss reaches .19, spread and deviation .13; in every healthy run the loss passes .3 or one of the others .2
EARLY = 0.25  # share of the run after which it is a fault that nothing moved; warm-up is over by then
FEWEST = 6  # rows that this must rest on

Row = Mapping[str, float]


@dataclass(frozen=True)
class Finding:
    """A fault of a run.

    Attributes:
        fault: ``"collapse"``, ``"dimensional collapse"``, ``"trivial task"``, ``"divergence"`` or ``"no learning"``.
        part: where: ``"embedding"`` (the encoder), ``"projection"``, ``"views"``, ``"loss"`` or ``"run"``.
        since: step at which it began.
        sentence: what is wrong, with figures.
        advice: what to try.
        fatal: going on is pointless.
    """

    fault: str
    part: str
    since: int
    sentence: str
    advice: str
    fatal: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.sentence}. Try: {self.advice}"


def verdict(history: Sequence[Row], total: int | None = None, patience: int = PATIENCE) -> list[Finding]:
    """Faults that hold at the end of ``history``.

    Args:
        history: rows in order with ``step``, ``loss`` where there is one, and figures of :func:`unveil.health.panel.panel`.
        total: steps of the whole run; None where the history is all of it.
        patience: rows that a fault must have held for.
    """
    found = _divergence(history, patience)
    if found:
        return found
    for part in PARTS:
        found += _collapse([row for row in history if f"{part}/spread" in row], part, patience)
    if not any(finding.fault == "collapse" for finding in found):
        found += _trivial(history, patience)
    return found or _no_learning(history, total)


def summary(findings: Sequence[Finding], row: Row) -> str:
    """The verdict in words: each finding, or that there is none, with the figures of ``row``."""
    if findings:
        return "\n".join(map(str, findings))
    states = [f"{part} {state}" for part in PARTS if (state := _state(row, part))]
    if "embedding/view_distance" in row:
        states.append(f"views of a sample lie {math.sqrt(row['embedding/view_distance']):.2g} times as far apart as samples")
    if "embedding/knn" in row:
        states.append(f"neighbours tell the class of {row['embedding/knn']:.0%}")
    return "healthy: " + "; ".join(states)


def _collapse(rows: Sequence[Row], part: str, patience: int) -> list[Finding]:
    if not rows:
        return []
    spread, size, rank = ([row[f"{part}/{name}"] for row in rows] for name in ("spread", "deviation", "effective_rank"))
    most_spread, most_rank = (list(accumulate(series, max)) for series in (spread, rank))
    agreed = [part == "projection" and 0 <= row.get("loss", -1) < AGREED[1] * rows[0].get("loss", 0) for row in rows]
    complete = [s <= spread[0] and (s < CONSTANT or s < FADED * top or (all_agree and s < AGREED[0] * top))
                for s, top, all_agree in zip(spread, most_spread, agreed, strict=True)]
    flat = [r < max(min(LINE, row[f"{part}/width"] / 4), FLAT * top) for r, top, row in zip(rank, most_rank, rows, strict=True)]
    if (since := _since(rows, complete, patience)) is not None:
        was = [f", was {most:.2g}" if len(rows) > 1 else "" for most in (max(spread), max(size))]
        sentence = (f"{part} collapsed {_from(since)}: its features are nearly the same for all samples (spread {spread[-1]:.2g}"
                    f"{was[0]}; deviation {size[-1]:.2g}{was[1]}){_loss(rows[-1])}{_other(rows[-1], part)}")
        return [Finding("collapse", part, since, sentence, _ADVICE["collapse"], True)]
    if (since := _since(rows, flat, patience)) is not None:
        was = f" (was {most_rank[-1]:.3g})" if len(rows) > 1 else ""
        sentence = f"{part} uses few of its dimensions {_from(since)}: {_state(rows[-1], part)}{was}{_other(rows[-1], part)}"
        return [Finding("dimensional collapse", part, since, sentence, _ADVICE["dimensional collapse"], False)]
    return []


def _trivial(history: Sequence[Row], patience: int) -> list[Finding]:
    rows = [row for row in history if "embedding/view_distance" in row]
    since = _since(rows, [row["embedding/view_distance"] < SAME for row in rows], patience)
    if since is not None:
        sentence = (f"the task is trivial {_from(since)}: two views of a sample are equal to the encoder (their distance is "
                    f"{math.sqrt(rows[-1]['embedding/view_distance']):.2g} of that between samples){_loss(rows[-1])}")
        return [Finding("trivial task", "views", since, sentence, _ADVICE["views"], True)]
    rows = [row for row in history if "loss" in row]
    since = _since(rows, [0 <= row["loss"] < FLOOR * rows[0]["loss"] for row in rows], patience)
    if since is not None:
        sentence = f"the task is trivial {_from(since)}: nothing is left to learn{_loss(rows[-1])}, first {rows[0]['loss']:.2g}"
        return [Finding("trivial task", "loss", since, sentence, _ADVICE["floor"], True)]
    return []


def _divergence(history: Sequence[Row], patience: int) -> list[Finding]:
    broken = [not math.isfinite(row.get("loss", 0.0)) or any(f"{part}/finite" in row for part in PARTS) for row in history]
    since = _since(history, broken, 1)
    if since is not None:
        sentence = f"the run diverged {_from(since)}: its loss or features are no longer finite"
        return [Finding("divergence", "loss", since, sentence, _ADVICE["divergence"], True)]
    rows = [row for row in history if "loss" in row]
    since = _since(rows, [row["loss"] > EXPLODED * abs(rows[0]["loss"]) for row in rows], patience)
    if since is None:
        return []
    best = min(row["loss"] for row in rows)
    sentence = f"the run diverges {_from(since)}{_loss(rows[-1])}, first {rows[0]['loss']:.2g}, best {best:.2g}"
    return [Finding("divergence", "loss", since, sentence, _ADVICE["divergence"], True)]


def _no_learning(history: Sequence[Row], total: int | None) -> list[Finding]:
    rows = [row for row in history if "loss" in row and "embedding/spread" in row]
    if len(rows) < FEWEST or (total and rows[-1]["step"] < EARLY * total):
        return []
    names = ["loss"] + [f"{part}/{name}" for part in PARTS for name in ("spread", "deviation") if f"{part}/{name}" in rows[0]]
    if any(_moved([row[name] for row in rows], STILL[name.split("/")[-1]]) for name in names):
        return []
    sentence = (f"nothing was learned up to step {int(rows[-1]['step'])}: loss and features are as they were at step "
                f"{int(rows[0]['step'])}{_loss(rows[-1])}")
    return [Finding("no learning", "run", int(rows[0]["step"]), sentence, _ADVICE["no learning"], False)]


def _moved(series: Sequence[float], limit: float) -> bool:
    return max(series) - min(series) > limit * sum(map(abs, series)) / len(series)


def _since(rows: Sequence[Row], holds: Sequence[bool], patience: int) -> int | None:
    """Step of the first of the unbroken run of rows that hold at the end; None if they are fewer than ``patience``."""
    count = next((i for i, held in enumerate(reversed(holds)) if not held), len(holds))
    return int(rows[-count]["step"]) if count >= max(1, patience) else None


def _from(step: int) -> str:
    return f"since step {step}"


def _state(row: Row, part: str) -> str:
    if f"{part}/spread" not in row:
        return ""
    return f"spread {row[f'{part}/spread']:.2g}, effective rank {row[f'{part}/effective_rank']:.3g} of {row[f'{part}/width']:.0f}"


def _other(row: Row, part: str) -> str:
    """How the other part is, as encoder and projection are judged apart."""
    other = PARTS[1 - PARTS.index(part)]
    return f"; {other}: {state}" if (state := _state(row, other)) else ""


def _loss(row: Row) -> str:
    return f"; loss {row['loss']:.2g}" if "loss" in row else ""


_ADVICE = {
    "collapse": "strengthen what keeps samples apart (negatives, variance or SIGReg weight, predictor, stop-gradient, teacher "
                "momentum nearer 1), then a lower --train.lr",
    "dimensional collapse": "a larger batch, a higher weight of the decorrelating term, or a lower --train.lr",
    "views": "views that differ: more strength, or a smaller least area",
    "floor": "a harder task: more hidden, or views that differ more",
    "divergence": "a lower --train.lr, a longer --train.warmup, or --train.clip 1",
    "no learning": "a higher --train.lr; else see whether gradients reach the encoder",
}
