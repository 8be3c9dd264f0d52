"""A checkpoint that is damaged in any way is named and skipped; what else lies in the folder is left alone."""

import hashlib
import json
import struct
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from unveil.encoders.conv import ConvNet
from unveil.kinds.signal import Signal
from unveil.methods.byol import BYOL
from unveil.testing import Cell, bits
from unveil.training.checkpoint import _sound, write_json

STEPS, CELL = 8, Cell(BYOL, Signal(window=32), ConvNet)
LAST, BEFORE = "step-00000006.safetensors", "step-00000004.safetensors"


@pytest.fixture(scope="module")
def straight():
    """Final bits of the run without any interruption."""
    held = CELL.loop(None, steps=STEPS)
    held.run()
    return bits(held)


@pytest.fixture
def stopped(tmp_path) -> Path:
    """The folder of a run that was asked to stop after step 6."""
    held = CELL.loop(tmp_path, steps=STEPS, checkpoint_every=2)
    held.show = lambda row: setattr(held, "interrupted", row["step"] == 6)
    assert held.run().status == "stopped" and saved(tmp_path) == [4, 6]
    return tmp_path


def saved(folder: Path) -> list[int]:
    return sorted(int(path.stem[5:]) for path in folder.glob("step-????????.safetensors"))


def resumed(folder: Path, every: int | None = None) -> tuple[str, list[str], list[int]]:
    """Final bits of the run that goes on, what it told, and the steps that it made."""
    held, told, steps = CELL.loop(folder, steps=STEPS, checkpoint_every=every), [], []
    held.say, held.show = told.append, lambda row: steps.append(row["step"])
    assert held.run().status == "finished"
    return bits(held), told, steps


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path):
    held = bytearray(path.read_bytes())
    held[-5] ^= 1
    path.write_bytes(held)


def _unsigned(path):
    path.with_suffix(".json").unlink()


def _empty(path):
    path.write_bytes(b"")


def _header_cut(path):
    path.write_bytes(path.read_bytes()[:40])


def _header_absurd(path):
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])


def _signature_damaged(path):
    path.with_suffix(".json").write_text('["no table"]')


def signed(damage):
    """The same damage with a checksum that agrees, so that nothing but the content can tell."""
    def work(path):
        damage(path)
        path.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}))
    work.__name__ = f"signed{damage.__name__}"
    return work


def _without_optimiser(path):
    with safe_open(path, "pt") as held:
        kept = {name: held.get_tensor(name) for name in held.keys() if not name.startswith("optimiser.")}  # noqa: SIM118
        facts = held.metadata()
    save_file(kept, path, facts)


DAMAGES = [_cut, _flip, _unsigned, _empty, _header_cut, _header_absurd, _signature_damaged, signed(_cut), signed(_empty),
           signed(_header_cut), signed(_header_absurd), signed(_without_optimiser)]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_of_a_damaged_checkpoint_the_one_before_is_taken(stopped, straight, damage):
    damage(stopped / LAST)
    assert resumed(stopped) == (straight, [f"checkpoint {LAST} is damaged, skipped"], [5, 6, 7, 8])


@pytest.mark.parametrize("damage", [_flip, signed(_header_absurd)], ids=lambda damage: damage.__name__)
def test_where_all_are_damaged_the_run_begins_anew_and_says_so(stopped, straight, damage):
    for name in (LAST, BEFORE):
        damage(stopped / name)
    end, told, steps = resumed(stopped)
    assert told == [f"checkpoint {LAST} is damaged, skipped", f"checkpoint {BEFORE} is damaged, skipped",
                    "no checkpoint is left that can be read: the run begins anew"]
    assert end == straight and steps == list(range(1, STEPS + 1))


def test_a_damaged_checkpoint_takes_no_place_among_the_two_that_are_kept(stopped):
    _flip(stopped / LAST)
    held = CELL.loop(stopped, steps=STEPS, checkpoint_every=1)
    held.show = lambda row: setattr(held, "interrupted", row["step"] == 5)
    assert held.run().step == 5
    assert saved(stopped) == [4, 5] and all(_sound(path) for path in stopped.glob("*.safetensors"))


def test_other_files_in_the_folder_are_left_alone(stopped, straight):
    (stopped / "step-best.safetensors").write_bytes((stopped / LAST).read_bytes())
    (stopped / "step-99999999.safetensors").mkdir()
    for name in ("notes.txt", "step-00000009.json", "step-1.safetensors", ".DS_Store", "step-00000006.safetensors.bak"):
        (stopped / name).write_text("junk")
    others = {path.name for path in stopped.iterdir()} - {name.replace(".safetensors", ending) for name in (LAST, BEFORE)
                                                          for ending in (".safetensors", ".json")}
    assert resumed(stopped, every=1) == (straight, [], [7, 8])
    assert {path.name for path in stopped.iterdir()} >= others and saved(stopped) == [7, 8, 99999999]


def test_a_list_of_numbers_stands_on_one_line_and_nothing_else_changes(tmp_path):
    odd = [float("inf"), -1e-12, 3.5e20, 0]
    held = {"parts": [0.8, 1.0, -2], "odd": odd, "box": [[1, 2], [3, 4]], "none": [1, None], "empty": [], "words": ["[\n 1,\n 2\n]", "x"],
            "one": [True, 1], "[\n1]": {"a": [1.0]}}
    write_json(tmp_path / "row.json", held)
    text = (tmp_path / "row.json").read_text()
    assert json.loads(text) == held and list(json.loads(text)) == list(held)
    lines = text.splitlines()
    assert lines[1:3] == [' "parts": [0.8, 1.0, -2],', ' "odd": [Infinity, -1e-12, 3.5e+20, 0],']
    assert lines[3:6] == [' "box": [', "  [1, 2],", "  [3, 4]"]
    write_json(tmp_path / "nan.json", [float("nan"), 1])
    assert (tmp_path / "nan.json").read_text() == "[NaN, 1]"
