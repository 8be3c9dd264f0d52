"""Encoders as timm's ``VisionTransformer``, in the layout of its model hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from unveil.contracts import Encoder
from unveil.errors import Unusable
from unveil.formats.reading import eight_bit, pictures
from unveil.formats.vit import mlp_ratio, plain, table

NAMES = {"project": "patch_embed.proj", "attention.qkv": "attn.qkv", "attention.out": "attn.proj", "inner": "mlp.fc1", "outer": "mlp.fc2"}


def to_timm(encoder: Encoder) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What ``config.json`` and the weight file hold. The model's answer without a classifier is the encoder's pooled feature.

    Raises:
        Unusable: where timm's class is another network.
    """
    left, token = plain(encoder, "timm")
    spec, width = encoder.spec, encoder.width
    state = {_renamed(name): x for name, x in left.items()}
    state["pos_embed"] = table(spec.shape, encoder.patch, width, token is not None)[None]
    if token is not None:
        state["cls_token"] = token.clone().view(1, 1, -1)
    pooling = "avg" if token is None else "token"
    mean, std = (x.flatten().tolist() for x in (encoder.standardise.mean, encoder.standardise.std))
    # timm normalises after the mean over tokens unless told otherwise; the encoder does before.
    made = dict(img_size=list(spec.shape), patch_size=encoder.patch[0], in_chans=spec.channels, embed_dim=width, depth=encoder.depth,
                num_heads=encoder.heads, mlp_ratio=mlp_ratio(width, encoder.blocks[0].inner.out_features), class_token=token is not None,
                global_pool=pooling, fc_norm=False)
    read = dict(input_size=[spec.channels, *spec.shape], fixed_input_size=True, interpolation="bilinear", crop_pct=1.0,
                crop_mode="center", mean=mean, std=std, num_classes=0, first_conv="patch_embed.proj", classifier="head")
    return dict(architecture="vit_base_patch16_224", num_classes=0, num_features=width, global_pool=pooling, model_args=made,
                pretrained_cfg=read), state


def write(encoder: Encoder, folder: Path) -> dict[str, Any]:
    """Writes both."""
    config, state = to_timm(encoder)
    library()
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    (folder / "model.safetensors").write_bytes(save(state, {"format": "pt"}))
    return {"class": "VisionTransformer", "reads_pictures": eight_bit(encoder)}


def answer(folder: Path, encoder: Encoder) -> Callable[[Tensor], dict[str, Tensor]]:
    """What timm makes of the folder: values to ``pooled`` and ``local``."""
    timm = library()
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    read = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**read, is_training=False) if eight_bit(encoder) else None

    @torch.no_grad()
    def run(values: Tensor) -> dict[str, Tensor]:
        mean, std = (torch.tensor(read[name]).view(-1, 1, 1) for name in ("mean", "std"))
        pixels = torch.stack([transform(each) for each in pictures(values)]) if transform else (values - mean) / std
        return {"pooled": model(pixels), "local": model.forward_features(pixels)[:, model.num_prefix_tokens:]}

    return run


def library():
    """The package.

    Raises:
        Unusable: where it cannot be imported; nothing is exported that was not checked in it.
    """
    try:
        import timm
    except Exception as why:  # a torchvision that does not fit torch fails in any way
        raise Unusable(f"--to timm is checked in timm before anything is written, and timm cannot be imported here "
                       f"({type(why).__name__}: {why}): pip install 'unveil[timm]' with a torchvision that fits torch") from why
    return timm


def _renamed(name: str) -> str:
    """``blocks.3.inner.weight`` is ``blocks.3.mlp.fc1.weight`` there."""
    stem, _, kind = name.rpartition(".")
    head, part = (stem[:cut], stem[cut:]) if (cut := stem.find(".", len("blocks.")) + 1) else ("", stem)
    return f"{head}{NAMES.get(part, part)}.{kind}"
