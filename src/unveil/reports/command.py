"""The exact command that repeats a run, on any machine: every setting that ``--scale auto`` or the user chose is written out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from unveil.recipes import recipe as recipes
from unveil.recipes.recipe import Recipe


def differing(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name that make ``recipe`` of the fixed settings of its scale.

    Args:
        recipe: resolved.
        given: what the user set. Of the kind's settings only these count: the others were read off the data.
    """
    name = recipe.encoder["name"]
    base = recipes.resolve(recipe.method["name"], recipe.kind["name"], scale=fixed_scale(recipe), given={"encoder.name": name},
                           seed=recipe.seed)
    parts = {section: (getattr(recipe, section), getattr(base, section)) for section in ("encoder", "method", "train")}
    found = {f"{section}.{key}": value for section, (ours, theirs) in parts.items() for key, value in ours.items()
             if _plain(value) != _plain(theirs.get(key))}
    kind = recipes.sections(given)["kind"]
    return {f"kind.{key}": value for key, value in kind.items() if key != "name"} | found


def fixed_scale(recipe: Recipe) -> str:
    """The scale that adjusts nothing to the machine."""
    return "published" if recipe.scale == "published" else "small"


def as_command(recipe: Recipe, asked: Mapping[str, Any]) -> str:
    """``unveil pretrain ...``; for data that were an array in Python, the call.

    Args:
        recipe: resolved.
        asked: ``data``, ``options``, ``hold_out``, ``budgets``, ``networks`` and ``settings`` of :func:`unveil.api.pretrain`.
    """
    settings = differing(recipe, asked["settings"])
    if asked["data"] is None:
        return _as_call(recipe, asked, settings)
    words = ["unveil", "pretrain", shlex.quote(asked["data"]), "--method", recipe.method["name"],
             "--encoder", shlex.quote(recipe.encoder["name"]), "--scale", fixed_scale(recipe), "--seed", str(recipe.seed)]
    for name, value in asked["options"].items():
        words += [f"--{name}", shlex.quote(str(value))]
    if asked["hold_out"] is not None:
        words += ["--hold-out", ",".join(map(str, asked["hold_out"]))]
    words += [] if asked.get("networks", True) else ["--frozen"]
    words += ["--budgets", ",".join("all" if each is None else str(each) for each in asked["budgets"])]
    for name, value in settings.items():
        words += [f"--{name}", shlex.quote(_written(value))]
    return " ".join(words)


def _as_call(recipe: Recipe, asked: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    given = {"method": recipe.method["name"], "encoder": recipe.encoder["name"], "kind": recipe.kind["name"],
             "scale": fixed_scale(recipe), "seed": recipe.seed, "hold_out": asked["hold_out"], "budgets": tuple(asked["budgets"])}
    given |= {} if asked.get("networks", True) else {"networks": False}
    told = {name: value for name, value in asked["options"].items() if name != "kind"}
    lines = [f"{name}={value!r}" for name, value in given.items() if value is not None]
    lines += [f"options=Options({', '.join(f'{name}={value!r}' for name, value in told.items())})"] if told else []
    lines += [f"settings={settings!r}"] if settings else []
    inside = "".join(f",\n                {line}" for line in lines)
    options = "from unveil.data.options import Options\n" if told else ""
    return f"import unveil\n{options}\nunveil.pretrain(data{inside})"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _written(value: Any) -> str:
    """As YAML reads it back: JSON, with a point in every float that has an exponent."""
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    return value if isinstance(value, str) else json.dumps(value)
