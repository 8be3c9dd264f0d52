"""``unveil inspect``: what was planted is found, and what was not is not."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pytest
import torch
from PIL import Image

import unveil
from tiny import photos, recordings
from unveil.api.looking import Finding
from unveil.cli import main
from unveil.data.options import Options
from unveil.health.duplicates import clusters, difference, most_alike, outlines

COUNT, SIDE = 120, 20
HWC = Options(kind="image")


def scenes(seed: int = 0, count: int = COUNT, side: int = SIDE) -> np.ndarray:
    """Smooth random pictures ``(count, side, side)`` in [0, 1]: sums of waves whose strength falls with frequency, as in photographs."""
    rng = np.random.default_rng(seed)
    down, across = np.meshgrid(np.fft.fftfreq(2 * side), np.fft.rfftfreq(2 * side), indexing="ij")
    fall = 1 / np.maximum(1 / (2 * side), np.hypot(down, across))
    values = np.fft.irfft2(fall * np.fft.rfft2(rng.normal(size=(count, 2 * side, 2 * side))))
    values = values / values.std((1, 2), keepdims=True)
    return (0.5 + 0.15 * values).clip(0, 1)[:, :side, :side].astype(np.float32)


def labels(count: int = COUNT, classes: int = 2) -> np.ndarray:
    """Labels that have nothing to do with the values."""
    return np.random.default_rng(9).permutation(np.arange(count) % classes).astype(str)


def topics(found: dict) -> set[str]:
    return {finding["topic"] for finding in found["findings"]}


def one(found: dict, topic: str) -> dict:
    held = [finding for finding in found["findings"] if finding["topic"] == topic]
    assert len(held) == 1, f"{topic}: {found['findings']}"
    return held[0]


def test_clean_data_give_figures_and_no_finding():
    x = scenes()
    found = unveil.inspect({"x": x, "y": labels()}, options=HWC)
    assert found["findings"] == []
    assert found["samples"] == COUNT and found["shape"] == [SIDE, SIDE] and found["missing"] == 0
    channel, = found["channels"]
    assert channel == pytest.approx({"mean": x.mean(), "std": x.std(), "min": x.min(), "max": x.max()}, rel=1e-4)
    assert sum(side["train"] + side["test"] for side in found["classes"].values()) == COUNT
    json.dumps(found)


NEAR = {
    "noise": lambda x, wide: x + np.random.default_rng(1).normal(size=x.shape) * 0.05 * x.std(),
    "brightness": lambda x, wide: 0.7 * x + 0.2,
    "shift": lambda x, wide: wide[2:2 + SIDE, 1:1 + SIDE],
}


@pytest.mark.parametrize("how", NEAR)
def test_near_copies_are_found_and_named(how):
    wide = scenes(side=SIDE + 3)
    x = wide[:, :SIDE, :SIDE].copy()
    for target, source in ((50, 3), (77, 4), (119, 5)):
        x[target] = NEAR[how](x[source], wide[source])
    finding = one(unveil.inspect(x, options=HWC), "near copies")
    assert {frozenset(int(n) for n in pair.replace("the array[", "").replace("]", "").split(" = ")) for pair in finding["evidence"]} == \
        {frozenset(pair) for pair in ((50, 3), (77, 4), (119, 5))}


def test_exact_copies_across_the_split_and_with_other_labels():
    x, y, groups = scenes(), labels(), np.arange(COUNT) % 4
    x[[9, 10, 11]] = x[[0, 1, 2]]
    y[[0, 9]] = "0", "1"
    found = unveil.inspect({"x": x, "y": y, "groups": groups.astype(str)}, options=HWC, hold_out=(1,))
    assert "3 samples too many, in 3 sets" in one(found, "exact copies")["sentence"] and "near copies" not in topics(found)
    leak = one(found, "leak across the split")
    assert leak["severity"] == "serious" and set(leak["evidence"]) == {"the array[9] = the array[0]", "the array[1] = the array[10]"}
    assert "the array[0] = the array[9]" in one(found, "contradicting labels")["evidence"]


def test_windows_of_one_recording_are_no_copies_but_a_recording_under_two_names_is(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 3, 200)).cumsum(-1).astype(np.float32)
    options = Options(kind="signal", layout="ct")
    assert topics(unveil.inspect(x, options=options, settings={"window": 64, "stride": 4})) == set()
    x[7, :, 40:] = x[2, :, :160]
    evidence = one(unveil.inspect(x, options=options, settings={"window": 64, "stride": 8}), "exact copies")["evidence"]
    assert evidence == ["the array[2] = the array[7] (13 times)"]


def test_a_pixel_that_encodes_the_label_is_found_also_with_noise():
    x, y = scenes(), labels(classes=3)
    for noise in (0, 0.05):
        x[:, 4, 7] = 0.2 + 0.3 * y.astype(int) + noise * np.random.default_rng(0).normal(size=COUNT)
        found = one(unveil.inspect({"x": x, "y": y}, options=HWC), "label leak")
        assert found["severity"] == "serious" and found["evidence"] == ["channel 0, y 4, x 7"]


def test_a_label_that_was_left_among_the_channels_is_found():
    y = labels(classes=4)
    x = np.random.default_rng(0).normal(size=(COUNT, 3, 64)).astype(np.float32)
    x[:, 2] = y.astype(int)[:, None]
    found = unveil.inspect({"x": x, "y": y}, options=Options(kind="signal", layout="ct"), settings={"window": 64})
    assert one(found, "label leak")["evidence"] == ["channel 2"]


def test_classes_that_differ_in_brightness_are_easy_but_no_leak():
    x, y = scenes(), labels()
    found = unveil.inspect({"x": 0.5 * x + 0.4 * (y == "1")[:, None, None], "y": y}, options=HWC)
    assert one(found, "easy labels")["severity"] == "note" and "label leak" not in topics(found)


def test_files_damaged_or_saved_otherwise(tmp_path, capsys):
    for number, values in enumerate(scenes(count=60)):
        file = tmp_path / ("cat", "dog")[number % 2] / f"{number}.{('png', 'bmp')[number % 2]}"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray((255 * values).astype(np.uint8)).save(file)
    (tmp_path / "cat" / "0.png").write_bytes(b"no picture")
    found = unveil.inspect(tmp_path, options=Options(labels="folders"))
    assert found["samples"] == 59 and found["order"] == "sorted by label"
    assert "0.png: is no picture" in one(found, "corrupt")["evidence"][0]
    assert "size of the file" in one(found, "label leak")["sentence"]
    assert main(["inspect", str(tmp_path), "--labels", "folders"]) == 0
    said = capsys.readouterr().out
    assert "59 of 20 x 20 (y, x)" in said and "corrupt" in said and "set aside" in said


def test_groups_that_stand_for_a_label(tmp_path):
    x, y = scenes(), labels(classes=3)
    found = unveil.inspect({"x": x, "y": y, "groups": y}, options=HWC)
    assert any(finding["topic"] == "label leak" and "group alone" in finding["sentence"] for finding in found["findings"])
    assert "class on one side" in topics(found)


@pytest.mark.parametrize(("y", "topic"), [
    (np.full(COUNT, "a"), "one class"), (np.where(np.arange(COUNT) < 4, "a", "b"), "tiny classes"),
    (np.where(np.arange(COUNT) < 10, "a", "b"), "imbalance"), (np.where(np.arange(COUNT) % 3, labels(), ""), "unlabelled")])
def test_labels_that_cannot_judge(y, topic):
    assert topic in topics(unveil.inspect({"x": scenes(), "y": y}, options=HWC))


def test_values_that_say_nothing():
    x = np.stack([scenes(), np.ones((COUNT, SIDE, SIDE), np.float32), scenes(1)], -1)
    x[5, ..., [0, 2]] = 0.3
    found = unveil.inspect(x, options=HWC)
    assert one(found, "constant channels")["evidence"] == ["channel 1"]
    assert one(found, "blank")["evidence"] == ["the array[5]"]


def test_missing_values_of_recordings_are_counted_and_can_be_a_leak(tmp_path):
    y = labels(classes=2)
    x = np.random.default_rng(0).normal(size=(COUNT, 2, 64)).astype(np.float32)
    x[y == "1", :, 10:20] = np.nan
    found = unveil.inspect({"x": x, "y": y}, options=Options(kind="signal", layout="ct"), settings={"window": 64})
    assert found["missing"] == pytest.approx((y == "1").mean() * 10 / 64)
    assert "missing values" in topics(found)
    assert any("share of missing values" in finding["sentence"] for finding in found["findings"])


def test_the_command_answers_with_one_object_and_refuses_what_has_no_say(tmp_path, capsys):
    recordings(tmp_path / "people")
    assert main(["inspect", str(tmp_path / "people"), "--kind.window", "32", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["shape"] == [32] and found["groups"] == 4
    assert all(finding.keys() == {field.name for field in fields(Finding)} for finding in found["findings"])
    assert main(["inspect", str(photos(tmp_path / "photos")), "--method.area", "1"]) == 2
    assert "no say" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "people"), "--kind.window", "32", "--hold-out", "7"]) == 2
    assert "group 7" in capsys.readouterr().err


def test_the_blocked_search_equals_the_plain_one():
    found = torch.nn.functional.normalize(torch.rand(70, 12, generator=torch.Generator().manual_seed(0)), dim=1)
    sources = torch.arange(70) * 7 % 11
    plain = (found @ found.T).masked_fill(sources[:, None] == sources, -1)
    value, at = most_alike(found, sources, 3, block=(16, 24))
    torch.testing.assert_close(value, plain.topk(3).values)
    torch.testing.assert_close(plain.gather(1, at), value)
    rows = torch.tensor([2, 5, 40])
    torch.testing.assert_close(most_alike(found, sources, 3, rows=rows, block=(2, 24))[0], value[rows])


def test_difference_undoes_shift_gain_and_offset_in_any_number_of_axes():
    generator = torch.Generator().manual_seed(0)
    for shape in ((40,), (24, 24), (12, 12, 12)):
        wide = torch.randn(3, 2, *(n + 1 for n in shape), generator=generator)
        a, b = wide[(..., *[slice(1, None)] * len(shape))], wide[(..., *[slice(None, -1)] * len(shape))]
        assert (difference(a, 3 * b + 5) < 1e-5).all()
        assert (difference(a, b.roll(1, 0)) > 0.5).all()
        seen = torch.ones(3, *shape, dtype=torch.bool)
        seen.flatten(1)[:, :4] = False
        assert (difference(a * seen[:, None], b, (seen, torch.ones_like(seen))) < 1e-5).all()
    assert (outlines(torch.ones(2, 1, 9)) == 0).all()


def test_clusters_join_pairs_that_share_a_sample():
    assert clusters(torch.tensor([[0, 4], [4, 6], [2, 3]]), 8) == [[0, 4, 6], [2, 3]]
