"""Every encoder keeps its contract, on every kind that it reads."""

import pytest

from unveil.encoders.conv import ConvNet
from unveil.encoders.pretrained import Pretrained
from unveil.encoders.transformer import Transformer
from unveil.kinds.image import Image
from unveil.kinds.signal import Signal
from unveil.recipes.check import TABLES, find
from unveil.testing import check_encoder

KINDS = {"signal": Signal(window=64), "image": Image(size=16)}
VIT = dict(model_type="vit", hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=16, patch_size=4)
CONVNEXT = dict(model_type="convnext", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], image_size=16, patch_size=1)
PACKED = [name for name in TABLES["encoder"] if "grid" not in find("encoder", name).reads]
CASES = [(Transformer, {}), (Transformer, dict(class_token=True)), (Transformer, dict(positions="rotary")),
         (Transformer, dict(positions="rotary", class_token=True, frame="source")), (Transformer, dict(frame="source")),
         (Transformer, dict(drop_path=0.2)), (ConvNet, {}), (ConvNet, dict(stages=3, blocks=2, stride=2))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoder, settings", CASES, ids=lambda x: x.__name__ if isinstance(x, type) else str(x))
def test_encoder(encoder, settings, kind):
    check_encoder(encoder, KINDS[kind], **settings)


@pytest.mark.parametrize("name", PACKED)
def test_encoder_of_packed_samples(name):
    check_encoder(find("encoder", name))


@pytest.mark.parametrize("config", [VIT, VIT | dict(model_type="dinov2", mlp_ratio=2), CONVNEXT], ids=lambda config: config["model_type"])
def test_outside_network(config):
    pytest.importorskip("transformers")
    check_encoder(Pretrained, KINDS["image"], config=config)
