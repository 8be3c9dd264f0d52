"""The control after MiniRocket: its kernels, its shares by loops, channels in any order, missing values left out, and that it tells."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from unveil.kinds.signal import Signal, kernels
from unveil.kinds.signal.kernels import KERNELS, Kernels
from unveil.randomness import Generator
from unveil.tasks.linear import fit, predict


def planted(count: int = 40, **how):
    return Signal(window=40, **how).planted(count, Generator("kernels"))


def made(samples, **how) -> Kernels:
    return Kernels(samples, generator=Generator("t"), **how)


def slow(found: Kernels, x: np.ndarray, valid: np.ndarray, number: int, kernel: int, channels: np.ndarray) -> list[float]:
    """Shares of one kernel at one dilation on one series ``(C, T)``, value by value."""
    dilation, length, answers = found.dilations[number], x.shape[1], []
    for t in range(length):
        if not valid[t]:
            continue
        total = 0.0
        for k in range(9):
            at = t + (k - 4) * dilation
            if 0 <= at < length and valid[at]:
                total += float(KERNELS[kernel][k]) * float(x[channels, at].sum())
        answers.append(total)
    return [float(np.mean(np.array(answers) > float(threshold))) for threshold in found.thresholds[number][kernel]]


def test_kernels_are_all_that_have_three_high_weights_and_sum_to_nothing():
    assert KERNELS.shape == (84, 9) and (KERNELS.sum(1) == 0).all() and len(KERNELS.unique(dim=0)) == 84
    assert {tuple(np.flatnonzero(row > 0)) for row in KERNELS.numpy()} == set(combinations(range(9), 3))


@pytest.mark.parametrize("holes", [False, True])
def test_shares_are_those_of_loops(holes):
    samples = planted()
    found, batch = made(samples, features=84 * 6), samples.batch(torch.arange(4))
    assert found.dilations == [1, 2, 4]
    if holes:
        valid = torch.rand(4, 40, generator=torch.Generator().manual_seed(0)) < 0.7
        batch = replace(batch, values=batch.values * valid[:, None], valid=valid)
    shares = found(batch)
    valid = np.ones((4, 40), bool) if batch.valid is None else batch.valid.numpy()
    x = ((batch.values - found.mean) / found.std).numpy()
    assert shares.shape == (4, 84 * 6) and shares.min() >= 0 and shares.max() <= 1
    for b in (0, 3):
        for number in range(3):
            for kernel in (0, 17, 83):
                channels = np.flatnonzero(found.chosen[number][kernel].numpy())
                at = number * 168 + 2 * kernel
                np.testing.assert_allclose(shares[b, at:at + 2], slow(found, x[b], valid[b], number, kernel, channels), atol=0.06 / 40)


def test_shares_of_mixed_channels_are_means_over_those_that_are_there():
    samples = planted(montage="mixed")
    found, batch = made(samples, features=84 * 3), samples.batch(torch.arange(16))
    shares = found(batch)
    for b in (0, 5, 9):
        there = np.flatnonzero(batch.extras["channel"][b].numpy() >= 0)
        each = [slow(found, batch.values[b].numpy(), np.ones(40, bool), 1, 17, np.array([c])) for c in there]
        np.testing.assert_allclose(shares[b, 84 + 17], np.mean(each), atol=1e-3)
    turned = replace(batch, values=batch.values.flip(1), extras={name: x.flip(1) for name, x in batch.extras.items()})
    torch.testing.assert_close(found(turned), shares)


def test_thresholds_part_the_answers_evenly():
    """Over samples that thresholds are from, the shares are one less the quantiles."""
    samples = planted(60)
    found = made(samples, features=84 * 3 * 8, seen=60)
    shares = found(samples.batch(torch.arange(60))).mean(0)
    place = (torch.arange(1, 84 * 3 * 8 + 1) * kernels.GOLDEN).frac()
    assert (shares - (1 - place)).abs().max() < 0.01


def test_few_rows_at_a_time_are_all_at_once(monkeypatch):
    samples = planted(montage="mixed")
    whole, batch = made(samples), samples.batch(torch.arange(10))
    shares = whole(batch)
    whole.rows = 3
    torch.testing.assert_close(whole(batch), shares)
    monkeypatch.setattr(kernels, "AT_ONCE", 84 * 40 * samples.channels * 3)
    assert made(samples).rows == 3


@pytest.mark.parametrize("window", [1, 5, 9, 17])
def test_short_series(window):
    samples = Signal(window=window).planted(16, Generator("t"))
    assert made(samples)(samples.batch(torch.arange(16))).isfinite().all()


@pytest.mark.parametrize("montage", ["same", "mixed"])
def test_it_tells_planted_patterns(montage):
    kind = Signal(window=64, montage=montage)
    samples = kind.planted(256, Generator("tells"))
    (name, describe), = kind.fitted(samples.subset(np.arange(128))).items()
    x, y = describe(samples.batch(torch.arange(256))), torch.as_tensor(samples.labels)
    w = fit(x[:128], samples.labels[:128], None, 4, None)
    assert name == "MiniRocket" and (predict(w[None], x[128:])[0] == y[128:]).float().mean() > 0.8
