"""Numbers from facebookresearch/ijepa: ``python make_ijepa.py CHECKOUT COMMIT``.

Imports the authors' encoder, predictor and mask collator; gives them our seeded weights through a map of names, and keeps what
they answer. None of their code is here.
"""

import json
import logging
import sys
from functools import partial

import numpy as np
import torch
from given import NUMBERS, fill, keep, normal, order
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, sys.argv[1])
from src.masks.multiblock import MaskCollator
from src.masks.utils import apply_masks
from src.models.vision_transformer import VisionTransformer, VisionTransformerPredictor

from unveil.contracts import Spec
from unveil.encoders.transformer import Transformer
from unveil.parts.predictor import Predictor

ORIGIN = f"facebookresearch/ijepa @ {sys.argv[2]}, torch {torch.__version__}"
BLOCK = {"attention.qkv": "attn.qkv", "attention.out": "attn.proj", "inner": "mlp.fc1", "outer": "mlp.fc2"}
PREDICTOR = {"enter": "predictor_embed", "leave": "predictor_proj", "blocks": "predictor_blocks", "norm.": "predictor_norm."}


def carry(ours, theirs, names):
    """Copies our parameters into ``theirs``; whatever theirs has besides is fixed."""
    mine, left = dict(ours.named_parameters()), dict(theirs.named_parameters())
    with torch.no_grad():
        for name, p in mine.items():
            for a, b in names.items():
                name = name.replace(a, b)
            left.pop(name).copy_(p.view_as(dict(theirs.named_parameters())[name]))
    assert all(not p.requires_grad for p in left.values()), list(left)
    return theirs


def encoder_and_predictor():
    layer = partial(nn.LayerNorm, eps=1e-6)
    spec = Spec(3, (12, 12), ("y", "x"), (1.0, 1.0), "px", (0.0,) * 3, (1.0,) * 3)
    ours = fill(Transformer(spec, patch=2, width=24, depth=3, heads=4), 1)
    teacher = fill(Transformer(spec, patch=2, width=24, depth=3, heads=4), 2)
    asks = fill(Predictor(24, 24, width=16, depth=2, heads=4), 3)
    make = lambda: VisionTransformer(img_size=[12], patch_size=2, embed_dim=24, depth=3, num_heads=4, mlp_ratio=4,
                                     qkv_bias=True, norm_layer=layer)
    names = {"project.": "patch_embed.proj.", **BLOCK}
    encoder, target = carry(ours, make(), names), carry(teacher, make(), names)
    predictor = carry(asks, VisionTransformerPredictor(num_patches=36, embed_dim=24, predictor_embed_dim=16, depth=2, num_heads=4,
                                                       qkv_bias=True, norm_layer=layer),
                      {**PREDICTOR, **BLOCK})
    images, places = normal(4, 2, 3, 12, 12), order(5, 2, 36)
    context, targets = places[:, :14].sort(1).values, [places[:, 14:20], places[:, 18:24], places[:, 30:36]]
    whole, seen = encoder(images), encoder(images, [context])
    answer = predictor(seen, [context], targets)
    goal = apply_masks(F.layer_norm(target(images), (24,)).detach(), targets)
    loss = F.smooth_l1_loss(answer, goal)
    loss.backward()
    keep("ijepa", ORIGIN, whole=whole, seen=seen, answer=answer.unflatten(0, (3, 2)).transpose(0, 1), loss=loss,
         project_gradient=encoder.patch_embed.proj.weight.grad.flatten(1), mask_gradient=predictor.mask_token.grad.flatten(),
         table=encoder.pos_embed[0])


def sides(collate, scale, aspect):
    """Block sides for the random number that the collator draws from each seed."""
    for seed in range(60):
        draw = torch.rand(1, generator=torch.Generator().manual_seed(seed)).item()
        yield [draw, *collate._sample_block_size(torch.Generator().manual_seed(seed), scale, aspect)]


def masks():
    logging.disable(logging.WARNING)
    out = {"origin": f"{ORIGIN}; 2,000 draws at batch 1 (torch.manual_seed(0)), 40 batches of 128 (torch.manual_seed(1)); "
                     "mean and deviation"}
    for side, least in ((14, 10), (8, 4)):
        make = partial(MaskCollator, input_size=(side, side), patch_size=1, enc_mask_scale=(0.85, 1.0),
                       pred_mask_scale=(0.15, 0.2), aspect_ratio=(0.75, 1.5), nenc=1, npred=4, min_keep=least)
        torch.manual_seed(0)
        collate = make()
        counts = []
        for _ in range(2000):
            _, context, targets = collate([0])
            counts.append([context[0].shape[1], targets[0].shape[1], len(torch.cat([t[0] for t in targets]).unique())])
        mean, spread = np.mean(counts, 0), np.std(counts, 0)
        torch.manual_seed(1)
        collate = make()
        at_128 = [collate([0] * 128)[1][0].shape[1] for _ in range(40)]
        out[f"{side}x{side}"] = {
            **{name: [round(float(m), 3), round(float(s), 3)]
               for name, m, s in zip(("context", "target", "union"), mean, spread)},
            "context at batch 128": [round(float(np.mean(at_128)), 3), round(float(np.std(at_128)), 3)],
            "target sides": list(sides(collate, (0.15, 0.2), (0.75, 1.5))),
            "context sides": list(sides(collate, (0.85, 1.0), (1.0, 1.0)))}
    (NUMBERS / "ijepa_masks.json").write_text(json.dumps(out))


encoder_and_predictor()
masks()
