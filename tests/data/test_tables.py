"""CSV files: values, runs, rates, gaps, and what is said of each thing that is wrong."""

import numpy as np
import pytest

from unveil.data.options import Options
from unveil.data.readers import tables
from unveil.data.records import Unreadable
from unveil.errors import Unusable
from unveil.kinds.signal import Signal


def write(file, *lines):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def read(path, **options):
    return tables.read(path, Options(**options))


def rows(count, start=0.0, step=0.02, tail=""):
    return [f"{start + i * step:.3f},{i},{-i}{tail}" for i in range(count)]


def reason(records, name):
    with pytest.raises(Unreadable) as why:
        records.load([str(held) for held in records.names].index(str(name)))
    return str(why.value)


def test_values_rate_channels_of_one_file(tmp_path):
    records = read(write(tmp_path / "a.csv", "time,x,y", *rows(5)))
    assert records.names == [str(tmp_path / "a.csv")]
    assert records.layout == "ct" and records.channels == ["x", "y"] and records.rate == 50
    assert records.labels is None and records.groups is None and records.notes == []
    np.testing.assert_array_equal(records.load(0), np.array([[0, 1, 2, 3, 4], [0, -1, -2, -3, -4]], np.float32))
    assert records.load(0).dtype == np.float32


def test_runs_end_where_label_or_subject_change(tmp_path):
    lines = rows(3, tail=",walk,s1") + rows(2, 0.06, tail=",sit,s1") + rows(4, 0.1, tail=",sit,s2")
    file = write(tmp_path / "a.csv", "time,x,y,Activity,Subject_ID", *lines)
    records = read(file)
    assert [name.rpartition("/")[2] for name in records.names] == ["a.csv lines 2-4", "a.csv lines 5-6", "a.csv lines 7-10"]
    assert list(records.labels) == ["walk", "sit", "sit"] and list(records.groups) == ["s1", "s1", "s2"]
    assert [records.load(i).shape for i in range(3)] == [(2, 3), (2, 2), (2, 4)]
    assert records.notes == []


def test_interleaved_subjects_are_taken_apart(tmp_path):
    lines = [f"{i * 0.1:.1f},{subject},{10 * i + (subject == 'b')}" for i in range(4) for subject in "ab"]
    records = read(write(tmp_path / "a.csv", "t,user,x", *lines))
    assert list(records.groups) == ["a", "b"] and records.rate == 10
    np.testing.assert_array_equal(records.load(1), [[1, 11, 21, 31]])


def test_a_gap_splits_and_is_told_once_a_file(tmp_path):
    file = write(tmp_path / "a.csv", "time,x,y", *rows(4), *rows(3, 3.26), *rows(2, 9.0), *rows(2, 1.0))
    records = read(file)
    assert [records.load(i).shape[1] for i in range(len(records))] == [4, 3, 2, 2]
    assert records.notes == ["a.csv: 2 gaps, the longest of 5.7 s after line 8 and time goes back after line 10, "
                             "recording split there"]
    one = read(write(tmp_path / "b.csv", "time,x,y", *rows(4), *rows(3, 3.26)))
    assert one.notes == ["b.csv: gap of 3.2 s after line 5, recording split there"]


def test_uneven_steps_below_one_and_a_half_are_no_gap(tmp_path):
    stamps = [0, 16, 33, 50, 66, 90, 106]
    records = read(write(tmp_path / "a.csv", "time (ms),x", *(f"{t},1" for t in stamps)))
    assert len(records) == 1 and records.notes == []
    assert records.rate == pytest.approx(1 / 0.0165, rel=1e-5)


@pytest.mark.parametrize("first, second", [
    ("2024-05-01T23:59:59.500", "2024-05-02T00:00:00"),
    ("2024-05-01 10:00:00Z", "2024-05-01 10:00:00.500Z"),
    ("2024-05-01T10:00:00+02:00", "2024-05-01T08:00:00.500+00:00"),
])
def test_date_times(tmp_path, first, second):
    assert read(write(tmp_path / "a.csv", "timestamp,x", f"{first},1", f"{second},2")).rate == 2


def test_numeric_time_is_seconds_unless_the_name_or_rate_says_otherwise(tmp_path):
    lines = [f"{20 * i},{i}" for i in range(5)] + ["1000,5"]
    said = read(write(tmp_path / "a.csv", "time_ms,x", *lines))
    assert said.rate == 50 and said.notes == ["a.csv: gap of 0.92 s after line 6, recording split there"]
    plain = write(tmp_path / "b.csv", "time,x", *lines)
    assert read(plain).rate == 0.05
    assert "'time' read as seconds gives 0.05 rows a second" in read(plain).notes[0]
    given = read(plain, rate=50)
    assert given.rate == 50 and given.notes == ["b.csv: gap of 0.92 s after line 6, recording split there"]


