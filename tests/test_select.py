"""Snapshots, the pick among them and among runs without labels, and how often such picks were right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import unveil
from tiny import SETTINGS, photos, pixels, recordings
from unveil import Options, Unusable
from unveil.api.selecting import DEFAULT
from unveil.cli import main
from unveil.health.criteria import CRITERIA
from unveil.health.panel import panel
from unveil.studies import picks

ROOT = Path(__file__).parents[1]
STEPS = SETTINGS | {"train.steps": 6}
BEST = {"rankme": max, "effective-rank": max, "redundancy": min, "uniformity": min}


def bits(folder):
    return load_file(folder / "model.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(x, b[name]) for name, x in a.items())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Pictures, a run on them with three snapshots, and two other runs."""
    home = tmp_path_factory.mktemp("home")
    data = photos(home / "photos", 40)
    for name, more in (("run", {"train.snapshots": 3}), ("plain", {}), ("hot", {"method.temperature": 0.9})):
        unveil.pretrain(data, out=home / name, settings=STEPS | more)
    return home


def test_snapshots_are_left_evenly_and_change_nothing(home):
    assert sorted(path.name for path in (home / "run" / "snapshots").iterdir()) == [f"step-{step:08d}" for step in (2, 4, 6)]
    assert same(bits(home / "run" / "encoder"), bits(home / "plain" / "encoder"))
    assert same(bits(home / "run" / "encoder"), bits(home / "run" / "snapshots" / "step-00000006"))
    assert not same(bits(home / "run" / "encoder"), bits(home / "run" / "snapshots" / "step-00000004"))
    assert unveil.embed(home / "run" / "snapshots" / "step-00000002", home / "photos").shape == (40, 16)


def test_a_run_that_goes_on_leaves_the_same_snapshots_also_where_their_number_was_changed(home, tmp_path):
    def stop(row):
        if row["step"] == 3:
            import signal
            signal.raise_signal(signal.SIGINT)

    how = dict(out=tmp_path / "run", settings=STEPS)
    assert unveil.pretrain(home / "photos", show=stop, **how).ending.status == "stopped"
    unveil.pretrain(home / "photos", **(how | {"settings": STEPS | {"train.snapshots": 3}}))
    for step in (4, 6):
        assert same(*(bits(folder / "snapshots" / f"step-{step:08d}") for folder in (home / "run", tmp_path / "run")))


@pytest.mark.parametrize("by", BEST)
def test_snapshots_are_ranked_by_the_figure_of_the_whole_samples(home, by):
    found = unveil.select([home / "run"], by=by)
    values = {each.name: panel(unveil.embed(each.folder, home / "photos"))[f"embedding/{CRITERIA[by].figure}"] for each in found}
    assert len(found) == 3 and found[0].name == BEST[by](values, key=values.get)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert all(each.figures[f"embedding/{CRITERIA[by].figure}"] == pytest.approx(values[each.name], rel=1e-4) for each in found)
    assert all(0 < each.figures["embedding/alignment"] < 4 and each.figures["embedding/lidar"] >= 1 for each in found)


def test_where_labels_hold_out_a_part_it_is_not_looked_at(tmp_path):
    data = recordings(tmp_path / "recordings")
    settings = STEPS | {"kind.window": 32, "train.snapshots": 2}
    unveil.pretrain(data, out=tmp_path / "run", hold_out=(0, 1), settings=settings, networks=False, budgets=(1,))
    rank = lambda: [each.figures["embedding/rankme"] for each in unveil.select([tmp_path / "run"])]
    before = rank()
    for person, changes in (("p0", False), ("p1", False), ("p2", True)):
        file = data / f"{person}.csv"
        file.write_text(file.read_text().replace(",0.", ",7."))
        assert (rank() != before) == changes, person


def test_collapsed_features_come_last_whatever_their_figure(home, tmp_path):
    shutil.copytree(home / "plain", tmp_path / "collapsed")
    place = tmp_path / "collapsed" / "encoder" / "model.safetensors"
    save_file({name: 0 * x if name.endswith("weight") and x.dim() > 2 else x for name, x in load_file(place).items()}, place)
    found = unveil.select([tmp_path / "collapsed", home / "plain", home / "hot"], by="alignment")
    assert found[-1].folder == tmp_path / "collapsed" and found[-1].findings[0].fault == "collapse" and found[-1].score == -np.inf
    assert found[-1].figures["embedding/alignment"] < found[0].figures["embedding/alignment"], "its figure alone would win"


def test_what_cannot_be_compared_is_said(home, tmp_path):
    with pytest.raises(Unusable, match=r"plain has 0 snapshots, so there is nothing to choose from: teach with --train.snapshots 10"):
        unveil.select([home / "plain"])
    with pytest.raises(Unusable, match="no criterion 'rank'; there are: rankme, effective-rank"):
        unveil.select([home / "run"], by="rank")
    unveil.pretrain(pixels(), out=tmp_path / "array", options=Options(kind="image", layout="hwc"), settings=SETTINGS)
    with pytest.raises(Unusable, match="array was taught on an array, which it does not hold: name data with --data"):
        unveil.select([home / "plain", tmp_path / "array"])
    assert len(unveil.select([home / "plain", tmp_path / "array"], home / "photos")) == 2
    unveil.pretrain(photos(tmp_path / "photos"), out=tmp_path / "other", settings=SETTINGS)
    with pytest.raises(Unusable, match=r"plain was taught on .*photos, .*other on .*photos: name data that all can read with --data"):
        unveil.select([home / "plain", tmp_path / "other"])
    (tmp_path / "other" / "run.json").unlink()
    with pytest.raises(Unusable, match="other does not say what it was taught on: name data"):
        unveil.select([tmp_path / "other", home / "plain"])
    with pytest.raises(Unusable, match="5 samples are too few to compare encoders by"):
        unveil.select([home / "run"], pixels(5), options=Options(layout="hwc"))


