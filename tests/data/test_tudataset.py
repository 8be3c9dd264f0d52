"""Sets of graphs in text files: what is read, and what is said of files that do not go together."""

import numpy as np
import pytest

from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.readers import tudataset
from unveil.data.records import Unreadable
from unveil.errors import Unusable

# A triangle, a path of two, and a node alone; the nodes of the first two are interleaved.
FILES = {"A": "1, 3\n3, 1\n3, 5\n5, 3\n1, 5\n5, 1\n2, 4\n4, 2\n", "graph_indicator": "1\n2\n1\n2\n1\n3\n", "graph_labels": "1\n-1\n1\n",
         "node_labels": "0\n0\n4\n2\n0\n2\n", "node_attributes": "1, 2.5\n2, 0\n3, 1e-3\n4, 0\n5, 0\n6, 0\n",
         "edge_labels": "0\n0\n1\n1\n0\n0\n1\n1\n"}


def write(folder, name="SET", without=(), **files):
    folder.mkdir(parents=True, exist_ok=True)
    for what, content in {**FILES, **files}.items():
        if what not in without:
            (folder / f"{name}_{what}.txt").write_text(content)
    return folder


def read(path, **options):
    return tudataset.read(path, Options(**options))


def test_graphs_nodes_and_edges(tmp_path):
    kind, records = open_records(write(tmp_path / "SET"))
    assert kind == "graph" and records.layout == "graph" and len(records) == 3 and not records.notes
    assert records.names == ["SET graph 1", "SET graph 2", "SET graph 3"] and list(records.labels) == ["1", "-1", "1"]
    assert records.channels == ["node label 0", "node label 2", "node label 4", "node attribute 1", "node attribute 2"]
    first, second, third = map(records.load, range(3))
    np.testing.assert_array_equal(first.values, np.float32([[1, 0, 0, 1, 2.5], [0, 0, 1, 3, 1e-3], [1, 0, 0, 5, 0]]))
    np.testing.assert_array_equal(first.edges, [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]])
    np.testing.assert_array_equal(first.edge_values[:, 1], [0, 0, 0, 1, 0, 1])
    np.testing.assert_array_equal(second.edges, [[0, 1], [1, 0]])
    assert third.edges.shape == (2, 0) and third.edge_values.shape == (0, 2) and third.edges.dtype == np.int64


def test_a_set_without_features(tmp_path):
    records = read(write(tmp_path, without=("node_labels", "node_attributes", "edge_labels", "graph_labels")))
    assert records.load(0).values.shape == (3, 0) and records.load(0).edge_values is None and records.labels is None


def test_folders_of_other_programs_and_single_files(tmp_path):
    write(tmp_path / "SET" / "raw")
    for path in (tmp_path, tmp_path / "SET", tmp_path / "SET" / "raw" / "SET_A.txt", tmp_path / "SET/raw/SET_graph_indicator.txt"):
        assert tudataset.detect(path) == "the TU set SET" and len(read(path)) == 3
    (tmp_path / "notes.txt").write_text("x")
    assert tudataset.detect(tmp_path / "notes.txt") is None
    write(tmp_path / "OTHER", "OTHER")
    with pytest.raises(Unusable, match="holds 2 TU sets; name the folder of one, such as "):
        read(tmp_path)


def test_numbers_to_predict(tmp_path):
    records = read(write(tmp_path, graph_attributes="0.5, 1\n-2, 2\n3, 3\n"), targets="2")
    assert list(records.targets) == [1, 2, 3] and not records.notes
    first = read(tmp_path)
    assert list(first.targets) == [0.5, -2, 3]
    assert first.notes == ["SET_graph_attributes.txt has 2 columns, the first is taken; choose with --targets 1 to 2"]
    with pytest.raises(Unusable, match="has no column 'gap'; its columns are the numbers 1 to 2: give --targets 1"):
        read(tmp_path, targets="gap")
    measured = read(write(tmp_path / "m", graph_labels="0.5\n1.25\n-3\n"))
    assert measured.labels is None and list(measured.targets) == [0.5, 1.25, -3] and "taken as numbers to predict" in measured.notes[0]


def test_one_way_loops_and_repeats(tmp_path):
    held = read(write(tmp_path, A="1,3\n5,3\n3,5\n1,1\n1,3\n2,4\n2,4\n4,2\n"))
    np.testing.assert_array_equal(held.load(0).edges, [[0, 1, 1, 2], [1, 0, 2, 1]])
    assert held.load(1).edges.shape == (2, 2)
    assert held.notes == ["1 edges stand there one way alone: they are taken both ways", "1 edges from a node to itself are left out"]


