"""Annotations of recordings as labels of windows: inside files, in tables beside them, and what is said of wrong ones."""

from __future__ import annotations

import numpy as np
import pytest

from recorded import edf, waves
from unveil.api.opening import open_data
from unveil.data import edf as reading
from unveil.data.annotations import Annotations, Part, of_windows
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.records import Unreadable
from unveil.data.split import split
from unveil.errors import Unusable
from unveil.kinds.signal import Signal
from unveil.tasks.bench import Bench, Way
from unveil.tasks.events import Events
from unveil.tasks.task import judge

RATE = 100


def written(file, seconds: float = 20, table: str | None = None, beside: str = ".csv_bi", **how):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(edf(waves(2, RATE, seconds), ["Fp1", "C3"], [RATE] * 2, **how))
    if table is not None:
        file.with_name(file.name.removesuffix(file.suffix) + beside).write_text(table)
    return file


def windows(path, seconds: float = 2, stride: float | None = None, **kind):
    records = open_records(path, Options(labels="annotations"))[1]
    return Signal(window=int(seconds * RATE), stride=int((stride or seconds) * RATE), **kind).open(records)


def words(samples) -> list[str]:
    return [samples.classes[label] if label >= 0 else "" for label in samples.labels]


def slow(held: Annotations, begin: float, seconds: float) -> str:
    """The class of a window on a fine grid of time."""
    at = begin + (np.arange(600) + 0.5) * seconds / 600
    inside = {word: np.zeros(600, bool) for word in sorted(set(held.words))}
    for a, b, word in zip(held.begin, held.end, held.words):
        inside[word] |= (at >= a) & (at < b)
    share = {word: each.mean() for word, each in inside.items()}
    events = {word: each for word, each in share.items() if word != "bckg" and each >= 0.5}
    if events:
        return max(events, key=events.get) if list(events.values()).count(max(events.values())) == 1 else ""
    if share.get("bckg", 0) >= 0.5:
        return "bckg"
    return "" if np.any(list(inside.values()), 0).mean() >= 0.5 else ("bckg" if "bckg" in share else "background")


@pytest.mark.parametrize("names", [("a", "b", "c"), ("a", "bckg")])
def test_classes_are_those_on_a_grid_of_time(names):
    draw = np.random.default_rng(0)
    for _ in range(40):
        begin = draw.integers(0, 300, 8) / 10
        held = Annotations(begin, begin + draw.integers(1, 60, 8) / 10, [names[i] for i in draw.integers(0, len(names), 8)], True)
        first = np.arange(60) / 2
        labels, _ = of_windows([Part(held, first, 3.0, 0.01)])
        apart = [each for each in range(60) if labels[each] != slow(held, first[each], 3.0)]
        assert not apart, f"{[(first[i], labels[i], slow(held, first[i], 3.0)) for i in apart]}"


@pytest.mark.parametrize("bdf", [False, True])
def test_annotations_of_edf_and_bdf(tmp_path, bdf):
    said = [(0, 4, "Sleep stage W"), (4, 6, "Sleep stage 1"), (10, 10, "Sleep stage 2"), (3, None, "Lights off"), (4, 2, "BAD_move")]
    samples = windows(written(tmp_path / f"a.{'bdf' if bdf else 'edf'}", annotations=said, bdf=bdf))
    assert words(samples) == ["Sleep stage W"] * 2 + ["Sleep stage 1"] * 3 + ["Sleep stage 2"] * 5
    assert samples.notes == ["windows by annotation: 5 Sleep stage 2, 3 Sleep stage 1, 2 Sleep stage W; they stand in the recordings",
                             "1 annotations are markers of no length and label nothing"]


@pytest.mark.parametrize("bdf", [False, True])
def test_annotations_as_mne_reads_them(tmp_path, bdf):
    mne = pytest.importorskip("mne")
    said = [(0.5, 4, "one"), (7.25, 1.5, "another, in ä words"), (12, None, "marker")]
    file = written(tmp_path / f"a.{'bdf' if bdf else 'edf'}", annotations=said, bdf=bdf)
    theirs = (mne.io.read_raw_bdf if bdf else mne.io.read_raw_edf)(file, verbose="ERROR").annotations
    ours = reading.annotations(str(file))
    np.testing.assert_allclose(ours.begin, theirs.onset)
    np.testing.assert_allclose(ours.end, theirs.onset + theirs.duration)
    assert list(ours.words) == theirs.description.tolist() == [word for *_, word in said]


