"""Two runs started into one folder: the second is refused before it touches anything, and a run that was killed leaves nothing locked."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path

import pytest

from tiny import WORDS, photos
from unveil.cli import main
from unveil.errors import Unusable
from unveil.training.lock import NAME, alone


@pytest.fixture
def held(terminal):
    """The folder ``run``, held by another process, and that process."""
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        with alone(Path("run")):
            os.write(tell, b".")
            signal.pause()
    assert os.read(told, 1)
    yield Path("run"), child
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_second_run_is_refused_before_it_touches_anything(held, capsys):
    folder, child = held
    photos(Path("photos"))
    before = contents(folder)
    assert main(["pretrain", "photos", "--out", "run", *WORDS]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"a run is going on in run, by process {child} on" in said and "choose another --out" in said
    assert contents(folder) == before and list(before) == ["run/lock"]


def test_a_killed_run_leaves_nothing_locked(held):
    folder, child = held
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert (folder / NAME).exists()
    with alone(folder):
        assert f"process {os.getpid()} on" in (folder / NAME).read_text()
    assert not list(folder.iterdir())


def test_helpers_of_a_run_do_not_ask(held, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with alone(held[0]):
        pass
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(Unusable, match="a run is going on in run"), alone(held[0]):
        pass


def test_where_nothing_can_be_locked_that_is_said_and_the_run_goes_on(terminal, monkeypatch, capsys):
    def flock(held, how):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    monkeypatch.setattr(fcntl, "flock", flock)
    photos(Path("photos"))
    assert main(["pretrain", "photos", "--out", "run", "--frozen", *WORDS]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "run lies where nothing can be locked (Operation not supported): nothing keeps a second run out of it" in said
    assert not Path("run/lock").exists() and Path("run/results.json").exists()


def test_a_holder_that_ends_while_another_asks_does_not_leave_two_in_the_folder(terminal, monkeypatch):
    """The file that was locked is no longer the one that lies there: it is asked for again."""
    real, asked = fcntl.flock, []

    def flock(held, how):
        asked.append(held)
        if len(asked) == 1:
            Path("run/lock").unlink()
        real(held, how)
    monkeypatch.setattr(fcntl, "flock", flock)
    with alone(Path("run")):
        assert len(asked) == 2 and Path("run/lock").exists()
        with pytest.raises(Unusable, match=f"by process {os.getpid()} on"), alone(Path("run")):
            pass


def test_what_kills_left_half_written_is_cleared(terminal):
    left = [Path("run/checkpoints/.step-00000004.safetensors.123"), Path("run/.metrics.jsonl.77")]
    others = [Path("run/checkpoints/step-00000002.safetensors"), Path("run/.notes"), Path("run/notes.7")]
    for file in left + others:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    with alone(Path("run")):
        assert not any(file.exists() for file in left) and all(file.exists() for file in others)
