"""Simulated EEG: the same people under any cap, of heights that EEG has, with a class where it is said to be."""

from __future__ import annotations

import numpy as np
import torch

from unveil.data import simulated
from unveil.data.opening import open_records
from unveil.data.split import split
from unveil.kinds.signal import Signal


def power(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Root of the power of channels ``(C, T)`` within a band."""
    at, found = np.fft.rfftfreq(x.shape[1], 1 / simulated.RATE), np.abs(np.fft.rfft(x)) ** 2
    return np.sqrt(2 * found[:, (at >= low) & (at < high)].sum(1)) / x.shape[1]


def named(series, *names: str) -> np.ndarray:
    return series.read(0, series.length)[[series.channels.index(name) for name in names]]


def test_a_person_is_the_same_under_every_cap_and_no_other():
    wide, narrow = simulated.recording(0, 3, "32"), simulated.recording(0, 3, "8")
    np.testing.assert_array_equal(named(wide, "C3", "O2"), named(narrow, "C3", "O2"))
    assert wide.annotations.words == narrow.annotations.words and wide.annotations.words.count("left") == 15
    for other in (simulated.recording(1, 3, "8"), simulated.recording(0, 4, "8")):
        assert abs(np.corrcoef(named(other, "C3")[0], named(narrow, "C3")[0])[0, 1]) < 0.2
    simulated.person.cache_clear()
    np.testing.assert_array_equal(simulated.recording(0, 3, "8").read(100, 200), narrow.read(100, 200))


def test_heights_are_those_of_eeg():
    """Microvolts: blinks of 100 to 300 in front and not at the back, some ten of everything else, a rhythm that is strongest behind."""
    back = []
    for number in range(6):
        x = named(simulated.recording(0, number, "32"), "Fp1", "O1", "Cz", "C3")
        assert 100 < np.abs(x[0]).max() < 300 and np.abs(x[1:]).max() < 120
        assert (x[1:].std(1) > 5).all() and (x[1:].std(1) < 30).all()
        back.append(power(x, 8, 12)[1] / power(x, 8, 12)[2])
    assert np.median(back) > 1.2


def test_the_rhythm_falls_on_the_side_across_from_the_hand():
    gaps = []
    for number in range(6):
        series = simulated.recording(0, number, "19")
        x, length = named(series, "C3", "C4"), simulated.TRIAL * simulated.RATE
        trials = [np.log(power(x[:, i * length:(i + 1) * length], 8, 12)) for i in range(len(series.annotations.words))]
        left = np.array([word == "left" for word in series.annotations.words])
        lateral = np.array([c3 - c4 for c3, c4 in trials])
        gaps.append(lateral[left].mean() - lateral[~left].mean())
    assert min(gaps) > 0, "thinking of the left hand, C3 has the stronger rhythm"


def test_the_built_in_set(monkeypatch):
    assert simulated.LEARN + simulated.TEST == 36
    monkeypatch.setattr(simulated, "LEARN", 4)
    monkeypatch.setattr(simulated, "TEST", 4)
    kind, records = open_records("simulated-eeg")
    assert kind == "signal" and len(records) == 8 and records.notes[0].startswith("simulated: ")
    samples = Signal(window=256, stride=1024).open(records)
    parts = split(samples)
    assert samples.mixed and samples.channels == 32 and samples.classes == ["left", "right"] and (samples.labels >= 0).all()
    assert parts.name == "the source's own test part" and not set(parts.train.groups) & set(parts.test.groups)
    batch = samples.batch(torch.arange(0, len(samples), 15))
    assert sorted((batch.extras["channel"] >= 0).sum(1).unique().tolist()) == [8, 14, 19, 32]
