"""Numbers from facebookresearch/vicreg: ``python make_vicreg.py CHECKOUT COMMIT``. None of their code is here."""

import sys
import types
from argparse import Namespace

import torch
import torch.distributed as dist
from given import keep, normal
from torch import nn

sys.path.insert(0, sys.argv[1])
for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "augmentations"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["torchvision"].datasets = sys.modules["torchvision.datasets"]
from main_vicreg import LARS, VICReg, exclude_bias_and_norm  # noqa: E402

dist.init_process_group("gloo", init_method="tcp://127.0.0.1:29556", rank=0, world_size=1)

a, b = normal(1, 20, 12), 0.6 * normal(1, 20, 12) + 0.3 * normal(2, 20, 12)
terms = []
for invariance, variance, covariance in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (25, 25, 1)):
    theirs = VICReg.__new__(VICReg)
    nn.Module.__init__(theirs)
    theirs.args = Namespace(batch_size=20, sim_coeff=invariance, std_coeff=variance, cov_coeff=covariance)
    theirs.num_features, theirs.backbone, theirs.projector = 12, nn.Identity(), nn.Identity()
    terms.append(theirs(a, b))

weight, bias = nn.Parameter(normal(3, 4, 5)), nn.Parameter(normal(4, 4))
optimiser = LARS([weight, bias], lr=0.0, weight_decay=1e-2, weight_decay_filter=exclude_bias_and_norm,
                 lars_adaptation_filter=exclude_bias_and_norm)
path = []
for step in range(5):
    optimiser.param_groups[0]["lr"] = 0.5 + 0.1 * step
    weight.grad, bias.grad = normal(10 + step, 4, 5), normal(20 + step, 4)
    optimiser.step()
    path.append(torch.cat([weight.detach().flatten(), bias.detach()]))
keep("vicreg", f"facebookresearch/vicreg @ {sys.argv[2]}, torch {torch.__version__}", terms=torch.stack(terms),
     lars=torch.stack(path))
