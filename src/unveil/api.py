"""The verbs of unveil in Python. The command line parses, calls these, and prints."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from unveil.contracts import Encoder
from unveil.controls import judge_encoder
from unveil.data.features import open_features
from unveil.data.labels import attach_labels
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.records import Records
from unveil.data.samples import Samples
from unveil.data.split import Split, judgeable, split
from unveil.errors import Unusable
from unveil.health.monitor import Monitor
from unveil.kinds.kind import Kind
from unveil.parts.distributed import helper
from unveil.recipes import recipe as recipes
from unveil.recipes import scale as scales
from unveil.recipes.check import checked, find
from unveil.recipes.kept import load_encoder, save_encoder
from unveil.recipes.recipe import Recipe
from unveil.tasks.embedded import embed as embed_samples
from unveil.tasks.embedded import frozen
from unveil.tasks.judge import judge
from unveil.training import measure
from unveil.training.checkpoint import refuse_other, write_atomic
from unveil.training.loop import Ending, Loop, definition
from unveil.training.measure import device

HARMLESS = ("stop_unhealthy", "memory_share", "checkpoint_every")
DEFAULT_METHOD = {"image": "simclr", "signal": "simclr"}
Say = Callable[[str], None]


def _quiet(text: str) -> None:
    pass


@dataclass
class Run:
    """A finished run: its folder and what is in it.

    Attributes:
        folder: where everything lies.
        encoder: what was taught, in evaluation mode; ``encoder.kind`` reads new data.
        recipe: resolved.
        ending: how it ended.
        rows: what the judging said; empty where there were no labels.
        facts: of the data: counts, faults, split.
        samples: all data.
        parts: the split that was judged on; None where there were no labels.
        asked: what the caller gave: ``data`` (None for an array), ``options``, ``hold_out``, ``budgets``, ``settings``.
    """

    folder: Path
    encoder: Encoder
    recipe: Recipe
    ending: Ending
    rows: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    samples: Samples | None = None
    parts: Split | None = None
    asked: dict[str, Any] = field(default_factory=dict)


def open_data(source, kind: Kind | None = None, options: Options | None = None, settings: Mapping[str, Any] | None = None,
              say: Say = _quiet) -> tuple[Kind, Samples]:
    """Opens data as samples of a kind.

    Args:
        source: name of a built-in set, path, ``hf:NAME``, array or table of arrays.
        kind: as an encoder was taught on; None detects it.
        options: what is to be said of the source.
        settings: of a detected kind.
        say: told what is fetched.
    """
    options = options or Options()
    name, records = open_records(source, Options(**(vars(options) | {"kind": kind.name})) if kind else options, say)
    if kind is None:
        kind = recipes.build("kind", {"name": name} | checked(find("kind", name), settings or {}, "kind"))
    return kind, _opened(kind, records, options, say)


def _opened(kind: Kind, records: Records, options: Options, say: Say) -> Samples:
    samples = kind.open(records)
    for note in samples.notes:
        say(note)
    if options.label_file:
        attach_labels(samples, options.label_file)
    return samples


def _for_encoder(encoder: Encoder, source, options: Options | None, say: Say) -> Samples:
    """Data opened as an encoder was taught on.

    Raises:
        Unusable: where they have another number of channels.
    """
    _, samples = open_data(source, encoder.kind, options, say=say)
    if samples.channels != encoder.spec.channels:
        raise Unusable(f"{source if isinstance(source, (str, Path)) else 'the array'} has {samples.channels} channels, the encoder was "
                       f"taught on {encoder.spec.channels}: give data with the same channels")
    return samples


def plan(samples: Samples, kind: Kind, method: str, *, encoder: str | None = None, scale: str = "auto", budget: str | None = None,
         seed: int = 0, settings: Mapping[str, Any] | None = None) -> Recipe:
    """The resolved recipe of a run, after the memory check and, for a budget, after measuring 20 steps."""
    given = dict(settings or {}) | ({"encoder.name": encoder} if encoder else {})
    recipe = recipes.resolve(method, kind.name, scale=scale, given=given, seed=seed)
    recipe.kind |= kind.fixed(samples)
    here = device()
    if scale == "auto":
        recipe = scales.adjust(recipe, len(samples), here, given)
    training = recipe.training()
    if training.batch % (training.accumulate * training.devices):
        raise Unusable(f"--train.batch {training.batch} is not a multiple of accumulate {training.accumulate} x devices "
                       f"{training.devices}, the parts that it is cut into")
    spec = samples.spec()
    try:
        trial = recipe.build_method(recipe.build_encoder(spec)).to(here)
        need = measure.step_bytes(trial, kind, samples, training, here)
    except (ValueError, RuntimeError, ArithmeticError) as why:
        raise Unusable(f"{method} cannot take a step with these settings on samples of {'x'.join(map(str, samples.shape))} with "
                       f"{samples.channels} channels: {why}") from why
    measure.refuse_too_large(need, measure.memory_limit(here), training)
    if budget:
        each = measure.seconds_per_step(trial, kind, samples, training, here)
        recipe = scales.within_budget(recipe, scales.parse_budget(budget), each)
    return recipe


def train(recipe: Recipe, kind: Kind, samples: Samples, folder: Path | None, *, show: Callable[[dict], None] = lambda row: None,
          say: Say = _quiet) -> tuple[Encoder, Ending]:
    """Runs a resolved recipe on samples and saves the kept encoder; goes on where an interrupted run of it stopped."""
    encoder = recipe.build_encoder(samples.spec())
    if hasattr(encoder, "matched"):
        say(f"outside weights: {encoder.matched}")
    method, settings = recipe.build_method(encoder), recipe.training()
    monitor = Monitor(settings.total(len(samples)), labels=by_id(samples, samples.labels), groups=by_id(samples, samples.groups))
    loop = Loop(method, kind, samples, settings, seed=recipe.seed, folder=folder / "checkpoints" if folder else None,
                definition=_definition(recipe, samples), monitor=monitor, show=show, say=say)
    ending = loop.run()
    encoder = method.kept()["encoder"].eval().requires_grad_(False)
    encoder.kind = recipe.build_kind()
    if folder and ending.status != "stopped" and not helper():
        save_encoder(folder / "encoder", encoder, recipe)
    return encoder, ending


def pretrain(data, *, method: str | None = None, kind: str | None = None, encoder: str | None = None, out: str | Path | None = None,
             scale: str = "auto", budget: str | None = None, seed: int = 0, hold_out: Sequence[int] | None = None,
             budgets: Sequence[int | None] = (1, 5, 20, None), networks: bool = True, options: Options | None = None,
             settings: Mapping[str, Any] | None = None, show: Callable[[dict], None] = lambda row: None, say: Say = _quiet) -> Run:
    """Teaches an encoder from unlabelled data and, where labels are known, judges it on held-out data.

    Args:
        data: name of a built-in set, path, ``hf:NAME``, array or table of arrays.
        method: name; None takes the kind's default.
        kind: name; None detects it.
        encoder: name; None takes the recipe's.
        out: folder of the run; None makes ``runs/DATA-METHOD``.
        scale: ``"auto"``, ``"small"`` or ``"published"``.
        budget: time for the whole training, such as ``"10m"``.
        seed: of everything random.
        hold_out: groups that are kept for judging; None leaves the choice to :func:`unveil.data.split.split`.
        budgets: labels a class to judge with; None in it stands for all.
        networks: also judge the same network trained from scratch and fine-tuned, which takes most of the judging.
        options: what is to be said of the data.
        settings: any setting by its dotted name, such as ``{"train.epochs": 20}``.
        show: called with each logged row.
        say: told each stage.

    Returns:
        the run; with ``train.devices`` above 1 only the first process judges and writes it.

    Raises:
        Unusable: for every mistake in data or settings, before any work.
    """
    settings = dict(settings or {})
    given = settings | ({"encoder.name": encoder} if encoder else {})
    named = {section: held.get("name") for section, held in recipes.sections(settings).items()}
    kind = kind or (options.kind if options else None) or named["kind"]
    options = Options(**(vars(options or Options()) | {"kind": kind}))
    name, records = open_records(data, options, say)
    method = method or named["method"] or DEFAULT_METHOD[name]
    made = recipes.resolve(method, name, scale=scale, given=given, seed=seed).build_kind()
    samples = _opened(made, records, options, say)
    parts, judged = _parts(samples, hold_out, seed, say)
    learn = parts.train if parts else samples
    recipe = plan(learn, made, method, scale=scale, budget=budget, seed=seed, settings=given)
    called = Path(data).resolve().stem if isinstance(data, (str, Path)) else "array"
    folder = Path(out) if out else Path("runs") / f"{called}-{method}"
    recipe = _as_begun(recipe, folder) if budget else recipe
    refuse_other(folder / "checkpoints", _definition(recipe, learn))
    write_json(folder / "recipe.json", recipe.to_json())
    for path, why in recipe.reasons.items():
        section, key = path.split(".")
        say(f"{path} = {getattr(recipe, section)[key]}: {why}")
    taught, ending = train(recipe, made, learn, folder, show=show, say=say)
    asked = {"data": str(data) if isinstance(data, (str, Path)) else None, "hold_out": hold_out, "budgets": budgets,
             "settings": settings, "options": {name: value for name, value in vars(options).items() if value is not None}}
    run = Run(folder, taught, recipe, ending, [], describe(samples, parts), samples, parts if judged else None, asked)
    if helper():
        return run
    if judged and ending.status == "finished":
        try:
            run.parts = judgeable(parts.readable())
            run.rows = judge_encoder(taught, run.parts, budgets=budgets, seed=seed, networks=networks, say=say)
        except Unusable as why:
            run.parts = None
            _note(samples, f"not judged: {why}", say)
        run.facts = describe(samples, parts)
    write_json(folder / "results.json", {"rows": run.rows, "ending": vars(ending), "data": run.facts, "recipe": recipe.to_json()})
    return run


def _parts(samples: Samples, hold_out: Sequence[int] | None, seed: int, say: Say) -> tuple[Split | None, bool]:
    """What is held out, where something is, and whether its labels can judge."""
    parts = split(samples, hold_out, seed=seed) if hold_out is not None else None
    if samples.labels is None:
        return parts, False
    try:
        return judgeable(parts or split(samples, seed=seed)), True
    except Unusable as why:
        _note(samples, f"not judged: {why}", say)
        return parts, False


def _note(samples: Samples, sentence: str, say: Say) -> None:
    samples.notes.append(sentence)
    say(sentence)


def _as_begun(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe of the run that was begun in ``folder``, where it differs only in the steps that were measured for a budget."""
    try:
        begun = Recipe(**json.loads((folder / "recipe.json").read_text()))
        steps = {"steps": begun.train["steps"]}
    except (OSError, ValueError, TypeError, KeyError):
        return recipe
    again = replace(recipe, train=recipe.train | steps, reasons=begun.reasons)
    return again if _plain(again.to_json()) == _plain(begun.to_json()) else recipe


