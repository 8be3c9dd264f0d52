"""The verbs in Python: arrays of pictures and signals in, features, scores and a diagnosis out."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

import unveil
from tiny import SETTINGS, photos, pixels, recordings, series
from unveil import Options, Unusable, api
from unveil.data.records import Records
from unveil.health.diagnose import Diagnosis
from unveil.kinds.image import Image

HWC, CHW = Options(layout="hwc"), Options(layout="chw")


def teach(values, out, kind="image", options=HWC, **settings):
    return unveil.pretrain(values, kind=kind, method="simclr", out=out, options=options, settings=SETTINGS | settings)


@pytest.mark.parametrize("channels", [1, 3, 4, 13])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.int64])
def test_pictures_of_any_depth_and_channels(tmp_path, channels, dtype):
    values = pixels(20, 16, channels)
    if dtype == np.uint16:
        values = values.astype(np.uint16) * 257
    elif np.issubdtype(dtype, np.floating):
        values = (values / 255).astype(dtype)
    else:
        values = values.astype(dtype)
    run = teach(values, tmp_path / "run")
    features = unveil.embed(run.encoder, values, options=HWC)
    assert features.shape == (20, 16) and features.dtype == np.float32 and np.isfinite(features).all()
    spec = run.encoder.spec
    assert spec.channels == channels and spec.shape == (16, 16) and 0.3 < spec.mean[-1] < 0.5, "values are shares of full brightness"
    np.testing.assert_array_equal(unveil.embed(tmp_path / "run", values, options=HWC), features)


def test_the_place_of_the_channels_makes_no_difference(tmp_path):
    values = pixels(16)
    last = teach(values, tmp_path / "a")
    first = teach(np.moveaxis(values, -1, 1), tmp_path / "b", options=CHW)
    assert all(torch.equal(a, b) for a, b in zip(last.encoder.state_dict().values(), first.encoder.state_dict().values(), strict=True))
    with pytest.raises(Unusable, match=r"16x3x16x16 can have its channels second or last. Say which:\n  --layout chw\n  --layout hwc"):
        teach(np.moveaxis(values, -1, 1), tmp_path / "c", options=Options())


def test_grey_pictures_without_an_axis_of_channels(tmp_path):
    run = teach(pixels(16, channels=1)[..., 0], tmp_path)
    assert run.encoder.spec.channels == 1


def test_an_encoder_of_colours_reads_grey_and_an_encoder_of_grey_reads_colours(tmp_path):
    colour, grey = teach(pixels(16), tmp_path / "a"), teach(pixels(16, channels=1), tmp_path / "b")
    assert unveil.embed(colour.encoder, pixels(16, channels=1)[..., 0]).shape == (16, 16)
    chw = np.moveaxis(pixels(16), -1, 1)
    np.testing.assert_array_equal(unveil.embed(grey.encoder, chw, options=CHW), unveil.embed(grey.encoder, pixels(16), options=HWC))


def test_pictures_that_hold_nan_are_set_aside_and_stay_in_their_row(tmp_path):
    values = (pixels(20) / 255).astype(np.float32)
    values[3, 0, 0, 0], values[7, 1, 1, 1] = np.nan, np.inf
    run = teach(values, tmp_path)
    assert run.facts["faults"] == {f"the array[{i}]": "holds values that are not finite" for i in (3, 7)}
    assert run.facts["samples"] == 18 and run.ending.status == "finished"
    features = unveil.embed(run.encoder, values, options=HWC)
    assert np.flatnonzero(np.isnan(features).any(1)).tolist() == [3, 7] and features.shape == (20, 16)
    (tmp_path / "y.csv").write_text("\n".join("ab"[i % 2] for i in range(20)))
    _, samples = api.open_data(values, options=Options(kind="image", layout="hwc", labels=str(tmp_path / "y.csv")))
    assert samples.labels.tolist() == [i % 2 for i in range(20) if i not in (3, 7)]
    with pytest.raises(Unusable, match="every one of the 2 pictures holds values that are not finite"):
        unveil.embed(run.encoder, values[[3, 7]], options=HWC)


def test_floats_beyond_one_are_noted(tmp_path):
    said = []
    run = unveil.pretrain(pixels(16).astype(np.float32), kind="image", out=tmp_path, options=HWC, settings=SETTINGS, say=said.append)
    assert run.facts["notes"] == [next(line for line in said if line.startswith("values go from 0 to 25"))]
    assert "scale them before" in run.facts["notes"][0]


@pytest.mark.parametrize("layout, values", [("ct", series()), ("tc", np.moveaxis(series(), 1, 2)), (None, series()[:, 0])])
def test_signals(tmp_path, layout, values):
    run = teach(values, tmp_path, "signal", Options(layout=layout, rate=50.0), **{"kind.window": 32})
    features = unveil.embed(run.encoder, values, options=Options(layout=layout, rate=50.0))
    assert features.shape == (24 * 2, 16) and np.isfinite(features).all()
    assert run.encoder.kind.window == 32 and run.encoder.spec.spacing == (0.02,)


def test_recordings_shorter_than_the_window_of_a_recipe_are_read_in_whole_patches(tmp_path):
    """Only where nobody said how long a window is: neither the user nor the paper."""
    values, options = series(length=60), Options(kind="signal", layout="ct")
    shown = api.preview("mae", values, options=options, samples=1, steps=1)["recipe"]
    assert shown["kind"]["window"] == 56 and shown["encoder"]["patch"] == 8
    assert shown["reasons"]["kind.window"].endswith("of the recipe, the longest has 60, and the encoder reads patches of 8")
    said = []
    unveil.pretrain(values, method="simclr", out=tmp_path / "run", options=options, settings=SETTINGS | {"encoder.name": "conv"},
                    say=said.append)
    assert "kind.window = 60: no record has the 128 values of the recipe, the longest has 60" in said, "conv has no patches"
    assert unveil.rerun(tmp_path / "run", data=values).matches
    for asked in (dict(settings={"kind.window": 64}), dict(scale="published")):
        with pytest.raises(Unusable, match="no recording gives a window of"):
            api.plan("patchtst", data=values, options=options, **({"scale": "small"} | asked))
    with pytest.raises(Unusable, match="no recording gives a window of 128"):
        api.preview("mae", series(length=7), options=options)


def test_series_of_other_types_and_values_that_are_missing(tmp_path):
    values = np.round(1000 * series()).astype(np.int16)
    assert teach(values, tmp_path / "a", "signal", Options(layout="ct"), **{"kind.window": 32}).ending.status == "finished"
    holes = series().astype(np.float64)
    holes[0, 0, 3], holes[1, :, 5], holes[2] = np.nan, np.inf, np.nan
    run = teach(holes, tmp_path / "b", "signal", Options(layout="ct"), **{"kind.window": 32})
    assert np.isfinite(unveil.embed(run.encoder, holes, options=Options(layout="ct"))).all()
    assert run.facts["faults"] == {"the array[2] (windows)": "2 windows without a value set aside"}


def test_data_of_other_channels_are_refused_by_number(tmp_path):
    run = teach(series(), tmp_path, "signal", Options(layout="ct"), **{"kind.window": 32})
    with pytest.raises(Unusable, match="the array has 4 channels, the encoder was taught on 3: give data with the same channels"):
        unveil.embed(run.encoder, series(channels=4), options=Options(layout="ct"))
    images = teach(pixels(8, channels=4), tmp_path / "images")
    with pytest.raises(Unusable, match=r"none of the 4 samples can be read; .*has 5 channels, most have 4"):
        unveil.embed(images.encoder, pixels(4, channels=5), options=HWC)
    colours = teach(pixels(8), tmp_path / "colours")
    with pytest.raises(Unusable, match="has 5 channels, which are no colours: they are not converted to 3"):
        unveil.embed(colours.encoder, pixels(4, channels=5), options=HWC)


def test_labels_and_groups_beside_an_array_are_judged(tmp_path):
    held = {"x": series(), "y": np.array(["still", "swings"] * 12), "groups": np.arange(24) // 4}
    run = unveil.pretrain(held, kind="signal", out=tmp_path / "run", options=Options(layout="ct"), hold_out=(0, 1), budgets=(2, None),
                          networks=False, settings=SETTINGS | {"kind.window": 32})
    assert {row["split_name"] for row in run.rows} == {"held-out groups 0,1"} and run.facts["classes"] == ["still", "swings"]
    assert {row["features"] for row in run.rows} == {"encoder", "random init", "raw + PCA", "statistics", "MiniRocket"}
    rows = unveil.evaluate(run.encoder, held, options=Options(layout="ct"), hold_out=(0, 1), budgets=(2, None), networks=False)
    assert [row["value"] for row in rows] == [row["value"] for row in run.rows]
    with pytest.raises(Unusable, match="cannot hold out group 9: the data have 6 groups, numbered from 0"):
        unveil.evaluate(run.encoder, held, options=Options(layout="ct"), hold_out=(9,))
    with pytest.raises(Unusable, match="an encoder is judged on labelled data: name them with --data"):
        unveil.evaluate(run.encoder)
    with pytest.raises(Unusable, match="has no labels: give --labels folders, --labels COLUMN or --labels FILE"):
        unveil.evaluate(run.encoder, series(), options=Options(layout="ct"))


def test_groups_that_are_held_out_are_not_learned_from_without_labels_either(tmp_path):
    held = {"x": series(), "groups": np.arange(24) // 4}
    run = unveil.pretrain(held, kind="signal", out=tmp_path, options=Options(layout="ct"), hold_out=(0, 1),
                          settings=SETTINGS | {"kind.window": 32})
    assert run.facts["train"] == 16 * 2 and run.facts["test"] == 8 * 2 and run.facts["split"] == "held-out groups 0,1" and run.rows == []


def test_labels_that_cannot_judge_do_not_end_a_run(tmp_path):
    said = []
    run = unveil.pretrain({"x": series(), "y": np.array(["one"] * 24)}, kind="signal", out=tmp_path, options=Options(layout="ct"),
                          settings=SETTINGS | {"kind.window": 32}, say=said.append)
    assert run.rows == [] and run.ending.status == "finished" and run.facts["train"] == 48
    assert "judging needs two classes at least" in run.facts["notes"][0] and run.facts["notes"][0] in said
    (tmp_path / "y.csv").write_text("a\n" * 8)
    with pytest.raises(Unusable, match="leaves labels of 1 classes to learn from"):
        unveil.evaluate(np.ones((8, 2)), labels=tmp_path / "y.csv")


def test_embed_to_files(tmp_path):
    photos(tmp_path / "photos", 12)
    (tmp_path / "photos" / "dark" / "00.png").write_bytes(b"no picture")
    odd = tmp_path / "photos" / "dark" / 'a "quoted", name.png'
    (tmp_path / "photos" / "dark" / "02.png").rename(odd)
    run = unveil.pretrain(tmp_path / "photos", out=tmp_path / "run", settings=SETTINGS)
    bad = str(tmp_path / "photos" / "dark" / "00.png")
    done = api.embed_to(tmp_path / "run", tmp_path / "photos", tmp_path / "new" / "f.npz", options=Options(labels="folders"))
    assert done == {"samples": 11, "width": 16, "out": str(tmp_path / "new" / "f.npz"), "faults": {bad: "is no picture that can be read"}}
    held = np.load(tmp_path / "new" / "f.npz")
    assert held["x"].shape == (11, 16) and len(held["names"]) == len(held["y"]) == 11 and bad not in held["names"]
    api.embed_to(tmp_path / "run", tmp_path / "photos", tmp_path / "f.csv")
    first, *rows = csv.reader((tmp_path / "f.csv").read_text().splitlines())
    assert first == ["id", "name", *(f"f{i}" for i in range(16))] and [row[1] for row in rows] == held["names"].tolist()
    assert str(odd) in held["names"] and [int(row[0]) for row in rows] == held["ids"].tolist() == list(range(1, 12))
    np.testing.assert_array_equal(np.array([row[2:] for row in rows], np.float32), held["x"])
    with pytest.raises(Unusable, match=r"cannot write .*f\.json: the ending must be \.npz, \.csv or \.parquet"):
        api.embed_to(tmp_path / "run", tmp_path / "photos", tmp_path / "f.json")
    features = unveil.embed(run.encoder, tmp_path / "photos")
    assert np.isnan(features).all(1).tolist() == [True] + [False] * 11


def test_no_label_meets_a_picture_that_stood_in(tmp_path):
    photos(tmp_path, 16)
    (tmp_path / "light" / "01.png").write_bytes(b"no picture")
    run = unveil.pretrain(tmp_path, out=tmp_path / "run", options=Options(labels="folders"), networks=False, budgets=(None,),
                          settings=SETTINGS)
    assert len(run.parts.train) + len(run.parts.test) == 15 and list(run.facts["faults"]) == [str(tmp_path / "light" / "01.png")]


def test_notes_of_a_source_reach_the_facts(tmp_path):
    recordings(tmp_path / "in")
    file = tmp_path / "in" / "p0.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:50] + lines[80:]) + "\n")
    said = []
    run = unveil.pretrain(tmp_path / "in", out=tmp_path / "run", networks=False, budgets=(None,), say=said.append,
                          settings=SETTINGS | {"kind.window": 32})
    assert run.facts["notes"] == ["p0.csv: gap of 0.62 s after line 50, recording split there"] and run.facts["notes"][0] in said
    assert json.loads((tmp_path / "run" / "results.json").read_text())["data"]["notes"] == run.facts["notes"]


def test_records_may_come_from_anywhere():
    records = Records(["a", "b"], lambda i: pixels(2)[i], layout="hwc", notes=["taken with a broken lens"])
    _, samples = api.open_data({"x": pixels(2)}, options=Options(kind="image", layout="hwc"))
    assert samples.notes == []
    assert Image().open(records).notes == ["taken with a broken lens"]


def test_the_run_is_the_same_again_and_a_budget_goes_on_where_it_was(tmp_path, monkeypatch):
    steps = iter([0.05, 0.4])
    monkeypatch.setattr("unveil.training.measure.seconds_per_step", lambda *given: next(steps))
    settings = {name: value for name, value in SETTINGS.items() if name != "train.steps"}
    first, again = (unveil.pretrain(pixels(16), kind="image", options=HWC, out=tmp_path, budget="1s", settings=settings) for _ in range(2))
    assert first.recipe == again.recipe and first.ending.step == again.ending.step == 18
    assert torch.equal(*(next(iter(run.encoder.state_dict().values())) for run in (first, again)))


def test_diagnose_in_ten_lines():
    network = torch.nn.Linear(10, 32)
    data, history = torch.randn(300, 10), {}
    for step in range(3):
        history[step] = network(data)
    healthy = unveil.diagnose(history)
    collapsed = unveil.diagnose({0: torch.randn(300, 32), 10: torch.ones(300, 32)})
    assert isinstance(healthy, Diagnosis) and healthy.healthy and not collapsed.healthy
    assert "collapse" in str(collapsed) and "10" in str(collapsed)
    assert unveil.diagnose(np.random.default_rng(0).normal(size=(300, 8)), views=np.ones((2, 300, 8))).figures


def test_public_names_are_there_and_importing_them_costs_little():
    assert {"pretrain", "evaluate", "embed", "load", "diagnose"} <= set(unveil.__all__)
    assert all(getattr(unveil, name) for name in unveil.__all__)
    with pytest.raises(AttributeError, match="module 'unveil' has no attribute 'pretrian'"):
        unveil.pretrian  # noqa: B018
