"""The field's plain features of graphs, without a network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.kinds.graph.view import edges_there, per_sample
from unveil.randomness import mix

WIDTH = 1024  # places that colours are hashed to
ROUNDS = 3
DEGREES = 9  # 0 to 7, and more
BINS = 20  # of mean degree: a quarter of them are parts enough for an interval
_NODE, _EDGE, _BOND = 0x1E3779B97F4A7C15, 0x42B2AE3D27D4EB4F, 0x165667B19E3779F9  # odd


def circles(batch: Batch, steps: Tensor | None, rounds: int = ROUNDS, width: int = WIDTH) -> Tensor:
    """How often each circular environment of nodes occurs, hashed to ``(B, width)``.

    The colours of Weisfeiler and Lehman (Shervashidze et al. 2011) with the features of edges in them: a node starts as its features
    and in each round becomes itself with all its neighbours, each with its edge. Colours of all rounds are counted. With features
    of atoms and bonds these are the environments of extended-connectivity fingerprints (ECFP, Rogers and Hahn 2010) up to
    a diameter of twice the rounds, counted, environments that cover the same atoms not taken together.

    Args:
        batch: packed; what a view took away does not count.
        steps: ``(C)``, the size of a step in which a feature that is no whole number is told apart; None for ones.
        rounds: of refinement.
        width: places.
    """
    graph, alive, valid = batch.graph, batch.there, edges_there(batch.graph)
    colour = _hashed(batch.values if steps is None else batch.values / steps.to(batch.values))
    bond = 0 if graph.edge_values is None else mix(_hashed(graph.edge_values) * _BOND)
    counts = batch.values.new_zeros(graph.count * width)
    for number in range(rounds + 1):
        if number:
            around = mix(colour[graph.edges[0]] * _EDGE + bond) * valid
            colour = mix(colour * _NODE + torch.zeros_like(colour).index_add_(0, graph.edges[1], around) + number)
        counts.index_add_(0, graph.sample * width + mix(colour).remainder(width), alive.to(counts))
    return counts.view(graph.count, width)


def _hashed(x: Tensor) -> Tensor:
    """One int64 a row of ``x (N, C)``, from its values rounded to whole numbers."""
    place = torch.arange(1, x.shape[1] + 1, device=x.device) * _NODE
    return mix(mix(x.round().long() + place) * _BOND).sum(1)


def sums(batch: Batch) -> Tensor:
    """Number of nodes, and sums of node features ``(B, 1 + C)``."""
    graph, alive = batch.graph, batch.there.to(batch.values)
    total = batch.values.new_zeros(graph.count, batch.values.shape[1]).index_add_(0, graph.sample, batch.values * alive[:, None])
    return torch.cat([per_sample(graph, alive)[:, None], total], 1)


def degrees(batch: Batch) -> Tensor:
    """Number of edges, and of nodes with 0, 1, ... neighbours ``(B, 1 + DEGREES)``."""
    graph, alive = batch.graph, batch.there
    many = torch.zeros_like(graph.sample).index_add_(0, graph.edges[1], edges_there(graph).long())
    counts = batch.values.new_zeros(graph.count * DEGREES)
    counts.index_add_(0, graph.sample * DEGREES + many.clamp_max(DEGREES - 1), alive.to(counts))
    return torch.cat([per_sample(graph, (many * alive).to(counts))[:, None] / 2, counts.view(-1, DEGREES)], 1)


def degree_bins(samples: Samples) -> tuple[np.ndarray, list[str]]:
    """Bins of the mean degree, up to :data:`BINS` of about equally many graphs, from least to greatest; equal degrees are in one bin.

    Returns:
        the bin of each graph ``(n,)``, and what each bin holds.

    Raises:
        Unusable: where all have the same mean degree.
    """
    degree = (samples.fetch.many.double() / samples.fetch.sizes)[samples.index].numpy()
    cuts = np.unique(np.quantile(degree, np.arange(1, BINS) / BINS))
    _, group = np.unique(np.searchsorted(cuts, degree, side="right"), return_inverse=True)
    if not group.any():
        raise Unusable(f"all {len(degree):,} graphs are in one bin of mean degree, {degree.min():.3g} to {degree.max():.3g} neighbours a "
                       "node: leave out --groups degree")
    inside = [degree[group == number] for number in range(group.max() + 1)]
    return group, [f"{held.min():.3g} to {held.max():.3g} neighbours a node" for held in inside]
