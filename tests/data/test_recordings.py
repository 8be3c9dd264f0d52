"""Recordings: what is read of EDF, BDF and other files, and what is said of each that is wrong."""

from __future__ import annotations

import gzip
import subprocess
import sys

import numpy as np
import pytest
import torch

from recorded import edf, folder, gdf, waves
from unveil.data import edf as reading
from unveil.data import foreign
from unveil.data.montages import place
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.readers import recordings
from unveil.data.records import Unreadable
from unveil.data.split import split
from unveil.errors import Unusable
from unveil.kinds.signal import Signal

STEP = 2000 / 65535  # of a digital value in the files that are made here


def write(file, content: bytes):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def opened(path, **options):
    kind, records = open_records(path, Options(**options))
    assert kind == "signal"
    return records


@pytest.mark.parametrize("bdf", [False, True])
def test_values_names_places_and_person(tmp_path, bdf):
    x = waves(3, 100, 10)
    file = write(tmp_path / f"a.{'bdf' if bdf else 'edf'}", edf(x, ["EEG FP1-REF", "Fc5.", "EKG"], [100] * 3, person="P7 F X X", bdf=bdf))
    series = reading.series(str(file))
    assert series.channels == ["Fp1", "FC5", "EKG"] and series.rate == 100 and series.length == 1000 and series.units == ["uV"] * 3
    assert np.abs(series.read(0, 1000) - x).max() <= STEP and not series.notes and series.origin == str(file)
    np.testing.assert_allclose(series.places[:2], [place("Fp1"), place("FC5")])
    assert np.isnan(series.places[2]).all() and reading.subject(str(file)) == "P7"
    for start, stop in ((0, 1), (150, 151), (99, 301), (700, 1000)):
        np.testing.assert_array_equal(series.read(start, stop), series.read(0, 1000)[:, start:stop])


@pytest.mark.parametrize("bdf", [False, True])
def test_as_mne_reads_it(tmp_path, bdf):
    mne = pytest.importorskip("mne")
    file = write(tmp_path / f"a.{'bdf' if bdf else 'edf'}", edf(waves(4, 128, 8), ["Fp1", "C3", "O1", "Cz"], [128] * 4, bdf=bdf))
    raw = (mne.io.read_raw_bdf if bdf else mne.io.read_raw_edf)(file, verbose="ERROR")
    series = reading.series(str(file))
    np.testing.assert_allclose(series.read(0, series.length), raw.get_data() * 1e6, atol=1e-4)


def test_units_are_brought_to_microvolts(tmp_path):
    x = waves(4, 100, 4)
    file = write(tmp_path / "a.edf", edf(x, ["Fp1", "C3", "O1", "SpO2"], [100] * 4, units=["mV", "V", "nV", "%"]))
    series = reading.series(str(file))
    got = series.read(0, 400)
    for row, factor in enumerate((1e3, 1e6, 1e-3, 1)):
        assert np.abs(got[row] / factor - x[row]).max() <= 1.01 * STEP
    assert series.units == ["uV", "uV", "uV", "%"]
    assert series.notes == ["channels in '%' stay in that unit, all others are in microvolts"]


def test_files_of_other_units_are_alike(tmp_path):
    x = waves(2, 100, 4)
    write(tmp_path / "a.edf", edf(x, ["Fp1", "C3"], [100] * 2))
    write(tmp_path / "b.edf", edf(x / 1000, ["Fp1", "C3"], [100] * 2, units=["mV"] * 2, ends=(-1, 1)))
    samples = Signal(window=100, stride=100).open(opened(tmp_path))
    batch = samples.batch(torch.arange(8))
    assert not samples.mixed and (batch.values[:4] - batch.values[4:]).abs().max() < 2 * STEP


def test_two_rates_in_one_file(tmp_path):
    x = waves(2, 100, 10)
    slow = np.arange(250) / 10.0
    file = write(tmp_path / "a.edf", edf([*x, slow], ["C3", "O1", "Resp"], [100, 100, 25]))
    series = reading.series(str(file))
    got = series.read(0, 1000)
    want = np.interp((np.arange(1000) + 0.5) / 4 - 0.5, np.arange(250), slow)
    assert np.abs(got[2] - want).max() <= 2 * STEP and np.abs(got[:2] - x).max() <= STEP
    np.testing.assert_array_equal(series.read(333, 777), got[:, 333:777])
    assert series.notes == ["Resp: 1 channels with 25 values a second are read at 100 as the others"]


