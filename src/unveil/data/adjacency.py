"""Lists of edges brought to one form: every edge both ways, none twice, none from a node to itself."""

from __future__ import annotations

import numpy as np


def both_ways(edges: np.ndarray, values: np.ndarray | None, count: int) -> tuple[np.ndarray, np.ndarray | None, tuple[int, int]]:
    """Edges in order of the rows they leave from.

    Args:
        edges: ``(2, E)`` integers below ``count``, each edge one way or both.
        values: ``(E, F)``, what is known of each; of an edge that stands there twice the first counts.
        count: number of rows.

    Returns:
        ``(2, E')`` int64, their values ``(E', F)`` or None, and how many edges stood there one way alone and how many were loops.
    """
    loops = edges[0] == edges[1]
    edges, values = edges[:, ~loops], None if values is None else values[~loops]
    place = edges[0].astype(np.int64) * count + edges[1]
    known, first = np.unique(place, return_index=True)
    reverse = known % max(count, 1) * count + known // max(count, 1)
    lone = ~np.isin(reverse, known)
    place, first = np.concatenate([known, reverse[lone]]), np.concatenate([first, first[lone]])
    order = np.argsort(place)
    place, first = place[order], first[order]
    found = np.stack([place // max(count, 1), place % max(count, 1)])
    return found, None if values is None else values[first], (int(lone.sum()), int(loops.sum()))


def one_hot(codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """``(n, len(known))`` float32: 1 in the column of each code among the sorted ``known``."""
    return (codes[:, None] == known[None]).astype(np.float32)
