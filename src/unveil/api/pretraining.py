"""Teaches an encoder: from data to a run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from unveil.api.opening import Say, describe, opened_by, quiet
from unveil.api.record import write_record
from unveil.contracts import Encoder, Method
from unveil.controls import judge_encoder
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.order import within
from unveil.data.records import Records
from unveil.data.samples import Samples
from unveil.data.split import Split, judgeable, split
from unveil.errors import Unusable
from unveil.health.monitor import Monitor
from unveil.kinds.kind import Kind
from unveil.parts.distributed import helper, launched
from unveil.recipes import recipe as recipes
from unveil.recipes import scale as scales
from unveil.recipes.check import find
from unveil.recipes.kept import save_encoder
from unveil.recipes.recipe import Recipe
from unveil.training import measure
from unveil.training.checkpoint import refuse_other, write_json
from unveil.training.helpers import together
from unveil.training.lock import alone
from unveil.training.loop import Ending, Loop, definition
from unveil.training.measure import device

# What changes no weight, or by rounding alone: how a run is laid out over processes may change when it goes on.
HARMLESS = ("stop_unhealthy", "memory_share", "checkpoint_every", "snapshots", "logger", "devices", "nodes", "strategy", "compile",
            "cache")


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
        asked: what the caller gave: ``data`` (None for an array), ``options``, ``hold_out``, ``budgets``, ``networks``, ``settings``.
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


@dataclass(frozen=True)
class Prepared:
    """Data as a run reads them.

    Attributes:
        kind: that opened them.
        settings: its own, before anything was read off the data.
        samples: all of them.
        parts: the split, where something is held out.
        judged: whether its labels can judge.
        reasons: what of the kind's settings was chosen by the data, and why.
    """

    kind: Kind
    settings: dict[str, Any]
    samples: Samples
    parts: Split | None
    judged: bool
    reasons: dict[str, str]

    @property
    def learn(self) -> Samples:
        """What is learned from."""
        return self.parts.train if self.parts else self.samples


def fitted(samples: Samples, kind: Kind, method: str, scale: str, seed: int, given: Mapping[str, Any]) -> Recipe:
    """The recipe with its kind's settings read off the samples and, for scale ``"auto"``, the others adjusted to data and machine."""
    recipe = recipes.resolve(method, kind.name, scale=scale, given=given, seed=seed, offers=kind.offers)
    recipe.kind |= kind.fixed(samples)
    size = float(samples.sizes.double().mean()) if samples.packed else 0.0
    return scales.within_rows(scales.adjust(recipe, len(samples), device(), given, size) if scale == "auto" else recipe, samples)


def settle(samples: Samples, kind: Kind, method: str, *, encoder: str | None = None, scale: str = "auto", budget: str | None = None,
           seed: int = 0, settings: Mapping[str, Any] | None = None) -> Recipe:
    """The resolved recipe of a run, after the memory check and, for a budget, after measuring 20 steps."""
    given = dict(settings or {}) | ({"encoder.name": encoder} if encoder else {})
    recipe, here = _laid_out(fitted(samples, kind, method, scale, seed, given), given, budget), device()
    training = recipe.training()
    if training.batch % (training.accumulate * training.processes):
        raise Unusable(f"--train.batch {training.batch} is not a multiple of accumulate {training.accumulate} x devices "
                       f"{training.devices} x nodes {training.nodes}, the parts that it is cut into")
    samples, spec = within(samples, training.rows, training.parts)[0], samples.spec()
    try:
        trial = recipe.build_method(recipe.build_encoder(spec)).to(here)
        need = measure.step_bytes(trial, kind, samples, training, here)
    except (ValueError, RuntimeError, ArithmeticError) as why:
        raise Unusable(f"{method} cannot take a step with these settings on samples of {samples.looks}: {why}") from why
    measure.refuse_too_large(need, measure.memory_limit(here), training)
    if budget:
        each = measure.seconds_per_step(trial, kind, samples, training, here)
        recipe = scales.within_budget(recipe, scales.parse_budget(budget), each)
    return recipe


