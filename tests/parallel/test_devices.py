"""From the command line: one process, two of its own, two of torchrun in shards, two of Slurm. One answer, and each goes on from another's
checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tiny import photos

# A teacher, a running centre and statistics of the batch. Plain gradient steps with momentum: AdamW divides by the gradient's own size, so
# that where the true gradient is next to nothing its steps are those of rounding, which differs with the number of processes.
WORDS = ["--labels", "folders", "--frozen", "--method", "dino", "--encoder", "conv", "--encoder.width", "16", "--encoder.stages", "2",
         "--method.hidden", "16", "--method.bottleneck", "8", "--method.prototypes", "16", "--train.steps", "6", "--train.batch", "16",
         "--train.precision", "32", "--train.optimiser", "sgd", "--train.lr", "0.05", "--train.clip", "0.5",
         "--train.snapshots", "2", "--train.checkpoint_every", "3", "--budgets", "5", "--json"]
PYTHON = [sys.executable]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
FSDP = ["--train.strategy", "fsdp"]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | more


def slurm() -> list[dict[str, str]]:
    """What Slurm sets for two tasks on one machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return [{"SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1",
             "SLURM_NODELIST": "127.0.0.1", "SLURM_NODEID": "0", "SLURM_PROCID": rank, "SLURM_LOCALID": rank, "MASTER_PORT": port}
            for rank in "01"]


def run(data: Path, folder: Path, *words: str, start: list[str] = PYTHON, tasks: tuple[dict[str, str], ...] = ({},)) -> dict:
    """The answer of the first process; all of ``tasks`` are started side by side."""
    command = [*start, "-m", "unveil.cli", "pretrain", str(data), *WORDS, *words, "--out", str(folder)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**task))
               for task in tasks]
    answers = [process.communicate(timeout=300) for process in started]
    assert all(process.returncode == 0 for process in started), [error for _, error in answers]
    assert not any(said for said, _ in answers[1:]), "a further process prints nothing"
    return json.loads(answers[0][0])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Data, and straight runs in three layouts, each beside its answer."""
    home = tmp_path_factory.mktemp("runs")
    data = photos(home / "photos", 48)
    layouts = {"one": ([], {}), "two": (["--train.devices", "2"], {}), "shards": (FSDP, {"start": TORCHRUN})}
    return data, {name: (home / name, run(data, home / name, *words, **how)) for name, (words, how) in layouts.items()}


def state(folder: Path) -> dict[str, torch.Tensor]:
    """Weights, buffers, teachers and the optimiser's state after the last step."""
    return load_file(folder / "checkpoints" / "step-00000006.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name].double(), b[name].double(), rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("layout", ["two", "shards"])
def test_two_processes_give_what_one_gives(runs, layout):
    (one, first), (other, second) = runs[1]["one"], runs[1][layout]
    same(state(one), state(other))
    assert any(name.startswith("optimiser") for name in state(other)) and any("teacher" in name for name in state(other))
    for folder in (one, other):
        assert {path.parent.name for path in (folder / "snapshots").glob("*/config.json")} == {"step-00000003", "step-00000006"}
    kept, last = (load_file(other / part / "model.safetensors") for part in ("encoder", "snapshots/step-00000006"))
    same(kept, load_file(one / "encoder" / "model.safetensors"))
    assert all(torch.equal(last[name], kept[name]) for name in kept)
    assert [row["value"] for row in first["rows"]] == [row["value"] for row in second["rows"]]
    losses = [[json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()] for folder in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4), "the logged loss is that of the whole batch"


@pytest.mark.parametrize("begun, then", [("two", "one"), ("shards", "one"), ("one", "slurm"),
                                         pytest.param("one", "two", marks=pytest.mark.slow),
                                         pytest.param("shards", "two", marks=pytest.mark.slow),
                                         pytest.param("two", "shards", marks=pytest.mark.slow)])
def test_a_run_goes_on_over_another_number_of_processes(runs, tmp_path, begun, then):
    data, made = runs
    folder = shutil.copytree(made[begun][0], tmp_path / "run")
    for path in (folder / "checkpoints").glob("step-00000006.*"):
        path.unlink()
    middle = folder / "checkpoints" / "step-00000003.safetensors"
    written = middle.stat().st_mtime_ns
    words, how = {"one": ([], {}), "two": (["--train.devices", "2"], {}), "shards": (FSDP, {"start": TORCHRUN}),
                  "slurm": (FSDP, {"tasks": tuple(slurm())})}[then]
    run(data, folder, *words, **how)
    assert middle.stat().st_mtime_ns == written, "it went on from step 3, and did not make it again"
    same(state(made["one"][0]), state(folder))


@pytest.mark.slow
def test_two_processes_stop_together_where_only_one_is_asked_to(tmp_path):
    data, log = photos(tmp_path / "photos", 48), tmp_path / "run" / "metrics.jsonl"
    words = [word if word != "6" else "100000" for word in WORDS]
    process = subprocess.Popen([*PYTHON, "-m", "unveil.cli", "pretrain", str(data), *words, "--train.devices", "2", "--out",
                                str(log.parent)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    ended = time.monotonic() + 120
    while not (log.is_file() and log.stat().st_size) and process.poll() is None and time.monotonic() < ended:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    said, error = process.communicate(timeout=120)
    assert process.returncode == 3 and json.loads(said)["status"] == "stopped", error
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert (log.parent / "checkpoints" / f"step-{steps[-1]:08d}.safetensors").is_file()


@pytest.mark.parametrize("words, task, says", [
    (["--train.nodes", "2"], {}, "--train.nodes 2 needs processes on every machine: start the command with torchrun or srun"),
    (["--train.devices", "3"], slurm()[0], "--train.devices is 3, but torchrun or Slurm has started 2 processes on each of 1 machines"),
    (["--budget", "1m"], slurm()[0], "--budget is measured by one process"),
    (["--train.devices", "3"], {}, "--train.batch 16 is not a multiple of accumulate 1 x devices 3 x nodes 1"),
])
def test_a_layout_that_cannot_be_is_refused_before_any_work(tmp_path, monkeypatch, capsys, words, task, says):
    from unveil.cli import main
    for name, value in task.items():
        monkeypatch.setenv(name, value)
    assert main(["pretrain", str(photos(tmp_path / "photos", 16)), *WORDS[:-1], *words, "--out", str(tmp_path / "run")]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("task, further", [
    ({}, False), ({"LOCAL_RANK": "1"}, True), ({"RANK": "0", "LOCAL_RANK": "0", "SLURM_PROCID": "1"}, False),
    ({"RANK": "8", "LOCAL_RANK": "0"}, True), ({"SLURM_PROCID": "0"}, False), ({"SLURM_PROCID": "3", "SLURM_LOCALID": "0"}, True),
    ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, True)])
def test_which_process_is_the_first(monkeypatch, task, further):
    from unveil.parts.distributed import helper
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in task.items():
        monkeypatch.setenv(name, value)
    assert helper() is further
