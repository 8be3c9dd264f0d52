"""Coarser graphs: against a plain reference, one graph at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unveil.data.packed import Structure
from unveil.kinds.graph.coarsen import (
    ALIKE,
    DAMPING,
    FEW,
    SWEEPS,
    VECTORS,
    _key,
    _matched,
    _pairs,
    differences,
    hierarchy,
    merged,
    partitions,
    returns,
    shares,
    smoothed,
)
from unveil.randomness import Generator


def random_graph(seed: int, size: int | None = None, chords: int = 4, torn: float = 0.0) -> Structure:
    """A tree with chords, some of whose edges are missing."""
    draw = np.random.default_rng(seed)
    size = int(draw.integers(1, 40)) if size is None else size
    pairs = [(int(draw.integers(0, i)), i) for i in range(1, size) if draw.random() >= torn]
    pairs += [tuple(draw.integers(0, size, 2).tolist()) for _ in range(chords)]
    pairs = sorted({(min(p), max(p)) for p in pairs if p[0] != p[1]})
    edges = np.array([*pairs, *((b, a) for a, b in pairs)], np.int64).reshape(-1, 2).T
    return Structure(draw.normal(size=(size, 2)).astype(np.float32), edges)


GRAPHS = [random_graph(seed, torn=0.3 * (seed % 2)) for seed in range(60)]


def plain(graph: Structure, ratio: float) -> list[int]:
    """Groups as the method is written down: dictionaries, one graph, one edge at a time."""
    size = len(graph)
    around = {node: {} for node in range(size)}
    for a, b in graph.edges.T.tolist():
        around[a][b] = 1.0
    member = {node: [node] for node in range(size)}
    target, left, draws = int(np.ceil((1 - ratio) * size - 1e-9)), size, Generator("coarsening")
    while left > target:
        x = draws.normal(VECTORS, keys=torch.arange(size) + _key(size, graph.edges)).double().numpy() / left**0.5
        for _ in range(SWEEPS):
            mean = {a: sum(w * x[b] for b, w in near.items()) / sum(near.values()) for a, near in around.items() if near}
            x = np.stack([DAMPING * x[a] + (1 - DAMPING) * mean.get(a, 0 * x[a]) for a in range(size)])
        proximity = sorted((max(float(((x[a] - x[b]) ** 2).max()), ALIKE), a, b) for a in around for b in around[a] if a < b)
        free, pairs = set(around), []
        for _, a, b in proximity:
            if left - len(pairs) > target and a in free and b in free:
                free -= {a, b}
                pairs.append((a, b))
        if len(pairs) <= FEW:
            break
        for a, b in pairs:
            member[a] += member.pop(b)
            for node, weight in around.pop(b).items():
                around[node].pop(b)
                if node != a:
                    around[a][node] = around[node][a] = around[a].get(node, 0) + weight
        left -= len(pairs)
    first = sorted((min(nodes), nodes) for nodes in member.values())
    group = [0] * size
    for number, (_, nodes) in enumerate(first):
        for node in nodes:
            group[node] = number
    return group


def groups(graphs: list[Structure], ratio: float) -> list[np.ndarray]:
    return partitions([len(g) for g in graphs], [g.edges for g in graphs], [_key(len(g), g.edges) for g in graphs], ratio)


@pytest.mark.parametrize("ratio", [0.1, 0.4, 0.7, 1.0])
def test_groups_are_those_of_the_plain_reference(ratio):
    found = groups(GRAPHS, ratio)
    for graph, group in zip(GRAPHS, found, strict=True):
        assert group.tolist() == plain(graph, ratio)
    assert sum(group.max() + 1 < len(group) for group in found) > 20, "hardly anything merged, so little was compared"


def test_groups_are_connected_numbered_in_order_and_as_many_as_asked():
    met = 0
    for graph, group in zip(GRAPHS, groups(GRAPHS, 0.4), strict=True):
        target, many = int(np.ceil(0.6 * len(graph) - 1e-9)), int(group.max()) + 1
        assert target <= many <= len(graph) and sorted(set(group.tolist())) == list(range(many))
        assert np.all(np.diff([int(np.argmax(group == number)) for number in range(many)]) > 0)
        for number in range(many):
            nodes, reached = set(np.flatnonzero(group == number).tolist()), {int(np.argmax(group == number))}
            for _ in nodes:
                reached |= {b for a, b in graph.edges.T.tolist() if a in reached and b in nodes}
            assert reached == nodes, "a group does not hang together"
        met += many == target
    assert met > len(GRAPHS) / 2


def test_graphs_too_small_for_three_merges_stay_as_they_are():
    for size in range(1, 8):
        graph = random_graph(size, size, chords=0)
        assert groups([graph], 0.4)[0].tolist() == list(range(size))
    assert groups([random_graph(8, 8, chords=0)], 0.4)[0].max() <= 7


def test_where_a_graph_stands_in_its_set_says_nothing():
    order = np.random.default_rng(0).permutation(len(GRAPHS))
    one, other = hierarchy(GRAPHS, 3, 0.4, 5), hierarchy([GRAPHS[i] for i in order], 3, 0.4, 5)
    for place, i in enumerate(order):
        for a, b in ((one[i], other[place]), (one[i].coarser, other[place].coarser)):
            assert np.array_equal(a.parent, b.parent) and np.array_equal(a.coarser.edges, b.coarser.edges)
        assert np.array_equal(one[i].coarser.coarser.code, other[place].coarser.coarser.code)


def test_names_of_nodes_say_nothing_where_vectors_go_with_them():
    """Random vectors belong to nodes by number; given equal ones, scores and merges of distinct scores are those of the same nodes."""
    without_ties = 0
    for seed in range(40):
        graph = random_graph(seed, 25, chords=8)
        draw = np.random.default_rng(seed)
        x, name = draw.normal(size=(25, VECTORS)), draw.permutation(25)
        renamed = np.empty_like(x)
        renamed[name] = x
        found = []
        for edges, vectors, back in ((graph.edges, x, np.arange(25)), (name[graph.edges], renamed, np.argsort(name))):
            low, high, weight = _pairs(edges, 25)
            score = differences(smoothed(vectors, low, high, weight), low, high)
            distinct = len(np.unique(score.round(9))) == len(score)
            at = _matched(low, high, score, np.zeros(25, np.int64), np.array([10]))
            found.append({frozenset((int(back[low[i]]), int(back[high[i]]))) for i in at})
        assert not distinct or found[0] == found[1]
        without_ties += distinct
    assert without_ties > 10


def test_edges_between_groups():
    edges = np.array([[0, 1, 1, 2, 2, 3, 0, 3], [1, 0, 2, 1, 3, 2, 3, 0]])
    assert merged(edges, np.array([0, 0, 1, 1])).tolist() == [[0, 1], [1, 0]]
    assert merged(edges, np.array([0, 0, 0, 0])).shape == (2, 0)


@pytest.mark.parametrize("room", [4_000_000, 50])
def test_return_probabilities_are_diagonals_of_powers(room, monkeypatch):
    monkeypatch.setattr("unveil.kinds.graph.coarsen.ROOM", room)
    found = returns([len(g) for g in GRAPHS], [g.edges for g in GRAPHS], 7)
    for graph, code in zip(GRAPHS, found, strict=True):
        step = np.zeros((len(graph), len(graph)))
        step[tuple(graph.edges)] = 1
        step = step / step.sum(1, keepdims=True).clip(1)
        wanted = np.stack([np.diag(np.linalg.matrix_power(step, k)) for k in range(1, 8)], 1)
        np.testing.assert_allclose(code, wanted, atol=1e-6)
        assert code.dtype == np.float32


def test_parts_that_are_smoothed_apart_are_the_same(monkeypatch):
    whole = hierarchy(GRAPHS, 2, 0.4, 3)
    monkeypatch.setattr("unveil.kinds.graph.coarsen.PART", 50)
    for a, b in zip(whole, hierarchy(GRAPHS, 2, 0.4, 3), strict=True):
        assert np.array_equal(a.parent, b.parent) and np.array_equal(a.coarser.code, b.coarser.code)


def test_nodes_alone_and_graphs_without_edges():
    lone = Structure(np.ones((1, 2), np.float32), np.zeros((2, 0), np.int64))
    apart = Structure(np.ones((12, 2), np.float32), np.zeros((2, 0), np.int64))
    for graph in hierarchy([lone, apart, GRAPHS[5]], 2, 0.4, 4)[:2]:
        assert graph.parent.tolist() == list(range(len(graph))) and graph.coarser.edges.shape == (2, 0) and not graph.coarser.code.any()


def test_share_of_graphs_with_a_real_level():
    graphs = [random_graph(1, 30), random_graph(2, 30), random_graph(3, 4), random_graph(4, 30)]
    assert shares(hierarchy(graphs, 2, 0.4, 2), 2) == [0.75]