def _laid_out(recipe: Recipe, given: Mapping[str, Any], budget: str | None) -> Recipe:
    """The recipe over the processes that torchrun or Slurm has started, where one has.

    Raises:
        Unusable: where the user says others, or what was started cannot do what the user wants.
    """
    found, user = launched(), recipes.sections(given)["train"]
    if found is None:
        if recipe.train["nodes"] > 1:
            raise Unusable(f"--train.nodes {recipe.train['nodes']} needs processes on every machine: start the command with torchrun or "
                           "srun")
        return recipe
    laid = dict(zip(("devices", "nodes"), found))
    for name, number in laid.items():
        if user.get(name, number) != number:
            raise Unusable(f"--train.{name} is {user[name]}, but torchrun or Slurm has started {found[0]} processes on each of "
                           f"{found[1]} machines: leave it out, or start as many")
    if budget and math.prod(found) > 1:
        raise Unusable("--budget is measured by one process: where torchrun or Slurm starts several, give --train.steps")
    return replace(recipe, train=recipe.train | laid)


def train(recipe: Recipe, kind: Kind, samples: Samples, folder: Path | None, *, show: Callable[[dict], None] = lambda row: None,
          say: Say = quiet) -> tuple[Encoder, Ending]:
    """Runs a resolved recipe on samples and saves the kept encoder; goes on where an interrupted run of it stopped."""
    encoder, defined = recipe.build_encoder(samples.spec()), definition_of(recipe, samples)
    if hasattr(encoder, "matched"):
        say(f"outside weights: {encoder.matched}")
    method, settings = recipe.build_method(encoder), recipe.training()
    samples, large = within(samples, settings.rows, settings.parts)
    samples.faults.update(large)
    for name, why in list(large.items())[:5]:
        say(f"set aside: {name} {why}")
    if len(large) > 5:
        say(f"set aside: {len(large) - 5:,} more for their size")
    monitor = Monitor(settings.total(len(samples)), labels=by_id(samples, samples.labels), groups=by_id(samples, samples.groups))
    loop = Loop(method, kind, samples, settings, seed=recipe.seed, folder=folder / "checkpoints" if folder else None,
                definition=defined, monitor=monitor, show=show, say=say,
                snapshot=lambda done: folder and save_encoder(folder / "snapshots" / f"step-{done:08d}", method.kept()["encoder"], recipe,
                                                              kept_beside(method)))
    with together(loop):
        ending = loop.run()
    encoder = loop.method.kept()["encoder"].eval().requires_grad_(False)
    encoder.kind, beside = recipe.build_kind(), kept_beside(loop.method)
    if beside:
        encoder.beside = {name: part.eval().requires_grad_(False) for name, part in beside.items()}
    if folder and ending.status != "stopped":
        save_encoder(folder / "encoder", encoder, recipe, beside)
    return encoder, ending


def kept_beside(method: Method) -> dict[str, nn.Module]:
    """All that a method keeps but the encoder."""
    return {name: part for name, part in method.kept().items() if name != "encoder"}


def pretrain(data, *, method: str | None = None, kind: str | None = None, encoder: str | None = None, out: str | Path | None = None,
             scale: str = "auto", budget: str | None = None, seed: int = 0, hold_out: Sequence[int] | None = None,
             budgets: Sequence[int | None] = (1, 5, 20, None), networks: bool = True, options: Options | None = None,
             settings: Mapping[str, Any] | None = None, show: Callable[[dict], None] = lambda row: None, say: Say = quiet) -> Run:
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
        the run; of several processes only the first judges and writes it.

    Raises:
        Unusable: for every mistake in data or settings, before any work.
    """
    settings = dict(settings or {})
    given = settings | ({"encoder.name": encoder} if encoder else {})
    named = {section: held.get("name") for section, held in recipes.sections(settings).items()}
    kind = kind or (options.kind if options else None) or named["kind"]
    options = Options(**(vars(options or Options()) | {"kind": kind}))
    name, records = open_records(data, options, say)
    method = method or named["method"] or find("kind", name).method
    first = _before_opening(method, name, scale, given, seed)
    held = prepare(records, first, given, options, hold_out, seed, say)
    recipe = settle(held.learn, held.kind, method, scale=scale, budget=budget, seed=seed, settings=given)
    recipe = replace(recipe, reasons=held.reasons | recipe.reasons)
    called = Path(data).resolve().stem if isinstance(data, (str, Path)) else "array"
    folder = Path(out) if out else Path("runs") / f"{called}-{method}"
    recipe = _as_begun(recipe, folder) if budget else recipe
    asked = {"data": str(data) if isinstance(data, (str, Path)) else None, "hold_out": hold_out, "budgets": budgets, "networks": networks,
             "settings": settings, "options": {name: value for name, value in vars(options).items() if value is not None}}
    return carry_out(recipe, held, folder, asked, show=show, say=say)


def _before_opening(method: str, kind: str, scale: str, given: Mapping[str, Any], seed: int) -> Recipe:
    """The recipe before anything is known of the samples. Another encoder than its own may read them: what it does not know of the
    encoder's settings is looked at again when they are opened."""
    try:
        return recipes.resolve(method, kind, scale=scale, given=given, seed=seed)
    except Unusable:
        rest = {name: value for name, value in given.items() if not name.startswith("encoder.") or name == "encoder.name"}
        return recipes.resolve(method, kind, scale=scale, given=rest, seed=seed)


