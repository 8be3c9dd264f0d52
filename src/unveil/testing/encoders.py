"""Checks of an encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from unveil.contracts import Batch, Encoder, Method, Output, Spec, Step
from unveil.kinds.kind import Kind
from unveil.testing.cell import Cell
from unveil.testing.methods import check_reload
from unveil.testing.ops import watched
from unveil.testing.packed import check_condition, check_packed, more


class Plain(Method):
    """Nothing: stands where a cell wants a method."""

    def forward(self, batch: Batch, step: Step) -> Output:
        """The mean square of the features."""
        return Output(self.encoder(batch).pooled.square().mean())


def check_encoder(encoder_class: type[Encoder], kind: Kind | None = None, **settings: Any) -> None:
    """All checks of an encoder: its shapes, what it says it supports, that samples do not mix, gradients, waits, saving.

    Args:
        encoder_class: its ``tiny`` are the settings that it is checked with.
        kind: what it reads; None for the first that has samples for it.
        settings: over ``tiny``.

    Raises:
        AssertionError: with what is wrong.
    """
    cell = Cell(Plain, kind, encoder_class, encoder_settings=settings)
    what, batch = f"{encoder_class.__name__} on {cell.kind.name}", cell.batch(size=6)
    encoder, again = cell.build_encoder().eval(), cell.build_encoder().eval()
    assert encoder.state_dict().keys() == again.state_dict().keys() and \
        all(torch.equal(x, again.state_dict()[name]) for name, x in encoder.state_dict().items()), \
        f"{what}: the same seed builds other weights"
    assert Spec.from_json(encoder.spec.to_json()) == encoder.spec, f"{what}: encoder.spec must be the spec that it was built with"
    with torch.no_grad():
        _check_features(what, encoder, batch)
        if batch.graph is None:
            _check_alone(what, encoder, batch)
            _check_missing(what, encoder, batch)
        else:
            check_packed(what, encoder, batch)
        _check_views(what, encoder, cell, batch)
        if "condition" in encoder.supports:
            check_condition(what, encoder, batch)
        if "keep" in encoder.supports:
            _check_keep(what, encoder, batch)
        if "layers" in encoder.supports:
            _check_layers(what, encoder, batch)
        if "tokens" in encoder.supports:
            _check_tokens(what, encoder, batch)
    _check_learns(what, encoder, cell)
    with TemporaryDirectory() as place, cell.named() as names:
        built = cell.build_encoder()
        cell.encoder_settings |= getattr(built, "resolved", {})
        check_reload(built, cell, names, Path(place))


def _check_features(what: str, encoder: Encoder, batch: Batch) -> None:
    features = encoder(batch)
    assert features.pooled.shape == (len(batch), encoder.width), \
        f"{what}: pooled features are {tuple(features.pooled.shape)}, not (batch, width) = {(len(batch), encoder.width)}"
    assert features.local.shape[-1] == encoder.local_width and features.pooled.isfinite().all(), f"{what}: local features are not of width"
    assert torch.equal(features.pooled, encoder(batch).pooled), f"{what}: a second call answers otherwise: state survives a call"
    assert torch.equal(features.pooled, encoder.encode(encoder.embed(batch)).pooled), f"{what}: forward is not encode of embed"


def _check_alone(what: str, encoder: Encoder, batch: Batch) -> None:
    alone = torch.cat([encoder(batch.map(lambda x, i=i: x[i:i + 1])).pooled for i in range(len(batch))])
    together = encoder(batch).pooled
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5), f"{what}: in evaluation a sample's features depend on its batch"


def _check_missing(what: str, encoder: Encoder, batch: Batch) -> None:
    valid = torch.ones(len(batch), *batch.values.shape[2:], dtype=torch.bool)
    valid[:, :valid.shape[1] // 2] = False
    answers = [encoder(replace(batch, values=torch.where(valid[:, None], batch.values, filled), valid=valid)).pooled
               for filled in (torch.zeros(()), torch.full((), 3.0))]
    assert torch.allclose(*answers, atol=1e-6), f"{what}: what stands where a value is missing (batch.valid False) changes features"


def _check_views(what: str, encoder: Encoder, cell: Cell, batch: Batch) -> None:
    view, = cell.step().view(batch, area=(0.2, 0.6), size=0.5)
    pooled = encoder(view).pooled
    assert pooled.shape == (len(batch), encoder.width) and pooled.isfinite().all(), f"{what}: cannot read views of half the side"


def _check_keep(what: str, encoder: Encoder, batch: Batch) -> None:
    tokens = encoder.embed(batch)
    count = tokens.values.shape[1]
    keep = torch.arange(0, count, 2).expand(len(batch), -1)
    features = encoder.encode(tokens, keep=keep)
    assert features.local.shape[1] == keep.shape[1], f"{what}: of {keep.shape[1]} kept tokens {features.local.shape[1]} come back"
    other = tokens.values.clone()
    other[:, 1::2] = 9.0
    hidden = encoder.encode(replace(tokens, values=other), keep=keep)
    assert torch.equal(features.pooled, hidden.pooled), f"{what}: dropped tokens still change the features"
    every = encoder.encode(tokens, keep=torch.arange(count).expand(len(batch), -1))
    assert torch.allclose(every.pooled, encoder.encode(tokens).pooled, rtol=1e-4, atol=1e-5), f"{what}: keeping all is not dropping none"


def _check_layers(what: str, encoder: Encoder, batch: Batch) -> None:
    features = encoder(batch, layers=range(encoder.depth))
    assert len(features.hidden) == encoder.depth, f"{what}: {encoder.depth} layers were asked for, {len(features.hidden)} came"
    assert all(x.shape == features.local.shape for x in features.hidden), f"{what}: hidden layers are not shaped like local features"


def _check_tokens(what: str, encoder: Encoder, batch: Batch) -> None:
    tokens = encoder.embed(batch)
    count = torch.tensor(tokens.grid).prod()
    assert tokens.values.shape[1] == count, f"{what}: {tokens.values.shape[1]} tokens on a grid of {tokens.grid}"
    assert tokens.raw is not None and tokens.raw.shape[:2] == tokens.values.shape[:2] and tokens.raw.shape[2] == encoder.patch_values, \
        f"{what}: tokens.raw must hold the patch_values = {encoder.patch_values} values of each token"
    assert tokens.where.shape == (*tokens.values.shape[:2], len(tokens.grid)), f"{what}: tokens.where must hold a coordinate an axis"


def _check_learns(what: str, encoder: Encoder, cell: Cell) -> None:
    counts = []
    for size in (3, 6):
        part = cell.batch(size=size)

        def update(part=part):
            for found in more(encoder.train(), part):
                aims = [found.pooled, *(level.local for level in found.levels), *([] if found.vectors is None else [found.vectors])]
                sum((aim * torch.linspace(-1, 1, aim.shape[-1])).sum() for aim in aims).backward()

        update()
        count, waits = watched(update, encoder.waits)
        assert not waits, f"{what}: waits for the device, by {', '.join(sorted(set(waits)))}"
        counts.append(count)
    assert counts[1] <= counts[0], f"{what}: the number of operations grows with the batch, {counts[0]} to {counts[1]}"
    missed = [name for name, p in encoder.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not missed, f"{what}: no gradient reaches {', '.join(missed[:3])}"
