"""The order of data: every sample once an epoch, known from the number of the step alone, the same for any number of processes."""

from __future__ import annotations

from unittest.mock import ANY

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unveil.data.order as order_module
from unveil.data.feed import Feed
from unveil.data.order import Order, epoch_order, stream, within
from unveil.data.packed import Packed, Structure
from unveil.data.samples import Samples
from unveil.errors import Unusable


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 50), batch=st.integers(1, 60), seed=st.integers(0, 9))
def test_every_sample_comes_once_an_epoch(count, batch, seed):
    steps = 3 * count // batch + 1
    seen = torch.cat([stream(seed, step, batch, count)[0] for step in range(steps)])
    for epoch in range(len(seen) // count):
        assert sorted(seen[epoch * count:(epoch + 1) * count].tolist()) == list(range(count))


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 50), part=st.integers(1, 9), world=st.integers(1, 4), step=st.integers(0, 99))
def test_processes_share_a_batch_without_overlap(count, part, world, step):
    whole, keys = stream(3, step, part * world, count)
    parts = [stream(3, step, part * world, count, rank, world) for rank in range(world)]
    assert torch.equal(torch.cat([at for at, _ in parts]), whole) and torch.equal(torch.cat([k for _, k in parts]), keys)


def test_keys_never_come_twice_though_samples_do():
    at, keys = stream(0, 5, 16, 4)
    assert len(set(keys.tolist())) == 16 and keys.tolist() == list(range(80, 96)) and set(at.tolist()) == {0, 1, 2, 3}


def test_epochs_and_seeds_differ():
    orders = [tuple(epoch_order(seed, epoch, 20).tolist()) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9


def samples(in_memory: bool) -> Samples:
    return Samples(lambda ids: (ids.float()[:, None, None].expand(-1, 1, 4), None), 10, shape=(4,), channels=1, axes=("t",),
                   spacing=(1.0,), unit="s", in_memory=in_memory)


def test_a_run_goes_on_in_the_middle_with_what_would_have_come():
    for in_memory in (True, False):
        whole = Feed(samples(in_memory), Order(samples(in_memory), 1, 4))
        batches = [whole(step) for step in range(8)]
        later = Feed(samples(in_memory), Order(samples(in_memory), 1, 4))
        for step in range(5, 8):
            again = later(step)
            assert torch.equal(again.ids, batches[step].ids) and torch.equal(again.keys, batches[step].keys)
            assert torch.equal(again.values, batches[step].values)


def test_a_feed_that_reads_ahead_gives_what_is_asked_for():
    feed = Feed(samples(False), Order(samples(False), 1, 4))
    for step in (0, 1, 7, 2, 2):
        assert torch.equal(feed(step).ids, stream(1, step, 4, 10)[0])


def ragged(sizes: list[int]) -> Samples:
    made = Packed([Structure(np.ones((size, 2), np.float32), np.zeros((2, 0), np.int64)) for size in sizes])
    return Samples(made, len(sizes), shape=(), channels=2, axes=(), spacing=(), unit="", name=lambda i: f"graph {i}")


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=40), batch=st.integers(1, 9), spare=st.integers(0, 30),
       world=st.integers(1, 3), seed=st.integers(0, 9))
def test_a_batch_holds_as_many_samples_as_its_budget_of_rows(sizes, batch, spare, world, seed):
    held, batch, rows = ragged(sizes), batch * world, world * max(sizes) + spare
    order, whole = Order(held, seed, batch, rows, world), torch.tensor(sizes)
    places, steps = [], 3 * len(sizes)
    for step in range(steps):
        parts = [order(step, rank) for rank in range(world)]
        at, keys = (torch.cat([part[i] for part in parts]) for i in (0, 1))
        assert len({len(part[0]) for part in parts}) == 1 and 0 < len(at) <= batch and whole[at].sum() <= rows
        following = order(step + 1)[1][0]
        more = stream(seed, 0, int(keys[-1]) + 1 + world, len(sizes))[0][-world:]
        assert len(at) + world > batch or whole[at].sum() + whole[more].sum() > rows, "one more for each process would have fitted"
        assert following == keys[-1] + 1
        places.append(keys)
    keys = torch.cat(places)
    assert torch.equal(keys, torch.arange(len(keys))), "epochs follow one another without a gap"
    assert torch.equal(Order(held, seed, batch, rows, world)(steps - 1)[1], places[-1][:len(places[-1]) // world]), "of the step alone"


def test_a_long_stream_is_cut_alike_in_one_walk_and_in_many(monkeypatch):
    held = ragged([1 + i % 7 for i in range(50)])
    one = [Order(held, 0, 16, 40).start(step) for step in range(200)]
    monkeypatch.setattr(order_module, "WALKED", 1)
    order = Order(held, 0, 16, 40)
    assert [order.start(step) for step in range(200)] == one
    assert order.start(order.steps(3)) >= 150 > order.start(order.steps(3) - 1)


def test_without_a_budget_batches_are_those_of_the_stream():
    order = Order(samples(True), 5, 4)
    assert all(torch.equal(a, b) for step in (0, 3, 9) for a, b in zip(order(step), stream(5, step, 4, 10), strict=True))
    assert order.start(7) == 28 and order.steps(2.0) == 5


def test_what_no_batch_can_hold_is_named():
    kept, faults = within(ragged([3, 9000, 5, 4001]), 4000)
    assert kept.index.tolist() == [0, 2]
    assert faults == {f"graph {at}": f"has {rows} rows, the budget of a batch is 4,000" for at, rows in ((1, "9,000"), (3, "4,001"))}
    assert within(ragged([3, 5]), 8, 2)[1] == {"graph 1": "has 5 rows, the budget of a batch is 8, shared by 2 parts"}
    assert within(samples(True), None) == (ANY, {})
    with pytest.raises(Unusable, match="the smallest has 3, the budget of a batch is 2"):
        within(ragged([3, 5]), 2)
    with pytest.raises(Unusable, match=r"all 4 with 1 channel: use --train\.batch alone"):
        within(samples(True), 100)