def rows(results: Path, study: str, arms: dict[str, tuple[float, dict[str, float]]], seed: int = 0) -> None:
    """Rows of a study: accuracy and figures of each arm."""
    (results / study).mkdir(parents=True, exist_ok=True)
    for arm, (accuracy, figures) in arms.items():
        scores = [{"task": "linear", "features": "encoder", "labels": each, "values": [value - 0.1, value + 0.1]}
                  for each, value in ((1, 0.5), (5, accuracy), (20, 0.5), (None, 0.5))]
        fold = {"split": "s", "findings": [], "figures": {f"embedding/{name}": value for name, value in figures.items()}, "scores": scores}
        (results / study / f"{arm}-s{seed}.json").write_text(json.dumps({"study": study, "arm": arm, "seed": seed, "folds": [fold]}))


def test_a_criterion_is_counted_against_labels_and_against_chance(tmp_path):
    for study in ("one", "two"):
        for seed in range(4):
            rows(tmp_path, study, {"a": (0.9, dict(rankme=9.0, redundancy=0.5, lidar=3.0)), "b": (0.6, dict(rankme=5.0, redundancy=0.1)),
                                   "c": (0.7, dict(rankme=2.0, redundancy=0.9, lidar=4.0))}, seed)
    found = picks.contests(tmp_path)
    held = picks.records(found)
    assert list(held) == ["rankme", "redundancy"], "figures that an arm lacks are left out; the one that loses least comes first"
    assert (held["rankme"].n, held["rankme"].hits, held["redundancy"].hits) == (8, 8, 0)
    assert held["rankme"].regret == 0 and held["redundancy"].regret == pytest.approx(0.3)
    assert held["rankme"].chance_hits == pytest.approx(8 / 3) and held["rankme"].chance_regret == pytest.approx(0.9 - 2.2 / 3)
    assert held["rankme"].low == pytest.approx(0.025 ** (1 / 8)) and held["redundancy"].high == pytest.approx(1 - 0.025 ** (1 / 8))
    assert picks.chosen_elsewhere(found).hits == 8
    good, bad = (" ".join(picks.in_words(found, by)) for by in ("rankme", "redundancy"))
    assert "8 of 8 times (100%, 95% interval 63% to 100%); a random pick 2.7 of 8" in good and "not shown to be better" not in good
    assert "0 of 8 times" in bad and "lost 0.300 of accuracy on average, random ones 0.167" in bad


def test_a_criterion_that_was_found_in_its_own_rows_is_judged_in_the_others(tmp_path):
    first = {"a": (0.9, dict(rankme=9.0, redundancy=0.5)), "b": (0.6, dict(rankme=5.0, redundancy=0.1))}
    other = {arm: (accuracy, {name: -value for name, value in figures.items()}) for arm, (accuracy, figures) in first.items()}
    rows(tmp_path, "one", first), rows(tmp_path, "two", other)
    found = picks.contests(tmp_path)
    assert max(each.hits for each in picks.records(found).values()) == 1
    assert picks.chosen_elsewhere(found).hits == 0, "what is best in one study is worst in the other"
    best = next(iter(picks.records(found)))
    assert "taken from the other studies alone, the pick was that of the labels 0 of 2 times" in " ".join(picks.in_words(found, best))
    assert "not shown to be better than chance" in " ".join(picks.in_words(found, best))
    assert picks.chosen_elsewhere(found[:1]) is None


def test_without_rows_nothing_is_claimed(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a-small.json").write_text('{"lines": 3}')
    assert picks.contests(tmp_path) == [] and picks.records([]) == {} and picks.chosen_elsewhere([]) is None
    assert picks.in_words([], DEFAULT)[0].startswith("No stored results here, so how often such picks are right is not known")
    (tmp_path / "other" / "a-s0.json").write_text("{")
    with pytest.raises(Unusable, match=r"cannot read the result row .*a-s0.json"):
        picks.contests(tmp_path)


def test_the_default_is_what_the_stored_rows_choose():
    held = picks.records(picks.contests(ROOT / "results"))
    assert next(iter(held)) == DEFAULT, f"the rows of today choose {next(iter(held))}: set DEFAULT in unveil/api/selecting.py"


def test_the_command(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    rows(tmp_path, "one", {"a": (0.9, dict(rankme=9.0)), "b": (0.6, dict(rankme=5.0))})
    words = ["select", str(home / "run"), "--by", "rankme", "--results", str(tmp_path)]
    assert main(words) == 0
    said = capsys.readouterr().out
    pick = unveil.select([home / "run"], by="rankme")[0]
    assert f"pick: {pick.name}, whose RankMe is highest (Garrido et al. 2023)" in said and f"encoder  {pick.folder}" in said
    assert "1 of 1" in said and "In 1 stored contest " in said.replace("\n", " ")
    assert main([*words, "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    assert held["pick"] == str(pick.folder) and len(held["ranked"]) == 3 and held["records"]["rankme"]["hits"] == 1
    assert main([*words[:2], "--results", str(tmp_path / "none")]) == 0 and "No stored results here" in capsys.readouterr().out
    assert main(["select", str(home / "plain")]) == 2
