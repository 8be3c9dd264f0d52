"""Sentences that say what classes are: of a built-in set, or from a file, for each class or refused."""

import numpy as np
import pytest

from unveil import api
from unveil.api.opening import opened
from unveil.data.builtin import TABLE
from unveil.data.locate import cache_folder
from unveil.data.options import Options
from unveil.data.records import Records
from unveil.errors import Unusable
from unveil.kinds.signal import Signal


def samples(path=None, labels=("walk", "run", "walk", "lie")):
    values = np.random.default_rng(0).normal(size=(4, 2, 64)).astype(np.float32)
    labels = None if labels is None else np.array(labels)
    records = Records([f"r{i}" for i in range(4)], values.__getitem__, layout="ct", labels=labels, described={"run": "of the source"})
    return opened(Signal(window=64), records, Options(descriptions=path and str(path)), lambda text: None)


def written(place, text):
    (place / "said.csv").write_text(text, encoding="utf-8")
    return place / "said.csv"


def test_sentences_of_a_file_stand_before_those_of_the_source(tmp_path):
    assert samples().described == {"run": "of the source"}
    lines = 'class,what it is\nrun,"fast, on foot"\nwalk,slowly on foot\nlie,flat on the back\nswim,in water\n'
    for text in (lines, lines.partition("\n")[2]):
        found = samples(written(tmp_path, text))
        assert found.described == {"lie": "flat on the back", "run": "fast, on foot", "walk": "slowly on foot"}
        assert found.subset([0, 1]).described == found.described


@pytest.mark.parametrize("text, said", [
    ("run,fast\nwlak,slow\nlie,flat\n", "no sentence for the class 'walk': give .* did you mean 'wlak'"),
    ("run,fast\nwalk,\nlie,flat\n", "no sentence for the class 'walk'"), ("run\nwalk\nlie\n", "a line a class with its name, a comma"),
    ("", "no sentence for the class 'lie'")])
def test_a_class_without_a_sentence_is_refused(tmp_path, text, said):
    with pytest.raises(Unusable, match=said):
        samples(written(tmp_path, text))


def test_files_that_cannot_be_used(tmp_path):
    with pytest.raises(Unusable, match=r"cannot read the descriptions in .*none\.csv"):
        samples(tmp_path / "none.csv")
    with pytest.raises(Unusable, match="the data have none: give --labels too"):
        samples(written(tmp_path, "run,fast\n"), labels=None)


@pytest.mark.skipif(not (cache_folder() / "watch" / "watch_dataset.npy").is_file(), reason="the set watch is not in the cache")
def test_the_built_in_set_of_exercises_says_what_each_of_them_is():
    _, watch = api.opening.open_data("watch")
    assert set(watch.described) == set(watch.classes) and len(set(watch.described.values())) == 7
    assert all(sentence.endswith(".") for held in TABLE.values() for sentence in held.described.values())
