"""Signals of recordings with channels, rates and lengths of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unveil.data.montages import places
from unveil.data.records import Records, Unreadable
from unveil.data.series import Series, of_array
from unveil.errors import Unusable
from unveil.kinds.signal import Signal
from unveil.recipes.check import checked


def noise(channels: int, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(channels, length)).astype(np.float32) * 20


def records(*series: Series | np.ndarray | str, **more) -> Records:
    def load(i: int):
        if isinstance(series[i], str):
            raise Unreadable(series[i])
        return series[i]
    return Records([f"r{i}" for i in range(len(series))], load, layout="ct", **more)


def electrodes(names: str, length: int = 500, rate: float | None = 100.0, seed: int = 0) -> Series:
    names = names.split()
    return of_array(noise(len(names), length, seed), names, rate, places(names))


def everything(samples):
    return samples.batch(torch.arange(len(samples)))


def test_arrays_are_read_as_ever():
    """What was read before recordings had channels of their own, value for value."""
    x = noise(2, 300)
    x[1, 40] = np.nan
    kind = Signal(window=32, stride=16)
    samples = kind.open(records(x, noise(2, 100, 1)))
    batch = everything(samples)
    want = np.stack([held[:, at:at + 32] for held in (np.nan_to_num(x), noise(2, 100, 1))
                     for at in range(0, held.shape[1] - 31, 16)])
    assert np.array_equal(batch.values.numpy(), want) and not batch.extras and batch.valid.sum() == batch.valid.numel() - 2
    assert not samples.mixed and kind.offers == {"grid", "series"} and kind.montage == "auto"


def test_series_of_the_same_channels_are_no_montage():
    """They come as arrays would, in the order of the first, whatever their own."""
    a, b = electrodes("Fz Cz Pz"), electrodes("Pz Fz Cz", seed=1)
    kind = Signal(window=50, stride=50)
    samples = kind.open(records(a, b))
    batch = everything(samples)
    assert not samples.mixed and not batch.extras and samples.shape == (50,) and samples.spacing == (0.01,) and samples.unit == "s"
    x = b.read(0, 500)
    np.testing.assert_array_equal(batch.values[10].numpy(), x[[1, 2, 0], :50])
    plain = Signal(window=50, stride=50).open(records(a.read(0, 500), x[[1, 2, 0]]))
    assert torch.equal(everything(plain).values, batch.values)
    assert kind.fixed(samples)["montage"] == "same" and kind.rest.shape == (3, 1)


def test_other_channels_make_a_montage():
    a, b = electrodes("Fz Cz Pz"), electrodes("C3 C4 EKG Oz EMG", seed=1)
    kind = Signal(window=50, stride=50)
    samples = kind.open(records(a, b))
    batch = everything(samples)
    assert samples.mixed and kind.offers == {"montage", "series"} and samples.channels == 5 and samples.spec().mixed
    channel, place = batch.extras["channel"], batch.extras["place"]
    assert channel.dtype == torch.int64 and place.dtype == torch.float32 and batch.valid is None
    assert channel[0].tolist() == [0, 0, 0, -1, -1] and (channel[10][[0, 1, 3]] == 0).all() and (channel[10][[2, 4]] > 0).all()
    assert channel[10, 2] != channel[10, 4] and (channel <= 255).all()
    np.testing.assert_allclose(place[10].numpy()[[0, 1, 3]], places(["C3", "C4", "Oz"]), atol=1e-6)
    assert not place[channel != 0].any() and not batch.values[channel < 0].any()
    for record, x in ((0, a.read(0, 500)), (1, b.read(0, 500))):
        lower, middle, upper = np.percentile(x, (25, 50, 75), axis=1, keepdims=True)
        want = (x - middle) / ((upper - lower) / 1.349)
        np.testing.assert_allclose(batch.values[10 * record].numpy()[:len(x)], want[:, :50], atol=1e-4)


def test_channels_of_the_same_name_have_the_same_number_wherever_they_are():
    a, b = electrodes("Fz EKG chin"), electrodes("chin C3 C4 ekg", seed=1)
    channel = everything(Signal(window=50).open(records(a, b))).extras["channel"]
    assert channel[0, 1] == channel[-1, 3] > 0 and channel[0, 2] == channel[-1, 0] > 0


def test_unknown_channels_of_a_recording_are_told_apart():
    names = [f"x{i}" for i in range(120)]
    channel = everything(Signal(window=50, montage="mixed").open(records(of_array(noise(120, 50), names)))).extras["channel"]
    assert len(channel[0].unique()) == 120 and channel.min() > 0 and channel.max() <= 255


def test_rates_are_brought_to_the_lowest_and_it_is_said():
    t = lambda rate: np.arange(10 * rate) / rate
    tone = lambda rate, hz: np.sin(2 * np.pi * hz * t(rate))[None].astype(np.float32)
    made = records(of_array(tone(100, 7), ["Cz"], 100.0), of_array(tone(256, 7), ["Cz"], 256.0))
    samples = Signal(window=100, stride=100, scale="none").open(made)
    batch = everything(samples)
    assert len(samples) == 20 and samples.spacing == (0.01,) and samples.notes[0].startswith("rates differ (100, 256 values a second)")
    assert (batch.values[12:18] - batch.values[2:8]).abs().max() < 2e-3
    samples = Signal(window=64, stride=64, rate=64.0).open(made)
    assert samples.spacing == (1 / 64,) and not samples.notes
    assert Signal(window=64, rate=64.0).fixed(samples)["rate"] == 64.0


def test_native_rates_are_kept_and_said():
    made = records(electrodes("Cz", 300, 100.0), electrodes("Cz", 300, 256.0, 1), electrodes("Cz", 300, None, 2))
    kind = Signal(window=100, stride=100, rates="native")
    samples = kind.open(made)
    batch = everything(samples)
    assert batch.extras["rate"].tolist() == [100.0] * 3 + [256.0] * 3 + [0.0] * 3 and samples.unit == "sample"
    assert batch.extras["rate"].dtype == torch.float32 and kind.fixed(samples)["rate"] is None
    np.testing.assert_array_equal(batch.values[4].numpy(), made.load(1).read(100, 200))


def test_a_channel_with_a_gap_is_absent_in_that_window():
    x = noise(3, 300)
    x[1, 120:130] = np.nan
    x[:, 210] = np.nan
    names = ["Fz", "Cz", "EKG"]
    samples = Signal(window=50, stride=50, montage="mixed").open(records(of_array(x, names, 100.0, places(names))))
    batch = everything(samples)
    assert samples.faults == {"r0 (windows)": "1 windows without a whole channel set aside"} and len(samples) == 5
    there = batch.extras["channel"] >= 0
    assert there.tolist() == [[True] * 3] * 2 + [[True, False, True]] + [[True] * 3] * 2
    assert not batch.values[2, 1].any() and not batch.extras["place"][2, 1].any() and batch.values.isfinite().all() and batch.valid is None


def test_a_gap_in_the_same_channels_marks_time():
    x = noise(3, 300)
    x[1, 120:130] = np.nan
    batch = everything(Signal(window=50, stride=50).open(records(of_array(x, list("abc"), 100.0))))
    assert batch.valid.sum(1).tolist() == [50, 50, 40, 50, 50, 50] and not batch.values[2, :, 20:30][1].any()


def test_a_flat_channel_is_absent_and_said():
    x = noise(3, 200)
    x[2] = 5.0
    samples = Signal(window=50, montage="mixed").open(records(of_array(x, ["Fz", "Cz", "Pz"], 100.0)))
    assert samples.faults == {"r0 (channels)": "Pz never changes, left out"}
    assert (everything(samples).extras["channel"][:, 2] == -1).all()
    same = Signal(window=50).open(records(of_array(x, ["Fz", "Cz", "Pz"], 100.0)))
    assert same.faults == {"r0 (channels)": "Pz never changes"}


def test_short_ones_are_set_aside_or_filled_up():
    made = records(electrodes("Fz Cz", 200), electrodes("Fz", 30, seed=1))
    samples = Signal(window=50).open(made)
    assert samples.faults == {"r1": "has 30 values, a window needs 50"}
    assert samples.notes == ["1 of 2 recordings are shorter than a window of 50 values and were set aside: --kind.short pad fills them up, "
                             "--kind.window 30 reads the longest of them"]
    samples = Signal(window=50, stride=50, short="pad").open(records(electrodes("Fz Cz", 200), electrodes("Fz", 30, seed=1)))
    batch = everything(samples)
    assert len(samples) == 5 and not samples.faults and batch.valid.sum(1).tolist() == [50] * 4 + [30]
    assert not batch.values[4, :, 30:].any() and batch.values[4, 0, :30].std() > 0.5
    array = Signal(window=50, short="pad").open(records(noise(2, 30)))
    assert everything(array).valid.sum() == 30


def test_what_was_settled_on_the_data_reads_new_data_alike():
    kind = Signal(window=50, band=(1.0, 30.0), notch=50.0, reference="average", short="pad")
    samples = kind.open(records(electrodes("Fz Cz Pz"), electrodes("C3 C4", rate=128.0, seed=1)))
    held = kind.fixed(samples)
    known = {"window": 50, "rate": 100.0, "montage": "mixed", "band": (1.0, 30.0), "notch": 50.0, "reference": "average",
             "scale": "robust", "short": "pad", "rates": "common"}
    assert held == held | known
    again = Signal(**checked(Signal, held, "kind"))
    one = again.open(records(electrodes("Fz Cz Pz")))
    assert one.mixed and torch.equal(everything(one).values, everything(samples).values[:len(one), :3])


def test_labels_groups_and_tests_follow_their_recordings():
    made = records(electrodes("Fz"), "is damaged", electrodes("Cz Pz", seed=1), labels=np.array(["a", "", "b"]),
                   groups=np.array(["p", "q", "q"]), test=np.array([False, True, True]), targets=np.array([1.0, 2.0, 3.0]))
    samples = Signal(window=100, stride=100).open(made)
    assert samples.faults == {"r1": "is damaged"} and samples.labels.tolist() == [0] * 5 + [1] * 5
    assert [samples.group_names[i] for i in samples.groups] == ["p"] * 5 + ["q"] * 5
    assert samples.test.tolist() == [False] * 5 + [True] * 5 and samples.targets.tolist() == [1.0] * 5 + [3.0] * 5
    assert samples.name(7) == "r2" and samples.cut.tolist() == [[record, 100 * i] for record in (0, 2) for i in range(5)]


def test_dense_labels_follow_the_rate():
    dense = np.empty(2, object)
    dense[0], dense[1] = np.repeat(np.arange(5), 100), np.repeat(np.arange(5), 200)
    samples = Signal(window=50, stride=50).open(records(electrodes("Fz"), electrodes("Cz Pz", 1000, 200.0, 1), dense=dense))
    assert samples.dense.shape == (20, 50) and samples.dense[10:, 10].tolist() == samples.dense[:10, 10].tolist() == np.repeat(
        np.arange(5), 2).tolist()


def test_channels_must_fit_where_they_are_said_to_be_the_same():
    made = records(electrodes("Fz Cz"), electrodes("Fz Cz", seed=1), electrodes("Fz Pz", seed=2))
    assert Signal(window=50, montage="same").open(made).faults == {
        "r2": "has 2 channels, most recordings 2, and lacks the channel Cz; --kind.montage mixed reads recordings with channels of their "
              "own"}


def test_settings_that_cannot_be():
    with pytest.raises(Unusable, match="the lower edge must be below the upper one"):
        Signal(band=(30.0, 1.0))
    with pytest.raises(Unusable, match=r"leave out kind\.rate"):
        Signal(rate=100.0, rates="native")
    with pytest.raises(Unusable, match=r"no recording gives a window of 64 values. r0: is damaged"):
        Signal(window=64, montage="mixed").open(records("is damaged"))
    everything_gone = of_array(np.full((2, 100), np.nan, np.float32), ["a", "b"], 10.0)
    with pytest.raises(Unusable, match="a, b never change, left out"):
        Signal(window=64, montage="mixed").open(records(everything_gone))


def test_an_average_reference_leaves_no_common_part():
    common = np.cumsum(np.random.default_rng(5).normal(size=500)).astype(np.float32) * 50
    made = records(of_array(noise(4, 500) + common, list("abcd"), 100.0))
    batch = everything(Signal(window=100, reference="average").open(made))
    assert batch.values.mean(1).abs().max() < 1e-3
