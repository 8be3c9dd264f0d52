"""Hugging Face data sets of molecules and graphs."""

import numpy as np
import pytest

from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.records import Unreadable
from unveil.errors import Unusable

datasets = pytest.importorskip("datasets")


def saved(path, **splits):
    held = {name: datasets.Dataset.from_dict(rows) for name, rows in splits.items()}
    datasets.DatasetDict(held).save_to_disk(path)
    return path


def rows(**other):
    return {"edge_index": [[[0, 1, 1, 2], [1, 0, 2, 1]], [[], []], [[0, 5], [1, 0]], [[0, 1], [1, 0]]],
            "node_feat": [[[1, 2], [3, 4], [5, 6]], [[1, 1]], [[1, 1], [2, 2]], [[7, 8], [9, 9]]], "y": [[0], [1], [0], [1]],
            "num_nodes": [3, 1, 2, 2]} | other


def reason(records, i):
    with pytest.raises(Unreadable) as why:
        records.load(i)
    return str(why.value)


def test_rows_of_graphs(tmp_path):
    kind, records = open_records(saved(tmp_path / "a", train=rows(), test=rows(y=[[1], [0], [1], [1]])))
    assert kind == "graph" and list(records.labels) == ["0", "1", "0", "1", "1", "0", "1", "1"] and records.targets is None
    assert list(records.test) == [False] * 4 + [True] * 4 and records.names[5].endswith("a test[1]")
    np.testing.assert_array_equal(records.load(0).values, [[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(records.load(0).edges, [[0, 1, 1, 2], [1, 0, 2, 1]])
    assert records.load(1).edges.shape == (2, 0) and records.load(7).values.dtype == np.float32
    assert reason(records, 2) == "its edge_index speaks of a node that is not among its 2"


def test_numbers_to_predict_and_what_edges_carry(tmp_path):
    carried = [[[0.5], [0.5], [2], [2]], [], [[1], [1]], [[1]]]
    kind, records = open_records(saved(tmp_path / "a", rows=rows(y=[[0.5], [1], [2], None], edge_attr=carried)))
    assert kind == "graph" and records.labels is None and records.test is None
    np.testing.assert_array_equal(records.targets, [0.5, 1, 2, np.nan])
    np.testing.assert_array_equal(records.load(0).edge_values[:, 0], np.float32([0.5, 0.5, 2, 2]))
    assert reason(records, 1) == "has no edges, so nobody knows how many numbers an edge carries"
    assert reason(records, 3) == "has 2 edges and 1 rows of edge_attr"
    whole = open_records(saved(tmp_path / "b", rows=rows()), Options(targets="y"))[1]
    assert list(whole.targets) == [0, 1, 0, 1] and whole.labels is None
    assert open_records(tmp_path / "a", Options(groups="degree"))[1].groups is None
    for options in (dict(groups="num_nodes"), dict(labels="fold"), dict(targets="gap")):
        with pytest.raises(Unusable, match="holds graphs with the columns edge_index, node_feat"):
            open_records(tmp_path / "a", Options(**options))


def test_graphs_that_say_their_size_alone(tmp_path):
    held = {"edge_index": [[[0, 1], [1, 0]], [[], []]], "num_nodes": [2, 0]}
    records = open_records(saved(tmp_path / "a", rows=held))[1]
    assert records.load(0).values.shape == (2, 0) and records.labels is None and reason(records, 1) == "has no nodes"


def test_rows_of_smiles(tmp_path):
    pytest.importorskip("rdkit")
    part = {"SMILES": ["CCO", "c1ccccc1", None, "xx"], "expt": [1.5, None, 2.0, 3.0], "label": [0, 1, 1, 0]}
    path = saved(tmp_path / "a", train=part)
    kind, records = open_records(path, Options(targets="expt"))
    assert kind == "graph" and records.layout == "graph" and list(records.labels) == ["0", "1", "1", "0"]
    assert list(records.groups) == ["CCO", "c1ccccc1", "", ""] and records.names[1].endswith("a train[1]")
    np.testing.assert_array_equal(records.targets, [1.5, np.nan, 2, 3])
    assert len(records.load(1)) == 6 and reason(records, 2) == "is empty: there is no SMILES"
    assert open_records(path, Options(kind="atoms"))[1].layout == "atoms"
    with pytest.raises(Unusable, match="holds graph or atoms, not image"):
        open_records(path, Options(kind="image"))
