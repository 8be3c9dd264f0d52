"""What rows say together: means over splits and seeds, and paired gains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from unveil.tasks.result import interval


def scores(rows: Iterable[dict[str, Any]], arm: str, task: str, features: str, labels: int | None) -> dict[tuple[int, str], float]:
    """Mean over draws for each (seed, split)."""
    return {(row["seed"], fold["split"]): float(np.mean(score["values"])) for row in rows if row["arm"] == arm for fold in row["folds"]
            for score in fold["scores"]
            if (score["task"], score["features"], score["labels"], score.get("metric", "accuracy")) == (task, features, labels, "accuracy")}


def mean(found: dict) -> tuple[float, float, float]:
    """Mean and its interval over splits and seeds."""
    values = list(found.values())
    return (float(np.mean(values)), *interval(values))


def gain(a: dict, b: dict) -> tuple[float, float, float]:
    """Mean paired difference ``a - b`` over what both have, and its interval."""
    values = [a[k] - b[k] for k in a if k in b]
    return (float(np.mean(values)), *interval(values))
