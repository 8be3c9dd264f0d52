"""Simulated EEG: the same people under any cap, of heights that EEG has, with a class where it is said to be."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from unveil.data import simulated
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.split import split
from unveil.kinds.signal import Signal

ROOT = Path(__file__).parents[2]


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


@pytest.fixture
def sweeps(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(simulated, "LEARN", 3)
    monkeypatch.setattr(simulated, "TEST", 1)
    return importlib.import_module("sphere")


def test_the_set_as_a_folder_of_edf(sweeps, tmp_path):
    sweeps.folder(tmp_path)
    kind, records = open_records(tmp_path, Options(labels="annotations"))
    files, computed = (Signal(window=256, stride=1024).open(each) for each in (records, simulated.builtin()))
    assert kind == "signal" and len(records) == 4 and files.mixed and files.classes == computed.classes
    order = [name.rpartition("/")[2] for name in records.names]
    assert order == ["person003.edf", "person000.edf", "person001.edf", "person002.edf"]
    again = np.roll(np.arange(len(files)), -15)  # the folder of those held out comes first
    for of_file, of_set in ((files.labels, computed.labels), (files.test, computed.test)):
        np.testing.assert_array_equal(of_file[again], of_set)
    one, other = (samples.batch(torch.as_tensor(at[[0, 20, 50]])) for samples, at in ((files, again), (computed, np.arange(60))))
    assert (one.values - other.values).abs().max() < 0.01 and torch.equal(one.extras["place"], other.extras["place"])


def test_powers_by_place_know_electrodes_by_where_they_are(sweeps):
    """In whatever order they come, and absent ones do not count."""
    samples = Signal(window=256, stride=1024).open(simulated.builtin())
    batch = samples.batch(torch.arange(0, 60, 7))
    turned = replace(batch, values=batch.values.flip(1), extras={name: x.flip(1) for name, x in batch.extras.items()})
    found = sweeps.powers_by_place(batch, 128.0)
    torch.testing.assert_close(sweeps.powers_by_place(turned, 128.0), found)
    absent = batch.extras["channel"] < 0
    loud = replace(batch, values=torch.where(absent[..., None], 1e3 * torch.randn_like(batch.values), batch.values))
    torch.testing.assert_close(sweeps.powers_by_place(loud, 128.0), found)


def test_the_page_shows_what_was_measured(sweeps):
    found = json.loads((ROOT / "results" / "benchmarks" / "sphere.json").read_text())
    assert sweeps.table(found) in (ROOT / "docs" / "signals.md").read_text()
