"""Numbers from amir-hojjati/eeg-vjepa: ``python make_eeg_vjepa.py CHECKOUT COMMIT``.

Imports the authors' encoder, predictor, mask collator and crop; gives the networks our seeded weights through a map of names, and keeps
what they answer. None of their code is here. Their networks are made for 19 channels by 500 values and no others.
"""

import json
import logging
import sys
from functools import partial
from unittest.mock import MagicMock

import numpy as np
import torch
from given import NUMBERS, fill, keep, normal, order
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, sys.argv[1])
from src.masks.multiblock3d import _MaskGenerator
from src.masks.utils import apply_masks
from src.models.predictor import VisionTransformerPredictor
from src.models.vision_transformer import VisionTransformer

from unveil.contracts import Spec
from unveil.encoders.tubelets import Tubelets
from unveil.parts.predictor import Predictor

ORIGIN = f"amir-hojjati/eeg-vjepa @ {sys.argv[2]}, torch {torch.__version__}"
BLOCK = {"attention.qkv": "attn.qkv", "attention.out": "attn.proj", "inner": "mlp.fc1", "outer": "mlp.fc2"}
PREDICTOR = {"enter": "predictor_embed", "leave": "predictor_proj", "blocks": "predictor_blocks", "norm.": "predictor_norm."}
TABLE = {24: [*range(16, 24), *range(8, 16), *range(8)], 12: [*range(8, 12), *range(4, 8), *range(4)]}


def carry(ours, theirs, names):
    """Copies our parameters into ``theirs``. Their table of positions has frames first, ours the last axis; so what of theirs reads or adds
    to it has its features in another order, which is undone by giving them our table."""
    left = dict(theirs.named_parameters())
    with torch.no_grad():
        for name, p in ours.named_parameters():
            for a, b in names.items():
                name = name.replace(a, b)
            if name == "mask_token":
                for number in (0, 1):
                    left.pop(f"mask_tokens.{number}").copy_(p[number])
            else:
                place = left.pop(name)
                place.copy_(p.view_as(place))
        table, = left.values()
        own = table[0, :, TABLE[table.shape[-1]]].clone()
        table.copy_(own)
    return theirs, own


def networks():
    layer = partial(nn.LayerNorm, eps=1e-6)
    spec = Spec(16, (8 * 480,), ("t",), (0.01,), "s", (0.0,) * 16, (1.0,) * 16)
    net = dict(frame=480, hop=480, frames=8, patch=(4, 4, 30), width=24, depth=2, heads=4)
    make = lambda: VisionTransformer(patch_size=(4, 30), num_frames=8, tubelet_size=4, embed_dim=24, depth=2, num_heads=4, norm_layer=layer,
                                     uniform_power=True)
    names = {"project.": "patch_embed.proj.", **BLOCK}
    (encoder, table), (target, _) = (carry(fill(Tubelets(spec, **net), seed), make(), names) for seed in (1, 2))
    predictor, _ = carry(fill(Predictor(24, 24, width=12, depth=2, heads=4, tokens=2), 3), VisionTransformerPredictor(
        patch_size=(4, 30), num_frames=8, tubelet_size=4, embed_dim=24, predictor_embed_dim=12, depth=2, num_heads=4, uniform_power=True,
        use_mask_tokens=True, norm_layer=layer), {**PREDICTOR, **BLOCK})
    # They leave out the last 3 channels and 20 values; ours are made without them.
    films = F.pad(normal(4, 2, 1, 8, 16, 480), (0, 20, 0, 3), value=9.0)
    places = order(5, 4, 128)
    seen, asked = [places[:2, :40], places[2:, :30]], [places[:2, 40:110], places[2:, 30:128]]
    with torch.no_grad():
        goal = F.layer_norm(target(films), (24,))
    loss, spread, answers = 0.0, 0.0, []
    for number in (0, 1):
        answer = predictor(encoder(films, [seen[number]]), None, [seen[number]], [asked[number]], mask_index=number)
        loss = loss + (answer - apply_masks(goal, [asked[number]])).abs().mean() / 2
        spread = spread + (answer.var(dim=1) + 0.0001).sqrt() / 2
        answers.append(answer)
    narrow = F.relu(1 - spread).mean()
    (loss + 0.1 * narrow).backward()
    keep("eeg_vjepa", ORIGIN, whole=encoder(films), table=table, first=answers[0], second=answers[1], loss=loss, narrow=narrow,
         project_gradient=encoder.patch_embed.proj.weight.grad.flatten(1),
         mask_gradient=torch.stack([token.grad.flatten() for token in predictor.mask_tokens]))


def masks_and_crops():
    logging.disable(logging.WARNING)
    # What other changes of pictures need; the box of a crop is made of numbers alone.
    sys.modules |= {name: MagicMock() for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "cv2")}
    from src.datasets.utils.video.transforms import _get_param_spatial_crop
    out = {"origin": f"{ORIGIN}; 4,000 unions of blocks at batch 1 (torch.manual_seed(0)), 300 batches of 2; mean and deviation"}
    for name, blocks, scale in (("short", 8, 0.15), ("long", 2, 0.7)):
        torch.manual_seed(0)
        make = _MaskGenerator(crop_size=(19, 500), num_frames=32, spatial_patch_size=(4, 30), temporal_patch_size=4,
                              spatial_pred_mask_scale=(scale, scale), aspect_ratio=(0.75, 1.5), npred=blocks)
        hidden = [make(1)[1].shape[1] / 512 for _ in range(4000)]
        kept = [[part.shape[1] for part in make(2)] for _ in range(300)]
        size = partial(make._sample_block_size, temporal_scale=(1.0, 1.0), spatial_scale=(scale, scale), aspect_ratio_scale=(0.75, 1.5))
        sides = [size(torch.Generator().manual_seed(seed)) for seed in range(40)]
        draws = []
        for seed in range(40):
            state = torch.Generator().manual_seed(seed)
            draws.append([torch.rand(1, generator=state).item() for _ in range(3)][2])
        out[name] = {"hidden": [np.mean(hidden), np.std(hidden)], "kept at batch 2": np.mean(kept, 0).tolist(),
                     "sides": [[draw, *side[1:]] for draw, side in zip(draws, sides)]}
    out["crops"] = sorted({_get_param_spatial_crop((0.3, 1.0), (0.75, 1.35), 19, 500) for _ in range(5000)})
    (NUMBERS / "eeg_vjepa_masks.json").write_text(json.dumps(out))


networks()
masks_and_crops()
