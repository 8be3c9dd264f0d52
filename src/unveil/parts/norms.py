"""Normalisation of inputs by the data set, and of features by the joined batch of all processes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Spec
from unveil.parts.distributed import global_sum, world


class BatchNorm(nn.Module):
    """Batch normalisation over every axis but the channels (axis 1), exact on any number of processes and on any device.

    Args:
        width: number of channels.
        affine: learn a scale and a shift.
        momentum: weight of a new batch in the running statistics that evaluation uses.

    Raises:
        ValueError: in training, where all processes together hold one value a channel: its variance does not exist.
    """

    def __init__(self, width: int, *, affine: bool = True, momentum: float = 0.1, eps: float = 1e-5):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(width)) if affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if affine else None
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """``x (B, width, ...)``; rows that are not ``valid (B)`` have no part in the statistics."""
        if not self.training:
            return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        if world() == 1 and valid is None:
            return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias,
                                            training=True, momentum=self.momentum, eps=self.eps)
        wide = x.double() if x.dtype == torch.float64 else x.float()
        shape = [-1 if axis == 1 else 1 for axis in range(x.dim())]
        part = wide.new_ones(len(x), 1) if valid is None else valid.to(wide.dtype)[:, None]
        count = global_sum(part.sum() * (x[0].numel() // x.shape[1])).clamp_min(1)
        total = lambda x: global_sum((part * (x.flatten(2).sum(-1) if x.dim() > 2 else x)).sum(0))
        mean = total(wide) / count
        centred = wide - mean.view(shape)
        var = total(centred.square()) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            self.running_var.lerp_((var * count / (count - 1).clamp_min(1)).to(self.running_var), self.momentum)
        scale = (var + self.eps).rsqrt()
        if self.weight is None:
            return (centred * scale.view(shape)).to(x.dtype)
        return torch.addcmul(self.bias.view(shape), centred, (scale * self.weight).view(shape)).to(x.dtype)


@torch.no_grad()
def settled(network: nn.Module, batches: Iterable[Batch]) -> nn.Module:
    """The network itself, in evaluation mode, with running statistics of its batch norms that are the mean over some batches.

    A network that was never trained has none of its own, and would be judged without any normalisation: a control that is beaten by
    looking at the data, which teaches nothing.

    Args:
        network: batch -> features.
        batches: of the training samples; none are read where there are no batch norms.
    """
    norms = [part for part in network.eval().modules() if isinstance(part, BatchNorm)]
    usual = [norm.momentum for norm in norms]
    for seen, batch in enumerate(batches if norms else (), 1):
        for norm in norms:
            norm.train().momentum = 1 / seen
        network(batch)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.eval().momentum = momentum
    return network


class Standardise(nn.Module):
    """Subtracts the mean and divides by the deviation of each channel, as the training data had them."""

    def __init__(self, spec: Spec):
        super().__init__()
        shape = (-1, *(1 for _ in spec.shape))  # packed rows have their channels last
        self.register_buffer("mean", torch.tensor(spec.mean).view(shape))
        self.register_buffer("std", torch.tensor(spec.std).view(shape))

    def forward(self, batch: Batch) -> Tensor:
        values = (batch.values - self.mean) / self.std
        return values if batch.valid is None else values * batch.valid[:, None]
