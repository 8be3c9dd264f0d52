"""Numbers from TyJPerez/SelfConditionedDenoisingAtoms: ``python make_scd.py CHECKOUT COMMIT``.

Imports the authors' network, heads and normaliser; gives them our seeded weights through a map of names, our edges and our draws, and keeps
what they answer. None of their code is here.
"""

import importlib
import re
import sys
import types

import torch
from given import Still, keep
from scd_case import batch, method
from torch.nn import functional as F

from unveil.parts.noise import shaken
from unveil.parts.radial import lengths

for name in ("models", "models.ET_models"):  # as packages without what their __init__ pulls in
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [f"{sys.argv[1]}/{name.replace('.', '/')}"]
sys.modules["models.ET_models.priors"] = sys.modules["models.ET_models"].priors = types.SimpleNamespace(BasePrior=types.ModuleType)
sys.modules["models.ET_models.frad"] = types.ModuleType("models.ET_models.frad")
sys.modules["models.ET_models.frad.torchmd_frad_scd"] = types.SimpleNamespace(CondFrad=None)
theirs_at = importlib.import_module("models.ET_models.scd_model")

BODY = {"elements.table": "embedding", "condition.none": "drop_cond.mask_token", "condition.norm": "drop_cond.norm",
        "surroundings.table": "neighbor_embedding_module.embedding", "surroundings.filter": "neighbor_embedding_module.distance_proj",
        "surroundings.merge": "neighbor_embedding_module.combine"}
LAYER = {"adapt.norm": "conditional_ln.x_norm", "adapt.inner_norm": "conditional_ln.fc.2", "adapt.inner": "conditional_ln.fc.0",
         "adapt.outer": "conditional_ln.fc.3", "adapt.slope": "conditional_ln.x_modulate.alpha", "adapt.gate": "conditional_ln.alpha_x",
         "vector_norm.slope": "vec_norm.norm_alpha", "vector_norm.gain": "vec_norm.norm_gamma", "vector_norm.bias": "vec_norm.norm_beta",
         "query": "q_proj", "key_filter": "dk_proj", "value_filter": "dv_proj", "key": "k_proj", "value": "v_proj", "out": "o_proj",
         "vectors": "vec_proj"}
GATED = {"measured": "vec1_proj", "passed": "vec2_proj", "inner": "update_net.layers.0", "outer": "update_net.layers.2"}


def renamed(name, names):
    old = next(old for old in names if name == old or name.startswith(old + "."))
    return names[old] + name[len(old):]


def theirs_name(name):
    if name.startswith("encoder.layers."):
        number, rest = re.match(r"encoder\.layers\.(\d+)\.(.*)", name).groups()
        if rest.startswith("norm."):
            return f"rep_model.x_post_norm.{number}.{rest[5:]}"
        return f"rep_model.attention_layers.{number}.{renamed(rest, LAYER)}"
    if name.startswith("encoder."):
        return "rep_model." + renamed(name[8:], BODY)
    if name.startswith("head."):
        which, rest = name[5:].split(".", 1)
        return f"noise_head.output_network.{('first', 'last').index(which)}.{renamed(rest, GATED)}"
    return name.replace("summary.rows", "embedding_head.pre_proj").replace("summary.whole", "embedding_head.post_agg_mlp")


def carried(ours):
    """Their network with our weights; the last block's answer in numbers, which nobody reads, is left as it is."""
    made = theirs_at.CET(emb_dim=24, num_layers=3, num_heads=4, num_rbf=12, trainable_rbf=False, max_z=119, inv_post_norm=True,
                         p_droppath=0.0).double().eval()
    left = dict(made.named_parameters())
    with torch.no_grad():
        for name, p in ours.named_parameters():
            into = left.pop(theirs_name(name))
            (into if into.numel() == p.numel() else into[1:]).view(p.shape).copy_(p)
    unread = ("scalar_head", "rep_model.v_post_norm")
    assert all(name.startswith(unread) for name in left), sorted(left)
    return made


def answer(model, ours, given, condition=None):
    tokens = ours.encoder.embed(given)
    distance, _ = lengths(tokens.graph.edge_values)
    loops = torch.arange(len(distance)) >= len(distance) - len(given.values)
    edges = types.SimpleNamespace(edge_index=tokens.graph.edges, edge_distance=distance * ~loops,
                                  edge_distance_vec=tokens.graph.edge_values.clone())
    return model(given.values[:, 0].long(), given.where, given.graph.sample, cond=condition, graph_batch=edges)


ours = method()
model, losses, step = carried(ours), [], Still()
model.noise_normalizer.train()
for seed in (3, 8):
    given = batch(seed)
    noisy, noise = shaken(given, 0.04, step.generator("noise"), centred=True)
    clean, _ = shaken(given, 0.005, step.generator("jitter"))
    told = answer(model, ours, clean)["mol_emb"]
    without = step.generator("drop").uniform(1, keys=given.keys) < 0.5
    condition = torch.where(without, model.rep_model.drop_cond.mask_token, told)
    said = answer(model, ours, noisy, condition)["noise_pred"]
    losses.append(F.mse_loss(said, model.noise_normalizer(noise, update=True)))
losses[-1].backward()
gradient = lambda name: dict(model.named_parameters())[theirs_name(name)].grad
layer = "encoder.layers.1."
keep("scd", f"TyJPerez/SelfConditionedDenoisingAtoms @ {sys.argv[2]}, torch {torch.__version__}", told=told, said=said,
     without=without[:, 0], losses=torch.stack(losses), mean=model.noise_normalizer.mean, deviation=model.noise_normalizer.std,
     value_gradient=gradient(layer + "value.weight"), adapt_gradient=gradient(layer + "adapt.outer.weight"),
     summary_gradient=gradient("summary.rows.1.weight"), head_gradient=gradient("head.first.outer.weight"),
     surroundings_gradient=gradient("encoder.surroundings.table.weight")[[1, 6, 8]])
