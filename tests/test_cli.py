"""Every command of the command line: what it prints, what it returns, what its help says."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml

from tiny import SETTINGS, WORDS, photos, pixels
from unveil import __version__
from unveil.cli import main, parser
from unveil.data.locate import cache_folder
from unveil.tasks.result import Result

COMMANDS = ("inspect", "preview", "plan", "pretrain", "evaluate", "embed", "export", "report", "compare", "reproduce", "rerun", "select",
            "list", "doctor")
ROW = {field.name for field in fields(Result)}
SCORE = {"features", "task", "labels", "n", "value", "low", "high"}


@pytest.fixture(autouse=True)
def place(terminal):
    return terminal


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with pictures and a run that was taught on them."""
    folder = tmp_path_factory.mktemp("home")
    photos(folder / "photos")
    assert main(["pretrain", str(folder / "photos"), "--out", str(folder / "run"), "--json", *WORDS]) == 0
    return folder


def constant(name):
    raise AssertionError(f"{name} is not JSON as every reader knows it")


def one_object(capsys) -> dict:
    """The one JSON object on stdout."""
    return json.loads(capsys.readouterr().out, parse_constant=constant)


def test_pretrain_judges_and_leaves_a_report(home, capsys):
    words = [str(home / "photos"), "--labels", "folders", "--budgets", "1,all", "--frozen", *WORDS]
    assert main(["pretrain", *words, "--out", "labelled"]) == 0
    said = capsys.readouterr()
    assert "finished after 2 steps" in said.out and "statistics" in said.out and "labelled/report.html" in said.out
    assert "step 2/2" in said.err and "judging encoder" in said.err
    assert main(["pretrain", *words, "--out", "as-json", "--json"]) == 0
    held = one_object(capsys)
    assert held.keys() == {"folder", "status", "rows", "data", "report"} and held["status"] == "finished"
    assert {row["features"] for row in held["rows"]} == {"encoder", "random init", "raw + PCA", "statistics"}
    assert all(row.keys() == ROW for row in held["rows"])
    assert held["data"].keys() == {"samples", "looks", "shape", "channels", "classes", "groups", "faults", "notes", "split", "train",
                                   "test"}


def test_settings_may_stand_anywhere(home, capsys):
    assert main(["pretrain", "--train.steps=1", "--encoder.width", "8", str(home / "photos"), "--json", "--out", "run"]) == 0
    assert json.loads(Path("run/recipe.json").read_text())["encoder"]["width"] == 8


def test_a_recipe_file_is_taken_and_the_command_line_comes_before_it(home, capsys, place):
    (place / "mine.yaml").write_text(yaml.safe_dump({"method": {"name": "byol", "hidden": 16}, "train": {"steps": 3, "batch": 8},
                                                     "encoder.width": 8}))
    assert main(["pretrain", str(home / "photos"), "--recipe", "mine.yaml", "--train.steps", "1", "--out", "run", "--json"]) == 0
    held = json.loads((place / "run" / "recipe.json").read_text())
    assert held["method"]["name"] == "byol" and held["method"]["hidden"] == 16
    assert held["train"]["steps"] == 1 and held["train"]["batch"] == 8 and held["encoder"]["width"] == 8


def test_evaluate_an_encoder(home, capsys):
    words = ["evaluate", str(home / "run"), "--data", str(home / "photos"), "--labels", "folders", "--frozen", "--budgets", "1"]
    assert main([*words, "--json"]) == 0
    held = one_object(capsys)
    assert held.keys() == {"rows"} and all(row.keys() == ROW for row in held["rows"])
    assert main(words) == 0
    assert "accuracy on held-out data" in capsys.readouterr().out


@pytest.mark.parametrize("header", [[], ["label"]])
def test_evaluate_features_from_elsewhere(place, capsys, header):
    labels = np.arange(40) % 2
    np.savez(place / "features.npz", x=np.random.default_rng(0).normal(size=(40, 5)) + labels[:, None])
    (place / "y.csv").write_text("\n".join([*header, *("ab"[label] for label in labels)]) + "\n")
    assert main(["evaluate", "features.npz", "--labels", "y.csv", "--json"]) == 0
    rows = one_object(capsys)["rows"]
    assert all(row.keys() == ROW and row["features"] == "features" for row in rows) and rows[0]["value"] > 0.5


def test_embed(home, capsys, place):
    assert main(["embed", str(home / "run"), "--data", str(home / "photos"), "--out", "f.npz", "--json"]) == 0
    assert one_object(capsys) == {"samples": 24, "width": 16, "out": "f.npz", "faults": {}}
    assert main(["embed", str(home / "run"), "--data", str(home / "photos"), "--out", "f.csv"]) == 0
    assert capsys.readouterr().out == "24 x 16 features in f.csv\n"
    assert np.load("f.npz")["x"].shape == (24, 16) and Path("f.csv").read_text().count("\n") == 25


