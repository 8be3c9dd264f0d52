"""Networks out of files: features of what nodes and edges carry, and what is said of each file that is wrong."""

import json

import numpy as np
import pytest

from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.records import Unreadable
from unveil.errors import Unusable

networkx = pytest.importorskip("networkx")


def opened(path, **options):
    kind, records = open_records(path, Options(**options))
    assert kind == "graph" and records.layout == "graph"
    return records


def reason(records, i):
    with pytest.raises(Unreadable) as why:
        records.load(i)
    return str(why.value)


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def made(number=0):
    graph = networkx.Graph(kind="ring" if number % 2 else "path", score=number / 2)
    graph.add_node("a", mass=1.5, sort="x")
    graph.add_node("b", mass=2, sort="y")
    graph.add_node("c", mass=-3.25, sort="x")
    graph.add_edge("a", "b", weight=0.5)
    graph.add_edge("b", "c", weight=2.0)
    if number % 2:
        graph.add_edge("c", "a", weight=1.0)
    return graph


def save(graph, file):
    if file.suffix == ".graphml":
        networkx.write_graphml(graph, file)
    elif file.suffix == ".gml":
        networkx.write_gml(graph, file)
    else:
        file.write_text(json.dumps(networkx.node_link_data(graph, edges="links")))


@pytest.mark.parametrize("ending", ["graphml", "gml", "json"])
def test_what_nodes_and_edges_carry(tmp_path, ending):
    for number in range(3):
        save(made(number), tmp_path / f"{number}.{ending}")
    records = opened(tmp_path, labels="kind", targets="score")
    assert len(records) == 3 and list(records.labels) == ["path", "ring", "path"] and list(records.targets) == [0, 0.5, 1]
    assert records.channels == ["mass", "sort x", "sort y"] and not records.notes
    ring = records.load(1)
    np.testing.assert_array_equal(ring.values, np.float32([[1.5, 1, 0], [2, 0, 1], [-3.25, 1, 0]]))
    np.testing.assert_array_equal(ring.edges, [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]])
    np.testing.assert_array_equal(ring.edge_values[:, 0], np.float32([0.5, 1, 0.5, 2, 1, 2]))
    assert opened(tmp_path / f"0.{ending}").load(0).edges.shape == (2, 4)


def test_lists_of_edges(tmp_path):
    write(tmp_path / "a.edges", "# a comment\nann bob\nbob,cid % and another\n\nann bob\ncid cid\nbob ann\n")
    networkx.write_edgelist(networkx.path_graph(4), tmp_path / "b.edgelist")
    records = opened(tmp_path)
    assert records.load(0).values.shape == (3, 0) and records.load(0).edge_values is None
    np.testing.assert_array_equal(records.load(0).edges, [[0, 1, 1, 2], [1, 0, 2, 1]])
    assert len(records.load(1)) == 4 and records.load(1).edges.shape == (2, 6)
    weighted = opened(write(tmp_path / "w" / "c.edges", "1 2 0.5\n2 3 1e1\n"))
    np.testing.assert_array_equal(weighted.load(0).edge_values[:, 0], np.float32([0.5, 0.5, 10, 10]))


def test_labels_of_folders_and_of_a_file_beside(tmp_path):
    for number in range(4):
        file = tmp_path / ("even", "odd")[number % 2] / f"{number}.gml"
        file.parent.mkdir(exist_ok=True)
        save(made(number), file)
    write(tmp_path / "y.csv", "name,label\n0.gml,p\n")
    assert list(opened(tmp_path, labels="folders").labels) == ["even", "even", "odd", "odd"]
    assert opened(tmp_path, labels=str(tmp_path / "y.csv")).labels is None


def test_a_list_of_graphs_in_one_file_and_ids_by_place(tmp_path):
    graphs = [{"nodes": [{"f": 1}, {"f": 2}], "links": [{"source": 0, "target": 1}], "graph": {"y": "p"}}] * 2
    records = opened(write(tmp_path / "a.json", json.dumps(graphs)), labels="y")
    assert len(records) == 2 and records.names[1].endswith("a.json graph 2") and list(records.labels) == ["p", "p"]
    assert records.load(1).values.tolist() == [[1], [2]]


