"""``unveil compare``."""

from __future__ import annotations

from pathlib import Path

from unveil.commands.reproduce import carry_out, study_options
from unveil.commands.words import budgets, command, numbers, options_of


def add(commands) -> None:
    new = command(commands, "compare", run, "Run methods side by side on your data, and say which is better.",
                  "  unveil compare bootleg i-jepa mae --data photos/ --labels folders\n"
                  "  unveil compare simclr vicreg --data watch --hold-out 0,1,2 --seeds 5\n"
                  "  unveil compare mine.yaml simclr --data watch --train.steps 300", data=True)
    new.set_defaults(settings=True)
    new.add_argument("arms", nargs="+", metavar="METHOD", help="two or more; YAML files too, of a method with settings")
    new.add_argument("--data", required=True, help="labelled data: a built-in set, folder or file")
    new.add_argument("--hold-out", metavar="GROUPS", help="numbers of the groups to score on, such as 0,1,2")
    new.add_argument("--budgets", default="1,5,20,all", help="labels a class to judge with (default %(default)s)")
    study_options(new)


def run(given, settings) -> None:
    from unveil.studies.compare import comparison
    study = comparison(given.arms, given.data, hold_out=numbers(given.hold_out), seeds=given.seeds or 5, budgets=budgets(given.budgets),
                       options=options_of(given), settings=settings)
    carry_out(given, study, given.out or Path("runs") / study.name)
