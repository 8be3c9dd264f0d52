"""What a user can get wrong, through the command line: one message that says what, where and what to do, and nothing is lost."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tiny import WORDS, photos, pixels, recordings, series
from unveil.cli import main
from unveil.data import machine
from unveil.data.feed import Feed
from unveil.training import checkpoint

SIGNAL = ["--kind.window", "32", *WORDS]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(capsys):
    """Runs a command that must end with status 2 and one message; returns the message."""
    def run(*words: str) -> str:
        capsys.readouterr()
        assert main(list(words)) == 2
        out, err = capsys.readouterr()
        assert out == "" and "Traceback" not in err and err.count("error:") == 1
        return " ".join(err.partition("error:")[2].split())
    return run


@pytest.fixture
def finished(capsys):
    """Runs a command that must end well; returns the facts of the data in its ``results.json``."""
    def run(*words: str) -> dict:
        assert main(["pretrain", *words, "--out", "run", "--frozen"]) == 0
        assert "Traceback" not in "".join(capsys.readouterr())
        return json.loads(Path("run/results.json").read_text())["data"]
    return run


def has(message: str, *words: str) -> None:
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"


def test_an_empty_folder(refused, place):
    (place / "empty").mkdir()
    has(refused("pretrain", "empty", *WORDS), "nothing in empty can be read: it is empty", "Readable are pictures, .npy, .npz, .csv")


def test_a_folder_of_other_files(refused, place):
    (place / "docs").mkdir()
    (place / "docs" / "a.docx").write_text("x")
    has(refused("pretrain", "docs", *WORDS), "nothing in docs can be read: it holds files ending in '.docx'")


def test_a_folder_that_is_not_there(refused):
    has(refused("pretrain", "fotos", *WORDS), "there is no file, folder or built-in set 'fotos'", "built-in sets: watch")
    has(refused("pretrain", "fashon-mnist", *WORDS), "did you mean the built-in set 'fashion-mnist'?")
    assert not Path("runs").exists(), "nothing was written"


def test_a_folder_that_may_not_be_read(refused, place, monkeypatch):
    photos(place / "photos")
    scan = os.scandir

    def closed(folder):
        if str(folder).endswith("light"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return scan(folder)
    monkeypatch.setattr(os, "scandir", closed)
    has(refused("pretrain", "photos", *WORDS), "cannot read photos/light: Permission denied")


def test_a_text_called_picture_is_set_aside_and_counted(finished, place):
    photos(place / "photos")
    (place / "photos" / "dark" / "notes.jpg").write_text("this is no picture")
    facts = finished("photos", *WORDS)
    assert facts["faults"] == {"photos/dark/notes.jpg": "is no picture that can be read"} and facts["samples"] == 25


def test_nothing_but_texts_called_pictures(refused, place):
    (place / "photos").mkdir()
    for name in "ab":
        (place / "photos" / f"{name}.jpg").write_text("this is no picture")
    has(refused("pretrain", "photos", *WORDS), "none of the 2 pictures is usable", "photos/a.jpg: is no picture that can be read")


def test_a_picture_cut_short_is_skipped_and_counted(finished, place, capsys):
    photos(place / "photos")
    file = place / "photos" / "light" / "cut.jpg"
    Image.fromarray(pixels(1, 64)[0]).save(file, quality=95)
    file.write_bytes(file.read_bytes()[:len(file.read_bytes()) // 2])
    facts = finished("photos", "--labels", "folders", "--budgets", "all", *WORDS)
    assert list(facts["faults"]) == ["photos/light/cut.jpg"] and "truncated" in facts["faults"]["photos/light/cut.jpg"]
    assert facts["train"] + facts["test"] == facts["samples"] == 25


def test_pictures_of_one_pixel(finished, refused, place):
    (place / "dots").mkdir()
    for name in "ab":
        Image.fromarray(pixels(1, 1)[0]).save(place / "dots" / f"{name}.png")
    has(refused("pretrain", "dots", *WORDS), "none of the 2 pictures is usable", "dots/a.png: smaller than 8 x 8 pixels")
    photos(place / "dots")
    assert finished("dots", *WORDS)["faults"] == {f"dots/{name}.png": "is 1 x 1 pixels, smaller than 8 x 8" for name in "ab"}
    np.save(place / "dots.npy", pixels(4, 1))
    has(refused("pretrain", "dots.npy", "--kind", "image", "--layout", "hwc", *WORDS), "the pictures are 1 x 1 pixels, smaller than 8 x 8")


def test_pictures_of_other_channels(finished, place, capsys):
    photos(place / "photos")
    Image.fromarray(pixels(1, 16, 4)[0]).save(place / "photos" / "dark" / "alpha.png")
    Image.fromarray(pixels(1, 16, 1)[0, ..., 0]).save(place / "photos" / "dark" / "grey.png")
    facts = finished("photos", *WORDS)
    assert facts["faults"] == {f"photos/dark/{name}.png": f"has {n} channels, most have 3 (--kind.channels 1 or 3 converts)"
                               for name, n in (("alpha", 4), ("grey", 1))}
    shutil.rmtree("run")
    assert finished("photos", "--kind.channels", "3", *WORDS)["faults"] == {}


def test_a_picture_that_may_be_read_in_two_ways_does_not_end_a_run(finished, place):
    """Its axes are not certain: known only when it is decoded, in the middle of a run."""
    with tarfile.open(place / "a.tar", "w") as tar:
        for number in range(130):
            held = io.BytesIO()
            np.save(held, np.zeros((12, 12, 12), np.uint8) if number == 101 else pixels(1, 24, seed=number)[0])
            member = tarfile.TarInfo(f"{number:03d}.npy")
            member.size = held.tell()
            held.seek(0)
            tar.addfile(member, held)
    facts = finished("a.tar", "--kind", "image", *WORDS, "--train.steps", "17")
    assert list(facts["faults"]) == ["a.tar/101"] and "can have its channels first or last" in facts["faults"]["a.tar/101"]


def test_text_in_a_column_of_numbers(finished, refused, place):
    recordings(place / "in")
    lines = (place / "in" / "p1.csv").read_text().splitlines()
    lines[41] = lines[41].replace(",", ",much", 1)
    (place / "in" / "p1.csv").write_text("\n".join(lines))
    facts = finished("in", "--budgets", "all", *SIGNAL)
    assert list(facts["faults"]) == ["in/p1.csv"]
    has(facts["faults"]["in/p1.csv"], "line 42, column 'x': 'much", "is not a finite number; correct it or leave it empty")
    has(refused("pretrain", "in/p1.csv", *SIGNAL), "none of the 1 CSV files in in/p1.csv can be used; in/p1.csv: line 42, column 'x'")


def test_a_gap_in_time_is_said_and_no_window_crosses_it(finished, place):
    recordings(place / "in", people=2)
    file = place / "in" / "p0.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:50] + lines[80:]) + "\n")
    facts = finished("in", "--budgets", "all", *SIGNAL)
    assert facts["notes"] == ["p0.csv: gap of 0.62 s after line 50, recording split there"]
    assert facts["faults"] == {"in/p0.csv lines 51-71": "has 21 values, a window needs 32"}


def test_windows_without_a_value(finished, refused, place):
    values = series(12)
    values[3], values[5, :, :40] = np.nan, np.nan
    np.save(place / "a.npy", values)
    facts = finished("a.npy", "--kind", "signal", "--layout", "ct", *SIGNAL)
    assert facts["faults"] == {f"a.npy[{i}] (windows)": f"{n} windows without a value set aside" for i, n in ((3, 2), (5, 1))}
    np.save(place / "b.npy", np.full((4, 2, 64), np.nan))
    has(refused("pretrain", "b.npy", "--kind", "signal", "--layout", "ct", *SIGNAL), "no recording gives a window of 32 values",
        "b.npy[0] (windows): 2 windows without a value set aside")


def test_recordings_shorter_than_a_window_that_was_asked_for(refused, place):
    np.save(place / "a.npy", series(4, 2, 20))
    has(refused("pretrain", "a.npy", "--kind", "signal", "--layout", "ct", "--kind.window", "128", *WORDS),
        "no recording gives a window of 128 values", "a.npy[0]: has 20 values, a window needs 128", "--kind.window 64")


def test_an_array_that_can_be_several_things(refused, place):
    np.save(place / "a.npy", series(4, 2, 20))
    has(refused("pretrain", "a.npy"), "a.npy is an array of 4x2x20 float32; that can be several kinds", "--kind image --kind signal")
    has(refused("pretrain", "a.npy", "--kind", "signal"), "a series of 2x20 can have its channels first or last", "--layout ct --layout tc")
    has(refused("pretrain", "a.npy", "--kind", "imgae"), "a.npy is an array of 4x2x20 float32, which holds image or signal, not imgae")


@pytest.mark.parametrize("name, content, words", [
    ("a.npy", b"\x93NUMPY", "cannot read a.npy"), ("a.npz", b"PK\x03\x04", "cannot read a.npz"), ("a.npz", b"", "cannot read a.npz"),
    ("a.tar", b"no tar", "a.tar holds no picture or .npy in tar files that can be read")])
def test_a_damaged_file(refused, place, name, content, words):
    (place / name).write_bytes(content)
    has(refused("pretrain", name, "--kind", "signal"), words)


def test_an_archive_whose_samples_are_damaged(refused, place):
    np.savez_compressed(place / "a.npz", x=series())
    content = bytearray((place / "a.npz").read_bytes())
    content[200:240] = bytes(40)
    (place / "a.npz").write_bytes(content)
    has(refused("pretrain", "a.npz", "--kind", "signal", "--layout", "ct"), "cannot read a.npz")


def test_an_array_without_samples(refused, place):
    np.save(place / "a.npy", np.zeros((0, 3, 64)))
    has(refused("pretrain", "a.npy", "--kind", "signal", "--layout", "ct"), "a.npy is 0x3x64: it holds no samples")


def test_objects_in_an_array_are_never_loaded(refused, place):
    np.save(place / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(place / "b.npz", x=np.array([{"a": 1}], dtype=object))
    for name in ("a.npy", "b.npz"):
        has(refused("pretrain", name, "--kind", "signal"), f"cannot read {name}: it", "holds Python objects, which are never loaded")


def test_settings_that_are_wrong(refused, place):
    photos(place / "photos")
    has(refused("pretrain", "photos", "--train.epoch", "3"), "train.epoch is no setting of Training; did you mean 'epochs'?")
    has(refused("pretrain", "photos", "--train.epochs", "many"), "train.epochs is 'many', a text; it must be a number")
    has(refused("pretrain", "photos", "--method", "simclear"), "there is no method 'simclear'; did you mean 'simclr'?")
    has(refused("pretrain", "photos", "--method", "mae", "--encoder", "conv"), "mae needs an encoder that supports",
        "--encoder transformer")
    has(refused("pretrain", "photos", "--encoder", "transformer", "--encoder.width", "30", "--encoder.heads", "4"),
        "the encoder transformer cannot be built: width 30 is not a multiple of heads 4")
    has(refused("pretrain", "photos", "--encoder", "transformer", "--encoder.patch", "64", "--encoder.width", "12"), "64")
    has(refused("pretrain", "photos", *WORDS, "--train.batch", "8", "--train.accumulate", "3"),
        "--train.batch 8 is not a multiple of accumulate 3 x devices 1")
    has(refused("pretrain", "photos", *WORDS, "--rate", "-3"), "the rate is -3.0; it must be a number of samples a second")
    (place / "mine.yaml").write_text("train: {epohcs: 3}")
    has(refused("pretrain", "photos", "--recipe", "mine.yaml"), "train.epohcs is no setting of Training; did you mean 'epochs'?")
    assert not Path("runs").exists(), "refused before any work"


def test_labels_that_do_not_fit(refused, place):
    photos(place / "photos")
    np.savez(place / "f.npz", x=np.ones((4, 2)))
    (place / "y.csv").write_text("a\nb\n")
    has(refused("evaluate", "f.npz", "--labels", "y.csv"), "y.csv has 2 labels for 4 samples")
    has(refused("evaluate", "f.npz", "--labels", "none.csv"), "cannot read the labels in none.csv")
    has(refused("evaluate", "f.npz"), "f.npz has no labels: give --labels folders")
    (place / "names.csv").write_text("x.png,a\n")
    has(refused("pretrain", "photos", "--labels", "names.csv", *WORDS), "no name in names.csv is the name of a sample",
        "the first sample is 'photos/dark/00.png'")
    has(refused("pretrain", "photos/dark", "--labels", "folders", *WORDS), "photos/dark has no sub-folders to take labels from")


def test_features_that_are_not_finite(refused, place):
    values = np.ones((6, 2))
    values[4, 1] = np.inf
    np.savez(place / "f.npz", x=values, y=list("ababab"))
    has(refused("evaluate", "f.npz"), "row 4 of the features is not finite")
    np.savez(place / "f.npz", x=np.ones((6, 2, 2)), y=list("ababab"))
    has(refused("evaluate", "f.npz"), "features must be n x D, these are 6x2x2")


def test_a_checkpoint_of_another_run_in_the_folder(refused, finished, place):
    photos(place / "photos")
    finished("photos", *WORDS)
    before = {file: file.read_bytes() for file in Path("run").rglob("*") if file.is_file()}
    for other in (["--encoder", "transformer", "--encoder.patch", "8", "--encoder.width", "24"], [*WORDS, "--encoder.width", "8"],
                  [*WORDS, "--seed", "1"]):
        has(refused("pretrain", "photos", "--out", "run", *other), "run/checkpoints holds a run with other settings",
            "choose another --out")
    assert before == {file: file.read_bytes() for file in Path("run").rglob("*") if file.is_file()}, "not a byte was changed"


def test_weights_of_another_architecture_in_a_checkpoint(refused, finished, place, monkeypatch):
    photos(place / "photos")
    finished("photos", *WORDS)
    monkeypatch.setattr("unveil.api.pretraining.definition_of", lambda *given: "the same")
    monkeypatch.setattr(checkpoint, "_same", lambda *given: None)
    has(refused("pretrain", "photos", "--out", "run", *WORDS, "--encoder.width", "32"), "are of another architecture",
        "choose another --out")


def test_damaged_checkpoints_are_skipped_not_trusted(finished, place, capsys):
    photos(place / "photos")
    finished("photos", *WORDS)
    for file in Path("run/checkpoints").glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:50])
    assert main(["pretrain", "photos", "--out", "run", *WORDS]) == 0
    assert "is damaged, skipped" in capsys.readouterr().err


def test_a_place_that_cannot_be_written(refused, place):
    """Below a file nobody can make a folder, whoever runs this."""
    photos(place / "photos")
    (place / "file").write_text("x")
    message = refused("pretrain", "photos", "--out", "file/run", *WORDS)
    has(message, "cannot write file/run: Not a directory", "choose another --out that can be written to")
    assert main(["pretrain", "photos", "--out", "run", *WORDS]) == 0
    has(refused("embed", "run", "--data", "photos", "--out", "file/f.npz"), "cannot write file/f.npz")


def test_a_place_that_may_not_be_written(refused, place):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere; the test below takes a read-only mount")
    photos(place / "photos")
    (place / "locked").mkdir(mode=0o500)
    has(refused("pretrain", "photos", "--out", "locked/run", *WORDS), "cannot write locked/run: Permission denied")


@pytest.fixture
def disk(place):
    """A disk of two megabytes, mounted at ``disk``."""
    where = place / "disk"
    where.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", where], capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    yield where
    subprocess.run(["umount", where], check=True)


def test_a_disk_that_is_read_only(refused, place, disk):
    photos(place / "photos")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    has(refused("pretrain", "photos", "--out", "disk/run", *WORDS), "cannot write disk/run: Read-only file system")


def test_a_full_disk_ends_a_run_with_its_checkpoints_whole(refused, place, disk, capsys):
    photos(place / "photos")
    (place / "disk" / "ballast").write_bytes(bytes(1_500_000))
    words = ["pretrain", "photos", "--out", "disk/run", *WORDS, "--encoder.width", "32", "--train.steps", "6",
             "--train.checkpoint_every", "1"]
    has(refused(*words), "cannot write disk/run/", "No space left on device", "What was saved before is untouched", "command again")
    saved = sorted(Path("disk/run/checkpoints").glob("step-*.safetensors"))
    assert saved and all(checkpoint._sound(file) for file in saved)
    assert not list(Path("disk/run").rglob(".*")), "no half-written file is left"
    (place / "disk" / "ballast").unlink()
    assert main(words) == 0
    assert f"step {int(saved[-1].stem[5:])}/6" not in capsys.readouterr().err, "it goes on after the last checkpoint"


@pytest.mark.parametrize("at", ["step-00000002.safetensors", "step-00000002.json", "snapshots", "model.safetensors",
                                "metrics.csv", "results.json", "recipe.json", "run.json", "report.html"])
def test_a_disk_that_fills_up_at_any_file(refused, place, monkeypatch, at):
    photos(place / "photos")
    words = ["pretrain", "photos", "--out", "run", *WORDS, "--train.checkpoint_every", "1", "--train.snapshots", "1"]
    full = os.fsync

    def fsync(number):
        if at in os.readlink(f"/proc/self/fd/{number}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        full(number)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        has(refused(*words), "cannot write run/", at, "No space left on device", "What was saved before is untouched")
    assert all(checkpoint._sound(file) for file in Path("run/checkpoints").glob("*.safetensors"))
    assert not list(Path("run").rglob(".*"))
    assert main(words) == 0


def test_a_log_that_cannot_be_written(refused, place, monkeypatch):
    photos(place / "photos")

    class Full:
        def write(self, text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    whole = open
    monkeypatch.setattr("builtins.open", lambda file, mode="r", *rest, **also: Full() if mode == "a" else whole(file, mode, *rest, **also))
    has(refused("pretrain", "photos", "--out", "run", *WORDS), "cannot write run/metrics.jsonl: No space left on device")


def test_a_batch_that_will_not_fit_is_refused_before_the_first_step(refused, place, monkeypatch):
    photos(place / "photos")
    monkeypatch.setattr("unveil.training.loop.Loop.run", lambda self: pytest.fail("a step was made"))
    message = refused("pretrain", "photos", *WORDS, "--train.batch", "100000000")
    has(message, "a step with --train.batch 100000000 is estimated to take", "over 80% of the limit of", "Use --train.batch",
        "add --train.accumulate")
    assert not Path("runs").exists()


def test_the_limit_of_a_control_group_counts(refused, place, monkeypatch):
    photos(place / "photos")
    group = place / "cgroup" / "job" / "step"
    group.mkdir(parents=True)
    (place / "cgroup" / "job" / "memory.max").write_text(f"{1 << 20}\n")
    (group / "memory.max").write_text("max\n")
    (place / "own").write_text("0::/job/step\n")
    limits = machine._limits
    monkeypatch.setattr(machine, "_limits", lambda: limits(place / "cgroup", place / "own"))
    has(refused("pretrain", "photos", *WORDS, "--train.batch", "64"), "over 80% of the limit of 0.0 GiB")


def test_the_loss_that_is_no_number_ends_with_advice(refused, place, monkeypatch):
    photos(place / "photos")
    message = refused("pretrain", "photos", "--out", "run", *WORDS, "--train.lr", "1e30", "--train.optimiser", "sgd", "--train.warmup", "0",
                      "--train.steps", "8")
    has(message, "the loss was no finite number at step", "No checkpoint had been made", "lower --train.lr (now 1e+30)")


def test_reading_goes_on_when_files_vanish_in_the_middle(place, capsys, monkeypatch):
    photos(place / "photos", 40)
    read = Feed._read

    def vanish(self, step):
        if step == 1:
            for file in sorted(Path("photos/light").iterdir())[:15]:
                file.unlink()
        return read(self, step)
    monkeypatch.setattr(Feed, "_read", vanish)
    assert main(["pretrain", "photos", "--out", "run", "--kind.cache", "0", *WORDS, "--train.steps", "6", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["data"]
    assert facts["samples"] == 40 and 0 < len(facts["faults"]) <= 15
    assert all("No such file" in why for why in facts["faults"].values())


def test_names_that_are_no_text(finished, place):
    photos(place / "photos", 16)
    (place / "photos" / "dark" / "00.png").rename(os.fsdecode(os.fsencode(place / "photos" / "dark") + b"/\xff\xfe.png"))
    (place / "photos" / "dark" / "02.png").write_text("no picture")
    (place / "photos" / "dark" / "02.png").rename(os.fsdecode(os.fsencode(place / "photos" / "dark") + b"/\xff.png"))
    (place / "photos" / "light").rename(os.fsdecode(os.fsencode(place / "photos") + b"/\xe9t\xe9"))
    facts = finished("photos", "--labels", "folders", "--budgets", "all", *WORDS)
    assert facts["faults"] == {r"photos/dark/\udcff.png": "is no picture that can be read"}
    assert facts["classes"] == [r"\udce9t\udce9", "dark"]
    assert main(["embed", "run", "--data", "photos", "--out", "f.csv"]) == 0