def test_report(home, capsys):
    page = home / "run" / "report.html"
    page.unlink()
    assert main(["report", str(home / "run"), "--json"]) == 0
    assert one_object(capsys) == {"report": str(page)} and page.is_file()
    assert main(["report", str(home / "run")]) == 0
    assert capsys.readouterr().out == f"report {page}\n"


def test_list(capsys, monkeypatch):
    assert main(["list", "--json"]) == 0
    held = one_object(capsys)
    assert held.keys() == {"methods", "matrix", "encoders", "kinds", "tasks", "data", "studies"} and len(held["methods"]) >= 8
    assert all({"name", "about"} <= row.keys() for rows in held.values() for row in rows)
    assert main(["list", "data"]) == 0
    assert "fashion-mnist" in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["list", "matrix"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 and "\N{HORIZONTAL ELLIPSIS}" not in line for line in lines), "it fits a terminal"
    row = next(line.split() for line in lines if "mae " in line.replace("graphmae", ""))
    assert row[0] == "mae" and dict(zip(lines[1].split(), row[1:]))["image"] == "transformer" and "-" in row, "mae reads grids alone"
    for name in ("simclr", "transformer", "signal"):
        assert main(["list", name, "--json"]) == 0
        held = one_object(capsys)
        assert held.keys() == {"name", "about", "settings"}
        assert all(row.keys() == {"setting", "default", "about"} and row["about"] for row in held["settings"]), name
        assert main(["list", name]) == 0
        assert held["settings"][0]["setting"] in capsys.readouterr().out
    assert main(["list", "nothing"]) == 2
    assert "there is nothing called 'nothing' to list; try methods" in capsys.readouterr().err


def test_doctor(capsys):
    assert main(["doctor", "--json"]) == 0
    assert one_object(capsys).keys() == {"python", "torch", "cores", "threads", "gpu", "memory limit", "data cache", "sets in the cache",
                                         "optional"}
    assert main(["doctor"]) == 0
    assert "memory limit" in capsys.readouterr().out


@pytest.fixture
def study(place):
    settings = SETTINGS | {"kind.stride": 512, "kind.window": 64, "train.steps": 2}
    arms = {"hot": {"method": "simclr", "method.temperature": 0.5}, "cold": {"method": "simclr"}}
    (place / "small.yaml").write_text(yaml.safe_dump({
        "question": "Does it run?", "data": "watch", "folds": [[0, 1], [2, 3]], "budgets": [5], "draws": 2, "seeds": 1,
        "settings": settings, "arms": arms}, sort_keys=False))
    return "small.yaml"


@pytest.mark.skipif(not (cache_folder() / "watch" / "watch_dataset.npy").is_file(), reason="the set watch is not in the cache")
def test_reproduce(study, capsys, place):
    words = ["reproduce", study, "--results", "rows", "--out", "out"]
    assert main([*words, "--json"]) == 0
    held = one_object(capsys)
    assert held.keys() == {"study", "question", "claim", "verdict", "verdicts", "differ", "arms", "report", "metric", "unit", "direction"}
    assert list(held["arms"]) == ["hot", "cold"] and held["verdict"] is None and "method.temperature" in held["differ"]["cold"]
    assert all(line.keys() >= SCORE for lines in held["arms"].values() for line in lines)
    assert sorted(file.name for file in (place / "rows" / "small").iterdir()) == ["cold-s0.json", "hot-s0.json"]
    stamps = [file.stat().st_mtime_ns for file in (place / "rows" / "small").iterdir()]
    assert main([*words, "--arms", "hot"]) == 0
    assert "accuracy on held-out data" in (said := capsys.readouterr().out) and "│ hot" in said and "│ cold" not in said
    assert stamps == [file.stat().st_mtime_ns for file in (place / "rows" / "small").iterdir()], "finished rows are kept"


@pytest.mark.skipif(not (cache_folder() / "watch" / "watch_dataset.npy").is_file(), reason="the set watch is not in the cache")
def test_side_by_side_gives_the_same_rows(study, capsys, place):
    found = {}
    for jobs in ("1", "2"):
        assert main(["reproduce", study, "--results", f"rows{jobs}", "--out", f"out{jobs}", "--jobs", jobs]) == 0
        found[jobs] = {file.name: [fold["scores"] for fold in json.loads(file.read_text())["folds"]]
                       for file in (place / f"rows{jobs}" / "small").iterdir()}
    assert found["1"] == found["2"] and len(found["1"]) == 2
    assert "cold-s0-f0: step " in capsys.readouterr().err


