"""Files that break or are replaced while a run reads them: what cannot be read is set aside by name, what has changed is named."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tiny import WORDS, photos, pixels
from unveil.cli import main
from unveil.data.changes import Changes
from unveil.data.feed import Feed
from unveil.data.samples import Files

MANY = [*WORDS, "--train.steps", "9"]  # three passes over 24 pictures
WHO = "photos/light/01.png"


@pytest.fixture
def midway(terminal, monkeypatch, capsys):
    """Runs a command in the middle of which ``harm`` is done, nothing being kept decoded; returns the facts of its data."""
    photos(terminal / "photos")
    monkeypatch.setattr("unveil.kinds.image.Files", lambda *given: Files(*given[:4], share=0.0))
    read = Feed._read

    def run(harm, source="photos", *words: str) -> dict:
        def harmed(self, step):
            if step == 4:
                harm()
            return read(self, step)
        with monkeypatch.context() as patch:
            patch.setattr(Feed, "_read", harmed)
            assert main(["pretrain", source, "--out", "run", *MANY, *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)["data"]
    return run


def _vanish():
    os.unlink(WHO)


def _cut():
    os.truncate(WHO, 60)


def _unreadable():
    """A file whose every read is an input/output error."""
    os.unlink(WHO)
    os.symlink("/proc/self/mem", WHO)


def _text():
    Path(WHO).write_text("this is no picture")


@pytest.mark.parametrize("harm, why", [(_vanish, "No such file"), (_cut, "truncated"), (_unreadable, "Input/output error"),
                                       (_text, "is no picture that can be read")])
def test_a_file_that_breaks_in_the_middle_is_set_aside_by_name(midway, harm, why):
    facts = midway(harm)
    assert list(facts["faults"]) == [WHO] and why in facts["faults"][WHO] and facts["samples"] == 24
    assert facts["notes"] == [f"{WHO} was changed while this went on: the same bits will not come out again"]


@pytest.mark.parametrize("side", [16, 40])
def test_a_file_that_becomes_another_picture_is_named_and_used(midway, side):
    facts = midway(lambda: [Image.fromarray(pixels(1, side, seed=9)[0]).save(name) for name in (WHO, "photos/dark/02.png")])
    assert facts["faults"] == {} and len(facts["notes"]) == 1
    assert "2 files, the first photos/" in facts["notes"][0] and "were changed while this went on" in facts["notes"][0]


def test_files_that_stay_are_not_named(midway):
    assert midway(lambda: None)["notes"] == []


def test_a_shard_that_is_replaced_is_set_aside_whole(midway, terminal):
    """Where its records lie is no longer known: what is read there could be anything."""
    def shard(name: str, first: int) -> None:
        with tarfile.open(name, "w") as tar:
            for number in range(12):
                held = io.BytesIO()
                Image.fromarray(pixels(1, 16, seed=first + number)[0]).save(held, "PNG")
                member = tarfile.TarInfo(f"{number:03d}.png")
                member.size = held.tell()
                held.seek(0)
                tar.addfile(member, held)
    (terminal / "shards").mkdir()
    shard("shards/a.tar", 0)
    shard("shards/b.tar", 20)
    facts = midway(lambda: shard("shards/b.tar", 40), "shards")
    assert facts["faults"] and all(name.startswith("shards/b.tar/") for name in facts["faults"])
    assert all("lies in a shard that was changed or removed" in why for why in facts["faults"].values())


def test_a_run_that_goes_on_with_other_data_says_so(terminal, capsys):
    photos(terminal / "photos")
    words = ["pretrain", "photos", "--out", "run", *MANY]
    assert main(words) == 0
    assert main(words) == 0
    assert "not those that this run began with" not in " ".join(capsys.readouterr().err.split())
    Image.fromarray(pixels(1, 16, seed=9)[0]).save(WHO)
    assert main(words) == 0
    assert "the data are not those that this run began with: it goes on with them" in " ".join(capsys.readouterr().err.split())


def test_a_reader_that_fails_in_an_unforeseen_way_ends_the_run_and_names_the_file(terminal, monkeypatch):
    """An error in a thread that decodes must come out, not leave the step waiting."""
    photos(terminal / "photos")
    monkeypatch.setattr("unveil.kinds.image.Files", lambda *given: Files(*given[:4], share=0.0))
    from unveil.kinds import image
    fitted, read, due = image.fitted, Feed._read, []

    def failing(picture, *given):
        return 1 / 0 if due else fitted(picture, *given)

    def harmed(self, step):
        due.extend([step] * (step == 4))
        return read(self, step)
    monkeypatch.setattr(image, "fitted", failing)
    monkeypatch.setattr(Feed, "_read", harmed)
    with pytest.raises(RuntimeError, match=r"reading photos/\S+\.png failed in an unforeseen way \(ZeroDivisionError: division by zero\)"):
        main(["pretrain", "photos", "--out", "run", *MANY, "--train.checkpoint_every", "1"])
    assert [path.stem for path in sorted(Path("run/checkpoints").glob("*.safetensors"))] == ["step-00000003", "step-00000004"]


def test_a_look_at_a_file_costs_little(tmp_path):
    """Eight bytes a file, and microseconds."""
    changes = Changes([str(tmp_path)] * 1000, [])
    for number in range(1000):
        changes.look(number)
    assert changes.seen.nbytes == 8000 and not changes.notes and np.all(changes.seen != 0)
