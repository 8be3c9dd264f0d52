"""Where an encoder is worse than the best plain control: classes, groups and samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from unveil.api import Run
from unveil.data.split import Split
from unveil.reports.decision import share
from unveil.reports.drawings import Drawings, evenly
from unveil.reports.figures import pair, ticks
from unveil.reports.markup import Markup, join, tag
from unveil.reports.sections import section
from unveil.reports.tables import WAYS, signed
from unveil.tasks.bench import Bench, Way
from unveil.tasks.embedded import raw
from unveil.tasks.linear import logits, probe
from unveil.training.measure import device

Held = Mapping[str, Any]
LEARN, SCORE = 5_000, 5_000  # samples to learn from and to score on, at most
PLACES, SHOWN = 12, 12  # rows and samples on the page
LEVEL = 0.05
PLAIN = ("statistics", "raw + PCA", "MiniRocket")


def compare(run: Run, drawings: Drawings) -> dict[str, Any]:
    """The encoder's linear probe beside that of the best plain control, both on the same labels, place by place.

    Args:
        run: judged by a linear probe; of another one nothing is said.
        drawings: where samples are drawn.

    Returns:
        ``control``, ``n_train``, ``n``, ``lost`` and ``won`` (samples that the control or the encoder alone gets right), ``places``
        with the largest loss first, and ``samples`` drawn.
    """
    control = _rival(run.rows)
    if control is None:
        return {}
    parts = Split(*(evenly(side.subset(side.labels >= 0), most)
                    for side, most in ((run.parts.train, LEARN), (run.parts.test, SCORE))), run.parts.name)
    ways = {"encoder": Way.frozen(run.encoder.to(device())), control: _plain(run, control)}
    bench, test = Bench(parts, ways, run.encoder.kind, device=device()), parts.test
    ours, theirs = (_scores(bench, name) for name in ways)
    answer, other = ours.argmax(-1).numpy(), theirs.argmax(-1).numpy()
    lost, won = ((a == test.labels) & (b != test.labels) for a, b in ((other, answer), (answer, other)))
    both = answer == test.labels, other == test.labels, lost, won
    places = [place for kind, column in (("class", test.labels), ("group", test.groups)) if column is not None
              for place in _places(kind, column, *both)]
    margin = (ours.max(-1).values - ours.gather(1, ours.new_tensor(test.labels).long()[:, None])[:, 0]).numpy()
    shown = [drawings.told(test, at) | {"said": int(answer[at])} for at in _worst(np.flatnonzero(lost), test.labels, margin)]
    return {"control": control, "n_train": len(parts.train), "n": len(test), "lost": int(lost.sum()), "won": int(won.sum()),
            "places": sorted(places, key=lambda place: place["encoder"] - place["control"]), "samples": shown}


def _rival(rows: Sequence[Held]) -> str | None:
    """The plain control with the highest accuracy at the most labels."""
    found = [row for row in rows if (row["task"], row.get("metric", "accuracy")) == ("linear", "accuracy") and row["features"] in PLAIN]
    return max(found, key=lambda row: (row["labels"] is None, row["labels"] or 0, row["value"]))["features"] if found else None


def _plain(run: Run, control: str) -> Way:
    kind, train = run.encoder.kind, run.parts.train
    made = {"statistics": lambda: kind.statistics, "raw + PCA": lambda: raw(train, kind)}
    return Way(made[control]() if control in made else kind.fitted(train)[control])


def _scores(bench: Bench, name: str) -> Tensor:
    """Of each class for each test sample: ``(n, classes)``."""
    return logits(probe(bench, name)[None], bench.sides(name)[1].features)[0].cpu()


def _places(kind: str, column: np.ndarray, ours: np.ndarray, theirs: np.ndarray, lost: np.ndarray,
            won: np.ndarray) -> Iterator[dict[str, Any]]:
    """Accuracies by value of ``column``; ``clear`` where the sign test says worse at :data:`LEVEL`, after Holm's correction."""
    from scipy.stats import binom
    values = np.unique(column[column >= 0])
    inside = [column == value for value in values]
    counts = np.array([(lost[at].sum(), won[at].sum()) for at in inside]).reshape(-1, 2)
    p = binom.sf(counts[:, 0] - 1, counts.sum(1), 0.5)
    order = p.argsort()
    clear = np.zeros(len(p), bool)
    clear[order] = np.logical_and.accumulate(p[order] * np.arange(len(p), 0, -1) < LEVEL)
    for value, at, (less, more), its in zip(values, inside, counts, clear, strict=True):
        yield {"of": kind, "value": int(value), "n": int(at.sum()), "encoder": float(ours[at].mean()),
               "control": float(theirs[at].mean()), "lost": int(less), "won": int(more), "clear": bool(its)}


