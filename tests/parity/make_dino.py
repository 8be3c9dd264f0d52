"""Numbers from facebookresearch/dino: ``python make_dino.py CHECKOUT COMMIT``. None of their code is here."""

import sys
import types

import torch
import torch.distributed as dist
from given import fill, keep, normal

sys.path.insert(0, sys.argv[1])
vision = types.ModuleType("torchvision")
vision.datasets, vision.transforms, vision.models = (types.ModuleType(name) for name in ("datasets", "transforms", "models"))
sys.modules["torchvision"] = vision
import utils  # noqa: E402
from main_dino import DINOLoss  # noqa: E402
from vision_transformer import DINOHead  # noqa: E402

from unveil.methods.dino import Head  # noqa: E402

dist.init_process_group("gloo", init_method="tcp://127.0.0.1:29555", rank=0, world_size=1)


def head(seed):
    theirs, ours = DINOHead(8, 24, hidden_dim=16, bottleneck_dim=6), fill(Head(8, 16, 6, 24), seed)
    with torch.no_grad():
        theirs.mlp.load_state_dict(ours.layers.state_dict())
        theirs.last_layer.weight_v.copy_(ours.prototypes.weight)
    return theirs


student, teacher = head(1), head(2)
measure = DINOLoss(24, 4, 0.04, 0.07, 30, 100)
losses = []
for number, epoch in enumerate((0, 40, 80)):
    views = normal(10 + number, 4, 5, 8).flatten(0, 1)
    losses.append(measure(student(views), teacher(views[:10]), epoch))
losses[-1].backward()
keep("dino", f"facebookresearch/dino @ {sys.argv[2]}, torch {torch.__version__}", logits=student(views),
     losses=torch.stack(losses), centre=measure.center[0], prototype_gradient=student.last_layer.weight_v.grad,
     first_gradient=student.mlp[0].weight.grad,
     momenta=utils.cosine_scheduler(0.996, 1, 5, 4))
