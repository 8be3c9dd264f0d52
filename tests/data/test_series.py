"""Series in .ts files: values, labels, the official test part, and what is said of each thing that is wrong."""

import numpy as np
import pytest

from unveil.data.options import Options
from unveil.data.readers import series
from unveil.data.records import Unreadable
from unveil.errors import Unusable
from unveil.kinds.signal import Signal

HEAD = ["# a comment", "@problemName Demo", "@timeStamps false", "@univariate false", "@dimensions 2", "@equalLength false",
        "@classLabel true Up down", "", "@data"]


def write(file, *cases, head=HEAD):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([*head, *cases]) + "\n")
    return file


def read(path, **options):
    return series.read(path, Options(**options))


def test_values_labels_and_missing(tmp_path):
    file = write(tmp_path / "a.ts", "1,2.5,-3e1:4,?,6:Up", "", "7,8:NaN,9:down", "1,2:3,4:?")
    records = read(file, rate=100.0)
    assert records.names == [f"{file} line {line}" for line in (10, 12, 13)]
    assert records.layout == "ct" and records.rate == 100 and list(records.labels) == ["Up", "down", ""] and records.test is None
    np.testing.assert_array_equal(records.load(0), np.array([[1, 2.5, -30], [4, np.nan, 6]], np.float32))
    np.testing.assert_array_equal(records.load(1), [[7, 8], [np.nan, 9]])
    assert records.load(0).dtype == np.float32


def test_without_labels(tmp_path):
    records = read(write(tmp_path / "a.ts", "1,2,3", "4,5,6", head=["@classLabel false", "@DATA"]))
    assert records.labels is None and records.groups is None
    np.testing.assert_array_equal(records.load(1), [[4, 5, 6]])


def test_numbers_to_predict_are_no_labels(tmp_path):
    file = write(tmp_path / "a.ts", "1,2,3:0.75", head=["@targetLabel true", "@data"])
    records = read(file)
    np.testing.assert_array_equal(records.load(0), [[1, 2, 3]])
    assert records.labels is None and records.targets.tolist() == [0.75]


def test_a_pair_marks_the_official_test_part(tmp_path):
    train = write(tmp_path / "Demo" / "Demo_TRAIN.ts", "1,2:3,4:Up", "1,2:3,4:down")
    test = write(tmp_path / "Demo" / "Demo_TEST.ts", "5,6:7,8:Up")
    records = read(tmp_path)
    assert [name.rpartition(" line")[0] == str(test) for name in records.names] == records.test.tolist()
    assert len(records) == 3 and records.test.sum() == 1 and read(test).test is None
    assert set(read(tmp_path, groups="files").groups) == {str(train), str(test)}


def test_the_order_of_class_names_does_not_matter_but_the_names_do(tmp_path):
    write(tmp_path / "a.ts", "1,2:3,4:Up")
    write(tmp_path / "b.ts", "1,2:3,4:down", head=[*HEAD[:6], "@classLabel true down Up", "@data"])
    assert list(read(tmp_path).labels) == ["Up", "down"]
    write(tmp_path / "c.ts", "1,2:3,4:left", head=[*HEAD[:6], "@classLabel true left", "@data"])
    with pytest.raises(Unusable, match=r"a\.ts has the classes Up down, .*c\.ts has left: these are different data sets"):
        read(tmp_path)


@pytest.mark.parametrize("case, words", [
    ("1,2:3,4,5:Up", "dimension 2 has 3 values, dimension 1 has 2"),
    ("1,2:Up", "has 1 dimensions, @dimensions says 2"),
    ("1,2:3,4:left", "ends with 'left', which is none of the classes Up down"),
    ("1,2:3,4", "ends with '3,4', which is none of the classes Up down"),
    ("1,x:3,4:Up", "dimension 1, value 2: 'x' is not a finite number"),
    ("1,2:3,inf:Up", "dimension 2, value 2: 'inf' is not a finite number"),
    ("(0,1),(1,2):(0,3),(1,4):Up", "its values have time stamps; write them evenly spaced"),
])
def test_one_bad_case_is_set_aside(tmp_path, case, words):
    records = read(write(tmp_path / "a.ts", case, "1,2:3,4:Up"))
    with pytest.raises(Unreadable) as why:
        records.load(0)
    assert str(why.value) == words
    np.testing.assert_array_equal(records.load(1), [[1, 2], [3, 4]])


@pytest.mark.parametrize("head, words", [
    (["@timeStamps true", "@data"], "line 1: its values have time stamps; write them evenly spaced, with @timeStamps false"),
    (["@problemName Demo"], "line 2 is neither an @ line nor a comment, and @data has not come"),
    (["import x from 'y'"], "line 1 is neither an @ line nor a comment"),
])
def test_one_bad_file_is_set_aside_and_alone_refused(tmp_path, head, words):
    bad = write(tmp_path / "bad.ts", "(0,1):Up", head=head)
    with pytest.raises(Unusable) as why:
        read(bad)
    assert f"none of the 1 .ts files in {bad} can be used; {bad}: {words}" in str(why.value)
    write(tmp_path / "good.ts", "1,2:3,4:Up")
    records = read(tmp_path)
    with pytest.raises(Unreadable) as why:
        records.load(records.names.index(str(bad)))
    assert str(why.value).startswith(words)
    np.testing.assert_array_equal(records.load(1), [[1, 2], [3, 4]])


def test_cut_short_or_empty(tmp_path):
    (tmp_path / "a.ts").write_text("@problemName Demo\n@timeSt")
    with pytest.raises(Unusable, match=r"has no line @data; it is cut short, or no .ts file of series"):
        read(tmp_path)
    write(tmp_path / "a.ts")
    with pytest.raises(Unusable, match="has no cases after @data"):
        read(tmp_path)


def test_the_kind_opens_unequal_lengths(tmp_path):
    file = write(tmp_path / "a.ts", "1,2,3,4,5,6,7,8:1,2,3,4,5,6,7,8:Up", "1,2,3,4:1,2,3,?:down", "1:1:Up")
    samples = Signal(window=4, stride=4).open(read(file))
    assert len(samples) == 3 and samples.labels.tolist() == [0, 0, 1] and len(samples.faults) == 1


def test_detect(tmp_path):
    assert series.detect(tmp_path) is None
    file = write(tmp_path / "in" / "a.ts")
    assert series.detect(tmp_path) == "a folder of .ts files" and series.detect(file) == "a .ts file"
