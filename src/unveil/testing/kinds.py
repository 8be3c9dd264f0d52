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
    check_views(kind, batch)
    check_corruptions(kind, train.batch(torch.arange(64)))
    figures = kind.statistics(batch)
    assert figures.shape[0] == len(batch) and figures.dim() == 2 and figures.isfinite().all(), \
        f"{kind.name}: statistics must be finite (batch, figures), they are {tuple(figures.shape)}"
    alone = torch.cat([kind.statistics(_rows(batch, slice(i, i + 1))) for i in range(len(batch))])
    assert torch.allclose(figures, alone, rtol=1e-4, atol=1e-5), f"{kind.name}: the statistics of a sample depend on its batch"
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
    assert len(spec.shape) == len(spec.axes) == len(spec.spacing), f"{kind.name}: shape, axes and spacing must be of equal length"


def check_views(kind: Kind, batch: Batch) -> None:
    """Views are keyed draws within their source, shaped as asked, made without waiting and without touching the sample."""
    same, = _views(kind, batch, 1, PLAIN)
    assert torch.equal(same.values, batch.values), f"{kind.name}: a view that asks for no change changes values"
    for name, asked in ASKED.items():
        before, state = batch.values.clone(), torch.get_rng_state()
        views = _views(kind, batch, 2, asked)
        assert torch.equal(batch.values, before), f"{kind.name}, {name}: making views changed the sample itself"
        assert torch.equal(torch.get_rng_state(), state), f"{kind.name}, {name}: drew from torch's global generator"
        assert len(views) == 2, f"{kind.name}, {name}: two views were asked for, {len(views)} came"
        for view in views:
            _check_view(kind, name, view, batch, asked)
        if name != "symmetries":
            assert not torch.equal(views[0].values, views[1].values), f"{kind.name}, {name}: two views of a sample are equal"
        halves = [_views(kind, _rows(batch, part), 2, asked) for part in (slice(0, len(batch) // 2), slice(len(batch) // 2, None))]
        for whole, parts in zip(views, zip(*halves, strict=True), strict=True):
            assert torch.allclose(whole.values, torch.cat([part.values for part in parts]), rtol=1e-5, atol=1e-6), \
                f"{kind.name}, {name}: a batch cut in two is viewed otherwise: key every draw by batch.keys"
        _check_work(kind, name, batch, asked)


def check_corruptions(kind: Kind, batch: Batch) -> None:
    """Corruptions are keyed draws that keep shape and missing values, and are on average the farther the more severe."""
    assert kind.corruptions, f"{kind.name}: there is nothing that it can be corrupted by"
    for name in kind.corruptions:
        before, distances = batch.values.clone(), []
        for severity in range(1, 6):
            changed = _corrupted(kind, batch, name, severity)
            assert torch.equal(batch.values, before), f"{kind.name}, {name}: the corruption changed the sample itself"
            assert changed.values.shape == before.shape and changed.values.isfinite().all(), \
                f"{kind.name}, {name} {severity}: values are not finite or of another shape"
            assert torch.equal(changed.values, _corrupted(kind, batch, name, severity).values), \
                f"{kind.name}, {name} {severity}: the same generator corrupts otherwise"
            halves = [_corrupted(kind, _rows(batch, part), name, severity).values for part in (slice(0, 32), slice(32, None))]
            assert torch.allclose(changed.values, torch.cat(halves), rtol=1e-5, atol=1e-6), \
                f"{kind.name}, {name} {severity}: a batch cut in two is corrupted otherwise: key every draw by batch.keys"
            distances.append(float((changed.values - before).flatten(1).norm(dim=1).mean()))
        assert distances[0] > 0, f"{kind.name}, {name}: severity 1 changes nothing"
        assert all(b >= a * (1 - 1e-3) for a, b in pairwise(distances)), \
            f"{kind.name}, {name}: a higher severity changes less: {', '.join(f'{x:.3g}' for x in distances)}"
        valid = torch.ones(len(batch), *before.shape[2:], dtype=torch.bool)
        valid.flatten(1)[:, :3] = False
        holed = replace(batch, values=before * valid[:, None], valid=valid)
        changed = _corrupted(kind, holed, name, 5)
        assert (changed.values * ~changed.valid[:, None] == 0).all(), f"{kind.name}, {name}: a missing value got a value"
        _, waits = watched(lambda name=name: _corrupted(kind, batch, name, 3))
        assert not waits, f"{kind.name}, {name}: waits for the device, by {', '.join(sorted(set(waits)))}"


def _corrupted(kind: Kind, batch: Batch, name: str, severity: int) -> Batch:
    return kind.corrupt(batch, name, severity, Generator("check corruptions"))


def _check_view(kind: Kind, name: str, view: Batch, batch: Batch, asked: dict[str, Any]) -> None:
    shape = tuple(max(1, round(side * asked["size"])) for side in batch.values.shape[2:])
    assert view.values.shape == (*batch.values.shape[:2], *shape), f"{kind.name}, {name}: views are {tuple(view.values.shape)}"
    assert view.values.isfinite().all(), f"{kind.name}, {name}: a view has values that are not finite"
    assert torch.equal(view.ids, batch.ids) and torch.equal(view.keys, batch.keys), f"{kind.name}, {name}: a view loses ids or keys"
    low, high = view.box.amin(1), view.box.amax(1)
    slack = 1e-4 * (batch.box[:, 1] - batch.box[:, 0])
    assert (low >= batch.box[:, 0] - slack).all() and (high <= batch.box[:, 1] + slack).all(), \
        f"{kind.name}, {name}: a view's box lies outside its source"
    share = ((high - low) / (batch.box[:, 1] - batch.box[:, 0])).prod(-1)
    least, most = asked["area"]
    assert (share > 0.8 * least).all() and (share < most + 1e-4).all(), \
        f"{kind.name}, {name}: views cover {share.min():.2f} to {share.max():.2f} of their source, {least} to {most} were asked for"
    again, = _views(kind, view, 1, asked)
    assert again.values.isfinite().all(), f"{kind.name}, {name}: a view cannot be viewed again"


def _check_work(kind: Kind, name: str, batch: Batch, asked: dict[str, Any]) -> None:
    counts = []
    for part in (slice(0, len(batch) // 2), slice(None)):
        count, waits = watched(lambda part=part: _views(kind, _rows(batch, part), 2, asked))
        assert not waits, f"{kind.name}, {name}: a view waits for the device, by {', '.join(sorted(set(waits)))}"
        counts.append(count)
    assert counts[1] <= counts[0] + 4, f"{kind.name}, {name}: the number of operations grows with the batch, {counts[0]} to {counts[1]}"


def _views(kind: Kind, batch: Batch, count: int, asked: dict[str, Any]) -> list[Batch]:
    return kind.view(batch, count, **asked, generator=Generator("check views"))


def _rows(batch: Batch, part: slice) -> Batch:
    def cut(x: Tensor) -> Tensor:
        return x[part]

    return batch.map(cut)