def test_times_of_a_recording_with_gaps_and_a_late_start(tmp_path):
    """Ten seconds are missing after the third; the first record begins half a second after the time in the header."""
    onsets = [0.5, 1.5, 2.5, *np.arange(13.5, 20.5)]
    file = written(tmp_path / "a.edf", 10, onsets=onsets, annotations=[(1.5, 1, "x"), (5, 2, "lost"), (3, 12, "y"), (18.5, 2, "z")])
    held = reading.annotations(str(file))
    assert sorted(zip(held.begin, held.end, held.words)) == [(1, 2, "x"), (2.5, 4.5, "y"), (3, 3, "lost"), (8, 10, "z")]


def test_triggers_of_biosemi(tmp_path):
    code = np.zeros(20 * RATE)
    code[200:700], code[700:1000], code[1500:1501] = 7, 12, 3
    high = 1 << 16  # a bit above the 16 of the code says something of the amplifier
    x = [*waves(2, RATE, 20), (code + high + 2 ** 23) / (2 ** 24 - 1) * 2000 - 1000]
    file = tmp_path / "a.bdf"
    file.write_bytes(edf(x, ["Fp1", "C3", "Status"], [RATE] * 3, bdf=True))
    samples = windows(file)
    assert samples.channels == 2 and words(samples) == ["background", "7", "7", "", "12", *["background"] * 5]
    assert "1 annotations are markers of no length and label nothing" in samples.notes


TUSZ = "# version = csv_v1.0.0\n# bname = a\n\nchannel,start_time,stop_time,label,confidence\n"


def test_a_folder_as_of_tusz(tmp_path):
    """The table of terms goes before that of channels; one of the latter counts where any channel has more than background."""
    for part, who in (("train", "aaaa"), ("eval", "bbbb")):
        file = tmp_path / part / who / "s001" / f"{who}_s001_t000.edf"
        written(file, table=TUSZ + "TERM,0.0000,7.0000,bckg,1.0000\nTERM,7.0000,13.0000,seiz,1.0000\nTERM,13.0000,20.0000,bckg,1.0000\n",
                person=f"{who} X X X")
        other = "FP1-F7,0.0,20.0,bckg,1.0\nF7-T3,4.0,8.0,cpsz,1.0\nT3-T5,0.0,20.0,bckg,1.0\nT3-T5,6.0,10.0,cpsz,1.0\n"
        file.with_suffix(".csv").write_text(TUSZ + other)
    samples = windows(tmp_path)
    assert words(samples) == (["bckg"] * 3 + ["seiz"] * 4 + ["bckg"] * 3) * 2, "half of a window is enough, and an event goes before"
    assert samples.notes[-1] == "windows by annotation: 12 bckg, 8 seiz; 2 of 2 recordings have them in a table beside"
    assert samples.test.sum() == 10
    for file in tmp_path.rglob("*.csv_bi"):
        file.unlink()
    assert words(windows(tmp_path)) == (["bckg"] * 2 + ["cpsz"] * 3 + ["bckg"] * 5) * 2


def test_a_folder_as_of_bids(tmp_path):
    """Events lie beside by the name without its last part; what is not covered is background, and two halves are none."""
    for who, table in (("01", "onset\tduration\ttrial_type\tvalue\n4.0\t3.9\tleft\t1\n8\t3\tright\t2\n11\t1\tleft\t1\n17\tn/a\tcue\t9\n"),
                       ("02", "onset\tduration\ttrial_type\n"), ("03", None)):
        file = written(tmp_path / f"sub-{who}" / "eeg" / f"sub-{who}_task-x_eeg.edf")
        if table is not None:
            file.with_name(f"sub-{who}_task-x_events.tsv").write_text(table)
    samples = windows(tmp_path, 2)
    assert words(samples)[:10] == ["background"] * 2 + ["left"] * 2 + ["right", ""] + ["background"] * 4
    assert words(samples)[10:] == ["background"] * 10 + [""] * 10
    assert samples.notes[1:] == [
        "windows by annotation: 16 background, 2 left, 1 right; 11 without a class; 2 of 3 recordings have them in a table beside",
        "1 of 3 recordings have no annotations: their windows have no class", "1 annotations are markers of no length and label nothing"]


