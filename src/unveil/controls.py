"""An encoder beside what it has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unveil.contracts import Encoder
from unveil.data.split import Split
from unveil.recipes.check import find
from unveil.recipes.recipe import build_encoder
from unveil.tasks.bench import Bench, Way
from unveil.tasks.embedded import raw
from unveil.tasks.task import Task, judge
from unveil.training.measure import device

TASKS = ("linear", "knn", "network")  # what judges where nothing else is asked for


def named(tasks: Sequence[str | Task]) -> list[Task]:
    """Tasks by name, with their default settings, or as they are."""
    return [find("task", task)() if isinstance(task, str) else task for task in tasks]


def judge_encoder(encoder: Encoder, parts: Split, *, tasks: Sequence[str | Task] = TASKS, beside: list[dict[str, Any]] | None = None,
                  fine_tune: bool = True, scratch: bool = True, **how: Any) -> list[dict[str, Any]]:
    """The encoder and after it its controls: ``beside``, where they were judged before.

    Args:
        encoder: what is judged.
        parts: where to learn and to score.
        tasks: names, or tasks with settings of their own.
        beside: rows of :func:`judge_controls`.
        fine_tune: also train the whole network on the labels.
        scratch: also train an untaught one.
        how: ``budgets``, ``draws``, ``seed`` and ``say`` of :class:`unveil.tasks.bench.Bench`.
    """
    here = device()
    ways = {"encoder": Way.frozen(encoder.to(here), "fine-tuned" if fine_tune else "")}
    if source := encoder.settings.get("source"):
        ways["weights as loaded"] = Way.frozen(build_encoder({"name": "pretrained", "source": source}, encoder.spec, how["seed"]).to(here))
    rows, _ = judge(Bench(parts, ways, encoder.kind, device=here, **how), named(tasks))
    return rows + (judge_controls(encoder, parts, tasks=tasks, scratch=scratch, **how) if beside is None else beside)


def judge_controls(encoder: Encoder, parts: Split, *, tasks: Sequence[str | Task] = TASKS, scratch: bool = True,
                   seed: int = 0, **how: Any) -> list[dict[str, Any]]:
    """What stands beside an encoder and does not depend on its training: the same network untaught, raw values, the kind's
    statistics, and that network trained on the labels from scratch."""
    here = device()
    untaught = build_encoder(encoder.settings, encoder.spec, seed).to(here)
    ways = {"random init": Way.frozen(untaught, "from scratch" if scratch else ""), "raw + PCA": Way(raw(parts.train)),
            "statistics": Way(encoder.kind.statistics)}
    rows, _ = judge(Bench(parts, ways, encoder.kind, seed=seed, device=here, **how), named(tasks))
    return rows
