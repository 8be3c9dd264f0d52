"""The page that a person reads after a run or a study: one file that needs no network."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

from unveil.api import Run
from unveil.api.record import read_json
from unveil.reports import gallery, portraits, sections, study_page, suite, worse
from unveil.reports.collect import collect, collect_study, plain, versions, with_rows
from unveil.reports.markup import Markup, join, tag
from unveil.studies.study import Study
from unveil.training.checkpoint import write_atomic, write_json

SECTIONS = (worse.worse, sections.scores, suite.robustness, suite.further, sections.learning, sections.health, gallery.embedding_map,
            gallery.neighbours, portraits.portraits, gallery.inside, gallery.views, sections.data, sections.repeat, sections.recipe)
PREVIEW = (gallery.views, sections.recipe)


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


def write_preview(found: dict[str, Any], name: str, out: Path) -> Path:
    """Writes what :func:`unveil.api.preview` found as a page.

    Args:
        found: by it.
        name: of the page.
        out: file.
    """
    said = {"tone": "before", "headline": f"What {found['method']} will see of every sample.", "rest": found["words"]}
    held = found | {"what": "preview", "name": name, "made": str(datetime.date.today()), "with": versions(), "decision": said}
    write_atomic(out, render(plain(held)).encode())
    return out


def report_again(folder: Path, results: Path | None = None) -> Path:
    """Writes the page again from ``report.json`` alone.

    Args:
        folder: of a run or study.
        results: folder with the ``results.json`` of a later evaluation of the run, which is taken into its report.

    Raises:
        Unusable: where one of the files is not there, or the results are of other samples.
    """
    held = read_json(folder, "report.json")
    if results is not None:
        held = with_rows(held, read_json(results, "results.json")["rows"])
        write_json(folder / "report.json", held)
    write_atomic(folder / "report.html", render(held).encode())
    return folder / "report.html"


def render(held: dict[str, Any]) -> str:
    """The page of a collected report."""
    kinds = {"run": SECTIONS, "study": study_page.SECTIONS, "preview": PREVIEW}
    parts = [part for make in kinds[held["what"]] if (part := make(held))]
    beside = "" if held["what"] == "preview" else Markup(" from <code>report.json</code> beside this file")
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
<button class="theme" type="button" hidden>Dark</button>
<nav aria-label="Sections">{tag("ul", links)}</nav></header>
<main id="content">
{join(sections.decision(held), parts)}
</main>
<footer><p>Made by unveil{beside}. Nothing was sent anywhere.</p></footer>
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
