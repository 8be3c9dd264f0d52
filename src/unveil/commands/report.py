"""``unveil report``."""

from __future__ import annotations

from pathlib import Path

from unveil.commands.words import OUT, command, print_json
from unveil.wording import escape


def add(commands) -> None:
    new = command(commands, "report", run, "Write the report of a run or study again.", "  unveil report runs/photos-simclr\n"
                  "  unveil report runs/photos-simclr --results judged")
    new.add_argument("run_folder", type=Path, help="folder of a finished run")
    new.add_argument("--results", metavar="FOLDER", type=Path, help="take in what unveil evaluate --out left in FOLDER")


def run(given, settings) -> None:
    from unveil.reports.page import report_again
    page = report_again(given.run_folder, given.results)
    print_json({"report": str(page)}) if given.json else OUT.print(f"report {escape(str(page))}")
