"""Label-free figures of features: pure functions of arrays, usable from any code.

Every function takes numpy arrays or tensors on any device and returns a Python float. Spectra come from the D x D Gram matrix
in float64, which keeps singular values down to 1e-8 of the largest.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

PAIRS = 512  # rows that :func:`panel` makes figures over all pairs of rows of, evenly spaced: their cost goes with the square
PARTS = ("embedding", "projection")


def rankme(z) -> float:
    """RankMe (Garrido et al. 2023, arXiv 2210.02885, eq. 1): how many directions the features use, between 1 and D.

    ``exp(-sum_k p_k log p_k)``, ``p_k = s_k / sum s + 1e-7``, s the singular values of the matrix as it is, not centred: an
    offset that all rows share counts as one large direction, so the figure is low at most random initialisations.

    Args:
        z: ``(n, D)``. Below 4 D rows the rows bound the figure more than the features do; it is given all the same.
    """
    z = _double(z)
    return _rank(_eigenvalues(z.T @ z, len(z)).sqrt(), 1e-7)


def effective_rank(z) -> float:
    """RankMe's figure of the centred matrix (Roy and Vetterli 2007): directions in which samples differ; 0 if in none.

    Args:
        z: ``(n, D)``.
    """
    return _rank(_eigenvalues(_scatter(z), len(z)).sqrt())


def alpha_req(z, first: int | None = None, last: int | None = None) -> float:
    """alpha-ReQ (Agrawal et al. 2022): decay of the covariance's eigenvalues, ``lambda_j ~ j ** -alpha``, fitted in logs.

    0 for an isotropic cloud, about 1 is held to be best, large where few directions carry all.

    Args:
        z: ``(n, D)``.
        first: first eigenvalue of the fit, counted from 1; None for 5, or 1/8 of their number where that is less.
        last: last one, included; None for 50, or half their number where that is less, as n rows do not resolve the rest.
    """
    return _slope(_eigenvalues(_scatter(z), len(z)), first, last)


def lidar(views, delta: float = 1e-4) -> float:
    """LiDAR (Thilak et al. 2024, arXiv 2312.04000): directions that tell samples apart in spite of their views.

    ``exp(-sum_k p_k log p_k)``, ``p_k = lambda_k / sum lambda + 1e-7``, lambda the eigenvalues of ``Sw^-1/2 Sb Sw^-1/2``: Sb
    is the covariance of the samples' means, Sw that of views about their sample's mean with ``delta`` added to its diagonal.

    Args:
        views: ``(q, n, D)``, q views of n samples; published with q = 50, n = 1000.
        delta: ridge.
    """
    views = _double(views)
    means = views.mean(0)
    within = (views - means).flatten(0, 1)
    within = within.T @ within / len(within)
    within.diagonal().add_(delta)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(within), (means - means.mean(0)).T, upper=False)
    return _rank(_eigenvalues(white @ white.T, len(means)), 1e-7)


def spread(z) -> float:
    """Share of the features' size in which samples differ: root of the summed variances of rows brought to length 1.

    1 for any cloud about the origin, 0 for a constant: the figure of SimSiam (Chen and He 2021, fig. 2), times sqrt(D), with the
    root mean square over dimensions in place of the mean.

    Args:
        z: ``(n, D)``.
    """
    return float(F.normalize(_double(z), dim=-1).var(0, correction=0).sum().sqrt())


def deviation(z) -> float:
    """Root mean square over dimensions of the standard deviation, in the features' own unit.

    Args:
        z: ``(n, D)``.
    """
    return float(_double(z).var(0, correction=0).mean().sqrt())


def redundancy(z) -> float:
    """Mean square of the correlations between different dimensions (Zbontar et al. 2021 drive it to 0); at most 1.

    Args:
        z: ``(n, D)``; dimensions without variance correlate with none.
    """
    return _redundancy(_scatter(z))


def alignment(a, b) -> float:
    """Mean squared distance of pairs on the unit sphere, 0 to 4 (Wang and Isola 2020, eq. 1, alpha = 2).

    Args:
        a: ``(n, D)``.
        b: ``(n, D)``, other views of the same samples, or what the teacher makes of them.
    """
    return float((F.normalize(_double(a), dim=-1) - F.normalize(_double(b), dim=-1)).square().sum(-1).mean())


def uniformity(z, t: float = 2.0) -> float:
    """``log mean exp(-t |u_i - u_j|^2)`` over pairs on the unit sphere (Wang and Isola 2020, eq. 2): 0 if constant, above -4 t.

    Args:
        z: ``(n, D)``; a single one has no pair, and gives -4 t.
        t: sharpness.
    """
    u = F.normalize(_double(z), dim=-1)
    pairs = max(1, len(u) * (len(u) - 1))
    total = sum(float((t * (2 * part @ u.T - 2)).exp().sum()) for part in u.split(2048))
    return math.log(max((total - len(u)) / pairs, math.exp(-4 * t)))


def view_distance(views) -> float:
    """Mean squared distance of two views of a sample over that of any two views: 0 if views are equal, 1 if they share nothing.

    Args:
        views: ``(q, n, D)``, q at least 2.
    """
    views = _double(views)
    means, count = views.mean(0), views.shape[0] * views.shape[1]
    within = float((views - means).square().sum()) / (count - len(means))
    total = float((views - means.mean(0)).square().sum()) / (count - 1)
    return within / total if total > 0 else 0.0


def knn(z, labels, groups=None, k: int = 20, temperature: float = 0.07) -> float:
    """Share of rows whose class the others tell: k nearest by cosine after centring, votes exp(cosine / temperature).

    Args:
        z: ``(n, D)``.
        labels: ``(n,)`` integers, negative for none.
        groups: ``(n,)`` integers. Rows of one group are no neighbours of each other: overlapping windows of a recording are near
            copies, and finding them says nothing.
        k: neighbours that vote (Wu et al. 2018).
        temperature: of the votes.

    Returns:
        the share, of the labelled rows that have a neighbour; NaN if none has.
    """
    z = _double(z)
    labels = torch.as_tensor(labels, device=z.device).long()
    groups = torch.arange(len(z), device=z.device) if groups is None else torch.as_tensor(groups, device=z.device)
    known = labels >= 0
    z, labels, groups = z[known], labels[known], groups[known]
    if not len(z):
        return math.nan
    u = F.normalize(z - z.mean(0), dim=-1)
    close = (u @ u.T).masked_fill_(groups[:, None] == groups, -math.inf)
    near, at = close.topk(min(k, len(z)), -1)
    asked = near[:, 0] > -math.inf
    weight = ((near - near[:, :1]) / temperature).exp()
    votes = torch.zeros(len(z), int(labels.max()) + 1, dtype=weight.dtype, device=z.device).scatter_add_(1, labels[at], weight)
    return float((votes.argmax(-1) == labels)[asked].double().mean())


def panel(embedding, projection=None, *, target=None, labels=None, groups=None) -> dict[str, float]:
    """All figures that the arrays allow, under names such as ``embedding/rankme``.

    Args:
        embedding: ``(n, D)``, or ``(q, n, D)`` with q views of each sample; spectra are of the first view.
        projection: the same samples after the projector, or None.
        target: what the teacher makes of the samples, shaped as ``projection``, or ``embedding`` where there is none.
        labels: ``(n,)`` integers, negative for none; for kNN alone.
        groups: ``(n,)`` integers, see :func:`knn`.

    Returns:
        figures by name. A part with values that are not finite has only its ``width`` and ``finite``, the share that is.
    """
    figures = {}
    for part, z in zip(PARTS, (embedding, projection), strict=True):
        if z is not None:
            figures |= {f"{part}/{name}": value for name, value in _part(_views(z)).items()}
    if any(f"{part}/finite" in figures for part in PARTS):
        return figures
    z = _views(embedding)[0]
    if target is not None:
        part, student = (PARTS[0], embedding) if projection is None else (PARTS[1], projection)
        figures[f"{part}/teacher_distance"] = alignment(_views(student)[0], _views(target)[0])
    if labels is not None:
        at = _evenly(len(z), z.device)
        share = knn(z[at], torch.as_tensor(labels)[at.cpu()], None if groups is None else torch.as_tensor(groups)[at.cpu()])
        if not math.isnan(share):
            figures["embedding/knn"] = share
    return figures


def _part(views: Tensor) -> dict[str, float]:
    """Figures of one layer's features ``(q, n, D)``, from one pass over each matrix."""
    z, (_, rows, width) = views[0], views.shape
    finite = float(views.isfinite().double().mean())
    if finite < 1:
        return {"width": float(width), "finite": finite}
    scatter, mean = _scatter(z), z.mean(0)
    values = _eigenvalues(scatter, rows)
    figures = {
        "width": float(width), "rows": float(rows),
        "rankme": _rank(_eigenvalues(scatter + rows * torch.outer(mean, mean), rows).sqrt(), 1e-7),
        "effective_rank": _rank(values.sqrt()), "alpha_req": _slope(values), "redundancy": _redundancy(scatter),
        "spread": spread(z), "deviation": deviation(z), "uniformity": uniformity(z[_evenly(rows, z.device)])}
    if len(views) > 1:
        figures |= {"alignment": alignment(views[0], views[1]), "view_distance": view_distance(views), "lidar": lidar(views)}
    return figures


