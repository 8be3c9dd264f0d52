"""Whether the main arm of a study learns in a longer run, on one seed that is none of the study's, so that a length may be chosen by it.

``python benchmarks/longer.py STUDY:STEPS ...``: rows of other studies stay. Runs are kept below ``runs/longer`` and not made twice.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean

from rows import write

from unveil.studies.study import Study, _run_arm, load_study
from unveil.studies.summary import scores
from unveil.studies.verdict import budget

SEED = 100
ROWS = Path("results") / "benchmarks" / "longer.json"


def longer(study: Study, steps: int) -> dict:
    """What came of the arm that the claim is of."""
    changed = replace(study, arms={study.arm: study.arms[study.arm] | {"train.steps": steps}})
    home, figure = Path("runs") / "longer" / f"{study.name}-{steps}", study.figure
    row = _run_arm(changed, study.arm, SEED, home, lambda row: None, lambda text: print(text, flush=True))
    value = lambda features, each: round(mean(scores([row], study.arm, figure.task, features, each, figure.metric).values()), 4)
    found = {figure.budget(each): {name: value(name, each) for name in (figure.taught, figure.untaught)} for each in study.budgets}
    usual = (study.settings | study.arms[study.arm]).get("train.steps")
    return {"study": study.name, "arm": study.arm, "seed": SEED, "steps": steps, "steps_of_study": usual, "metric": figure.metric,
            "decided_at": figure.budget(budget(study)), "scores": found, "cpu_seconds": round(row["cpu_seconds"])}


def main() -> None:
    """Prints and keeps a row a study."""
    rows = {row["study"]: row for row in (json.loads(ROWS.read_text())["rows"] if ROWS.exists() else [])}
    for asked in sys.argv[1:]:
        name, _, steps = asked.partition(":")
        rows[name] = longer(load_study(name), int(steps))
        print(rows[name], flush=True)
        write("longer", [rows[key] for key in sorted(rows)])


if __name__ == "__main__":
    main()
