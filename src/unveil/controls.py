"""An encoder beside what it has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from unveil.contracts import Encoder
from unveil.data.split import Split
from unveil.errors import Unusable
from unveil.recipes.check import find, names
from unveil.recipes.recipe import build_encoder
from unveil.tasks.bench import Bench, Way
from unveil.tasks.embedded import raw, untrained
from unveil.tasks.task import Task, judge
from unveil.training.measure import device

TASKS = ("linear", "knn", "network", "regression", "dense", "forces")  # what judges where nothing else is asked for and data allow


Tasks = Sequence[str | Task] | Literal["all"]


def named(tasks: Tasks | None) -> list[Task]:
    """Tasks by name, with their default settings, or as they are; :data:`TASKS` for None. What says the same as another task in a form for
    studies is not among "all"."""
    tasks = [name for name in names("task") if not find("task", name).again] if tasks == "all" else TASKS if tasks is None else tasks
    return [find("task", task)() if isinstance(task, str) else task for task in tasks]


def judge_features(bench: Bench, tasks: Tasks | None = None) -> list[dict[str, Any]]:
    """Features from elsewhere, which have no controls but each other."""
    rows, left = judge(bench, named(tasks))
    return _told(rows, left, tasks is not None, bench.say)


def judge_encoder(encoder: Encoder, parts: Split, *, tasks: Tasks | None = None, beside: list[dict[str, Any]] | None = None,
                  fine_tune: bool = True, scratch: bool = True, seed: int = 0, **how: Any) -> list[dict[str, Any]]:
    """The encoder and after it its controls: ``beside``, where they were judged before.

    Args:
        encoder: what is judged.
        parts: where to learn and to score.
        tasks: names, or tasks with settings of their own; None for :data:`TASKS`. What cannot judge these data is told.
        beside: rows of :func:`judge_controls`.
        fine_tune: also train the whole network on the labels.
        scratch: also train an untaught one.
        seed: of draws and networks.
        how: ``budgets``, ``draws`` and ``say`` of :class:`unveil.tasks.bench.Bench`.
    """
    here = device()
    ways = {"encoder": Way.frozen(encoder.to(here), "fine-tuned" if fine_tune else "")}
    if source := encoder.settings.get("source"):
        ways["weights as loaded"] = Way.frozen(build_encoder({"name": "pretrained", "source": source}, encoder.spec, seed).to(here))
    bench = Bench(parts, ways, encoder.kind, seed=seed, device=here, controls=False, **how)
    rows, left = judge(bench, named(tasks))
    if encoder.kind.uses_labels:
        rows = [row | {"protocol": row["protocol"] + "; uses labels: what it was taught with names them"} for row in rows]
    rows += judge_controls(encoder, parts, tasks=tasks, scratch=scratch, seed=seed, **how) if beside is None else beside
    return _told(rows, left, tasks is not None, bench.say)


def _told(rows: list[dict[str, Any]], left: dict[str, str], asked: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """The same rows, after telling what judged nothing, where it was asked for.

    Raises:
        Unusable: where there is no row.
    """
    told = [f"{name} cannot judge these: it needs {lacking}" for name, lacking in left.items() if name not in {row["task"] for row in rows}]
    if not rows:
        raise Unusable("; ".join(told))
    for sentence in told if asked else ():
        say(sentence)
    return rows


def judge_controls(encoder: Encoder, parts: Split, *, tasks: Tasks | None = None, scratch: bool = True, seed: int = 0,
                   **how: Any) -> list[dict[str, Any]]:
    """What stands beside an encoder and does not depend on its training: the same network untaught, raw values, the kind's
    statistics and further plain features, and that network trained on the labels from scratch."""
    here = device()
    untaught = untrained(build_encoder(encoder.settings, encoder.spec, seed), parts.train, here)
    ways = {"random init": Way.frozen(untaught, "from scratch" if scratch else ""), "raw + PCA": Way(raw(parts.train, encoder.kind)),
            "statistics": Way(encoder.kind.statistics)}
    ways |= {name: Way(describe) for name, describe in encoder.kind.fitted(parts.train).items()}
    rows, _ = judge(Bench(parts, ways, encoder.kind, seed=seed, device=here, **how), named(tasks))
    return rows
