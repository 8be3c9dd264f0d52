"""``unveil preview``: what a method will be shown, drawn and said in words, without training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

import unveil
from tiny import photos, recordings, series
from unveil.api.previewing import Watched
from unveil.cli import main
from unveil.data.options import Options
from unveil.kinds.image import Image
from unveil.randomness import Generator
from unveil.recipes.check import TABLES
from unveil.recipes.fit import ways
from unveil.training.step import TrainStep

SMALL = {"encoder.width": 16, "train.batch": 8}
MASKED = {"encoder.width": 16, "encoder.depth": 1, "encoder.heads": 2, "train.batch": 8, "method.decoder_width": 16,
          "method.decoder_depth": 1, "method.decoder_heads": 2}
LINES = Options(kind="signal", layout="ct", rate=50.0)
WHOLE = {"laya", "eeg-vjepa", "slip", "biopm", "unimotion", "ts2vec", "patchtst"}  # read samples as they are


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.mark.parametrize("kind, method", [(kind, method) for kind in ("image", "signal") for method in TABLES["method"]
                                          if ways(kind, method)])
def test_every_method_can_be_previewed_on_every_kind(method, kind, place):
    given = {"kind.window": 64, "kind.rate": 50.0} if kind == "signal" else {}
    data = series() if kind == "signal" else photos(place / "photos", count=12)
    found = unveil.preview(method, data, options=LINES if kind == "signal" else None, settings=given | {"encoder.width": 16}, samples=2,
                           steps=2)
    rows = found["views"]["samples"]
    assert [row["name"].rpartition("step ")[2] for row in rows] == ["1", "2", "1", "2"]
    assert rows[0]["whole"] == rows[1]["whole"] != rows[2]["whole"]
    assert rows[0]["views"] and (method in WHOLE or rows[0]["views"] != rows[1]["views"]), "two steps show the same"
    assert found["words"] and found["recipe"]["method"]["name"] == method
    assert ("seen" in rows[0]) == any("asked for" in sentence for sentence in found["words"])


def test_words_say_what_was_asked():
    found = unveil.preview("simclr", series(), options=LINES, settings=SMALL | {"kind.window": 64, "method.area": [0.4, 0.5],
                                                                                "method.strength": 0, "method.symmetry": False})
    sentence, = found["words"]
    assert sentence.startswith("2 views of 64, covering 4") and sentence.endswith("values stay as they are.")
    found = unveil.preview("mae", series(), options=LINES, settings=MASKED | {"kind.window": 64, "encoder.patch": 8, "method.ratio": 0.75,
                                                                             "method.area": [1.0, 1.0]})
    assert found["words"][0].startswith("1 view of 64, covering all of the sample")
    assert found["words"][1] == "8 tokens of 8; 2 (25%) seen, 6 (75%) asked for."
    assert len(found["views"]["samples"][0]["seen"]) == 2 and len(found["views"]["samples"][0]["asked"]) == 6


def test_the_views_are_those_of_the_run():
    kind = Image(size=16)
    batch = kind.planted(4, Generator("preview")).batch(torch.arange(4))
    asked = dict(area=(0.3, 1.0), strength=1.0)
    for index in (0, 3):
        step = Watched(kind, 5, index, 10)
        mine, theirs = step.view(batch, 2, **asked), TrainStep(kind, 5, index, 10).view(batch, 2, **asked)
        assert all(torch.equal(a.values, b.values) for a, b in zip(mine, theirs, strict=True))
        assert step.asked[0][0] == asked


def test_the_command_writes_one_page_that_needs_nothing(place, capsys):
    recordings(place / "people")
    words = ["--kind.window", "64", "--encoder.width", "16", "--train.batch", "8"]
    assert main(["preview", "simclr", "people", *words, "--samples", "2"]) == 0
    said = capsys.readouterr().out
    assert "simclr on people sees of every sample" in said and "2 views of 64" in said and "preview.html" in said
    page = Path("preview.html").read_text()
    assert page.count('class="query"') == 8 and "Before training" in page and "2 views of 64" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    (place / "mine.yaml").write_text(yaml.safe_dump({"method": {"name": "simclr", "area": [0.6, 0.7]}, "encoder.width": 16}))
    assert main(["preview", "mine.yaml", "people", *words, "--out", "other.html", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recipe"]["method"]["area"] == [0.6, 0.7] and found["page"] == "other.html"


@pytest.mark.parametrize(("words", "said"), [
    (["simclrr", "people"], "did you mean 'simclr'"), (["simclr", "nowhere"], "there is no file"), (["none.yaml", "people"], "none.yaml"),
    (["empty.yaml", "people"], "names no method"), (["simclr", "people", "--method.areas", "1"], "did you mean 'area'"),
    (["simclr", "people", "--samples", "0"], "at least 1")])
def test_mistakes_are_said_in_one_sentence(words, said, place, capsys):
    recordings(place / "people")
    (place / "empty.yaml").write_text("train.epochs: 2\n")
    assert main(["preview", *words, "--kind.window", "64"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("preview.html").exists()


@pytest.mark.parametrize(("words", "said"), [(["--method.min_keep", "50"], "leaves no context"), (["--encoder.patch", "512"], "patch")])
def test_settings_that_cannot_take_a_step_are_said(words, said, place, capsys):
    recordings(place / "people")
    assert main(["preview", "i-jepa", "people", "--kind.window", "16", *words]) == 2
    error = capsys.readouterr().err
    assert said in error.splitlines()[-1] and "Traceback" not in error