@pytest.mark.parametrize("files, faults", [
    (dict(A="1,3\n3,1\n2,4\n1,2\n"), {0: "SET_A.txt line 4: node 1 and node 2 are not of one graph",
                                      1: "SET_A.txt line 4: node 1 and node 2 are not of one graph"}),
    (dict(A="1,3\n77,2\n3,1\n", without=("edge_labels",)), {1: "SET_A.txt line 2: node 77 and node 2 are not of one graph"}),
    (dict(node_attributes="1\n2\n3\n4\n5\nnan\n"), {2: "SET_node_attributes.txt line 6 holds a value that is not finite"}),
    (dict(edge_attributes="1\n2\n3\n4\n5\n6\n1e99\n1\n"), {1: "SET_edge_attributes.txt line 7 holds a value that is not finite"}),
    (dict(graph_labels="1\n1\n1\n1\n"), {3: "has no nodes"}),
])
def test_a_graph_that_is_wrong_is_set_aside_alone(tmp_path, files, faults):
    if "A" in files and "without" not in files:
        files["edge_labels"] = "0\n" * files["A"].count("\n")
    records = read(write(tmp_path, **files))
    for number in range(len(records)):
        if number not in faults:
            records.load(number)
            continue
        with pytest.raises(Unreadable) as why:
            records.load(number)
        assert str(why.value) == faults[number]


@pytest.mark.parametrize("files, words", [
    (dict(A="1, 3\n3, x\n"), r"SET_A\.txt line 2: 'x' is no whole number"),
    (dict(A="1, 3\n\n3, 1.5\n"), r"SET_A\.txt line 3: '1\.5' is no whole number"),
    (dict(A="1, 3\n3\n"), r"SET_A\.txt line 2 has 1 values, the lines before have 2"),
    (dict(A="1\n3\n"), r"SET_A\.txt has 1 numbers a line; there must be 2"),
    (dict(A="1,3\n70,80\n"), r"SET_A\.txt line 2: the nodes 70 and 80 are not among the 6 of SET_graph_indicator"),
    (dict(A=""), r"SET_A\.txt is empty"), (dict(A="\n \n"), r"SET_A\.txt is empty"),
    (dict(without=("A",)), r"SET_A\.txt is missing"),
    (dict(A="99999999999999999999, 1\n"), r"SET_A\.txt line 1: '99999999999999999999' is no whole number"),
    (dict(graph_indicator="1\n2\n1\n2\n1\n9\n"), r"SET_graph_indicator\.txt line 6: there is no graph 9; graphs count from 1 to 3"),
    (dict(graph_indicator="0\n2\n1\n2\n1\n3\n"), r"line 1: there is no graph 0"),
    (dict(node_labels="1\n2\n"), r"SET_node_labels\.txt has 2 lines, SET_graph_indicator\.txt has 6"),
    (dict(edge_labels="1\n2\n"), r"SET_edge_labels\.txt has 2 lines, SET_A\.txt has 8"),
    (dict(graph_attributes="1\n2\n"), r"SET_graph_attributes\.txt has 2 lines, SET_graph_labels\.txt has 3"),
    (dict(A="1,2\n3,4\n5,6\n", graph_indicator="1\n2\n1\n2\n1\n2\n", graph_labels="1\n1\n", without=("edge_labels",)),
     r"none of the 2 graphs of .*SET can be used; graph 1: SET_A"),
])
def test_files_that_do_not_go_together_are_named(tmp_path, files, words):
    with pytest.raises(Unusable, match=words):
        read(write(tmp_path, **files))


def test_labels_without_end_are_refused(tmp_path):
    count = 2000
    with pytest.raises(Unusable, match="has 2000 different labels, more than 1000: numbers that measure something belong into "):
        read(write(tmp_path, A="1,2\n2,1\n", graph_indicator="1\n" * count, node_labels="".join(f"{i}\n" for i in range(count)),
                   graph_labels="1\n", without=("edge_labels", "node_attributes")))


def test_groups_and_folders_are_not_there(tmp_path):
    for options in (dict(groups="subject"), dict(labels="folders")):
        with pytest.raises(Unusable, match="says nothing of groups or folders"):
            read(write(tmp_path), **options)
    assert read(write(tmp_path), kind="graph", groups="degree").groups is None, "the kind makes them of its samples"
