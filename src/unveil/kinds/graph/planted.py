"""Small graphs with one hidden factor, for conformance."""

from __future__ import annotations

import numpy as np
import torch

from unveil.data.packed import Structure
from unveil.randomness import Generator

LEAST, MOST = 12, 28  # nodes
TYPES = 11  # a prime: steps of any size go through all of them
CHANNELS = 12


def textures(count: int, generator: Generator, *, loyal: float = 0.9, noise: float = 0.7) -> tuple[list[Structure], np.ndarray]:
    """Sparse graphs in which types of nodes go together in one of four ways.

    A node is of one of eleven types that stand in a circle; its features are the pattern of its type and white noise. Going from a node to
    its neighbour, the type moves on or back by as many places as the hidden factor says, 1 to 4. Some nodes do not follow. Every type is
    equally frequent under every factor, and the shape of a graph, from chains to trees of short ways, with some rings, says nothing of it:
    the factor is in how nodes and their neighbours go together, and nowhere else.

    Args:
        count: number of graphs.
        generator: of patterns and graphs.
        loyal: share of the nodes that follow the factor.
        noise: deviation of the noise over that of a pattern.

    Returns:
        the graphs and their factor less one, in turn.
    """
    pattern = CHANNELS**0.5 * torch.linalg.qr(generator.normal(CHANNELS, TYPES)).Q.T
    keys = torch.arange(count)
    size = generator.integers(LEAST, MOST + 1, 1, keys=keys)[:, 0]
    nearby = generator.uniform(1, keys=keys)[:, 0]
    drawn = generator.uniform(5, MOST, keys=keys).numpy()
    kinds = generator.integers(0, TYPES, MOST, keys=keys).numpy()
    white = noise * generator.normal(MOST, CHANNELS, keys=keys)
    factor = np.arange(count) % 4
    edges = [_grown(*facts, loyal) for facts in zip(kinds, size.tolist(), 1 + factor, nearby.tolist(), drawn, strict=True)]
    values = (pattern[torch.from_numpy(kinds)] + white).numpy()
    return [Structure(x[:many], pairs) for x, many, pairs in zip(values, size.tolist(), edges, strict=True)], factor


def _grown(kinds: np.ndarray, size: int, factor: int, nearby: float, draws: np.ndarray, loyal: float) -> np.ndarray:
    """Edges ``(2, E)`` of a tree that grows from node 0, with a ring closed here and there between nodes that fit; types of the nodes
    that follow are written into ``kinds``."""
    pairs = []
    for node in range(1, size):
        parent = node - 1 if draws[0, node] < nearby else int(node * draws[1, node])
        if draws[2, node] < loyal:
            kinds[node] = (kinds[parent] + (factor if draws[3, node] < 0.5 else -factor)) % TYPES
        pairs.append((parent, node))
        other = int(node * draws[4, node])
        if node % 5 == 4 and other != parent and (kinds[other] - kinds[node]) % TYPES in (factor, TYPES - factor):
            pairs.append((other, node))
    return np.array([*pairs, *((b, a) for a, b in pairs)], np.int64).T
