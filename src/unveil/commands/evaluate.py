"""``unveil evaluate``."""

from __future__ import annotations

from unveil.commands.words import OUT, budgets, command, numbers, options_of, print_json, say, table


def add(commands) -> None:
    new = command(commands, "evaluate", run, "Judge an encoder, or features from elsewhere, on labelled data.",
                  "  unveil evaluate runs/photos-simclr --data labelled/ --labels folders\n"
                  "  unveil evaluate features.npz --labels y.csv", judged=True, data=True)
    new.add_argument("target", help="folder of a run or encoder, or an .npz of features")
    new.add_argument("--data", help="labelled data")


def run(given, settings) -> None:
    from unveil import api
    rows = api.evaluate(given.target, given.data, hold_out=numbers(given.hold_out), budgets=budgets(given.budgets), seed=given.seed,
                        networks=not given.frozen, options=options_of(given), say=say(given))
    print_json({"rows": rows}) if given.json else OUT.print(table(rows))