def _plain(held: Any) -> Any:
    return json.loads(json.dumps(held, default=str))


def _definition(recipe: Recipe, samples: Samples) -> str:
    """Hash of what a checkpoint must agree with: all settings but those that change no weight."""
    held = recipe.to_json()
    held["train"] = {name: value for name, value in held["train"].items() if name not in HARMLESS}
    return definition({"recipe": held, "samples": len(samples)})


def by_id(samples: Samples, column: np.ndarray | None) -> np.ndarray | None:
    """A column of a subset as one that is indexed by sample id, -1 elsewhere."""
    if column is None:
        return None
    whole = np.full(int(samples.index.max()) + 1, -1)
    whole[samples.index.numpy()] = column
    return whole


def describe(samples: Samples, parts: Split | None) -> dict[str, Any]:
    """What went in, for the report."""
    return {"samples": len(samples), "shape": list(samples.shape), "channels": samples.channels, "classes": samples.classes,
            "groups": 0 if samples.groups is None else len(np.unique(samples.groups)), "faults": dict(samples.faults),
            "notes": list(samples.notes), "split": parts.name if parts else None, "train": len(parts.train) if parts else len(samples),
            "test": len(parts.test) if parts else 0}


def load(folder: str | Path) -> Encoder:
    """A saved encoder in evaluation mode; ``encoder.kind`` reads new data as it was taught on.

    Args:
        folder: of a run, or of its encoder.
    """
    return load_encoder(Path(folder))


