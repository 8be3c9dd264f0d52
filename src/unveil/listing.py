"""What there is: kinds, encoders, methods, tasks, data sets, studies, and this machine."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import platform
from textwrap import fill
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from unveil.data.builtin import TABLE as SETS
from unveil.data.locate import cache_folder
from unveil.errors import Unusable
from unveil.recipes.check import TABLES, find, names, settings_of
from unveil.recipes.fit import ways
from unveil.studies.study import load_study, study_names
from unveil.training.measure import memory_limit


def summary(thing: type) -> str:
    """The first line of a docstring."""
    return inspect.getdoc(thing).splitlines()[0]


def facts_of(what: str) -> dict[str, list[dict[str, Any]]]:
    """Everything under a heading; all headings for ``"all"``."""
    def lines(section: str) -> list[dict[str, Any]]:
        return [{"name": name, "about": summary(find(section, name))} for name in names(section)]

    def matrix() -> list[dict[str, Any]]:
        cell = lambda kind, method: [{"encoder": name, "kind settings": settings} for name, settings in ways(kind, method)]
        made = [{"name": method, "kinds": {kind: cell(kind, method) for kind in names("kind")}} for method in names("method")]
        return [row | {"about": f"teaches on {', '.join(kind for kind, found in row['kinds'].items() if found)}"} for row in made]

    held = {"methods": lambda: [row | {"source": find("method", row["name"]).source} for row in lines("method")],
            "matrix": matrix, "encoders": lambda: lines("encoder"), "kinds": lambda: lines("kind"), "tasks": lambda: lines("task"),
            "data": lambda: [{"name": n, "about": s.about, "kind": s.kind, "licence": s.licence} for n, s in SETS.items()],
            "studies": lambda: [{"name": n, "about": load_study(n).question} for n in study_names()]}
    return {heading: make() for heading, make in held.items() if what in ("all", heading)}


def listing(what: str, console: Console, as_json: bool) -> None:
    """Prints headings, or the settings of one thing."""
    for section in TABLES:
        if what in names(section):
            return _settings(section, what, console, as_json)
    facts = facts_of(what)
    if not facts:
        raise Unusable(f"there is nothing called {what!r} to list; try methods, matrix, encoders, kinds, tasks, data, studies, or a name "
                       "from there")
    if as_json:
        print(json.dumps(facts))
        return
    for heading, rows in facts.items():
        if heading == "matrix":
            _matrix(rows, console)
            continue
        table = Table(title=heading, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 2))
        for row in rows:
            table.add_row(f"[bold]{row['name']}[/]", row["about"])
        console.print(table)


def _matrix(rows: list[dict[str, Any]], console: Console) -> None:
    """Which method teaches on which kind, with the encoder that is taken where nothing else is asked for."""
    table = Table(title="what goes together: the encoder with which a method teaches on a kind", title_justify="left", box=None,
                  padding=(0, 1, 0, 1))
    table.add_column("", no_wrap=True)
    notes = []
    for kind in rows[0]["kinds"]:
        table.add_column(kind, no_wrap=True)
    for row in rows:
        cells = []
        for found in row["kinds"].values():
            first = found[0] if found else None
            cells.append(first["encoder"] if first else "-")
            if first and first["kind settings"]:
                cells[-1] += "*"
                notes += [f"--kind.{name} {value}" for name, value in first["kind settings"].items()]
        table.add_row(f"[bold]{row['name']}[/]", *cells)
    console.print(table)
    if notes:
        console.print(fill(f"* with {', '.join(dict.fromkeys(notes))}", 78, initial_indent="  ", subsequent_indent="    "))


def _settings(section: str, name: str, console: Console, as_json: bool) -> None:
    thing = find(section, name)
    rows = [{"setting": f"--{section}.{key}", "default": default, "about": about}
            for key, default, about in described(thing)]
    if as_json:
        print(json.dumps({"name": name, "about": inspect.getdoc(thing), "settings": rows}, default=str))
        return
    text = inspect.getdoc(thing).split("\nArgs:")[0].strip()
    console.print(f"[bold]{name}[/]  {text}\n")
    table = Table(show_header=True, box=None, padding=(0, 2, 0, 0))
    for heading in ("setting", "default", "what it is"):
        table.add_column(heading)
    for row in rows:
        table.add_row(row["setting"], str(row["default"]), row["about"])
    console.print(table)


def described(thing: type) -> list[tuple[str, Any, str]]:
    """Settings with defaults and their lines of the docstring."""
    about, current = {}, None
    for line in inspect.getdoc(thing).partition("\nArgs:\n")[2].splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            current, _, text = line.strip().partition(": ")
            about[current] = text
        elif line.startswith("     ") and current:
            about[current] += " " + line.strip()
        else:
            current = None
    return [(name, default, about.get(name, "")) for name, (_, default) in settings_of(thing).items()]


def doctor(console: Console, as_json: bool) -> None:
    """Prints what this machine has."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    optional = {"transformers": "outside weights", "datasets": "Hugging Face data", "sklearn": "estimator", "pyarrow": "Parquet",
                "onnxruntime": "ONNX", "timm": "export to timm", "tensorboard": "logs", "wandb": "logs", "mlflow": "logs"}
    facts = {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count(), "threads": torch.get_num_threads(),
             "gpu": torch.cuda.get_device_name() if device.type == "cuda" else None,
             "memory limit": f"{memory_limit(device) / 2**30:.1f} GiB", "data cache": str(cache_folder()),
             "sets in the cache": sorted(n for n, s in SETS.items() if all((cache_folder() / n / f).is_file() for f in s.files)),
             "optional": {name: importlib.util.find_spec(name) is not None for name in optional}}
    if as_json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        if name == "optional":
            for package, there in value.items():
                console.print(f"{package:18} {'yes' if there else 'no'}  ({optional[package]})")
        else:
            console.print(f"{name:18} {', '.join(value) if isinstance(value, list) else value}")
