"""Checks of an encoder that reads packed samples: nothing hangs on the batch, on the order of rows, or on what a view took away."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unveil.contracts import Batch, Encoder, Features
from unveil.tokens import Graph


def check_packed(what: str, encoder: Encoder, batch: Batch) -> None:
    """All of them, in evaluation mode."""
    features = encoder(batch)
    _check_shapes(what, encoder, batch, features)
    _check_alone(what, encoder, batch, features)
    order = torch.argsort(batch.graph.sample * 1000 + (batch.graph.place * 7919) % 997, stable=True)
    shuffled = encoder(rows_of(batch, order))
    assert _close(features.pooled, shuffled.pooled) and _close(features.local[order], shuffled.local), \
        f"{what}: features hang on the order of a sample's rows"
    _check_taken(what, encoder, batch)
    bare = encoder(taken(batch, batch.graph.place > 0))
    assert bare.pooled.isfinite().all(), f"{what}: samples of one row have features that are not finite"


def _check_shapes(what: str, encoder: Encoder, batch: Batch, features: Features) -> None:
    rows = len(batch.graph.sample)
    assert features.graph is not None and features.graph.count == len(batch), f"{what}: packed features must carry their graph"
    if "rows" in encoder.supports:
        assert features.local.shape == (rows, encoder.width), f"{what}: local is {tuple(features.local.shape)}, not {(rows, encoder.width)}"
    if "vectors" in encoder.supports:
        held = features.vectors
        assert held is not None and held.shape[:2] == (rows, 3), f"{what}: supports vectors, but gives no vectors (rows, 3, D)"
    if "hierarchy" in encoder.supports:
        assert features.levels, f"{what}: supports hierarchy, but gives no levels"
        sizes = [rows, *(len(level.local) for level in features.levels)]
        assert sizes == sorted(sizes, reverse=True), f"{what}: levels must be finest first, they have {sizes} rows"


def _check_alone(what: str, encoder: Encoder, batch: Batch, features: Features) -> None:
    """In float32 to rounding; in float64 far below what float32 could hide."""
    alone = [encoder(batch.one(number)) for number in range(len(batch))]
    together = torch.cat([one.pooled for one in alone])
    assert _close(features.pooled, together), f"{what}: in evaluation a sample's features depend on its batch"
    if len(features.local) == len(batch.graph.sample):
        assert _close(features.local, torch.cat([one.local for one in alone])), f"{what}: the rows of a sample depend on its batch"
    state = {name: x.clone() for name, x in encoder.state_dict().items()}
    wide = _double(batch)
    encoder.double()
    whole = encoder(wide).pooled
    # ``one`` gives a sample as it is drawn, in float32: the batch is in double again after it.
    parts = torch.cat([encoder(_double(batch.one(number))).pooled for number in range(len(batch))])
    encoder.float().load_state_dict(state)
    far = float((whole - parts).abs().max() / whole.abs().max().clamp_min(1e-12))
    assert far <= 1e-10, f"{what}: in float64 a sample alone differs from the same in a batch by {far:.1e}, over 1e-10"


def _check_taken(what: str, encoder: Encoder, batch: Batch) -> None:
    """A third of the rows and a fifth of the rest's edges taken away by a view, against samples that never had them."""
    lost = (batch.graph.place % 3 == 2)
    gone = taken(batch, lost)
    if gone.graph.edges is not None:
        low, high = gone.graph.edges.amin(0), gone.graph.edges.amax(0)
        gone = replace(gone, graph=replace(gone.graph, edge_valid=gone.graph.edge_valid & ((low + high) % 5 > 0)))
    pooled = encoder(gone).pooled
    never = encoder(rows_of(gone, (~lost).nonzero()[:, 0]))
    assert _close(pooled, never.pooled), f"{what}: rows and edges that are not valid still change features"
    filled = replace(gone, values=torch.where(lost[:, None], torch.ones_like(gone.values), gone.values))
    assert _close(pooled, encoder(filled).pooled), f"{what}: what stands in a row that is not valid changes features"


def taken(batch: Batch, lost: Tensor) -> Batch:
    """The batch as a view without the rows ``lost`` leaves it: as many rows and edges, those not valid."""
    graph = batch.graph
    if graph.edges is not None:
        kept = ~(lost[graph.edges[0]] | lost[graph.edges[1]])
        graph = replace(graph, edge_valid=kept if graph.edge_valid is None else kept & graph.edge_valid)
    valid = ~lost if batch.valid is None else batch.valid & ~lost
    return replace(batch, values=batch.values * ~lost[:, None], valid=valid, graph=graph)


def rows_of(batch: Batch, rows: Tensor) -> Batch:
    """The rows ``rows`` of a batch in that order, each sample's still together, and the valid edges among them."""
    graph, pick = batch.graph, lambda x: None if x is None else x[rows]
    place = torch.full((len(graph.sample),), -1).index_copy(0, rows, torch.arange(len(rows)))
    made = Graph(graph.sample[rows], graph.count, graph.longest, cell=graph.cell, code=pick(graph.code), parent=pick(graph.parent),
                 coarser=graph.coarser)
    if graph.edges is not None:
        among = (place[graph.edges] >= 0).all(0)
        among = (among if graph.edge_valid is None else among & graph.edge_valid).nonzero()[:, 0]
        made.edges = place[graph.edges[:, among]]
        made.edge_values = None if graph.edge_values is None else graph.edge_values[among]
    return replace(batch, values=batch.values[rows], valid=pick(batch.valid), where=pick(batch.where), graph=made)


def more(encoder: Encoder, batch: Batch) -> list[Features]:
    """What an encoder answers to what it supports beside a plain pass: a condition, hidden tokens, hidden rows of every level."""
    found = [encoder(batch)]
    if "condition" in encoder.supports:
        given = torch.linspace(-1, 1, len(batch) * encoder.width).view(len(batch), -1).to(found[0].pooled)
        found.append(encoder.encode(encoder.embed(batch), condition=given))
    if "hide" in encoder.supports:
        tokens = encoder.embed(batch)
        second = (torch.arange(tokens.values.shape[1], device=tokens.values.device) % 2 == 1).expand(len(batch), -1)
        found.append(encoder.encode(tokens, hide=second))
    if "hierarchy" in encoder.supports:
        rows, graph = [], batch.graph
        while graph is not None:
            rows.append(graph.place % 2 == 1)
            graph = graph.coarser
        found.append(encoder.encode(encoder.embed(batch), hide=rows))
    return found


def check_condition(what: str, encoder: Encoder, batch: Batch) -> None:
    """A condition is seen, and one sample's changes no other's features."""
    tokens = encoder.embed(batch)
    given = torch.linspace(-1, 1, len(batch) * encoder.width).view(len(batch), -1)
    first = encoder.encode(tokens, condition=given).pooled
    other = given.clone()
    other[0] = -other[0] + 0.5
    second = encoder.encode(tokens, condition=other).pooled
    assert first.isfinite().all() and first.shape == (len(batch), encoder.width), f"{what}: a condition spoils the features"
    assert _close(first[1:], second[1:]), f"{what}: the condition of one sample changes the features of others"


def _double(batch: Batch) -> Batch:
    return batch.map(lambda x: x.double() if x.is_floating_point() else x)


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.allclose(a, b, rtol=1e-4, atol=1e-5 * float(a.abs().max().clamp_min(1))))
