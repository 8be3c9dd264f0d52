"""The order of data: every sample once an epoch, known from the number of the step alone, the same for any number of processes."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.data.feed import Feed
from unveil.data.order import epoch_order, stream
from unveil.data.samples import Samples


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
        whole = Feed(samples(in_memory), seed=1, batch=4)
        batches = [whole(step) for step in range(8)]
        later = Feed(samples(in_memory), seed=1, batch=4)
        for step in range(5, 8):
            again = later(step)
            assert torch.equal(again.ids, batches[step].ids) and torch.equal(again.keys, batches[step].keys)
            assert torch.equal(again.values, batches[step].values)


def test_a_feed_that_reads_ahead_gives_what_is_asked_for():
    feed = Feed(samples(False), seed=1, batch=4)
    for step in (0, 1, 7, 2, 2):
        assert torch.equal(feed(step).ids, stream(1, step, 4, 10)[0])
