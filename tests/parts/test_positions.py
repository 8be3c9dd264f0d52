"""Positions.

- grid coordinates are those of numpy, in raster order, for any number of axes;
- sin-cos tables are a loop over the formula, last axis first, and have the values of MAE's own table;
- rotary: a plain complex multiplication; lengths are kept; products depend on differences of coordinates alone, on every axis;
- a grid of one axis agrees with the same line as a grid of two only as far as it should: the other axis is constant.
"""

import cmath
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.parts.positions import grid_coordinates, rotary, rotate, sincos, sincos_grid

some = settings(max_examples=40, deadline=None)
grids = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)
seeds = st.integers(0, 10**6)

# facebookresearch/mae @ efb2a8062c20, util/pos_embed.py, get_2d_sincos_pos_embed(8, 3):
# row 5 is y = 1, x = 2; row 6 is y = 2, x = 0.
MAE_ROW_5 = [0.90929743, 0.01999867, -0.41614684, 0.99980001, 0.84147098, 0.00999983, 0.54030231, 0.99995000]
MAE_ROW_6 = [0.0, 0.0, 1.0, 1.0, 0.90929743, 0.01999867, -0.41614684, 0.99980001]


def slow_sincos(place, width, base):
    share = width // (2 * len(place))
    row = []
    for x in reversed(place):
        angles = [x / base ** (k / share) for k in range(share)]
        row += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    return row + [0.0] * (width - len(row))


@some
@given(grids)
def test_grid_coordinates(grid):
    assert grid_coordinates(grid).tolist() == [list(map(float, place)) for place in np.ndindex(*grid)]


@some
@given(grids, st.integers(2, 19), st.sampled_from([100.0, 10000.0]), seeds)
def test_sincos_is_the_formula(grid, width, base, seed):
    where = np.random.default_rng(seed).uniform(-20, 20, (4, len(grid)))
    expected = torch.tensor([slow_sincos(place, width, base) for place in where.astype(np.float32).tolist()])
    torch.testing.assert_close(sincos(torch.tensor(where), width, base), expected, rtol=0, atol=1e-5)
    table = sincos_grid(grid, width, torch.device("cpu"))
    expected = torch.tensor([slow_sincos(place, width, 10000.0) for place in np.ndindex(*grid)])
    torch.testing.assert_close(table, expected, rtol=0, atol=1e-5)


def test_the_table_of_mae():
    table = sincos_grid((3, 3), 8, torch.device("cpu"))
    assert table[5].tolist() == pytest.approx(MAE_ROW_5, abs=1e-6)
    assert table[6].tolist() == pytest.approx(MAE_ROW_6, abs=1e-6)


def test_no_two_places_share_a_vector():
    table = sincos_grid((5, 6, 7), 24, torch.device("cpu"))
    apart = torch.cdist(table, table) + 9 * torch.eye(len(table))
    assert apart.min() > 0.01


def slow_rotate(x, place, base):
    """Pairs as complex numbers, axis after axis."""
    width = len(x)
    share = width // (2 * len(place))
    out = list(x)
    for axis, coordinate in enumerate(place):
        for k in range(share):
            at = 2 * (axis * share + k)
            turned = complex(x[at], x[at + 1]) * cmath.exp(1j * coordinate * base ** (-k / share))
            out[at], out[at + 1] = turned.real, turned.imag
    return out


@some
@given(st.integers(1, 3), st.integers(1, 9), seeds, st.sampled_from([100.0, 10000.0]))
def test_rotary_is_a_complex_product(axes, pairs, seed, base):
    rng = np.random.default_rng(seed)
    where, x = rng.uniform(0, 9, (5, axes)).astype(np.float32), rng.normal(size=(5, 2 * pairs)).astype(np.float32)
    turned = rotate(torch.tensor(x), rotary(torch.tensor(where), 2 * pairs, base))
    expected = torch.tensor([slow_rotate(row, place, base) for row, place in zip(x.tolist(), where.tolist())])
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(turned.norm(dim=-1), torch.tensor(x).norm(dim=-1))


@some
@given(st.integers(1, 3), seeds)
def test_rotary_products_know_differences_alone(axes, seed):
    rng = np.random.default_rng(seed)
    q, k = torch.tensor(rng.normal(size=(2, 3, 6, 12)))
    where, shift = torch.tensor(rng.integers(0, 9, (6, axes))), torch.tensor(rng.integers(1, 9, axes))
    products = [rotate(q, rotary(place, 12)) @ rotate(k, rotary(place, 12)).transpose(-1, -2) for place in (where, where + shift)]
    torch.testing.assert_close(*products, rtol=0, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rotary_products_know_every_axis(axis):
    where = torch.zeros(2, 3)
    where[1, axis] = 1
    cos, sin = rotary(where, 12)
    x = torch.ones(2, 12)
    near, far = (rotate(x, (cos, sin)) * rotate(x, (cos[[0, 0]], sin[[0, 0]]))).sum(-1)
    assert near == 12 and far < 11.9


def test_rotation_keeps_the_precision_of_its_input():
    turn = rotary(torch.rand(5, 2), 8)
    assert rotate(torch.ones(5, 8, dtype=torch.bfloat16), turn).dtype == torch.bfloat16
