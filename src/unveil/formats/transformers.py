"""Encoders as models of Hugging Face's transformers library, and back.

The map is of names and shapes, for which the library is not needed. Names are those of weight files, which it has kept over its
versions.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from unveil.contracts import Encoder
from unveil.errors import Unusable
from unveil.formats.reading import eight_bit, pictures
from unveil.formats.vit import mlp_ratio, names, plain, table

TOKEN, POSITIONS = "embeddings.cls_token", "embeddings.position_embeddings"
DEFAULTS = dict(image_size=224, patch_size=16, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                intermediate_size=3072, hidden_act="gelu", qkv_bias=True, layer_norm_eps=1e-12)
OUTER = {"project": ("embeddings.patch_embeddings.projection",), "norm": ("layernorm",)}
INNER = {"norm1": ("layernorm_before",), "norm2": ("layernorm_after",), "attention.out": ("attention.output.dense",),
         "inner": ("intermediate.dense",), "outer": ("output.dense",),
         "attention.qkv": tuple(f"attention.attention.{part}" for part in ("query", "key", "value"))}


def to_transformers(encoder: Encoder) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What ``config.json`` and the weight file hold: of a ``ViTModel`` where there is a class token, else of an ``IJepaModel``.

    The model reads standardised values: its image processor needs ``encoder.spec.mean`` and ``std``. The encoder's pooled feature
    is the class token's row of ``last_hidden_state``, or the mean of its rows; the library's own pooler is another thing.

    Raises:
        Unusable: where the library has no such model.
    """
    left, token = plain(encoder, "transformers")
    spec, width = encoder.spec, encoder.width
    state = {}
    for ours, theirs in _names(encoder.depth).items():
        state |= {there: part.clone() for there, part in zip(theirs, left[ours].chunk(len(theirs)))}
    if token is not None:
        state[TOKEN] = token.clone().view(1, 1, -1)
    kind, architecture = ("ijepa", "IJepaModel") if token is None else ("vit", "ViTModel")
    config = dict(model_type=kind, architectures=[architecture], hidden_size=width, num_hidden_layers=encoder.depth,
                  num_attention_heads=encoder.heads, intermediate_size=encoder.blocks[0].inner.out_features, hidden_act="gelu",
                  layer_norm_eps=encoder.norm.eps, qkv_bias=True, image_size=list(spec.shape), patch_size=encoder.patch[0],
                  num_channels=spec.channels, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return config, state | {POSITIONS: table(spec.shape, encoder.patch, width, token is not None)[None]}


def from_transformers(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings of the transformer encoder, and its weights, from the contents of ``config.json`` and the weight file of a
    ``ViTModel`` or ``IJepaModel``. The data's mean and deviation are not among them: the encoder's own spec has these.

    Raises:
        Unusable: where the model does what the encoder cannot, such as learned positions.
    """
    config = dict(DEFAULTS, **config)
    image, patch = ((side, side) if isinstance(side, int) else tuple(side)
                    for side in (config["image_size"], config["patch_size"]))
    for wrong, what in ((config.get("model_type") not in ("vit", "ijepa"), f"model type {config.get('model_type')}"),
                        (config["hidden_act"] != "gelu", f"activation {config['hidden_act']}"),
                        (not config["qkv_bias"], "attention without biases"),
                        (patch[0] != patch[1], f"patches of {patch[0]}x{patch[1]}"),
                        (config["layer_norm_eps"] > 1e-6, f"layer_norm_eps {config['layer_norm_eps']}")):
        if wrong:
            raise Unusable(f"a transformers model with {what} cannot be read as a transformer encoder")
    left = {key: x for key, x in state.items() if not key.startswith("pooler.")}
    known, token, places = _names(config["num_hidden_layers"]), left.pop(TOKEN, None), left.pop(POSITIONS)[0]
    expected = {there for theirs in known.values() for there in theirs}
    if expected != left.keys():
        odd = ", ".join(sorted(expected ^ left.keys()))
        raise Unusable(f"a transformers model whose weights differ from a transformer encoder's: {odd}")
    width, inner = config["hidden_size"], config["intermediate_size"]
    ours = table(image, patch, width)
    if len(places) != len(ours) + (token is not None) or (places[-len(ours):] - ours).abs().max() > 0.01:
        raise Unusable("a transformers model with learned positions cannot be read as a transformer encoder: "
                       "its positions are sin-cos")
    ours = {name: torch.cat([left[there] for there in theirs]) for name, theirs in known.items()}
    ours["project.weight"] = ours["project.weight"].flatten(1)
    if token is not None:
        ours["class_token"] = token.flatten() + places[0]
    return dict(patch=patch[0], width=width, depth=config["num_hidden_layers"], heads=config["num_attention_heads"],
                mlp_ratio=mlp_ratio(width, inner), class_token=token is not None), ours


def write(encoder: Encoder, folder: Path) -> dict[str, Any]:
    """Writes the model, and where pictures of 8 bits are read a processor that reads them as the kind does. What goes through outside
    weights goes back as the class that it came from.

    A pooler is in the weights where the class has one: it hands the class token's row on as it is, ``pooler_output``.

    Raises:
        Unusable: where the library has no such model, or is missing.
    """
    network = getattr(encoder, "network", None)
    if network is None:
        config, state = to_transformers(encoder)
        if config["model_type"] == "vit":
            config, state = config | _straight(encoder.width), state | _identity(encoder.width)
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        (folder / "model.safetensors").write_bytes(save(state, {"format": "pt"}))
    else:
        with quietly() as library:
            model = network
            if network.config.model_type == "vit":
                model = library.ViTModel(library.ViTConfig(**network.config.to_dict() | _straight(encoder.width)))
                model.load_state_dict(network.state_dict(), strict=False)
                model.pooler.dense.load_state_dict({"weight": torch.eye(encoder.width), "bias": torch.zeros(encoder.width)})
            model.save_pretrained(folder)
    if eight_bit(encoder):
        (folder / "preprocessor_config.json").write_text(json.dumps(_processor(encoder), indent=1))
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    return {"class": name, "pooled": _pooling(encoder)[0], "arguments": _arguments(encoder), "reads_pictures": eight_bit(encoder)}


def answer(folder: Path, encoder: Encoder) -> Callable[[Tensor], dict[str, Tensor]]:
    """What ``AutoModel`` and ``AutoImageProcessor`` make of the folder: values to ``pooled`` and, where they are tokens, ``local``."""
    with quietly() as library:
        alone = dict(local_files_only=True, trust_remote_code=False)
        model, told = library.AutoModel.from_pretrained(folder, output_loading_info=True, use_safetensors=True, **alone)
        reader = library.AutoImageProcessor.from_pretrained(folder, **alone) if eight_bit(encoder) else None
    odd = [name for what in ("missing_keys", "unexpected_keys", "mismatched_keys") for name in told[what]]
    if odd:
        raise Unusable(f"transformers {library.__version__} does not take these weights as they are: {odd[0]}; nothing was written")

    @torch.no_grad()
    def run(values: Tensor) -> dict[str, Tensor]:
        mean, std = (torch.tensor(part).view(-1, 1, 1) for part in _moments(encoder))
        pixels = reader(images=pictures(values), return_tensors="pt")["pixel_values"] if reader else (values - mean) / std
        said = model.eval()(pixel_values=pixels, **_arguments(encoder))
        rule, pooled, lead = _pooling(encoder)
        return {"pooled": pooled(said)} | ({} if rule == "pooler_output" else {"local": said.last_hidden_state[:, lead:]})

    return run


def _pooling(encoder: Encoder) -> tuple[str, Callable, int]:
    """The encoder's pooled feature as a piece of the model's output, in words of the library and as a function; and how many tokens
    without a place lead the others."""
    config = encoder.network.config if hasattr(encoder, "network") else None
    if config and config.model_type.startswith("convnext"):
        return "pooler_output", lambda said: said.pooler_output, 0
    if config:
        lead = 0 if config.model_type == "ijepa" else 1 + getattr(config, "num_register_tokens", 0)
    else:
        lead = 0 if encoder.class_token is None else 1
    if lead and getattr(encoder, "pool", "class") != "mean":
        return "last_hidden_state[:, 0]", lambda said: said.last_hidden_state[:, 0], lead
    rule = f"last_hidden_state{f'[:, {lead}:]' if lead else ''}.mean(1)"
    return rule, lambda said: said.last_hidden_state[:, lead:].mean(1), lead


def _arguments(encoder: Encoder) -> dict[str, bool]:
    """What a call needs beside pixels: outside weights may read another size than they were made for."""
    return {"interpolate_pos_encoding": True} if hasattr(encoder, "network") and encoder.blocks is not None else {}


def _processor(encoder: Encoder) -> dict[str, Any]:
    """Scales the shorter side and cuts the centre, as the kind does; the plain ViT processor would squeeze the picture."""
    mean, std = _moments(encoder)
    height, width = encoder.spec.shape
    return dict(image_processor_type="CLIPImageProcessor", do_resize=True, size={"shortest_edge": min(height, width)}, resample=2,
                do_center_crop=True, crop_size={"height": height, "width": width}, do_rescale=True, rescale_factor=1 / 255,
                do_normalize=True, image_mean=mean, image_std=std, do_convert_rgb=len(mean) == 3)


def _moments(encoder: Encoder) -> tuple[list[float], list[float]]:
    held = encoder.standardise if hasattr(encoder, "standardise") else encoder
    return held.mean.flatten().tolist(), held.std.flatten().tolist()


def _straight(width: int) -> dict[str, Any]:
    return {"pooler_act": "linear", "pooler_output_size": width}


def _identity(width: int) -> dict[str, Tensor]:
    return {"pooler.dense.weight": torch.eye(width), "pooler.dense.bias": torch.zeros(width)}


@contextlib.contextmanager
def quietly():
    """The library, without its progress bars and advice.

    Raises:
        Unusable: where it is not there.
    """
    try:
        import transformers as library
        from transformers.utils import logging
    except ImportError as why:
        raise Unusable("--to transformers is checked in the package transformers: pip install 'unveil[weights]'") from why
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield library
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()


def _names(depth: int) -> dict[str, tuple[str, ...]]:
    """Our name of each weight but the class token, and theirs; three where ours is one laid over the other."""
    there = dict(OUTER)
    there |= {f"blocks.{number}.{ours}": tuple(f"encoder.layer.{number}.{part}" for part in theirs)
              for number in range(depth) for ours, theirs in INNER.items()}
    return {name: tuple(f"{part}.{kind}" for part in there[stem]) for name in names(depth) for stem, _, kind in [name.rpartition(".")]}
