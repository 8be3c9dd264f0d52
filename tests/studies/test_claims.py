"""What is claimed follows from the rows, and the pages hold what the rows of today give."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from unveil.studies.claims import verdict, write_docs

ROOT = Path(__file__).parents[2]


def rows(gains: list[float], seeds: int = 1) -> list[dict]:
    """An arm whose features beat the untaught ones by ``gains``, a split each."""
    def score(name, value):
        return {"features": name, "task": "linear", "labels": 20, "values": [value]}
    return [{"arm": "a", "seed": seed, "folds": [{"split": str(i), "scores": [score("encoder", 0.5 + gain), score("random init", 0.5)]}
                                                  for i, gain in enumerate(gains)]} for seed in range(seeds)]


@pytest.mark.parametrize("gains, said", [([0.10, 0.11, 0.12, 0.10], "learns"), ([0.10, -0.10, 0.05, 0.00], "not reproduced"),
                                         ([-0.10, -0.11, -0.12, -0.10], "not reproduced"), ([0.1], "undecided")])
def test_verdict(gains, said):
    assert verdict(rows(gains), "a", 20) == said


def test_the_pages_are_those_of_the_rows(tmp_path):
    shutil.copytree(ROOT / "results", tmp_path / "results")
    shutil.copytree(ROOT / "tests" / "parity" / "numbers", tmp_path / "tests" / "parity" / "numbers")
    shutil.copy(ROOT / "README.md", tmp_path)
    (tmp_path / "docs").mkdir()
    write_docs(tmp_path)
    for page in ("README.md", "docs/claims.md"):
        assert (tmp_path / page).read_text() == (ROOT / page).read_text(), f"{page}: run python -m unveil.studies.claims"
