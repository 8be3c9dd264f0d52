"""An encoder in a form that others read, checked from their side before it is there."""

from __future__ import annotations

import copy
import importlib
import json
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unveil import __version__
from unveil.api.example import example
from unveil.api.opening import Say, quiet
from unveil.api.pretraining import Run
from unveil.contracts import Batch, Encoder
from unveil.errors import Unusable, nearest
from unveil.formats.card import card
from unveil.formats.reading import in_share, reading
from unveil.health.verdict import Finding, summary
from unveil.recipes.check import settings_of
from unveil.recipes.kept import home, load_encoder, save_encoder
from unveil.recipes.recipe import Recipe
from unveil.training.checkpoint import write_atomic
from unveil.training.log import read as read_log

TOLERANCE = {"safetensors": 0.0, "onnx": 1e-4, "transformers": 1e-4, "timm": 1e-4}
BATCHES = (1, 7)
READERS = {"onnx": "onnxruntime", "transformers": "transformers", "timm": "timm"}


def export(target: Encoder | Run | str | Path, to: str, out: str | Path | None = None, *, say: Say = quiet) -> dict[str, Any]:
    """Writes an encoder as ``to`` and measures, in the program that is to read it, that it gives the same features.

    Args:
        target: an encoder, a run, or the folder of either.
        to: ``"safetensors"`` (this package), ``"onnx"``, ``"transformers"`` or ``"timm"``.
        out: folder, new or of an earlier export of the same kind; None makes ``RUN/export/TO``.
        say: told each stage.

    Returns:
        what ``export.json`` holds, with ``out`` and ``files``, name -> bytes. ``difference`` is the greatest that was found, over the
        largest feature where that is above 1.

    Raises:
        Unusable: where the other side has no such network, a package is missing, or the difference is above 1e-4 (0 for safetensors).
            Nothing is left then.
    """
    if to not in TOLERANCE:
        raise Unusable(f"cannot export to {to!r}{nearest(to, list(TOLERANCE))}")
    target = target.folder if isinstance(target, Run) else target
    folder = None if isinstance(target, Encoder) else Path(target)
    encoder = copy.deepcopy(target).cpu().eval() if folder is None else load_encoder(folder)
    if not hasattr(encoder, "kind") or not hasattr(encoder, "settings"):
        raise Unusable(f"this {type(encoder).__name__} does not say how it was built and reads data: give one that was taught or loaded")
    if folder is None and out is None:
        raise Unusable("an encoder that is given without its folder needs a folder to be written to: give out")
    out = Path(out or folder / "export" / to)
    _refuse_other(out, to)
    if encoder.spec.packed and to != "safetensors":
        raise Unusable(f"the {encoder.kind.name} samples of this encoder have rows of unequal number, which {to} has no form for: use "
                       "--to safetensors, which unveil.load reads")
    with tempfile.TemporaryDirectory() as made:
        part = Path(made)
        say(f"writing {to}")
        module = importlib.import_module(f"unveil.formats.{to}") if to != "safetensors" else None
        facts = module.write(encoder, part) if module else _keep(encoder, folder, part)
        say("comparing its features with the encoder's")
        difference = _read_back(encoder, part, to, module)
        if not difference <= TOLERANCE[to]:
            raise Unusable(f"the {to} form of this encoder gives other features: they differ by {difference:.1e}, more than "
                           f"{TOLERANCE[to]:g}; nothing was written")
        reader = f"{READERS[to]} {version(READERS[to])}" if module else f"unveil {__version__}"
        held = {"to": to, "unveil": __version__, "encoder": encoder.settings, "width": encoder.width, "input": reading(encoder), **facts,
                "read_by": reader, "difference": difference, "tolerance": TOLERANCE[to], "batches": BATCHES}
        files = {path.name: path.read_bytes() for path in sorted(part.iterdir())}
    files["README.md"] = card(held, history(folder) if folder else {}).encode()
    files["export.json"] = json.dumps(held, indent=1, default=str).encode()
    for name, content in files.items():
        write_atomic(out / name, content)
    return held | {"out": str(out), "files": {name: len(content) for name, content in files.items()}}


def _refuse_other(out: Path, to: str) -> None:
    """Before any work: a folder in which something else lies is not written into."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        try:
            held = json.loads((out / "export.json").read_text())["to"]
        except (OSError, ValueError, KeyError, TypeError):
            held = None
        if held != to:
            raise Unusable(f"{out} holds something else{f', exported to {held}' if held else ''}: choose another --out, or remove it")


def _keep(encoder: Encoder, folder: Path | None, part: Path) -> dict[str, Any]:
    """The folder that :func:`unveil.load` reads, which needs nothing beside it, outside weights included."""
    try:
        kind = {"name": encoder.kind.name} | {name: getattr(encoder.kind, name) for name in settings_of(type(encoder.kind))}
    except AttributeError as why:
        raise Unusable(f"how the kind {encoder.kind.name} reads data cannot be told ({why}): export the folder of the run") from why
    held = json.loads((home(folder) / "config.json").read_text()) if folder else {}
    save_encoder(part, encoder, Recipe(held.get("kind", kind), encoder.settings, held.get("method", {}), {}, held.get("seed", 0)))
    return {}


def _read_back(encoder: Encoder, part: Path, to: str, module) -> float:
    if module is None:
        again = load_encoder(part)
        return _difference(encoder, lambda batch: _features(again, batch))
    try:
        answer = module.answer(part, encoder)
        return _difference(encoder, lambda batch: answer(batch.values, *batch.extras.values()))
    except Unusable:
        raise
    except Exception as why:  # whatever is wrong with the other package, such as a torchvision that does not fit torch
        first = next(iter(str(why).splitlines()), "")
        raise Unusable(f"{READERS[to]} cannot read this encoder here ({type(why).__name__}: {first}); nothing was written") from why


@torch.no_grad()
def _features(encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
    features = encoder(batch)
    return {"pooled": features.pooled, "local": features.local}


def _difference(encoder: Encoder, answer: Callable[[Batch], dict[str, Tensor]]) -> float:
    """The greatest difference of any feature on made-up samples with the data's mean and deviation, at each of ``BATCHES``."""
    found = []
    for count in BATCHES:
        batch = example(encoder.kind, encoder.spec, max(BATCHES))
        if encoder.spec.packed:
            batch = Batch.cat([batch.one(number) for number in range(count)])
        else:
            batch = batch.map(lambda x, count=count: x[:count])
        if in_share(encoder):
            batch.values = (batch.values.clamp(0, 1) * 255).round() / 255
        ours, theirs = _features(encoder, batch), answer(batch)
        for name, x in theirs.items():
            if x.shape != ours[name].shape:
                return float("inf")
            found.append((x - ours[name]).abs().max() / ours[name].abs().max().clamp_min(1))
    return float(torch.stack(found).max())


def history(folder: Path) -> dict[str, Any]:
    """What the files of a run say of it, for its card: results, data, recipe, ending, health, date. Empty where there are none."""
    try:
        held = json.loads((folder / "results.json").read_text())
    except (OSError, ValueError):
        return {}
    log = read_log(folder / "metrics.jsonl")
    figures = next((row for row in reversed(log) if "embedding/width" in row), {})
    findings = [Finding(**finding) for finding in held["ending"]["findings"]]
    report = folder / "report.json"
    said = json.loads(report.read_text()) if report.is_file() else {}
    return held | {"health": summary(findings, figures) if figures or findings else "", "made": said.get("made"),
                   "name": said.get("name"), "with": said.get("with", {})}
