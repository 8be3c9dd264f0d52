"""Runs a study: every arm on every seed and split, one small row a finished (arm, seed)."""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unveil import api, plain_yaml
from unveil.api.opening import opened
from unveil.contracts import Encoder
from unveil.controls import TASKS, judge_controls, judge_encoder
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.samples import Samples
from unveil.data.split import Fold, GroupFold, Split, judgeable, split
from unveil.errors import Unusable
from unveil.kinds.kind import Kind
from unveil.provenance import code_version, machine
from unveil.recipes import recipe as recipes
from unveil.recipes.recipe import Recipe
from unveil.studies.parallel import side_by_side
from unveil.studies.summary import ACCURACY, Figure
from unveil.tasks.bench import spread
from unveil.training.checkpoint import write_json
from unveil.training.lock import alone
from unveil.training.log import read as read_log
from unveil.training.loop import definition

_OPENED: dict[str, tuple[Kind, Samples]] = {}  # the last two data that a study opened
OF_FOLD = ("split", "split_name", "seed", "code")  # what a row says once, not of every score
FOLDS = {"-fold stratified": Fold, "-fold by group": GroupFold}  # behind their number, in the file of a study


@dataclass(frozen=True)
class Study:
    """What is compared, on what, and how.

    Attributes:
        name: of the study and of its folder of rows.
        question: one sentence.
        data: a built-in set, or a path.
        options: what is to be said of the data.
        arms: name -> ``method`` and settings by dotted name.
        folds: groups to hold out, a list a fold; None is the source's own test part. "10-fold stratified" in YAML makes ten of samples,
            "8-fold by group" eight of whole groups, which of eight groups leaves each out once.
        budgets: labels a class; None is all.
        draws: repeats of few-label probes.
        seeds: how many.
        scale: of the recipes.
        labelled: training samples that probes may learn from, at most, evenly spaced; None for all.
        judged: another set, read as ``data`` are, that encoders are judged on; ``folds`` are of it, and teaching sees of ``data`` what is
            not its own test part. Empty for ``data``.
        taught_on: ``"train"``, or ``"all"``: teaching then sees the test samples too, without what is known of them.
        tasks: that judge, by name; empty for those that judge where nothing else is asked for.
        scratch: also train the network from scratch on the labels.
        fine_tune: also train the taught network on them.
        settings: for all arms.
        reasons: arm or arms -> why they fall short, as far as it is known.
        claim: what is said of ``arm``, one sentence; empty for a study without a verdict.
        arm: whose claim it is.
        over: arms that it must beat.
        without: arms that lack what the claim rests on; it must beat them too, and they need not have learned anything.
        level: arms that it must not be worse than.
        controls: ways that are no arms and that it must beat, each ``(features, task)``, such as ``("statistics", "forest")``.
        ranks: arms among whose runs the loss should rank the accuracy.
        task: by which the claim is judged.
        metric: of that task.
        smallest: smallest difference in that metric that matters, in its unit, fixed before any run.
    """

    name: str
    question: str
    data: str
    arms: dict[str, dict[str, Any]]
    folds: tuple[tuple[int, ...] | Fold | GroupFold | None, ...] = (None,)
    budgets: tuple[int | None, ...] = (1, 5, 20, None)
    draws: int = 5
    seeds: int = 3
    scale: str = "small"
    labelled: int | None = None
    judged: str = ""
    taught_on: Literal["train", "all"] = "train"
    tasks: tuple[str, ...] = ()
    scratch: bool = True
    fine_tune: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    claim: str = ""
    arm: str = ""
    over: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    controls: tuple[tuple[str, str], ...] = ()
    ranks: tuple[str, ...] = ()
    task: str = ACCURACY.task
    metric: str = ACCURACY.metric
    smallest: float = 0.02

    @property
    def figure(self) -> Figure:
        """What the claim is judged by."""
        return Figure(self.task, self.metric)


def load_studies(name: str) -> list[Study]:
    """The studies of a YAML file, by name or path: one, or one a kind of data, called ``NAME-KIND``. Such a name gives that one alone.

    Raises:
        Unusable: where there is none, or it holds what a study does not know.
    """
    home = resources.files("unveil.studies")
    file = Path(name) if name.endswith(".yaml") else home / f"{name}.yaml"
    if not file.is_file():
        stem = name.rpartition("-")[0]
        if (home / f"{stem}.yaml").is_file() and (found := [study for study in load_studies(stem) if study.name == name]):
            return found
        raise Unusable(f"there is no study {Path(name).stem!r}; there are: {', '.join(study_names())}")
    try:
        held = plain_yaml.load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as why:
        raise Unusable(f"cannot read the study {file}: {why}") from why
    if not isinstance(held, dict):
        raise Unusable(f"the study {file} must be a table of settings, such as 'data: watch'")
    try:
        kinds = held.pop("kinds", {"": {}})
        return [_study(file, _file_name(f"{Path(name).stem}-{kind}" if kind else Path(name).stem), _merged(held, more))
                for kind, more in kinds.items()]
    except (TypeError, AttributeError, ValueError) as why:
        raise Unusable(f"the study {file} has a list where a table must be, or the other way; the studies that "
                       "come with unveil show the form") from why