def test_channels_of_the_same_name(tmp_path):
    series = reading.series(str(write(tmp_path / "a.edf", edf(waves(3, 100, 4), ["Fp1", "EEG Fp1", "O1"], [100] * 3))))
    assert series.channels == ["Fp1", "Fp1 (2)", "O1"] and np.isnan(series.places[1]).all()
    assert series.notes == ["a.edf has several channels called Fp1: the later ones are numbered and have no place"]


def test_no_window_crosses_a_gap(tmp_path):
    x = waves(2, 100, 10)
    file = write(tmp_path / "a.edf", edf(x, ["Fp1", "C3"], [100] * 2, onsets=[0, 1, 2, 3, 60, 61, 62, 63, 64, 65]))
    samples = Signal(window=50, stride=50, montage="mixed").open(opened(file))
    assert samples.notes == ["a.edf has 1 gaps in time; no window crosses one"] and len(samples) == 19
    assert samples.faults == {f"{file} (windows)": "1 windows without a whole channel set aside"}


def test_a_file_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path):
    whole = edf(waves(2, 100, 10), ["Fp1", "C3"], [100] * 2)
    series = reading.series(str(write(tmp_path / "a.edf", whole[:-1000])))
    assert series.length == 700 and np.isfinite(series.read(0, 700)).all()
    assert series.notes == ["a.edf is cut short: 7 of the 10 records that its header says are there and are read"]
    unsaid = reading.series(str(write(tmp_path / "b.edf", edf(waves(2, 100, 10), ["Fp1", "C3"], [100] * 2, records=-1))))
    assert unsaid.length == 1000 and not unsaid.notes


def patched(content: bytes, at: int, text: str) -> bytes:
    return content[:at] + text.encode("latin-1") + content[at + len(text):]


EDF = edf(waves(2, 100, 4), ["Fp1", "C3"], [100] * 2)
HEAD = 256 * 3


@pytest.mark.parametrize("content, words", [
    (b"", "is empty"),
    (b"time,x,y\n1,2,3\n" * 200, "is no EDF or BDF file: it begins with 'time,x,y', not with a version 0"),
    (EDF[:100], "is cut short: 100 bytes of a header of 256"),
    (EDF[:300], "is cut short: its header has 300 bytes of 768"),
    (EDF[:HEAD + 100], "is cut short: it ends before its first record is whole"),
    (patched(EDF, 252, "two "), "has a wrong header: the number of signals is 'two', which is no number"),
    (patched(EDF, 252, "0   "), "has a wrong header: the number of signals is 0; it can be 1 to 4,096"),
    (patched(EDF, 252, "9999"), "has a wrong header: the number of signals is 9999; it can be 1 to 4,096"),
    (patched(EDF, 184, "512     "), "has a wrong header: it says a size of 512 bytes, 2 signals make 768"),
    (patched(EDF, 244, "0       "), "has a wrong header: a record lasts 0 seconds"),
    (patched(EDF, 236, "many    "), "has a wrong header: the number of records is 'many', which is no number"),
    (patched(EDF, 256 + 104 * 2, "low     "), "has a wrong header: the physical minimum of channel Fp1 is 'low', which is no number"),
    (patched(EDF, 256 + 120 * 2, "32767   "), "has a wrong header: the digital minimum and maximum of channel Fp1 are both 32767"),
    (patched(EDF, 256 + 216 * 2, "0       0       "), "has no channels with values"),
])
def test_what_cannot_be_read_is_said(tmp_path, content, words):
    bad = write(tmp_path / "in" / "bad.edf", content)
    with pytest.raises(Unreadable) as why:
        opened(bad).load(0)
    assert str(why.value) == words
    write(tmp_path / "in" / "good.edf", EDF)
    samples = Signal(window=50).open(opened(tmp_path))
    assert samples.faults == {str(bad): words} and len(samples) == 30, "nothing of the other is lost"