def _double(z) -> Tensor:
    z = torch.as_tensor(z).detach()
    return z.float() if z.device.type == "mps" else z.double()


def _views(z) -> Tensor:
    z = _double(z)
    return z[None] if z.dim() == 2 else z


def _evenly(rows: int, device) -> Tensor:
    return torch.linspace(0, rows - 1, min(rows, PAIRS), device=device).round().long()


def _scatter(z) -> Tensor:
    """``(D, D)``, n times the covariance."""
    z = _double(z)
    z = z - z.mean(0)
    return z.T @ z


def _eigenvalues(gram: Tensor, rows: int) -> Tensor:
    """Of a ``(D, D)`` Gram matrix of ``rows`` rows, largest first; at most ``rows`` of them can differ from 0."""
    return torch.linalg.eigvalsh(gram).flip(0).clamp_min(0)[:rows]


def _rank(weights: Tensor, eps: float = 0.0) -> float:
    """Exponential entropy of weights made to sum to 1; 0 where all are 0."""
    total = weights.sum()
    return float(torch.special.entr(weights / total + eps).sum().exp()) if total > 0 else 0.0


def _slope(values: Tensor, first: int | None = None, last: int | None = None) -> float:
    """Least squares slope of -log value over log place, from place ``first`` to ``last``."""
    first = first or max(1, min(5, len(values) // 8))
    last = last or max(first + 1, min(50, len(values) // 2))
    y = values[first - 1:last].clamp_min(max(1e-16 * float(values[0]), 1e-300)).log()
    x = torch.arange(first, first + len(y), device=y.device, dtype=y.dtype).log()
    x = x - x.mean()
    return float(-(x @ y) / (x @ x)) if len(y) > 1 else 0.0


def _redundancy(scatter: Tensor) -> float:
    scale = scatter.diagonal().clamp_min(1e-300).rsqrt()
    square = (scatter * scale * scale[:, None]).square()
    return float((square.sum() - square.trace()) / max(1, len(scatter) * (len(scatter) - 1)))
