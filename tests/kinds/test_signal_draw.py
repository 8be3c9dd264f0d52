"""Drawings of series: lanes of what is there, over the whole width; spectrogram and head where they can be drawn."""

from __future__ import annotations

import base64
import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from unveil.contracts import Batch
from unveil.data.montages import places
from unveil.kinds.signal import Signal
from unveil.kinds.signal.draw import HEAD, MOST, WIDTH, drawing, head, spectrogram
from unveil.randomness import Generator


def mixed(number: int = 1) -> Batch:
    """Of a montage that has four of six channels."""
    kind = Signal(window=64, montage="mixed")
    return kind.planted(16, Generator("t")).batch(torch.arange(16)).one(number)


def points(svg: str) -> list[np.ndarray]:
    return [np.array([[float(v) for v in pair.split(",")] for pair in line.split()]) for line in re.findall(r'points="([^"]*)"', svg)]


def wave(hertz: float, rate: float = 250.0, length: int = 512) -> torch.Tensor:
    return (2 * math.pi * hertz * torch.arange(length) / rate).sin()[None]


def test_every_channel_has_a_lane_over_the_whole_width():
    lines = points(drawing(torch.randn(5, 40, generator=torch.Generator().manual_seed(0))))
    assert len(lines) == 5
    for row, line in enumerate(lines):
        assert line[0, 0] == 0 and line[-1, 0] == WIDTH and 12 * row <= line[:, 1].min() and line[:, 1].max() <= 12 * (row + 1)


@pytest.mark.parametrize("channels, drawn", [(1, 1), (8, 8), (19, 19), (100, MOST)])
def test_many_channels_share_the_height(channels, drawn):
    svg = drawing(torch.randn(channels, 20, generator=torch.Generator().manual_seed(0)))
    height = float(re.search(r'viewBox="0 0 \d+ ([\d.]+)"', svg)[1])
    assert len(points(svg)) == drawn and height <= 121 and max(line[:, 1].max() for line in points(svg)) <= height + 0.1


def test_absent_channels_have_no_lane_and_missing_values_leave_a_gap():
    sample = mixed(4)
    assert int((sample.extras["channel"] >= 0).sum()) == len(points(drawing(sample))) < sample.values.shape[1]
    valid = torch.ones(1, 64, dtype=torch.bool)
    valid[:, 20:30] = False
    assert len(points(drawing(replace(sample, valid=valid)))) == 2 * len(points(drawing(sample)))
    assert points(drawing(replace(sample, valid=torch.zeros_like(valid)))) == []


def test_names_stand_in_their_lanes():
    svg = drawing(torch.zeros(3, 20), ["Fp1", "a<b", "O2"])
    assert re.findall(r">([^<]*)</text>", svg) == ["Fp1", "a&lt;b", "O2"]
    assert "<text" not in drawing(torch.zeros(30, 20), [str(c) for c in range(30)]), "no room"


def test_mixed_channels_are_named_by_their_places():
    known = ["Cz", "O2", "Fp1", "T7"]
    place = torch.tensor(np.concatenate([places(known), [[0.3, 0.1, 0.2], [0, 0, 0]]]), dtype=torch.float32)[None]
    ids = torch.arange(1)
    sample = Batch(torch.zeros(1, 6, 20), ids, ids, extras={"channel": torch.tensor([[0, 0, -1, 0, 0, 5]]), "place": place})
    assert re.findall(r">([^<]*)</text>", Signal().draw(sample)) == ["Cz", "O2", "T7"]


def picture(tag: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]*)", tag)[1]))))


@pytest.mark.parametrize("hertz", [15.0, 60.0, 110.0])
def test_a_tone_is_a_line_at_its_frequency(hertz):
    alpha = picture(spectrogram(wave(hertz)))[..., 3]
    row = alpha.mean(1).argmax()
    assert alpha[row].min() > 200 and 1 - (row + 0.5) / len(alpha) == pytest.approx(hertz / 125, abs=1.5 / len(alpha))


def test_a_sample_is_too_short_for_a_spectrogram():
    assert spectrogram(torch.zeros(2, 20)) == "" and spectrogram(torch.zeros(2, 64)).startswith("<img")
    nothing = mixed()
    assert spectrogram(replace(nothing, extras={"channel": torch.full((1, 7), -1), "place": torch.zeros(1, 7, 3)})) == ""


def test_electrodes_lie_where_the_head_has_them_and_grow_with_power():
    place = torch.tensor([[[0.0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, 0]]])
    values = torch.randn(1, 5, 400, generator=torch.Generator().manual_seed(0)) * torch.tensor([4.0, 1, 1, 1, 9])[:, None]
    ids = torch.arange(1)
    sample = Batch(values, ids, ids, extras={"channel": torch.tensor([[0, 0, 0, 0, 7]]), "place": place})
    found = np.array([[float(v) for v in dot] for dot in re.findall(r'electrode" cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', head(sample))])
    np.testing.assert_allclose(found[:, :2], [[50, 54], [50 + HEAD, 54], [50, 54 - HEAD], [50 - HEAD, 54]], atol=0.06)
    assert found[0, 2] == found[:, 2].max() and len(found) == 4
    assert head(values[0]) == "" and head(replace(sample, extras=sample.extras | {"channel": torch.full((1, 5), 7)})) == ""


def test_what_can_be_drawn_is_offered():
    kind = Signal(window=64, montage="mixed")
    assert list(kind.portraits(mixed())) == ["power by time (across) and frequency (up)", "power by electrode"]
    assert Signal(window=16).portraits(torch.zeros(2, 16)) == {}
