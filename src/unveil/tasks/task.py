"""What a task must be able to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from unveil.tasks.bench import Bench
from unveil.tasks.result import Result


class Task:
    """Judges one way of describing samples. Keyword-only constructor arguments are its settings.

    Attributes:
        name: as in ``--tasks``.
        taught: what the features of a taught network are called in its results.
        untaught: what those of the same network without teaching are; a guess, where an untaught one can be asked nothing.
        again: says what another task says, in a form that studies can judge by; only where it is named.
    """

    name: ClassVar[str]
    taught: ClassVar[str] = "encoder"
    untaught: ClassVar[str] = "random init"
    again: ClassVar[bool] = False

    def lacks(self, bench: Bench, name: str) -> str:
        """What the data or the way do not have that this task needs, in words; empty where it can judge."""
        return "" if bench.split.train.labels is not None else "labels"

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        """The results of the way ``name``."""
        raise NotImplementedError

    def controls(self, bench: Bench, name: str) -> Iterator[Result]:
        """What this task alone has beside it and no features are needed for; ``name`` is a way that it can judge."""
        return iter(())


def judge(bench: Bench, tasks: Sequence[Task]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Every task on every way.

    Returns:
        rows of :class:`unveil.tasks.result.Result`, and for the tasks that judged nothing what they lacked.
    """
    rows, left, able = [], {}, {}
    for name in bench.ways:
        for task in tasks:
            if reason := task.lacks(bench, name):
                left.setdefault(task.name, reason)
                continue
            able.setdefault(task, name)
            bench.say(f"judging {name}: {task.name}")
            rows += [result.row() for result in task.judge(bench, name)]
    for task, name in able.items() if bench.controls else ():
        rows += [result.row() for result in task.controls(bench, name)]
    judged = {row["task"] for row in rows}
    return rows, {name: reason for name, reason in left.items() if name not in judged}