def test_a_flat_channel_and_places_that_are_unknown(tmp_path):
    x = waves(3, 100, 4)
    x[1] = 100.0
    samples = Signal(window=50, montage="mixed").open(opened(write(tmp_path / "a.edf", edf(x, ["Sp1x", "C3", "chin"], [100] * 3))))
    batch = samples.batch(torch.arange(3))
    assert samples.faults == {str(tmp_path / "a.edf") + " (channels)": "C3 never changes, left out"}
    assert batch.extras["channel"][:, 1].tolist() == [-1] * 3 and (batch.extras["channel"][:, [0, 2]] > 0).all()
    assert not batch.extras["place"].any()


def test_a_folder_as_of_a_clinic_is_read_unasked(tmp_path):
    """Other montages, rates and units, several files of a person."""
    kind = Signal(window=64)
    samples = kind.open(opened(folder(tmp_path)))
    assert samples.mixed and not samples.faults and samples.channels == 5 and samples.group_names == ["P000", "P001", "P002"]
    assert samples.notes[0] == "3 subjects, known of 6 of 6 recordings by their header"
    batch = samples.batch(torch.arange(0, len(samples), 7))
    assert batch.values.isfinite().all() and 0.5 < batch.values[batch.extras["channel"] >= 0].std() < 2
    parts = split(samples)
    assert parts.name == "1 of 3 groups held out" and not set(parts.train.groups) & set(parts.test.groups)


def test_whom_a_recording_is_of(tmp_path):
    for name, person in (("sub-01/eeg/sub-01_task-rest.edf", "Z X X X"), ("b.edf", "Z9 X X X"), ("c.edf", "X X X X"),
                         ("d.edf", "anonymous")):
        write(tmp_path / name, edf(waves(1, 100, 2), ["Cz"], [100], person=person))
    records = opened(tmp_path)
    assert [group.rpartition("/")[2] for group in records.groups] == ["Z9", "c.edf", "d.edf", "sub-01"]
    assert records.notes == ["4 subjects, known of 1 of 4 recordings by their header; 2 of 4 recordings by nothing: each file is taken as "
                             "a subject of its own; 1 of 4 recordings by their path"]
    assert set(opened(tmp_path, groups="files").groups) == set(records.names)
    with pytest.raises(Unusable, match="recordings have no column 'who'"):
        opened(tmp_path, groups="who")


def test_a_folder_as_of_tuab(tmp_path):
    """Held-out files lie in a folder of their own, labels are the folders in it; a person on both sides is refused."""
    for n, (part, label) in enumerate((part, label) for part in ("train", "eval") for label in ("normal", "abnormal")):
        content = edf(waves(2, 250, 4, n), ["EEG FP1-REF", "EEG FP2-REF"], [250] * 2, person=f"a{n} M X X")
        write(tmp_path / part / label / "01_tcp_ar" / f"a{n}_s001_t000.edf", content)
    records = opened(tmp_path, labels="folders")
    assert sorted(zip(records.labels, records.test)) == [("abnormal", False), ("abnormal", True), ("normal", False), ("normal", True)]
    samples = Signal(window=100, stride=100).open(records)
    assert split(samples).name == "the source's own test part"
    content = edf(waves(2, 250, 4), ["EEG FP1-REF", "EEG FP2-REF"], [250] * 2, person="a0 M X X")
    write(tmp_path / "eval" / "normal" / "01_tcp_ar" / "a0_s002_t000.edf", content)
    with pytest.raises(Unusable, match="test part shares subjects with what is learned from: a0"):
        split(Signal(window=100).open(opened(tmp_path)))


def test_annotations_of_text_beside_recordings_do_not_hide_them(tmp_path):
    write(tmp_path / "a.edf", EDF)
    write(tmp_path / "a.csv", b"channel,start,stop,label\nFP1,0,1,bckg\n")
    write(tmp_path / "notes.json", b"{}")
    assert len(opened(tmp_path)) == 1


