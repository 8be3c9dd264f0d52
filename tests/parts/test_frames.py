"""Frames of a series, and what the crops of frames are."""

import random
from math import sqrt

import pytest
import torch
from torch.nn import functional as F

from unveil.parts.frames import cropped, frame_starts, plane_crops, stacked, time_crops
from unveil.randomness import Generator

PUBLISHED = dict(area=(0.3, 1.0), aspect=(0.75, 1.35))
MANY = torch.arange(20000)


def test_frames_by_hand():
    x = torch.arange(20.0)[None]
    assert stacked(x, 8, frame_starts(20, 8, 4, 10)).tolist() == [[[*range(a, a + 8)] for a in (0, 4, 8, 12)]]
    assert frame_starts(100, 10, 10, 4) == [0, 30, 60, 90] and frame_starts(300 * 100, 500, 250, 119)[-1] == 118 * 250
    assert stacked(x[:, :5], 8, frame_starts(5, 8, 4, 10)).tolist() == [[[0, 1, 2, 3, 4, 0, 0, 0]]]


def test_the_published_crop_of_19_channels_by_500_values_is_always_the_same_piece_of_the_middle():
    """No box of at least 30% of the plane and at most 1.35 times as wide as high fits: it would need 46 rows."""
    assert sqrt(0.3 * 19 * 500 / 1.35) > 45.9
    box = plane_crops(19, 500, **PUBLISHED, generator=Generator("published"), keys=MANY)
    assert (box == torch.tensor([0.0, 237.0, 19.0, 26.0])).all()
    frames = Generator("frames").normal(2, 19, 3, 500)
    seen = cropped(frames, box[:2])
    other = frames.clone()
    other[..., :237], other[..., 263:] = 7.0, -7.0
    assert torch.equal(seen, cropped(other, box[:2])) and 26 / 500 < 0.06


def test_crops_of_time_reach_everything():
    box = time_crops(19, 500, (0.3, 1.0), Generator("time"), MANY)
    top, left, height, width = box.T
    assert not top.any() and (height == 19).all() and (left >= 0).all() and (left + width <= 500.01).all()
    assert width.min() < 151 and width.max() > 499 and float(width.mean()) == pytest.approx(325, abs=3)
    assert float(left.max()) > 330 and float(left.min()) < 1


def test_crops_of_a_plane_are_drawn_as_a_loop_draws_them():
    """Against the algorithm with Python's generator, on a plane where crops fit: shares, sides and corners."""
    def one():
        for _ in range(10):
            size, shape = random.uniform(0.3, 1.0) * 40 * 50, 2.718281828459045 ** random.uniform(-0.2876820724, 0.3001045924)
            w, h = round(sqrt(size * shape)), round(sqrt(size / shape))
            if 0 < w <= 50 and 0 < h <= 40:
                return random.randint(0, 40 - h), random.randint(0, 50 - w), h, w
        return 0, 0, 40, 50

    random.seed(3)
    slow = torch.tensor([one() for _ in range(20000)]).float()
    fast = plane_crops(40, 50, **PUBLISHED, generator=Generator("plane"), keys=MANY)
    for ours, theirs in zip(fast.T, slow.T):
        assert float(ours.mean() - theirs.mean()) == pytest.approx(0, abs=4 * float(theirs.std()) * (2 / 20000) ** 0.5)
        assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.03)


def test_a_crop_is_what_interpolation_makes_of_the_piece():
    frames, box = Generator("pieces").normal(3, 6, 2, 12), torch.tensor([[0, 0, 6, 12], [1, 3, 4, 5], [2, 7, 1, 1]]).float()
    made = cropped(frames, box)
    for sample, (top, left, height, width) in enumerate(box.int().tolist()):
        piece = frames[sample, top:top + height, :, left:left + width].transpose(0, 1)[:, None]
        slow = F.interpolate(piece, size=(6, 12), mode="bilinear", align_corners=False)[:, 0].transpose(0, 1)
        torch.testing.assert_close(made[sample], slow)
