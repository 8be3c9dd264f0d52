"""The page that a person reads after a run or a study: one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

from unveil.api import Run
from unveil.errors import Unusable
from unveil.reports import gallery, sections, study_page
from unveil.reports.collect import collect, collect_study
from unveil.reports.markup import Markup, join, tag
from unveil.studies.study import Study
from unveil.training.checkpoint import write_atomic, write_json

SECTIONS = (sections.scores, sections.learning, sections.health, gallery.embedding_map, gallery.neighbours, gallery.views,
            sections.data, sections.repeat, sections.recipe)


def write_report(run: Run) -> Path:
    """Writes ``report.json`` and ``report.html`` into the run's folder.

    Returns:
        the page.
    """
    write_json(run.folder / "report.json", collect(run))
    return report_again(run.folder)


def write_study(study: Study, rows: list[dict[str, Any]], held: dict[str, Any], out: Path) -> Path:
    """Writes the report of a study into ``out``.

    Args:
        study: what was run.
        rows: of every arm and seed.
        held: their summary, by :func:`unveil.studies.present.summarise`.
        out: folder.

    Returns:
        the page.
    """
    write_json(out / "report.json", collect_study(study, rows, held, out))
    return report_again(out)


def report_again(folder: Path) -> Path:
    """Writes the page again from ``report.json`` alone.

    Raises:
        Unusable: where there is none.
    """
    try:
        held = json.loads((folder / "report.json").read_text())
    except (OSError, ValueError) as why:
        raise Unusable(f"{folder} holds no report.json that can be read ({why}): name the folder of a finished run or "
                       "study") from why
    write_atomic(folder / "report.html", render(held).encode())
    return folder / "report.html"


def render(held: dict[str, Any]) -> str:
    """The page of a collected report."""
    parts = [part for make in (study_page.SECTIONS if held["what"] == "study" else SECTIONS) if (part := make(held))]
    links = [tag("li", tag("a", Markup(title), href=f"#{name}")) for name, title in map(_heading, parts)]
    drawn = held.get("map", {}).get("drawn", [])
    island = json.dumps({point["id"]: held["drawings"][point["id"]] for point in drawn}).replace("<", "\\u003c")
    style, script = _asset("page.css"), _asset("page.js")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    about = " · ".join(filter(None, [held.get("kind"), held["made"], f"unveil {held['with']['unveil']}"]))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
script-src 'sha256-{allowed}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{tag("title", held["name"], " · unveil")}
<style>{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the findings</a>
<header class="top">{tag("p", tag("b", held["name"]), tag("span", about))}
<nav aria-label="Sections">{tag("ul", links)}</nav></header>
<main id="content">
{join(sections.decision(held), parts)}
</main>
<footer><p>Made by unveil from <code>report.json</code> beside this file. Nothing was sent anywhere.</p></footer>
<p id="broken" role="alert" hidden>What moves on this page does not work in this browser. Figures and tables are whole.</p>
<script type="application/json" id="drawings">{island}</script>
<script>{script}</script>
</body>
</html>
"""


def _heading(part: Markup) -> tuple[str, str]:
    """Name and title of a section."""
    return part.partition('id="')[2].partition('"')[0], part.partition("<h2")[2].partition(">")[2].partition("</h2>")[0]


def _asset(name: str) -> str:
    return (resources.files("unveil.reports") / name).read_text(encoding="utf-8")