def test_what_few_carry_is_no_feature_and_what_one_lacks_sets_it_aside(tmp_path):
    for number in range(4):
        graph = made(number)
        if number == 0:
            graph.nodes["a"]["rare"] = 1.0
        if number == 3:
            del graph.nodes["b"]["mass"]
        save(graph, tmp_path / f"{number}.json")
    records = opened(tmp_path)
    assert records.channels == ["mass", "sort x", "sort y"]
    assert records.notes == ["'rare' is not carried by every node of most graphs: it is no feature"]
    assert reason(records, 3) == "node 2 has no number 'mass', which most graphs have"


def test_names_are_no_features(tmp_path):
    graph = networkx.Graph()
    graph.add_nodes_from((i, {"who": f"person {i}"}) for i in range(70))
    save(graph, tmp_path / "a.json")
    records = opened(tmp_path)
    assert records.load(0).values.shape == (70, 0)
    assert records.notes == ["'who' of a node has 70 different words, more than 64: it is no feature"]


BOMB = ('<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "' + "a" * 1000 + '">'
        + "".join(f'<!ENTITY a{i} "{"&a" * 1}{"" if i == 0 else i - 1};{"&a;" * 9}">' for i in range(9)) + "]>"
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected"><node id="&a8;"/></graph></graphml>')


@pytest.mark.parametrize("name, content, words", [
    ("a.graphml", BOMB, "declares a document type, which GraphML does not need and which is not read"),
    ("a.graphml", BOMB.encode("utf-16"), "declares a document type"),
    ("a.graphml", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><graphml/>', "declares a document type"),
    ("a.graphml", "<graphml>", "line 1: no element found"), ("a.graphml", "<html/>", "is no GraphML that can be read"),
    ("a.gml", "graph [" * 200, "has more than 100 brackets inside one another"), ("a.gml", "graph [ node", "is no GML that can be read"),
    ("a.gml", "graph [\n]", "has no nodes"),
    ("a.edges", "a b\na b c d\n", "line 2 has 4 words; an edge has two names and perhaps a weight"),
    ("a.edges", "a b\na b 2\n", "line 2: some edges have a weight and others none"), ("a.edges", "a b x\n", "line 1: 'x' is no weight"),
    ("a.edges", "", "is empty"), ("a.edges", "# nothing\n", "has no nodes"), ("a.edges", "a b inf\n", "edge 1: its 'weight' is not finite"),
    ("a.json", '{"nodes": [' + "[" * 100_000, "is no JSON that can be read"),
    ("a.json", '{"nodes": 3}', "holds no graph in node-link form"),
    ("a.json", '{"nodes": [{"id": 1}, {"id": 1}], "links": []}', "has two nodes of the same id"),
    ("a.json", '{"nodes": [{"id": 1}]}', "has nodes, but no list of links between them"),
    ("a.json", '{"nodes": [1], "links": []}', "has nodes, but no list of links between them"),
    ("a.json", '{"nodes": [{"id": 1}], "links": [{"source": 1, "target": 2}]}', "link 1: its target is no node"),
    ("a.json", '{"nodes": [{"id": 1, "x": 1e999}], "links": []}', "node 1: its 'x' is not finite"),
])
def test_what_is_wrong_is_said(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        assert words in reason(opened(tmp_path / name), 0)
    except Unusable as why:
        assert words in str(why) and "none of the 1 files of networks" in str(why)


def test_json_of_other_sorts_is_none_of_networks(tmp_path):
    write(tmp_path / "a.json", '{"name": "x"}')
    with pytest.raises(Unusable, match="nothing in"):
        opened(tmp_path)
    write(tmp_path / "dataset_info.json", '{"features": {"nodes": 1}}')
    with pytest.raises(Unusable, match="nothing in"):
        opened(tmp_path / "dataset_info.json")
