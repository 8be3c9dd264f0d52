"""``unveil rerun``."""

from __future__ import annotations

from pathlib import Path

from unveil.commands.words import OUT, command, print_json, say
from unveil.wording import escape


def add(commands) -> None:
    new = command(commands, "rerun", run, "Repeat a run and say whether it matches; status 4 if not.", "  unveil rerun runs/photos-simclr")
    new.add_argument("run_folder", type=Path, help="folder of a finished run")
    new.add_argument("--data", help="where its data lie now, if not where they were")
    new.add_argument("--out", type=Path, help="folder of the second run (default RUN-rerun)")


def run(given, settings) -> int:
    from unveil import api
    from unveil.parts.distributed import helper
    from unveil.progress import progress
    with progress(given.json or helper()) as show:
        done = api.rerun(given.run_folder, data=given.data, out=given.out, show=show, say=say(given))
    if helper():
        return 0
    if given.json:
        print_json({name: value for name, value in vars(done).items() if name != "run"} | {"folder": str(done.run.folder)})
    else:
        for circumstance in done.circumstances:
            OUT.print(f"[yellow]note:[/] {escape(circumstance)}")
        OUT.print(f"[bold {'green' if done.matches else 'red'}]{escape(str(done.run.folder))} {escape(done.sentence)}[/]")
    return 0 if done.matches else 4
