"""Judges encoders, and features from anyone's code, on labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unveil.api.opening import Say, describe, for_encoder, quiet
from unveil.controls import Tasks, judge_encoder, judge_features, named
from unveil.data.features import open_features
from unveil.data.labels import attach
from unveil.data.options import Options
from unveil.data.samples import Samples
from unveil.data.split import judgeable, split
from unveil.errors import Unusable
from unveil.recipes.kept import load_encoder
from unveil.tasks.bench import Bench, Way
from unveil.training.checkpoint import write_json


def evaluate(target, data=None, *, tasks: Tasks | None = None, labels: str | Path | None = None, hold_out: Sequence[int] | None = None,
             budgets: Sequence[int | None] = (1, 5, 20, None), draws: int = 5, seed: int = 0, networks: bool = True,
             options: Options | None = None, out: str | Path | None = None, say: Say = quiet) -> list[dict[str, Any]]:
    """Judges an encoder on labelled data, or features that were made elsewhere, beside the controls.

    Args:
        target: an encoder, the folder of a run or encoder, or an array or ``.npz`` of features ``(n, D)``.
        data: labelled data for an encoder; not used for features.
        tasks: names, or tasks with settings of their own; ``"all"`` for all that can judge these data; None for linear, kNN and network.
        labels: CSV file of labels; see :func:`unveil.data.labels.attach_labels`.
        hold_out: groups to score on; None leaves the choice to :func:`unveil.data.split.split`.
        budgets: labels a class; None in it stands for all.
        draws: repeats with other labels.
        seed: of draws and split.
        networks: also train from scratch and fine-tune, where networks judge.
        options: what is to be said of the data.
        out: folder for ``results.json``, which must not be there yet.
        say: told each stage.

    Returns:
        rows of :class:`unveil.tasks.result.Result`.
    """
    place = Path(out) / "results.json" if out else None
    if place and place.exists():
        raise Unusable(f"{place} is there already and is not overwritten: choose another --out")
    named(tasks)
    options = Options(**(vars(options or Options()) | ({"labels": str(labels)} if labels else {})))
    features = isinstance(target, np.ndarray) or (isinstance(target, (str, Path)) and Path(target).suffix in (".npz", ".npy"))
    if features:
        samples = open_features(target, options)
        attach(samples, options)
    else:
        encoder = load_encoder(target) if isinstance(target, (str, Path)) else target
        if data is None:
            raise Unusable("an encoder is judged on labelled data: name them with --data")
        samples = for_encoder(encoder, data, options, say)
    if not samples.answered:
        source = next((str(each) for each in (data, target) if isinstance(each, (str, Path))), "the array")
        raise Unusable(f"{source} has no labels: give --labels folders, --labels COLUMN or --labels FILE.csv, or numbers to "
                       "predict with --targets")
    _tell_unlabelled(samples, say)
    parts = judgeable(split(samples, hold_out, seed=seed).readable())
    if place:
        place.parent.mkdir(parents=True, exist_ok=True)
    if features:
        bench = Bench(parts, {"features": Way(lambda batch: batch.values)}, budgets=budgets, draws=draws, seed=seed, say=say)
        rows = judge_features(bench, tasks)
    else:
        rows = judge_encoder(encoder, parts, tasks=tasks, budgets=budgets, draws=draws, seed=seed, fine_tune=networks, scratch=networks,
                             say=say)
    if place:
        write_json(place, {"rows": rows, "data": describe(samples, parts)})
    return rows


def _tell_unlabelled(samples: Samples, say: Say) -> None:
    if samples.labels is not None and (without := int((samples.labels < 0).sum())):
        say(f"{len(samples) - without:,} of {len(samples):,} samples have a label; they alone are learned from and scored")
