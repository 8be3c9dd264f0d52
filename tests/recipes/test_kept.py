"""A kept encoder is safetensors and JSON, reloads bit for bit in another process, and is refused where it does not fit."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import unveil
from unveil.data.options import Options
from unveil.errors import Unusable

ENCODERS = {"conv": {"encoder.width": 16, "encoder.stages": 2},
            "transformer": {"encoder.width": 16, "encoder.depth": 1, "encoder.heads": 2, "encoder.patch": 8}}
LAYOUT = {"image": "hwc", "signal": "ct"}
THREE_LINES = """
import sys, numpy, hashlib
import unveil
encoder = unveil.load(sys.argv[1])
x = unveil.embed(encoder, sys.argv[2], options=unveil.Options(layout=sys.argv[3]))
print(hashlib.sha256(x.tobytes()).hexdigest(), x.shape)
"""


def values(kind: str) -> np.ndarray:
    noise = np.random.default_rng(0)
    if kind == "image":
        return noise.integers(0, 256, (20, 16, 16, 3)).astype(np.uint8)
    return noise.normal(size=(20, 2, 40)).astype(np.float32)


@pytest.fixture(scope="module", params=[(kind, name) for kind in LAYOUT for name in ENCODERS], ids="-".join)
def run(request, tmp_path_factory):
    kind, encoder = request.param
    window = {"kind.window": 32} if kind == "signal" else {}
    small = {"method.hidden": 8, "method.projection": 8, "train.steps": 2, "train.batch": 8}
    return unveil.pretrain(values(kind), kind=kind, method="simclr", encoder=encoder, out=tmp_path_factory.mktemp("run"),
                           options=Options(layout=LAYOUT[kind]), settings=ENCODERS[encoder] | window | small)


def test_the_folder_holds_safetensors_and_json_alone(run):
    assert {file.name for file in (run.folder / "encoder").iterdir()} == {"model.safetensors", "config.json"}
    facts = json.loads((run.folder / "encoder" / "config.json").read_text())
    assert facts["unveil"] == unveil.__version__
    assert facts["encoder"] == run.recipe.encoder and facts["kind"] == json.loads(json.dumps(run.recipe.kind))
    weights = load_file(run.folder / "encoder" / "model.safetensors")
    assert weights.keys() == run.encoder.state_dict().keys()
    pickles = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"}
    assert not [file for file in run.folder.rglob("*") if file.suffix in pickles]


def test_three_lines_in_a_new_process_give_the_same_bits(run, tmp_path):
    kind = run.recipe.kind["name"]
    np.save(tmp_path / "x.npy", values(kind))
    here = unveil.embed(run.encoder, values(kind), options=Options(layout=LAYOUT[kind]))
    source = str(Path(unveil.__file__).parents[1])
    known = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    asked = subprocess.run([sys.executable, "-c", THREE_LINES, run.folder, tmp_path / "x.npy", LAYOUT[kind]], env=known, timeout=120,
                           capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.split()[0] == hashlib.sha256(here.tobytes()).hexdigest()
    assert np.isfinite(here).all() and here.std() > 0


def test_the_folder_of_the_encoder_will_do_as_well(run):
    one, two = unveil.load(run.folder), unveil.load(str(run.folder / "encoder"))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not one.training and one.kind.name == run.recipe.kind["name"] and one.settings == run.recipe.encoder


def copied(run, folder: Path) -> Path:
    for file in (run.folder / "encoder").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_weights_of_another_architecture_are_refused_with_the_count(run, tmp_path):
    folder = copied(run, tmp_path)
    facts = json.loads((folder / "config.json").read_text())
    facts["encoder"]["width"] = 32
    (folder / "config.json").write_text(json.dumps(facts))
    with pytest.raises(Unusable, match=r"the weights in .* are of another architecture: \d+ of \d+ tensors match; the first that does "
                                       r"not is \w+"):
        unveil.load(folder)


def test_a_weight_too_few_or_too_many_is_refused(run, tmp_path):
    folder = copied(run, tmp_path)
    weights = load_file(folder / "model.safetensors")
    first = next(iter(weights))
    save_file({name: x for name, x in weights.items() if name != first}, folder / "model.safetensors")
    with pytest.raises(Unusable, match=f"are of another architecture.*{first}"):
        unveil.load(folder)
    save_file(weights | {"another": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(Unusable, match=r"are of another architecture.*another$"):
        unveil.load(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1, 2]", b"\xff\xfe", b'{"architectures": ["ViTModel"]}',
                                     b'{"encoder": {"name": "conv", "wide": 3}, "spec": {}, "seed": 0, "kind": {"name": "image"}}'])
def test_another_config_is_refused(run, tmp_path, content):
    folder = copied(run, tmp_path)
    (folder / "config.json").write_bytes(content)
    with pytest.raises(Unusable, match=r"name the folder of a finished run"):
        unveil.load(folder)


def test_damaged_weights_and_no_folder_are_refused(run, tmp_path):
    folder = copied(run, tmp_path)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:100])
    for place in (folder, tmp_path / "none"):
        with pytest.raises(Unusable, match=f"{place} holds no encoder that can be read .*: name the folder of a finished run"):
            unveil.load(place)
