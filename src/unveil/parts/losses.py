"""Losses that look across a batch. Each is that of the joined batch of all processes, in float32."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.parts.characteristic import characteristic
from unveil.parts.distributed import gather, global_mean, global_sum, rank, world
from unveil.parts.precision import full_precision
from unveil.tokens import take


@full_precision
def infonce(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al. 2020, eq. 1), the mean over all 2B anchors.

    ``-log exp(sim(a_i, b_i) / t) / sum_k exp(sim(a_i, k) / t)`` with k over all other 2B - 1 views, sim the cosine.

    Args:
        a: ``(B, D)`` one view of each sample.
        b: ``(B, D)`` the other.
        temperature: t.
    """
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    everyone = torch.cat([gather(a), gather(b)])
    total, mine = len(everyone) // 2, rank() * len(a)
    own = mine + torch.arange(len(a), device=a.device)
    logits = torch.cat([a, b]) @ everyone.T / temperature
    self_at = torch.cat([own, own + total])
    logits = logits.scatter(1, self_at[:, None], float("-inf"))
    return F.cross_entropy(logits, torch.cat([own + total, own]))


@full_precision
def matched(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """Each of two modalities finds its partner among all of the other (Radford et al. 2021): the mean of the two cross-entropies of
    ``scale a_i b_j`` over j and over i.

    Args:
        a: ``(B, D)`` unit vectors.
        b: ``(B, D)`` their partners'.
        scale: a scalar.
    """
    own = rank() * len(a) + torch.arange(len(a), device=a.device)
    return (F.cross_entropy(scale * a @ gather(b).T, own) + F.cross_entropy(scale * b @ gather(a).T, own)) / 2


@full_precision
def variance_covariance(z: Tensor, gamma: float = 1.0, eps: float = 1e-4) -> tuple[Tensor, Tensor]:
    """VICReg's two regularisers of one branch (Bardes et al. 2022, eq. 1 to 4).

    Args:
        z: ``(B, D)``.
        gamma: the standard deviation below which a dimension is pushed up.
        eps: keeps the root's gradient finite.

    Returns:
        ``mean_j relu(gamma - sqrt(var_j + eps))`` and ``(1 / D) sum_{i != j} cov_ij^2``, both with 1 / (B - 1).
    """
    z = gather(z)
    z = z - z.mean(0)
    cov = z.T @ z / (len(z) - 1)
    var = cov.diagonal()
    spread = F.relu(gamma - (var + eps).sqrt()).mean()
    return spread, (cov.square().sum() - var.square().sum()) / z.shape[1]


@full_precision
def sigreg(z: Tensor, directions: Tensor, *, knots: int = 17, limit: float = 3.0) -> Tensor:
    """Sketched isotropic Gaussian regularisation: the Epps-Pulley test along random directions (Balestriero and LeCun 2025).

    For each direction ``N * integral |ecf(t) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt`` by the trapezoid rule on ``[0, limit]``, doubled;
    the mean over directions. A standard normal sample gives 1.05 whatever N.

    Args:
        z: ``(..., N, D)``; leading axes (views) are tested apart and averaged.
        directions: ``(D, M)``; normalised here.
        knots: points of the quadrature.
        limit: end of the integral.
    """
    t = torch.linspace(0, limit, knots, device=z.device)
    weight = torch.full_like(t, 2 * limit / (knots - 1))
    weight[::knots - 1].div_(2)  # both ends
    target = (-t.square() / 2).exp()
    t, weight, target = (x.to(z.dtype) for x in (t, weight, target))
    along = z @ F.normalize(directions.to(z.dtype), dim=0)
    real, imaginary = (global_sum(part) / world() for part in characteristic(along * t[1], knots))
    gap = (real - target).square() + imaginary.square()
    return (gap @ (weight * target)).mean() * (z.shape[-2] * world())


@full_precision
def centred_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``-sum_k P_k log softmax(student / temperature)_k``, the mean over rows; ``teacher`` holds the probabilities P."""
    return -(teacher * F.log_softmax(student / temperature, -1)).sum(-1).mean()


@full_precision
def latent_error(answer: Tensor, goal: Tensor, asked: Tensor, valid: Tensor | None) -> Tensor:
    """Smooth L1 (beta 1) between answers and the goal's features at the asked places, the mean over every element.

    Args:
        answer: ``(B, blocks, M, D)``.
        goal: ``(B, N, D)``, no gradient is stopped here.
        asked: places ``(B, blocks, M)``.
        valid: bool ``(B, N)`` or None.
    """
    at = asked.flatten(1)
    valid = None if valid is None else take(valid, at).view(asked.shape)
    return masked_mean(F.smooth_l1_loss(answer, take(goal, at).view(answer.shape), reduction="none"), valid)


def masked_mean(error: Tensor, valid: Tensor | None) -> Tensor:
    """Mean of ``error (..., P)`` over its last axis and over the rows that ``valid (...)`` admits, on all processes."""
    error = error.mean(-1)
    if valid is None:
        return error.mean()
    weight = valid.to(error.dtype)
    return global_mean((error * weight).sum(), weight.sum())


@full_precision
def scaled_cosine(answer: Tensor, goal: Tensor, power: float, asked: Tensor) -> Tensor:
    """Scaled cosine error (Hou et al. 2022, eq. 2): ``(1 - cos(answer_i, goal_i))^power``, the mean over the rows that ``asked`` admits
    on all processes; 0 where none is asked.

    Args:
        answer: ``(N, D)``.
        goal: ``(N, D)``.
        power: at 1 or above; larger ones make little of what is nearly right.
        asked: bool ``(N)``.
    """
    return mean_over((1 - F.cosine_similarity(answer, goal, dim=-1)).clamp_min(0) ** power, asked)


@full_precision
def contrast(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """Of each ``a_i``, ``-log exp(sim(a_i, b_i) / t) / sum_{j != i} exp(sim(a_i, b_j) / t)`` with sim the cosine, the mean over i (as
    the published code of You et al. 2020 has it: the partner is not among what it is told from, so the loss can be below 0).

    Args:
        a: ``(B, D)``, at least two on all processes together.
        b: ``(B, D)`` the partners.
        temperature: t.
    """
    a, everyone = F.normalize(a, dim=-1), gather(F.normalize(b, dim=-1))
    logits = a @ everyone.T / temperature
    own = (rank() * len(a) + torch.arange(len(a), device=a.device))[:, None]
    return (logits.scatter(1, own, float("-inf")).logsumexp(1) - logits.gather(1, own)[:, 0]).mean()


@full_precision
def jensen_shannon(local: Tensor, whole: Tensor, sample: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """The two expectations of the Jensen-Shannon estimate of the information that rows share with samples (Nowozin et al. 2016; Sun et al.
    2020): ``mean(log 2 - softplus(-s))`` over rows with their own sample, ``mean(softplus(-s) + s - log 2)`` over rows with every other
    sample of all processes, ``s`` their dot product. The first less the second is the estimate.

    Args:
        local: ``(N, D)``.
        whole: ``(B, D)``, at least two on all processes together.
        sample: ``(N)``, whose each row is.
        valid: bool ``(N)``, rows that count; None for all.
    """
    score = local @ gather(whole).T
    own = (rank() * len(whole) + sample)[:, None]
    mine = score.gather(1, own)[:, 0]
    valid = torch.ones_like(sample, dtype=torch.bool) if valid is None else valid
    others = F.softplus(score).scatter(1, own, 0.0).sum(1) / (score.shape[1] - 1)  # softplus(-s) + s is softplus(s)
    return mean_over(math.log(2) - F.softplus(-mine), valid), mean_over(others - math.log(2), valid)


def mean_over(error: Tensor, asked: Tensor) -> Tensor:
    """Mean of ``error (N)`` over the rows that ``asked (N)`` admits, on all processes; 0 where there are none."""
    weight = asked.to(error.dtype)
    return global_mean((error * weight).sum(), global_sum(weight.sum()).clamp_min(1) / world())


@full_precision
def query_overlap(mixing: Tensor) -> Tensor:
    """How much queries look at the same channels (Doner et al. 2025, the squared form): the mean over all Q x Q entries of the squares of
    ``W W^T`` off its diagonal.

    Args:
        mixing: W, ``(..., Q, C)``, how much of each channel each query took; of a query they sum to 1.
    """
    both = mixing @ mixing.transpose(-1, -2)
    return (both.square().sum((-1, -2)) - both.diagonal(dim1=-2, dim2=-1).square().sum(-1)).mean() / mixing.shape[-2] ** 2


@full_precision
def supervised_contrast(z: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362, eq. 2): of each ``z_i`` the mean of
    ``-log exp(sim(z_i, z_p) / t) / sum_{a != i} exp(sim(z_i, z_a) / t)`` over all others p of its class, sim the cosine; the mean over
    those i that have one, 0 where none has.

    Args:
        z: ``(B, D)``, at least two on all processes together.
        labels: int64 ``(B,)``.
        temperature: t.
    """
    z = F.normalize(z, dim=-1)
    own = (rank() * len(z) + torch.arange(len(z), device=z.device))[:, None]
    near = (z @ gather(z).T / temperature).scatter(1, own, float("-inf"))
    same = (labels[:, None] == gather(labels)).scatter(1, own, False)
    log = (near - near.logsumexp(1, keepdim=True)).masked_fill(~same, 0.0)
    return mean_over(-log.sum(1) / same.sum(1).clamp_min(1), same.any(1))


@full_precision
def likeness_margin(u: Tensor, labels: Tensor, likeness: Tensor, same: bool = False) -> Tensor:
    """Parts samples of different classes the more, the more alike the texts of their classes are: ``sum_{i < j} (S_ij^2 + 0.1)
    max(0, m(S_ij) - |u_i - u_j|) / (B (B - 1))`` with ``m`` 2 where S is above 0.8, 1.5 where it is above 0.5, else 1 (UniMotion's second
    stage, after the first author's code prerna-khanna/gesture-foundational-model).

    Args:
        u: ``(B, D)`` unit vectors, at least two on all processes together.
        labels: int64 ``(B,)``.
        likeness: S of two classes ``(classes, classes)``.
        same: also part samples of one class, which are most alike, as the authors' code does against its own contrast.
    """
    everyone, theirs, own = gather(u), gather(labels), rank() * len(u) + torch.arange(len(u), device=u.device)
    alike = likeness[labels][:, theirs]
    margin = 1.0 + 0.5 * (alike > 0.5) + 0.5 * (alike > 0.8)
    apart = torch.cdist(u, everyone, compute_mode="donot_use_mm_for_euclid_dist")
    pairs = ((alike.square() + 0.1) * (margin - apart).clamp_min(0)).scatter(1, own[:, None], 0.0)
    pairs = pairs if same else pairs.masked_fill(labels[:, None] == theirs, 0.0)
    return pairs.sum() / 2 * world() / (len(everyone) * (len(everyone) - 1))
