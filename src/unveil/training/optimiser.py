"""Optimisers, and the schedules of learning rate and weight decay."""

from __future__ import annotations

import torch
from torch import Tensor

from unveil.contracts import Method
from unveil.parts.schedules import cosine, warmup_cosine
from unveil.training.settings import Training


class LARS(torch.optim.Optimizer):
    """Layer-wise adaptive rates (You et al. 2017): momentum SGD whose step on a weight of two or more axes is scaled by
    ``trust * |w| / |gradient + decay * w|``. Vectors take plain steps."""

    def __init__(self, params, lr: float, momentum: float = 0.9, weight_decay: float = 0.0, trust: float = 0.001):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay, trust=trust))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                grad = p.grad + group["weight_decay"] * p
                if p.dim() > 1:
                    weight, size = p.norm(), grad.norm()
                    scale = torch.where((weight > 0) & (size > 0), group["trust"] * weight / size, torch.ones_like(size))
                    grad = grad * scale
                moving: Tensor = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                moving.mul_(group["momentum"]).add_(grad)
                p.add_(moving, alpha=-group["lr"])


def build(method: Method, settings: Training, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser over the method's own parameter groups."""
    groups = [dict(group, lr=settings.lr) for group in method.parameter_groups() if group["params"]]
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, fused=device.type in ("cpu", "cuda"))
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=0.9)
    return LARS(groups, lr=settings.lr)


def schedule(optimiser: torch.optim.Optimizer, settings: Training, progress: float) -> tuple[float, float]:
    """Sets learning rate and weight decay for a step at ``progress``; a group may scale its rate by ``rate``."""
    lr = settings.lr * warmup_cosine(progress, settings.warmup, floor=settings.floor)
    decay = cosine(*settings.decay, progress)
    for group in optimiser.param_groups:
        group["lr"] = lr * group.get("rate", 1.0)
        group["weight_decay"] = decay if group.get("decay", True) else 0.0
    return lr, decay
