"""``unveil pretrain``."""

from __future__ import annotations

from pathlib import Path

from unveil.commands.words import OUT, budgets, command, numbers, options_of, print_faults, print_json, say, table
from unveil.wording import escape


def add(commands) -> None:
    new = command(commands, "pretrain", run, "Teach an encoder without labels; judge it where labels are known.",
                  "  unveil pretrain photos/\n"
                  "  unveil pretrain watch --method lejepa --hold-out 0,1,2\n"
                  "  unveil pretrain recordings/ --encoder.width 256 --train.epochs 50\n"
                  "  unveil pretrain photos/ --budget 10m", judged=True, data=True)
    new.set_defaults(settings=True)
    new.add_argument("data", help="folder, file, built-in set, or hf:NAME")
    new.add_argument("--method", help="how to teach; unveil list shows all")
    new.add_argument("--encoder", help="network: transformer, conv, or hf:NAME_OR_FOLDER")
    new.add_argument("--recipe", type=Path, help="YAML file of settings")
    new.add_argument("--out", type=Path, help="folder of the run")
    new.add_argument("--scale", default="auto", choices=["auto", "small", "published"], help="settings to start from (default auto)")
    new.add_argument("--budget", help="time for the training, such as 10m")
    new.epilog = ("Any setting can be given by its name, such as --method.temperature 0.5\n"
                  "--train.batch 512; unveil list METHOD shows them.")


def run(given, settings) -> int:
    from unveil import api
    from unveil.parts.distributed import helper
    from unveil.progress import progress
    from unveil.recipes.recipe import read
    from unveil.reports.page import write_report
    settings = (read(given.recipe) if given.recipe else {}) | settings
    with progress(given.json or helper()) as show:
        run = api.pretrain(given.data, method=given.method, encoder=given.encoder, out=given.out, scale=given.scale,
                           budget=given.budget, seed=given.seed, hold_out=numbers(given.hold_out), budgets=budgets(given.budgets),
                           networks=not given.frozen, options=options_of(given), settings=settings, show=show, say=say(given))
    if helper():
        return 0
    page = write_report(run)
    if given.json:
        print_json({"folder": str(run.folder), "status": run.ending.status, "rows": run.rows, "data": run.facts, "report": str(page)})
    else:
        _ending(run, page)
    return 0 if run.ending.status == "finished" else 3


def _ending(run, page: Path) -> None:
    ending = run.ending
    OUT.print(f"[bold]{ending.status}[/] after {ending.step} steps, {ending.seconds:.0f} s ({ending.waited:.1f} s waiting for data)")
    for finding in ending.findings:
        OUT.print(f"[yellow]{escape(finding['sentence'] + '. Try: ' + finding['advice'])}[/]")
    print_faults(run.facts["faults"])
    for note in run.facts["notes"]:
        OUT.print(f"[yellow]note:[/] {escape(note)}")
    if run.rows:
        OUT.print(table(run.rows))
    OUT.print(escape(f"encoder  {run.folder / 'encoder'}\nresults  {run.folder / 'results.json'}\nreport   {page}"))
