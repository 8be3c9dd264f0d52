"""Random numbers.

- they are the published SplitMix64 of a counter, written out in Python's own integers, and have not changed (kept words);
- uniform, normal, integer and permutation draws have the distribution that they are named for (fixed seeds);
- draws of different key parts, calls, samples and positions are independent; equal ones are equal;
- a sample's numbers depend on its key alone: not on the batch, the order of rows, other draws between, or the global generator.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from unveil.randomness import Generator, key

WORD = 2 ** 64
some = settings(max_examples=50, deadline=None)
KEPT = {"key": 459511074503245239, "uniform": [0.57114649, 0.87243158, 0.50235671], "normal": [-0.234213, -1.735156, -0.907201],
        "permutation": [7, 2, 1, 5, 0, 6, 4, 3], "integers": [61, 19, 2, 41], "number": 0.8394067538019895}
anything = st.integers(-(2 ** 63), 2 ** 63 - 1)


def splitmix(state, count):
    """Steele, Lea and Flood 2014: a counter that grows by the golden ratio, and a finaliser of two multiplications."""
    out = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % WORD
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
        out.append(z ^ (z >> 31))
    return out


def mixed(z):
    return splitmix((z - 0x9E3779B97F4A7C15) % WORD, 1)[0]


def test_splitmix_is_the_published_one():
    """The first outputs for seed 1234567, as published with the generator's reference code."""
    assert splitmix(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@some
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_words_are_splitmix_of_the_key(seed, count):
    words = Generator(seed, "purpose")._words((count,), None)
    assert [int(word) % WORD for word in words] == splitmix(key(seed, "purpose", 0), count)


@some
@given(st.integers(0, 10**6), st.lists(anything, min_size=1, max_size=4))
def test_words_of_a_sample_start_from_its_key(seed, keys):
    words = Generator(seed)._words((2, 3), torch.tensor(keys))
    assert words.shape == (len(keys), 2, 3)
    for sample, row in zip(keys, words.flatten(1).tolist()):
        start = mixed((sample * 0x9E3779B97F4A7C15 + key(seed, 0)) % WORD)
        assert [int(word) % WORD for word in row] == splitmix(start, 6)


def test_draws_have_not_changed():
    """Kept numbers: a change here changes every run that was ever recorded."""
    assert key(1, "masks", 0) == KEPT["key"]
    generator = Generator(1, "masks")
    assert generator.uniform(3).tolist() == pytest.approx(KEPT["uniform"], abs=1e-7)
    assert generator.normal(3, keys=torch.tensor([5])).tolist()[0] == pytest.approx(KEPT["normal"], abs=1e-5)
    assert generator.permutation(8).tolist() == KEPT["permutation"]
    assert generator.integers(-5, 100, 4).tolist() == KEPT["integers"]
    assert generator.number() == KEPT["number"]


@pytest.mark.parametrize("keyed", [False, True])
def test_uniform_is_uniform(keyed):
    draw = Generator(3, "u").uniform(500, keys=torch.arange(400)) if keyed else Generator(3, "u").uniform(400, 500)
    assert draw.dtype == torch.float32 and draw.min() >= 0 and draw.max() < 1
    assert stats.kstest(draw.flatten().double().numpy(), "uniform").pvalue > 0.01
    for axis in (0, 1):
        means = draw.mean(axis).double() - 0.5
        assert means.std().item() == pytest.approx((1 / 12 / draw.shape[axis]) ** 0.5, rel=0.15)


def test_uniform_limits():
    draw = Generator(3).uniform(100000, low=-2.0, high=3.0)
    assert draw.min() >= -2 and draw.max() < 3 and draw.min() < -1.999 and draw.max() > 2.999
    assert draw.mean().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("keyed", [False, True])
def test_normal_is_normal(keyed):
    draw = Generator(4, "n").normal(500, keys=torch.arange(400)) if keyed else Generator(4, "n").normal(400, 500)
    assert draw.isfinite().all() and draw.dtype == torch.float32
    flat = draw.flatten().double().numpy()
    assert stats.kstest(flat, "norm").pvalue > 0.01
    assert stats.kurtosis(flat) == pytest.approx(0, abs=5 * (24 / len(flat)) ** 0.5)
    neighbours = np.corrcoef(draw[:, :-1].flatten(), draw[:, 1:].flatten())[0, 1]
    samples = np.corrcoef(draw[:-1].flatten(), draw[1:].flatten())[0, 1]
    assert max(abs(neighbours), abs(samples)) < 4.5 / len(flat) ** 0.5


def test_integers():
    draw = Generator(5).integers(-3, 4, 70000)
    counts = torch.bincount(draw + 3).double()
    assert draw.dtype == torch.int64 and len(counts) == 7
    assert ((counts - 10000) ** 2 / 10000).sum() < 22.5  # chi squared, 6 degrees, p 0.001
    assert Generator(5).integers(7, 8, 5).tolist() == [7] * 5


@some
@given(st.integers(1, 40), st.integers(0, 10**6))
def test_permutations_are_permutations(n, seed):
    assert sorted(Generator(seed).permutation(n).tolist()) == list(range(n))
    for row in Generator(seed).permutation(n, torch.arange(3)).tolist():
        assert sorted(row) == list(range(n))


def test_every_permutation_is_as_likely():
    rows = Generator(6).permutation(4, torch.arange(24000))
    code = (rows * torch.tensor([64, 16, 4, 1])).sum(1)
    counts = code.unique(return_counts=True)[1].double()
    assert len(counts) == 24 and ((counts - 1000) ** 2 / 1000).sum() < 49.7  # chi squared, 23 degrees, p 0.001


def test_number_is_uniform():
    draws = [Generator(seed, "x").number() for seed in range(2000)]
    assert stats.kstest(draws, "uniform").pvalue > 0.01


def test_streams_are_independent():
    """Different seed, purpose, step, call: no correlation beyond chance, no equal numbers beyond chance."""
    first = Generator(1, "a", 2)
    streams = [first.uniform(20000), first.uniform(20000), Generator(2, "a", 2).uniform(20000),
               Generator(1, "b", 2).uniform(20000), Generator(1, "a", 3).uniform(20000),
               Generator(1, "a", 2).uniform(20, keys=torch.arange(1000)).flatten(),
               Generator(1, "a", 2).uniform(20, keys=torch.arange(1000, 2000)).flatten()]
    correlation = np.corrcoef(np.stack([x.numpy() for x in streams])) - np.eye(len(streams))
    assert abs(correlation).max() < 4.5 / 20000 ** 0.5
    assert all((a == b).float().mean() < 1e-3 for i, a in enumerate(streams) for b in streams[:i])


def test_parts_are_told_apart():
    parts = [(1, 23), (12, 3), ("1", 23), (1, "23"), (1, 2, 3), (123,), ("a", "bc"), ("ab", "c"), ("abc",), ()]
    assert len({key(*p) for p in parts}) == len(parts)


@some
@given(st.lists(anything, min_size=1, max_size=6), st.integers(0, 10**6), st.randoms())
def test_a_samples_numbers_depend_on_its_key_alone(keys, seed, shuffle):
    draws = {"uniform": lambda g, k: g.uniform(2, 3, keys=k), "normal": lambda g, k: g.normal(4, keys=k),
             "integers": lambda g, k: g.integers(0, 50, 4, keys=k), "permutation": lambda g, k: g.permutation(9, k)}
    for draw in draws.values():
        whole = draw(Generator(seed, "x"), torch.tensor(keys))
        order = list(range(len(keys)))
        shuffle.shuffle(order)
        torch.rand(3)
        Generator(seed, "y").normal(5)
        assert torch.equal(draw(Generator(seed, "x"), torch.tensor(keys)[order]), whole[order])
        for row, sample in enumerate(keys):
            assert torch.equal(draw(Generator(seed, "x"), torch.tensor([sample]))[0], whole[row])


def test_nothing_is_taken_from_torchs_generator():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    generator = Generator(1)
    generator.uniform(3), generator.normal(3), generator.integers(0, 3, 3), generator.permutation(3), generator.number()
    assert torch.equal(torch.get_rng_state(), before)
    assert generator.calls == 5


@pytest.mark.parametrize("word", [0, -1])
def test_no_word_gives_an_infinite_normal(word, monkeypatch):
    """The radius takes its logarithm of (0, 1], whose ends come from the words of no bits and of all."""
    monkeypatch.setattr(Generator, "_words", lambda self, shape, keys: torch.full(shape, word))
    drawn = Generator(8).normal(1).item()
    assert math.isfinite(drawn) and drawn == pytest.approx([5.77, 0.0][-word], abs=0.01)


def test_normals_reach_their_tails():
    drawn = Generator(8).normal(1_000_000)
    assert drawn.isfinite().all() and 4.4 < drawn.abs().max() < 5.78
