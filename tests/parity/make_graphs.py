"""Numbers from Hi-GMAE, GraphCL and InfoGraph: ``python make_graphs.py HI_GMAE COMMIT GRAPHCL COMMIT INFOGRAPH COMMIT``. None of their
code is here."""

import ast
import importlib
import subprocess
import sys
import types
from pathlib import Path
from unittest import mock

import torch
from given import fill, keep, normal
from graphs import MASKS, edges, features, walks
from torch.nn import functional as F
from torch_geometric.utils import add_self_loops

hi_gmae, first, graphcl, second, infograph, third = sys.argv[1:]


def function(path, name, **around):
    """One function of a file whose imports are not all to be had."""
    tree = ast.parse(Path(path).read_text())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
    space = {"torch": torch, "F": F} | around
    exec(compile(ast.Module([found], []), path, "exec"), space)
    return space[name]


# Hi-GMAE: a step of two levels and of three, with masks and recovered nodes given.
sys.path.insert(0, hi_gmae)
for name in ("yaml", "tensorboardX"):
    sys.modules.setdefault(name, types.ModuleType(name))
sys.modules["tensorboardX"].SummaryWriter = object
package = types.ModuleType("graphmae")
package.__path__ = [f"{hi_gmae}/graphmae"]
sys.modules["graphmae"] = package
PreModel = importlib.import_module("graphmae.models.edcoder").PreModel
utils = importlib.import_module("graphmae.utils")
numbers = {}
for depth in (2, 3):
    torch.manual_seed(0)
    model = PreModel(in_dim=12, num_hidden=12, num_layers=2, nhead=1, nhead_out=1, activation="prelu", feat_drop=0.0, attn_drop=0.0,
                     coarse_layer=depth, negative_slope=0.2, residual=False, norm="batchnorm", pe_dim=4, encoder_type="gin",
                     decoder_type="gin", alpha_l=2)
    fill(model, 7)
    x, parents, hidden, noisy, other = features(), *MASKS[depth]
    paths = [add_self_loops(e)[0] for e in edges(depth)]
    given = x.clone()
    given[noisy] = x[other]
    token = hidden[0] & ~noisy
    given[token] = 0.0
    given[token] += model.enc_mask_token
    codes, whole, h = [], torch.zeros(len(walks(depth)), dtype=torch.long), given
    for level in range(depth):
        seen = 1.0 - hidden[level].float()
        if level < depth - 1:
            h, _ = model.encoders[level](h, paths[level], return_hidden=True)
        else:
            h = model.encoders[level](h, walks(depth), whole, seen)
        codes.append(h)
        if level < depth - 1:
            h = F.one_hot(parents[level]).T.float() @ h
    for level in range(depth - 1, -1, -1):
        if level != depth - 1:
            h = h + codes[level] * (1.0 - hidden[level].float())[:, None]
        h, _ = model.decoders[level](h, paths[level], return_hidden=True)
        if level:
            h = F.one_hot(parents[level - 1]).float() @ h
    loss = utils.get_layer_loss(model, x, h, 1.0 - hidden[0].float(), True)
    loss.backward()
    numbers |= {f"loss {depth}": loss, f"token {depth}": model.enc_mask_token.grad[0],
                f"first {depth}": model.encoders[0].layers[0].nn.mlp.linears[0].weight.grad}
    numbers |= {f"level {depth} {level}": code for level, code in enumerate(codes)}
rate, rates = 0.8, []
for epoch in range(100):
    rate = utils.adjust_recover_rate(rate, epoch, 25, 1.0)
    rates.append(rate)
numbers["rates"] = torch.tensor(rates, dtype=torch.float64)
sce = importlib.import_module("graphmae.models.loss_func").sce_loss
numbers["sce"] = torch.stack([sce(normal(1, 20, 6), normal(2, 20, 6), power) for power in (1, 2, 3)])

# GraphCL and InfoGraph: their losses.
numbers["graphcl"] = function(f"{graphcl}/unsupervised_TU/gsimclr.py", "loss_cal")(None, normal(3, 10, 6), normal(4, 10, 6))
sys.path.insert(0, f"{infograph}/unsupervised")
sample = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3])
with mock.patch.object(torch.Tensor, "cuda", lambda self: self):
    losses = importlib.import_module("losses")
    numbers["infograph"] = losses.local_global_loss_(normal(5, 10, 6), normal(6, 4, 6), None, sample, "JSD")

keep("graphs", f"LiuChuang0059/Hi-GMAE @ {first}, Shen-Lab/GraphCL @ {second}, sunfanyunn/InfoGraph @ {third}, torch {torch.__version__}",
     **numbers)
subprocess.run(["ls", "-l", Path(__file__).parent / "numbers" / "graphs.npz"], check=True)
