"""Encoders as models of Hugging Face's transformers library, and back.

A map of names and shapes; the library itself is not needed. Names are those of weight files, which it has kept over its versions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from unveil.contracts import Encoder
from unveil.errors import Unusable
from unveil.parts.positions import sincos_grid

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
    name = type(encoder).__name__
    if not hasattr(encoder, "positions"):
        raise Unusable(f"{name} has no form in transformers: only the transformer encoder has one")
    spec, patch, width = encoder.spec, encoder.patch, encoder.width
    if len(spec.shape) != 2:
        raise Unusable(f"samples with axes {', '.join(spec.axes)} have no form in transformers' ViT: it reads pictures")
    if encoder.positions != "sincos" or encoder.frame != "view":
        raise Unusable(f"--encoder.positions {encoder.positions} with --encoder.frame {encoder.frame} has no form in "
                       "transformers' ViT: it adds one vector to each place of the view (sincos, view)")
    left = {key: x.detach() for key, x in encoder.state_dict().items() if not key.startswith("standardise.")}
    names, token = _names(encoder.depth), left.pop("class_token", None)
    if names.keys() != left.keys():
        odd = ", ".join(sorted(names.keys() ^ left.keys()))
        raise Unusable(f"{name} has weights that have no place in transformers' ViT: {odd}")
    state = {}
    for ours, theirs in names.items():
        state |= {there: part.clone() for there, part in zip(theirs, left[ours].chunk(len(theirs)))}
    kernel = f"{OUTER['project'][0]}.weight"
    state[kernel] = state[kernel].view(width, spec.channels, *patch)
    table = _table(spec.shape, patch, width)
    if token is not None:
        state[TOKEN], table = token.clone().view(1, 1, -1), torch.cat([torch.zeros(1, width), table])
    kind, architecture = ("ijepa", "IJepaModel") if token is None else ("vit", "ViTModel")
    config = dict(model_type=kind, architectures=[architecture], hidden_size=width, num_hidden_layers=encoder.depth,
                  num_attention_heads=encoder.heads, intermediate_size=encoder.blocks[0].inner.out_features, hidden_act="gelu",
                  layer_norm_eps=encoder.norm.eps, qkv_bias=True, image_size=list(spec.shape), patch_size=patch[0],
                  num_channels=spec.channels, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return config, state | {POSITIONS: table[None].clone()}


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
    names, token, places = _names(config["num_hidden_layers"]), left.pop(TOKEN, None), left.pop(POSITIONS)[0]
    expected = {there for theirs in names.values() for there in theirs}
    if expected != left.keys():
        odd = ", ".join(sorted(expected ^ left.keys()))
        raise Unusable(f"a transformers model whose weights differ from a transformer encoder's: {odd}")
    width, inner, table = config["hidden_size"], config["intermediate_size"], _table(image, patch, config["hidden_size"])
    if len(places) != len(table) + (token is not None) or (places[-len(table):] - table).abs().max() > 0.01:
        raise Unusable("a transformers model with learned positions cannot be read as a transformer encoder: "
                       "its positions are sin-cos")
    ours = {name: torch.cat([left[there] for there in theirs]) for name, theirs in names.items()}
    ours["project.weight"] = ours["project.weight"].flatten(1)
    if token is not None:
        ours["class_token"] = token.flatten() + places[0]
    ratio = inner / width if int(width * (inner / width)) == inner else math.nextafter(inner / width, math.inf)
    return dict(patch=patch[0], width=width, depth=config["num_hidden_layers"], heads=config["num_attention_heads"],
                mlp_ratio=ratio, class_token=token is not None), ours


def _names(depth: int) -> dict[str, tuple[str, ...]]:
    """Our name of each weight but the class token, and theirs; three where ours is one laid over the other."""
    stems = OUTER | {f"blocks.{number}.{ours}": tuple(f"encoder.layer.{number}.{there}" for there in theirs)
                     for number in range(depth) for ours, theirs in INNER.items()}
    return {f"{ours}.{kind}": tuple(f"{there}.{kind}" for there in theirs)
            for ours, theirs in stems.items() for kind in ("weight", "bias")}


def _table(shape: tuple[int, ...], patch: tuple[int, ...], width: int) -> Tensor:
    return sincos_grid(tuple(size // side for size, side in zip(shape, patch)), width, torch.device("cpu"))
