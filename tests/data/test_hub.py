"""Hugging Face data sets saved to disk: values, labels, splits, and what is said of each thing that is wrong."""

import sys

import numpy as np
import pytest

from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.readers import hub
from unveil.data.records import Unreadable
from unveil.errors import Unusable
from unveil.kinds.signal import Signal

datasets = pytest.importorskip("datasets")
datasets.disable_progress_bars()


def pictures(levels, labels, **more):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"]),
                                  **{name: datasets.Value("string") for name in more}})
    held = [np.full((10, 12, 3), level, np.uint8) for level in levels]
    return datasets.Dataset.from_dict({"image": held, "label": labels, **more}, features)


def saved(folder, held):
    held.save_to_disk(str(folder))
    return folder


def read(path, **options):
    return hub.read(path, Options(**options))


def test_pictures_labels_and_the_test_split(tmp_path):
    train, test = pictures([1, 2, 3], [1, 0, -1], Patient=["a", "b", None]), pictures([4], [1], Patient=["c"])
    path = saved(tmp_path / "d", datasets.DatasetDict(train=train, test=test))
    kind, records = open_records(path)
    assert kind == "image" and records.layout == "hwc"
    assert records.names == [f"{path} train[0]", f"{path} train[1]", f"{path} train[2]", f"{path} test[0]"]
    assert list(records.labels) == ["dog", "cat", "", "dog"] and list(records.groups) == ["a", "b", "", "c"]
    assert records.test.tolist() == [False, False, False, True]
    assert [int(records.load(i)[0, 0, 0]) for i in (3, 0, 2)] == [4, 1, 3] and records.load(0).shape == (10, 12, 3)
    assert records.load(0).dtype == np.uint8 and records.notes == ["splits: train 3, test 1"]


def test_one_split_without_labels(tmp_path):
    records = read(saved(tmp_path / "d", pictures([1, 2], [None, None])))
    assert len(records) == 2 and records.notes == []
    assert records.labels is None and records.test is None and records.groups is None


def test_a_test_split_without_labels_is_not_held_out(tmp_path):
    records = read(saved(tmp_path / "d", datasets.DatasetDict(train=pictures([1], [0]), test=pictures([2], [-1]))))
    assert records.test is None and records.notes[1] == "the split test has no labels, so it is not held out to score on"


@pytest.mark.parametrize("feature", ["Array2D", "lists"])
def test_series(tmp_path, feature):
    values = np.arange(24, dtype=np.float32).reshape(2, 2, 6)
    features = datasets.Features({"signal": datasets.Array2D((2, 6), "float32"), "activity": datasets.Value("string")})
    rows = {"signal": values.tolist(), "activity": ["walk", "sit"]}
    path = saved(tmp_path / "d", datasets.Dataset.from_dict(rows, features if feature == "Array2D" else None))
    kind, records = open_records(path, Options(layout="ct", rate=10.0))
    assert kind == "signal" and records.rate == 10 and list(records.labels) == ["walk", "sit"]
    np.testing.assert_array_equal(records.load(1), values[1])
    assert len(Signal(window=3, stride=3).open(records)) == 4


def test_missing_values_and_ragged_rows(tmp_path):
    path = saved(tmp_path / "d", datasets.Dataset.from_dict({"x": [[[1.0, None], [3.0, 4.0]], [[1.0], [3.0, 4.0]]]}))
    records = read(path)
    np.testing.assert_array_equal(records.load(0), [[1, np.nan], [3, 4]])
    with pytest.raises(Unreadable, match="is no list of numbers, or its channels differ in length"):
        records.load(1)


def test_a_damaged_or_missing_picture_is_set_aside(tmp_path):
    rows = {"image": [{"bytes": b"no picture", "path": None}, None]}
    held = datasets.Dataset.from_dict(rows, datasets.Features({"image": datasets.Image()}))
    records = read(saved(tmp_path / "d", held))
    for at, words in ((0, "is no picture that can be read"), (1, "has no picture")):
        with pytest.raises(Unreadable, match=words):
            records.load(at)


def test_columns_that_the_user_names(tmp_path):
    path = saved(tmp_path / "d", pictures([1, 2], [0, 1], shape=["round", "flat"], site=["x", "y"]))
    records = read(path, labels="shape", groups="site")
    assert list(records.labels) == ["round", "flat"] and list(records.groups) == ["x", "y"]
    with pytest.raises(Unusable, match="has no column 'shap'; did you mean 'shape'"):
        read(path, labels="shap")
    with pytest.raises(Unusable, match="has no folders to go by; name one of its columns: image, label, shape, site"):
        read(path, labels="folders")


def test_nothing_to_read(tmp_path, monkeypatch):
    path = saved(tmp_path / "d", datasets.Dataset.from_dict({"text": ["a"], "signal": ["b"]}))
    words = r"has the columns text \(Value\), signal \(Value\); needed is one of pictures \(Image\), or one called signal"
    with pytest.raises(Unusable, match=words):
        open_records(path)
    monkeypatch.setattr(datasets, "load_dataset", lambda *given: pictures([], []))
    with pytest.raises(Unusable, match="hf:none has no rows"):
        open_records("hf:none")


def test_a_damaged_folder_is_named(tmp_path):
    path = saved(tmp_path / "d", pictures([1], [0]))
    (path / "state.json").write_text("{")
    with pytest.raises(Unusable, match=f"cannot open {path}: "):
        open_records(path)


def test_the_hub_is_asked_by_name_and_never_to_run_code(monkeypatch):
    asked = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *given, **named: asked.append((given, named)) or pictures([5], [1]))
    kind, records = open_records("hf:someone/pets:small")
    assert kind == "image" and set(map(repr, asked)) == {repr((("someone/pets", "small"), {}))}
    assert records.names == ["hf:someone/pets:small rows[0]"] and records.load(0)[0, 0, 0] == 5
    monkeypatch.setattr(datasets, "load_dataset", lambda *given: (_ for _ in ()).throw(ConnectionError("no way to the hub")))
    with pytest.raises(Unusable, match="cannot open hf:someone/pets: no way to the hub"):
        open_records("hf:someone/pets")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(Unusable, match=r"needs the package datasets: pip install 'unveil\[hub\]'"):
        open_records("hf:someone/pets")


def test_detect(tmp_path):
    assert hub.detect(tmp_path) is None and hub.detect("hf:a/b") == "a data set of the Hugging Face hub"
    (tmp_path / "dataset_info.json").write_text("{}")
    assert hub.detect(tmp_path) is None
    (tmp_path / "state.json").write_text("{}")
    assert hub.detect(tmp_path) == "a saved Hugging Face data set"
