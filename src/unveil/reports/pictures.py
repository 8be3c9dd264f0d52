"""What a report draws of samples: a map of embeddings, nearest neighbours, and views as the method saw them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.api import Run
from unveil.contracts import Batch, Encoder
from unveil.data.samples import Samples
from unveil.tasks.embedded import Embedded, embed, frozen
from unveil.tasks.linear import standardiser
from unveil.training.measure import device
from unveil.training.step import TrainStep

POINTS, DRAWN, BANK, QUERIES, NEAR, VIEWED = 1500, 300, 4000, 6, 5, 4
BYTES = 1_600_000  # of drawings in the map
SIDE = 1000  # of the map


class Drawings(dict):
    """Drawings by sample id, each made once.

    Args:
        kind: that draws.
    """

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def draw(self, samples: Samples, at: int) -> str:
        """Draws the sample at a position; its id."""
        name = str(int(samples.index[at]))
        if name not in self:
            self[name] = self.kind.draw(samples.batch(torch.tensor([at])).values[0].numpy())
        return name

    def told(self, samples: Samples, at: int) -> dict[str, Any]:
        """Draws the sample at a position; all that is known of it."""
        label, group = (None if column is None else int(column[at]) for column in (samples.labels, samples.groups))
        return {"id": self.draw(samples, at), "name": str(samples.name(int(samples.index[at]))), "label": label, "group": group}


def pictures(run: Run) -> dict[str, Any]:
    """``views``, ``drawings`` and, where the encoder's features are finite, ``map`` and ``neighbours``."""
    learned, held = (run.parts.train, run.parts.test) if run.parts else (run.samples, run.samples)
    shown, bank = _evenly(held, POINTS), _evenly(learned, BANK)
    describe = frozen(run.encoder.to(device()))
    points, known = embed(shown, describe, device=device()), embed(bank, describe, device=device())
    drawings = Drawings(run.encoder.kind)
    made = {"views": _views(run, _evenly(learned, VIEWED)), "drawings": drawings}
    if len(points) > 2 and points.features.isfinite().all() and known.features.isfinite().all():
        made["map"] = _map(points, shown, drawings) | {"of": len(held)}
        made["neighbours"] = _neighbours(points, shown, known, bank, drawings)
    return made


def _evenly(samples: Samples, most: int) -> Samples:
    return samples.subset(_places(len(samples), most))


def _places(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))


def _map(points: Embedded, shown: Samples, drawings: Drawings) -> dict[str, Any]:
    """Leading two principal axes of the standardised features, on one scale, in whole numbers."""
    mean, std = standardiser(points.features)
    z = ((points.features - mean) / std).double()
    u, s, _ = torch.linalg.svd(z - z.mean(0), full_matrices=False)
    place = u[:, :2] * s[:2]
    place = place - place.amin(0)
    x, y = (place * (SIDE / place.max().clamp_min(1e-12))).round().int().T.tolist()
    sizes = [len(drawings[drawings.draw(shown, at)]) for at in _places(len(shown), 8).tolist()]
    drawn = _places(len(shown), min(DRAWN, max(8, int(BYTES / np.mean(sizes)))))
    column = lambda values: None if values is None else values.tolist()
    return {"x": x, "y": y, "label": column(points.labels), "group": column(points.groups),
            "explained": [round(float(v), 4) for v in s[:2].square() / s.square().sum()],
            "drawn": [{"at": at} | drawings.told(shown, at) for at in drawn.tolist()]}


def _neighbours(points: Embedded, shown: Samples, known: Embedded, bank: Samples, drawings: Drawings) -> list[dict[str, Any]]:
    """For a few samples, one of each class in turn, the most similar ones of the bank by cosine after centring, never of the
    same group."""
    centre = known.features.mean(0)
    asked = _queries(points.labels, len(points))
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


def _queries(labels: np.ndarray | None, count: int) -> np.ndarray:
    if labels is None or not (labels >= 0).any():
        return _places(count, QUERIES)
    classes = np.unique(labels[labels >= 0])
    places = [np.flatnonzero(labels == c) for c in classes[_places(len(classes), QUERIES)]]
    return np.array([at[len(at) // 2] for at in places])


@torch.no_grad()
def _views(run: Run, some: Samples) -> dict[str, Any]:
    """Runs the method once on a few samples, and draws what it was shown of them and which tokens it saw."""
    batch = some.batch(torch.arange(len(some)))
    method = run.recipe.build_method(copy.deepcopy(run.encoder).cpu()).eval()
    shown = method(batch, TrainStep(run.encoder.kind, run.recipe.seed, 0, 1)).shown
    tokens, grid = _tokens(method.encoder, batch, shown)
    draw = lambda values: run.encoder.kind.draw(values.float().numpy())
    return {"grid": grid, "samples": [
        {"name": str(some.name(int(batch.ids[i]))), "whole": draw(batch.values[i]),
         "views": [draw(view[i]) for view in shown.get("views", [])[:6]]} | {key: places[i] for key, places in tokens.items()}
        for i in range(len(some))]}


def _tokens(encoder: Encoder, batch: Batch, shown: dict[str, Tensor]) -> tuple[dict[str, list], list[int] | None]:
    """Places on the token grid that were seen and asked for, where the method hides any and the grid fits over a drawing."""
    if "seen" not in shown:
        return {}, None
    grid = encoder.embed(batch).grid
    if grid is None or len(grid) > 2:
        return {}, None
    places = lambda rows: [sorted(set(row.flatten().tolist())) for row in rows]
    return {key: places(shown[key]) for key in ("seen", "asked") if key in shown}, list(grid)
