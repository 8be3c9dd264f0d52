"""Coarser versions of graphs, made once before training: nodes that are alike under smoothing merge with a neighbour.

Multilevel greedy edge matching with the proximity "algebraic JC" (Loukas 2019, arXiv 1808.10650, as Hi-GMAE uses it, arXiv 2405.10642):
random vectors are smoothed by Jacobi sweeps; an edge is the better the less its two ends differ in the vector in which they differ most.
All graphs of a set are smoothed together, as blocks of one sparse matrix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from unveil.data.packed import Structure
from unveil.randomness import Generator

VECTORS, SWEEPS, DAMPING = 10, 20, 0.5
ALIKE = 1e-6  # squared difference below which two ends are the same
FEW = 2  # a round of so few merges is not worth a level
PART = 1_000_000  # nodes that are smoothed at a time
ROOM = 4_000_000  # entries of a power of the walk that are held at a time


def hierarchy(structures: Sequence[Structure], levels: int, ratio: float, steps: int) -> list[Structure]:
    """The same graphs with ``levels - 1`` coarser ones above them and, at the coarsest, where each row stands.

    Args:
        structures: with edges both ways.
        levels: number of levels, the graphs themselves included.
        ratio: share of the nodes of a level that the next does without.
        steps: of the random walk whose return probabilities say where a row stands.
    """
    found: list[Structure] = []
    for part in _parts(structures):
        stack, edges = [part], [s.edges for s in part]
        for _ in range(levels - 1):
            keys = [_key(len(s), pairs) for s, pairs in zip(stack[-1], edges, strict=True)]
            parents = partitions([len(s) for s in stack[-1]], edges, keys, ratio)
            edges = [merged(pairs, parent) for pairs, parent in zip(edges, parents, strict=True)]
            stack[-1] = [replace(s, parent=parent) for s, parent in zip(stack[-1], parents, strict=True)]
            stack.append([Structure(np.zeros((parent.max() + 1, 0), np.float32), pairs)
                          for parent, pairs in zip(parents, edges, strict=True)])
        codes = returns([len(s) for s in stack[-1]], edges, steps)
        above = [replace(s, code=code) for s, code in zip(stack[-1], codes, strict=True)]
        for level in reversed(stack[:-1]):
            above = [replace(s, coarser=coarser) for s, coarser in zip(level, above, strict=True)]
        found += above
    return found


def shares(structures: Sequence[Structure], levels: int) -> list[float]:
    """Of each coarser level the share of the graphs that have at least three nodes fewer there than on the level before: where it is
    low there is hardly a hierarchy."""
    found, at = [], list(structures)
    for _ in range(levels - 1):
        above = [s.coarser for s in at]
        found.append(float(np.mean([len(fine) - len(coarse) > FEW for fine, coarse in zip(at, above, strict=True)])))
        at = above
    return found


def partitions(sizes: Sequence[int], edges: Sequence[np.ndarray], keys: Sequence[int], ratio: float) -> list[np.ndarray]:
    """The group ``(n,)`` of each node of each graph, numbered in order of the groups' first nodes.

    Nodes merge until ``ceil((1 - ratio) n)`` are left. A round merges each node with at most one other; where more must go, a next round
    works on the merged graph. A round of two merges or fewer is not made, so small graphs stay as they are.

    Args:
        sizes: nodes of each graph.
        edges: ``(2, E)`` of each.
        keys: of the random vectors of each.
        ratio: share of the nodes to do without.
    """
    sizes = np.asarray(sizes, np.int64)
    start, whole = np.cumsum(sizes) - sizes, int(sizes.sum())
    owner, group = np.repeat(np.arange(len(sizes)), sizes), np.arange(whole)
    low, high, weight = _pairs(np.concatenate([pairs + first for pairs, first in zip(edges, start, strict=True)], 1), whole)
    left, target = sizes.copy(), np.ceil((1 - ratio) * sizes - 1e-9).astype(np.int64)
    draws, number = Generator("coarsening"), np.arange(whole) - start[owner]
    keys = np.asarray(keys, np.int64)
    active = left > target
    while active.any() and len(low):
        low, high, weight = (x[active[owner[low]]] for x in (low, high, weight))
        x = draws.normal(VECTORS, keys=torch.from_numpy(keys[owner] + number)).numpy() / np.sqrt(left[owner])[:, None]
        score = differences(smoothed(x, low, high, weight), low, high)
        merge = _matched(low, high, score, owner, np.where(active, left - target, 0))
        many = np.bincount(owner[low[merge]], minlength=len(sizes))
        merge = merge[many[owner[low[merge]]] > FEW]
        many[many <= FEW] = 0
        group[high[merge]] = low[merge]
        left, active = left - many, (many > 0) & (left - many > target)
        root = group[group]  # a pair that merges may stand for groups of earlier rounds
        while not np.array_equal(root, group):
            group, root = root, root[root]
        low, high, weight = _pairs(np.stack([group[low], group[high]]), whole, weight)
    first = group == np.arange(whole)
    among = np.cumsum(first) - 1
    base = among[start[sizes > 0]] if whole else among
    named = among[group] - np.repeat(base, sizes[sizes > 0])
    return np.split(named, np.cumsum(sizes)[:-1])


def smoothed(x: np.ndarray, low: np.ndarray, high: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``x (n, K)`` after damped Jacobi sweeps over weighted pairs of nodes: ``x <- x / 2 + mean of neighbours / 2``."""
    from scipy.sparse import csr_matrix
    both = np.concatenate([low, high]), np.concatenate([high, low])
    around = csr_matrix((np.concatenate([weight, weight]), both), shape=(len(x), len(x)), dtype=np.float64)
    around.data /= np.repeat(np.asarray(around.sum(1)).ravel(), np.diff(around.indptr))
    x = x.astype(np.float64)
    for _ in range(SWEEPS):
        x = DAMPING * x + (1 - DAMPING) * (around @ x)
    return x


