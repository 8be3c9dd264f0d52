"""Layers of messages against PyTorch Geometric's own, and what is closed to them."""

import pytest
import torch
from torch import nn

from hierarchies import random_graphs
from unveil.parts.message import Message, Paths
from unveil.randomness import Generator

geometric = pytest.importorskip("torch_geometric.nn")


def given(edge_channels=0):
    batch = random_graphs([7, 12, 1, 30], edge_channels=edge_channels).batch(torch.arange(4))
    if edge_channels:
        batch.graph.edge_values = batch.graph.edge_values.double()
    return batch.graph, Generator("x").normal(50, 6).double()


@pytest.mark.parametrize("edge_channels", [0, 3])
def test_gin_is_theirs(edge_channels):
    graph, x = given(edge_channels)
    ours = Message("gin", 6, 8, edge_channels=edge_channels, closing=False).double()
    ours.send.epsilon.data.fill_(0.25)
    network = nn.Sequential(ours.send.inner, ours.send.norm, ours.send.activate, ours.send.outer)
    if edge_channels:
        theirs = geometric.GINEConv(network, eps=0.25, edge_dim=3).double()
        theirs.lin.load_state_dict(ours.send.edge.state_dict())
    else:
        theirs = geometric.GINConv(network, eps=0.25).double()
    answer = theirs(x, graph.edges, graph.edge_values) if edge_channels else theirs(x, graph.edges)
    torch.testing.assert_close(ours(x, Paths.of(graph, None)), answer, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form, edge_channels", [("gcn", 0), ("gat", 0), ("gat", 3)])
def test_theirs_with_our_paths_is_theirs(form, edge_channels):
    """Edges of rows to themselves come from us, since theirs wait for the device."""
    graph, x = given(edge_channels)
    ours = Message(form, 6, 8, edge_channels=edge_channels, heads=2, closing=False).double()
    theirs = (geometric.GCNConv(6, 8) if form == "gcn" else
              geometric.GATConv(6, 4, 2, edge_dim=edge_channels or None, fill_value=0.0)).double()
    theirs.load_state_dict(ours.send.layer.state_dict())
    answer = theirs(x, graph.edges, graph.edge_values) if edge_channels else theirs(x, graph.edges)
    torch.testing.assert_close(ours(x, Paths.of(graph, None)), answer, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", ["gin", "gcn", "gat"])
def test_closed_edges_are_as_if_they_were_not(form):
    graph, x = given(3)
    layer = Message(form, 6, 8, edge_channels=3, heads=2).double()
    layer(x, Paths.of(graph, None))
    layer.eval()
    closed = Generator("c").uniform(graph.edges.shape[1]) < 0.4
    graph.edge_valid = ~closed
    with_gaps = layer(x, Paths.of(graph, None))
    whole = layer(x, Paths(graph.edges, graph.edge_values, None, None))
    without = layer(x, Paths(graph.edges[:, ~closed], graph.edge_values[~closed], None, None))
    torch.testing.assert_close(with_gaps, without, rtol=0, atol=1e-12)
    assert not torch.allclose(whole, without)


def test_what_is_missing_is_named(monkeypatch):
    import builtins

    from unveil.errors import Unusable

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *rest: (_ for _ in ()).throw(ImportError(name))
                        if name.startswith("torch_geometric") else real(name, *rest))
    with pytest.raises(Unusable, match=r"pip install unveil\[graph\], or use gin"):
        Message("gat", 4, 4)
    Message("gin", 4, 4)
