"""Numbers from facebookresearch/mae: ``python make_mae.py CHECKOUT COMMIT IJEPA_CHECKOUT``.

The authors' model needs timm, which needs torchvision. Its two classes that are used, ``Block`` and ``PatchEmbed``, come from
I-JEPA's checkout instead, which took them from the same source; everything else is MAE's own. None of their code is here.
"""

import importlib.util
import sys
import types
from functools import partial

import numpy as np
import torch
from given import fill, keep, normal, order
from torch import nn

sys.path[:0] = [sys.argv[1]]
np.float = float


def loaded(name, file):
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


for package in ("src", "src.utils", "src.masks", "timm", "timm.models"):
    sys.modules[package] = types.ModuleType(package)
for module in ("src.utils.tensors", "src.masks.utils"):
    loaded(module, f"{sys.argv[3]}/{module.replace('.', '/')}.py")
blocks = loaded("timm.models.vision_transformer", f"{sys.argv[3]}/src/models/vision_transformer.py")


class PatchEmbed(blocks.PatchEmbed):
    def __init__(self, size, patch, channels, width):
        super().__init__(size, patch, channels, width)
        self.patch_size = (patch, patch)


blocks.PatchEmbed = PatchEmbed
from models_mae import MaskedAutoencoderViT  # noqa: E402

from unveil.contracts import Spec  # noqa: E402
from unveil.encoders.transformer import Transformer  # noqa: E402
from unveil.parts.predictor import Predictor  # noqa: E402

ENCODER = {"project.": "patch_embed.proj.", "class_token": "cls_token"}
BLOCK = {"attention.qkv": "attn.qkv", "attention.out": "attn.proj", "inner": "mlp.fc1", "outer": "mlp.fc2"}
DECODER = {"enter.": "decoder_embed.", "blocks": "decoder_blocks", "leave.": "decoder_pred.", "norm.": "decoder_norm."}

spec = Spec(3, (12, 12), ("y", "x"), (1.0, 1.0), "px", (0.0,) * 3, (1.0,) * 3)
encoder = fill(Transformer(spec, patch=3, width=24, depth=3, heads=4, class_token=True), 1)
decoder = fill(Predictor(24, 27, width=16, depth=2, heads=4), 2)
theirs = MaskedAutoencoderViT(img_size=12, patch_size=3, embed_dim=24, depth=3, num_heads=4, decoder_embed_dim=16,
                              decoder_depth=2, decoder_num_heads=4, mlp_ratio=4, norm_layer=partial(nn.LayerNorm, eps=1e-6),
                              norm_pix_loss=True)
left = dict(theirs.named_parameters())
with torch.no_grad():
    for ours, names in ((encoder, ENCODER), (decoder, DECODER)):
        for name, p in ours.named_parameters():
            for a, b in {**names, **BLOCK}.items():
                name = name.replace(a, b)
            if name.startswith("decoder_pred"):  # their values of a patch are channel last
                p = p.unflatten(0, (3, 9)).transpose(0, 1).flatten(0, 1)
            left[name].copy_(p.reshape(left.pop(name).shape))
assert set(left) == {"pos_embed", "decoder_pos_embed"}

images, noise = normal(3, 2, 3, 12, 12), order(4, 2, 16).argsort(1).float() / 16
torch.rand = lambda *shape, **_: noise.clone()
seen, mask, _ = theirs.forward_encoder(images, 0.7)
loss, answer, mask = theirs(images, 0.7)
answer = answer.unflatten(-1, (9, 3)).transpose(-1, -2).flatten(-2)
counts = []
for length in (16, 36, 49, 64, 100, 196):
    for ratio in (0.1, 0.4, 0.6, 0.75, 0.8, 0.9, 0.95):
        noise = torch.arange(2.0 * length).view(2, length)
        counts.append([length, ratio, theirs.random_masking(torch.zeros(2, length, 1), ratio)[0].shape[1]])
keep("mae", f"facebookresearch/mae @ {sys.argv[2]}, torch {torch.__version__}", seen=seen, answer=answer, mask=mask, loss=loss,
     counts=np.array(counts), table=theirs.decoder_pos_embed[0, 1:])
