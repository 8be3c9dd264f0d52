"""Patches.

- patchify is a loop over cells; unpatchify inverts it where patches fill the grid; the rest is left out;
- a linear map of patches is a strided convolution with the same weights, in one, two and three dimensions;
- centres are the middles of patches in the sample's own units, whole or seen through a box;
- a sample smaller than one patch is refused with the way out.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from unveil.contracts import Batch
from unveil.errors import Unusable
from unveil.parts.patches import centres, patchify, token_grid, unpatchify

some = settings(max_examples=40, deadline=None)
dims = st.integers(1, 3)


@st.composite
def cuts(draw):
    """Patch, grid, what is left over at the end of each axis, channels."""
    n = draw(dims)
    patch, grid = draw(st.tuples(*[st.integers(1, 4)] * n)), draw(st.tuples(*[st.integers(1, 3)] * n))
    return patch, grid, tuple(draw(st.integers(0, side - 1)) for side in patch), draw(st.integers(1, 3))


def sample(patch, grid, rest, channels):
    shape = [side * cells + more for side, cells, more in zip(patch, grid, rest)]
    return torch.arange(2.0 * channels * math.prod(shape)).view(2, channels, *shape)


@some
@given(cuts())
def test_patchify_is_a_loop_over_cells(cut):
    patch, grid, _, channels = cut
    x = sample(*cut)
    tokens = patchify(x, patch)
    assert tokens.shape == (2, math.prod(grid), channels * math.prod(patch))
    for number, cell in enumerate(itertools.product(*map(range, grid))):
        window = (slice(None), slice(None), *(slice(at * side, (at + 1) * side) for at, side in zip(cell, patch)))
        assert torch.equal(tokens[:, number], x[window].flatten(1))


@some
@given(cuts())
def test_unpatchify_is_the_inverse(cut):
    patch, grid, _, _ = cut
    x = sample(*cut)
    inner = (slice(None), slice(None), *(slice(0, side * cells) for side, cells in zip(patch, grid)))
    assert torch.equal(unpatchify(patchify(x, patch), grid, patch), x[inner])
    assert token_grid(tuple(x.shape[2:]), patch) == grid


@some
@given(cuts())
def test_a_linear_map_of_patches_is_a_strided_convolution(cut):
    patch, channels = cut[0], cut[3]
    x = torch.from_numpy(np.random.default_rng(0).normal(size=sample(*cut).shape))
    weight, bias = torch.randn(5, channels, *patch, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    convolved = (F.conv1d, F.conv2d, F.conv3d)[len(patch) - 1](x, weight, bias, stride=patch)
    torch.testing.assert_close(F.linear(patchify(x, patch), weight.flatten(1), bias), convolved.flatten(2).transpose(1, 2))


def test_a_sample_smaller_than_a_patch_is_refused():
    with pytest.raises(Unusable, match=r"sample of 20x3 is smaller than one patch of 4x4.*smaller --encoder\.patch"):
        token_grid((20, 3), (4, 4))


def test_centres_of_a_whole_sample():
    batch = Batch(torch.zeros(2, 1, 5, 6), torch.arange(2), torch.arange(2))
    expected = [[2 * i + 1, 3 * j + 1.5] for i in range(2) for j in range(2)]
    torch.testing.assert_close(centres(batch, (2, 2), (2, 3)), torch.tensor([expected] * 2))


@some
@given(st.integers(0, 10**6))
def test_centres_through_a_box(seed):
    """A view of its source: a patch's middle lies as far into the box as it lies into the view, also where the
    view is mirrored."""
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 5, (3, 2)), rng.uniform(-4, 4, (3, 2))
    box = torch.tensor(np.stack([corner, corner + size], 1), dtype=torch.float32)
    batch = Batch(torch.zeros(3, 1, 7, 6), torch.arange(3), torch.arange(3), box=box)
    where = centres(batch, (2, 3), (3, 2))
    for b in range(3):
        for number, (i, j) in enumerate(itertools.product(range(2), range(3))):
            expected = corner[b] + size[b] * np.array([(3 * i + 1.5) / 7, (2 * j + 1) / 6])
            assert where[b, number].tolist() == pytest.approx(expected, abs=1e-5)
