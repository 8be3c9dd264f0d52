"""Multinomial logistic regression, many at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

FREE = 1e-6  # penalty of the bias, in place of none: it stays finite where a class has no sample
MEMORY = 10


def logistic(x: Tensor, y: Tensor, classes: int, costs: Tensor, weight: Tensor | None = None, steps: int = 500,
             tolerance: float = 1e-7) -> Tensor:
    """Minimises ``C * sum_i weight_i * cross entropy + |W|^2 / 2`` for every C at once; the bias is not penalised.

    L-BFGS (Nocedal 1980) from the fixed curvature bound of Boehning (1992), in whose basis one eigendecomposition serves all C; all share
    every product with ``x``. A regression that has converged is left, so none depends on those beside it.

    Args:
        x: ``(n, D)``, standardised; the precision of the work is its own.
        y: int64 ``(n,)``.
        classes: number of classes.
        costs: ``(R,)`` values of C, as scikit-learn counts them.
        weight: ``(n,)`` or ``(R, n)``, from 0, which leaves a sample out, to 1; None for all ones.
        steps: at most this many.
        tolerance: done when half the Newton decrement is below this share of the objective.

    Returns:
        ``(R, D + 1, classes)``, the last row the bias.
    """
    if x.shape[1] > len(x):  # weights are a sum of samples: what no sample spans stays 0 and need not be worked on
        span, _ = torch.linalg.qr(x.T)
        w = logistic(x @ span, y, classes, costs, weight, steps, tolerance)
        return torch.cat([span @ w[:, :-1], w[:, -1:]], 1)
    at = _start(x, y, classes, costs.to(x), weight)
    answer, open_ = torch.empty_like(at.w), torch.arange(len(costs), device=x.device)
    for _ in range(steps):
        step, fall = at.direction()
        done = (fall <= 2 * tolerance * at.value).flatten()
        if done.any():
            answer[open_[done]] = at.w[done]
            at, open_, step, fall = at.take(~done), open_[~done], step[~done], fall[~done]
            if not len(open_):
                break
        at = at.moved(step, fall)
    answer[open_] = at.w
    return answer.transpose(1, 2)


@dataclass(frozen=True)
class _State:
    """Where ``R`` regressions stand: weights ``(R, classes, D + 1)``, logits ``(R, classes, n)``, scalars ``(R, 1, 1)``."""

    x: Tensor
    target: Tensor
    basis: Tensor
    curve: Tensor
    weight: Tensor
    w: Tensor
    logits: Tensor
    value: Tensor
    slope: Tensor
    past: tuple[tuple[Tensor, ...], ...] = ()

    def take(self, kept: Tensor) -> _State:
        names = ("target", "curve", "weight", "w", "logits", "value", "slope")
        past = tuple(tuple(x[kept] for x in pair) for pair in self.past)
        return replace(self, past=past, **{name: getattr(self, name)[kept] for name in names})

    def penalised(self, w: Tensor) -> Tensor:
        return torch.cat([w[..., :-1], FREE * w[..., -1:]], -1)

    def objective(self, logits: Tensor, w: Tensor) -> Tensor:
        each = F.cross_entropy(logits, self.target, reduction="none")
        return (self.weight * each).sum(1)[:, None, None] + 0.5 * _dot(self.penalised(w), w)

    def gradient(self, logits: Tensor, w: Tensor) -> Tensor:
        error = logits.softmax(1)
        error.scatter_add_(1, self.target[:, None], error.new_full((), -1.0).expand(len(w), 1, len(self.x)))
        return ((error * self.weight[:, None]).flatten(0, 1) @ self.x).view_as(w) + self.penalised(w)

    def bounded(self, slope: Tensor) -> Tensor:
        """The step to the minimum, were the curvature the bound."""
        return ((slope @ self.basis) / self.curve) @ self.basis.T

    def direction(self) -> tuple[Tensor, Tensor]:
        """The quasi-Newton step, to be subtracted, and its product with the slope: the Newton decrement."""
        step, shares = self.slope, []
        for move, change, rate, _ in reversed(self.past):
            shares.append(rate * _dot(move, step))
            step = step - shares[-1] * change
        step = self.bounded(step) * (self.past[-1][3] if self.past else 1.0)
        for (move, change, rate, _), share in zip(self.past, reversed(shares), strict=True):
            step = step + (share - rate * _dot(change, step)) * move
        return step, _dot(self.slope, step)

    def moved(self, step: Tensor, fall: Tensor) -> _State:
        """After the step, halved until the objective falls enough (Armijo 1966), up to rounding."""
        ahead, pace = (step.flatten(0, 1) @ self.x.T).view_as(self.logits), torch.ones_like(fall)
        slack = 8 * torch.finfo(step.dtype).eps * self.value
        for _ in range(20):
            value = self.objective(self.logits - pace * ahead, self.w - pace * step)
            good = value <= self.value - 1e-4 * pace * fall + slack
            if good.all():
                break
            pace = torch.where(good, pace, pace / 2)
        move = -pace * step
        w, logits = self.w + move, self.logits - pace * ahead
        slope = self.gradient(logits, w)
        change = slope - self.slope
        product = _dot(move, change)
        rate = torch.where(product > 0, 1 / product, 0.0)
        scale = torch.where(product > 0, product / _dot(change, self.bounded(change)), 1.0)
        return replace(self, w=w, logits=logits, value=value, slope=slope, past=(*self.past[1 - MEMORY:], (move, change, rate, scale)))


def _start(x: Tensor, y: Tensor, classes: int, costs: Tensor, weight: Tensor | None) -> _State:
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    ones = torch.ones(len(costs), len(x), dtype=x.dtype, device=x.device)
    weight = costs[:, None] * (ones if weight is None else ones * weight)
    spectrum, basis = _axes(x.T @ x)
    curve = 1 + 0.5 * costs[:, None, None] * spectrum.clamp_min(0)
    w, logits = x.new_zeros(len(costs), classes, x.shape[1]), x.new_zeros(len(costs), classes, len(x))
    empty = x.new_zeros(len(costs), 1, 1)
    at = _State(x, y.expand(len(costs), -1), basis, curve, weight, w, logits, empty, w)
    return replace(at, value=at.objective(logits, w), slope=at.gradient(logits, w))


def _axes(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors. In float32 LAPACK gives up on some matrices of low rank; in float64 it does not."""
    try:
        return torch.linalg.eigh(gram)
    except torch.linalg.LinAlgError:
        return tuple(part.to(gram) for part in torch.linalg.eigh(gram.double()))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2), keepdim=True)
