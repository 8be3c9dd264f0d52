"""A folder of broken files with some good ones among them teaches an encoder, and every broken one is named with its reason."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import pytest

from broken import corpus
from broken.watched import opened, unclear
from tiny import WORDS, photos, recordings
from unveil.cli import main
from unveil.data.readers.pictures import decode
from unveil.data.records import Unreadable
from unveil.errors import Unusable


def broken_pictures(folder: Path, count: int) -> set[str]:
    """Writes pictures of the corpus that cannot be read; their paths."""
    found: set[str] = set()
    for case in corpus("pictures", 100 * count, seed=7):
        (name, content), = case.files.items()
        file = folder / f"{case.number:05d} {name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        try:
            decode(str(file))
            file.unlink()
        except Unreadable:
            found.add(str(file))
        if len(found) == count:
            return found
    raise AssertionError("the corpus has too few that cannot be read")


def broken_tables(folder: Path, count: int) -> set[str]:
    """Writes tables of the corpus that are refused alone; their paths."""
    found: set[str] = set()
    for case in corpus("tables", 100 * count, seed=7):
        if case.options or len(case.files) > 1:
            continue
        file = folder / f"{case.number:05d}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(case.files["a.csv"])
        try:
            opened(file, {})
            file.unlink()
        except Unusable as why:
            found.add(str(file)) if "column" not in str(why) and "window" not in str(why) else file.unlink()
        if len(found) == count:
            return found
    raise AssertionError("the corpus has too few that are refused")


def told(folder: Path, broken: set[str], capsys) -> None:
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    faults = json.loads((folder / "results.json").read_text())["data"]["faults"]
    page = (folder / "report.html").read_text()
    assert {name for name in faults if name in broken} == broken, "every broken file is named"
    assert not (bad := [f"{name}: {why}" for name, why in faults.items() if unclear(why)]), bad
    assert all(escape(name) in page and escape(why) in page for name, why in faults.items()), "in the page too"


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_broken_pictures_and_some_good_ones(tmp_path, monkeypatch, capsys, count):
    monkeypatch.chdir(tmp_path)
    broken = broken_pictures(Path("photos"), count)
    photos(Path("photos"), 24)
    assert main(["pretrain", "photos", *WORDS, "--out", "run", "--frozen", "--train.steps", str((count + 24) // 8 + 1)]) == 0
    told(Path("run"), broken, capsys)


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_broken_tables_and_some_good_ones(tmp_path, monkeypatch, capsys, count):
    monkeypatch.chdir(tmp_path)
    broken = broken_tables(Path("in"), count)
    recordings(Path("in"), people=12)
    assert main(["pretrain", "in", *WORDS, "--out", "run", "--frozen", "--budgets", "all", "--kind.window", "32"]) == 0
    told(Path("run"), broken, capsys)