def test_a_replaced_file_is_no_longer_read(tmp_path):
    file = write(tmp_path / "a.edf", EDF)
    series = reading.series(str(file))
    write(file, edf(waves(2, 100, 6), ["Fp1", "C3"], [100] * 2))
    with pytest.raises(Unreadable, match="was replaced while it was in use"):
        series.read(0, 10)


def test_what_needs_a_package_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(Unusable, match=r"a\.fif: reading \.fif needs the package mne: pip install 'unveil\[signal\]'"):
        Signal(window=10).open(opened(write(tmp_path / "a.fif", b"x")))


def test_edf_needs_no_package(tmp_path):
    write(tmp_path / "a.edf", EDF)
    code = ("import sys\nfrom unveil.data.opening import open_records\nfrom unveil.kinds.signal import Signal\n"
            f"assert len(Signal(window=50).open(open_records({str(tmp_path)!r})[1]))\n"
            f"assert not {{'mne', 'wfdb', 'h5py'}} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def raw():
    mne = pytest.importorskip("mne")
    info = mne.create_info(["Fp1", "C3", "Weird", "MEG 001", "STI"], 200.0, ["eeg", "eeg", "eeg", "mag", "stim"])
    held = np.concatenate([waves(3, 200, 5) * 1e-6, waves(2, 200, 5) * 1e-15])
    return mne.io.RawArray(held, info, verbose="ERROR")


def test_fif(tmp_path, raw):
    raw.save(tmp_path / "a_raw.fif", verbose="ERROR")
    series = opened(tmp_path).load(0)
    assert series.channels == ["Fp1", "C3", "Weird", "MEG 001"] and series.units == ["uV", "uV", "uV", "fT"] and series.rate == 200
    want = np.concatenate([waves(3, 200, 5), waves(2, 200, 5)[:1]])
    np.testing.assert_allclose(series.read(100, 900), want[:, 100:900], atol=1e-3)
    np.testing.assert_allclose(series.places[0], place("Fp1"))
    assert np.isnan(series.places[2:]).all()


def test_measured_places_of_a_file_come_first(tmp_path, raw):
    mne = pytest.importorskip("mne")
    eeg = raw.copy().pick(["Fp1", "C3", "Weird"])
    where = {name: 0.09 * np.array(held) for name, held in (("Fp1", [0, 1, 0]), ("C3", [-1, 0, 0]), ("Weird", [0, 0, 1]))}
    eeg.set_montage(mne.channels.make_dig_montage(where, coord_frame="head"))
    eeg.save(tmp_path / "b_raw.fif", verbose="ERROR")
    np.testing.assert_allclose(opened(tmp_path).load(0).places, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-6)


def test_brainvision_as_another_package_writes_it(tmp_path):
    pybv, _ = pytest.importorskip("pybv"), pytest.importorskip("mne")
    x, events = waves(3, 250, 8), [{"onset": 250, "duration": 500, "description": 1, "type": "Stimulus"},
                                   {"onset": 1000, "duration": 750, "description": "awake", "type": "Comment"},
                                   {"onset": 900, "duration": 1, "description": 9, "type": "Stimulus"}]
    pybv.write_brainvision(data=x * 1e-6, sfreq=250, ch_names=["Fp1", "C3", "ECG"], fname_base="a", folder_out=str(tmp_path), events=events,
                           unit="µV", resolution=0.1)
    series = opened(tmp_path).load(0)
    assert series.channels == ["Fp1", "C3", "ECG"] and series.rate == 250 and series.length == 2000 and series.units == ["uV"] * 3
    np.testing.assert_allclose(series.read(100, 900), x[:, 100:900], atol=0.06)
    np.testing.assert_allclose(series.places[:2], [place("Fp1"), place("C3")])
    samples = Signal(window=250, stride=250).open(opened(tmp_path, labels="annotations"))
    assert [samples.classes[label] for label in samples.labels] == [
        "background", *["Stimulus/S  1"] * 2, "background", *["Comment/awake"] * 3, "background"]
    (tmp_path / "a.eeg").unlink()
    with pytest.raises(Unreadable, match="cannot be read as VHDR: it is damaged, or a part of it is missing"):
        opened(tmp_path).load(0)


def test_gdf_as_its_specification_says(tmp_path):
    pytest.importorskip("mne")
    x = waves(3, 128, 6)
    whole = gdf(x, ["EEG-C3", "Cz", "EOG-left"], 128, [(129, 769, 256), (385, 770, 256), (700, 1023, 0)])
    file = write(tmp_path / "a.gdf", whole)
    series = opened(tmp_path).load(0)
    assert series.channels == ["C3", "Cz", "EOG-left"] and series.rate == 128 and series.length == 768 and series.units == ["uV"] * 3
    np.testing.assert_allclose(series.read(100, 700), x[:, 100:700], atol=0.02)
    np.testing.assert_allclose(series.places[:2], [place("C3"), place("Cz")])
    samples = Signal(window=128, stride=128).open(opened(tmp_path, labels="annotations"))
    assert [samples.classes[label] for label in samples.labels] == ["background", "769", "769", "770", "770", "background"]
    write(file, whole[:600])
    with pytest.raises(Unreadable, match="cannot be read as GDF"):
        opened(tmp_path).load(0)


def test_wfdb(tmp_path):
    wfdb = pytest.importorskip("wfdb")
    x = waves(2, 360, 5) / 1000
    wfdb.wrsamp("r100", fs=360, units=["mV", "mV"], sig_name=["MLII", "V5"], p_signal=x.T, fmt=["16", "16"], write_dir=str(tmp_path))
    series = opened(tmp_path).load(0)
    assert series.channels == ["MLII", "V5"] and series.rate == 360 and series.units == ["uV", "uV"]
    np.testing.assert_allclose(series.read(30, 900), 1000 * x[:, 30:900], atol=0.01)
    (tmp_path / "r100.dat").write_bytes((tmp_path / "r100.dat").read_bytes()[:100])
    with pytest.raises(Unreadable, match="is damaged"):
        series.read(30, 900)


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    x = waves(3, 50, 4).astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as held:
        held["data"] = x.T
        held.attrs["sfreq"], held.attrs["channels"] = 50.0, ["Fp1", "C3", "Cz"]
    series = opened(tmp_path).load(0)
    assert series.channels == ["Fp1", "C3", "Cz"] and series.rate == 50
    np.testing.assert_array_equal(series.read(20, 90), x[:, 20:90])
    with h5py.File(tmp_path / "a.h5", "w") as held:
        held["data"] = x
    with pytest.raises(Unusable, match="can have its channels first or last"):
        opened(tmp_path).load(0)
    np.testing.assert_array_equal(opened(tmp_path, layout="ct", rate=50.0).load(0).read(20, 90), x[:, 20:90])
    (tmp_path / "a.h5").write_bytes(b"nothing")
    with pytest.raises(Unreadable, match="cannot be read as HDF5"):
        opened(tmp_path).load(0)


@pytest.mark.parametrize("label, name", [("EEG FP1-REF", "Fp1"), ("EEG Fpz-Cz", "Fpz-Cz"), ("EEG T3-LE", "T3"), ("Fc5.", "FC5"),
                                         ("POL E", "E"), ("ECG EKG-REF", "ECG EKG"), ("EOG left", "EOG left"), ("  C3  ", "C3"),
                                         ("EEG", "EEG"),
                                         ("F3-M2", "F3-M2"), ("CZ", "Cz"), ("", "unnamed"), ("-", "-")])
def test_names_of_channels(label, name):
    assert reading.clean(label) == name


def test_every_ending_is_said_where_nothing_can_be_read(tmp_path):
    write(tmp_path / "a.xyzzy", b"")
    with pytest.raises(Unusable) as why:
        open_records(tmp_path)
    assert all(ending in str(why.value) for ending in recordings.READ if ending != ".hdf5")
    assert foreign.VALUES[0] == "data"


def test_windows_are_held_out_one_by_one_only_where_asked(tmp_path):
    """By default no window of a recording is on both sides; with ``--groups windows`` they are, and every name of the split says so."""
    from unveil.api.opening import open_data

    x = waves(2, 100, 20)
    for name in "abc":
        write(tmp_path / f"{name}.edf", edf(x, ["Fp1", "C3"], [100] * 2))
    settings = {"window": 50}
    usual = split(open_data(tmp_path, settings=settings)[1])
    assert usual.name == "1 of 3 groups held out" and not set(usual.train.groups) & set(usual.test.groups)
    _, samples = open_data(tmp_path, options=Options(groups="windows"), settings=settings)
    loose = split(samples)
    assert loose.name.endswith("samples held out, subjects and recordings on both sides, as --groups windows asks")
    assert any(note.startswith("windows of one recording lie on both sides") for note in samples.notes)
    name = lambda part: {part.name(int(i)) for i in part.index}
    assert name(loose.train) & name(loose.test)


def capture24(file, who: int, rows: int = 600) -> None:
    """A file as Capture-24 has them: 100 Hz, date-times with milliseconds, an annotation that is empty at first and then for stretches."""
    rng = np.random.default_rng(who)
    said = lambda i: "" if i < 100 else '"7030 sleeping;MET 0.95"' if i < 350 else '"16030 driving automobile;MET 2.5"'
    lines = [f"2016-11-13 02:{18 + i // 6000:02d}:{i / 100 % 60:09.6f},{x:.4f},{y:.4f},{z:.4f},{said(i)}"
             for i, (x, y, z) in enumerate(rng.normal(size=(rows, 3)))]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress("\n".join(["time,x,y,z,annotation", *lines]).encode()))


