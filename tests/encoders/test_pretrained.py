"""Outside weights as an encoder: answers of the library itself, dropped tokens, what is refused, and going on from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import unveil
from unveil.contracts import Batch, Spec
from unveil.encoders.pretrained import Pretrained
from unveil.errors import Unusable
from unveil.randomness import Generator

library = pytest.importorskip("transformers")
SPEC = Spec(3, (32, 32), ("y", "x"), (1.0, 1.0), "px", (0.5,) * 3, (0.2,) * 3)
SMALL = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8)
PLAIN = {"vit": ("ViTConfig", SMALL), "dinov2": ("Dinov2Config", SMALL), "ijepa": ("IJepaConfig", SMALL)}
OTHER = {"dinov3": ("DINOv3ViTConfig", SMALL),
         "convnext": ("ConvNextConfig", dict(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, patch_size=4, image_size=32))}


@pytest.fixture
def weights(tmp_path):
    def save(name):
        kind, settings = (PLAIN | OTHER)[name]
        torch.manual_seed(0)
        network = library.AutoModel.from_config(getattr(library, kind)(**settings)).eval()
        network.save_pretrained(tmp_path / name)
        return network, tmp_path / name
    return save


def pictures(count=3):
    return Batch(Generator("pictures").uniform(count, 3, 32, 32), torch.arange(count), torch.arange(count))


@pytest.mark.parametrize("name", [*PLAIN, *OTHER])
def test_it_answers_as_the_library(weights, name):
    network, folder = weights(name)
    encoder, batch = Pretrained(SPEC, source=str(folder)).eval(), pictures()
    assert encoder.matched.split(" of ")[0] == encoder.matched.split(" of ")[1].split()[0]
    with torch.no_grad():
        theirs = network(encoder._pixels(batch)).last_hidden_state
        features = encoder(batch)
    assert features.pooled.shape == (3, encoder.width)
    theirs = theirs.flatten(2).transpose(1, 2) if theirs.dim() == 4 else theirs
    torch.testing.assert_close(features.local, theirs[:, -features.local.shape[1]:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_dropped_tokens_are_not_seen(weights, name):
    encoder, batch = Pretrained(SPEC, source=str(weights(name)[1])).eval(), pictures()
    keep = torch.tensor([[0, 1, 4, 5]]).expand(3, -1)
    other = batch.values.clone()
    other[:, :, 16:] = 0.9
    with torch.no_grad():
        a, b = (encoder(Batch(values, batch.ids, batch.keys), keep=keep) for values in (batch.values, other))
    assert a.local.shape[1] == 4 and torch.equal(a.pooled, b.pooled)


@pytest.mark.parametrize("name", OTHER)
def test_methods_that_mask_are_refused(weights, name):
    _, folder = weights(name)
    with pytest.raises(Unusable, match="mae"):
        unveil.pretrain({"x": np.zeros((8, 32, 32, 3), np.uint8)}, kind="image", method="mae", encoder=f"hf:{folder}")


def test_weights_of_another_architecture_are_refused(weights):
    network, folder = weights("vit")
    network.save_pretrained(folder, state_dict={"something.else": torch.zeros(2)})
    with pytest.raises(Unusable, match="another architecture"):
        Pretrained(SPEC, source=str(folder))


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(Unusable, match="cannot load"):
        Pretrained(SPEC, source=str(tmp_path / "none"))


@pytest.mark.parametrize("method", ["simclr", "mae", "i-jepa", "dino"])
def test_a_run_goes_on_from_them_and_reloads(weights, method, tmp_path):
    _, folder = weights("vit")
    values = (Generator("data").uniform(16, 32, 32, 3) * 255).byte().numpy()
    settings = {"train.steps": 2, "train.batch": 8, "train.precision": "32", "kind.size": 32}
    run = unveil.pretrain({"x": values}, kind="image", method=method, encoder=f"hf:{folder}", out=tmp_path / "run", settings=settings)
    again = unveil.load(tmp_path / "run")
    assert np.array_equal(unveil.embed(run.encoder, {"x": values}), unveil.embed(again, {"x": values}))
