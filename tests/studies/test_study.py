"""Studies: matched arms, rows that are made once, and a kill that changes nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml

from processes import gone
from tiny import series
from unveil.cli import main
from unveil.data.split import Fold
from unveil.errors import Unusable
from unveil.studies.compare import comparison
from unveil.studies.study import _recipe, arm_definition, finished, load_studies, load_study, row_hash, run_study, study_names
from unveil.studies.verdict import verdicts
from unveil.tasks.result import Result
from unveil.training.checkpoint import _sound

SHARED = {"kind.window": 32, "train.steps": 30, "train.batch": 8, "train.checkpoint_every": 5,
          "encoder": {"name": "conv", "width": 16, "stages": 2}, "method.hidden": 16, "method.projection": 8}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "data.npz", x=series(32), y=np.array(["still", "swings"] * 16), groups=np.arange(32) // 4)
    return tmp_path


def written(place: Path, name: str, **held) -> str:
    held = {"question": "q", "data": str(place / "data.npz"), "options": {"kind": "signal", "layout": "ct"}, "budgets": [2, None],
            "draws": 2, "seeds": 2, "folds": [[0, 1]], "settings": SHARED, "claim": "Hot beats cold.", "arm": "hot", "over": ["cold"],
            "scratch": False,
            "arms": {"hot": {"method": "simclr"}, "cold": {"method": "simclr", "method.temperature": 0.9}}} | held
    path = place / f"{name}.yaml"
    path.write_text(yaml.safe_dump(held, sort_keys=False))
    return str(path)


def hashes(folder: Path) -> dict[str, str]:
    return {file.name: json.loads(file.read_text())["hash"] for file in folder.glob("*/*.json")}


def test_a_killed_study_gives_the_same_rows_and_the_same_verdict(place):
    """In processes of one thread: sums over another number of threads have other last bits."""
    name = written(place, "small")
    words = lambda out: [sys.executable, "-m", "unveil.cli", "reproduce", name, "--out", out, "--results", f"{out}/rows"]
    told = dict(env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started, begun = subprocess.Popen(words("killed"), **told), time.time()
    while not list(place.glob("killed/small/cold-s0-f0/checkpoints/*")) and started.poll() is None and time.time() - begun < 60:
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL, "it was killed in the middle of the second arm"
    assert hashes(place / "killed" / "rows").keys() == {"hot-s0.json"}
    for out in ("killed", "whole"):
        assert subprocess.run(words(out), **told).returncode == 0
    assert hashes(place / "killed" / "rows") == hashes(place / "whole" / "rows") and len(hashes(place / "whole" / "rows")) == 4
    killed, whole = (json.loads((place / out / "results.json").read_text())["verdicts"] for out in ("killed", "whole"))
    of_time = {"cost": 0, "why": ""}
    assert [verdict | of_time for verdict in killed] == [verdict | of_time for verdict in whole] and len(whole) == 1


def test_a_row_says_all_and_its_hash_is_of_what_can_be_repeated(place):
    study = load_study(written(place, "small", scratch=True))
    row, = run_study(study, seeds=1, arms=["hot"], runs=place / "runs")
    assert row["hash"] == row_hash(row | {"date": "", "seconds": 0, "machine": "x"}) and row["recipe"]["train"]["steps"] == 30
    changed = json.loads(json.dumps(row))
    changed["folds"][0]["scores"][0]["values"][0] += 0.01
    assert row_hash(changed) != row["hash"]
    score = row["folds"][0]["scores"][0]
    assert score.keys() >= {field.name for field in fields(Result)} - {"split", "split_name", "seed", "code"}
    assert len(score["parts"]) == 2, "one a held-out group"
    ways = {score["features"] for score in row["folds"][0]["scores"]}
    assert ways == {"encoder", "random init", "raw + PCA", "statistics", "MiniRocket", "from scratch"}, "the controls are always there"


def test_a_row_that_another_study_made_is_not_made_again(place):
    first = load_study(written(place, "first"))
    arms = {"warm": {"method": "simclr"}, "other": {"method": "simclr", "method.temperature": 2.0}}
    second = load_study(written(place, "second", arms=arms, arm="warm", over=["other"]))
    run_study(first, seeds=1, arms=["hot"], runs=place / "runs")
    said = []
    rows = run_study(second, seeds=1, arms=["warm"], runs=place / "runs", say=said.append)
    assert rows[0]["arm"] == "warm" and rows[0]["study"] == "second" and not said, "nothing was run"
    assert finished(second, Path("results")).keys() == {("warm", 0)}


def test_a_smoke_run_has_no_verdict_and_leaves_the_rows_alone(place, capsys):
    arms = {"hot": {"method": "simclr"}, "cold": {"method": "simclr", "method.temperature": 0.9, "train.steps": 5000}}
    assert main(["reproduce", written(place, "small", arms=arms), "--quick", "--out", "quick"]) == 0
    assert {json.loads(file.read_text())["folds"][0]["steps"] for file in place.glob("quick/rows/*/*.json")} == {20}, "of every arm"
    assert "no verdict: nothing was claimed" in capsys.readouterr().out
    assert not (place / "results").exists() and len(hashes(place / "quick" / "rows")) == 2


def test_every_row_that_is_committed_is_found():
    """A study that asks for nothing unusual keeps its definitions."""
    home = Path(__file__).parents[2] / "results"
    for study in map(load_study, study_names()):
        files = [file for file in home.glob(f"{study.name}/*-s*.json") if json.loads(file.read_text())["arm"] in study.arms]
        found = finished(study, home)
        assert len(found) >= len(files), study.name
        assert {row["definition"] for row in found.values()} >= {json.loads(file.read_text())["definition"] for file in files}, study.name


def test_what_is_unusual_is_in_the_definition_and_how_a_claim_is_judged_is_not(place):
    base = load_study(written(place, "small"))
    asked = [{"tasks": ["linear", "regression"]}, {"taught_on": "all"}, {"folds": "5-fold stratified"}, {"folds": "4-fold stratified"}]
    held = [arm_definition(load_study(written(place, f"s{i}", **more)), "hot", 0) for i, more in enumerate(asked)]
    assert len({*held, arm_definition(base, "hot", 0)}) == 5
    judged = load_study(written(place, "judged", task="regression", metric="MAE", smallest=2.0, controls=[["statistics", "regression"]]))
    assert arm_definition(judged, "hot", 0) == arm_definition(base, "hot", 0)
    assert judged.controls == (("statistics", "regression"),)


def test_stratified_folds_are_run_and_named(place):
    study = load_study(written(place, "folds", folds="3-fold stratified", taught_on="all", tasks=["knn", "linear"]))
    assert study.folds == tuple(Fold(number, 3) for number in range(3))
    said = []
    row, = run_study(study, seeds=1, arms=["hot"], runs=place / "runs", say=said.append)
    names = [f"fold {number} of 3, stratified by label, groups not kept apart; taught on all samples, without what is known of them"
             for number in (1, 2, 3)]
    assert [fold["split_name"] for fold in row["folds"]] == names
    assert sum(fold["scores"][0]["n_test"] for fold in row["folds"]) == 64, "every window is held out once"
    assert len({fold["split"] for fold in row["folds"]}) == 3 and {s["task"] for s in row["folds"][0]["scores"]} == {"knn", "linear"}
    assert sum("teaching on 64 samples" in text for text in said) == 3 and len({fold["encoder"] for fold in row["folds"]}) == 1
    assert finished(study, Path("results")).keys() == {("hot", 0)}


def test_a_study_of_numbers_runs_to_a_verdict_in_their_unit(place):
    x = series(32)
    size = np.where(np.arange(32) % 4 == 0, np.nan, x[:, 0].std(-1) * 10)
    np.savez(place / "numbers.npz", **{"x": x, "size (mm)": size, "groups": np.arange(32) // 4})
    study = load_study(written(place, "numbers", data=str(place / "numbers.npz"), task="regression", metric="MAE", smallest=0.1,
                               options={"kind": "signal", "layout": "ct", "targets": "size (mm)"}, budgets=[1, None], scratch=True))
    rows = run_study(study, runs=place / "runs")
    found = {(s["task"], s["features"], s["metric"]): s for s in rows[0]["folds"][0]["scores"] if not s["at"]}
    assert found["regression", "encoder", "MAE"]["n_train"] == 36 and {found[key]["n_test"] for key in found} == {12}
    assert found["network", "from scratch", "MAE"]["unit"] == found["regression", "encoder", "MAE"]["unit"] == "mm"
    verdict, = verdicts(study, rows)
    assert "mm at 10 samples" in verdict.why and verdict.seeds == 2


def test_captions_that_name_classes_are_never_taught_on_what_is_scored(place):
    study = load_study(written(place, "leak", taught_on="all", settings=SHARED | {"kind.captions": "classes"}))
    with pytest.raises(Unusable, match="what they say names the labels of those to score on"):
        run_study(study, seeds=1, arms=["hot"], runs=place / "runs")


@pytest.mark.parametrize("held, said", [
    ({"folds": "many"}, "has the folds 'many': lists of groups, or such as '10-fold stratified'"),
    ({"folds": "1-fold stratified"}, "are meant"), ({"taught_on": "test"}, "teaches on 'test'"),
    ({"task": "forest"}, "is judged by 'forest', which is none of its tasks: linear, knn"),
    ({"tasks": ["linaer"]}, "did you mean 'linear'"),
    ({"arm": "warm"}, "claims something of 'warm', which is none of its arms: hot, cold"),
    ({"over": ["mild"]}, "claims something of 'mild'"), ({"bugdets": 1}, "unexpected keyword argument")])
def test_studies_that_cannot_be(place, held, said):
    with pytest.raises(Unusable, match=said):
        load_studies(written(place, "small", **held))


def test_one_file_may_hold_a_study_for_each_kind(place):
    name = written(place, "both", kinds={"a": {"settings": {"train.steps": 5}}, "b": {}})
    first, second = load_studies(name)
    assert (first.name, second.name) == ("both-a", "both-b")
    assert first.settings["train.steps"] == 5 and second.settings["train.steps"] == 30
    with pytest.raises(Unusable, match=r"both\.yaml is several studies: both-a, both-b"):
        load_study(name)
    assert load_study("bootleg-image").data == "fashion-mnist" and "bootleg-signal" in study_names()


def test_compare_gives_all_arms_one_network_and_one_number_of_steps(place, capsys):
    words = ["--data", "data.npz", "--kind", "signal", "--layout", "ct", "--hold-out", "0,1", "--budgets", "2,all", "--seeds", "2"]
    settings = ["--kind.window", "32", "--train.steps", "4", "--train.batch", "8", "--encoder.width", "16", "--encoder.stages", "2"]
    assert main(["compare", "simclr", "vicreg", *words, *settings, "--out", "out"]) == 0
    said = capsys.readouterr().out
    assert "vicreg differs: method.name vicreg instead of simclr" in said and "simclr gives better frozen features than vicreg." in said
    rows = [json.loads(file.read_text()) for file in (place / "out" / "rows").glob("*/*.json")]
    assert len(rows) == 4 and len({json.dumps(row["recipe"]["encoder"]) for row in rows}) == 1
    assert {(row["recipe"]["train"]["steps"], row["recipe"]["train"]["batch"]) for row in rows} == {(4, 8)}


@pytest.mark.parametrize("arms, said", [(["simclr"], "two methods at least"), (["simclr", "simclr"], "two arms have one name"),
                                        (["simclr", "vicrge"], "did you mean 'vicreg'")])
def test_what_cannot_be_compared(place, arms, said):
    with pytest.raises(Unusable, match=said):
        comparison(arms, "data.npz")


def test_compare_needs_labels(place):
    np.savez(place / "bare.npz", x=series(8))
    assert main(["compare", "simclr", "vicreg", "--data", "bare.npz", "--kind", "signal", "--layout", "ct"]) == 2


@pytest.fixture
def started(place):
    """A study of two folds that run side by side, and the numbers of their processes."""
    name = written(place, "small", settings=SHARED | {"train.steps": 100000}, seeds=1)
    words = ["reproduce", name, "--out", "out", "--results", "out/rows", "--jobs", "2"]
    study = subprocess.Popen([sys.executable, "-m", "unveil.cli", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                             env=os.environ | {"OMP_NUM_THREADS": "1"})
    until = time.perf_counter() + 120
    while len(list(Path("out").glob("small/*/checkpoints/*.json"))) < 4 and study.poll() is None and time.perf_counter() < until:
        time.sleep(0.05)
    workers = [int(re.match(r"process (\d+) on", file.read_text())[1]) for file in Path("out").glob("small/*/lock")]
    yield study, workers
    study.kill()
    study.wait()


def test_a_process_that_is_killed_ends_the_study_with_a_sentence(started):
    study, workers = started
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    said = " ".join(study.communicate(timeout=30)[1].split())
    assert study.returncode == 2 and "Traceback" not in said and said.count("error:") == 1
    assert "error: one of the processes that ran side by side is gone: it was killed, or memory ran out. What is finished is kept" in said
    assert all(map(gone, workers))
    kept = list(Path("out").glob("small/*/checkpoints/*.safetensors"))
    assert len(kept) >= 2 and all(map(_sound, kept))


@pytest.mark.slow
def test_a_study_that_is_killed_leaves_no_process_behind(started):
    study, workers = started
    study.kill()
    assert len(workers) == 2 and all(map(gone, workers))


def test_a_set_of_its_own_judges_what_another_taught(place):
    """Recordings have two windows: 32 teach, less those held out, and of 48 others 12 are scored and 36 learned from."""
    np.savez(place / "other.npz", x=series(48), y=np.array(["still", "swings"] * 24), groups=np.arange(48) // 4)
    said, found = [], {}
    for name, more in (("own", {}), ("apart", {"judged": str(place / "other.npz")})):
        study = load_study(written(place, name, seeds=1, claim="", over=[], folds=[[0, 1, 2]], **more))
        row, = run_study(study, arms=["hot"], results=place / "rows", runs=place / "runs", say=said.append)
        told, = {(score["n_train"], score["n_test"]) for score in row["folds"][0]["scores"]
                 if score["task"] == "linear" and not score["labels"]}
        taught = next(sentence for sentence in said[::-1] if "teaching on" in sentence)
        found[name] = *told, int(taught.split("teaching on ")[1].split()[0])
    assert found == {"own": (40, 24, 40), "apart": (72, 24, 48)}


def test_a_table_of_the_method_holds_for_arms_that_name_their_method():
    study = load_study("laya")
    weights = {arm: _recipe(study, arm, 0, "signal").method["weight"] for arm in study.arms}
    assert weights == dict.fromkeys(study.arms, 0.2) | {"no SIGReg": 0.0}
