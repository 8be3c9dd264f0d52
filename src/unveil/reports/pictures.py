"""What a report draws of samples: a map of embeddings, nearest neighbours, and views as the method saw them."""

from __future__ import annotations

import base64
import copy
import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from unveil.api import Run
from unveil.api.previewing import Watched, shown_of
from unveil.data.samples import Samples
from unveil.reports.drawings import Drawings, evenly
from unveil.reports.portraits import portrayed
from unveil.reports.worse import compare
from unveil.tasks.bench import spread
from unveil.tasks.cluster import kmeans
from unveil.tasks.embedded import Embedded, embed, frozen
from unveil.tasks.linear import standardiser
from unveil.training.measure import device

POINTS, DRAWN, BANK, QUERIES, NEAR, VIEWED, INSIDE, PORTRAYED = 1500, 300, 4000, 6, 5, 4, 8, 4
BYTES = 1_600_000  # of drawings in the map
SIDE = 1000  # of the map
CLUSTERS, COLOURS = 8, 10  # of the map: clusters where there are no classes, colours that can be told apart


def pictures(run: Run) -> dict[str, Any]:
    """``views``, ``drawings``, for kinds that draw in several ways ``portraits``, for encoders with tokens ``inside``, where the run was
    judged ``worse``, and where the encoder's features are finite ``map`` and ``neighbours``."""
    learned, held = (run.parts.train, run.parts.test) if run.parts else (run.samples, run.samples)
    shown, bank = evenly(held, POINTS), evenly(learned, BANK)
    describe = frozen(run.encoder.to(device()))
    points, known = embed(shown, describe, device=device()), embed(bank, describe, device=device())
    drawings = Drawings(run.encoder.kind)
    made = {"views": _views(run, evenly(learned, VIEWED)), "drawings": drawings} | _inside(run, shown, drawings)
    made |= portrayed(shown, _queries(shown.labels, len(shown), PORTRAYED).tolist(), drawings)
    if run.rows:
        made["worse"] = compare(run, drawings)
    if len(points) > 2 and points.features.isfinite().all() and known.features.isfinite().all():
        made["map"] = _map(points, shown, drawings) | {"of": len(held)}
        made["neighbours"] = _neighbours(points, shown, known, bank, drawings)
    return made


def _map(points: Embedded, shown: Samples, drawings: Drawings) -> dict[str, Any]:
    """Leading two principal axes of the standardised features, on one scale, in whole numbers."""
    mean, std = standardiser(points.features)
    z = ((points.features - mean) / std).double()
    u, s, _ = torch.linalg.svd(z - z.mean(0), full_matrices=False)
    place = u[:, :2] * s[:2]
    place = place - place.amin(0)
    x, y = (place * (SIDE / place.max().clamp_min(1e-12))).round().int().T.tolist()
    sizes = [len(drawings[drawings.draw(shown, at)]) for at in spread(len(shown), 8).tolist()]
    drawn = spread(len(shown), min(DRAWN, max(8, int(BYTES / np.mean(sizes)))))
    column = lambda values: None if values is None else values.tolist()
    return {"x": x, "y": y, "label": column(points.labels), "group": column(points.groups), "cluster": _clusters(z, points.labels),
            "explained": [round(float(v), 4) for v in s[:2].square() / s.square().sum()],
            "drawn": [{"at": at} | drawings.told(shown, at) for at in drawn.tolist()]}


def _clusters(z: Tensor, labels: np.ndarray | None) -> list[int]:
    """Clusters of standardised features, the largest first: as many as there are classes, where they are known."""
    classes = 0 if labels is None else len(np.unique(labels[labels >= 0]))
    count = min(len(z), CLUSTERS if classes < 2 else min(classes, COLOURS))
    found = kmeans(F.normalize(z.float(), dim=-1), count).numpy()
    rank = np.argsort(np.argsort(-np.bincount(found, minlength=count), kind="stable"), kind="stable")
    return rank[found].tolist()


def _neighbours(points: Embedded, shown: Samples, known: Embedded, bank: Samples, drawings: Drawings) -> list[dict[str, Any]]:
    """For a few samples, one of each class in turn, the most similar ones of the bank by cosine after centring, never of the
    same group."""
    centre = known.features.mean(0)
    asked = _queries(points.labels, len(points), QUERIES)
    close = F.normalize(points.features[asked] - centre, dim=-1) @ F.normalize(known.features - centre, dim=-1).T
    close[torch.as_tensor(points.ids[asked][:, None] == known.ids)] = -torch.inf
    if known.groups is not None and len(np.unique(known.groups)) > 1:
        close[torch.as_tensor(points.groups[asked][:, None] == known.groups)] = -torch.inf
    found = []
    for query, row in zip(asked.tolist(), close, strict=True):
        best = [(v, at) for v, at in zip(*(x.tolist() for x in row.topk(min(NEAR, len(row)))), strict=True) if v > -np.inf]
        if best:
            near = [drawings.told(bank, at) | {"similarity": round(v, 3)} for v, at in best]
            found.append(drawings.told(shown, query) | {"near": near})
    return found


def _queries(labels: np.ndarray | None, count: int, most: int) -> np.ndarray:
    """Positions of at most ``most`` samples, of other classes where labels are known."""
    if labels is None or not (labels >= 0).any():
        return spread(count, most)
    classes = np.unique(labels[labels >= 0])
    places = [np.flatnonzero(labels == c) for c in classes[spread(len(classes), most)]]
    return np.array([at[len(at) // 2] for at in places])


@torch.no_grad()
def _inside(run: Run, shown: Samples, drawings: Drawings) -> dict[str, Any]:
    """``inside``: the local features of a few samples on their three leading principal axes, a colour a token."""
    encoder, at = run.encoder.to(device()), _queries(shown.labels, len(shown), INSIDE)
    if "tokens" not in encoder.supports:
        return {}
    batch = shown.batch(torch.as_tensor(at)).to(device())
    grid, found = encoder.embed(batch).grid, encoder(batch)
    if grid is None or len(grid) > 2 or not found.local.isfinite().all():
        return {}
    x = found.local.float().cpu()
    valid = torch.ones(x.shape[:2], dtype=torch.bool) if found.valid is None else found.valid.cpu()
    x = x - x[valid].mean(0)
    _, size, axes = torch.linalg.svd(x[valid], full_matrices=False)
    place = F.pad(x @ axes[:3].T, (0, max(0, 3 - len(axes))))
    low, high = (place[valid].quantile(q, 0) for q in (0.02, 0.98))
    colour = ((place - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)
    coloured = (255 * torch.cat([colour, valid[..., None]], -1)).byte().view(len(at), *(1,) * (2 - len(grid)), *grid, 4).numpy()
    told = [drawings.told(shown, i) | {"axes": _png(picture)} for i, picture in zip(at.tolist(), coloured, strict=True)]
    share = size[:3].square().sum() / size.square().sum().clamp_min(1e-12)
    return {"inside": {"grid": list(grid), "explained": round(float(share), 4), "samples": told}}


def _png(picture: np.ndarray) -> str:
    """An image ``(H, W, 4)`` as data that a page can hold."""
    held = io.BytesIO()
    Image.fromarray(picture).save(held, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"


def _views(run: Run, some: Samples) -> dict[str, Any]:
    """Runs the method once on a few samples: what it was shown of them, and which tokens it saw."""
    method = run.recipe.build_method(copy.deepcopy(run.encoder).cpu()).eval()
    return shown_of(method, some, Watched(run.encoder.kind, run.recipe.seed, 0, 1))
