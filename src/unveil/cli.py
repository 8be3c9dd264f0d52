"""The command line. It parses, calls :mod:`unveil.api` and prints; nothing else."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unveil.errors import Unusable

# Threads that spin while they wait make a step up to twenty times slower when another program runs on the machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

OUT, ERR = (Console(stderr=errors, highlight=False, emoji=False, soft_wrap=True) for errors in (False, True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; a user's mistake ends with one sentence and status 2.

    Args:
        arguments: words after ``unveil``; None takes those of the process.

    Returns:
        the exit status: 0, 2 for a mistake, 3 for a run that was stopped or found unhealthy, 130 where Ctrl-C ended it at once.
    """
    written, words = _apart(sys.argv[1:] if arguments is None else arguments)
    given, rest = parser().parse_known_args(words)
    try:
        if rest:
            raise Unusable(_unknown(rest[0], given))
        if written and given.command != "pretrain":
            raise Unusable(f"{written[0]} is no option of unveil {given.command}; see unveil {given.command} --help")
        return given.run(given, dotted(written)) or 0
    except Unusable as why:
        ERR.print(f"[bold red]error:[/] {escape(str(why))}")
        return 2
    except BrokenPipeError:
        # The interpreter would write what is left to a reader that is gone, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as why:
        ERR.print(f"[bold red]error:[/] {escape(f'cannot read or write {why.filename}: {why.strerror}' if why.filename else str(why))}")
        return 2
    except KeyboardInterrupt:
        ERR.print("stopped; the same command goes on from the last checkpoint")
        return 130


