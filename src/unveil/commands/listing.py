"""``unveil list``."""

from __future__ import annotations

from unveil.commands.words import OUT, command


def add(commands) -> None:
    new = command(commands, "list", run, "Kinds, encoders, methods, tasks, data sets, studies; or the settings of one.",
                  "  unveil list\n  unveil list data\n  unveil list lejepa")
    new.add_argument("what", nargs="?", default="all",
                     help="methods, matrix (what goes together), encoders, kinds, tasks, data, studies, or a name")


def run(given, settings) -> None:
    from unveil.listing import listing
    listing(given.what, OUT, given.json)
