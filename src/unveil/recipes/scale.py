"""``--scale auto``: the rules that fit a recipe to data and machine. Each says what it chose and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from unveil.data.order import within
from unveil.data.samples import Samples
from unveil.errors import TooShort, Unusable
from unveil.recipes.check import find
from unveil.recipes.recipe import Recipe, sections

FEWEST_STEPS, MOST_STEPS = 300, {"cpu": 20_000, "cuda": 200_000}


def adjust(recipe: Recipe, count: int, device: torch.device, given: Mapping[str, Any], size: float = 0.0) -> Recipe:
    """The recipe with batch, encoder, steps, learning rate, teacher and batch-dependent weights for ``count`` samples on ``device``.

    What the user set stays as it is. ``size`` is the mean number of rows of packed samples, of which a budget of rows holds so many.
    """
    user = sections(given)
    if "epochs" in user["train"]:
        user["train"]["steps"] = None
    parts = {"encoder": dict(recipe.encoder), "method": dict(recipe.method), "train": dict(recipe.train)}
    reasons = {}
    for path, value, why in _rules(recipe, count, device, parts, size):
        section, name = path.split(".")
        if name not in user[section] and parts[section].get(name) != value:
            parts[section][name] = value
            reasons[path] = why
    return replace(recipe, **parts, reasons=recipe.reasons | reasons)


def _rules(recipe: Recipe, count: int, device: torch.device, parts: dict[str, dict], size: float) -> Iterator[tuple[str, Any, str]]:
    train, method, encoder = parts["train"], parts["method"], parts["encoder"]
    base = recipe.train["batch"]
    batch = min(base, 1 << max(3, int(math.log2(max(count, 32) / 4))))
    yield "train.batch", batch, f"{count} samples: at least four batches in an epoch"
    batch = train["batch"]
    if device.type == "cuda" and count >= 20_000 and encoder["name"] == "transformer":
        for name, value in (("width", 384), ("depth", 12), ("heads", 6)):
            yield f"encoder.{name}", value, f"{count} samples and a GPU carry a small ViT"
    if train["steps"] is None:
        steps = round(train["epochs"] * count / held(batch, train["rows"], size))
        most = MOST_STEPS.get(device.type, MOST_STEPS["cpu"])
        if not FEWEST_STEPS <= steps <= most:
            bound = max(FEWEST_STEPS, min(most, steps))
            yield "train.steps", bound, f"{train['epochs']:g} epochs would be {steps} steps: held between {FEWEST_STEPS} and {most}"
    yield "train.lr", recipe.train["lr"] * math.sqrt(batch / base), f"square root rule from batch {base} to {batch}"
    total = train["steps"] or round(train["epochs"] * count / held(batch, train["rows"], size))
    if isinstance(method.get("momentum"), tuple):
        quick = (0.99 if total < 10_000 else 0.996, method["momentum"][1])
        yield "method.momentum", quick, f"{total} steps: a short run needs a quicker teacher"
    for name in find("method", method["name"]).per_batch:
        yield f"method.{name}", min(1.0, recipe.method[name] * base / batch), f"the balance goes with batch size, {base} to {batch}"


def shortened(recipe: Recipe, fault: TooShort, given: Mapping[str, Any]) -> Recipe:
    """The recipe with samples as long as the longest record, in whole patches of its encoder.

    Raises:
        TooShort: the fault itself, where the user or the paper says how long a sample is, or no patch fits.
    """
    patch = recipe.encoder.get("patch", 1)
    side = patch if isinstance(patch, int) else patch[-1]
    length = fault.longest - fault.longest % side
    if recipe.scale == "published" or fault.setting in sections(given)["kind"] or not length:
        raise fault
    why = f"no record has the {recipe.kind[fault.setting]} values of the recipe, the longest has {fault.longest}" + (
        f", and the encoder reads patches of {side}" if length < fault.longest else "")
    return replace(recipe, kind=recipe.kind | {fault.setting: length}, reasons=recipe.reasons | {f"kind.{fault.setting}": why})


def held(batch: int, rows: int | None, size: float) -> float:
    """Samples of ``size`` rows on average that a batch holds."""
    return min(batch, max(1.0, rows / size)) if rows and size else batch


def within_rows(recipe: Recipe, samples: Samples) -> Recipe:
    """The recipe with the number of steps that its epochs take, where a budget of rows makes batches of unequal number.

    Raises:
        Unusable: where samples have no rows, or none of them fits.
    """
    training = recipe.training()
    if training.rows is None:
        return recipe
    samples, _ = within(samples, training.rows, training.parts)
    if training.steps:
        return recipe
    each = training.order(samples, recipe.seed).steps(training.epochs)
    why = f"batches of at most {training.rows:,} rows, {training.epochs:g} times over all samples"
    return replace(recipe, train=recipe.train | {"steps": -(-each // training.accumulate)}, reasons=recipe.reasons | {"train.steps": why})


def within_budget(recipe: Recipe, seconds: float, each: float) -> Recipe:
    """The recipe with as many steps as fit into ``seconds`` at ``each`` seconds a step, a tenth kept for judging."""
    steps = max(1, int(0.9 * seconds / each))
    why = f"a step takes {each * 1000:.0f} ms here, so {steps} fit into 90% of {seconds:.0f} s"
    return replace(recipe, train=recipe.train | {"steps": steps}, reasons=recipe.reasons | {"train.steps": why})


def parse_budget(text: str) -> float:
    """``"90s"``, ``"10m"`` or ``"2h"`` in seconds; a bare number is minutes."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "m")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < math.inf:
        raise Unusable(f"--budget {text!r} is no time: write 90s, 10m or 2h")
    return seconds
