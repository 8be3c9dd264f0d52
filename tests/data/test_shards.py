"""Tar shards: values, labels, damage, and what is said of each thing that is wrong."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image as Picture

from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.readers import shards
from unveil.data.records import Unreadable
from unveil.errors import Unusable
from unveil.kinds.image import Image
from unveil.kinds.signal import Signal


def picture(level, size=(12, 10)):
    held = io.BytesIO()
    Picture.new("RGB", size, (level, 0, 0)).save(held, "PNG")
    return held.getvalue()


def npy(array, **how):
    held = io.BytesIO()
    np.save(held, array, **how)
    return held.getvalue()


def shard(file, members, kind=tarfile.PAX_FORMAT):
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w", format=kind) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


def read(path, **options):
    return shards.read(path, Options(**options))


def reason(records, at):
    with pytest.raises(Unreadable) as why:
        records.load(at)
    return str(why.value)


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_pictures_and_labels_over_shards(tmp_path, kind):
    long = "a" * 150
    said = json.dumps({"Label": 3, "subject_id": "s1"}).encode()
    cat, dog = {"0.png": picture(10), "0.cls": b"cat\n"}, {f"{long}/1.cls": b"dog", f"{long}/1.PNG": picture(20)}
    a = shard(tmp_path / "a.tar", cat | dog, kind)
    b = shard(tmp_path / "in" / "b.tar", {"./0.json": said, "./0.png": picture(30)}, kind)
    records = read(tmp_path)
    assert records.names == [f"{a}/0", f"{a}/{long}/1", f"{b}/0"] and records.layout == "hwc" and records.notes == []
    assert list(records.labels) == ["cat", "dog", "3"] and list(records.groups) == ["", "", "s1"]
    assert [records.load(i)[0, 0, 0] for i in (2, 0, 1)] == [30, 10, 20] and records.load(0).shape == (10, 12, 3)
    assert list(read(tmp_path, groups="files").groups) == [str(a), str(a), str(b)]


def test_which_label(tmp_path):
    said = {"x/0.cls": b"7", "x/0.txt": b"seven", "x/0.json": b'{"shape": "round"}'}
    file = shard(tmp_path / "a.tar", {"x/0.png": picture(1), **said})
    assert [read(file, labels=name).labels[0] for name in (None, "txt", "shape", "folders")] == ["7", "seven", "round", "x"]
    words = r"no sample in .*a\.tar has a label 'colour'; name an ending \(cls, txt\), a key of its \.json, or folders"
    with pytest.raises(Unusable, match=words):
        read(file, labels="colour")


def test_captions_are_no_classes(tmp_path):
    texts = {f"{i}.txt": b"caption %d" % i for i in range(11)}
    records = read(shard(tmp_path / "a.tar", {f"{i}.png": picture(i) for i in range(11)} | texts))
    assert records.labels is None
    assert records.notes == ["every sample has a label of its own: they are taken for captions, not classes"]
    assert len(set(read(tmp_path / "a.tar", labels="txt").labels)) == 11


def test_arrays_are_either_kind_and_pictures_are_images(tmp_path):
    series = np.arange(12, dtype=np.float32).reshape(2, 6)
    file = shard(tmp_path / "a.tar", {"0.npy": npy(series), "0.cls": b"up", "1.npy": npy(series[:, :5]), "1.cls": b"up"})
    assert shards.kinds(file) == ("image", "signal")
    with pytest.raises(Unusable, match=r"can be several kinds\. Say which:\n  --kind image\n  --kind signal"):
        open_records(file)
    kind, records = open_records(file, Options(kind="signal", layout="ct", rate=20.0))
    assert kind == "signal" and records.rate == 20 and records.layout == "ct"
    np.testing.assert_array_equal(records.load(1), series[:, :5])
    assert len(Signal(window=4, stride=4).open(records)) == 2
    np.testing.assert_array_equal(open_records(file, Options(kind="image"))[1].load(0), series[..., None])
    both = shard(tmp_path / "b.tar", {"0.png": picture(1), "0.npy": npy(series)})
    assert shards.kinds(both) == ("image", "signal")
    assert read(both, kind="signal").load(0).shape == (2, 6) and read(both, kind="image").load(0).shape == (10, 12, 3)


def test_arrays_as_pictures(tmp_path):
    tall, flat, unclear = np.zeros((3, 20, 30)), np.zeros((20, 30, 3)), np.zeros((3, 20, 4))
    file = shard(tmp_path / "a.tar", {"0.npy": npy(tall), "1.npy": npy(flat), "2.npy": npy(unclear), "3.npy": npy(np.zeros(5))})
    records = read(file, kind="image")
    assert records.load(0).shape == records.load(1).shape == (20, 30, 3)
    words = r"an array of 3x20x4 can have its channels first or last\. Say which:\n  --layout chw\n  --layout hwc"
    with pytest.raises(Unusable, match=words):
        records.load(2)
    assert read(file, kind="image", layout="chw").load(2).shape == (20, 4, 3)
    assert reason(records, 3) == "is 5; a picture has 2 or 3 axes"


def test_one_damaged_member_is_set_aside(tmp_path):
    good = picture(9)
    file = shard(tmp_path / "a.tar", {
        "0.png": good[:45], "1.png": b"no picture", "2.png": good, "3.npy": npy(np.array([{}]), allow_pickle=True),
        "4.npy": b"\x93NUMPY broken", "5.npy": npy(np.array(["a"])), "6.a.png": good, "6.b.png": good})
    records = read(file)
    reasons = {records.names[at].rpartition("/")[2]: reason(records, at) for at in (0, 1, 3, 4, 5, 6)}
    assert reasons["1"] == "is no picture that can be read" and reasons["3"].startswith("holds Python objects, which are never loaded")
    assert reasons["4"].startswith("is no .npy: ") and reasons["5"] == "holds no array of numbers" and reasons["0"]
    assert reasons["6"] == "holds a.png, b.png; keep one, or let names differ before their first dot"
    samples = Image(size=8).open(records)
    assert samples.batch(samples.index).values.shape == (7, 3, 8, 8) and len(samples.faults) == 6


def test_the_simple_ending_is_the_record(tmp_path):
    records = read(shard(tmp_path / "a.tar", {"0.seg.png": picture(1), "0.png": picture(2)}))
    assert len(records) == 1 and records.load(0)[0, 0, 0] == 2


# The second member's header lies at 512 + one block run of the first.
@pytest.mark.parametrize("cut", ["in the data", "between files", "in a header", "damaged header"])
def test_a_shard_cut_short_is_used_up_to_there(tmp_path, cut):
    members = {f"{i}.npy": npy(np.full((2, 200), i, np.float32)) for i in range(3)}
    file = shard(tmp_path / "a.tar", members)
    each = 512 + -(-len(members["0.npy"]) // 512) * 512
    content = bytearray(file.read_bytes())
    if cut == "damaged header":
        content[2 * each + 150] ^= 0x55
    file.write_bytes(content[:{"in the data": 2 * each + 700, "between files": 2 * each, "in a header": 2 * each + 100}.get(cut)])
    records = read(file, kind="signal")
    assert [float(records.load(i)[0, 0]) for i in range(len(records))] == [0, 1]
    assert records.notes == [f"{file} is cut short or damaged after 2 files; those before are used"]


def test_a_header_that_points_back_does_not_hang(tmp_path):
    file = shard(tmp_path / "a.tar", {"0.npy": npy(np.zeros((2, 8))), "1.npy": npy(np.zeros((2, 8)))})
    content = bytearray(file.read_bytes())
    header = content[1024:1536]
    header[124:136] = b"\xff" * 10 + b"\xfe\x00"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[1024:1536] = header
    file.write_bytes(content)
    assert len(read(file, kind="signal")) == 1


def test_a_bad_shard_is_set_aside_and_alone_refused(tmp_path):
    bad = tmp_path / "bad.tar"
    bad.write_bytes(b"\x1f\x8b compressed" * 100)
    words = "is no plain tar file that can be read"
    with pytest.raises(Unusable, match=r"holds no picture or \.npy in tar files that can be read"):
        open_records(bad)
    with pytest.raises(Unusable, match=rf"bad\.tar: {words}; decompress it first if it is compressed"):
        read(bad)
    shard(tmp_path / "good.tar", {"0.png": picture(5)})
    kind, records = open_records(tmp_path)
    assert kind == "image" and reason(records, records.names.index(str(bad))).startswith(words)
    assert records.load(1)[0, 0, 0] == 5


def test_what_is_left_out_is_counted(tmp_path):
    file = tmp_path / "a.tar"
    members = [("0.png", picture(1)), ("0.png", picture(2)), ("0.json", b"{broken"), ("1.cls", b"x"), (".DS_Store", b"x"),
               ("._0.png", b"x")]
    with tarfile.open(file, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    records = read(file)
    assert len(records) == 1 and records.load(0)[0, 0, 0] == 1
    assert records.notes == [f"{file}: left out files of a repeated name (1), .json that cannot be read (1), "
                             "keys without a picture or array (1)"]


def test_names_and_links_that_lead_out_lead_nowhere(tmp_path):
    secret = tmp_path / "secret.npy"
    np.save(secret, np.full((2, 8), 7.0))
    file = tmp_path / "in" / "a.tar"
    shard(file, {"../../evil.npy": npy(np.zeros((2, 8)))})
    with tarfile.open(file, "a") as archive:
        link = tarfile.TarInfo("link.npy")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    records = read(file, kind="signal")
    assert len(records) == 1 and records.load(0).sum() == 0 and sorted(tmp_path.rglob("*")) == before


def test_empty(tmp_path):
    with pytest.raises(Unusable, match=r"holds no picture or \.npy"):
        shards.kinds(shard(tmp_path / "a.tar", {}))
    with pytest.raises(Unusable, match=r"holds no picture or \.npy that can be used"):
        read(shard(tmp_path / "a.tar", {"0.cls": b"1"}))


def test_detect(tmp_path):
    assert shards.detect(tmp_path) is None
    file = shard(tmp_path / "in" / "a.tar", {})
    assert shards.detect(tmp_path) == "a folder of tar shards" and shards.detect(file) == "a tar shard"