def _apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Settings such as ``--encoder.width 256``, wherever they stand, and the other words."""
    settings, others, words = [], [], list(words)
    while words:
        word = words.pop(0)
        name, equals, _ = word.partition("=")
        held = settings if name.startswith("--") and "." in name else others
        held.append(word)
        if held is settings and not equals and words and not words[0].startswith("--"):
            held.append(words.pop(0))
    return settings, others


def _unknown(word: str, given) -> str:
    """What to tell the user about a word that is no option."""
    if given.command != "pretrain" or not word.startswith("-"):
        return f"do not know what to do with {word!r}; see unveil {given.command} --help"
    from unveil.recipes.check import nearest, settings_of
    from unveil.training.settings import Training
    name = word.lstrip("-").partition("=")[0]
    known = {key.replace("_", "-"): key for key in vars(given)} | {key: f"train.{key}" for key in settings_of(Training)}
    hint = nearest(name, list(known)).partition("'")[2].partition("'")[0]
    return f"{word} is no option" + (f"; did you mean --{known[hint].replace('_', '-') if '.' not in known[hint] else known[hint]}?" if hint
                                     else "; settings are written --encoder.width 256")


def dotted(rest: Sequence[str]) -> dict[str, Any]:
    """``--encoder.width 256 --train.lr=1e-3`` as settings."""
    settings, words = {}, list(rest)
    while words:
        word = words.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or "." not in name:
            raise Unusable(f"do not know what to do with {word!r}; settings are written --encoder.width 256")
        if not equals:
            if not words or words[0].startswith("--"):
                raise Unusable(f"{word} needs a value")
            value = words.pop(0)
        try:
            settings[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise Unusable(f"--{name} is {value!r}, which cannot be read; lists are written [0.3, 1.0]") from None
    return settings


def parser() -> argparse.ArgumentParser:
    """All commands; each help begins with examples."""
    top = argparse.ArgumentParser(prog="unveil", formatter_class=argparse.RawDescriptionHelpFormatter, description=(
        "Learns encoders from unlabelled data of any kind, and shows what they learned.\n\n"
        "  unveil pretrain photos/                       teach an encoder, see a report\n"
        "  unveil evaluate runs/photos-simclr --data labelled/ --labels folders\n"
        "  unveil embed runs/photos-simclr --data photos/ --out features.npz\n"
        "  unveil list                                   kinds, methods, data sets"))
    top.add_argument("--version", action="store_true", help="print the version")
    top.set_defaults(run=lambda given, settings: _version(top, given), command="")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    for add in (_add_pretrain, _add_evaluate, _add_embed, _add_report, _add_reproduce, _add_list, _add_doctor):
        add(commands)
    return top


def _version(top: argparse.ArgumentParser, given) -> None:
    if given.version:
        from unveil import __version__
        print(f"unveil {__version__}")
    else:
        top.print_help()


def _command(commands, name: str, run: Callable, summary: str, examples: str, judged: bool = False, data: bool = False):
    command = commands.add_parser(name, help=summary, usage=argparse.SUPPRESS, formatter_class=argparse.RawDescriptionHelpFormatter,
                                  description=f"examples:\n{examples}\n\n{summary}")
    command.set_defaults(run=run, command=name)
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    if data:
        command.add_argument("--kind", help="of the data; detected where it is certain")
        command.add_argument("--labels", help="folders, the name of a column, or a CSV file of names and labels")
        command.add_argument("--groups", help="column of subjects or recordings, for honest splits")
        command.add_argument("--time", help="column of time stamps")
        command.add_argument("--rate", type=float, help="samples a second, where the source does not say")
        command.add_argument("--layout", choices=["hwc", "chw", "ct", "tc"], help="axes of a sample in an array")
    if judged:
        command.add_argument("--hold-out", metavar="GROUPS", help="numbers of the groups to score on, such as 0,1,2")
        command.add_argument("--budgets", default="1,5,20,all", help="labels a class to judge with (default %(default)s)")
        command.add_argument("--frozen", action="store_true", help="judge without training networks on the labels")
        command.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    return command


def _add_pretrain(commands) -> None:
    command = _command(commands, "pretrain", _pretrain, "Teach an encoder without labels; judge it where labels are known.",
                       "  unveil pretrain photos/\n"
                       "  unveil pretrain watch --method lejepa --hold-out 0,1,2\n"
                       "  unveil pretrain recordings/ --encoder.width 256 --train.epochs 50\n"
                       "  unveil pretrain photos/ --budget 10m", judged=True, data=True)
    command.add_argument("data", help="folder, file, built-in set, or hf:NAME")
    command.add_argument("--method", help="how to teach; unveil list shows all")
    command.add_argument("--encoder", help="network: transformer, conv, or hf:NAME_OR_FOLDER")
    command.add_argument("--recipe", type=Path, help="YAML file of settings")
    command.add_argument("--out", type=Path, help="folder of the run")
    command.add_argument("--scale", default="auto", choices=["auto", "small", "published"], help="settings to start from (default auto)")
    command.add_argument("--budget", help="time for the training, such as 10m")
    command.epilog = ("Any setting can be given by its name, such as --method.temperature 0.5\n"
                      "--train.batch 512; unveil list METHOD shows them.")


def _add_evaluate(commands) -> None:
    command = _command(commands, "evaluate", _evaluate, "Judge an encoder, or features from elsewhere, on labelled data.",
                       "  unveil evaluate runs/photos-simclr --data labelled/ --labels folders\n"
                       "  unveil evaluate features.npz --labels y.csv", judged=True, data=True)
    command.add_argument("target", help="folder of a run or encoder, or an .npz of features")
    command.add_argument("--data", help="labelled data")


def _add_embed(commands) -> None:
    command = _command(commands, "embed", _embed, "Features of every sample, as .npz or .csv.",
                       "  unveil embed runs/photos-simclr --data photos/ --out features.npz", data=True)
    command.add_argument("encoder", help="folder of a run or encoder")
    command.add_argument("--data", required=True, help="what to embed")
    command.add_argument("--out", type=Path, default=Path("features.npz"), help="file to write (default %(default)s)")


def _add_report(commands) -> None:
    command = _command(commands, "report", _report, "Write the report of a run or study again.", "  unveil report runs/photos-simclr")
    command.add_argument("run_folder", type=Path, help="folder of a finished run")


def _add_reproduce(commands) -> None:
    command = _command(commands, "reproduce", _reproduce, "Run a study: matched arms over seeds and splits; finished rows are kept.",
                       "  unveil reproduce watch-demo\n  unveil reproduce methods-signal --seeds 3 --arms simclr,lejepa")
    command.add_argument("study", help="name or YAML file; unveil list studies shows all")
    command.add_argument("--seeds", type=int, help="how many; the study's own number by default")
    command.add_argument("--arms", help="names, separated by commas; all by default")
    command.add_argument("--results", type=Path, default=Path("results"), help="folder of result rows (default %(default)s)")
    command.add_argument("--out", type=Path, help="folder of runs and report (default runs/STUDY)")
    command.add_argument("--jobs", type=int, default=1, help="folds that run side by side, each on its share of the cores (default 1)")


def _add_list(commands) -> None:
    command = _command(commands, "list", _list, "Kinds, encoders, methods, data sets, studies; or the settings of one.",
                       "  unveil list\n  unveil list data\n  unveil list lejepa")
    command.add_argument("what", nargs="?", default="all", help="methods, encoders, kinds, data, studies, or a name")


def _add_doctor(commands) -> None:
    _command(commands, "doctor", _doctor, "Check this machine: devices, memory, optional packages, data cache.", "  unveil doctor")


def options_of(given):
    """What the user said of the data."""
    from unveil.data.options import Options
    return Options(kind=given.kind, labels=given.labels, groups=given.groups, time=given.time, rate=given.rate, layout=given.layout)


def _numbers(text: str | None) -> tuple[int, ...] | None:
    try:
        return None if text is None else tuple(int(part) for part in text.split(","))
    except ValueError:
        raise Unusable(f"{text!r} is no list of numbers such as 0,1,2") from None


def _json(held: Any) -> None:
    """One object; what is not finite becomes null, which every reader of JSON knows."""
    from unveil.reports.collect import plain
    print(json.dumps(plain(held), allow_nan=False))


def _budgets(text: str) -> tuple[int | None, ...]:
    budgets = tuple(None if part.strip() == "all" else _numbers(part)[0] for part in text.split(","))
    if any(each is not None and each < 1 for each in budgets):
        raise Unusable(f"--budgets {text!r}: numbers of labels a class begin at 1")
    return budgets


def _say(given) -> Callable[[str], None]:
    from unveil.parts.distributed import helper
    return (lambda text: None) if given.json or helper() else (lambda text: ERR.print(f"[dim]{escape(text)}[/]"))


def _pretrain(given, settings) -> int:
    from unveil import api
    from unveil.parts.distributed import helper
    from unveil.progress import progress
    from unveil.recipes.recipe import read
    from unveil.reports.page import write_report
    settings = (read(given.recipe) if given.recipe else {}) | settings
    with progress(given.json or helper()) as show:
        run = api.pretrain(given.data, method=given.method, encoder=given.encoder, out=given.out, scale=given.scale,
                           budget=given.budget, seed=given.seed, hold_out=_numbers(given.hold_out), budgets=_budgets(given.budgets),
                           networks=not given.frozen, options=options_of(given), settings=settings, show=show, say=_say(given))
    if helper():
        return 0
    page = write_report(run)
    if given.json:
        _json({"folder": str(run.folder), "status": run.ending.status, "rows": run.rows, "data": run.facts, "report": str(page)})
    else:
        _ending(run, page)
    return 0 if run.ending.status == "finished" else 3


def _ending(run, page: Path) -> None:
    ending = run.ending
    OUT.print(f"[bold]{ending.status}[/] after {ending.step} steps, {ending.seconds:.0f} s ({ending.waited:.1f} s waiting for data)")
    for finding in ending.findings:
        OUT.print(f"[yellow]{escape(finding['sentence'])}[/]")
    _print_faults(run.facts["faults"])
    for note in run.facts["notes"]:
        OUT.print(f"[yellow]note:[/] {escape(note)}")
    if run.rows:
        OUT.print(table(run.rows))
    OUT.print(escape(f"encoder  {run.folder / 'encoder'}\nresults  {run.folder / 'results.json'}\nreport   {page}"))


def _print_faults(faults: dict[str, str]) -> None:
    for name, why in list(faults.items())[:5]:
        OUT.print(f"[yellow]set aside:[/] {escape(name)}: {escape(why)}")
    if len(faults) > 5:
        OUT.print(f"[yellow]set aside:[/] {len(faults) - 5} more")


def table(rows: Sequence[dict]) -> Table:
    """Accuracy by features and labels a class."""
    budgets = list(dict.fromkeys(row["labels"] for row in rows))
    shown = Table(title="accuracy on held-out data", title_justify="left")
    shown.add_column("features")
    shown.add_column("judged by")
    for each in budgets:
        shown.add_column("all labels" if each is None else f"{each} a class", justify="right")
    for name, task in dict.fromkeys((row["features"], row["task"]) for row in rows):
        found = {row["labels"]: row for row in rows if (row["features"], row["task"]) == (name, task)}
        cells = [f"{found[each]['value']:.3f}" if each in found else "" for each in budgets]
        shown.add_row(name, task, *cells, style="bold" if name == "encoder" else None)
    return shown


def _evaluate(given, settings) -> None:
    from unveil import api
    rows = api.evaluate(given.target, given.data, hold_out=_numbers(given.hold_out), budgets=_budgets(given.budgets), seed=given.seed,
                        networks=not given.frozen, options=options_of(given), say=_say(given))
    _json({"rows": rows}) if given.json else OUT.print(table(rows))


def _embed(given, settings) -> None:
    from unveil import api
    done = api.embed_to(given.encoder, given.data, given.out, options=options_of(given), say=_say(given))
    if given.json:
        _json(done)
    else:
        _print_faults(done["faults"])
        OUT.print(f"{done['samples']} x {done['width']} features in {escape(done['out'])}")


def _report(given, settings) -> None:
    from unveil.reports.page import report_again
    page = report_again(given.run_folder)
    _json({"report": str(page)}) if given.json else OUT.print(f"report {escape(str(page))}")


def _reproduce(given, settings) -> None:
    from unveil.progress import progress
    from unveil.reports.page import write_study
    from unveil.studies.present import present
    from unveil.studies.study import load_study, run_study
    study = load_study(given.study)
    out, arms = given.out or Path("runs") / study.name, given.arms.split(",") if given.arms else None
    if missing := [arm for arm in arms or () if arm not in study.arms]:
        raise Unusable(f"the study {study.name} has no arm {missing[0]!r}; there are: {', '.join(study.arms)}")
    with progress(given.json) as show:
        rows = run_study(study, seeds=given.seeds, arms=arms, results=given.results, runs=out, jobs=given.jobs, show=show,
                         say=_say(given))
    held = present(study, rows, out, None if given.json else OUT)
    page = write_study(study, rows, held, out)
    _json(held | {"report": str(page)}) if given.json else OUT.print(escape(f"results  {out / 'results.json'}\nreport   {page}"))


def _list(given, settings) -> None:
    from unveil.listing import listing
    listing(given.what, OUT, given.json)


def _doctor(given, settings) -> None:
    from unveil.listing import doctor
    doctor(OUT, given.json)


if __name__ == "__main__":
    sys.exit(main())
