"""``unveil plan``: every published recipe, operations against formulas by hand, memory against what is kept in earnest."""

import json
import resource
import time
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tiny import photos
from unveil import api
from unveil.cli import main
from unveil.data.options import Options
from unveil.encoders.conv import ConvNet
from unveil.errors import Unusable
from unveil.kinds.image import Image
from unveil.methods.simclr import SimCLR
from unveil.parts import blocks
from unveil.parts.masking import multiblock
from unveil.randomness import Generator
from unveil.recipes import recipe as recipes
from unveil.recipes.check import TABLES, find
from unveil.recipes.fit import ways
from unveil.testing import Cell
from unveil.training import hardware, measure
from unveil.training.cost import _AsOnGPU, count
from unveil.training.processes import blueprint

FILES = sorted(file.name for file in resources.files("unveil.recipes").iterdir() if file.name.endswith(".yaml"))
PUBLISHED = [tuple(name.split(".")[:2]) for name in FILES if "\npublished:" in (resources.files("unveil.recipes") / name).read_text()]


def told_alone(method: str, kind: str) -> bool:
    """Whether the recipe alone says what its samples look like: of signals, where it says how many channels they have."""
    return kind != "signal" or recipes.published_channels(method, kind) is not None


@pytest.mark.parametrize("method, kind", [case for case in PUBLISHED if not told_alone(*case)])
def test_a_recipe_that_is_of_no_one_set_asks_for_data_or_channels(capsys, method, kind):
    assert main(["plan", method, "--kind", kind]) == 2 and "give --data, or" in capsys.readouterr().err
    assert main(["plan", method, "--kind", kind, "--channels", "7", "--train.steps", "10"]) == 0
    assert "10 steps: 0.0 hours" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("method", ["biopm", "slip"])
def test_what_comes_with_samples_is_looked_at(method):
    """Movement elements and captions: planned from data, and on tensors without values as much is kept as in earnest."""
    waves = np.random.default_rng(0).normal(size=(4, 600, 3)).cumsum(1).astype(np.float32)
    planned = api.plan(method, data=waves, scale="small", hardware="rtx-4090", options=Options(kind="signal", layout="tc", rate=50.0))
    assert planned.cost.flops > 1e6 and set(planned.some.extras) & {"elements", "text"}
    cell = Cell(find("method", method))
    samples, settings = cell.samples()[0], cell.settings_of_training(batch=8)
    some, _ = measure.probed(samples, settings, 8)
    cost = count(blueprint(cell.build()), cell.kind, samples.spec(), settings, mixed=False, extras=some.extras)
    assert cost.activations == pytest.approx(kept_in_earnest(cell, settings), rel=0.02)


