"""An exported encoder gives the same features in the program that reads it.

- onnxruntime, on every encoder, any number of axes and any batch; transformers' Auto classes and timm, on pictures as files hold them;
  this package, bit for bit and without what the encoder came from;
- a form that gives other features, a network that the other side does not have, a missing package and a folder in use are refused by
  name, and nothing is left.
"""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from small_encoders import SMALL, made

import unveil
from tiny import SETTINGS, pixels
from unveil import Options, Unusable
from unveil.cli import main
from unveil.contracts import Batch
from unveil.formats import onnx
from unveil.randomness import Generator

EVERY = [("conv", "line", {}), ("conv", "colour", {"stride": 2}), ("conv", "block", {}), ("transformer", "line", {"depth": 1}),
         ("transformer", "colour", {"class_token": True}), ("transformer", "grey", {"positions": "rotary", "depth": 1}),
         ("transformer", "block", {"frame": "source", "depth": 1})]
PICTURES = Generator("pictures").integers(0, 256, 5, 16, 16, 3).numpy().astype(np.uint8)


def features(encoder, values):
    with torch.no_grad():
        return encoder(Batch(values, torch.arange(len(values)), torch.arange(len(values))))


def ours(encoder, pictures):
    return unveil.embed(encoder, pictures, options=Options(kind="image", layout="hwc"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home") / "run"
    return unveil.pretrain(pixels(), kind="image", method="simclr", out=folder, options=Options(layout="hwc"), settings=SETTINGS)


@pytest.mark.parametrize(("name", "spec", "settings"), EVERY)
def test_onnxruntime_answers_as_the_encoder(tmp_path, name, spec, settings):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    encoder = made(name, spec, **settings)
    held = unveil.export(encoder, "onnx", tmp_path / "out")
    assert 0 < held["difference"] <= 1e-4 and held["opset"] == onnx.OPSET
    given = json.loads((tmp_path / "out" / "export.json").read_text())["input"]
    assert given["shape"] == ["batch", encoder.spec.channels, *encoder.spec.shape] and given["unit"] == encoder.spec.unit
    assert given["range"] == (None if spec in ("line",) else [0.0, 1.0])
    session = runtime.InferenceSession(str(tmp_path / "out" / "model.onnx"), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        values = Generator("values", count).normal(count, encoder.spec.channels, *encoder.spec.shape) * 3
        pooled, local = session.run(["pooled", "local"], {held["input"]["name"]: values.numpy()})
        want = features(encoder, values)
        np.testing.assert_allclose(pooled, want.pooled, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(local, want.local, rtol=1e-4, atol=1e-4)


def test_tables_that_tracing_met_are_whole_afterwards(tmp_path):
    pytest.importorskip("onnxscript")
    encoder = made("transformer", "grey", width=20, heads=1, depth=1)
    unveil.export(encoder, "onnx", tmp_path / "out")
    again = made("transformer", "grey", width=20, heads=1, depth=1)
    assert torch.isfinite(features(again, torch.rand(2, 1, 16, 16)).pooled).all()


@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize("spec", ["colour", "grey"])
def test_transformers_reads_pictures_as_we_do(tmp_path, spec, class_token):
    library = pytest.importorskip("transformers")
    encoder = made("transformer", spec, class_token=class_token)
    held = unveil.export(encoder, "transformers", tmp_path / "out")
    assert held["difference"] <= 1e-5 and held["class"] == ("ViTModel" if class_token else "IJepaModel")
    model, told = library.AutoModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    pictures = PICTURES if spec == "colour" else PICTURES[..., 0]
    read = library.AutoImageProcessor.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        said = model.eval()(**read(images=[Picture.fromarray(each) for each in pictures], return_tensors="pt"))
    pooled = said.pooler_output if class_token else said.last_hidden_state.mean(1)
    np.testing.assert_allclose(pooled, ours(encoder, pictures), rtol=0, atol=1e-5)


def test_a_picture_of_another_size_is_scaled_and_cut_alike(tmp_path):
    library = pytest.importorskip("transformers")
    encoder = made("transformer")
    unveil.export(encoder, "transformers", tmp_path / "out")
    wide = Picture.fromarray(PICTURES[0]).resize((60, 40), Picture.BILINEAR)
    theirs = library.AutoImageProcessor.from_pretrained(tmp_path / "out")(images=[wide], return_tensors="pt")["pixel_values"]
    _, samples = unveil.api.open_data(np.asarray(wide)[None], encoder.kind, Options(kind="image", layout="hwc"))
    with torch.no_grad():
        mine = encoder.standardise(samples.batch(torch.arange(1)))
    assert (theirs - mine).abs().max() < 0.1, "two ways of scaling differ by a level or two of 255, over a deviation of 0.1 to 0.3"


@pytest.mark.parametrize("model", ["vit", "dinov2", "ijepa", "convnext"])
def test_outside_weights_go_back_as_their_class_and_need_their_source_no_more(tmp_path, model):
    library = pytest.importorskip("transformers")
    small = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=24, patch_size=8)
    config = library.AutoConfig.for_model(model, **small) if model != "convnext" else library.ConvNextConfig(
        hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, patch_size=4, image_size=16)
    library.AutoModel.from_config(config).save_pretrained(tmp_path / "source")
    encoder = made("pretrained", source=str(tmp_path / "source"))
    shutil.rmtree(tmp_path / "source")
    kept = unveil.export(encoder, "safetensors", tmp_path / "kept")
    assert kept["difference"] == 0 and np.array_equal(ours(unveil.load(tmp_path / "kept"), PICTURES), ours(encoder, PICTURES))
    held = unveil.export(encoder, "transformers", tmp_path / "out")
    assert held["difference"] <= 1e-5 and held["class"] == type(encoder.network).__name__
    with pytest.raises(Unusable, match="Pretrained has no form in timm"):
        unveil.export(encoder, "timm", tmp_path / "timm")


@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize("spec", ["colour", "grey"])
def test_timm_reads_pictures_as_we_do(tmp_path, timm, spec, class_token):
    encoder = made("transformer", spec, class_token=class_token, mlp_ratio=49 / 24)
    assert unveil.export(encoder, "timm", tmp_path / "out")["difference"] <= 1e-5
    model = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    read = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    pictures = PICTURES if spec == "colour" else PICTURES[..., 0]
    with torch.no_grad():
        said = model(torch.stack([read(Picture.fromarray(each)) for each in pictures]))
    assert type(model).__name__ == "VisionTransformer"
    np.testing.assert_allclose(said, ours(encoder, pictures), rtol=0, atol=1e-5)


def test_safetensors_is_the_kept_encoder_bit_for_bit(run, tmp_path):
    inner = str(run.folder / "encoder")
    for target, out in ((run, None), (run.folder, tmp_path / "b"), (run.encoder, tmp_path / "c"), (inner, tmp_path / "d")):
        held = unveil.export(target, "safetensors", out)
        assert held["difference"] == 0 and held["out"] == str(out or run.folder / "export" / "safetensors")
        again = unveil.load(held["out"])
        assert np.array_equal(ours(again, pixels()), ours(run.encoder, pixels())) and vars(again.kind) == vars(run.encoder.kind)
    assert set(held["files"]) == {"config.json", "model.safetensors", "README.md", "export.json"}


def test_exporting_again_replaces_and_another_folder_is_left_alone(run, tmp_path):
    for _ in range(2):
        unveil.export(run, "safetensors", tmp_path / "out")
    with pytest.raises(Unusable, match="holds something else, exported to safetensors: choose another --out"):
        unveil.export(run, "transformers", tmp_path / "out")
    before = sorted((run.folder / "encoder").iterdir())
    with pytest.raises(Unusable, match="holds something else: choose another --out"):
        unveil.export(run, "safetensors", run.folder / "encoder")
    assert sorted((run.folder / "encoder").iterdir()) == before


@pytest.mark.parametrize("to", ["transformers", "timm"])
@pytest.mark.parametrize(("name", "spec", "settings", "what"), [
    ("conv", "colour", {}, "ConvNet has no form in"), ("transformer", "line", {}, "axes t have no form"),
    ("transformer", "colour", {"positions": "rotary"}, "--encoder.positions rotary")])
def test_networks_that_the_other_side_does_not_have_are_refused_by_name(tmp_path, to, name, spec, settings, what):
    with pytest.raises(Unusable, match=f"{what}.*"):
        unveil.export(made(name, spec, **settings), to, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("odd", [2e-4, float("nan")])
def test_other_features_are_refused_and_nothing_is_left(tmp_path, monkeypatch, odd):
    pytest.importorskip("transformers")
    from unveil.formats import transformers
    right = transformers.answer

    def wrong(folder, encoder):
        def said(values):
            held = right(folder, encoder)(values)
            held["pooled"][-1, 3] += odd * (len(values) == 7) * max(1, float(held["pooled"].abs().max()))
            return held
        return said

    monkeypatch.setattr(transformers, "answer", wrong)
    with pytest.raises(Unusable, match=r"gives other features: they differ by (2.0e-04|nan), more than 0.0001"):
        unveil.export(made("transformer"), "transformers", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("to", "package", "what"), [("onnx", "onnxruntime", r"unveil\[onnx\]"), ("timm", "timm", "imported here")])
def test_a_missing_package_is_named(tmp_path, monkeypatch, to, package, what):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Unusable, match=what):
        unveil.export(made("transformer"), to, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_said(run, tmp_path):
    with pytest.raises(Unusable, match="cannot export to 'onxx'; did you mean 'onnx'"):
        unveil.export(run, "onxx")
    with pytest.raises(Unusable, match="give out"):
        unveil.export(run.encoder, "safetensors")
    bare = made("conv")
    del bare.kind
    with pytest.raises(Unusable, match="give one that was taught or loaded"):
        unveil.export(bare, "safetensors", tmp_path)
    assert SMALL["conv"].items() <= bare.settings.items()


def test_the_command(run, tmp_path, capsys):
    assert main(["export", str(run.folder), "--to", "safetensors", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "model.safetensors" in said and "greatest difference 0 (limit 0)" in said
    assert main(["export", str(run.folder), "--to", "safetensors", "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"] == 0
    assert main(["export", str(tmp_path / "none"), "--to", "onnx"]) == 2