def hypnogram(stages: list[tuple[float, float, str]]) -> bytes:
    """An EDF+ file of annotations alone, whose one record lasts no time, as those of Sleep-EDF."""
    said = b"+0\x14\x14\0" + b"".join(f"+{begin:g}\x15{length:g}\x14{word}\x14\0".encode() for begin, length, word in stages)
    said += b"\0" * (len(said) % 2)
    pad = lambda held, width: str(held).ljust(width).encode()
    head = pad("0", 8) + pad("X X X X", 80) + pad("Startdate X X X X", 80) + pad("01.01.01", 8) * 2 + pad(512, 8) + pad("EDF+C", 44)
    head += pad(1, 8) + pad(0, 8) + pad(1, 4) + pad("EDF Annotations", 16) + pad("", 88) + pad(-1, 8) + pad(1, 8) + pad(-32768, 8)
    return head + pad(32767, 8) + pad("", 80) + pad(len(said) // 2, 8) + pad("", 32) + said


def test_a_folder_as_of_sleep_edf(tmp_path):
    """Stages lie in an EDF+ file beside, which says for how long the last one went on, beyond the recording."""
    for who, stages in (("SC4001E", [(0, 6, "Sleep stage W"), (6, 8, "Sleep stage 2"), (14, 900, "Sleep stage ?")]),
                        ("SC4012E", [(0, 20, "Sleep stage R")])):
        written(tmp_path / f"{who}0-PSG.edf")
        (tmp_path / f"{who}C-Hypnogram.edf").write_bytes(hypnogram(stages))
    samples = windows(tmp_path)
    stage = lambda letter, count: [f"Sleep stage {letter}"] * count
    assert not samples.faults and words(samples) == [*stage("W", 3), *stage("2", 4), *stage("?", 3), *stage("R", 10)]
    (tmp_path / "SC4012EC-Hypnogram.edf").unlink()
    assert words(windows(tmp_path))[10:] == [""] * 10


def test_parts_of_several_stretches_are_no_background(tmp_path):
    samples = windows(written(tmp_path / "a.edf", table="start,stop,label\n0,1.8,a\n1.8,3.6,b\n3.6,20,c\n"), 4, 4)
    assert words(samples)[0] == "", "a, b and c cover all of it, and none of them half"
    assert set(words(samples)[1:]) == {"c"}
    samples = windows(written(tmp_path / "a.edf", table="start,stop,label\n0,2,a\n2,20,b\n"), 4, 4)
    assert words(samples) == ["", *["b"] * 4], "two halves are equals"


def test_classes_follow_another_rate_and_filled_up_windows(tmp_path):
    written(tmp_path / "a.edf", 10, table="onset,duration,label\n3,7,x\n", beside=".csv")
    assert words(windows(tmp_path, 2, rate=50.0)) == ["background", "x"], "200 values last 4 s at 50 a second: of the first 1 is x"
    samples = windows(tmp_path, 16, short="pad")
    assert words(samples) == ["x"], "of a window of 16 s of which 10 are there, 7 are half"


NO_TABLE = ("has a table beside it, a.csv, that is not of annotations: it has {} at its head, not start_time, stop_time and label, nor "
            "onset, duration and trial_type. Correct it or move it away")
NO_TIME = "has a wrong annotation in a.csv: number {}, {}; both must be numbers, and no length is negative"


@pytest.mark.parametrize("table, words", [
    ("", NO_TABLE.format("nothing")), ("electrode,x,y\nFp1,0,1\n", NO_TABLE.format("'electrode', 'x', 'y'")),
    ("start,stop,label\n5,3,seiz\n", NO_TIME.format(1, "'seiz', begins at 5 s and lasts -2 s")),
    ("onset,duration,label\n1,2,x\nsoon,1,x\n", NO_TIME.format(2, "'x', begins at inf s and lasts 1 s")),
    ("start,stop,label\n5000,6000,seiz\n", "ends before any annotation of it in a.csv begins: it lasts 20 s, the first begins at 5000 s. "
     "Times there must be in seconds from its beginning"),
])
def test_wrong_tables_set_their_recording_aside(tmp_path, table, words):
    bad = written(tmp_path / "a.edf", table=table, beside=".csv")
    written(tmp_path / "b.edf", table="start,stop,label\n0,10,x\n", beside=".csv")
    samples = windows(tmp_path)
    assert samples.faults == {str(bad): words} and len(samples) == 10


def test_an_annotation_that_is_damaged(tmp_path):
    file = written(tmp_path / "a.edf", annotations=[(3, 2, "x")])
    file.write_bytes(file.read_bytes().replace(b"+3\x152\x14x", b"+3_\x152\x14x"[:-1] + b"x"))
    with pytest.raises(Unreadable, match=r"has a wrong annotation: it begins with '\+3_"):
        reading.annotations(str(file))
    assert open_records(file)[1].load(0).length == 2000, "who does not ask for annotations reads it all the same"


def test_annotations_that_begin_after_the_end(tmp_path):
    samples = windows(written(tmp_path / "a.edf", table="start,stop,label\n8,50,x\n60,70,x\n"))
    assert words(samples) == ["background"] * 4 + ["x"] * 6
    assert samples.notes[-1] == "1 annotations begin after the end of their recording and were left out"


@pytest.mark.parametrize("how, message", [
    (dict(), "no recording has annotations, neither in its file nor in a table beside it"),
    (dict(annotations=[]), "no recording has annotations"),
    (dict(annotations=[(3, None, "flash"), (5, 0, "beep"), (6, 0.01, "beep")]),
     "all 3 annotations, such as 'beep', 'flash', are markers of no length, which label no window"),
    (dict(annotations=[(3, 0.5, "flash")]), "no annotation covers half of a window of 2 s, the longest lasts 0.5 s: take shorter windows"),
])
def test_where_nothing_can_be_a_label(tmp_path, how, message):
    with pytest.raises(Unusable, match=message):
        windows(written(tmp_path / "a.edf", **how))


def test_annotations_of_fif(tmp_path):
    """Cut from a longer recording: times there count from its beginning."""
    mne = pytest.importorskip("mne")
    raw = mne.io.RawArray(waves(2, RATE, 30) * 1e-6, mne.create_info(["Fp1", "C3"], RATE, "eeg"), verbose="ERROR")
    raw.set_annotations(mne.Annotations([6, 14, 3], [4, 2, 1], ["a", "b", "bad_blink"]))
    raw.crop(5, 24.99).save(tmp_path / "a_raw.fif", verbose="ERROR")
    assert words(windows(tmp_path / "a_raw.fif", 1)) == ["background"] + ["a"] * 4 + ["background"] * 4 + ["b"] * 2 + ["background"] * 9


def folder(path):
    """Four people with a burst of fast waves at times that a table says."""
    for who in range(4):
        x, rng = waves(2, RATE, 60, who), np.random.default_rng(who)
        starts = np.sort(rng.choice(np.arange(2, 50, 6), 4, replace=False))
        for start in starts:
            x[:, start * RATE:(start + 4) * RATE] *= np.sign(np.sin(np.arange(4 * RATE)))
        file = path / f"p{who}.edf"
        path.mkdir(exist_ok=True)
        file.write_bytes(edf(x, ["Fp1", "C3"], [RATE] * 2, person=f"P{who} X X X"))
        file.with_suffix(".csv_bi").write_text(TUSZ + "".join(f"TERM,{start},{start + 4},seiz,1\n" for start in starts))
    return path


def test_events_are_judged_by_annotations(tmp_path):
    kind, samples = open_data(folder(tmp_path), options=Options(labels="annotations"), settings={"window": 200, "stride": 100})
    parts = split(samples)
    rows, left = judge(Bench(parts, {"statistics": Way(kind.statistics)}, kind), [Events()])
    found = {row["metric"]: row for row in rows}
    assert not left and parts.name == "1 of 4 groups held out"
    assert "background background; 4 events in 0.0164 h" in found["sensitivity"]["protocol"]
    assert found["sensitivity"]["value"] > 0.7 and found["precision"]["value"] > 0.7, "fast waves are in the powers of bands"
