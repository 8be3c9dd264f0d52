"""The page of speed says what the rows say, and nothing else."""

import runpy
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]


def test_the_page_is_what_the_rows_make():
    module = runpy.run_path(str(ROOT / "benchmarks" / "speed.py"))
    made, plots = module["page"](), module["plots"]()
    assert (ROOT / "docs" / "speed.md").read_text() == made, "python benchmarks/speed.py writes it anew"
    assert "## A training step" in made and len(plots) == 2
    for name, drawn in plots.items():
        assert f"({name})" in made and (ROOT / "docs" / name).read_text() == drawn
        assert ElementTree.fromstring(drawn).tag.endswith("svg")