def differences(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Of each pair the greatest squared difference over the vectors, one over its proximity."""
    return np.maximum(np.square(x[low] - x[high]).max(1, initial=0.0), ALIKE)


def merged(edges: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Edges ``(2, E')`` between groups, both ways, each once, in order."""
    ends, many = parent[edges], int(parent.max()) + 1
    found = np.unique((ends[0] * many + ends[1])[ends[0] != ends[1]])
    return np.stack([found // many, found % many])


def returns(sizes: Sequence[int], edges: Sequence[np.ndarray], steps: int) -> list[np.ndarray]:
    """Of each node of each graph ``(n, steps)`` float32: the chance that a random walk is back after 1, 2, ... steps."""
    from scipy.sparse import csr_matrix, identity
    sizes = np.asarray(sizes, np.int64)
    start, whole = np.cumsum(sizes) - sizes, int(sizes.sum())
    low, high, _ = _pairs(np.concatenate([pairs + first for pairs, first in zip(edges, start, strict=True)], 1), whole)
    degree = np.bincount(np.concatenate([low, high]), minlength=whole).clip(1)
    value = 1 / np.sqrt(degree[low] * degree[high])
    step = csr_matrix((np.concatenate([value, value]), (np.concatenate([low, high]), np.concatenate([high, low]))), shape=(whole, whole))
    still, code = identity(whole, format="csr"), np.zeros((whole, steps), np.float32)
    room = np.cumsum(np.repeat(sizes, sizes))  # a row of a power has at most as many entries as its graph has nodes
    cuts = np.searchsorted(room, np.arange(0, room[-1], ROOM)).tolist()
    for rows in (slice(a, b) for a, b in pairwise([*cuts, whole])):
        powers = [still[rows], step[rows]]
        for k in range(1, steps + 1):  # the diagonal of a product of symmetric matrices: sums over rows of products of their entries
            if len(powers) <= (k + 1) // 2:
                powers.append(powers[-1] @ step)
            code[rows, k - 1] = np.asarray(powers[k // 2].multiply(powers[(k + 1) // 2]).sum(1)).ravel()
    return np.split(code, np.cumsum(sizes)[:-1])


def _parts(structures: Sequence[Structure]) -> Iterator[list[Structure]]:
    """Runs of graphs that are worked on together."""
    part, room = [], 0
    for structure in structures:
        if part and room + len(structure) > PART:
            yield part
            part, room = [], 0
        part.append(structure)
        room += len(structure)
    if part:
        yield part


def _key(size: int, edges: np.ndarray) -> int:
    """A key of what a graph looks like, wherever it stands in its set."""
    content = np.int64(size).tobytes() + np.ascontiguousarray(edges).tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=7).digest(), "little")


def _pairs(edges: np.ndarray, whole: int, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pair of different nodes that hang together once, smaller number first, in order, with the sum of its weights; 1 where there
    are none."""
    low, high = edges.min(0), edges.max(0)
    apart = low != high
    found, at = np.unique((low * whole + high)[apart], return_inverse=True)
    total = np.ones(len(found)) if weight is None else np.bincount(at, weight[apart], len(found))
    return found // max(whole, 1), found % max(whole, 1), total


def _matched(low: np.ndarray, high: np.ndarray, score: np.ndarray, owner: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which pairs merge: graph by graph the best whose ends are both free, until as many merge as are wanted. Ties go by number."""
    order = np.lexsort([score, owner[low]])
    free, room, found = [True] * len(owner), wanted.tolist(), []
    for at, a, b, mine in zip(order.tolist(), low[order].tolist(), high[order].tolist(), owner[low[order]].tolist(), strict=True):
        if room[mine] and free[a] and free[b]:
            free[a] = free[b] = False
            room[mine] -= 1
            found.append(at)
    return np.array(found, np.int64)
