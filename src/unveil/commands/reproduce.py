"""``unveil reproduce``."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from unveil.commands.words import OUT, command, print_json, say
from unveil.errors import Unusable


def add(commands) -> None:
    new = command(commands, "reproduce", run, "Run a study: matched arms over seeds and splits; finished rows are kept.",
                  "  unveil reproduce watch-demo\n  unveil reproduce methods-signal --seeds 3 --arms simclr,lejepa")
    new.add_argument("study", help="name or YAML file; unveil list studies shows all")
    new.add_argument("--seeds", type=int, help="how many; the study's own number by default")
    new.add_argument("--arms", help="names, separated by commas; all by default")
    new.add_argument("--results", type=Path, default=Path("results"), help="folder of result rows (default %(default)s)")
    new.add_argument("--out", type=Path, help="folder of runs and report (default runs/STUDY)")
    new.add_argument("--jobs", type=int, default=1, help="folds that run side by side, each on its share of the cores (default 1)")


def run(given, settings) -> None:
    from unveil.progress import progress
    from unveil.studies.study import load_studies, run_study
    arms = given.arms.split(",") if given.arms else None
    studies = load_studies(given.study)
    if missing := [arm for arm in arms or () for study in studies if arm not in study.arms]:
        raise Unusable(f"the study {given.study} has no arm {missing[0]!r}; there are: {', '.join(studies[0].arms)}")
    for study in studies:
        out = (given.out or Path("runs")) / study.name if len(studies) > 1 or not given.out else given.out
        with progress(given.json) as show:
            rows = run_study(study, seeds=given.seeds, arms=arms, results=given.results, runs=out, jobs=given.jobs, show=show,
                             say=say(given))
        _present(given, study, rows, out)


def _present(given, study, rows, out: Path) -> None:
    from unveil.reports.page import write_study
    from unveil.studies.present import present
    held = present(study, rows, out, None if given.json else OUT)
    page = write_study(study, rows, held, out)
    print_json(held | {"report": str(page)}) if given.json else OUT.print(escape(f"results  {out / 'results.json'}\nreport   {page}"))
