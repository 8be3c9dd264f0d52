"""Numbers from yuc0805/SLIP: ``python make_slip.py CHECKOUT COMMIT``.

Imports the authors' sensor encoder, pooling and contrastive loss; gives them our seeded weights through a map of names, features of queries
and keys in the order that their rotation takes, and patches as their data code cuts them; and keeps what they answer. None of their code is
here. Dropout is off: the released attention keeps its own on in evaluation.
"""

import importlib
import sys
import types

import torch
from given import keep
from slip_case import SIZES, batch, method, vectors
from torch.nn import functional as F

sys.path.insert(0, sys.argv[1])
for name in ("omegaconf", "hydra"):  # asked for by imports alone
    sys.modules[name] = types.SimpleNamespace(DictConfig=dict)
sensors, slip = (importlib.import_module(f"model_factory.{name}") for name in ("ts_transformer", "SLIP"))

BODY = {"embedding.inner": "patch_embed.shared_linear", "embedding.straight": "patch_embed.shared_residual",
        "embedding.outer": "patch_embed.output_layer", "norm": "norm"}
BLOCK = {"norm1": "ts_attn.layer_norm", "norm2": "norm", "attention.query": "ts_attn.self_attention.q_proj",
         "attention.key": "ts_attn.self_attention.k_proj", "attention.value": "ts_attn.self_attention.v_proj",
         "attention.out": "ts_attn.self_attention.o_proj", "network.gate": "ffn_layer.gate_proj", "network.inner": "ffn_layer.up_proj",
         "network.outer": "ffn_layer.down_proj"}
POOL = {"cross.norm": "cross_attn.norm", "cross.context_norm": "cross_attn.context_norm", "network.gate": "ffn_layer.gate_proj",
        "network.inner": "ffn_layer.up_proj", "network.outer": "ffn_layer.down_proj", "norm": "ffn_norm", "last": "post_norm",
        **{f"cross.attention.{name}": f"cross_attn.{name[0]}_proj" for name in ("query", "key", "value", "out")}}


def turned(x, heads):
    """Rows of queries or keys so that pairs that turn together lie half of an axis apart, as theirs do, and not side by side."""
    size = len(x) // heads // 2
    one = torch.cat([torch.arange(0, size, 2), torch.arange(1, size, 2)])
    return x[torch.cat([size * part + one for part in range(2 * heads)])]


def renamed(name):
    parts, names, front = name, BODY, ""
    if name.startswith("blocks."):
        _, number, parts = name.split(".", 2)
        names, front = BLOCK, f"blocks.{number}."
    old = next(old for old in names if parts.startswith(old + "."))
    return front + names[old] + parts[len(old):]


ours = method()
model = sensors.SensorTransformerModel(embed_dim=16, num_heads=2, mlp_ratio=4, depth=2, dropout_rate=0.0, patch_size=None, base_patch=4,
                                       channel_attn_type="all_attn", max_position_embeddings=64)
model.load_state_dict({renamed(name): turned(p.detach(), 2) if ".query." in name or ".key." in name else p.detach()
                       for name, p in ours.encoder.named_parameters()})
pool = sensors.AttentionPooling(dim=16, context_dim=16, num_heads=2, dropout_rate=0.0)
pool.load_state_dict({POOL[name.rpartition(".")[0]] + "." + name.rpartition(".")[2]: p.detach()
                      for name, p in ours.text.pool.named_parameters() if name != "queries"})

given, answers = batch(), {}
values, mask = ours.encoder._scaled(given)
time = (torch.arange(1, 25) / 25).expand_as(values)
for size in SIZES:
    cut = [[[channel for channel in sample] for sample in x.unflatten(-1, (-1, size))] for x in (values, mask, time)]
    tokens, held = model(*cut)
    answers[f"tokens_{size}"] = tokens
answers["pooled"] = pool(ours.text.pool.queries.detach().expand(2, -1, -1), tokens, held)
(answers["pooled"] * torch.linspace(-1, 1, 16)).sum().backward()
gradient = lambda name: dict(model.named_parameters())[renamed(name)].grad
sample, text = vectors()
said = types.SimpleNamespace(temperature=ours.text.heat.detach()[0], temperature_max=ours.text.limit)
keep("slip", f"yuc0805/SLIP @ {sys.argv[2]}, torch {torch.__version__}", **answers, contrast=slip.SLIP.CLIP_loss(said, text, sample),
     inner_gradient=gradient("embedding.inner.weight"), straight_gradient=gradient("embedding.straight.weight"),
     gate_gradient=gradient("blocks.0.network.gate.weight"), value_gradient=gradient("blocks.1.attention.value.weight"),
     resized=F.interpolate(ours.encoder.embedding.inner.weight[:4, None], size=21, mode="linear", align_corners=False)[:, 0])
