"""Attention within samples of unequal size against a loop over them."""

import pytest
import torch

from hierarchies import random_graphs
from unveil.parts.mixing import Mixer, Rooms
from unveil.randomness import Generator

SIZES = [3, 70, 1, 33, 32, 5, 200, 64, 65]


@pytest.mark.parametrize("told", [True, False], ids=["sizes known", "sizes unknown"])
@pytest.mark.parametrize("hidden", [True, False])
def test_each_sample_attends_within_itself(told, hidden):
    batch = random_graphs(SIZES).batch(torch.arange(len(SIZES)))
    graph = batch.graph
    graph.sizes = graph.sizes if told else None
    mixer = Mixer(16, 2, 4).double()
    graph.code = graph.code.double()
    x = Generator("x").normal(sum(SIZES), 16).double()
    seen = Generator("s").uniform(sum(SIZES)) < 0.6 if hidden else None
    if hidden:
        seen[graph.sample == 5] = False  # nothing of it is seen
    got = mixer(x, graph, Rooms.of(graph), seen)
    for number in range(len(SIZES)):
        mine = graph.sample == number if seen is None else (graph.sample == number) & seen
        if not mine.any():
            continue
        entered = torch.cat([mixer.enter(x[mine]), graph.code[mine]], 1)
        torch.testing.assert_close(got[mine], mixer.block(entered[None])[0], rtol=0, atol=1e-12)
    if hidden:
        assert torch.equal(got[~seen], x[~seen])
    got.sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in mixer.parameters())


def test_rooms_are_at_most_twice_too_large():
    graph = random_graphs(SIZES).batch(torch.arange(len(SIZES))).graph
    rooms = Rooms.of(graph)
    for index, there in zip(rooms.index, rooms.there, strict=True):
        assert (there.sum(1) * 2 > index.shape[1]).all() or index.shape[1] == 32
    assert max(index.shape[1] for index in rooms.index) == 200
    filled = sum(index.numel() for index in rooms.index)
    assert filled <= sum(max(2 * n, 32) for n in SIZES)
    assert torch.equal(torch.cat([index.flatten() for index in rooms.index])[rooms.place], torch.arange(sum(SIZES)))