def embed(encoder: Encoder | str | Path, data, *, options: Options | None = None, batch: int = 256, say: Say = _quiet) -> np.ndarray:
    """Features ``(n, width)`` float32 of every sample of ``data``, in order; NaN for a picture that cannot be used."""
    encoder = load(encoder) if isinstance(encoder, (str, Path)) else encoder
    samples = _for_encoder(encoder, data, options, say)
    found = embed_samples(samples, frozen(encoder.to(device())), batch, device())
    sound, features = samples.sound(), np.full((samples.whole, encoder.width), np.nan, np.float32)
    features[found.ids[sound]] = found.features.numpy()[sound]
    if sound.sum() < samples.whole:
        say(f"{samples.whole - sound.sum()} of {samples.whole} samples cannot be used; their features are NaN")
    return features


def write_json(path: Path, held: Any) -> None:
    """Atomically."""
    write_atomic(path, json.dumps(held, indent=1, default=str).encode())


def evaluate(target, data=None, *, labels: str | Path | None = None, hold_out: Sequence[int] | None = None,
             budgets: Sequence[int | None] = (1, 5, 20, None), draws: int = 5, seed: int = 0, networks: bool = True,
             options: Options | None = None, say: Say = _quiet) -> list[dict[str, Any]]:
    """Judges an encoder on labelled data, or features that were made elsewhere, beside the controls.

    Args:
        target: an encoder, the folder of a run or encoder, or an array or ``.npz`` of features ``(n, D)``.
        data: labelled data for an encoder; not used for features.
        labels: CSV file of labels; see :func:`unveil.data.labels.attach_labels`.
        hold_out: groups to score on; None leaves the choice to :func:`unveil.data.split.split`.
        budgets: labels a class; None in it stands for all.
        draws: repeats with other labels.
        seed: of draws and split.
        networks: also train from scratch and fine-tune.
        options: what is to be said of the data.
        say: told each stage.

    Returns:
        rows as of :func:`unveil.tasks.judge.judge`.
    """
    options = Options(**(vars(options or Options()) | ({"labels": str(labels)} if labels else {})))
    features = isinstance(target, np.ndarray) or (isinstance(target, (str, Path)) and Path(target).suffix in (".npz", ".npy"))
    if features:
        samples = open_features(target, options)
        if options.label_file:
            attach_labels(samples, options.label_file)
    else:
        encoder = load(target) if isinstance(target, (str, Path)) else target
        if data is None:
            raise Unusable("an encoder is judged on labelled data: name them with --data")
        samples = _for_encoder(encoder, data, options, say)
    if samples.labels is None:
        source = next((str(each) for each in (data, target) if isinstance(each, (str, Path))), "the array")
        raise Unusable(f"{source} has no labels: give --labels folders, --labels COLUMN or --labels FILE.csv")
    parts = judgeable(split(samples, hold_out, seed=seed).readable())
    if features:
        return judge(parts, {"features": lambda batch: batch.values}, {}, None, budgets=budgets, draws=draws, seed=seed, say=say)
    return judge_encoder(encoder, parts, budgets=budgets, draws=draws, seed=seed, networks=networks, say=say)