def test_without_time_the_rate_is_the_given_one(tmp_path):
    records = read(write(tmp_path / "a.csv", "x", "1", "2"), rate=10)
    assert records.rate == 10
    assert records.notes == ["no time column in a.csv: rows are taken as evenly spaced, without gaps"]


def test_empty_cells_are_missing_values(tmp_path):
    records = read(write(tmp_path / "a.csv", "time,x,y", "0,1,", "1,,NA", "2,3,null"))
    np.testing.assert_array_equal(records.load(0), [[1, np.nan, 3]])
    assert records.channels == ["x"] and records.notes == ["a.csv: column 'y' is empty: it is no channel"]


def test_an_empty_column_is_missing_values_where_other_files_have_it(tmp_path):
    write(tmp_path / "a.csv", "time,x,y", *rows(3))
    write(tmp_path / "b.csv", "time,x,y", "0,1,", "0.02,2,")
    write(tmp_path / "c.csv", "time,x,y", *rows(3))
    np.testing.assert_array_equal(read(tmp_path).load(1), [[1, 2], [np.nan, np.nan]])


def test_delimiters_marks_quotes_and_blank_lines(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufefftime;x;\"my label\"\r\n0;1;\"a;b\"\r\n\r\n1;2;\"a;b\"\r\n".encode())
    records = read(tmp_path / "a.csv", labels="my label")
    assert list(records.labels) == ["a;b"]
    np.testing.assert_array_equal(records.load(0), [[1, 2]])


def test_columns_of_other_files_are_matched_by_name(tmp_path):
    write(tmp_path / "a.csv", "time,x,y", "0,1,2", "1,1,2")
    write(tmp_path / "in" / "b.csv", "y,more,time,x", "2,9,0,1", "2,9,1,1")
    write(tmp_path / "in" / "c.csv", "time,x", "0,1", "1,1")
    write(tmp_path / "in" / "d.csv", "time,x,y", "0,1,2", "1,1,2")
    records = read(tmp_path)
    assert records.channels == ["x", "y"] and len(records) == 4
    np.testing.assert_array_equal(records.load(1), [[1, 1], [2, 2]])
    assert reason(records, tmp_path / "in" / "c.csv") == "has no column 'y', which most files have"
    assert records.notes == ["in/b.csv: column 'more' is not in most files: it is no channel"]
    assert list(records.groups) == [str(tmp_path / name) for name in ("a.csv", "in/b.csv", "in/c.csv", "in/d.csv")]


def test_names_of_labels_and_subjects_never_become_channels(tmp_path):
    lines = (f"{i},{i},{i},1,{i // 2},3,4" for i in range(4))
    records = read(write(tmp_path / "a.csv", ",time,x,class,fine,subject,user", *lines), labels="fine")
    assert records.channels == ["x"] and list(records.labels) == ["0", "1"]
    assert [note.split(" has ")[0] for note in records.notes] == ["a.csv: column 'class'", "a.csv: column 'user'"]


def test_a_guessed_subject_that_differs_in_every_row_is_none(tmp_path):
    records = read(write(tmp_path / "a.csv", "id,time,x", *(f"{i},{i},{i}" for i in range(12))))
    assert len(records) == 1 and records.groups is None and records.channels == ["x"]
    assert "column 'id'" in records.notes[0] and "differs in most rows" in records.notes[0]


def test_labels_of_folders_groups_of_files_and_a_label_file(tmp_path):
    for name in ("walk/a", "sit/b"):
        write(tmp_path / f"{name}.csv", "time,x,subject", "0,1,s", "1,1,s")
    beside = write(tmp_path / "labels.csv", "name,label", "a,walk")
    records = read(tmp_path, labels="folders", groups="files")
    assert list(records.labels)[1:] == ["sit", "walk"]
    assert list(records.groups)[1:] == [str(tmp_path / "sit/b.csv"), str(tmp_path / "walk/a.csv")]
    assert len(read(tmp_path, labels=str(beside))) == 2