def test_reproduce_names_the_studies_there_are(capsys):
    assert main(["reproduce", "no-study"]) == 2
    assert "there is no study 'no-study'; there are: " in capsys.readouterr().err
    assert main(["reproduce", "watch-demo", "--arms", "simclr,nothing"]) == 2
    assert "the study watch-demo has no arm 'nothing'; there are: simclr" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_examples_and_fits(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0 and text.startswith(f"examples:\n  unveil {command}")
    assert max(map(len, text.splitlines())) <= 80 and "\n  --json" in text


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_the_first_help_fits_and_names_every_command(words, capsys):
    try:
        assert main(words) == 0
    except SystemExit as end:
        assert end.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80 and all(f"    {command}" in text for command in COMMANDS)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"unveil {__version__}\n"


def test_every_command_is_tested_here():
    choices = next(action.choices for action in parser()._actions if action.dest == "command" or action.choices)
    assert tuple(choices) == COMMANDS


@pytest.mark.parametrize("words, said", [
    (["pretrain", "photos", "--epochs", "5"], "--epochs is no option; did you mean --train.epochs?"),
    (["pretrain", "photos", "--bugdet", "5m"], "--bugdet is no option; did you mean --budget?"),
    (["pretrain", "photos", "--hold_out", "1"], "--hold_out is no option; did you mean --hold-out?"),
    (["pretrain", "photos", "more"], "do not know what to do with 'more'; see unveil pretrain --help"),
    (["pretrain", "photos", "--encoder.width"], "--encoder.width needs a value"),
    (["pretrain", "photos", "--encoder.width", "--train.lr", "1"], "--encoder.width needs a value"),
    (["pretrain", "photos", "--train.decay", "[1"], "--train.decay is '[1', which cannot be read; lists are written [0.3, 1.0]"),
    (["pretrain", "photos", "--hold-out", "a"], "'a' is no list of numbers such as 0,1,2"),
    (["pretrain", "photos", "--budgets", "0"], "numbers of labels a class begin at 1"),
    (["evaluate", "run", "--train.lr", "1"], "--train.lr is no option of unveil evaluate; see unveil evaluate --help"),
    (["embed", "run", "--data", "x", "--bogus"], "do not know what to do with '--bogus'; see unveil embed --help"),
    (["evaluate", "nowhere", "--data", "x"], "nowhere holds no encoder that can be read"),
    (["evaluate", "none.npz"], "cannot read none.npz"),
    (["report", "nowhere"], "nowhere holds no report.json that can be read"),
])
def test_mistakes_end_with_two_and_one_sentence(words, said, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and said in err and "Traceback" not in err


@pytest.mark.parametrize("words", [["pretrian"], ["pretrain"], ["embed", "run"], ["pretrain", "photos", "--scale", "huge"]])
def test_what_the_parser_refuses_ends_with_two_as_well(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2 and "error:" in capsys.readouterr().err


def test_names_that_look_like_markup_are_printed_as_they_are(capsys):
    assert main(["report", "[bold]:smile:[/bold]"]) == 2
    assert "error: [bold]:smile:[/bold] holds no report.json" in capsys.readouterr().err


def test_an_unhealthy_run_ends_with_three_and_says_why(home, capsys, monkeypatch):
    finding = {"fault": "collapse", "where": "embedding", "step": 1, "sentence": "The embedding has collapsed [at step 1]",
               "advice": "a lower rate", "fatal": True}
    monkeypatch.setattr("unveil.health.monitor.Monitor.judge", lambda self, done, row: ({}, [finding]))
    monkeypatch.setattr("unveil.reports.page.write_report", lambda run: run.folder / "report.html")
    assert main(["pretrain", str(home / "photos"), "--out", "sick", *WORDS]) == 3
    out = capsys.readouterr().out
    assert "unhealthy after 1 steps" in out and "The embedding has collapsed [at step 1]." in out


def test_a_stopped_run_ends_with_three_and_goes_on(home, capsys, monkeypatch):
    @contextmanager
    def stop(silent):
        yield lambda row: os.kill(os.getpid(), signal.SIGINT)

    words = ["pretrain", str(home / "photos"), "--out", "half", *WORDS, "--train.steps", "4"]
    with monkeypatch.context() as patch:
        patch.setattr("unveil.progress.progress", stop)
        assert main([*words, "--json"]) == 3
        assert one_object(capsys)["status"] == "stopped"
        assert not os.path.exists("half/encoder")
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "finished after 4 steps" in out and "step 1/4" not in err


def test_ctrl_c_before_the_first_step_ends_with_130(capsys, monkeypatch):
    def stop(*given, **also):
        raise KeyboardInterrupt
    monkeypatch.setattr("unveil.api.pretrain", stop)
    assert main(["pretrain", "photos"]) == 130
    assert "the same command goes on from the last checkpoint" in capsys.readouterr().err


def test_nothing_but_json_on_the_process_own_stdout(home, capfd):
    np.save("x.npy", pixels(12))
    assert main(["pretrain", "x.npy", "--kind", "image", "--layout", "hwc", "--out", "run", "--json", *WORDS]) == 0
    out = capfd.readouterr().out
    assert out.count("\n") == 1 and json.loads(out)["status"] == "finished"
