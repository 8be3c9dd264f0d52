"""Runs a study: every arm on every seed and split, one small row a finished (arm, seed)."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from unveil import __version__, api
from unveil.contracts import Encoder
from unveil.controls import judge_controls, judge_encoder
from unveil.data.opening import open_records
from unveil.data.split import Split, split
from unveil.errors import Unusable
from unveil.recipes import recipe as recipes
from unveil.recipes.recipe import Recipe
from unveil.studies.parallel import side_by_side
from unveil.training.checkpoint import write_json
from unveil.training.log import read as read_log
from unveil.training.loop import definition


@dataclass(frozen=True)
class Study:
    """What is compared, on what, and how.

    Attributes:
        name: of the study and of its folder of rows.
        question: one sentence.
        data: a built-in set.
        arms: name -> ``method`` and settings by dotted name.
        folds: groups to hold out, a list a fold; None is the source's own test part.
        budgets: labels a class; None is all.
        draws: repeats of few-label probes.
        seeds: how many.
        scale: of the recipes.
        networks: also train from scratch and fine-tune.
        settings: for all arms.
        reasons: arm or arms -> why they fall short, as far as it is known.
    """

    name: str
    question: str
    data: str
    arms: dict[str, dict[str, Any]]
    folds: tuple[tuple[int, ...] | None, ...] = (None,)
    budgets: tuple[int | None, ...] = (1, 5, 20, None)
    draws: int = 5
    seeds: int = 3
    scale: str = "small"
    networks: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def load_study(name: str) -> Study:
    """A study by name or by path of its YAML file.

    Raises:
        Unusable: where there is none, or it holds what a study does not know.
    """
    file = Path(name) if name.endswith(".yaml") else resources.files("unveil.studies") / f"{name}.yaml"
    if not file.is_file():
        raise Unusable(f"there is no study {name!r}; there are: {', '.join(study_names())}")
    try:
        held = yaml.safe_load(file.read_text())
    except yaml.YAMLError as why:
        raise Unusable(f"cannot read the study {file}: {why}") from why
    if not isinstance(held, dict):
        raise Unusable(f"the study {file} must be a table of settings, such as 'data: watch'")
    held["folds"] = tuple(tuple(fold) if fold else None for fold in held.get("folds", [None]))
    held["budgets"] = tuple(held.get("budgets", [1, 5, 20, None]))
    try:
        return Study(name=Path(name).stem, **held)
    except TypeError as why:
        raise Unusable(f"the study {file} {str(why).removeprefix('Study.__init__() ')}") from why


def study_names() -> list[str]:
    """Of the studies that come with the package."""
    return sorted(file.name.removesuffix(".yaml") for file in resources.files("unveil.studies").iterdir() if file.name.endswith(".yaml"))


def run_study(study: Study, *, seeds: int | None = None, arms: Sequence[str] | None = None, results: Path = Path("results"),
              runs: Path = Path("runs"), jobs: int = 1, show: Callable[[dict], None] = lambda row: None,
              say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """Every row of the study; those that are on disk for the same definition are not made again.

    Args:
        study: what to run.
        seeds: how many, from 0; None takes the study's.
        arms: names; None takes all.
        results: folder of row files.
        runs: folder of the runs themselves; a killed one goes on from its checkpoint.
        jobs: folds that run side by side.
        show: called with each logged row of training.
        say: told each stage.
    """
    code_version()  # of what is loaded now: a checkout may move on while a study runs
    chosen = [(arm, seed) for seed in range(study.seeds if seeds is None else seeds) for arm in arms or study.arms]
    missing = [(arm, seed) for arm, seed in chosen if not _is_made(study, arm, seed, results)]
    if jobs > 1 and missing:
        tasks = [(study, arm, seed, held, _fold_folder(runs / study.name, arm, seed, number))
                 for arm, seed in missing for number, held in enumerate(study.folds)]
        side_by_side(_run_fold, tasks, [task[-1].name for task in tasks], min(jobs, len(tasks)), say)
    rows = []
    for arm, seed in chosen:
        path = _row_path(study, arm, seed, results)
        if (arm, seed) in missing:
            say(f"{study.name}: {arm}, seed {seed}")
            write_json(path, _run_arm(study, arm, seed, runs / study.name, show, say))
        rows.append(json.loads(path.read_text()))
    return rows


def _row_path(study: Study, arm: str, seed: int, results: Path) -> Path:
    return results / study.name / f"{arm}-s{seed}.json"


def _is_made(study: Study, arm: str, seed: int, results: Path) -> bool:
    path = _row_path(study, arm, seed, results)
    return path.exists() and json.loads(path.read_text())["definition"] == arm_definition(study, arm, seed)


def _fold_folder(home: Path, arm: str, seed: int, number: int) -> Path:
    return home / f"{arm}-s{seed}-f{number}"


def arm_definition(study: Study, arm: str, seed: int) -> str:
    """Hash of all that an (arm, seed) depends on but the code."""
    facts = {name: value for name, value in vars(study).items() if name in ("data", "folds", "budgets", "draws", "scale", "settings")}
    return definition(facts | {"arm": study.arms[arm], "seed": seed})


def _run_arm(study: Study, arm: str, seed: int, home: Path, show, say) -> dict[str, Any]:
    folds = [_run_fold(study, arm, seed, held, _fold_folder(home, arm, seed, number), show, say)
             for number, held in enumerate(study.folds)]
    return {"study": study.name, "arm": arm, "seed": seed, "definition": arm_definition(study, arm, seed),
            "code": code_version(), "date": str(datetime.date.today()),
            "machine": machine(), "seconds": sum(f["seconds"] for f in folds), "cpu_seconds": sum(f["cpu_seconds"] for f in folds),
            "folds": folds}


def _run_fold(study: Study, arm: str, seed: int, held, folder: Path, show, say) -> dict[str, Any]:
    done = folder / "fold.json"
    settings = study.settings | study.arms[arm]
    method, given = settings["method"], {k: v for k, v in settings.items() if k != "method"}
    name, records = open_records(study.data, say=say)
    first = recipes.resolve(method, name, scale=study.scale, given=given, seed=seed)
    kind = first.build_kind()
    parts = split(kind.open(records), held)
    recipe = api.plan(parts.train, kind, method, scale=study.scale, seed=seed, settings=given)
    wanted = definition({"recipe": recipe.to_json(), "split": parts.hash, "budgets": study.budgets, "draws": study.draws})
    if done.exists() and (row := json.loads(done.read_text()))["definition"] == wanted:
        return row["fold"]
    say(f"{arm}, seed {seed}, {parts.name}: teaching on {len(parts.train)} samples")
    encoder, ending = api.train(recipe, kind, parts.train, folder, show=show, say=say)
    if ending.status == "stopped":
        raise KeyboardInterrupt
    how = dict(budgets=study.budgets, draws=study.draws, seed=seed, networks=study.networks, say=say)
    scores = judge_encoder(encoder, parts, beside=_controls(recipe, encoder, parts, folder.parent, how), **how)
    last = (read_log(folder / "metrics.jsonl") or [{}])[-1]
    fold = {"split": parts.hash, "split_name": parts.name, "seconds": ending.seconds, "cpu_seconds": ending.cpu_seconds,
            "status": ending.status, "steps": ending.step, "findings": ending.findings,
            "figures": {k: round(v, 5) for k, v in last.items() if isinstance(v, float) and "/" in k},
            "scores": [{k: score[k] for k in ("task", "features", "labels")} | {"values": np.round(score["values"], 4).tolist()}
                       for score in scores]}
    write_json(done, {"definition": wanted, "fold": fold})
    return fold


def _controls(recipe: Recipe, encoder: Encoder, parts: Split, home: Path, how: dict[str, Any]) -> list[dict[str, Any]]:
    """The controls of an arm, which arms with the same network share."""
    facts = {name: value for name, value in how.items() if name != "say"}
    facts |= {"encoder": recipe.encoder, "kind": recipe.kind, "split": parts.hash}
    place = home / f"controls-{definition(facts)}.json"
    if not place.exists():
        write_json(place, judge_controls(encoder, parts, **how))
    return json.loads(place.read_text())


def machine() -> str:
    """Architecture, cores, GPU and torch of this machine."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{platform.machine()}, {os.cpu_count()} cores, {gpu}, torch {torch.__version__}"


@cache
def code_version() -> str:
    """The package's version, and the commit where it runs from a checkout."""
    here = Path(__file__).parent
    asked = subprocess.run(["git", "-C", here, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return f"{__version__}+{asked.stdout.strip()}" if asked.returncode == 0 else __version__
