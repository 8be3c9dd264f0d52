"""Corruptions beyond what conformance checks of every kind: colours, ranges, names, and what a few of them are."""

from dataclasses import replace

import pytest
import torch

from unveil.errors import Unusable
from unveil.kinds.image import Image
from unveil.kinds.signal import Signal
from unveil.randomness import Generator
from unveil.testing.kinds import check_corruptions


def batch_of(kind, count=64):
    return kind.planted(count, Generator("corruptions")).batch(torch.arange(count))


def test_pictures_of_many_channels_and_of_another_range():
    kind = Image(size=12)
    batch = batch_of(kind)
    check_corruptions(kind, replace(batch, values=torch.cat([batch.values, 1 - batch.values, batch.values.flip(2)] * 2, 1)))
    hounsfield = replace(batch, values=4000 * batch.values - 1000)
    for name in kind.corruptions:
        changed = kind.corrupt(hounsfield, name, 3, Generator("range")).values
        assert (changed.amax((1, 2, 3)) <= hounsfield.values.amax((1, 2, 3)) + 1).all() and changed.amin() >= hounsfield.values.amin() - 1
        assert changed.std() > 100, "a picture in its own range was cut to 0 to 1"


@pytest.mark.parametrize("kind", [Image(), Signal(window=64)], ids=lambda kind: kind.name)
def test_unknown_names_and_severities_are_refused(kind):
    batch = batch_of(kind, 8)
    with pytest.raises(Unusable, match="did you mean 'noise'"):
        kind.corrupt(batch, "nois", 1, Generator("t"))
    with pytest.raises(Unusable, match=f"there are: {kind.corruptions[0]}"):
        kind.corrupt(batch, "xyz", 1, Generator("t"))
    for severity in (0, 6, 2.5, 3.0):
        with pytest.raises(Unusable, match="must be 1, 2, 3, 4 or 5"):
            kind.corrupt(batch, "noise", severity, Generator("t"))


def test_noise_has_the_stated_ratio():
    batch = batch_of(Signal(window=512))
    for severity, decibel in ((1, 20), (3, 10), (5, 0)):
        noise = Signal().corrupt(batch, "noise", severity, Generator("t")).values - batch.values
        ratio = 10 * torch.log10(batch.values.var(-1) / noise.var(-1))
        assert abs(float(ratio.mean()) - decibel) < 0.3


def test_a_lost_channel_reads_as_the_mean_over_the_data_and_one_is_left():
    kind, batch = Signal(window=64), batch_of(Signal(window=64))
    kind.rest = torch.tensor([[7.0], [7.0]])
    lost = (kind.corrupt(batch, "channels", 5, Generator("t")).values == 7).all(-1)
    assert (lost.sum(1) == 1).all()


def test_a_turn_keeps_the_middle_of_a_picture():
    x = torch.zeros(1, 1, 15, 15)
    x[..., 7, :] = 1
    batch = replace(batch_of(Image(), 1), values=x)
    turned = Image().corrupt(batch, "rotation", 5, Generator("t")).values[0, 0]
    assert turned[7, 7] == pytest.approx(1, abs=0.05) and turned[7, 0] < 0.2 and turned.sum() == pytest.approx(15, rel=0.15)


def test_missing_values_do_not_count_in_strengths():
    batch = batch_of(Signal(window=64), 8)
    valid = torch.arange(64).expand(8, -1) >= 32
    holed = replace(batch, values=torch.where(valid[:, None], batch.values + 100, 0), valid=valid)
    noise = Signal().corrupt(holed, "noise", 1, Generator("t")).values - holed.values
    assert noise.std() < 1, "the deviation was taken over the missing values too"
