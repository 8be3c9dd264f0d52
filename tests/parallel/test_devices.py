"""``--train.devices 2`` from the command line: two processes, one answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import torch
from safetensors.torch import load_file

from tiny import photos

WORDS = ["--labels", "folders", "--frozen", "--encoder.width", "16", "--encoder.stages", "2", "--method.hidden", "16",
         "--method.projection", "8", "--train.steps", "6", "--train.batch", "16", "--train.precision", "32",
         "--train.snapshots", "2", "--budgets", "5", "--json"]


def test_two_devices_give_what_one_gives(tmp_path):
    data, answers = photos(tmp_path / "photos", 48), {}
    for devices in ("1", "2"):
        done = subprocess.run([sys.executable, "-m", "unveil.cli", "pretrain", str(data), *WORDS, "--train.devices", devices,
                               "--out", str(tmp_path / devices)], capture_output=True, text=True, timeout=300,
                              env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""})
        assert done.returncode == 0, done.stderr
        answers[devices] = json.loads(done.stdout)
    one, two = (load_file(next((tmp_path / devices / "encoder").glob("*.safetensors"))) for devices in ("1", "2"))
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name].double(), two[name].double(), rtol=1e-4, atol=1e-5) for name in one)
    for devices in ("1", "2"):
        assert {path.parent.name for path in (tmp_path / devices / "snapshots").glob("*/config.json")} == {"step-00000003", "step-00000006"}
    last = load_file(tmp_path / "2" / "snapshots" / "step-00000006" / "model.safetensors")
    assert all(torch.equal(last[name], two[name]) for name in two)
    assert [row["value"] for row in answers["1"]["rows"]] == [row["value"] for row in answers["2"]["rows"]]
