"""Schedules: end points, middle, monotony, and the published formulas."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unveil.parts.schedules import cosine, linear, warmup_cosine

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
