"""The model card: the hub's own parser reads it, its figures are those of the run's files, and its lines of code run."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
import yaml
from PIL import Image as Picture
from small_encoders import made

import unveil
from tiny import SETTINGS, pixels
from unveil import Options
from unveil.formats.card import card
from unveil.randomness import Generator


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was judged, exported."""
    home = tmp_path_factory.mktemp("home")
    held = {"x": pixels(40), "y": np.array(["dark", "light"] * 20)}
    done = unveil.pretrain(held, kind="image", method="simclr", out=home / "run", options=Options(layout="hwc"), settings=SETTINGS, seed=3,
                           networks=False, budgets=(2, None))
    unveil.export(done, "safetensors", home / "out")
    return done, (home / "out" / "README.md").read_text()


def parts(text: str) -> tuple[dict, dict[str, str]]:
    """Front matter, and text by heading."""
    _, front, body = text.split("---\n", 2)
    pieces = re.split(r"^## (.*)\n", body, flags=re.M)
    return yaml.safe_load(front), dict(zip(pieces[1::2], pieces[2::2]))


def test_the_hub_reads_it(run):
    hub = pytest.importorskip("huggingface_hub")
    done, text = run
    data = hub.ModelCard(text).data
    assert data.library_name == "unveil" and data.pipeline_tag == "feature-extraction" and data.license is None
    assert {"unveil", "image", "conv", "simclr"} <= set(data.tags)
    ours = [row for row in done.rows if row["features"] == "encoder"]
    assert sorted(each.metric_value for each in data.eval_results) == sorted(row["value"] for row in ours)
    assert {each.metric_args["seed"] for each in data.eval_results} == {row["seed"] for row in ours}


def test_every_result_is_in_it_and_no_other(run):
    done, text = run
    rows = json.loads((done.folder / "results.json").read_text())["rows"]
    lines = [line.strip("| ").split(" | ") for line in parts(text)[1]["Results"].splitlines() if line.startswith("| ")][1:]
    assert len(lines) == len(rows)
    for row, line in zip(rows, lines, strict=True):
        assert line[0] == row["features"] and line[3:5] == [row["metric"], f"{row['value']:.3f}"] and line[6:] == [
            str(row["n_test"]), row["split_name"], str(row["seed"])]
        assert not row["low"] or line[5] == f"[{row['low']:.3f}, {row['high']:.3f}]"


def test_it_says_what_went_in_and_how_it_went(run):
    done, text = run
    taught = parts(text)[1]["How it was taught"]
    assert f"{done.facts['train']} of 40 samples ({done.facts['split']})" in taught and "2 steps of 8, seed 3" in taught
    assert "classes 2" in taught and "(finished)" in taught and "Diagnosis: " in taught


ROW = {"task": "linear", "protocol": "p", "labels": None, "metric": "accuracy", "direction": "higher", "low": 0.4, "high": 0.6, "n_test": 9,
       "split_name": "s", "seed": 0}


@pytest.mark.parametrize(("beside", "direction", "worse"), [(0.6, "higher", True), (0.5, "higher", True), (0.4, "higher", False),
                                                            (0.4, "lower", True), (None, "higher", None)])
def test_limits_name_the_baselines_that_were_not_beaten(run, beside, direction, worse):
    done, _ = run
    rows = [ROW | {"features": "encoder", "value": 0.5, "direction": direction}]
    rows += [ROW | {"features": "statistics", "value": beside, "direction": direction}] if beside else []
    rows += [ROW | {"features": "fine-tuned", "value": 0.9}, ROW | {"features": "random init", "value": 0.9, "labels": 5}]
    held = json.loads((done.folder.parent / "out" / "export.json").read_text())
    ending = json.loads((done.folder / "results.json").read_text())
    limits = parts(card(held, ending | {"rows": rows}))[1]["Limits"]
    assert ("statistics 0." in limits) == bool(worse) and "random init" not in limits and "fine-tuned" not in limits
    assert (worse is None) == ("No baseline was judged beside it" in limits)


def test_a_run_without_labels_and_an_encoder_without_a_run_claim_nothing(tmp_path):
    done = unveil.pretrain(pixels(), kind="image", method="simclr", out=tmp_path / "run", options=Options(layout="hwc"), settings=SETTINGS)
    unveil.export(done, "safetensors", tmp_path / "a")
    front, said = parts((tmp_path / "a" / "README.md").read_text())
    assert "model-index" not in front and "not judged on labels" in said["Limits"] and "Results" not in said
    unveil.export(done.encoder, "safetensors", tmp_path / "b")
    assert parts((tmp_path / "b" / "README.md").read_text())[1].keys() == {"Load it", "What goes in"}


@pytest.mark.parametrize("to", ["onnx", "transformers", "timm"])
def test_its_code_runs_and_gives_the_features(tmp_path, to, request):
    if to == "timm":
        request.getfixturevalue("timm")
    for package in {"onnx": ("onnxruntime", "onnxscript")}.get(to, (to,)):
        pytest.importorskip(package)
    encoder = made("transformer", class_token=True)
    unveil.export(encoder, to, tmp_path / "out")
    code = re.search(r"```python\n(.*?)```", (tmp_path / "out" / "README.md").read_text(), re.S)[1].replace("FOLDER", str(tmp_path / "out"))
    array = Generator("pictures").integers(0, 256, 3, 16, 16, 3).numpy().astype(np.uint8)
    names = {"pictures": [Picture.fromarray(each) for each in array], "torch": torch,
             "values": np.moveaxis(array, -1, 1).astype(np.float32) / 255}
    with torch.no_grad():
        exec(code, names)
    found = names["pooled" if to == "onnx" else "features"]
    np.testing.assert_allclose(found, unveil.embed(encoder, array, options=Options(kind="image", layout="hwc")), rtol=0, atol=1e-4)
