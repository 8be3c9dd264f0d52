"""Patches of any size: resized weights, sizes by rate, and what is said to be missing."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from unveil.contracts import Batch, Spec
from unveil.encoders.flex import Flex, resizing
from unveil.kinds.signal import Signal
from unveil.testing import check_encoder

SPEC = Spec(3, (48,), ("t",), (1.0,), "sample", (0.0,) * 3, (1.0,) * 3)
TINY = Flex.tiny | dict(sizes=(4, 6, 12), patch=6)


def encoder(**settings):
    torch.manual_seed(0)
    return Flex(SPEC, **(TINY | settings)).eval()


def batch(size=5, **extras):
    return Batch(torch.randn(size, 3, 48), torch.arange(size), torch.arange(size), extras=extras)


@pytest.mark.parametrize("settings", [dict(window=64, montage="mixed"), dict(window=33)])
def test_every_series_is_read(settings):
    check_encoder(Flex, Signal(**settings))
    check_encoder(Flex, Signal(**settings), scale="data", patch=7)


@pytest.mark.parametrize("base, size", [(48, 12), (48, 48), (48, 96), (12, 75), (3, 384), (96, 3)])
def test_weights_are_interpolated_as_images_are(base, size):
    weight = torch.randn(5, base)
    theirs = F.interpolate(weight[:, None], size=size, mode="linear", align_corners=False)[:, 0]
    torch.testing.assert_close(weight @ resizing(size, base, torch.device("cpu")).float().T, theirs)


def test_at_the_size_of_its_weights_a_patch_is_read_plainly():
    made = encoder()
    z = torch.randn(2, 12)
    part = made.embedding
    plain = part.outer(F.silu(part.inner(z))) + part.straight(z)
    torch.testing.assert_close(part(*z.chunk(3, -1)), plain)


def test_tokens_by_rate_are_those_of_each_size_alone():
    """Half a second is 4, 6 and 12 values at 9, 13 and 50 hertz; where the rate is unknown it is the size of ``patch``."""
    made, given = encoder(seconds=0.5), batch(4)
    wanted = (4, 6, 12, 6)
    together = made(replace(given, extras={"rate": torch.tensor([9.0, 13.0, 50.0, 0.0])}))
    for i, size in enumerate(wanted):
        alone = made.encode(made.embed(given.map(lambda x, i=i: x[i:i + 1]), size))
        torch.testing.assert_close(together.pooled[i:i + 1], alone.pooled, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.local[i][together.valid[i]], alone.local[0], rtol=1e-4, atol=1e-5)


def test_a_method_that_names_a_size_is_obeyed():
    made = encoder(seconds=0.5)
    given = batch(2, rate=torch.tensor([9.0, 50.0]))
    assert [made.embed(given, size).grid for size in (4, 6, 12, 20)] == [(3, 12), (3, 8), (3, 4), (3, 3)]


def test_a_value_that_is_missing_is_not_one_that_is_zero():
    made, given = encoder(scale="data"), batch()
    valid = torch.ones(5, 48, dtype=torch.bool)
    valid[:, 7] = False
    zero = given.values * valid[:, None]
    assert not torch.allclose(made(replace(given, values=zero)).pooled, made(replace(given, values=zero, valid=valid)).pooled, atol=1e-4)


def test_absent_channels_have_no_part():
    made, given = encoder(), batch()
    channel = torch.zeros(5, 3, dtype=torch.long)
    channel[:, 2] = -1
    features = [made(replace(given, values=torch.where(channel[..., None] < 0, filled, given.values), extras={"channel": channel}))
                for filled in (0.0, 9.0)]
    torch.testing.assert_close(features[0].pooled, features[1].pooled)
    two = Flex(replace(SPEC, channels=2), **TINY).eval()
    two.load_state_dict(made.state_dict())
    torch.testing.assert_close(two(replace(given, values=given.values[:, :2])).pooled, features[0].pooled, rtol=1e-4, atol=1e-5)


def test_size_of_a_sample_does_not_matter_where_each_is_its_own_scale():
    made, given = encoder(), batch()
    torch.testing.assert_close(made(replace(given, values=50 * given.values)).pooled, made(given).pooled, rtol=1e-3, atol=1e-4)


def test_dropout_is_for_training_alone():
    made, given = encoder(dropout=0.5), batch()
    assert torch.equal(made(given).pooled, made(given).pooled)
    made.train()
    assert not torch.equal(made(given).pooled, made(given).pooled)


def test_channels_and_patches_have_places_of_their_own():
    """The same values in another channel, or later, are other tokens' neighbours: order matters in both."""
    made, given = encoder(scale="data"), batch()
    assert not torch.allclose(made(given).pooled, made(replace(given, values=given.values.flip(1))).pooled, atol=1e-4)
    assert not torch.allclose(made(given).pooled, made(replace(given, values=given.values.roll(12, -1))).pooled, atol=1e-4)


def test_the_first_channels_that_are_there_are_read():
    given = batch()
    channel = torch.tensor([[0, -1, 0], [-1, 0, 0], [0, 0, -1], [0, 0, 0], [-1, -1, 0]])
    given = replace(given, values=given.values * (channel >= 0)[..., None], extras={"channel": channel})
    few, two = encoder(channels=2), Flex(replace(SPEC, channels=2), **TINY).eval()
    two.load_state_dict(few.state_dict())
    at = torch.tensor([[0, 2], [1, 2], [0, 1], [0, 1], [2, 0]])
    pick = lambda x: x.gather(1, at.view(5, 2, *[1] * (x.dim() - 2)).expand(-1, -1, *x.shape[2:]))
    torch.testing.assert_close(few(given).pooled, two(replace(given, values=pick(given.values), extras={"channel": pick(channel)})).pooled)
    assert few.embed(given).grid == (2, 8) and encoder(channels=2).embed(batch()).grid == (2, 8)
