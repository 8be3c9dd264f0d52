"""UniMotion, TS2Vec and PatchTST: what they hide, where they cut, and what their networks may not see."""

import torch

from unveil.encoders.channelwise import Channelwise
from unveil.encoders.dilated import Dilated
from unveil.encoders.limu import LIMU, nucleus
from unveil.kinds.signal import Signal
from unveil.methods.patchtst import PatchTST
from unveil.methods.ts2vec import TS2Vec
from unveil.methods.unimotion import UniMotion
from unveil.randomness import Generator
from unveil.testing import Cell

KIND = Signal(window=64)


def plain_nucleus(x, lag, jump, shift, apart):
    """One series ``(C, T)``."""
    energy, length = x.norm(dim=0), x.shape[1]
    points = []
    for t in range(length - lag):
        if abs(energy[t + lag] - energy[t]) > jump and (not points or t - points[-1] >= apart):
            points.append(t)
    begin = points[0] + shift if points else length
    end = (points[1] if len(points) > 1 else points[0] + 10) + shift if points else 0
    return (0, 20) if begin >= length else (begin, min(end, length))


def test_the_nucleus_is_where_energy_jumps():
    x = Generator("series").normal(40, 3, 120) + 6 * (torch.arange(120) % 50 < torch.arange(40)[:, None]).float()[:, None]
    how = dict(lag=8, jump=5.0, shift=6, apart=12)
    found, kinds = nucleus(x, **how), set()
    for series, mask in zip(x, found, strict=True):
        begin, end = plain_nucleus(series, **how)
        assert mask.nonzero()[:, 0].tolist() == list(range(begin, end))
        kinds.add((begin, end) == (0, 20))
    assert kinds == {True, False}


def test_a_hidden_value_is_zero_and_its_marks_stay():
    cell = Cell(UniMotion, KIND, LIMU)
    encoder, batch = cell.build_encoder().eval(), cell.batch()
    hide = Generator("hide").uniform(8, 64) < 0.3
    tokens = encoder.embed(batch)
    mean = torch.tensor(encoder.spec.mean)[:, None]
    empty = encoder.embed(batch.map(torch.clone))
    zero = torch.where(hide[:, None], mean, batch.values)
    empty.values = encoder.embed(type(batch)(zero, batch.ids, batch.keys, box=batch.box)).values
    with torch.no_grad():
        torch.testing.assert_close(encoder.encode(tokens, hide=hide).local, encoder.encode(empty).local)


def test_a_window_anywhere_is_the_sample_s_own():
    cell = Cell(UniMotion, KIND, LIMU, encoder_settings=dict(nucleus="anywhere"))
    encoder, batch = cell.build_encoder().eval(), cell.batch(size=64)
    core = encoder.embed(batch).core
    assert torch.equal(core, encoder.embed(batch).core) and (core.sum(1) == 12).all() and core.unique(dim=0).shape[0] > 20


def test_without_marks_and_bias_nothing_depends_on_the_nucleus():
    """That is LIMU-BERT."""
    cell = Cell(UniMotion, KIND, LIMU, settings=dict(masks="uniform"), encoder_settings=dict(marks=False))
    losses = []
    for jump in (0.5, 50.0):
        cell.encoder_settings["jump"] = jump
        losses.append(cell.build().eval()(cell.batch(), cell.step()).loss)
    assert torch.equal(*losses)


def test_crops_overlap_as_they_say():
    cell = Cell(TS2Vec, KIND, Dilated)
    method, batch = cell.build(), cell.batch(size=32)
    lengths = set()
    for index in range(30):
        first, second, shared = method.cut(64, cell.step(index).generator("crops"), batch.keys)
        assert torch.equal(first[:, -shared:], second[:, :shared]) and shared >= 2
        assert min(first.min(), second.min()) >= 0 and max(first.max(), second.max()) < 64
        assert (first.diff(dim=1) == 1).all() and (second.diff(dim=1) == 1).all()
        lengths.add((first.shape[1], second.shape[1], shared))
    assert len(lengths) > 20 and first[:, 0].unique().numel() > 1


def test_what_is_kept_is_the_mean_of_all_steps():
    cell = Cell(TS2Vec, KIND, Dilated)
    method = cell.build()
    weight = method.encoder.project.weight
    path = [weight.detach().clone()]
    for index in range(4):
        with torch.no_grad():
            weight += index + 1.0
        path.append(weight.detach().clone())
        method.after_step(cell.step(index))
    torch.testing.assert_close(method.kept()["encoder"].project.weight, torch.stack(path).mean(0))
    assert Cell(TS2Vec, KIND, Dilated, settings=dict(average=False)).build().mean is None


def test_channels_do_not_meet_and_every_channel_hides_its_share():
    cell = Cell(PatchTST, KIND, Channelwise)
    method, batch = cell.build().eval(), cell.batch()
    hidden = method(batch, cell.step()).shown["hidden"].unflatten(1, (2, 16))
    assert (hidden.sum(-1) == 6).all() and not torch.equal(hidden[:, 0], hidden[:, 1])
    other = batch.map(torch.clone)
    other.values[:, 1] = 3.0
    with torch.no_grad():
        before, after = (method.encoder(x) for x in (batch, other))
    assert torch.equal(before.local[:, :16], after.local[:, :16]) and not torch.equal(before.local[:, 16:], after.local[:, 16:])
    assert before.pooled.shape == (8, 64) and torch.equal(before.pooled[:, :32], after.pooled[:, :32])
