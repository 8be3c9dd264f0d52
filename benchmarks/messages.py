"""A layer of messages, forward and backward: ours against PyTorch Geometric's, on batches of molecule-sized and of larger graphs.

    python benchmarks/messages.py

Each figure is the least of 25 rounds in which both take turns, since the machine may be shared.
"""

from __future__ import annotations

import time

import torch
from rows import write
from torch import nn
from torch_geometric.nn import GINConv, GINEConv

from unveil.parts.message import Message, Paths
from unveil.tokens import Graph


def batch(graphs: int, nodes: int, degree: int, width: int) -> tuple[torch.Tensor, Graph]:
    """Random graphs of equal size."""
    start = torch.arange(graphs).repeat_interleave(nodes * degree // 2) * nodes
    pairs = torch.stack([torch.randint(nodes, start.shape), torch.randint(nodes, start.shape)]) + start
    edges = torch.cat([pairs, pairs.flip(0)], 1)
    graph = Graph(torch.arange(graphs).repeat_interleave(nodes), graphs, nodes, edges, torch.randn(edges.shape[1], 4))
    return torch.randn(graphs * nodes, width), graph


def least(*works, rounds: int = 25) -> list[float]:
    """Milliseconds of processor time of each, the least over rounds that take turns."""
    taken = [[] for _ in works]
    for _ in range(rounds):
        for mine, work in zip(taken, works, strict=True):
            began = time.process_time()
            work()
            mine.append(time.process_time() - began)
    return [round(1000 * min(mine), 2) for mine in taken]


def main() -> None:
    """Prints and keeps a row a size."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = []
    for graphs, nodes, degree, width in ((32, 24, 2, 64), (128, 24, 2, 256), (32, 24, 2, 512), (8, 1000, 6, 64)):
        for values in (False, True):
            x, graph = batch(graphs, nodes, degree, width)
            x.requires_grad_()
            ours = Message("gin", width, width, edge_channels=4 if values else 0, closing=False)
            network = nn.Sequential(ours.send.inner, ours.send.norm, ours.send.activate, ours.send.outer)
            theirs = GINEConv(network, train_eps=True, edge_dim=4) if values else GINConv(network, train_eps=True)
            paths = Paths.of(graph, None)
            more = (graph.edge_values,) if values else ()
            ms = least(lambda: ours(x, paths).sum().backward(), lambda: theirs(x, graph.edges, *more).sum().backward())  # noqa: B023
            rows.append({"graphs": graphs, "nodes": nodes, "width": width, "edge_values": values, "ours_ms": ms[0], "pyg_ms": ms[1]})
            print(rows[-1])
    write("messages", rows)


if __name__ == "__main__":
    main()
