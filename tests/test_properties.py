"""Whatever comes in, readers and recipes answer it: with records and settings that are what was written, or with one clear refusal."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from broken import shards as tars
from broken.arrays import npy
from broken.watched import unclear
from unveil import plain_yaml
from unveil.cli import dotted
from unveil.data.labels import numeric
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.readers.arrays import from_arrays
from unveil.data.records import Unreadable
from unveil.errors import Unusable
from unveil.kinds.image import Image
from unveil.kinds.signal import Signal
from unveil.recipes import recipe as recipes
from unveil.recipes.check import names, settings_of

quick = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
text = st.text(st.characters(codec="utf-8"), max_size=12)
number = st.floats(width=32, allow_nan=False, allow_infinity=False)
plain = st.none() | st.booleans() | st.integers() | st.floats() | text | st.dates()
nested = lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text | st.integers() | st.booleans(), inner, max_size=3)
anything = st.recursive(plain, nested, max_leaves=6)


def answered(path, options: Options) -> list[np.ndarray]:
    """The records that can be read; every refusal is a sentence for a person."""
    held = []
    try:
        _, records = open_records(path, options)
        for i in range(min(len(records), 20)):
            try:
                held.append(records.load(i))
            except (Unreadable, Unusable) as why:
                assert not unclear(str(why)), str(why)
    except Unusable as why:
        assert not unclear(str(why)), str(why)
    return held


# ---- readers


@quick
@given(st.sampled_from(["a.csv", "a.ts", "a.npy", "a.npz", "a.tar", "a.png", "a.jpg", "a.gif", "a.tif"]), st.binary(max_size=400),
       st.booleans())
def test_any_bytes_are_answered(tmp_path, name, content, begun):
    begin = {"csv": b"x,y\n", "ts": b"@data\n", "npy": b"\x93NUMPY\x01\0", "npz": b"PK\x03\x04", "png": b"\x89PNG\r\n\x1a\n",
             "jpg": b"\xff\xd8\xff", "gif": b"GIF89a",
             "tif": b"II*\0"}.get(name[2:], b"") if begun else b""
    (tmp_path / name).write_bytes(begin + content)
    answered(tmp_path / name, Options(kind="image" if name[2:] in ("png", "jpg", "gif", "tif") else "signal", layout="ct"))


@quick
@given(st.lists(st.lists(text | st.floats().map(str), min_size=1, max_size=4), max_size=8), st.sampled_from(",;\t"))
def test_any_cells_are_answered(tmp_path, rows, mark):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=mark).writerows(rows)
    (tmp_path / "a.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    answered(tmp_path / "a.csv", Options())


@quick
@given(arrays_of.arrays(np.float32, st.tuples(st.integers(2, 20), st.integers(1, 4)), elements=number))
def test_a_table_of_numbers_comes_back(tmp_path, values):
    columns = [f"c{i}" for i in range(values.shape[1])]
    lines = [",".join(columns), *(",".join(f"{x:.9g}" for x in row) for row in values)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert np.array_equal(answered(tmp_path / "a.csv", Options())[0], values.T)


@quick
@given(arrays_of.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 9)), elements=number))
def test_series_come_back(tmp_path, values):
    lines = [f"@dimensions {values.shape[1]}", "@classLabel true a b", "@data"]
    lines += [":".join([*(",".join(f"{x:.9g}" for x in channel) for channel in case), "ab"[i % 2]]) for i, case in enumerate(values)]
    (tmp_path / "a.ts").write_text("\n".join(lines))
    assert np.array_equal(answered(tmp_path / "a.ts", Options()), values)
    (tmp_path / "a.npy").write_bytes(npy(values))
    assert np.array_equal(answered(tmp_path / "a.npy", Options(kind="signal", layout="ct")), values)


@quick
@given(arrays_of.arrays(arrays_of.scalar_dtypes() | arrays_of.unicode_string_dtypes(), arrays_of.array_shapes(min_dims=0, max_dims=5,
                                                                                                              min_side=0, max_side=5)),
       st.sampled_from(["image", "signal"]), st.sampled_from([None, "ct", "tc", "chw", "hwc"]))
def test_any_array_is_answered(values, kind, layout):
    try:
        records = from_arrays({"x": values, "y": np.arange(len(values) if values.ndim else 1) % 2}, Options(kind=kind, layout=layout))
        samples = {"image": Image(), "signal": Signal(window=4)}[kind].open(records)
        assert samples.spec().channels == samples.channels and len(samples)
    except Unusable as why:
        assert not unclear(str(why)), str(why)


@quick
@given(st.dictionaries(text.filter(bool), st.binary(max_size=100), max_size=5), st.randoms(use_true_random=False))
def test_any_members_are_answered(tmp_path, members, rng):
    (tmp_path / "a.tar").write_bytes(tars.tar({name.replace("\0", "_"): content for name,
                                               content in members.items()} | {"0.npy": npy(np.ones((2, 5)))}, rng))
    before = sorted(tmp_path.rglob("*"))
    assert any(np.array_equal(held, np.ones((2, 5))) for held in answered(tmp_path / "a.tar", Options(kind="signal",
                                                                                                      layout="ct"))) or "0" in {
        name.lstrip("./").partition(".")[0] for name in members}
    assert sorted(tmp_path.rglob("*")) == before


@quick
@given(st.lists(text | st.floats().map(str), min_size=1, max_size=6))
def test_any_targets_are_answered(cells):
    try:
        values = numeric(cells, [f"sample {i}" for i in range(len(cells))], "age")
        assert values.shape == (len(cells),) and np.isfinite(values).any() and not np.isinf(values).any()
    except Unusable as why:
        assert "age" in str(why) and not unclear(str(why))


# ---- recipes

KNOWN = [f"{section}.{name}" for section, thing in (("method", "simclr"), ("encoder", "conv"), ("kind", "image")) for name in settings_of(
    recipes.find(section, thing))] + [f"train.{name}" for name in settings_of(recipes.Training)]


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(KNOWN) | text | st.sampled_from(["train", "method", "kind", "encoder"]), anything, max_size=3))
def test_any_recipe_resolves_or_is_refused(given):
    try:
        recipe = recipes.resolve("simclr", "image", given=given)
    except Unusable as why:
        assert len(str(why)) < 1200 and "Traceback" not in str(why)
    else:
        assert recipe.training() and all(isinstance(held, dict) for held in (recipe.kind, recipe.encoder, recipe.method, recipe.train))


@quick
@given(st.sampled_from(KNOWN), st.integers(0, 30), st.sampled_from("abcdefghijklmnopqrstuvwxyz_"))
def test_a_slip_of_the_hand_is_answered_with_what_was_meant(path, at, sign):
    section, _, name = path.partition(".")
    at = at % len(name)
    wrong = name[:at] + sign + name[at + 1:]
    if wrong not in settings_of(recipes.find(section, {"method": "simclr", "encoder": "conv",
                                                       "kind": "image"}[section]) if section != "train" else recipes.Training):
        with pytest.raises(Unusable, match=rf"{section}\.{wrong} is no setting of .*(did you mean '|there are: )"):
            recipes.resolve("simclr", "image", given={f"{section}.{wrong}": 1})


@quick
@given(st.sampled_from(names("method")), st.sampled_from(names("kind")), st.sampled_from(["small", "auto", "published"]),
       st.integers(1, 10**6), st.floats(1e-6, 10), st.integers(0, 2**31))
def test_a_resolved_recipe_survives_yaml_and_json(method, kind, scale, batch, lr, seed):
    try:
        first = recipes.resolve(method, kind, scale=scale, given={"train.batch": batch, "train.lr": lr}, seed=seed)
    except Unusable as why:
        assert "published" in str(why)
        return
    held = json.loads(json.dumps(first.to_json()))
    for copy in (held, plain_yaml.load(yaml.safe_dump(held))):
        again = recipes.resolve(method, kind, scale=scale, given={section: copy[section] for section in ("kind", "encoder", "method",
                                                                                                         "train")}, seed=seed)
        assert again == first


@quick
@given(st.text(max_size=60))
def test_any_text_is_yaml_or_is_refused(text):
    try:
        plain_yaml.load(text)
    except ValueError as why:
        assert str(why) and "\n" not in str(why)
    try:
        dotted(["--train.lr", text])
    except Unusable as why:
        assert "--" in str(why)


@pytest.mark.parametrize("said", ["[" * 1500, "&a [*a]", "2001-99-99", "9" * 5000, "1e999", ".nan", "!!binary x", "? [a]\n: b", "\x00",
                                  "a: b: c",
                                  "&a [&b [x, x], *b, *b]", "0x" + "f" * 4000, "2001-01-01", "!!set {a}", "<<: 3"])
@pytest.mark.parametrize("setting", ["train.lr", "train.batch", "train.precision", "method.area", "kind.mirror"])
def test_values_that_are_traps(setting, said):
    try:
        recipes.resolve("simclr", "image", given=dotted([f"--{setting}", said]))
    except Unusable as why:
        assert len(str(why)) < 12_000 and str(why)


def test_aliases_that_grow_without_end_are_quoted_in_short(tmp_path):
    """Nine lines of YAML whose value would be written in a thousand million words."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"] + [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi")]
    (tmp_path / "bomb.yaml").write_text("\n".join([*lines, "train.lr: *i"]))
    held = recipes.read(tmp_path / "bomb.yaml")
    with pytest.raises(Unusable, match=r"train\.lr is \[\[\[.*, a list; it must be a number") as why:
        recipes.resolve("simclr", "image", given={"train.lr": held["train.lr"]})
    assert len(str(why.value)) < 1000


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: [" * 3000, b"a: 2001-99-99", b"\x00"])
def test_a_recipe_file_that_cannot_be_read(tmp_path, content):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(Unusable, match=r"cannot read the recipe .*a\.yaml"):
        recipes.read(tmp_path / "a.yaml")