def _worst(at: np.ndarray, labels: np.ndarray, margin: np.ndarray) -> list[int]:
    """The most certain mistake of every class, then the second of every class, and so on."""
    ranked = at[np.argsort(-margin[at], kind="stable")]
    rank = np.empty(len(ranked), np.int64)
    for label in np.unique(labels[ranked]):
        rank[labels[ranked] == label] = np.arange((labels[ranked] == label).sum())
    return ranked[np.argsort(rank, kind="stable")][:SHOWN].tolist()


def worse(held: Held) -> Markup | None:
    """Where to distrust the encoder; says so where there is no such place."""
    found = held.get("worse")
    if not found:
        return None
    control, clear = WAYS[found["control"]], [place for place in found["places"] if place["clear"]]
    first = [f"{_name(place, held)} ({share(place['encoder'])} against {share(place['control'])})" for place in clear[:4]]
    more = f" and {len(clear) - 4} more" if len(clear) > 4 else ""
    said = f"Clearly worse than {control} in {', '.join(first)}{more}." if clear else "Nowhere worse by more than noise."
    alone = f"Of {found['n']:,} held-out samples {control} alone get {found['lost']:,} right, the encoder alone {found['won']:,}."
    how = [f"Linear probes on the encoder and on {control}, the better plain control, both with the same {found['n_train']:,} labels. "
           "Clearly worse: of the samples that only one of the two gets right, more fall to the control than chance explains (exact "
           "one-sided sign test at 5%, Holm's correction over classes and over groups). It takes samples as independent; those of "
           "one group hardly are, so it warns too often rather than too seldom."]
    return section("worse", "Where it is worse", how, tag("p", said, class_=f"state {'worse' if clear else 'well'}"), tag("p", alone),
                   _table(found, control, held), _gallery(found, control, held))


def _name(place: Held, held: Held) -> str:
    return held["facts"]["classes"][place["value"]] if place["of"] == "class" else f"group {place['value']}"


def _table(found: Held, control: str, held: Held) -> Markup:
    places = found["places"][:PLACES]
    values = [place[who] for place in places for who in ("encoder", "control")]
    steps = ticks(max(0.0, min(values)), min(1.0, max(values)), 5)
    scale = steps[0], steps[-1]
    heads = [tag("th", text, scope="col", class_=kind) for text, kind in (
        ("", None), (join(tag("b", "encoder", class_="ours"), f", {control}"), None), ("gain", "number"),
        (join("alone right,", tag("span", "control : encoder")), "number"))]
    rows = []
    for place in places:
        gain = place["encoder"] - place["control"]
        many = f"{place['n']:,} sample{'s' * (place['n'] != 1)}"
        counts = tag("span", tag("span", control, " ", class_="unseen"), f"{place['lost']:,}", tag("span", ", encoder", class_="unseen"),
                     tag("i", " : ", aria_hidden="true"), f" {place['won']:,}")
        rows.append(tag(
            "tr", tag("th", _name(place, held), tag("span", many), scope="row"),
            tag("td", tag("div", tag("b", share(place["encoder"])), tag("span", share(place["control"])),
                          pair(place["encoder"], place["control"], scale), class_="pair")),
            tag("td", signed(gain), tag("span", ", clearly worse", class_="unseen") if place["clear"] else None, class_="number gain"),
            tag("td", counts, class_="number"), class_="clear" if place["clear"] else None))
    rest = len(found["places"]) - len(places)
    after = tag("p", f"and {rest} more, none of which lose more.", class_="more") if rest else None
    return join(tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows), class_="places"), after)


def _gallery(found: Held, control: str, held: Held) -> Markup | None:
    if not found["samples"]:
        return None
    classes = held["facts"]["classes"]
    shown = [tag("li", tag("figure", Markup(held["drawings"][sample["id"]]), tag(
        "figcaption", tag("b", classes[sample["label"]]), "encoder: ", classes[sample["said"]]))) for sample in found["samples"]]
    few = f"{len(shown)} of the {found['lost']:,} samples" if len(shown) < found["lost"] else "The samples"
    return join(tag("h3", f"{few} that only {control} get right"),
                tag("p", f"In bold the true label, which {control} give; below it what the encoder says. The surest mistakes of each class "
                    "come first.", class_="more"), tag("ul", shown, class_="tiles"))