def embed_to(encoder: str | Path, data, out: Path, *, options: Options | None = None, say: Say = _quiet) -> dict[str, Any]:
    """Writes features of every sample that can be read to ``out``: ``.npz`` (x, names and, where known, y) or ``.csv``.

    Returns:
        number of samples and features, the file, and what was set aside, name -> reason.

    Raises:
        Unusable: for another ending.
    """
    if out.suffix not in (".npz", ".csv"):
        raise Unusable(f"cannot write {out}: the ending must be .npz or .csv")
    encoder = load(encoder)
    samples = _for_encoder(encoder, data, options, say)
    features = embed_samples(samples, frozen(encoder.to(device())), device=device()).features.numpy()
    sound = samples.sound()
    samples, features = samples.subset(sound), features[sound]
    names = [samples.name(int(i)) for i in samples.index]
    held = io.BytesIO()
    if out.suffix == ".npz":
        labels = {} if samples.labels is None else {"y": samples.labels}
        np.savez(held, x=features, names=np.array(names), **labels)
    else:
        table = io.TextIOWrapper(held, "utf-8", newline="")
        lines = csv.writer(table)
        lines.writerow(["name", *(f"f{i}" for i in range(features.shape[1]))])
        lines.writerows([name, *(f"{value:.9g}" for value in row)] for name, row in zip(names, features, strict=True))
        table.detach()
    write_atomic(out, held.getvalue())
    return {"samples": len(features), "width": features.shape[1], "out": str(out), "faults": dict(samples.faults)}
