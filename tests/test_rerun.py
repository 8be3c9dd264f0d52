"""A run is repeated from what its folder holds, and what does not match is named."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import unveil
from tiny import SETTINGS, photos, pixels, series
from unveil import Options, Unusable
from unveil.cli import main


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """Pictures, and a run on them that was judged."""
    home = tmp_path_factory.mktemp("home")
    unveil.pretrain(photos(home / "photos"), out=home / "run", settings=SETTINGS, networks=False, budgets=(1, None), seed=3,
                    options=Options(labels="folders"))
    return home


@pytest.fixture
def home(taught, tmp_path):
    """A copy to spoil; the data are still those of the first."""
    shutil.copytree(taught / "run", tmp_path / "run")
    return tmp_path


def edit(path, change):
    held = json.loads(path.read_text())
    change(held)
    path.write_text(json.dumps(held))


def elsewhere(held):
    held["made"][0]["processor"] = "another"


def test_a_run_matches_bit_for_bit(home, capsys):
    assert main(["rerun", str(home / "run")]) == 0
    assert "run-rerun matches" in (said := capsys.readouterr().out) and "bit for bit: 28 tensors of the encoder, 2 rows of the log" in said
    first, second = (load_file(home / folder / "encoder" / "model.safetensors") for folder in ("run", "run-rerun"))
    assert all(torch.equal(x, second[name]) for name, x in first.items())
    assert json.loads((home / "run-rerun" / "rerun.json").read_text())["matches"]
    assert main(["rerun", str(home / "run")]) == 2 and "holds a finished run: remove it or choose another" in capsys.readouterr().err


@pytest.mark.parametrize("values, options, more", [(series(), Options(kind="signal", layout="ct"), {"kind.window": 32}),
                                                   (pixels(20), Options(kind="image", layout="hwc"), {})])
def test_an_array_is_not_in_the_folder_and_has_to_be_given(tmp_path, values, options, more):
    unveil.pretrain(values, method="simclr", out=tmp_path / "run", options=options, settings=SETTINGS | more)
    with pytest.raises(Unusable, match=r"taught on an array in Python, which no folder holds: call unveil.rerun\('.*', data=array\)"):
        unveil.rerun(tmp_path / "run")
    done = unveil.rerun(tmp_path / "run", data=values)
    assert done.matches and done.exact and not done.circumstances
    with pytest.raises(Unusable, match=r"have changed since, so it cannot be repeated: other values\. Bring back"):
        unveil.rerun(tmp_path / "run", data=values[::-1].copy(), out=tmp_path / "other")


def test_another_seed_is_named_and_does_not_match(home, capsys):
    edit(home / "run" / "recipe.json", lambda held: held.update(seed=4))
    assert main(["rerun", str(home / "run"), "--json"]) == 4
    done = json.loads(capsys.readouterr().out)
    assert done["circumstances"] == ["recipe.json was changed since the run: seed was 3, is 4"] and done["exact"]
    assert "does not match" in done["sentence"] and "of 28 tensors of the encoder differ, by up to" in done["sentence"]
    assert "the log differs from step 1 on (loss" in done["sentence"]


def test_changed_data_are_named_before_any_work(tmp_path):
    data = photos(tmp_path / "photos")
    unveil.pretrain(data, out=tmp_path / "run", settings=SETTINGS)
    Image.fromarray(pixels(1, seed=9)[0]).save(data / "dark" / "00.png")
    with pytest.raises(Unusable, match=r"have changed since, so it cannot be repeated: other values\. Bring back the data"):
        unveil.rerun(tmp_path / "run")
    shutil.copy(data / "dark" / "00.png", data / "dark" / "more.png")
    with pytest.raises(Unusable, match="samples were 24, are 25; other values"):
        unveil.rerun(tmp_path / "run")
    shutil.move(data, tmp_path / "moved")
    with pytest.raises(Unusable, match=r"the data of .* cannot be opened: there is no file, folder .* name them with --data"):
        unveil.rerun(tmp_path / "run")
    assert not (tmp_path / "run-rerun").exists()


def test_one_bit_counts_here_and_statistics_elsewhere(home):
    place = home / "run" / "encoder" / "model.safetensors"
    weights = load_file(place)
    name = next(name for name, x in weights.items() if x.is_floating_point() and x.numel() > 10)
    weights[name].flatten()[3] += 1e-3
    save_file(weights, place)
    done = unveil.rerun(home / "run", out=home / "here")
    assert not done.matches and f"1 of 28 tensors of the encoder differ, by up to 0.001 ({name})" in done.sentence
    edit(home / "run" / "run.json", elsewhere)
    done = unveil.rerun(home / "run", out=home / "there")
    assert done.matches and not done.exact and done.circumstances[0].startswith("the processor was another, is ")
    assert "statistically: the loss curves differ by 0.0%" in done.sentence
    assert re.search(r"; 0 of \d+ results differ by more", done.sentence)


def test_elsewhere_a_loss_or_a_result_that_went_otherwise_does_not_match(home):
    edit(home / "run" / "run.json", elsewhere)
    kept = (home / "run" / "results.json").read_text()
    edit(home / "run" / "results.json", lambda held: [row.update(value=2.0, values=[2.0], low=1.9, high=2.1) for row in held["rows"][:1]])
    done = unveil.rerun(home / "run", out=home / "results")
    assert not done.matches and re.search(r"; 1 of \d+ results differ by more", done.sentence)
    (home / "run" / "results.json").write_text(kept)
    rows = [json.loads(line) for line in (home / "run" / "metrics.jsonl").read_text().splitlines()]
    span = np.ptp([row["loss"] for row in rows])
    lines = [json.dumps(row | {"loss": row["loss"] + 0.1 * span}) for row in rows]
    (home / "run" / "metrics.jsonl").write_text("\n".join(lines))
    done = unveil.rerun(home / "run", out=home / "losses")
    assert not done.matches and "the loss curves differ by 10.0% of the first one's range" in done.sentence


def test_as_many_threads_as_the_first_run_had(home):
    edit(home / "run" / "run.json", lambda held: held["made"][0].update(threads=2, code="0.0.1"))
    seen, told = [], []
    done = unveil.rerun(home / "run", show=lambda row: seen.append(torch.get_num_threads()), say=told.append)
    assert set(seen) == {2} and torch.get_num_threads() == 1 and done.exact
    assert told[0].startswith("the code was 0.0.1, is ") and done.circumstances == told[:1]


@pytest.mark.parametrize("gone, says", [("run.json", "made by an earlier version. The command that repeats it stands in its report.html"),
                                        ("results.json", "no results.json that can be read"), ("encoder", "no encoder that can be read"),
                                        ("metrics.jsonl", "no metrics.jsonl")])
def test_a_folder_that_lacks_something_says_what(home, gone, says):
    place = home / "run" / gone
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    with pytest.raises(Unusable, match=says):
        unveil.rerun(home / "run")
