"""Checks of a kind."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.kinds.kind import Kind
from unveil.randomness import Generator
from unveil.testing.cell import planted
from unveil.testing.ops import watched

PLAIN = dict(area=(1.0, 1.0), size=1.0, strength=0.0, symmetry=False)
ASKED = {"crops": dict(PLAIN, area=(0.3, 1.0)), "small views": dict(PLAIN, area=(0.1, 0.4), size=0.5),
         "value changes": dict(PLAIN, strength=1.0), "symmetries": dict(PLAIN, symmetry=True),
         "all together": dict(area=(0.3, 1.0), size=0.5, strength=1.0, symmetry=True)}


def check_kind(kind_class: type[Kind], **settings: Any) -> None:
    """All checks of a kind: planted set, views, corruptions, statistics, drawing, and settings that read new data alike.

    Args:
        kind_class: checked with its planted samples, so it must not need outside data.
        settings: of the kind.

    Raises:
        AssertionError: with what is wrong.
    """
    kind = kind_class(**settings)
    check_planted(kind)
    train = planted(kind)[0]
    batch = train.batch(torch.arange(8))
    if batch.graph is not None:
        check_packed(kind, batch)
    check_views(kind, batch)
    check_corruptions(kind, train.batch(torch.arange(64)))
    figures = kind.statistics(batch)
    assert figures.shape[0] == len(batch) and figures.dim() == 2 and figures.isfinite().all(), \
        f"{kind.name}: statistics must be finite (batch, figures), they are {tuple(figures.shape)}"
    flat = kind.flat(batch)
    assert flat.shape[0] == len(batch) and flat.dim() == 2 and flat.isfinite().all(), \
        f"{kind.name}: flat must give finite (batch, figures), it gives {tuple(flat.shape)}"
    for name, of, whole in (("statistics", kind.statistics, figures), ("plain values", kind.flat, flat)):
        alone = torch.cat([of(_rows(batch, slice(i, i + 1))) for i in range(len(batch))])
        assert torch.allclose(whole, alone, rtol=1e-4, atol=1e-5), f"{kind.name}: the {name} of a sample depend on its batch"
    drawn = kind.draw(batch.one(0))
    assert drawn.lstrip().startswith("<") and drawn.rstrip().endswith(">"), f"{kind.name}: draw must give an image tag or SVG"
    fixed = kind.fixed(train)
    again = kind_class(**fixed)
    assert again.fixed(train) == fixed, f"{kind.name}: a kind built from fixed() fixes something else"


def check_planted(kind: Kind, count: int = 64) -> None:
    """The planted set is a pure function of its generator, and its hidden factor has four values that are all there."""
    first, again, other = (kind.planted(count, Generator("check", number)) for number in (1, 1, 2))
    values = [samples.batch(torch.arange(count)).values for samples in (first, again, other)]
    assert torch.equal(values[0], values[1]), f"{kind.name}: the same generator plants other samples"
    assert not torch.equal(values[0], values[2]), f"{kind.name}: another generator plants the same samples"
    assert values[0].isfinite().all() and values[0].dtype == torch.float32, f"{kind.name}: planted values must be finite float32"
    labels = np.bincount(first.labels, minlength=4)
    assert len(labels) == 4 and labels.min() >= count // 8, f"{kind.name}: the factor's four values must all be there, they are {labels}"
    spec = first.spec()
    assert values[0].shape[1:] == (spec.channels, *spec.shape), f"{kind.name}: samples are not shaped as the spec says"
    assert len(spec.axes) == len(spec.spacing) and (spec.packed or len(spec.shape) == len(spec.axes)), \
        f"{kind.name}: shape (of samples with a grid), axes and spacing must be of equal length"


def check_packed(kind: Kind, batch: Batch) -> None:
    """A sample of a packed batch alone is what it is beside others, at every level, and samples laid end to end again are the batch."""
    again = Batch.cat([batch.one(i) for i in range(len(batch))])
    levels, wanted = [again.graph], [batch.graph]
    while wanted[-1].coarser is not None:
        assert (wanted[-1].coarser.sample[wanted[-1].parent] == wanted[-1].sample).all(), \
            f"{kind.name}: a row is part of a coarser row of another sample"
        levels, wanted = [*levels, levels[-1].coarser], [*wanted, wanted[-1].coarser]
    assert torch.equal(again.values, batch.values), f"{kind.name}: samples taken one by one are not those of the batch"
    for level, (found, graph) in enumerate(zip(levels, wanted, strict=True)):
        assert graph.count == len(batch) and graph.longest >= int(torch.bincount(graph.sample).max()), \
            f"{kind.name}, level {level}: count or longest is wrong"
        if graph.edges is not None:
            assert (graph.sample[graph.edges[0]] == graph.sample[graph.edges[1]]).all(), \
                f"{kind.name}, level {level}: an edge joins two samples"
        for name, x in vars(graph).items():
            assert not isinstance(x, Tensor) or torch.equal(x, getattr(found, name)), \
                f"{kind.name}, level {level}: {name} of samples taken one by one are not those of the batch"


def check_views(kind: Kind, batch: Batch) -> None:
    """Views are keyed draws within their source, shaped as asked, made without waiting and without touching the sample."""
    same, = _views(kind, batch, 1, PLAIN)
    assert _differ(same, batch) is None, f"{kind.name}: a view that asks for no change changes {_differ(same, batch)}"
    for name, asked in ASKED.items():
        before, state = batch.map(Tensor.clone), torch.get_rng_state()
        views = _views(kind, batch, 2, asked)
        assert _differ(batch, before) is None, f"{kind.name}, {name}: making views changed the sample itself"
        assert torch.equal(torch.get_rng_state(), state), f"{kind.name}, {name}: drew from torch's global generator"
        assert len(views) == 2, f"{kind.name}, {name}: two views were asked for, {len(views)} came"
        for view in views:
            _check_view(kind, name, view, batch, asked)
        if name != "symmetries":
            assert _differ(*views) is not None, f"{kind.name}, {name}: two views of a sample are equal"
        halves = [_views(kind, _rows(batch, part), 2, asked) for part in (slice(0, len(batch) // 2), slice(len(batch) // 2, None))]
        for whole, parts in zip(views, zip(*halves, strict=True), strict=True):
            assert _differ(whole, Batch.cat(parts), near=True) is None, \
                f"{kind.name}, {name}: a batch cut in two is viewed otherwise: key every draw by batch.keys"
        _check_work(kind, name, batch, asked)


def check_corruptions(kind: Kind, batch: Batch) -> None:
    """Corruptions are keyed draws that keep shape and missing values, and are on average the farther the more severe."""
    assert kind.corruptions, f"{kind.name}: there is nothing that it can be corrupted by"
    for name in kind.corruptions:
        before, distances = batch.map(Tensor.clone), []
        for severity in range(1, 6):
            changed = _corrupted(kind, batch, name, severity)
            assert _differ(batch, before) is None, f"{kind.name}, {name}: the corruption changed the sample itself"
            assert changed.values.shape == before.values.shape and changed.values.isfinite().all(), \
                f"{kind.name}, {name} {severity}: values are not finite or of another shape"
            assert _differ(changed, _corrupted(kind, batch, name, severity)) is None, \
                f"{kind.name}, {name} {severity}: the same generator corrupts otherwise"
            halves = [_corrupted(kind, _rows(batch, part), name, severity) for part in (slice(0, 32), slice(32, None))]
            assert _differ(changed, Batch.cat(halves), near=True) is None, \
                f"{kind.name}, {name} {severity}: a batch cut in two is corrupted otherwise: key every draw by batch.keys"
            distances.append(_distance(changed, before))
        assert distances[0] > 0, f"{kind.name}, {name}: severity 1 changes nothing"
        assert all(b >= a * (1 - 1e-3) for a, b in pairwise(distances)), \
            f"{kind.name}, {name}: a higher severity changes less: {', '.join(f'{x:.3g}' for x in distances)}"
        valid = torch.ones(before.values[:, 0].shape if batch.graph is None else len(before.values), dtype=torch.bool)
        valid.view(len(valid), -1)[:3 if batch.graph is not None else None, :3] = False
        holed = replace(batch, values=before.values * (valid[:, None]), valid=valid)
        changed = _corrupted(kind, holed, name, 5)
        assert (changed.values * ~changed.valid[:, None] == 0).all(), f"{kind.name}, {name}: a missing value got a value"
        _, waits = watched(lambda name=name: _corrupted(kind, batch, name, 3))
        assert not waits, f"{kind.name}, {name}: waits for the device, by {', '.join(sorted(set(waits)))}"


def _corrupted(kind: Kind, batch: Batch, name: str, severity: int) -> Batch:
    return kind.corrupt(batch, name, severity, Generator("check corruptions"))


def _facts(batch: Batch) -> dict[str, Tensor]:
    """What a network can see of a batch, by name."""
    facts, graph = {"values": batch.values}, batch.graph
    if graph is None:
        return facts
    facts["valid rows"] = torch.ones(len(batch.values), dtype=torch.bool) if batch.valid is None else batch.valid
    facts |= {name: x for name, x in (("places", batch.where), ("cells", graph.cell), ("edges", graph.edges),
                                      ("edge values", graph.edge_values)) if x is not None}
    if graph.edges is not None:
        facts["valid edges"] = torch.ones_like(graph.edges[0], dtype=torch.bool) if graph.edge_valid is None else graph.edge_valid
    return facts


def _differ(a: Batch, b: Batch, near: bool = False) -> str | None:
    """The name of what differs between two batches, if anything does; by more than rounding where ``near``."""
    for (name, x), y in zip(_facts(a).items(), _facts(b).values(), strict=True):
        if x.shape != y.shape or not (torch.allclose(x, y, rtol=1e-5, atol=1e-6) if near and x.is_floating_point() else torch.equal(x, y)):
            return name
    return None


def _distance(a: Batch, b: Batch) -> float:
    """How far two batches are apart, per sample; of packed ones the share of what hangs together otherwise is added."""
    if a.graph is None:
        return float((a.values - b.values).flatten(1).norm(dim=1).mean())
    pairs = zip(_facts(a).values(), _facts(b).values(), strict=True)
    return sum(float((x - y).abs().mean() if x.is_floating_point() else (x != y).double().mean()) for x, y in pairs)


def _check_view(kind: Kind, name: str, view: Batch, batch: Batch, asked: dict[str, Any]) -> None:
    assert view.values.isfinite().all(), f"{kind.name}, {name}: a view has values that are not finite"
    assert torch.equal(view.ids, batch.ids) and torch.equal(view.keys, batch.keys), f"{kind.name}, {name}: a view loses ids or keys"
    share = _share_of_grid(kind, name, view, batch, asked) if batch.graph is None else _share_of_rows(kind, name, view, batch)
    least, most = asked["area"]
    slack = 0.0 if batch.graph is None else 1 / torch.bincount(batch.graph.sample)  # rows are whole
    assert (share > 0.8 * least - slack).all() and (share < most + slack + 1e-4).all(), \
        f"{kind.name}, {name}: views cover {share.min():.2f} to {share.max():.2f} of their source, {least} to {most} were asked for"
    again, = _views(kind, view, 1, asked)
    assert again.values.isfinite().all(), f"{kind.name}, {name}: a view cannot be viewed again"


def _share_of_grid(kind: Kind, name: str, view: Batch, batch: Batch, asked: dict[str, Any]) -> Tensor:
    shape = tuple(max(1, round(side * asked["size"])) for side in batch.values.shape[2:])
    assert view.values.shape == (*batch.values.shape[:2], *shape), f"{kind.name}, {name}: views are {tuple(view.values.shape)}"
    low, high = view.box.amin(1), view.box.amax(1)
    slack = 1e-4 * (batch.box[:, 1] - batch.box[:, 0])
    assert (low >= batch.box[:, 0] - slack).all() and (high <= batch.box[:, 1] + slack).all(), \
        f"{kind.name}, {name}: a view's box lies outside its source"
    return ((high - low) / (batch.box[:, 1] - batch.box[:, 0])).prod(-1)


def _share_of_rows(kind: Kind, name: str, view: Batch, batch: Batch) -> Tensor:
    """Rows and edges stay where they are, so that nothing waits; what is left out is not valid, both ways of an edge together."""
    assert view.values.shape == batch.values.shape and torch.equal(view.graph.sample, batch.graph.sample), \
        f"{kind.name}, {name}: a view has other rows; rows that it leaves out must stay, as not valid"
    valid, edges = _facts(view)["valid rows"], view.graph.edges
    assert not view.values[~valid].any(), f"{kind.name}, {name}: a row that is not valid has values"
    if edges is not None:
        left = edges[:, _facts(view)["valid edges"]]
        assert edges.shape == batch.graph.edges.shape, f"{kind.name}, {name}: a view has other edges; what it leaves out is not valid"
        assert valid[left].all(), f"{kind.name}, {name}: an edge of a row that is not valid is left"
        names = lambda pairs: (pairs[0] * len(valid) + pairs[1]).sort().values
        if torch.equal(names(edges), names(edges.flip(0))):
            assert torch.equal(names(left), names(left.flip(0))), f"{kind.name}, {name}: an edge is dropped in one direction alone"
    kept = torch.zeros(len(batch)).index_add_(0, batch.graph.sample, valid.float())
    assert (kept > 0).all(), f"{kind.name}, {name}: a view has no row of a sample"
    return kept / torch.bincount(batch.graph.sample)


def _check_work(kind: Kind, name: str, batch: Batch, asked: dict[str, Any]) -> None:
    counts = []
    for part in (slice(0, len(batch) // 2), slice(None)):
        cut = _rows(batch, part)
        count, waits = watched(lambda cut=cut: _views(kind, cut, 2, asked))
        assert not waits, f"{kind.name}, {name}: a view waits for the device, by {', '.join(sorted(set(waits)))}"
        counts.append(count)
    assert counts[1] <= counts[0] + 4, f"{kind.name}, {name}: the number of operations grows with the batch, {counts[0]} to {counts[1]}"


def _views(kind: Kind, batch: Batch, count: int, asked: dict[str, Any]) -> list[Batch]:
    return kind.view(batch, count, **asked, generator=Generator("check views"))


def _rows(batch: Batch, part: slice) -> Batch:
    """Some of the samples."""
    if batch.graph is not None:
        return Batch.cat([batch.one(number) for number in range(len(batch))[part]])
    return batch.map(lambda x: x[part])
