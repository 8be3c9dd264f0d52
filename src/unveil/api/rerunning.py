"""Repeats a run from what its folder holds, and says whether the two match."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unveil.api.opening import Say, quiet
from unveil.api.pretraining import Prepared, Run, carry_out, prepare
from unveil.api.record import data_facts, environment, read_json
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.errors import Unusable
from unveil.parts.distributed import helper
from unveil.recipes.kept import load_encoder
from unveil.recipes.recipe import Recipe, sections
from unveil.training.checkpoint import write_json
from unveil.training.log import read as read_log

CURVE = 0.05  # root mean square difference of two loss curves, as a share of the first one's range, up to which they are alike. Of SimCLR
# on watch, 200 steps, another number of threads gave .009, another seed .056
CLOCKS = ("seconds", "cpu_seconds", "waited", "samples_per_second")  # what two equal runs log differently


@dataclass(frozen=True)
class Rerun:
    """A run that was repeated, beside the first.

    Attributes:
        run: the second one.
        exact: whether it had to match bit for bit, as on the CPU of the same machine with the same versions and threads.
        matches: the verdict.
        sentence: the verdict in words, with the differences.
        circumstances: what is not as it was.
    """

    run: Run
    exact: bool
    matches: bool
    sentence: str
    circumstances: list[str]


def rerun(folder: str | Path, *, data=None, out: str | Path | None = None, show: Callable[[dict], None] = lambda row: None,
          say: Say = quiet) -> Rerun | None:
    """Repeats a finished run by its own resolved recipe and compares weights, log and results.

    Args:
        folder: of the run.
        data: where its data lie now, or the array that it was taught on; None takes what the folder names.
        out: folder of the second run; None makes ``FOLDER-rerun``.
        show: called with each logged row.
        say: told what is not as it was, before any work, and each stage.

    Returns:
        the comparison, which is also written into ``rerun.json``; None in processes that help the first one.

    Raises:
        Unusable: where the run cannot be repeated: its folder does not say how, or the data are gone or others.
    """
    folder = Path(folder)
    out = Path(out) if out else folder.with_name(f"{folder.resolve().name}-rerun")
    held, results, recipe = _described(folder)
    if (out / "results.json").exists():
        raise Unusable(f"{out} holds a finished run: remove it or choose another --out")
    prepared = _same_data(folder, held, recipe, data, say)
    made, here = held["made"][0], environment()
    moved = [name for name in here if made.get(name) != here[name] and name not in ("code", "threads")]
    circumstances = [f"the {name} was {made.get(name)}, is {here[name]}" for name in ["code", *moved] if made.get(name) != here[name]]
    circumstances += [f"the run was made in {len(held['made'])} parts under different circumstances"] if len(held["made"]) > 1 else []
    circumstances += _edited(results["recipe"], recipe.to_json())
    for circumstance in circumstances:
        say(circumstance)
    exact = not moved and len(held["made"]) == 1 and here["device"] == "cpu"
    asked = held["asked"] | {"data": str(data) if isinstance(data, (str, Path)) else held["asked"]["data"]}
    with _threads(made["threads"] if exact else here["threads"]):
        run = carry_out(recipe, prepared, out, asked, show=show, say=say)
    if run.ending.status == "stopped":
        raise KeyboardInterrupt
    if helper():
        return None
    done = _compared(folder, run, results["rows"], exact, circumstances)
    write_json(out / "rerun.json", {name: value for name, value in vars(done).items() if name != "run"} | {"of": str(folder)})
    return done


def _described(folder: Path) -> tuple[dict[str, Any], dict[str, Any], Recipe]:
    results = read_json(folder, "results.json")
    load_encoder(folder)
    if not read_log(folder / "metrics.jsonl"):
        raise Unusable(f"{folder} holds no metrics.jsonl that can be read: name the folder of a finished run")
    if not (folder / "run.json").exists():
        raise Unusable(f"{folder} holds no run.json, which says on which data it was taught: it was made by an earlier version. The "
                       "command that repeats it stands in its report.html")
    try:
        return read_json(folder, "run.json"), results, Recipe(**read_json(folder, "recipe.json"))
    except TypeError as why:
        raise Unusable(f"{folder / 'recipe.json'} is no resolved recipe ({why}): put back the one that the run wrote") from why


def _same_data(folder: Path, held: dict[str, Any], recipe: Recipe, data, say: Say) -> Prepared:
    """The data of the run, opened as they were.

    Raises:
        Unusable: where they are not to be found, or are others, with what differs.
    """
    source = held["asked"]["data"] if data is None else data
    if source is None:
        raise Unusable(f"{folder} was taught on an array in Python, which no folder holds: call unveil.rerun({str(folder)!r}, data=array)")
    options = Options(**held["asked"]["options"])
    try:
        records = open_records(source, options, say)[1]
    except Unusable as why:
        raise Unusable(f"the data of {folder} cannot be opened: {why}. Where they lie elsewhere now, name them with --data") from why
    as_read = replace(recipe, kind=held["kind"])
    prepared = prepare(records, as_read, {"kind": held["kind"]}, options, held["asked"]["hold_out"], recipe.seed, say)
    now = json.loads(json.dumps(data_facts(prepared.samples)))
    odd = [name for name in now if now[name] != held["data"].get(name)]
    if odd:
        told = [f"{name} were {held['data'].get(name)}, are {now[name]}" if name in ("samples", "channels", "classes", "shape")
                else f"other {name}" for name in odd]
        raise Unusable(f"the data of {folder} have changed since, so it cannot be repeated: {'; '.join(told)}. Bring back the data as they "
                       "were, or name them with --data")
    return prepared


def _edited(made: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Settings of ``recipe.json`` that are not those that the run was made with."""
    flat = lambda recipe: {"seed": recipe["seed"]} | {f"{section}.{name}": value for section, settings in sections(
        {part: recipe[part] for part in ("kind", "encoder", "method", "train")}).items() for name, value in settings.items()}
    before, after = flat(made), flat(json.loads(json.dumps(now)))
    return [f"recipe.json was changed since the run: {name} was {before.get(name)}, is {after.get(name)}"
            for name in before | after if before.get(name) != after.get(name)]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """As many threads as the first run had: sums in another order have other last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compared(folder: Path, run: Run, rows: Sequence[dict[str, Any]], exact: bool, circumstances: list[str]) -> Rerun:
    bits = [_weights(folder, run.folder), _log(folder, run.folder), _results(rows, run.rows)]
    if same := all(equal for equal, _ in bits):
        sentence = f"matches {folder} bit for bit: {', '.join(told for _, told in bits)} are the same"
    elif exact:
        sentence = f"does not match {folder} bit for bit: {'; '.join(told for equal, told in bits if not equal)}"
    else:
        alike = [_curve(folder, run.folder), _within(rows, run.rows)]
        same = all(equal for equal, _ in alike)
        sentence = f"{'matches' if same else 'does not match'} {folder} statistically: {'; '.join(told for _, told in alike)}"
    return Rerun(run, exact, same, sentence, circumstances)


def _weights(first: Path, second: Path) -> tuple[bool, str]:
    ours, theirs = (load_encoder(folder).state_dict() for folder in (first, second))
    if {name: x.shape for name, x in ours.items()} != {name: x.shape for name, x in theirs.items()}:
        return False, "the encoders are of different architectures"
    apart = {name: float((x.double() - theirs[name].double()).abs().max()) for name, x in ours.items() if not torch.equal(x, theirs[name])}
    if not apart:
        return True, f"{len(ours)} tensors of the encoder"
    worst = max(apart, key=apart.get)
    return False, f"{len(apart)} of {len(ours)} tensors of the encoder differ, by up to {apart[worst]:.3g} ({worst})"


def _logs(first: Path, second: Path) -> tuple[list[dict], list[dict]]:
    """Rows of both at the steps that both logged: a run that was stopped in between logged more."""
    logs = [{row["step"]: row for row in read_log(folder / "metrics.jsonl")} for folder in (first, second)]
    steps = [step for step in logs[0] if step in logs[1]]
    return [logs[0][step] for step in steps], [logs[1][step] for step in steps]


def _log(first: Path, second: Path) -> tuple[bool, str]:
    ours, theirs = _logs(first, second)
    for a, b in zip(ours, theirs, strict=True):
        odd = [name for name in a | b if name not in CLOCKS and json.dumps(a.get(name)) != json.dumps(b.get(name))]
        if odd:
            return False, f"the log differs from step {a['step']} on ({odd[0]} {a.get(odd[0])} and {b.get(odd[0])})"
    return True, f"{len(ours)} rows of the log"


def _pairs(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> list[tuple[dict, dict]]:
    key = lambda row: json.dumps([row.get(name) for name in ("features", "task", "labels", "metric", "at")])
    others = {key(row): row for row in theirs}
    return [(row, others[key(row)]) for row in ours if key(row) in others]


def _results(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> tuple[bool, str]:
    pairs = _pairs(ours, theirs)
    if len(pairs) < max(len(ours), len(theirs)):
        return False, f"there were {len(ours)} results, are {len(theirs)}"
    apart = max((abs(a["value"] - b["value"]) for a, b in pairs), default=0.0)
    if any(a["values"] != b["values"] for a, b in pairs):
        return False, f"results differ by up to {apart:.3g}"
    return True, f"{len(pairs)} results"


def _curve(first: Path, second: Path) -> tuple[bool, str]:
    ours, theirs = (np.array([row["loss"] for row in rows]) for rows in _logs(first, second))
    apart, span = math.sqrt(np.square(ours - theirs).mean()), np.ptp(ours)
    share = apart / span if span > 0 else float(apart > 0)
    return share <= CURVE, f"the loss curves differ by {share:.1%} of the first one's range, root mean square ({CURVE:.0%} allowed)"


def _within(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> tuple[bool, str]:
    """Whether results differ by no more than their two intervals allow: the root of the summed squares of half their widths."""
    pairs = [pair for pair in _pairs(ours, theirs) if all(row["low"] is not None for row in pair)]
    outside = [abs(a["value"] - b["value"]) for a, b in pairs
               if abs(a["value"] - b["value"]) > math.hypot(*((row["high"] - row["low"]) / 2 for row in (a, b)))]
    apart = max((abs(a["value"] - b["value"]) for a, b in pairs), default=0.0)
    return not outside, f"{len(outside)} of {len(pairs)} results differ by more than their intervals allow (at most by {apart:.3g})"
