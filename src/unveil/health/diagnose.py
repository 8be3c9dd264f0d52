"""The diagnosis of features from anyone's code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unveil.health.panel import panel
from unveil.health.verdict import Finding, summary, verdict


@dataclass(frozen=True)
class Diagnosis:
    """What features look like, and what is wrong with them.

    Attributes:
        figures: of the last features, by name, see :mod:`unveil.health.panel`.
        findings: faults; empty where there is none.
        history: a row of figures a snapshot.
    """

    figures: dict[str, float]
    findings: list[Finding]
    history: list[dict[str, float]]

    @property
    def healthy(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        rows, width = self.figures.get("embedding/rows", 0), self.figures["embedding/width"]
        few = f"\n(ranks are bounded by the {rows:.0f} rows; give {4 * width:.0f})" if 0 < rows < 4 * width else ""
        return summary(self.findings, self.figures) + few


def diagnose(embeddings, views=None, teacher=None, labels=None, groups=None) -> Diagnosis:
    """Says whether features have collapsed, and in which way.

    Args:
        embeddings: ``(n, D)``, one row a sample, numpy or tensor; or several in order of time, as a list or as ``{step: array}``:
            then collapse is also seen as a loss against what was.
        views: ``(q, n, D)``, embeddings of q views, at least 2, of the samples of the last ``embeddings``: allows LiDAR,
            alignment and the fault of equal views.
        teacher: ``(n, D)``, the teacher's features of the same samples.
        labels: ``(n,)`` integers, negative for none; gives the share of samples whose class their neighbours tell.
        groups: ``(n,)`` integers, such as recordings; neighbours are then sought in other groups.

    Raises:
        ValueError: where an array has another shape.
    """
    series = _series(embeddings)
    last = next(reversed(series))
    rows, width = series[last].shape
    views = _shaped("views", views, (None, rows, width))
    if views is not None and len(views) < 2:
        raise ValueError("views: one view of each sample cannot be compared, give two or more of shape (q, n, D)")
    rest = dict(target=_shaped("teacher", teacher, (rows, width)), labels=_shaped("labels", labels, (rows,)),
                groups=_shaped("groups", groups, (rows,)))
    history = [{"step": step} | panel(z) for step, z in series.items() if step != last]
    figures = panel(series[last], **rest)
    if views is not None and "embedding/finite" not in figures:
        figures = panel(views) | figures
    history.append({"step": last} | figures)
    return Diagnosis(figures, verdict(history, patience=1), history)


def _series(embeddings) -> dict[int, Tensor]:
    if isinstance(embeddings, Mapping):
        series = dict(embeddings)
    elif isinstance(embeddings, Sequence) and embeddings and getattr(embeddings[0], "ndim", 0) == 2:
        series = dict(enumerate(embeddings))
    else:
        series = {0: embeddings}
    if not series:
        raise ValueError("embeddings: there are none")
    series = {step: _shaped("embeddings", z, (None, None)) for step, z in series.items()}
    if any(min(z.shape) < 2 for z in series.values()):
        raise ValueError("embeddings: a diagnosis needs two samples and two dimensions at least")
    return series


def _shaped(name: str, array, shape: tuple[int | None, ...]) -> Tensor | None:
    if array is None:
        return None
    array = torch.as_tensor(array).detach()
    if array.dim() != len(shape) or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name}: shape {tuple(array.shape)}, expected ({wanted})")
    return array