def load_study(name: str) -> Study:
    """The only study of that name; see :func:`load_studies`.

    Raises:
        Unusable: where there is none, or several.
    """
    found = load_studies(name)
    if len(found) > 1:
        raise Unusable(f"{name} is several studies: {', '.join(study.name for study in found)}")
    return found[0]


def _merged(held: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return held | more | {"settings": held.get("settings", {}) | more.get("settings", {})}


def _study(file, name: str, held: dict[str, Any]) -> Study:
    if isinstance(table := held.get("settings", {}).get("method"), dict):  # an arm that names its method would drop it
        held["settings"] = {k: v for k, v in held["settings"].items() if k != "method"} | {f"method.{k}": v for k, v in table.items()}
    held["folds"] = _folds(file, held.get("folds", [None]))
    held |= {"budgets": tuple(held.get("budgets", [1, 5, 20, None])), "tasks": tuple(held.get("tasks", ())),
             "controls": tuple(map(tuple, held.get("controls", ())))}
    try:
        study = Study(name=name, **held)
    except TypeError as why:
        raise Unusable(f"the study {file} {str(why).removeprefix('Study.__init__() ')}") from why
    named = [study.arm] * bool(study.claim) + [*study.over, *study.without, *study.level, *study.ranks]
    if missing := [arm for arm in named if arm not in study.arms]:
        raise Unusable(f"the study {file} claims something of {missing[0]!r}, which is none of its arms: {', '.join(study.arms)}")
    if study.taught_on not in ("train", "all"):
        raise Unusable(f"the study {file} teaches on {study.taught_on!r}; it must be train or all")
    for task in (*study.tasks, study.task, *(task for _, task in study.controls)):
        recipes.find("task", task)
        if task not in (study.tasks or TASKS):
            raise Unusable(f"the study {file} is judged by {task!r}, which is none of its tasks: {', '.join(study.tasks or TASKS)}")
    return study


def _folds(file, given: Any) -> tuple[tuple[int, ...] | Fold | GroupFold | None, ...]:
    """Lists of groups as they are, ``"10-fold stratified"`` as ten folds of samples, and ``"8-fold by group"`` as eight of whole groups."""
    if isinstance(given, str):
        number, rest = re.match(r"(\d*)(.*)", given).groups()
        if rest not in FOLDS or int(number or 0) < 2:
            raise Unusable(f"the study {file} has the folds {given!r}: lists of groups, or such as '10-fold stratified' or "
                           "'8-fold by group', are meant")
        return tuple(FOLDS[rest](place, int(number)) for place in range(int(number)))
    return tuple(tuple(fold) if fold else None for fold in given)


def study_names() -> list[str]:
    """Of the studies that come with the package."""
    files = sorted(file.name.removesuffix(".yaml") for file in resources.files("unveil.studies").iterdir() if file.name.endswith(".yaml"))
    return [study.name for name in files for study in load_studies(name)]


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
    _OPENED.clear()
    code_version()  # of what is loaded now: a checkout may move on while a study runs
    chosen = [(arm, seed) for seed in range(study.seeds if seeds is None else seeds) for arm in arms or study.arms]
    made = finished(study, results)
    missing = [one for one in chosen if one not in made]
    if jobs > 1 and missing:
        tasks = [(study, arm, seed, held, _fold_folder(runs / study.name, arm, seed, number))
                 for arm, seed in missing for number, held in enumerate(study.folds)]
        side_by_side(_run_fold, tasks, [task[-1].name for task in tasks], min(jobs, len(tasks)), say)
    for number, (arm, seed) in enumerate(missing):
        say(f"{study.name}: {arm}, seed {seed}, {number + 1} of {len(missing)}")
        row = _run_arm(study, arm, seed, runs / study.name, show, say)
        made[arm, seed] = json.loads(json.dumps(row))  # as it is found on disk the next time
        write_json(results / study.name / f"{_file_name(arm)}-s{seed}.json", made[arm, seed])
    return [made[one] for one in chosen]


def finished(study: Study, results: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Rows of the study that are on disk, by arm and seed. One that another study made of an equal arm counts."""
    rows = {row["definition"]: row for row in (json.loads(path.read_text()) for path in sorted(results.glob("*/*-s*.json")))}
    found = {}
    for seed in sorted({row["seed"] for row in rows.values()}):
        for arm in study.arms:
            if row := rows.get(arm_definition(study, arm, seed)):
                found[arm, seed] = row | {"arm": arm, "study": study.name}
    return found


def _file_name(arm: str) -> str:
    """In no other folder, whatever the name."""
    return arm.replace(" ", "-").replace(os.sep, "-")


def _fold_folder(home: Path, arm: str, seed: int, number: int) -> Path:
    return home / f"{_file_name(arm)}-s{seed}-f{number}"


def arm_definition(study: Study, arm: str, seed: int) -> str:
    """Hash of all that an (arm, seed) depends on but the code."""
    facts = {name: value for name, value in vars(study).items() if name in ("data", "folds", "budgets", "draws", "scale", "settings")}
    facts |= {name: value for name in ("labelled", "options") if (value := getattr(study, name))} | _unusual(study)
    return definition(facts | {"arm": study.arms[arm], "seed": seed})


def _unusual(study: Study) -> dict[str, Any]:
    """What has been asked for beyond the usual, which is in no definition."""
    usual = {field.name: field.default for field in fields(Study)}
    return {name: value for name in ("judged", "taught_on", "tasks") if (value := getattr(study, name)) != usual[name]}


def _run_arm(study: Study, arm: str, seed: int, home: Path, show, say) -> dict[str, Any]:
    folds = []
    for number, held in enumerate(study.folds):
        folder = _fold_folder(home, arm, seed, number)
        folds.append(_run_fold(study, arm, seed, held, folder, show, say) | _course(folder))
    recipe = _recipe(study, arm, seed, json.loads((folder / "encoder" / "config.json").read_text())["kind"]["name"])
    row = {"study": study.name, "arm": arm, "seed": seed, "definition": arm_definition(study, arm, seed),
           "recipe": {name: getattr(recipe, name) for name in recipes.SECTIONS}, "code": code_version(),
           "date": str(datetime.date.today()), "machine": machine(), "seconds": sum(fold["seconds"] for fold in folds),
           "cpu_seconds": sum(fold["cpu_seconds"] for fold in folds), "folds": folds}
    return row | {"hash": row_hash(row)}


def _course(folder: Path) -> dict[str, Any]:
    """How a run went: its last loss, and by how much the accuracy of neighbours rose in the last quarter of its steps over the quarter
    before."""
    log = read_log(folder / "metrics.jsonl")
    total = log[-1]["step"]
    rated = [(row["step"] / total, row["embedding/knn"]) for row in log if "embedding/knn" in row]
    last, before = ([rate for at, rate in rated if low < at <= low + 0.25] for low in (0.75, 0.5))
    return {"loss": round(float(np.mean([row["loss"] for row in log if row["step"] > 0.9 * total])), 6),
            "rise": round(float(np.mean(last) - np.mean(before)), 4) if last and before else None}


def row_hash(row: dict[str, Any]) -> str:
    """Of all in a row that is the same when it is made again, by a run that was killed on its way too: not of time, date and machine, nor
    of what the monitor saw, which begins anew after a kill."""
    kept = ("split", "steps", "encoder", "loss", "scores")
    return definition({"definition": row["definition"], "folds": [{name: fold[name] for name in kept} for fold in row["folds"]]})


def _data(study: Study, arm: str, say: Callable[[str], None]) -> tuple[Kind, Samples]:
    """The data of an arm, opened; arms and seeds that read them alike share them."""
    asked = definition({name: value for name, value in (study.settings | study.arms[arm]).items() if name.startswith("kind")}
                       | {"data": study.data, "options": study.options, "scale": study.scale, "method": _apart(study, arm)[0]})
    if asked not in _OPENED:
        while len(_OPENED) > 1:
            _OPENED.pop(next(iter(_OPENED)))
        options = Options(**study.options)
        name, records = open_records(study.data, options, say)
        kind = _recipe(study, arm, 0, name).build_kind()
        _OPENED[asked] = kind, opened(kind, records, options, say)
    return _OPENED[asked]


def _judged(study: Study, arm: str, kind: Kind, samples: Samples, say: Callable[[str], None]) -> Samples:
    """What encoders are judged on, read as what they were taught on."""
    if not study.judged:
        return samples
    asked = definition({"judged": study.judged, "kind": kind.fixed(samples)})
    if asked not in _OPENED:
        name, records = open_records(study.judged, options := Options(**study.options | {"kind": kind.name}), say)
        recipe = _recipe(study, arm, 0, name)
        reader = replace(recipe, kind=recipe.kind | kind.fixed(samples)).build_kind()
        _OPENED[asked] = reader, opened(reader, records, options, say)
    return _OPENED[asked][1]


def _run_fold(study: Study, arm: str, seed: int, held, folder: Path, show, say) -> dict[str, Any]:
    done = folder / "fold.json"
    kind, samples = _data(study, arm, say)
    parts = judgeable(split(_judged(study, arm, kind, samples, say), held).readable())
    learned = split(samples).readable().train if study.judged else parts.train
    if study.taught_on == "all" and kind.uses_labels:
        raise Unusable(f"the study {study.name} teaches on all samples, and what they say names the labels of those to score on")
    if study.taught_on == "all":
        learned = samples.subset(samples.readable())
        parts = replace(parts, name=f"{parts.name}; taught on all samples, without what is known of them")
    method, given = _apart(study, arm)
    recipe = api.settle(learned, kind, method, scale=study.scale, seed=seed, settings=given)
    wanted = definition({"recipe": recipe.to_json(), "split": parts.hash, "budgets": study.budgets, "draws": study.draws} | _unusual(study))
    if done.exists() and (row := json.loads(done.read_text()))["definition"] == wanted:
        return row["fold"]
    say(f"{arm}, seed {seed}, {parts.name}: teaching on {len(learned)} samples")
    with alone(folder, say):
        fold = _teach_and_judge(study, recipe, kind, parts, learned, folder, show, say)
        write_json(done, {"definition": wanted, "fold": fold})
    return fold


def _teach_and_judge(study: Study, recipe: Recipe, kind: Kind, parts: Split, learned: Samples, folder: Path, show, say) -> dict[str, Any]:
    encoder, ending = api.train(recipe, kind, learned, folder, show=show, say=say)
    if ending.status == "stopped":
        raise KeyboardInterrupt
    how = dict(budgets=study.budgets, draws=study.draws, seed=recipe.seed, say=say) | ({"tasks": study.tasks} if study.tasks else {})
    judged = _judged_on(parts, study.labelled)
    beside = _controls(recipe, encoder, judged, folder.parent, how | {"scratch": study.scratch})
    scores = judge_encoder(encoder, judged, beside=beside, fine_tune=study.fine_tune, **how)
    last = (read_log(folder / "metrics.jsonl") or [{}])[-1]
    return {"split": parts.hash, "split_name": parts.name, "seconds": ending.seconds, "cpu_seconds": ending.cpu_seconds,
            "status": ending.status, "steps": ending.step, "findings": ending.findings,
            "figures": {k: round(v, 5) for k, v in last.items() if isinstance(v, float) and "/" in k},
            "encoder": scores[0]["encoder"],
            **({"doubts": learned.doubts} if learned.doubts else {}),
            "scores": [{name: value for name, value in score.items() if name not in OF_FOLD} | _rounded(score) for score in scores]}


def _apart(study: Study, arm: str) -> tuple[str, dict[str, Any]]:
    """Method and settings of an arm."""
    settings = study.settings | study.arms[arm]
    return settings["method"], {name: value for name, value in settings.items() if name != "method"}


def _recipe(study: Study, arm: str, seed: int, kind: str) -> Recipe:
    method, given = _apart(study, arm)
    return recipes.resolve(method, kind, scale=study.scale, given=given, seed=seed)


def _judged_on(parts: Split, most: int | None) -> Split:
    """The same split with at most ``most`` samples to learn from, evenly spaced; where numbers are to be predicted, of the samples of which
    something is known."""
    parts = parts if parts.train.targets is None else Split(*(side.subset(_known(side)) for side in (parts.train, parts.test)), parts.name)
    return parts if most is None else replace(parts, train=parts.train.subset(spread(len(parts.train), most)))


def _known(side: Samples) -> np.ndarray:
    """Bool ``(n,)``: whether anything can be learned of a sample, or scored."""
    if side.dense is not None:
        return np.ones(len(side), dtype=bool)
    known = np.isfinite(side.targets) | side.forced
    return known if side.labels is None else known | (side.labels >= 0)


def _rounded(score: dict[str, Any]) -> dict[str, Any]:
    """The figures of a result as a row holds them, committed and small: shares to four places, others to six digits."""
    near = (lambda x: round(x, 4)) if score["unit"] == "share" else (lambda x: float(f"{x:.6g}"))
    ends = {name: None if score[name] is None else near(score[name]) for name in ("value", "low", "high")}
    return ends | {name: [near(x) for x in score[name]] for name in ("values", "parts")}


def _controls(recipe: Recipe, encoder: Encoder, parts: Split, home: Path, how: dict[str, Any]) -> list[dict[str, Any]]:
    """The controls of an arm, which arms with the same network share."""
    facts = {name: value for name, value in how.items() if name != "say"}
    facts |= {"encoder": recipe.encoder, "kind": recipe.kind, "split": parts.hash}
    place = home / f"controls-{definition(facts)}.json"
    if not place.exists():
        write_json(place, judge_controls(encoder, parts, **how))
    return json.loads(place.read_text())
