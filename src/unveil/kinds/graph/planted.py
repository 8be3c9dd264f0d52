"""Small graphs with one hidden factor, for conformance."""

from __future__ import annotations

import numpy as np
import torch

from unveil.data.packed import Structure
from unveil.randomness import Generator

LEAST, MOST = 12, 28  # nodes
CHANNELS = 8


def textures(count: int, generator: Generator, *, loyal: float = 0.9, noise: float = 1.5) -> tuple[list[Structure], np.ndarray]:
    """Sparse graphs in which types of nodes go together in one of four ways.

    A node is of one of four types, written as two bits; its features are the pattern of its type and white noise. Going from a node to its
    neighbour, the hidden factor says which of the bits flip: none, the first, the second, or both. Some nodes do not follow. Every type is
    equally frequent under every factor, and the shape of a graph, from chains to stars, with some rings, says nothing of it: it is read
    from nodes together with their neighbours alone.

    Args:
        count: number of graphs.
        generator: of patterns and graphs.
        loyal: share of the nodes that follow the factor.
        noise: deviation of the noise over that of a pattern.

    Returns:
        the graphs and their factor, in turn.
    """
    pattern = CHANNELS ** 0.5 * torch.linalg.qr(generator.normal(CHANNELS, 4)).Q.T
    keys = torch.arange(count)
    size = generator.integers(LEAST, MOST + 1, 1, keys=keys)[:, 0].numpy()
    nearby = generator.uniform(1, keys=keys)[:, 0].numpy()
    drawn = generator.uniform(6, MOST, keys=keys).numpy()
    white = noise * generator.normal(MOST, CHANNELS, keys=keys)
    factor = np.arange(count) % 4
    made = [_one(*facts, loyal) for facts in zip(size.tolist(), factor, nearby, drawn, strict=True)]
    return [Structure((pattern[kinds] + white[i, :len(kinds)]).numpy(), edges) for i, (kinds, edges) in enumerate(made)], factor


def _one(size: int, factor: int, nearby: float, draws: np.ndarray, loyal: float) -> tuple[np.ndarray, np.ndarray]:
    """Types ``(n,)`` and edges of a tree that grows from node 0, with a ring closed here and there between nodes that fit."""
    kinds, pairs = np.zeros(size, np.int64), []
    kinds[0] = int(4 * draws[0, 0])
    for node in range(1, size):
        parent = node - 1 if draws[1, node] < nearby else int(node * draws[2, node])
        kinds[node] = kinds[parent] ^ factor if draws[3, node] < loyal else int(4 * draws[4, node])
        pairs.append((parent, node))
        fitting = [other for other in range(node) if other != parent and kinds[other] == kinds[node] ^ factor] if node % 5 == 4 else []
        if fitting:
            pairs.append((fitting[int(len(fitting) * draws[5, node])], node))
    return kinds, np.array([*pairs, *((b, a) for a, b in pairs)], np.int64).T