def carry_out(recipe: Recipe, held: Prepared, folder: Path, asked: dict[str, Any], *, show: Callable[[dict], None] = lambda row: None,
              say: Say = quiet) -> Run:
    """Teaches by a resolved recipe, judges, and writes the folder of the run.

    Args:
        recipe: resolved.
        held: what it is taught and judged on.
        folder: of the run.
        asked: see :class:`Run`.
        show: called with each logged row.
        say: told each stage.

    Raises:
        Unusable: where the folder is another run's, or one is going on in it; nothing was written then.
    """
    refuse_other(folder / "checkpoints", definition_of(recipe, held.learn))
    with alone(folder, say):
        return _carried_out(recipe, held, folder, asked, show, say)


def _carried_out(recipe: Recipe, held: Prepared, folder: Path, asked: dict[str, Any], show: Callable[[dict], None], say: Say) -> Run:
    samples, parts = held.samples, held.parts
    if not helper():
        write_json(folder / "recipe.json", recipe.to_json())
        if write_record(folder, asked, held.settings, samples):
            _note(samples, "the data are not those that this run began with: it goes on with them, and will not end in the bits of a run "
                           "that read one of the two alone", say)
    for sentence in recipe.chosen():
        say(sentence)
    taught, ending = train(recipe, held.kind, held.learn, folder, show=show, say=say)
    run = Run(folder, taught, recipe, ending, [], describe(samples, parts), samples, parts if held.judged else None, asked)
    if helper():
        return run
    if held.judged and ending.status == "finished":
        try:
            run.parts = judgeable(parts.readable())
            run.rows = judge_encoder(taught, run.parts, budgets=asked["budgets"], seed=recipe.seed,
                                    fine_tune=asked["networks"], scratch=asked["networks"], say=say)
        except Unusable as why:
            run.parts = None
            _note(samples, f"not judged: {why}", say)
        run.facts = describe(samples, parts)
    write_json(folder / "results.json", {"rows": run.rows, "ending": vars(ending), "data": run.facts, "recipe": recipe.to_json()})
    return run


def prepare(records: Records, recipe: Recipe, given: Mapping[str, Any], options: Options, hold_out: Sequence[int] | None, seed: int,
            say: Say) -> Prepared:
    """Opens records by the settings of a recipe's kind, of which ``given`` are the user's, and holds out what is to judge, as
    :func:`pretrain` does."""
    recipe, kind, samples = opened_by(recipe, given, records, options, say)
    return Prepared(kind, recipe.kind, samples, *parts_of(samples, hold_out, seed, say), recipe.reasons)


def parts_of(samples: Samples, hold_out: Sequence[int] | None, seed: int, say: Say) -> tuple[Split | None, bool]:
    """What is held out, where something is, and whether its labels can judge."""
    parts = split(samples, hold_out, seed=seed) if hold_out is not None else None
    if not samples.answered:
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
    return again if _defining(again) == _defining(begun) else recipe


def _defining(recipe: Recipe) -> dict[str, Any]:
    """All settings but those that change no weight, as plain values."""
    held = json.loads(json.dumps(recipe.to_json(), default=str))
    for section in ("train", "kind"):
        held[section] = {name: value for name, value in held[section].items() if name not in HARMLESS}
    if recipe.train.get("rows"):  # each process then holds equally many samples of a batch: which ones meet goes with their number
        held["parts"] = recipe.training().parts
    return held


def definition_of(recipe: Recipe, samples: Samples) -> str:
    """Hash of what a checkpoint must agree with: all settings but those that change no weight."""
    return definition({"recipe": _defining(recipe), "samples": len(samples)})


def by_id(samples: Samples, column: np.ndarray | None) -> np.ndarray | None:
    """A column of a subset as one that is indexed by sample id, -1 elsewhere."""
    if column is None:
        return None
    whole = np.full(int(samples.index.max()) + 1, -1)
    whole[samples.index.numpy()] = column
    return whole
