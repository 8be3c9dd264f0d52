"""Laya: its loss against sums written out, where gradient goes, and what its controls leave out."""

import pytest
import torch
from torch.nn import functional as F

from unveil.encoders.montage import Montage
from unveil.kinds.signal import Signal
from unveil.methods.laya import Laya
from unveil.parts.losses import query_overlap, sigreg
from unveil.parts.stretches import stretches
from unveil.randomness import Generator
from unveil.testing import Cell


@pytest.fixture(scope="module")
def cell():
    return Cell(Laya, Signal(window=64, montage="mixed"), Montage)


def grads(module, loss):
    found = torch.autograd.grad(loss, list(module.parameters()), allow_unused=True, retain_graph=True)
    return sum(float(g.abs().sum()) for g in found if g is not None)


def test_overlap_of_queries_by_hand():
    """The authors' squared form: every entry of W W^T but the diagonal, squared, over all Q x Q entries."""
    mixing = Generator("overlap").uniform(2, 3, 4, 5)
    mixing = mixing / mixing.sum(-1, keepdim=True)
    total = 0.0
    for w in mixing.flatten(0, 1):
        total += sum(float((w[a] @ w[b]) ** 2) for a in range(4) for b in range(4) if a != b) / 16
    assert float(query_overlap(mixing)) == pytest.approx(total / 6, rel=1e-5)
    assert float(query_overlap(torch.eye(4))) == 0


@pytest.mark.parametrize("stop", ["before projector", "after projector", "none"])
def test_loss_is_the_sum_of_its_terms(cell, stop):
    method, batch, step = cell.build(stop=stop, weight=0.3, overlap=0.7, statistics="apart").train(), cell.batch(), cell.step()
    out = method(batch, step)
    tokens = method.encoder.embed(batch)
    masks = stretches(16, 0.6, (2, 4), step.generator("masks"), batch.keys)
    at = masks.targets[:, 0]
    whole, seen = method.encoder.encode(tokens), method.encoder.encode(tokens, keep=masks.context)
    project = lambda x: method.project(x.flatten(0, -2)).view(*x.shape[:-1], -1)
    goal = project(torch.stack([local[places] for local, places in zip(whole.local, at)]))
    answer = method.predictor(project(seen.local), masks.context, at, tokens.grid)
    gaussian = sigreg(project(whole.local.mean(1)), step.generator("slices").normal(8, 64))
    torch.testing.assert_close(out.loss, (answer - goal).square().mean() + 0.3 * gaussian + 0.7 * query_overlap(tokens.mixing))


def test_gradient_ends_where_it_is_said_to(cell):
    """Of the targets alone: with the answer held fixed, and no SIGReg or overlap, only what stop admits has gradient."""
    found = {}
    for stop in ("before projector", "after projector", "none"):
        method = cell.build(stop=stop, weight=0.0, overlap=0.0, statistics="apart").train()
        for p in method.predictor.parameters():
            p.data.zero_()
        method.predictor.forward = lambda seen, seen_at, asked_at, grid: torch.zeros(*asked_at.shape, 8)
        loss = method(cell.batch(), cell.step()).loss
        found[stop] = [grads(part, loss) > 0 if loss.requires_grad else False for part in (method.encoder.blocks, method.project)]
    assert found == {"before projector": [False, True], "after projector": [False, False], "none": [True, True]}


def test_joint_statistics_keep_apart_what_hardly_differs(cell):
    """Pooled features that are all but equal beside tokens that differ: under their own statistics they are blown up to deviation 1."""
    tokens, pooled = Generator("tokens").normal(32, 8, 32), 1e-3 * Generator("pooled").normal(32, 1, 32)
    spread = {}
    for name in ("joint", "apart"):
        method = cell.build(statistics=name).train()
        spread[name] = float(method._projections(pooled, tokens)[0].detach().std(0).mean())
    assert spread["apart"] > 20 * spread["joint"]


def test_signal_is_asked_of_present_channels_alone(cell):
    """What stands in channels that are not there, which a kind keeps at 0, has no part in the error."""
    method, batch, step = cell.build(target="signal", overlap=0.0), cell.batch(), cell.step()
    out = method(batch, step).loss
    masks = stretches(16, 0.6, (2, 4), step.generator("masks"), batch.keys)
    tokens = method.encoder.embed(batch)
    answer = method.predictor(method.encoder.encode(tokens, keep=masks.context).local, masks.context, masks.targets[:, 0], tokens.grid)
    said, error = method.decoder(answer, batch), []
    for sample, places in enumerate(masks.targets[:, 0]):
        for channel in range(batch.values.shape[1]):
            if batch.extras["channel"][sample, channel] >= 0:
                values = batch.values[sample, channel].view(16, 4)[places]
                error.append((said[sample, :, channel] - values).square())
    torch.testing.assert_close(out, torch.stack(error).mean())


def test_tokens_are_asked_normalised_and_without_gradient(cell):
    method, batch, step = cell.build(target="tokens", overlap=0.0), cell.batch(), cell.step()
    masks = stretches(16, 0.6, (2, 4), step.generator("masks"), batch.keys)
    tokens = method.encoder.embed(batch)
    answer = method.predictor(method.encoder.encode(tokens, keep=masks.context).local, masks.context, masks.targets[:, 0], tokens.grid)
    goal = torch.stack([F.layer_norm(x[places], (32,)) for x, places in zip(tokens.values.detach(), masks.targets[:, 0])])
    torch.testing.assert_close(method(batch, step).loss, (answer - goal).square().mean())
    assert method.project is None


def test_missing_values_are_not_asked(cell):
    from dataclasses import replace
    method, batch, step = cell.build().train(), cell.batch(), cell.step()
    valid = torch.ones(8, 64, dtype=torch.bool)
    valid[:, 30:50] = False
    losses = [method(replace(batch, values=torch.where(valid[:, None], batch.values, filled), valid=valid), step).loss
              for filled in (torch.zeros(()), torch.full((), 4.0))]
    assert torch.equal(*losses) and losses[0].isfinite()