@pytest.mark.parametrize("lines, words", [
    (["time,x", "0,1", "1,zwei", "2,3"], "line 3, column 'x': 'zwei' is not a finite number; correct it or leave it empty"),
    (["time,x", "0,1", "1,inf", "2,3"], "line 3, column 'x': 'inf' is not a finite number"),
    (["time,x", "0,1", "", "1,2", "2,1e99"], "line 5, column 'x': '1e99' is not a finite number"),
    (["time,x,label", '0,1,"a', 'b"', "1,inf,c", "2,3,c"], "line 4, column 'x': 'inf' is not a finite number"),
    (["time,x", "0,1", "soon,2"], "line 3, column 'time': 'soon' is neither a number nor a date-time such as 2024-05-01T12"),
    (["time,x", "0,1", ",2"], "line 3, column 'time': '' is neither a number nor a date-time"),
    (["time,x", "0,1", "1,2,3"], "line 3 has 3 cells, the names of columns in line 1 are 2"),
    (["time,x", "0,1", "1,\"2"], "line 3: unexpected end of data"),
    (["time,x", "2,1", "1,2", "0,3"], "column 'time' runs backwards; sort the rows by time"),
    (["time,x"], "has no rows below the names of its columns"),
    (["0,1", "1,2"], "line 1 holds no names of columns; put a line such as time,x,y,z,label above the numbers"),
    (["time,x,x", "0,1,2"], "line 1: two columns are called 'x'; rename one"),
    (["time,note", "0,on", "1,off"], "has no column of numbers; column 'note' holds text (line 2: 'on')"),
])
def test_what_is_wrong_in_a_file_is_named(tmp_path, lines, words):
    bad = write(tmp_path / "bad.csv", *lines)
    with pytest.raises(Unusable) as why:
        read(bad)
    assert f"none of the 1 CSV files in {bad} can be used; {bad}: {words}" in str(why.value)
    for name in "ab":
        write(tmp_path / f"{name}.csv", "time,x", "0,1", "1,2")
    records = read(tmp_path)
    if "note" not in lines[0]:
        assert reason(records, bad).startswith(words)
    np.testing.assert_array_equal(records.load(0), [[1, 2]])


@pytest.mark.parametrize("content, words", [
    (b"", "is empty"), (b"time,x\n0,\xff\xfe\n", "is no UTF-8 text; save it as CSV in UTF-8")])
def test_what_is_no_csv_is_named(tmp_path, content, words):
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(Unusable, match=words):
        read(tmp_path / "bad.csv")


def test_a_column_of_text_is_no_channel_and_said(tmp_path):
    records = read(write(tmp_path / "a.csv", "time,x,note", "0,1,on", "1,2,7", "2,3,off"))
    assert records.channels == ["x"]
    assert records.notes == ["a.csv: column 'note' holds text (line 2: 'on'): it is no channel"]


def test_text_in_a_channel_of_the_other_files_sets_the_file_aside(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.csv", "time,x,y", *rows(3))
    write(tmp_path / "c.csv", "time,x,y", "0,1,on", "1,2,off")
    assert reason(read(tmp_path), tmp_path / "c.csv") == "column 'y' holds text (line 2: 'on'), but numbers in most files"


def test_a_file_of_another_rate_is_set_aside(tmp_path):
    for name, step in (("a", 0.02), ("b", 0.02), ("c", 0.01)):
        write(tmp_path / f"{name}.csv", "time,x,y", *rows(3, step=step))
    records = read(tmp_path)
    assert records.rate == 50
    assert reason(records, tmp_path / "c.csv") == "has 100 rows a second, most files have 50; keep it in a folder of its own"


def test_stamps_that_stand_still_give_no_rate(tmp_path):
    records = read(write(tmp_path / "a.csv", "time,x", *(f"{i // 10},{i}" for i in range(40))))
    assert records.rate is None and len(records) == 1
    assert records.notes == ["a.csv: column 'time' mostly stands still, too coarse to find gaps; give --rate"]


def test_a_column_that_is_not_there_is_named(tmp_path):
    file = write(tmp_path / "a.csv", "time,x,activity", "0,1,walk")
    with pytest.raises(Unusable, match="has no column 'actvity'; did you mean 'activity'"):
        read(file, labels="actvity")
    with pytest.raises(Unusable, match="has no column 'zzz'; its columns are time, x, activity"):
        read(file, groups="zzz")
    with pytest.raises(Unusable, match="has no sub-folders to take labels from"):
        read(tmp_path, labels="folders")


def test_the_kind_opens_it_and_counts_the_file_set_aside(tmp_path):
    write(tmp_path / "a.csv", "time,x,y,label", *rows(20, tail=",walk"), *rows(16, 0.4, tail=",sit"))
    write(tmp_path / "b.csv", "time,x,y,label", "0,a,1,walk", *rows(20, 0.02, tail=",walk"))
    samples = Signal(window=8, stride=8).open(read(tmp_path))
    assert len(samples) == 4 and samples.classes == ["sit", "walk"] and samples.labels.tolist() == [1, 1, 0, 0]
    assert samples.spacing == (0.02,) and list(samples.faults) == [str(tmp_path / "b.csv")]


def test_detect_looks_at_names_alone(tmp_path):
    assert tables.detect(tmp_path) is None
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.CSV").write_bytes(b"\xff")
    assert tables.detect(tmp_path) == "a folder of CSV files" and tables.detect(tmp_path / "in" / "a.CSV") == "a CSV file"
