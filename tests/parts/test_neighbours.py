"""The radius graph is ASE's, whatever the cell, and a system's edges are the same alone and in any batch."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from unveil.parts import neighbours
from unveil.parts.neighbours import radius_graph
from unveil.tokens import Graph

SYSTEMS = 100


def packed(systems: list[tuple[np.ndarray, np.ndarray | None]], dtype=torch.float64) -> tuple[torch.Tensor, Graph]:
    """Places and the graph of systems ``(places, cell)``."""
    sizes = torch.tensor([len(places) for places, _ in systems])
    cell = torch.stack([torch.zeros(3, 3, dtype=dtype) if c is None else torch.as_tensor(c, dtype=dtype) for _, c in systems])
    where = torch.cat([torch.as_tensor(places, dtype=dtype) for places, _ in systems])
    graph = Graph(torch.repeat_interleave(sizes), len(sizes), int(sizes.max()), cell=cell if bool(cell.any()) else None)
    return where, graph


def drawn(seed: int, kind: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """A random system: places, cell with zeros along open axes, and which axes repeat. Cells are skew, and narrower or wider than the
    radius; rows lie in and outside."""
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 40))
    part = random.permutation([True, random.random() < 0.5, False])
    periodic = {"open": np.zeros(3, bool), "whole": np.ones(3, bool), "part": part}[kind]
    while True:
        cell = random.normal(size=(3, 3)) * random.uniform(1.5, 6)
        if abs(np.linalg.det(cell)) > 0.15 * np.prod(np.linalg.norm(cell, axis=1)):
            break
    places = random.uniform(-0.7, 1.7, (size, 3)) @ cell
    return places, np.where(periodic[:, None], cell, 0), periodic


def by_ase(places: np.ndarray, cell: np.ndarray, periodic: np.ndarray, cutoff: float) -> np.ndarray:
    ase = pytest.importorskip("ase")
    from ase.neighborlist import neighbor_list
    whole = ase.Atoms(numbers=np.ones(len(places)), positions=places, cell=cell, pbc=periodic)
    to, come, vector = neighbor_list("ijD", whole, cutoff)
    return rows(to, come, vector)


def rows(to, come, vector) -> np.ndarray:
    """Edges in an order of their own, for comparison."""
    table = np.column_stack([to, come, np.round(vector, 6) + 0.0])
    return table[np.lexsort(table.T[::-1])]


@pytest.mark.parametrize("kind", ["open", "whole", "part"])
@pytest.mark.parametrize("small", [0, 96])
def test_edges_are_those_of_ase(kind, small, monkeypatch):
    monkeypatch.setattr(neighbours, "SMALL", small)
    met = 0
    for seed in range(SYSTEMS):
        places, cell, periodic = drawn(seed, kind)
        cutoff = float(np.random.default_rng(seed).uniform(1.0, 4.5))
        edges, vectors = radius_graph(*packed([(places, cell)]), cutoff)
        want = by_ase(places, cell, periodic, cutoff)
        assert edges.shape[1] == len(want), (seed, kind)
        assert np.allclose(rows(edges[1], edges[0], vectors.numpy()), want, atol=2e-6), (seed, kind)
        met += len(want)
    assert met > 20 * SYSTEMS


def test_a_narrow_cell_has_edges_to_its_own_images():
    where, graph = packed([(np.zeros((1, 3)), np.eye(3))])
    edges, vectors = radius_graph(where, graph, 2.1)
    points = torch.cartesian_prod(*[torch.arange(-2.0, 3)] * 3).double()
    want = points[(points.norm(dim=1) < 2.1) & points.any(1)]
    assert not edges.any() and edges.shape[1] == len(want) == 32
    assert torch.equal(vectors[vectors.norm(dim=1).argsort(stable=True)].norm(dim=1), want.norm(dim=1).sort().values)


@pytest.mark.parametrize("crystal", ["NaCl", "Cu", "Fe", "C", "Mg", "slab", "chain"])
def test_crystals_have_their_shells(crystal):
    pytest.importorskip("ase")
    from ase.build import bulk, fcc111
    made = {"NaCl": lambda: bulk("NaCl", "rocksalt", a=5.64), "Cu": lambda: bulk("Cu", "fcc", a=3.6),
            "Fe": lambda: bulk("Fe", "bcc", a=2.87), "C": lambda: bulk("C", "diamond", a=3.57),
            "Mg": lambda: bulk("Mg", "hcp", a=3.21, c=5.21), "slab": lambda: fcc111("Cu", (1, 1, 3), a=3.6),
            "chain": lambda: bulk("Cu", "fcc", a=3.6)}[crystal]()
    if crystal == "chain":
        made.pbc = [False, True, False]
    cell = np.where(made.pbc[:, None], made.cell.array, 0)
    edges, vectors = radius_graph(*packed([(made.positions, cell)]), 5.0)
    want = by_ase(made.positions, cell, made.pbc, 5.0)
    assert np.allclose(rows(edges[1], edges[0], vectors.numpy()), want, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("most", [None, 5])
def test_alone_is_as_in_a_batch(dtype, most):
    systems = [(places, cell) for kind in ("open", "whole", "part") for places, cell, _ in [drawn(seed, kind) for seed in range(8)]]
    systems.append((np.random.default_rng(0).normal(size=(300, 3)) * 8, None))
    systems.append((np.zeros((1, 3)), None))
    where, graph = packed(systems, dtype)
    edges, vectors = radius_graph(where, graph, 4.0, most)
    start = 0
    for number, (places, _) in enumerate(systems):
        mine = graph.sample[edges[1]] == number
        alone, along = radius_graph(where[start:start + len(places)], graph.one(number), 4.0, most)
        assert torch.equal(alone, edges[:, mine] - start) and torch.equal(along, vectors[mine]), number
        start += len(places)


def test_an_open_system_beside_a_large_one_is_the_same():
    small, large = drawn(3, "open")[0], np.random.default_rng(1).normal(size=(200, 3)) * 6
    where, graph = packed([(small, None)], torch.float32)
    alone = radius_graph(where, graph, 3.0)
    where, graph = packed([(small, None), (large, None)], torch.float32)
    edges, vectors = radius_graph(where, graph, 3.0)
    mine = graph.sample[edges[1]] == 0
    assert torch.equal(alone[0], edges[:, mine]) and torch.equal(alone[1], vectors[mine])


def test_only_the_nearest_are_kept():
    where, graph = packed([(np.random.default_rng(0).normal(size=(60, 3)), None)])
    edges, vectors = radius_graph(where, graph, 3.0, most=7)
    whole = (where[:, None] - where).norm(dim=-1).fill_diagonal_(9)
    assert torch.equal(torch.bincount(edges[1]), (whole < 3).sum(1).clamp_max(7))
    for row in range(60):
        near = vectors[edges[1] == row].norm(dim=1).sort().values
        assert torch.allclose(near, whole[row].sort().values[:len(near)])


def test_equally_near_neighbours_are_chosen_by_their_order():
    corners = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], float)
    edges, _ = radius_graph(*packed([(corners, None)]), 1.2, most=2)
    assert edges[:, edges[1] == 0].tolist() == [[1, 2], [0, 0]]


def test_rows_that_were_taken_away_have_no_edges():
    for kind in ("open", "whole"):
        where, graph = packed([drawn(5, kind)[:2], drawn(6, kind)[:2]])
        valid = torch.arange(len(where)) % 3 > 0
        edges, vectors = radius_graph(where, graph, 4.0, valid=valid)
        every, all_vectors = radius_graph(where, graph, 4.0)
        kept = valid[every].all(0)
        assert torch.equal(edges, every[:, kept]) and torch.equal(vectors, all_vectors[kept]) and 0 < edges.shape[1] < every.shape[1]


@pytest.mark.parametrize("kind", ["open", "whole", "part"])
def test_gradient_flows_to_places_and_cell(kind):
    places, cell, _ = drawn(7, kind)
    where, graph = packed([(places[:8], cell)])
    where.requires_grad_(True)
    inputs, shape = [where], None if graph.cell is None else graph.cell
    if shape is not None:
        inputs.append(torch.ones(1, 3, 1, dtype=torch.float64, requires_grad=True))  # stretches the axes that repeat; open ones stay 0

    def squares(where, *stretch):
        graph.cell = shape * stretch[0] if stretch else None
        return radius_graph(where, graph, 3.0)[1].square().sum()

    assert 4 < radius_graph(where, graph, 3.0)[0].shape[1] < 400
    assert torch.autograd.gradcheck(squares, inputs)


def test_edges_turn_and_move_with_the_system():
    places, cell, _ = drawn(11, "part")
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    edges, vectors = radius_graph(*packed([(places, cell)]), 4.0)
    again, turned = radius_graph(*packed([(places @ turn + 50.0, cell @ turn)]), 4.0)
    assert torch.equal(edges, again) and torch.allclose(vectors @ torch.as_tensor(turn), turned, atol=1e-9)


def test_nothing_gives_nothing():
    where, graph = torch.zeros(0, 3), Graph(torch.zeros(0, dtype=torch.long), 2, 0)
    edges, vectors = radius_graph(where, graph, 4.0)
    assert edges.shape == (2, 0) and vectors.shape == (0, 3)
    where, graph = torch.tensor([[0.0, 0, 0], [1e6, 0, 0]]), Graph(torch.tensor([0, 1]), 2, 1)
    assert radius_graph(where, graph, 4.0)[0].shape == (2, 0)


def test_many_small_systems_take_no_loop():
    random = np.random.default_rng(0)
    counts = []
    from unveil.testing.ops import watched
    for count in (50, 100):
        where, graph = packed([(random.normal(size=(20, 3)) * 3, None) for _ in range(count)], torch.float32)
        counts.append(watched(lambda where=where, graph=graph: radius_graph(where, graph, 5.0)))
    assert counts[0][0] == counts[1][0]
    assert len(counts[0][1]) == 1, "open molecules wait once"


def test_cost_grows_with_the_atoms():
    random, seconds = np.random.default_rng(0), []
    for count in (4000, 16000):
        side = (count / 0.05) ** (1 / 3)
        where, graph = packed([(random.uniform(0, side, (count, 3)), None)], torch.float32)
        began = time.process_time()
        edges, _ = radius_graph(where, graph, 4.0)
        seconds.append(time.process_time() - began)
        assert 8 * count < edges.shape[1] < 15 * count
    assert seconds[1] < 10 * seconds[0], f"four times the atoms, sixteen times the pairs: {seconds}"
