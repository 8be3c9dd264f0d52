"""Watches a run: keeps the last features, and every so often makes figures and a verdict of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import torch
from torch import distributed

from unveil.health.panel import PARTS, panel
from unveil.health.verdict import Finding, verdict

MOST = 8192  # rows that are kept at most
LEAST = 512  # and at least, for neighbours


class Monitor:
    """The monitor of a training loop. It changes nothing, and costs no synchronisation but where it judges.

    Args:
        total: steps of the run.
        every: steps between panels; None for 20, or 1/500 of the run where that is more. The first panel is made at the first
            chance, to know the state before learning, and one at the end.
        labels: ``(N,)`` integers by sample id, negative for none; they stay here, for the figure of kNN.
        groups: ``(N,)`` integers by sample id, such as recordings. Neighbours come from other groups, else from other samples.
        rows: features to judge by; None for 4 times the width of the wider layer, from 512 to 8192.
    """

    def __init__(self, total: int, every: int | None = None, *, labels=None, groups=None, rows: int | None = None):
        self.total, self.every, self.rows = total, every or max(20, total // 500), rows
        self.labels = None if labels is None else torch.as_tensor(labels)
        self.groups = None if groups is None else torch.as_tensor(groups)
        self.history: list[dict[str, float]] = []
        self.judged: int | None = None
        self.findings: list[Finding] = []
        self.kept: deque[dict[str, torch.Tensor]] = deque()

    def recall(self, rows: Iterable[dict[str, float]]) -> None:
        """Takes up the logged rows of a run that is resumed, and what they say."""
        self.history = [row for row in rows if "embedding/width" in row]
        self.judged = self.history[-1]["step"] if self.history else None
        self.findings = verdict(self.history, self.total) if self.history else []

    def observe(self, index: int, batch, output) -> None:
        """Keeps the features of a step, on their device.

        Args:
            index: of the step, from 0.
            batch: samples, of which ``ids (B,)`` are read.
            output: its ``shown`` holds ``embedding (views, B, D)`` and may hold ``projection`` and a ``target`` of that shape.
        """
        shown = {name: output.shown[name] for name in PARTS if name in output.shown}
        if "embedding" not in shown:
            return
        target = output.shown.get("target")
        if target is not None and target.shape == shown.get("projection", shown["embedding"]).shape:
            shown["target"] = target
        if self.kept.maxlen is None:
            wanted = self.rows or min(MOST, max(LEAST, 4 * max(z.shape[-1] for z in shown.values())))
            self.kept = deque(maxlen=-(-wanted // len(batch.ids)))
        self.kept.append(shown | {"ids": batch.ids})

    def judge(self, done: int, row: dict[str, Any]) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Figures and new findings after ``done`` steps; empty where it is not time.

        Args:
            done: steps made.
            row: of the log, of which ``loss`` is read.

        Returns:
            figures by name, and findings that were not reported before. With several processes those of the first, on all.
        """
        if not self.kept or (self.judged is not None and done - self.judged < self.every and done < self.total):
            return {}, []
        self.judged = done
        many = distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
        answer = [self._judged(done, row) if not many or distributed.get_rank() == 0 else None]
        if many:
            distributed.broadcast_object_list(answer)
        return answer[0]

    def _judged(self, done: int, row: dict[str, Any]) -> tuple[dict[str, float], list[dict[str, Any]]]:
        figures = self._figures()
        self.history.append({"step": done, "loss": row["loss"]} | figures)
        told = {(finding.fault, finding.part) for finding in self.findings}
        new = [finding for finding in verdict(self.history, self.total) if (finding.fault, finding.part) not in told]
        self.findings += new
        return figures, [finding.to_json() for finding in new]

    @torch.no_grad()
    def _figures(self) -> dict[str, float]:
        ids = torch.cat([step["ids"] for step in self.kept]).cpu()
        joined = {name: torch.cat([step[name] for step in self.kept], -2) for name in self.kept[-1] if name != "ids"}
        labels = None if self.labels is None else self.labels[ids]
        return panel(joined["embedding"], joined.get("projection"), target=joined.get("target"), labels=labels,
                     groups=ids if self.groups is None else self.groups[ids])
