"""A folder of a million pictures opens in seconds: its names are listed, and nothing is opened before it is asked for."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.order import stream
from unveil.data.readers import pictures
from unveil.data.split import split
from unveil.kinds.image import Image

FOLDERS, EACH = 100, 10_000


class Listing(list):
    """What ``os.scandir`` gives for a folder."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class Entry:
    """A file or folder that is not there."""

    __slots__ = ("folder", "inside", "name")

    def __init__(self, inside: str, name: str, folder: bool):
        self.inside, self.name, self.folder = inside, name, folder

    @property
    def path(self) -> str:
        return f"{self.inside}/{self.name}"

    def is_dir(self, follow_symlinks: bool = True) -> bool:
        return self.folder

    def is_file(self) -> bool:
        return not self.folder


@pytest.fixture(params=[EACH])
def million(request, tmp_path, monkeypatch):
    """A folder that seems to hold a million pictures in a hundred folders, and the list of those that were decoded."""
    def scandir(folder):
        folder = str(folder)
        if folder == str(tmp_path):
            return Listing(Entry(folder, f"class {i:02d}", True) for i in reversed(range(FOLDERS)))
        return Listing(Entry(folder, f"{i:05d}.jpg", False) for i in range(request.param))

    opened = []

    def decode(file, side=None):
        opened.append(file)
        return np.full((16, 16, 3), len(opened) % 256, np.uint8)
    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(pictures, "decode", decode)
    return SimpleNamespace(path=tmp_path, opened=opened)


def test_a_million_pictures_open_in_seconds(million):
    began = time.perf_counter()
    kind, records = open_records(million.path, Options(labels="folders"))
    assert kind == "image" and len(records) == FOLDERS * EACH and million.opened == []
    samples = Image().open(records)
    assert len(million.opened) <= 64, "a few are looked at to learn their size"
    parts = split(samples)
    at, _ = stream(0, 12_345, 8, len(parts.train))
    took = time.perf_counter() - began
    assert len(samples) == FOLDERS * EACH and len(samples.classes) == FOLDERS and len(parts.test) == 250_000
    before = len(million.opened)
    assert parts.train.batch(at).values.shape == (8, 3, 16, 16) and len(million.opened) == before + 8
    assert took < 20, f"{took:.1f} s"


@pytest.mark.parametrize("million", [10], indirect=True)
def test_names_are_in_order_and_labels_are_folders(million):
    records = open_records(million.path, Options(labels="folders"))[1]
    assert records.names[0] == f"{million.path}/class 00/00000.jpg" and records.names[-1] == f"{million.path}/class 99/00009.jpg"
    assert records.labels[0] == "class 00" and records.labels[-1] == "class 99"


@pytest.mark.parametrize("million", [10], indirect=True)
def test_what_is_decoded_once_is_kept_while_there_is_room(million):
    samples = Image().open(open_records(million.path)[1])
    at, before = torch.tensor([5, 701]), len(million.opened)
    first = samples.batch(at).values
    torch.testing.assert_close(samples.batch(at).values, first, rtol=0, atol=0)
    assert len(million.opened) == before + 2


def test_labels_of_pictures_beside_the_folders_are_unknown(tmp_path, monkeypatch):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    for name in ("top.png", "a/one.png", "a/deep/two.png"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path, Path("."), Path("..") / tmp_path.name):
        records = pictures.read(path, Options(labels="folders"))
        found = {Path(name).name: label for name, label in zip(records.names, records.labels, strict=True)}
        assert found == {"top.png": "", "one.png": "a", "two.png": "a"}, path
