"""Our transformer as a model of Hugging Face's transformers, and back.

- the library loads the files that the map makes, misses and refuses nothing, and answers as our encoder does (1e-5): with class
  token as ViTModel, without as IJepaModel, on square and other grids;
- a model of the library, with sin-cos positions, read back answers as it did; there and back changes no bit;
- what has no form on the other side is refused by name.
"""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from unveil.contracts import Batch, Spec
from unveil.encoders.conv import ConvNet
from unveil.encoders.transformer import Transformer
from unveil.errors import Unusable
from unveil.formats.transformers import from_transformers, to_transformers
from unveil.parts.positions import sincos_grid
from unveil.randomness import Generator

SPEC = Spec(3, (12, 16), ("y", "x"), (1.0, 1.0), "px", (0.4, 0.5, 0.6), (0.2, 0.3, 0.1))
SQUARE = Spec(2, (13, 13), ("y", "x"), (1.0, 1.0), "px", (0.0, 0.0), (1.0, 1.0))
LINE = Spec(3, (64,), ("t",), (1.0,), "s", (0.0,) * 3, (1.0,) * 3)
CLOSE = dict(rtol=0, atol=1e-5)


def encoder(spec=SPEC, **settings):
    made = Transformer(spec, **{**dict(patch=4, width=24, depth=2, heads=3, mlp_ratio=2.5), **settings}).eval()
    for number, p in enumerate(made.parameters()):
        p.data = Generator("weights", number).normal(*p.shape) * 0.3
    return made


def pictures(spec):
    values = Generator("pictures").uniform(2, spec.channels, *spec.shape)
    return Batch(values, torch.arange(2), torch.arange(2))


@pytest.mark.parametrize("spec", [SPEC, SQUARE], ids=["12x16", "13x13"])
@pytest.mark.parametrize("class_token", [True, False])
def test_the_library_answers_as_our_encoder(tmp_path, spec, class_token):
    library = pytest.importorskip("transformers")
    ours, batch = encoder(spec, class_token=class_token), pictures(spec)
    config, state = to_transformers(ours)
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    kind = library.ViTModel if class_token else library.IJepaModel
    theirs, told = kind.from_pretrained(tmp_path, add_pooling_layer=False, output_loading_info=True)
    assert not any(told[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys")), told
    assert type(library.AutoConfig.from_pretrained(tmp_path)) is type(theirs.config)
    with torch.no_grad():
        answer, features = theirs.eval()(ours.standardise(batch)).last_hidden_state, ours(batch)
    torch.testing.assert_close(answer[:, class_token:], features.local, **CLOSE)
    torch.testing.assert_close(answer[:, 0] if class_token else answer.mean(1), features.pooled, **CLOSE)


@pytest.mark.parametrize("kind", ["ViT", "IJepa"])
def test_our_encoder_answers_as_a_model_of_the_library(tmp_path, kind):
    library = pytest.importorskip("transformers")
    config = getattr(library, f"{kind}Config")(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=50,
                                               image_size=[12, 16], patch_size=4, layer_norm_eps=1e-6)
    torch.manual_seed(0)
    theirs = getattr(library, f"{kind}Model")(config, add_pooling_layer=kind == "ViT").eval()
    for p in theirs.parameters():
        nn.init.normal_(p, std=0.3)
    table = sincos_grid((3, 4), 24, torch.device("cpu"))
    theirs.embeddings.position_embeddings.data[0, -12:] = table
    theirs.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    settings, state = from_transformers(config, load_file(tmp_path / "model.safetensors"))
    ours = Transformer(SPEC, **settings).eval()
    missing, unexpected = ours.load_state_dict(state, strict=False)
    assert missing == ["standardise.mean", "standardise.std"] and not unexpected
    batch = pictures(SPEC)
    with torch.no_grad():
        answer, features = theirs(ours.standardise(batch)).last_hidden_state, ours(batch)
    torch.testing.assert_close(answer[:, -12:], features.local, **CLOSE)
    torch.testing.assert_close(answer[:, 0] if kind == "ViT" else answer.mean(1), features.pooled, **CLOSE)


@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize("ratio", [2.5, 4.0, 48 / 11])
def test_there_and_back_changes_no_bit(class_token, ratio):
    ours = encoder(class_token=class_token, mlp_ratio=ratio)
    settings, state = from_transformers(*to_transformers(ours))
    again = Transformer(SPEC, **settings)
    again.load_state_dict(state, strict=False)
    for name, p in ours.named_parameters():
        assert torch.equal(dict(again.named_parameters())[name], p)
    assert len(state) == len(dict(ours.named_parameters()))


def test_inner_width_survives_rounding():
    """I-JEPA's ViT-g has 1408 wide blocks with 6144 inside; for every width the ratio gives the inner width back."""
    config, state = to_transformers(encoder(depth=1))
    for inner in range(24, 150):
        settings, _ = from_transformers(dict(config, intermediate_size=inner), state)
        assert int(24 * settings["mlp_ratio"]) == inner


@pytest.mark.parametrize(("made", "what"), [
    (lambda: encoder(positions="rotary"), "positions rotary"),
    (lambda: encoder(frame="source"), "frame source"),
    (lambda: encoder(LINE), "axes t .*pictures"),
    (lambda: ConvNet(SPEC), "ConvNet has no form in transformers"),
])
def test_encoders_without_a_form_there_are_refused(made, what):
    with pytest.raises(Unusable, match=what):
        to_transformers(made())


def test_weights_without_a_place_there_are_refused_by_name():
    other = encoder()
    other.blocks[1].gate = nn.Linear(24, 24, bias=False)
    with pytest.raises(Unusable, match=r"no place in the ViT of transformers: blocks\.1\.gate\.weight"):
        to_transformers(other)


@pytest.mark.parametrize(("change", "what"), [
    (dict(model_type="dinov2"), "model type dinov2"), (dict(hidden_act="relu"), "activation relu"),
    (dict(qkv_bias=False), "without biases"), (dict(layer_norm_eps=1e-3), "layer_norm_eps 0.001"),
    (dict(patch_size=[4, 2]), "patches of 4x2"),
    (dict(image_size=24), "learned positions"),
])
def test_models_without_a_form_here_are_refused(change, what):
    config, state = to_transformers(encoder())
    with pytest.raises(Unusable, match=what):
        from_transformers(config | change, state)


def test_learned_positions_and_other_weights_are_refused():
    config, state = to_transformers(encoder(class_token=True))
    with pytest.raises(Unusable, match="learned positions"):
        from_transformers(config, state | {"embeddings.position_embeddings": state["embeddings.position_embeddings"] + 0.05})
    with pytest.raises(Unusable, match=r"embeddings\.mask_token"):
        from_transformers(config, state | {"embeddings.mask_token": torch.zeros(1, 1, 24)})
    with pytest.raises(Unusable, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        from_transformers(config, {key: x for key, x in state.items() if key != "encoder.layer.1.output.dense.bias"})
