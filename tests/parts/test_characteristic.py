"""The empirical characteristic function: equal to the plain mean of cosines and sines, with its gradient, however it is cut."""

import pytest
import torch

from unveil.parts import characteristic as room
from unveil.parts.characteristic import characteristic
from unveil.randomness import Generator


def plain(angle, knots):
    multiples = angle[..., None] * torch.arange(knots, dtype=angle.dtype)
    return multiples.cos().mean(-3), multiples.sin().mean(-3)


def angles(*shape):
    return Generator("angles").normal(*shape).double()


@pytest.mark.parametrize("chunk", [1, 20, 1 << 17])
@pytest.mark.parametrize("shape", [(7, 5), (3, 6, 4), (2, 2, 5, 1)])
def test_equals_the_plain_mean(monkeypatch, shape, chunk):
    monkeypatch.setitem(room.CHUNK, "cpu", chunk)
    angle = angles(*shape)
    for ours, theirs in zip(characteristic(angle, 9), plain(angle, 9)):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("chunk", [3, 1 << 17])
def test_gradient(monkeypatch, chunk):
    monkeypatch.setitem(room.CHUNK, "cpu", chunk)
    assert torch.autograd.gradcheck(lambda angle: characteristic(angle, 5), angles(2, 4, 3).requires_grad_())


def test_turning_sixteen_times_keeps_single_precision():
    angle = (0.2 * Generator("wide").normal(256, 64)).float()
    for ours, theirs in zip(characteristic(angle, 17), plain(angle.double(), 17)):
        assert (ours.double() - theirs).abs().max() < 1e-6


def test_nothing_of_the_size_of_samples_times_knots_is_kept():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        characteristic(angles(50, 8).requires_grad_(), 17)
    assert sum(kept) == 50 * 8
