"""Encoders of graphs: a graph's features are its own, whatever else is in the batch and whatever was taken away from it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hierarchies import batch_of, random_graphs
from tiny import structures
from unveil.contracts import Batch
from unveil.data.packed import Packed, Structure
from unveil.data.samples import Samples
from unveil.encoders.gin import GAT, GCN, GIN
from unveil.encoders.hierarchical import HierarchicalNet
from unveil.errors import Unusable
from unveil.randomness import Generator
from unveil.tokens import Graph

SIZES = [7, 1, 40, 12, 2, 90, 33, 5]
FLAT = [(GIN, {}), (GIN, dict(residual=True, pooling="max")), (GIN, dict(readout="concatenated", pooling="sum")),
        (GIN, dict(readout="sum")), (GIN, dict(attention=2, heads=2)), (GCN, {}), (GAT, dict(heads=2)),
        (GAT, dict(attention=1, pooling="max"))]
DEEP = [(HierarchicalNet, dict(levels=2, depth=2)), (HierarchicalNet, dict(levels=3, depth=1, attention=2, heads=2, pooling="sum")),
        (HierarchicalNet, dict(levels=2, form="gcn", pooling="max", residual=True))]
ALL = [(*case, 0) for case in FLAT + DEEP] + [(GIN, {}, 3), (GAT, {}, 3), (HierarchicalNet, dict(levels=2), 3)]
name = lambda x: x.__name__ if isinstance(x, type) else str(x)


def made(encoder, settings, edge_channels=0, dtype=torch.float64, sizes=SIZES):
    """A network with running statistics of its own, and samples."""
    if encoder in (GCN, GAT) or settings.get("form", "gin") != "gin":
        pytest.importorskip("torch_geometric")
    samples = random_graphs(sizes, edge_channels=edge_channels, levels=settings.get("levels", 1))
    torch.manual_seed(1)
    network = encoder(samples.spec(), **dict(width=16) | settings).to(dtype)
    network.train()
    for _ in range(3):
        network(batch_of(samples, range(len(sizes)), dtype))
    return network.eval(), samples


def close(a, b, dtype=torch.float64):
    scale = b.abs().max().clamp_min(1)
    torch.testing.assert_close(a / scale, b / scale, rtol=0, atol=1e-10 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("encoder, settings, edge_channels", ALL, ids=name)
def test_a_graph_alone_is_as_in_its_batch(encoder, settings, edge_channels, dtype):
    network, samples = made(encoder, settings, edge_channels, dtype)
    batch = batch_of(samples, range(len(SIZES)), dtype)
    together = network(batch)
    for number in range(len(SIZES)):
        alone = network(batch_of(samples, [number], dtype))
        close(together.pooled[number:number + 1], alone.pooled, dtype)
        close(together.local[batch.graph.sample == number], alone.local, dtype)
        for coarse, own in zip(together.levels, alone.levels, strict=True):
            close(coarse.local[coarse.graph.sample == number], own.local, dtype)


@pytest.mark.parametrize("encoder, settings, edge_channels", ALL, ids=name)
def test_the_order_of_the_batch_changes_nothing(encoder, settings, edge_channels):
    network, samples = made(encoder, settings, edge_channels)
    order = [5, 0, 3, 1, 7, 6, 2, 4]
    both = [network(batch_of(samples, ids, torch.float64)).pooled for ids in (order, range(8))]
    close(both[0], both[1][order])


@pytest.mark.parametrize("encoder, settings", [(e, s) for e, s in FLAT], ids=name)
def test_the_order_of_nodes_changes_nothing(encoder, settings):
    network, samples = made(encoder, settings)
    one = structures(samples.batch(torch.tensor([2])))[0]
    one.code = samples.batch(torch.tensor([2])).graph.code.numpy()
    order = np.random.RandomState(0).permutation(len(one))
    place = np.argsort(order)
    other = Structure(one.values[order], place[one.edges][:, ::-1].copy()[:, ::-1], code=one.code[order])
    given, turned = (Samples(Packed([s]), 1, shape=(), channels=5, axes=(), spacing=(), unit="") for s in (one, other))
    a, b = (network(batch_of(s, [0], torch.float64)) for s in (given, turned))
    close(a.pooled, b.pooled)
    close(a.local[order], b.local)


def without(batch: Batch, gone: torch.Tensor) -> tuple[Batch, Batch]:
    """The batch with rows marked as taken away, as views do it; and one in which they never were."""
    graph, keep = batch.graph, ~gone
    there = keep[graph.edges[0]] & keep[graph.edges[1]]
    marked = replace(batch, valid=keep, values=batch.values * keep[:, None], graph=replace(graph, edge_valid=there))
    number = keep.long().cumsum(0) - 1
    pick = lambda x, at: None if x is None else x[at]
    sizes = tuple(int((keep & (graph.sample == n)).sum()) for n in range(graph.count))
    left = Graph(graph.sample[keep], graph.count, max(sizes), number[graph.edges[:, there]], pick(graph.edge_values, there),
                 code=pick(graph.code, keep), sizes=sizes)
    return marked, replace(batch, values=batch.values[keep], graph=left)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("encoder, settings, edge_channels", [case for case in ALL if case[0] is not HierarchicalNet], ids=name)
def test_what_a_view_took_away_is_as_if_it_never_was(encoder, settings, edge_channels, training):
    """Also in training: what is not there has no part in the statistics of the batch."""
    network, samples = made(encoder, settings, edge_channels)
    batch = batch_of(samples, range(len(SIZES)), torch.float64)
    gone = Generator("gone").uniform(1, keys=batch.row_keys)[:, 0] < 0.3
    marked, never = without(batch, gone)
    a, b = network.train(training)(marked), network(never)
    close(a.pooled, b.pooled)
    close(a.local[~gone], b.local)


@pytest.mark.parametrize("filled", [3.0, -40.0])
@pytest.mark.parametrize("encoder, settings, edge_channels", ALL, ids=name)
def test_what_stands_at_rows_taken_away_is_not_read(encoder, settings, edge_channels, filled):
    """With whole coarse nodes taken away, and with parts of some."""
    network, samples = made(encoder, settings, edge_channels)
    batch = batch_of(samples, range(len(SIZES)), torch.float64)
    keep = Generator("gone").uniform(1, keys=batch.row_keys)[:, 0] > 0.4
    zero = replace(batch, valid=keep, values=batch.values * keep[:, None])
    other = replace(zero, values=torch.where(keep[:, None], batch.values, filled))
    a, b = network(zero), network(other)
    close(a.pooled, b.pooled)
    for coarse, again in zip(a.levels, b.levels, strict=True):
        close(coarse.pooled, again.pooled)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_a_coarse_node_without_nodes_is_as_if_it_never_was(training):
    network, samples = made(HierarchicalNet, dict(levels=2, depth=2))
    batch = batch_of(samples, [2, 3, 5], torch.float64)
    top = batch.graph.coarser
    gone = torch.arange(len(top.sample)) % 3 == 0
    marked, never = without(batch, gone[batch.graph.parent])
    _, coarse = without(replace(batch, values=torch.zeros(len(top.sample), 1), graph=top), gone)
    number = (~gone).long().cumsum(0) - 1
    never.graph.parent = number[batch.graph.parent[~gone[batch.graph.parent]]]
    never.graph.coarser = coarse.graph
    a, b = network.train(training)(marked), network(never)
    close(a.pooled, b.pooled)
    close(a.levels[0].local[~gone], b.levels[0].local)


def test_hidden_coarse_nodes_neither_attend_nor_are_attended_to():
    network, samples = made(HierarchicalNet, dict(levels=2, depth=1))
    batch = batch_of(samples, [2, 3], torch.float64)
    tokens, rows = network.embed(batch), len(batch.graph.coarser.sample)
    hide = torch.arange(rows) % 2 == 0
    masks = [torch.zeros(len(batch.values), dtype=torch.bool), hide]
    mixer = network.coarse[0]
    given, answered = [], []
    mixer.register_forward_hook(lambda module, args, out: given.append(args[0]) or answered.append(out))
    network.encode(tokens, hide=masks)
    assert torch.equal(answered[0][hide], given[0][hide]), "hidden ones go through as they are"
    assert not torch.allclose(answered[0][~hide], given[0][~hide])
    changed = given[0] + 5 * hide[:, None]
    from unveil.parts.mixing import Rooms
    again = mixer(changed, batch.graph.coarser, Rooms.of(batch.graph.coarser), ~hide)
    close(again[~hide], answered[0][~hide])
    every = mixer(changed, batch.graph.coarser, Rooms.of(batch.graph.coarser), None)
    assert not torch.allclose(every[~hide], answered[0][~hide]), "and would be seen, were they not hidden"


@pytest.mark.parametrize("residual", [True, False])
def test_attention_on_top_makes_a_flat_network_as_large_as_a_hierarchical_one(residual):
    """The baseline of Hi-GMAE: the same layers, without levels."""
    samples = random_graphs(SIZES, levels=2)
    flat = GIN(samples.spec(), width=16, depth=2, attention=1, heads=2, residual=residual)
    deep = HierarchicalNet(samples.spec(), width=16, depth=2, attention=1, heads=2, residual=residual)
    assert [p.shape for p in flat.parameters()] == [p.shape for p in deep.parameters()]


def test_levels_that_do_not_fit_are_told():
    network, _ = made(HierarchicalNet, dict(levels=3, depth=1))
    with pytest.raises(Unusable, match="encoder has 3 levels and the graphs have 2"):
        network(batch_of(random_graphs(SIZES, levels=2), [0, 1], torch.float64))
    with pytest.raises(ValueError, match="no hierarchy"):
        HierarchicalNet(random_graphs(SIZES, levels=2).spec(), levels=1)


def test_a_code_that_leaves_no_room_is_told():
    with pytest.raises(ValueError, match="must be larger"):
        GIN(random_graphs([5], code=16).spec(), width=16, attention=1)


class Made(TorchDispatchMode):
    """Counts the numbers that operations make."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for x in out if isinstance(out, (tuple, list)) else [out]:
            self.numbers += x.numel() if isinstance(x, torch.Tensor) else 0
        return out


@pytest.mark.parametrize("encoder, settings", [(GIN, dict(attention=1)), (HierarchicalNet, dict(levels=2))], ids=name)
def test_one_large_graph_among_small_ones_costs_what_it_costs_alone(encoder, settings):
    """Were all brought to the length of the largest, 64 graphs would cost 64 times what it does."""
    def numbers(sizes):
        samples = random_graphs(sizes, levels=settings.get("levels", 1))
        network = encoder(samples.spec(), **dict(width=16, depth=1) | settings)
        batch = samples.batch(torch.arange(len(sizes)))
        with Made() as seen:
            network(batch).pooled.square().sum().backward()
        return seen.numbers

    large, small = numbers([1500]), numbers([12] * 63)
    assert numbers([12] * 63 + [1500]) < 1.6 * (large + small), "small ones stand in rooms of 32"
    samples = random_graphs([12] * 63 + [1500], levels=settings.get("levels", 1))
    batch = samples.batch(torch.arange(64))
    graph = batch.graph.coarser or batch.graph
    graph.sizes = None  # one room for all
    network = encoder(samples.spec(), **dict(width=16, depth=1) | settings)
    with Made() as seen:
        network(batch)
    assert seen.numbers > 3 * (large + small), "the count would see it"
