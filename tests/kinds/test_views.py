"""Views of pictures: where they are read, and that one map of colours is the changes one after the other."""

import torch
from torch.nn import functional as F

from unveil.contracts import Batch
from unveil.kinds.image import Image
from unveil.kinds.image.corrupt import LEVELS
from unveil.kinds.image.view import blurred, cropped, varied
from unveil.randomness import Generator
from unveil.training.step import TrainStep

GREY = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)


def batch_of(values: torch.Tensor) -> Batch:
    ids = torch.arange(len(values))
    corner = torch.tensor(values.shape[2:]).float()
    return Batch(values, ids, ids, None, torch.stack([torch.zeros(2), corner]).expand(len(ids), 2, 2))


def smooth(count: int, side: int) -> torch.Tensor:
    return F.interpolate(torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(0)), (side, side), mode="bicubic").clamp(0, 1)


def test_a_crop_is_read_where_its_box_says():
    """Of a ramp, bilinear reading gives the coordinate itself, away from the border."""
    side = 32
    ramp = ((torch.arange(side) + 0.5) / side).expand(64, 1, side, side)
    view = cropped(batch_of(ramp), (0.2, 0.9), 0.5, True, Generator("t"))
    low, high = view.box[:, 0, 1:], view.box[:, 1, 1:]
    wanted = (low + (high - low) * (torch.arange(16) + 0.5) / 16) / side
    torch.testing.assert_close(view.values[:, 0, 7], wanted.clamp(0.5 / side, 1 - 0.5 / side), atol=1e-5, rtol=0)
    assert (view.box[:, 0, 1] > view.box[:, 1, 1]).float().mean().sub(0.5).abs() < 0.25, "half are mirrored"


def test_colours_change_as_by_one_change_after_the_other():
    """Brightness, contrast, saturation, hue and grey in turn, on pictures that none of them drives out of 0 to 1."""
    x, keys, generator = 0.45 + 0.1 * smooth(256, 8), torch.arange(256), Generator("t")
    drawn = lambda low=0.0, high=1.0: generator.uniform(1, 1, keys=keys, low=low, high=high)[..., None]
    brightness, contrast, saturation = drawn(0.6, 1.4), drawn(0.6, 1.4), drawn(0.8, 1.2)
    turn, some, grey, _, soft, solar = drawn(-1.0) * 0.1, drawn(), drawn(), drawn(), drawn(), drawn()
    y = brightness * x
    y = y.mean((1, 2, 3), keepdim=True) + (y - y.mean((1, 2, 3), keepdim=True)) * contrast
    dull = (y * GREY).sum(1, keepdim=True)
    y = dull + (y - dull) * saturation
    yiq = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    luma, i, q = (yiq @ y.flatten(2)).unbind(1)
    angle = turn.view(-1, 1) * 2 * torch.pi
    y = (yiq.inverse() @ torch.stack([luma, i * angle.cos() - q * angle.sin(), i * angle.sin() + q * angle.cos()], 1)).view_as(x)
    y = torch.where(some < 0.8, y, x)
    y = torch.where(grey < 0.2, (y * GREY).sum(1, keepdim=True).expand_as(y), y)
    plain = (soft >= 0.5).flatten() & (solar >= 0.1).flatten()
    assert y.min() > 0 and y.max() < 1 and plain.sum() > 50
    torch.testing.assert_close(varied(x, keys, 1.0, 0.1, Generator("t"))[plain], y[plain], atol=1e-5, rtol=0)


def test_shares_of_views_are_changed_as_stated():
    x, keys = smooth(4000, 8), torch.arange(4000)
    solar = varied(x, keys, 0.0, 0.0, Generator("t"))
    torch.testing.assert_close(solar, x, atol=1e-6, rtol=0)
    y = varied(x, keys, 1.0, 0.0, Generator("t"))
    same = (y - x).abs().amax((1, 2, 3)) < 1e-6
    assert abs(same.float().mean() - 0.2 * 0.8) < 0.02, "neither coloured nor grey; a picture so small is hardly blurred"
    grey = (y - y[:, :1]).abs().amax((1, 2, 3)) < 1e-5
    assert abs(grey.float().mean() - 0.2) < 0.03


def test_the_solarised_half_is_inverted():
    x = smooth(64, 8)
    y = varied(x, torch.arange(64), 1e-6, 1e6, Generator("t"))
    torch.testing.assert_close(y, torch.where(x >= 0.5, 1 - x, x), atol=1e-3, rtol=0)


def test_a_blur_of_nothing_changes_nothing_and_weights_sum_to_one():
    x = smooth(4, 16)
    torch.testing.assert_close(blurred(x, torch.zeros(4, 1), 2), x, atol=1e-6, rtol=0)
    flat = torch.full((4, 3, 16, 16), 0.7)
    torch.testing.assert_close(blurred(flat, torch.rand(4, 1) * 2, 3), flat, atol=1e-6, rtol=0)
    assert "blur" in LEVELS


def test_views_are_made_in_full_precision_inside_a_step_that_is_not():
    batch = batch_of(smooth(8, 16))
    asked = dict(area=(0.3, 1.0), strength=1.0, symmetry=True)
    step = TrainStep(Image(), 0, 0, 1)
    plain, = Image().view(batch, 1, size=1.0, generator=step.generator("view 1"), **asked)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, = step.view(batch, 1, **asked)
    assert mixed.values.dtype == torch.float32 and torch.equal(plain.values, mixed.values)
