"""A graph of 12 nodes and its coarser versions, with masks, for both sides."""

import torch
from given import normal

PARENTS = {2: [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]], 3: [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], [0, 0, 1, 2, 2, 3]]}


def _masks(depth):
    """Coarsest nodes 1 and 3 are hidden, with all that is in them but two nodes that are shown again; one of the rest is noise."""
    parents = [torch.tensor(parent) for parent in PARENTS[depth]]
    hidden = [torch.tensor([n in (1, 3) for n in range(int(parents[-1].max()) + 1)])]
    for parent in parents[::-1]:
        hidden.insert(0, hidden[0][parent])
    hidden[0][int(hidden[0].nonzero()[0])] = False
    if depth == 3:
        hidden[1][int(hidden[1].nonzero()[-1])] = False
    noisy = torch.zeros_like(hidden[0])
    noisy[int(hidden[0].nonzero()[-1])] = True
    return parents, hidden, noisy, torch.tensor([5])


MASKS = {depth: _masks(depth) for depth in PARENTS}


def features():
    return normal(11, 12, 12)


def walks(depth):
    return normal(12, len(MASKS[depth][1][-1]), 4).abs()


def edges(depth):
    """Both ways, without loops, a level."""
    pairs = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6], [6, 7], [7, 8], [8, 9], [9, 10], [10, 11], [0, 5], [3, 9]]).T
    found = [torch.cat([pairs, pairs.flip(0)], 1)]
    for parent in MASKS[depth][0]:
        above = parent[found[-1]]
        found.append(above[:, above[0] != above[1]].unique(dim=1))
    return found