@pytest.mark.parametrize("method, kind", [case for case in PUBLISHED if told_alone(*case)])
def test_every_published_recipe_is_planned_in_seconds_and_without_its_weights(capsys, method, kind):
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    assert main(["plan", method, "--kind", kind, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    most = 300_000 if told["rows"] is None else 500_000  # kB; of packed samples a small step is made in earnest
    assert time.perf_counter() - began < 30 and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < most
    number, train = recipes.published_samples(method, kind), told["recipe"]["train"]
    assert told["samples"] == number > 0 and told["recipe"]["scale"] == "published" and told["hours"] > 0
    if kind == "image":  # the networks and sets of the papers are large
        assert number == 1281167 and told["cost"]["flops"] > 1e12 and told["cost"]["weights"]["encoder"] > 2e7
    assert told["cost"]["flops"] > 1e6 and told["cost"]["weights"]["encoder"] > 1e3
    each = min(train["batch"], train["rows"] / told["rows"]) if train["rows"] else train["batch"]
    assert told["steps"] == (train["steps"] or round(train["epochs"] * number / each))


def block(tokens: int, width: int) -> int:
    """Multiplications and additions of a sample in a block: queries, keys, values, output, a network of 4 x width, attention."""
    return 2 * tokens * (3 + 1 + 8) * width**2 + 4 * tokens**2 * width


def per_sample(method: str, **settings) -> float:
    """Of a step, by the plan; ViT-B/16 at 224 pixels on one device."""
    vit = {"encoder.patch": 16, "encoder.width": 768, "encoder.depth": 12, "encoder.heads": 12, "train.batch": 64, "train.precision": "32"}
    return api.plan(method, kind="image", gpus=1, settings=vit | settings).cost.flops / 64


def test_operations_of_mae_are_those_of_the_formula():
    """The backward pass costs twice the forward pass; the first map alone has no gradient to its input."""
    patches, seen, width, narrow = 196, 49, 768, 512
    enter = 2 * patches * 768 * width
    trained = 12 * block(seen + 1, width) + 2 * seen * width * narrow + 8 * block(patches, narrow) + 2 * (patches - seen) * narrow * 768
    assert per_sample("mae") == pytest.approx(2 * enter + 3 * trained, rel=0.02)


def test_operations_of_i_jepa_are_those_of_the_formula():
    """The teacher sees every token and has no backward pass; the predictor sees the context once for each of four targets."""
    patches, width, narrow, found = 196, 768, 384, []
    for index in range(4):
        masks = multiblock((14, 14), Generator(0, index, "masks"), torch.arange(1), blocks=4, target_scale=(0.15, 0.2),
                           target_aspect=(0.75, 1.5), context_scale=(0.85, 1.0), min_keep=10)
        seen, asked = masks.context.shape[1], masks.targets.shape[2]
        enter = 2 * patches * 768 * width
        teacher = enter + 12 * block(patches, width)
        predictor = 2 * seen * width * narrow + 4 * (12 * block(seen + asked, narrow) + 2 * asked * narrow * width)
        found.append(2 * enter + teacher + 3 * (12 * block(seen, width) + predictor))
    assert per_sample("i-jepa", **{"method.predictor_heads": 12}) == pytest.approx(sum(found) / 4, rel=0.02)


def counted(cell: Cell, mixed: bool = False, **training):
    samples = cell.samples()[0]
    settings = cell.settings_of_training(**({"batch": 8} | training))
    return count(blueprint(cell.build()), cell.kind, samples.spec(), settings, mixed=mixed), settings, samples


def kept_in_earnest(cell: Cell, settings) -> int:
    """Bytes that a step of 8 samples keeps for its backward pass."""
    method = cell.build()
    numbers = sum(x.numel() for x in method.state_dict().values())
    trained = sum(p.numel() for p in method.parameters() if p.requires_grad)
    return measure.step_bytes(method, cell.kind, cell.samples()[0], settings, torch.device("cpu"), probe=8) - 4 * (numbers + 3 * trained)


@pytest.mark.parametrize("method", [method for method in TABLES["method"] if ways("image", method)])
def test_what_is_kept_is_what_a_step_in_earnest_keeps(method):
    if ways("image", method):
        cell = Cell(find("method", method), Image(size=16))
        cost, settings, samples = counted(cell)
    else:
        cell = Cell(find("method", method))
        samples, settings = cell.samples()[0], cell.settings_of_training(batch=8)
        some = measure.probed(samples, settings, 8)
        cost = count(cell.build(), cell.kind, samples.spec(), settings, mixed=False, some=some)
    held = cost.weights
    numbers = sum(x.numel() for x in cell.build().state_dict().values())
    assert held.trained + held.teacher + held.buffers == numbers
    assert cost.activations == pytest.approx(kept_in_earnest(cell, settings), rel=0.02)


@pytest.mark.parametrize("method", ["mae", "i-jepa", "lejepa"])
def test_mixed_precision_keeps_what_the_processors_own_keeps(monkeypatch, method):
    """A CPU differs from a GPU in two things: the form of attention that is quicker on it, and layer norms, which it takes in bf16."""
    monkeypatch.setattr(blocks, "attend", F.scaled_dot_product_attention)
    monkeypatch.setattr(_AsOnGPU, "high", _AsOnGPU.high - {F.layer_norm})
    cell = Cell(find("method", method), Image(size=16), encoder_settings=dict(width=96))
    cost, settings, samples = counted(cell, mixed=True, batch=32)
    whole, _, _ = counted(cell, batch=32)
    held = cost.weights
    with torch.autocast("cpu", torch.bfloat16):
        real = measure.step_bytes(cell.build(), cell.kind, samples, settings, torch.device("cpu"), probe=32)
    real -= 4 * (held.teacher + held.buffers + 4 * held.trained)
    assert cost.activations == pytest.approx(real, rel=0.02) and cost.activations < 0.8 * whole.activations


def test_work_that_every_process_repeats_is_counted_on_each():
    """The covariances of VICReg are those of the joined batch, and each process makes them."""
    cell = Cell(find("method", "vicreg"), Image(size=16))
    one, _, _ = counted(cell)
    two, settings, _ = counted(cell, devices=2)
    width, batch = cell.build().expand[-1].out_features, settings.batch
    assert 2 * two.flops - one.flops == 3 * 2 * (2 * batch * width**2)


def test_shards_divide_weights_and_send_more():
    cost, settings, _ = counted(Cell(find("method", "i-jepa"), Image(size=16)), batch=16, devices=8, nodes=2)
    held, on = cost.weights, hardware.find("h100")
    ddp, fsdp = (replace(settings, strategy=strategy) for strategy in ("ddp", "fsdp"))
    whole, shards = hardware.memory(cost, ddp), hardware.memory(cost, fsdp)
    assert held.teacher > 0 and held.units > 0
    assert shards.gradients == whole.gradients / 16 and shards.optimiser == 8 * held.trained / 16
    assert hardware.sent(cost, ddp) == 4 * 2 * held.trained * 15 / 16
    assert hardware.sent(cost, fsdp) == 4 * (2 * held.trained + held.teacher + held.units) * 15 / 16
    assert hardware.time(cost, ddp, on, 0.5).network == hardware.sent(cost, ddp) / 50e9, "two machines are joined by their network"


def test_a_plan_of_data_takes_their_number_and_shape(tmp_path, capsys):
    data = photos(tmp_path / "photos", 40)
    assert main(["plan", "simclr", "--data", str(data), "--scale", "auto", "--hardware", "cpu", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["samples"] == 40 and told["recipe"]["kind"]["size"] == 16 and told["recipe"]["kind"]["channels"] == 3
    assert told["recipe"]["train"]["batch"] == 8 and told["hardware"]["source"].startswith("measured now")


def test_what_does_not_fit_is_said_with_what_does(capsys):
    assert main(["plan", "mae", "--kind", "image", "--hardware", "rtx-4090"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "It does not fit 80% of that: --train.accumulate 2" in said and "35% of 165.2 TFLOP/s (--mfu, an assumption)" in said
    assert api.plan("mae", kind="image", hardware="rtx-4090", settings={"train.accumulate": 2}).fits


@pytest.mark.parametrize("asked, says", [
    (dict(method="mae"), "say what the data are: --kind image, or --data photos/"),
    (dict(method="mae", kind="signal"), "mae has no published settings for signal"),
    (dict(method="mae", kind="signal", scale="small"), "do not say what a sample of kind signal looks like: give --data"),
    (dict(method="mae", kind="image", scale="auto", settings={"kind.size": 32, "kind.channels": 3}), "give --data or --samples"),
    (dict(method="mae", kind="image", hardware="h10"), "no hardware 'h10'; did you mean 'h100'"),
    (dict(method="mae", kind="image", gpus=12), "--gpus 12 does not fill machines of 8 H100"),
    (dict(method="mae", kind="image", settings={"train.batch": 100}), "--train.batch 100 is not a multiple of accumulate 1 x 8 devices"),
    (dict(method="mae", kind="image", encoder="conv"), "mae needs an encoder that supports keep, tokens"),
])
def test_what_cannot_be_planned_is_said(asked, says):
    with pytest.raises(Unusable, match=says.replace("(", "\\(")):
        api.plan(**asked)


def test_hardware_is_named_with_its_source():
    for name in hardware.TABLE:
        on = hardware.find(name)
        assert all(getattr(on, fact) > 0 for fact in ("tflops", "memory", "bandwidth", "link", "network", "machine"))
        assert any(word in on.source for word in ("data sheet", "white paper"))


def test_the_known_set_of_a_recipe_is_no_setting():
    assert recipes.published_samples("mae", "image") == 1281167 and recipes.published_samples("mae", "signal") is None
    assert "samples" not in recipes.from_file("mae", "image", "published")
    cell = Cell(SimCLR, Image(size=16), ConvNet)
    cost, settings, _ = counted(cell)
    assert hardware.memory(cost, replace(settings, strategy="fsdp")) == hardware.memory(cost, settings), "one process has no shards"
