"""The command line. It reads the words and hands them to :mod:`unveil.commands`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from unveil import plain_yaml
from unveil.commands import TABLE
from unveil.commands.words import ERR
from unveil.errors import Unusable, nearest
from unveil.training.memory import freed_memory_kept
from unveil.wording import escape

# Threads that spin while they wait make a step up to twenty times slower when another program runs on the machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; a user's mistake ends with one sentence and status 2.

    Args:
        arguments: words after ``unveil``; None takes those of the process.

    Returns:
        the exit status: 0, 2 for a mistake, 3 for a run that was stopped or found unhealthy, 4 for one that was repeated and
        does not match, 130 where Ctrl-C ended it at once.
    """
    written, words = _apart(sys.argv[1:] if arguments is None else arguments)
    given, rest = parser().parse_known_args(words)
    try:
        if rest:
            raise Unusable(_unknown(rest[0], given))
        if written and not getattr(given, "settings", False):
            raise Unusable(f"{written[0]} is no option of unveil {given.command}; see unveil {given.command} --help")
        with freed_memory_kept():  # judging trains networks too
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
    if not getattr(given, "settings", False) or not word.startswith("-"):
        return f"do not know what to do with {word!r}; see unveil {given.command} --help"
    from unveil.recipes.check import settings_of
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
            settings[name] = plain_yaml.load(value)
        except ValueError:
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
    for name in TABLE:
        importlib.import_module(f"unveil.commands.{name}").add(commands)
    return top


def _version(top: argparse.ArgumentParser, given) -> None:
    if given.version:
        from unveil import __version__
        print(f"unveil {__version__}")
    else:
        top.print_help()


if __name__ == "__main__":
    sys.exit(main())
