"""Picks among snapshots or runs without labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.api.opening import Say, for_encoder, quiet
from unveil.api.pretraining import parts_of
from unveil.api.record import read_json
from unveil.contracts import Batch, Encoder
from unveil.data.options import Options
from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.health.criteria import CRITERIA, Criterion
from unveil.health.diagnose import diagnose
from unveil.health.panel import panel
from unveil.health.verdict import Finding
from unveil.randomness import Generator
from unveil.recipes.kept import load_encoder
from unveil.tasks.embedded import embed, frozen
from unveil.training.measure import device

DEFAULT = "effective-rank"  # of all criteria the one that lost the least accuracy in the stored rows; a test holds this
MOST, LEAST = 8192, 512  # samples that features are read of: 4 times the width of the widest encoder, within these
VIEWS = dict(area=(0.5, 1.0), size=1.0, strength=0.5, symmetry=False)  # the same for all candidates: at least half a sample, half strength


@dataclass(frozen=True)
class Candidate:
    """An encoder among those that one is picked from.

    Attributes:
        folder: to load it from.
        name: its run, or its step.
        figures: of its features, see :mod:`unveil.health.panel`; alignment and LiDAR from two views of each sample.
        findings: faults that the figures show.
        score: by the criterion, the higher the better; minus infinity where the features are unusable.
        first_half: the same on every other sample.
        second_half: and on the rest.
    """

    folder: Path
    name: str
    figures: dict[str, float]
    findings: list[Finding]
    score: float
    first_half: float
    second_half: float


def select(runs: Sequence[str | Path], data=None, *, by: str = DEFAULT, options: Options | None = None, seed: int = 0,
           say: Say = quiet) -> list[Candidate]:
    """Ranks the snapshots of one run, or several runs, by a label-free criterion; the best first, those with a fatal fault last.

    Args:
        runs: folder of one run that was taught with ``train.snapshots``, or of several runs or encoders.
        data: what all of them read; None takes what the runs were taught on, without what the first of them held out.
        by: name of a criterion of :data:`unveil.health.criteria.CRITERIA`.
        options: what is to be said of ``data``.
        seed: of the views.
        say: told each stage.

    Raises:
        Unusable: where there is nothing to choose from, or no common data are known.
    """
    if by not in CRITERIA:
        raise Unusable(f"there is no criterion {by!r}; there are: {', '.join(CRITERIA)}")
    folders = [Path(run) for run in runs]
    places = snapshots(folders[0]) if len(folders) == 1 else {str(folder): folder for folder in folders}
    encoders = {name: load_encoder(folder) for name, folder in places.items()}
    asked = None if data is not None else taught_on(folders)
    rows, found = min(MOST, max(LEAST, 4 * max(encoder.width for encoder in encoders.values()))), []
    for name, encoder in encoders.items():
        say(f"reading features of {name}")
        samples = for_encoder(encoder, *((data, options) if asked is None else (asked["data"], Options(**asked["options"]))), quiet)
        parts = parts_of(samples, asked["hold_out"], asked["seed"], quiet)[0] if asked else None
        found.append(_candidate(places[name], name, *_features(encoder, parts.train if parts else samples, rows, seed), CRITERIA[by]))
    return sorted(found, key=lambda each: each.score, reverse=True)


def snapshots(run: Path) -> dict[str, Path]:
    """Folders of the encoders that a run left on its way, by step.

    Raises:
        Unusable: where there are fewer than two.
    """
    found = {path.name: path for path in sorted((run / "snapshots").glob("step-*")) if (path / "config.json").exists()}
    if len(found) < 2:
        raise Unusable(f"{run} has {len(found)} snapshots, so there is nothing to choose from: teach with --train.snapshots 10 to keep "
                       "them, or name several runs")
    return found


def taught_on(folders: Sequence[Path]) -> dict[str, Any]:
    """What was asked of the first run, with its seed; all must have been taught on the same data.

    Raises:
        Unusable: where they were not, or their data are not known.
    """
    asked = []
    for folder in folders:
        if not (folder / "run.json").exists():
            raise Unusable(f"{folder} does not say what it was taught on: name data that all can read with --data")
        asked.append(read_json(folder, "run.json")["asked"])
        if asked[-1]["data"] is None:
            raise Unusable(f"{folder} was taught on an array, which it does not hold: name data with --data")
        if (asked[-1]["data"], asked[-1]["hold_out"]) != (asked[0]["data"], asked[0]["hold_out"]):
            told = [f"{each['data']}{'' if each['hold_out'] is None else ' without groups ' + str(each['hold_out'])}" for each in asked]
            raise Unusable(f"{folders[0]} was taught on {told[0]}, {folder} on {told[-1]}: name data that all can read with --data")
    return asked[0] | {"seed": read_json(folders[0], "recipe.json")["seed"]}


def _features(encoder: Encoder, samples: Samples, rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Features ``(n, D)`` of whole samples, evenly spaced, and ``(2, n, D)`` of two views of each."""
    part = samples.subset(np.unique(np.linspace(0, len(samples) - 1, min(rows, len(samples))).round().astype(int)))
    if len(part) < 8:
        raise Unusable(f"{len(part)} samples are too few to compare encoders by: give 8 at least, better {rows}")
    pooled = frozen(encoder.to(device()))

    def view(number: int) -> Callable[[Batch], Tensor]:
        return lambda batch: pooled(encoder.kind.view(batch, 1, **VIEWS, generator=Generator(seed, f"select {number}", device=device()))[0])

    whole, *views = (embed(part, describe, device=device()).features for describe in (pooled, view(0), view(1)))
    return whole, torch.stack(views)


def _candidate(folder: Path, name: str, whole: Tensor, views: Tensor, criterion: Criterion) -> Candidate:
    held = diagnose(whole, views)
    usable = not any(finding.fatal for finding in held.findings)
    halves = (criterion.score(panel(views[:, half::2]) | panel(whole[half::2])) for half in (0, 1))
    return Candidate(folder, name, held.figures, held.findings, *(score if usable else -math.inf for score in (
        criterion.score(held.figures), *halves)))
