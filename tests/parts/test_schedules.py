"""Schedules: end points, middle, monotony, and the published formulas."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unveil.parts.schedules import cosine, linear, recovered, warmup_cosine

value, share = st.floats(-10, 10), st.floats(0, 1)


@given(value, value)
def test_end_points_and_middle(start, end):
    for schedule in (linear, cosine):
        assert schedule(start, end, 0.0) == pytest.approx(start, abs=1e-12)
        assert schedule(start, end, 1.0) == pytest.approx(end, abs=1e-12)
        assert schedule(start, end, 0.5) == pytest.approx((start + end) / 2, abs=1e-12)


@given(share, share)
def test_monotone_and_within(a, b):
    a, b = sorted((a, b))
    for schedule in (linear, cosine):
        assert -1e-12 <= schedule(0.0, 1.0, a) <= schedule(0.0, 1.0, b) + 1e-12 <= 1 + 2e-12


def test_momentum_of_byol():
    """1 - (1 - m) (cos(pi k / K) + 1) / 2."""
    for k in range(11):
        assert cosine(0.996, 1.0, k / 10) == pytest.approx(1 - 0.004 * (math.cos(math.pi * k / 10) + 1) / 2, abs=1e-12)


@given(st.floats(0.01, 0.9), st.floats(0, 0.5), st.floats(0, 0.5))
def test_warm_up_then_cosine(warmup, start, floor):
    rate = lambda progress: warmup_cosine(progress, warmup, start, floor)
    assert rate(0.0) == pytest.approx(start, abs=1e-12) and rate(warmup) == pytest.approx(1.0)
    assert rate(1.0) == pytest.approx(floor, abs=1e-9)
    assert rate(warmup / 2) == pytest.approx((start + 1) / 2)
    assert rate((1 + warmup) / 2) == pytest.approx((1 + floor) / 2)
    assert rate(math.nextafter(warmup, 0)) == pytest.approx(1.0, abs=1e-6), "no jump"


def test_without_warm_up_and_with_nothing_else():
    assert warmup_cosine(0.0, 0.0) == 1.0 and warmup_cosine(1.0, 0.0) == pytest.approx(0.0, abs=1e-12)
    assert warmup_cosine(0.5, 1.0) == 0.5 and warmup_cosine(1.0, 1.0) == 1.0


def test_recovery_is_a_line_or_what_the_code_of_hi_gmae_makes_of_it():
    """Start 0.8, 25 of 100 epochs; the compounded figures are those of the authors' code at the same epochs."""
    line = [recovered(0.8, epoch / 100) for epoch in (0, 1, 5, 10, 24, 25, 60, 100)]
    assert line == pytest.approx([0.8, 0.768, 0.64, 0.48, 0.032, 0, 0, 0], abs=1e-12)
    theirs = [recovered(0.8, epoch / 100, epochs=25) for epoch in (0, 1, 5, 10, 24, 25, 60, 100)]
    assert theirs[:4] == pytest.approx([0.8, 0.77, 0.42, 0.06], abs=5e-3) and theirs[5:] == [0, 0, 0] and theirs[4] < 1e-9
    rate = 0.8
    for epoch in range(100):  # as it is coded: what the epoch before had left decays
        rate = rate * (1 - epoch / 25) if rate > 0 else rate
        assert recovered(0.8, epoch / 100, epochs=25) == pytest.approx(rate, abs=1e-12)
        assert recovered(0.8, (epoch + 0.9) / 100, epochs=25) == pytest.approx(rate, abs=1e-12), "the same within an epoch"
    assert recovered(0.8, 0.1, gamma=2) == pytest.approx(0.8 * 0.36) and recovered(0.8, 0.0, until=0.0) == 0
