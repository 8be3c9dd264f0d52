"""The page of speed says what the rows say, and nothing else."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_is_what_the_rows_make():
    made = runpy.run_path(str(ROOT / "benchmarks" / "speed.py"))["page"]()
    assert (ROOT / "docs" / "speed.md").read_text() == made, "python benchmarks/speed.py writes it anew"
    assert "## A training step" in made
