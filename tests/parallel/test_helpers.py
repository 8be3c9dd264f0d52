"""Processes that train side by side: when one is killed, the others end within seconds, and one sentence says so."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from processes import alive, children, gone
from tiny import WORDS, photos
from unveil.training.checkpoint import _sound

SIDE_BY_SIDE = [*WORDS, "--train.steps", "100000", "--train.precision", "32", "--train.devices", "2", "--train.checkpoint_every", "20"]


@pytest.fixture
def started(terminal):
    """A run of two processes that has left a checkpoint: the first process and the number of its helper."""
    photos(terminal / "photos")
    run = subprocess.Popen([sys.executable, "-m", "unveil.cli", "pretrain", "photos", "--out", "run", "--frozen", *SIDE_BY_SIDE],
                           stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""})
    until = time.perf_counter() + 120
    while not list(Path("run").glob("checkpoints/*.json")) and run.poll() is None and time.perf_counter() < until:
        time.sleep(0.05)
    helper, = children(run.pid)
    yield run, helper
    run.kill()
    run.wait()
    if alive(helper):
        os.kill(helper, signal.SIGKILL)


def test_a_helper_that_is_killed_ends_the_run_with_a_sentence(started):
    run, helper = started
    os.kill(helper, signal.SIGKILL)
    began = time.perf_counter()
    said = run.communicate(timeout=30)[1]
    assert run.returncode == 2 and time.perf_counter() - began < 10
    said = " ".join(said.split())
    assert "Traceback" not in said and said.count("error:") == 1
    assert re.search(rf"error: process {helper}, which trained beside this one, was ended by SIGKILL; .* memory runs out\. "
                     r"What was saved before is untouched; the same command goes on", said), said
    kept = list(Path("run/checkpoints").glob("*.safetensors"))
    assert kept and all(map(_sound, kept)) and not Path("run/lock").exists()


@pytest.mark.slow
def test_a_first_process_that_is_killed_takes_its_helpers_along(started):
    run, helper = started
    run.kill()
    assert gone(helper)
    assert "Traceback" not in run.stderr.read()


@pytest.mark.slow
def test_a_stop_that_one_process_is_asked_for_stops_both(started):
    run, helper = started
    run.terminate()
    said = run.communicate(timeout=30)[1]
    assert run.returncode == 3 and gone(helper) and "the same command goes on from here" in said and "Traceback" not in said


@pytest.mark.slow
def test_a_wait_for_a_helper_that_never_answers_is_ended(started):
    """The first process is stopped in its step, so that no broken connection wakes it: the looking thread alone can end it."""
    run, helper = started
    os.kill(helper, signal.SIGSTOP)
    time.sleep(1)
    assert run.poll() is None
    os.kill(helper, signal.SIGKILL)
    assert f"process {helper}" in run.communicate(timeout=30)[1] and run.returncode == 2
