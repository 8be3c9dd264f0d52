"""``unveil evaluate --tasks``: what judges, what is said of what cannot, what is kept, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benches import blobs

import unveil
from tiny import SETTINGS, photos, recordings, series
from unveil.cli import main
from unveil.commands.words import OUT, table
from unveil.data.options import Options
from unveil.errors import Unusable
from unveil.tasks.knn import KNN

FOLDERS, TIME = Options(labels="folders"), Options(layout="ct")


@pytest.fixture(autouse=True)
def place(terminal):
    return terminal


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """An encoder of tiny pictures, and the pictures."""
    folder = tmp_path_factory.mktemp("taught")
    data = photos(folder / "photos")
    return unveil.pretrain(data, out=folder / "run", networks=False, settings=SETTINGS).encoder, data


def features(**columns) -> str:
    """A file of features of four classes and eight people."""
    x, y = blobs(240, apart=4.0)
    np.savez("f.npz", **{"x": x, "y": y.astype(str), "groups": np.arange(240) // 4 % 8} | columns)
    return "f.npz"


def judged(rows) -> set[str]:
    return {row["task"] for row in rows}


def fits_80_columns(rows, capsys) -> None:
    OUT.print(table(rows))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and not any("\N{HORIZONTAL ELLIPSIS}" in line for line in lines)
    assert lines[0] == "accuracy on held-out data by labels a class"
    for words in ("few-shot: accuracy on held-out data by labels a class", "cluster: held-out data", "mAP", "ECE \N{DOWNWARDS ARROW}"):
        assert any(words in line for line in lines), words


def test_a_fast_set_judges_by_default(taught):
    encoder, data = taught
    assert judged(unveil.evaluate(encoder, data, options=FOLDERS, budgets=(2,), networks=False)) == {"linear", "knn"}
    assert judged(unveil.evaluate(features())) == {"linear", "knn"}


def test_all_is_everything_that_can_judge_and_the_rest_is_told(taught, capsys):
    encoder, data = taught
    said = []
    rows = unveil.evaluate(encoder, data, tasks="all", options=FOLDERS, networks=False, say=said.append)
    assert {"linear", "knn", "few-shot", "curve", "cluster", "retrieve", "robust", "calibration"} <= judged(rows)
    assert "shift cannot judge these: it needs two groups at least on both sides of the split" in said
    assert {row["features"] for row in rows if row["task"] == "robust"} == {"encoder", "random init", "raw + PCA", "statistics"}
    told = {sentence.partition(" cannot")[0] for sentence in said if "cannot judge" in sentence}
    assert not told & judged(rows) and not any(sentence.startswith("linear") for sentence in said)
    fits_80_columns(rows, capsys)
    rows = unveil.evaluate(features(), tasks="all", say=said.append)
    fits_80_columns(rows, capsys)
    assert {"linear", "knn", "few-shot", "curve", "cluster", "retrieve", "shift", "calibration"} <= judged(rows)
    assert "robust cannot judge these: it needs samples of a kind that can be corrupted" in said


def test_tasks_by_name_and_with_settings(taught):
    rows = unveil.evaluate(features(), tasks=["cluster", KNN(k=3)])
    assert judged(rows) == {"cluster", "knn"} and any(row["protocol"].startswith("3 nearest") for row in rows)
    assert main(["evaluate", "f.npz", "--tasks", "retrieve, calibration"]) == 0


def test_a_task_that_cannot_judge_is_told_and_only_that_is_refused(capsys):
    features()
    assert main(["evaluate", "f.npz", "--tasks", "knn,robust"]) == 0
    said = capsys.readouterr()
    assert "knn: accuracy on held-out data" in said.out and "robust cannot judge these: it needs samples of a kind" in said.err
    assert main(["evaluate", "f.npz", "--tasks", "robust"]) == 2
    assert "robust cannot judge these" in capsys.readouterr().err
    assert main(["evaluate", "f.npz", "--tasks", "knn,calibraton"]) == 2
    assert "there is no task 'calibraton'; did you mean 'calibration'?" in " ".join(capsys.readouterr().err.split())


def test_results_are_kept_and_never_overwritten(capsys):
    features()
    assert main(["evaluate", "f.npz", "--tasks", "knn,shift", "--out", "kept"]) == 0
    assert "results  kept/results.json" in capsys.readouterr().out
    before = Path("kept/results.json").read_bytes()
    held = json.loads(before)
    assert judged(held["rows"]) == {"knn", "shift"} and held["data"]["samples"] == 240
    assert main(["evaluate", "f.npz", "--tasks", "knn", "--out", "kept"]) == 2
    assert "kept/results.json is there already and is not overwritten" in " ".join(capsys.readouterr().err.split())
    assert Path("kept/results.json").read_bytes() == before
    assert main(["evaluate", "f.npz", "--tasks", "knn", "--json"]) == 0
    assert judged(json.loads(capsys.readouterr().out)["rows"]) == {"knn"}


def test_labels_for_half_the_files_are_counted_and_judge(taught, place):
    encoder, data = taught
    files = sorted(data.rglob("*.png"))[::2]
    (place / "y.csv").write_text("".join(f"{file.name},{file.parent.name}\n" for file in files))
    said = []
    rows = unveil.evaluate(encoder, data, tasks=["linear", "knn", "cluster"], labels=place / "y.csv", budgets=(None,), say=said.append)
    assert "12 of 24 samples have a label; they alone are learned from and scored" in said
    assert all(row["n_train"] + row["n_test"] == 12 for row in rows if row["task"] != "cluster")


def test_what_cannot_judge_is_refused(taught, place):
    encoder, _ = taught
    with pytest.raises(Unusable, match="leaves labels of 1 classes to learn from and of 1 to score on; judging needs two classes"):
        unveil.evaluate(features(y=np.array(["a"] * 240)), tasks="all")
    x, _ = blobs(240)
    x[7, 2] = np.nan
    with pytest.raises(Unusable, match="row 7 of the features is not finite"):
        unveil.evaluate(features(x=x))
    recordings(place / "people", people=2)
    with pytest.raises(Unusable, match=r"people .*which holds signal, not image"):
        unveil.evaluate(encoder, place / "people")
    held = {"x": series(channels=2), "y": np.arange(24) % 2}
    of_three = unveil.pretrain(series(), kind="signal", out="run", options=TIME, settings=SETTINGS | {"kind.window": 32}).encoder
    with pytest.raises(Unusable, match="the array has 2 channels, the encoder was taught on 3: give data with the same channels"):
        unveil.evaluate(of_three, held, options=TIME)
