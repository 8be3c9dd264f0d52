"""Embeddings in files: every ending gives the same table back, with places, names, labels and groups; features.npz can be judged."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest

import unveil
from tiny import SETTINGS, series
from unveil import Options, Unusable, api

LABELS = ["still", "swings", ""] * 8


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Series of six people with labels, some without, and an encoder of them."""
    folder = tmp_path_factory.mktemp("home")
    np.savez(folder / "data.npz", x=series(), y=np.array(LABELS), groups=np.arange(24) // 4)
    unveil.pretrain(folder / "data.npz", kind="signal", method="simclr", out=folder / "run", options=Options(layout="ct"), networks=False,
                    budgets=(None,), settings=SETTINGS | {"kind.window": 32})
    return folder


def written(home, name, said=lambda text: None):
    done = api.embed_to(home / "run", home / "data.npz", home / name, options=Options(layout="ct"), say=said)
    assert done["samples"] == 48 and done["width"] == 16
    return home / name


@pytest.fixture(scope="module")
def table(home):
    return np.load(written(home, "f.npz"))


def test_npz(home, table):
    features = unveil.embed(home / "run", home / "data.npz", options=Options(layout="ct"))
    assert np.array_equal(table["x"], features) and table["x"].dtype == np.float32
    assert table["ids"].tolist() == list(range(48)) and table["y"].tolist() == [label for label in LABELS for _ in range(2)]
    assert table["groups"].tolist() == [i // 8 for i in range(48)] and table["names"][2].endswith("data.npz[1]")


def test_csv(home, table):
    with open(written(home, "f.csv"), newline="") as stream:
        first, *rows = csv.reader(stream)
    assert first == ["id", "name", "label", "group", *(f"f{i}" for i in range(16))]
    assert np.array_equal(np.array([row[4:] for row in rows], np.float32), table["x"])
    for column, name in enumerate(("ids", "names", "y", "groups")):
        assert [row[column] for row in rows] == table[name].astype(str).tolist()


def test_parquet(home, table):
    parquet = pytest.importorskip("pyarrow.parquet")
    held = parquet.read_table(written(home, "f.parquet"))
    assert held.column_names == ["id", "name", "label", "group", "embedding"]
    vectors = held["embedding"].combine_chunks()
    assert vectors.type.list_size == 16 and str(vectors.type.value_type) == "float"
    assert np.array_equal(vectors.flatten().to_numpy().reshape(48, 16), table["x"])
    for column, name in (("id", "ids"), ("name", "names"), ("label", "y"), ("group", "groups")):
        assert held[column].to_pylist() == table[name].tolist()


def test_parquet_without_pyarrow_is_refused_before_any_work(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unusable, match=r"Parquet needs the package pyarrow: pip install 'unveil\[parquet\]'"):
        api.embed_to(home / "none", home / "data.npz", home / "g.parquet")


def test_judging_the_file_is_judging_the_encoder_on_the_same_groups(home, table):
    how = dict(budgets=(None,), hold_out=(0, 1), options=Options(layout="ct"))
    ours = unveil.evaluate(home / "run", home / "data.npz", networks=False, **how)
    theirs = unveil.evaluate(home / "f.npz", **how)
    pick = lambda rows, name: {row["task"]: row["value"] for row in rows if row["features"] == name}
    assert pick(theirs, "features") == pick(ours, "encoder")


def test_it_says_how_far_it_is(home):
    said = []
    written(home, "h.npz", said.append)
    assert "48 of 48 samples" in said
