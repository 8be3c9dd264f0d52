"""Graphs: what is set aside, what views and corruptions do, plain features, drawings."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from unveil.api.opening import opened, quiet
from unveil.contracts import Batch
from unveil.data.options import Options
from unveil.data.packed import Structure
from unveil.data.records import Records, Unreadable
from unveil.data.split import split
from unveil.errors import Unusable
from unveil.kinds.graph import Graph
from unveil.kinds.graph.describe import circles
from unveil.kinds.graph.view import edges_there
from unveil.randomness import Generator
from unveil.testing.kinds import check_views

PLAIN = dict(area=(1.0, 1.0), size=1.0, strength=0.0, symmetry=False)


def graph(size: int, pairs: list[tuple[int, int]], channels: int = 3, seed: int = 0, bonds: int = 0) -> Structure:
    draw = np.random.default_rng(seed)
    edges = np.array([*pairs, *((b, a) for a, b in pairs)], np.int64).reshape(-1, 2).T
    more = np.tile(np.eye(bonds, dtype=np.float32)[draw.integers(0, bonds, len(pairs))], (2, 1)) if bonds else None
    return Structure(np.eye(channels, dtype=np.float32)[draw.integers(0, channels, size)] if channels else np.zeros((size, 0), np.float32),
                     edges, more)


def chain(size: int, **facts) -> Structure:
    return graph(size, [(i, i + 1) for i in range(size - 1)], **facts)


def records(*made: Structure | Exception, **known) -> Records:
    def load(i: int) -> Structure:
        if isinstance(made[i], Exception):
            raise made[i]
        return made[i]

    return Records([f"graph {i}" for i in range(len(made))], load, **known)


def batch_of(*made: Structure, **settings) -> tuple[Graph, Batch]:
    kind = Graph(**settings)
    samples = kind.open(records(*made))
    assert not samples.faults
    return kind, samples.batch(torch.arange(len(made)))


def view(kind: Graph, batch: Batch, number: int = 0, **asked) -> Batch:
    return kind.view(batch, 1, **PLAIN | asked, generator=Generator("test", number))[0]


# reading

def test_what_cannot_be_used_is_named_set_aside_and_counted():
    holed, empty, wide = chain(5), Structure(np.zeros((0, 3), np.float32), np.zeros((2, 0), np.int64)), chain(5, channels=4)
    holed.values[2, 1] = np.nan
    outside, below, cloud = chain(5), chain(4), Structure(np.ones((4, 3), np.float32))
    outside.edges[0, 0], below.edges[1, 1] = 5, -1
    short, endless = chain(4, bonds=2), chain(4, bonds=2)
    short.edge_values, endless.edge_values[0, 0] = short.edge_values[:3], np.inf
    made = (chain(3), holed, empty, wide, outside, below, cloud, short, endless, chain(4, bonds=2), Unreadable("is no SMILES"), chain(6),
            graph(1, []), graph(4, [(0, 1)]))
    samples = Graph().open(records(*made, labels=np.array(list("abcdefghijklmn")), test=np.arange(len(made)) > 11,
                                   targets=np.arange(len(made)) / 2, groups=np.array(["x", "y"] * 7)))
    assert samples.faults == {
        "graph 1": "1 of its 5 nodes have features that are not finite; the first is node 2", "graph 2": "has no nodes",
        "graph 3": "its nodes have 4 features, those of the others 3", "graph 4": "an edge names node 5; its 5 nodes are numbered from 0",
        "graph 5": "an edge names node -1; its 4 nodes are numbered from 0",
        "graph 6": "has no edges, only points: its kind may be atoms", "graph 7": "has 6 edges, but features of 3",
        "graph 8": "1 of its 6 edges have features that are not finite", "graph 9": "its edges have 2 features, those of the others 0",
        "graph 10": "is no SMILES"}
    assert len(samples) == 4 and [samples.name(i) for i in range(4)] == ["graph 0", "graph 11", "graph 12", "graph 13"]
    assert [samples.classes[i] for i in samples.labels] == list("almn") and samples.test.tolist() == [False, False, True, True]
    assert samples.targets.tolist() == [0, 5.5, 6, 6.5] and [samples.group_names[i] for i in samples.groups] == ["x", "y", "x", "y"]
    assert samples.fetch.sizes.tolist() == [3, 6, 1, 4], "a node without edges is legal"


def test_nothing_usable_is_one_sentence():
    with pytest.raises(Unusable, match=r"none of the 2 graphs can be used\. graph 0: has no nodes"):
        Graph().open(records(Structure(np.zeros((0, 3), np.float32), np.zeros((2, 0), np.int64)), Unreadable("is no SMILES")))
    with pytest.raises(Unusable, match="there are no graphs"):
        Graph().open(records())
    with pytest.raises(Unusable, match="not graphs but arrays of 3x4 values: choose another --kind"):
        Graph().open(Records(["a"], lambda i: np.zeros((3, 4))))


def test_nodes_without_features_are_told_apart_by_their_degree():
    star = graph(6, [(0, i) for i in range(1, 6)], channels=0)
    samples = Graph(degrees=3).open(records(star, graph(2, [], channels=0)))
    values = samples.batch(torch.tensor([0, 1])).values
    assert values.argmax(1).tolist() == [3, 1, 1, 1, 1, 1, 0, 0] and values.shape == (8, 4) and (values.sum(1) == 1).all()
    again = Graph(**Graph(degrees=3).fixed(samples)).open(records(graph(2, [(0, 1)], channels=0)))
    assert again.channels == 4, "other graphs are read alike"


def test_bins_of_mean_degree_hold_out_the_densest():
    """Chains, circles and full graphs; equal degrees are in one bin, and what a set holds out itself is given up."""
    made = [chain(3 + i) for i in range(20)] + [graph(5, [(k, (k + 1) % 5) for k in range(5)]) for _ in range(10)]
    made += [graph(size, [(a, b) for a in range(size) for b in range(a)]) for size in range(4, 10)]
    samples = opened(Graph(), records(*made, test=np.arange(36) % 2 == 0), Options(kind="graph", groups="degree"), quiet)
    mean = np.array([structure.edges.shape[1] / len(structure) for structure in made])
    assert (np.diff(samples.groups[np.argsort(mean)]) >= 0).all(), "greater bins are of greater degree"
    assert len(set(samples.groups[20:30])) == 1 and len(samples.group_names) == samples.groups.max() + 1 > 10
    assert samples.group_names[-1].endswith("to 8 neighbours a node") and samples.test is None and "is given up" in samples.notes[-1]
    parts = split(samples)
    assert parts.name == f"{round(0.25 * len(samples.group_names))} of {len(samples.group_names)} groups of greatest mean degree held out"
    assert mean[parts.train.index].max() < mean[parts.test.index].min() and not np.intersect1d(parts.train.groups, parts.test.groups).size
    assert split(samples, [0, 1]).name == "held-out groups 0,1 by mean degree"
    with pytest.raises(Unusable, match=r"all 2 graphs are in one bin of mean degree, 1\.5 to 1\.5 neighbours a node: leave out --groups"):
        opened(Graph(), records(chain(4), chain(4)), Options(kind="graph", groups="degree"), quiet)


def test_levels_are_offered_and_their_share_is_noted():
    assert Graph().offers == {"edges"} and Graph(levels=2).offers == {"edges", "hierarchy"}
    source = records(*[chain(20, seed=i) for i in range(3)], chain(4), notes=["as it came"])
    samples = Graph(levels=2).open(source)
    assert samples.notes == ["as it came", "75% of the graphs (3 of 4) have a coarser level 1 with at least 3 merges (ratio 0.4)"]
    assert samples.doubts == [samples.notes[1] + ", fewer than 80%"] and samples.subset([0]).doubts == samples.doubts
    assert Graph(levels=2).open(records(*[chain(20, seed=i) for i in range(5)], chain(4))).doubts == []
    assert source.notes == ["as it came"] and samples.spec().code_channels == 10
    batch = samples.batch(torch.arange(4))
    assert torch.equal(batch.graph.coarser.sample[batch.graph.parent], batch.graph.sample)
    assert batch.graph.coarser.code.shape == (len(batch.graph.coarser.sample), 10)


# views

def test_shares_of_nodes_edges_and_features_are_as_asked():
    kind, batch = batch_of(*[chain(40, seed=i) for i in range(200)])
    dropped = view(kind, batch, area=(0.9, 0.9)).there
    assert torch.zeros(200).index_add_(0, batch.graph.sample, dropped.float()).eq(36).all()
    shares = torch.zeros(200).index_add_(0, batch.graph.sample, view(kind, batch, area=(0.2, 0.8)).there.float()) / 40
    assert shares.min() < 0.25 and shares.max() > 0.75 and abs(shares.mean() - 0.5) < 0.04
    strong = view(kind, batch, strength=1.0)
    assert abs(edges_there(strong.graph).float().mean() - 0.9) < 0.01
    assert abs((strong.values != batch.values).any(1).float().mean() - 0.1) < 0.01
    assert strong.valid is None, "no node was to be dropped"
    twice = view(kind, batch, strength=2.0)
    assert abs(edges_there(twice.graph).float().mean() - 0.8) < 0.015


def test_uneven_shares_of_small_graphs_are_kept_on_average():
    kind, batch = batch_of(*[chain(5, seed=i) for i in range(2000)])
    kept = torch.zeros(2000).index_add_(0, batch.graph.sample, view(kind, batch, area=(0.5, 0.5)).there.float())
    assert set(kept.tolist()) == {2.0, 3.0} and abs(kept.mean() - 2.5) < 0.05
    assert view(kind, batch, area=(0.01, 0.01)).there.float().sum() == 2000, "a node of each is always left"


def test_both_directions_of_an_edge_are_dropped_together():
    kind, batch = batch_of(*[chain(30, seed=i, bonds=2) for i in range(50)])
    for asked in (dict(strength=3.0), dict(area=(0.3, 1.0), strength=1.0)):
        seen = view(kind, batch, **asked)
        left = {tuple(edge) for edge in seen.graph.edges[:, edges_there(seen.graph)].T.tolist()}
        assert left and left == {(b, a) for a, b in left}


def tree(seed: int, size: int) -> Structure:
    draw = np.random.default_rng(seed)
    return graph(size, [(int(draw.integers(0, i)), i) for i in range(1, size)], seed=seed)


def pieces(batch: Batch) -> list[int]:
    """Number of connected parts of what is left of each sample."""
    found = []
    for one in (batch.one(i) for i in range(len(batch))):
        nodes = set(one.there.nonzero()[:, 0].tolist())
        edges, count = one.graph.edges[:, edges_there(one.graph)].T.tolist(), 0
        while nodes:
            reached, count = {nodes.pop()}, count + 1
            for _ in range(len(one.values)):
                reached |= {b for a, b in edges if a in reached}
            nodes -= reached
        found.append(count)
    return found


def test_a_small_view_is_one_piece_and_a_large_one_lacks_nodes_here_and_there():
    kind, batch = batch_of(*[tree(i, 30) for i in range(100)])
    assert set(pieces(view(kind, batch, area=(0.2, 0.2)))) == {1}
    assert np.mean(pieces(view(kind, batch, area=(0.9, 0.9)))) > 1.5


def test_pieces_differ_from_view_to_view():
    kind, batch = batch_of(*[tree(i, 30) for i in range(100)])
    times = sum(view(kind, batch, number, area=(0.2, 0.2)).there.float() for number in range(50)) / 50
    assert abs(times.mean() - 0.2) < 0.01 and times.max() < 0.95 and (times > 0).float().mean() > 0.95


def test_a_piece_goes_on_elsewhere_where_its_component_is_too_small():
    torn = graph(40, [(2 * i, 2 * i + 1) for i in range(20)])
    kind, batch = batch_of(torn, chain(200))
    seen = view(kind, batch, area=(0.45, 0.45))
    assert torch.zeros(2).index_add_(0, batch.graph.sample, seen.there.float()).tolist() == [18, 90]
    assert pieces(seen)[0] <= 10, "pairs are taken whole"
    assert pieces(seen)[1] <= 12, "a chain is longer than a piece grows: some pieces, not scattered nodes"


def test_a_view_of_a_view_counts_what_is_left():
    kind, batch = batch_of(*[chain(40, seed=i) for i in range(20)])
    first = view(kind, batch, area=(0.5, 0.5))
    second = view(kind, first, 1, area=(0.5, 0.5), strength=1.0)
    assert torch.zeros(20).index_add_(0, batch.graph.sample, second.there.float()).eq(10).all()
    assert not (second.there & ~first.there).any() and not (edges_there(second.graph) & ~edges_there(first.graph)).any()


def test_coarser_edges_go_with_the_last_of_their_nodes():
    kind, batch = batch_of(*[chain(30, seed=i) for i in range(20)], levels=2)
    seen = view(kind, batch, area=(0.2, 0.2))
    coarser = seen.graph.coarser
    alive = torch.zeros(len(coarser.sample)).index_add_(0, seen.graph.parent, seen.there.float()) > 0
    assert torch.equal(coarser.edge_valid, alive[coarser.edges].all(0)) and 0 < alive.float().mean() < 1
    assert batch.graph.coarser.edge_valid is None


def test_a_graph_alone_is_viewed_as_in_a_batch():
    kind, batch = batch_of(*[tree(i, 10 + i) for i in range(10)], levels=2)
    for asked in (dict(area=(0.2, 0.4), strength=1.0), dict(area=(0.6, 0.9), strength=1.0)):
        whole = view(kind, batch, **asked)
        for number in range(10):
            alone, beside = view(kind, batch.one(number), **asked), whole.one(number)
            assert torch.equal(alone.there, beside.there) and torch.equal(alone.values, beside.values)
            assert torch.equal(edges_there(alone.graph), edges_there(beside.graph))
            assert torch.equal(edges_there(alone.graph.coarser), edges_there(beside.graph.coarser))


def test_a_sample_that_comes_twice_is_seen_in_two_ways():
    kind = Graph()
    samples = kind.open(records(tree(0, 40)))
    seen = view(kind, samples.batch(torch.tensor([0, 0]), torch.tensor([5, 6])), area=(0.5, 0.5))
    assert not torch.equal(seen.there[:40], seen.there[40:])


def test_graphs_without_edges_are_viewed_and_corrupted():
    kind, batch = batch_of(graph(1, []), graph(5, []), levels=2)
    seen = view(kind, batch, area=(0.3, 0.6), strength=1.0)
    assert seen.there.sum() >= 2 and kind.statistics(seen).isfinite().all()
    for name in kind.corruptions:
        assert kind.corrupt(batch, name, 5, Generator("t")).values.isfinite().all()
    assert all(kind.draw(batch.one(i)).startswith("<svg") for i in range(2))


class OneWay(Graph):
    """Drops edges in one direction alone."""

    def _one_view(self, batch, area, strength, generator):
        seen = super()._one_view(batch, area, strength, generator)
        left = edges_there(seen.graph) & (torch.arange(seen.graph.edges.shape[1]) % 7 > 0) if strength else seen.graph.edge_valid
        return replace(seen, graph=replace(seen.graph, edge_valid=left))


class Placed(Graph):
    """Draws by the place in the batch."""

    def _one_view(self, batch, area, strength, generator):
        seen = super()._one_view(replace(batch, keys=torch.arange(len(batch))), area, strength, generator)
        return replace(seen, keys=batch.keys)


class Left(Graph):
    """Leaves the values of nodes that are gone."""

    def _one_view(self, batch, area, strength, generator):
        return replace(super()._one_view(batch, area, strength, generator), values=batch.values)


class Cut(Graph):
    """Takes the rows out."""

    def _one_view(self, batch, area, strength, generator):
        return batch if area == (1.0, 1.0) and not strength else Batch.cat([batch.one(i) for i in range(1, len(batch))])


@pytest.mark.parametrize("kind, wrong", [(OneWay, "in one direction alone"), (Placed, "cut in two is viewed otherwise"),
                                         (Left, "a row that is not valid has values"), (Cut, "loses ids or keys")])
def test_broken_views_are_found(kind, wrong):
    batch = kind().planted(8, Generator("t")).batch(torch.arange(8))
    with pytest.raises(AssertionError, match=wrong):
        check_views(kind(), batch)


# corruptions

def test_rewired_edges_lead_elsewhere_in_both_directions():
    kind, batch = batch_of(*[tree(i, 30) for i in range(100)])
    worse = kind.corrupt(batch, "rewired", 5, Generator("t"))
    edges = worse.graph.edges
    moved = (edges != batch.graph.edges).any(0)
    assert abs(moved.float().mean() - 0.5) < 0.05, "an edge now and then is led back to where it was"
    assert torch.equal(worse.graph.sample[edges[0]], worse.graph.sample[edges[1]]) and (edges[0] != edges[1]).all()
    names = lambda pairs: sorted(map(tuple, pairs.T.tolist()))
    assert names(edges) == names(edges.flip(0))
    assert ((edges == batch.graph.edges).any(0)).all(), "one end stays"


def test_lost_nodes_edges_and_features_are_as_many_as_stated():
    kind, batch = batch_of(*[tree(i, 30) for i in range(100)])
    for severity, share in ((1, 0.05), (5, 0.5)):
        assert abs(1 - kind.corrupt(batch, "nodes", severity, Generator("t")).there.float().mean() - share) < 0.03
        assert abs(1 - edges_there(kind.corrupt(batch, "edges", severity, Generator("t")).graph).float().mean() - share) < 0.03
    masked = kind.corrupt(batch, "masked", 5, Generator("t")).values
    assert abs((masked == kind.rest).all(1).float().mean() - 0.7) < 0.03
    noise = kind.corrupt(batch, "noise", 4, Generator("t")).values - batch.values
    torch.testing.assert_close(noise.std(0), kind.spread, rtol=0.1, atol=0)


def test_the_last_node_is_never_lost():
    kind, batch = batch_of(*[graph(1, []) for _ in range(50)])
    assert kind.corrupt(batch, "nodes", 5, Generator("t")).there.all()


# plain features

def colours(one: Structure, rounds: int) -> list[tuple]:
    """Colours of Weisfeiler and Lehman as nested tuples, of all rounds."""
    held = [] if one.edge_values is None else one.edge_values.tolist()
    bond = {tuple(edge): tuple(value) for edge, value in zip(one.edges.T.tolist(), held, strict=bool(held))}
    now = [tuple(x) for x in one.values.tolist()]
    found = list(now)
    for _ in range(rounds):
        now = [(now[i], tuple(sorted((bond.get((j, k), ()), now[j]) for j, k in one.edges.T.tolist() if k == i))) for i in range(len(now))]
        found += now
    return found


@pytest.mark.parametrize("bonds", [0, 3])
def test_environments_are_counted_as_written_down(bonds):
    made = [replace(tree(i, 12), edge_values=None) if not bonds else chain(12, seed=i, bonds=bonds) for i in range(12)]
    kind, batch = batch_of(*made)
    counts = circles(batch, kind.steps, width=1 << 20)
    assert (counts.sum(1) == 4 * 12).all()
    for one, row in zip(made, counts, strict=True):
        wanted = {}
        for colour in colours(one, 3):
            wanted[colour] = wanted.get(colour, 0) + 1
        assert sorted(row[row > 0].int().tolist()) == sorted(wanted.values())
    for i in range(12):
        for j in range(i):
            same = sorted(map(str, colours(made[i], 3))) == sorted(map(str, colours(made[j], 3)))
            assert torch.equal(counts[i], counts[j]) == same


def test_environments_know_no_order_of_nodes_but_kinds_of_bonds():
    one, name = chain(9, bonds=2), np.random.default_rng(0).permutation(9)
    back = np.argsort(name)
    renamed = Structure(one.values[back], name[one.edges], one.edge_values)
    swapped = Structure(one.values, one.edges, one.edge_values[:, ::-1].copy())
    kind, batch = batch_of(one, renamed, swapped)
    figures = kind.statistics(batch)
    torch.testing.assert_close(figures[0], figures[1])
    assert not torch.equal(figures[0], figures[2])


def test_what_a_view_took_away_does_not_count():
    kind, batch = batch_of(tree(1, 20), chain(6))
    seen = view(kind, batch, area=(0.4, 0.4), strength=1.0)
    one = seen.one(0)
    at = one.there.nonzero()[:, 0]
    number = torch.full((20,), -1)
    number[at] = torch.arange(len(at))
    left = Structure(one.values[at].numpy(), number[one.graph.edges[:, edges_there(one.graph)]].numpy())
    alone = Graph()
    packed = alone.open(records(left, chain(6))).batch(torch.arange(2))
    torch.testing.assert_close(kind.statistics(seen)[0], replace_steps(alone, kind).statistics(packed)[0])
    torch.testing.assert_close(kind.flat(seen)[0], alone.flat(packed)[0])


def replace_steps(kind: Graph, other: Graph) -> Graph:
    kind.steps = other.steps
    return kind


def test_degrees_edges_and_sums():
    kind, batch = batch_of(graph(6, [(0, i) for i in range(1, 6)]))
    size, total = kind.flat(batch)[0, 0], kind.flat(batch)[0, 1:]
    edges, *counts = kind.statistics(batch)[0, 1024:1034].tolist()
    assert size == 6 and total.sum() == 6 and edges == 5 and counts == [0, 5, 0, 0, 0, 1, 0, 0, 0]


# drawings

def drawn(kind: Graph, sample: Batch) -> dict[str, int]:
    """How many marks of each class a drawing has; for paths, how many lines."""
    found = {}
    for mark in ElementTree.fromstring(kind.draw(sample)).iter():
        name = re.sub(r" n\d", "", mark.get("class", ""))
        found[name] = found.get(name, 0) + (mark.get("d").count("M") if mark.get("d") else 1)
    return found


def test_all_of_a_small_graph_is_drawn_and_what_is_gone_is_faint():
    kind, batch = batch_of(tree(1, 25), levels=2)
    whole = drawn(kind, batch.one(0))
    assert whole["node"] == 25 and whole["bond"] == 24 and whole["ground"] >= 3 and "told" not in whole
    seen = view(kind, batch, area=(0.5, 0.5), strength=1.0)
    part = drawn(kind, seen.one(0))
    assert part["node"] == int(seen.there.sum()) and part["node gone"] == 25 - part["node"]
    assert part.get("bond", 0) == int(edges_there(seen.graph).sum()) // 2 and part.get("bond", 0) + part["bond gone"] == 24


def test_of_a_large_graph_a_part_is_drawn_and_it_is_said():
    kind, batch = batch_of(tree(1, 300))
    assert drawn(kind, batch.one(0))["node"] == 60 and ">60 of 300 nodes<" in kind.draw(batch.one(0))


def test_every_node_has_a_place_of_its_own_inside_the_picture():
    kind, batch = batch_of(tree(1, 40), chain(60), graph(30, []), graph(6, [(0, i) for i in range(1, 6)]), graph(2, [(0, 1)]), graph(1, []))
    for number in range(len(batch)):
        text = kind.draw(batch.one(number))
        assert text == kind.draw(batch.one(number))
        places = [tuple(map(float, place)) for place in re.findall(r'cx="(\S+)" cy="(\S+)"', text)]
        assert len(set(places)) == len(places) and all(0 <= x <= 160 and 0 <= y <= 120 for x, y in places)


# the planted set

def test_the_planted_factor_is_in_neighbours_and_neither_in_shape_nor_in_types_alone():
    """A linear reading of degrees and sums tells little more than chance, one of how neighbours go together nearly all."""
    kind = Graph()
    samples = kind.planted(1024, Generator("planted", 3))
    batch = samples.batch(torch.arange(1024))
    label = torch.from_numpy(samples.labels)
    edges, graph = batch.graph.edges, batch.graph
    pairs = torch.zeros(1024, batch.values.shape[1] ** 2).index_add_(
        0, graph.sample[edges[0]], (batch.values[edges[0], :, None] * batch.values[edges[1], None]).flatten(1))

    def told(x: torch.Tensor) -> float:
        x = torch.cat([(x - x.mean(0)) / x.std(0).clamp_min(1e-6), torch.ones(len(x), 1)], 1)
        weight = torch.linalg.solve(x[:512].T @ x[:512] + 10 * torch.eye(x.shape[1]), x[:512].T @ torch.eye(4)[label[:512]])
        return float(((x[512:] @ weight).argmax(1) == label[512:]).float().mean())

    assert told(kind.statistics(batch)[:, 1024:1034]) < 0.32, "degrees"
    assert told(kind.flat(batch)) < 0.4, "sums of features"
    assert told(pairs) > 0.85, "products of neighbours"