def test_a_folder_as_of_capture24(tmp_path):
    for who in (1, 2, 3):
        capture24(tmp_path / f"P{who:03d}.csv.gz", who)
    kind, records = open_records(tmp_path)
    assert kind == "signal" and records.rate == 100 and records.channels == ["x", "y", "z"]
    assert set(records.labels) == {"", "7030 sleeping;MET 0.95", "16030 driving automobile;MET 2.5"} and len(set(records.groups)) == 3
    samples = Signal(window=50, stride=50).open(records)
    assert len(samples) == 36 and samples.channels == 3 and samples.spacing == (0.01,) and not samples.faults


def test_a_folder_as_of_nhanes(tmp_path):
    """80 Hz, an hour a file, a folder a person: files of a person stay together where it is said that folders are people."""
    for who in (62161, 62163):
        for hour in (1, 2):
            rows = [f"2000-01-08 {hour:02d}:00:{i / 80:06.3f},{i % 7 / 10},{i % 5 / 10},{0.9 + i % 3 / 100}" for i in range(400)]
            name = f"GT3XPLUS-AccelerometerCalibrated-1x8x0.NEO1A00.2000-01-08-{hour:02d}-00-00-000-P0000.sensor.csv.gz"
            file = tmp_path / str(who) / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(gzip.compress("\n".join(["HEADER_TIMESTAMP,X,Y,Z", *rows]).encode()))
    kind, records = open_records(tmp_path, Options(groups="folders"))
    assert kind == "signal" and len(records) == 4 and abs(records.rate - 80) < 4 and sorted(set(records.groups)) == ["62161", "62163"]
    assert records.channels == ["X", "Y", "Z"] and len(Signal(window=80).open(records)) == 68


def test_parquet_is_read_as_csv_is(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(0)
    held = {"time": np.arange(500) / 50, "x": rng.normal(size=500).astype(np.float32), "y": rng.normal(size=500),
            "label": ["sit"] * 250 + ["walk"] * 250, "subject": ["a"] * 500}
    held["y"][7] = np.nan
    parquet.write_table(arrow.table(held), tmp_path / "a.parquet")
    lines = [",".join(str(cell) for cell in row) for row in zip(*held.values())]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.csv").write_text("\n".join([",".join(held), *lines]))
    one, other = (open_records(path)[1] for path in (tmp_path / "a.parquet", tmp_path / "b"))
    assert len(one) == len(other) == 2 and one.rate == other.rate == 50 and list(one.labels) == list(other.labels)
    for i in range(2):
        np.testing.assert_array_equal(one.load(i), other.load(i))
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(Unusable, match="is no Parquet file, or one that is damaged"):
        open_records(tmp_path / "a.parquet")
