"""``unveil reproduce``, and what it shares with ``unveil compare``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from unveil.commands.words import OUT, command, print_json, say
from unveil.errors import Unusable
from unveil.wording import escape

QUICK = {"train.steps": 20}


def add(commands) -> None:
    new = command(commands, "reproduce", run, "Check a published claim: matched arms over seeds and splits, with a verdict.",
                  "  unveil reproduce bootleg\n  unveil reproduce lejepa-image --jobs 2\n"
                  "  unveil reproduce methods-signal --seeds 3 --arms simclr,lejepa")
    new.add_argument("study", help="name or YAML file; unveil list studies shows all")
    new.add_argument("--arms", help="names, separated by commas; all by default")
    study_options(new)


def study_options(new) -> None:
    """Options of every command that runs a study."""
    new.add_argument("--seeds", type=int, help="how many; the study's own number by default")
    new.add_argument("--results", type=Path, help="folder of result rows; finished ones are kept (default results, or OUT/rows)")
    new.add_argument("--out", type=Path, help="folder of runs and report (default runs/STUDY)")
    new.add_argument("--jobs", type=int, default=1, help="folds that run side by side, each on its share of the cores (default 1)")
    new.add_argument("--quick", action="store_true", help="a smoke run of 20 steps and one seed, without a verdict")


def run(given, settings) -> None:
    from unveil.studies.study import load_studies
    arms = given.arms.split(",") if given.arms else None
    studies = load_studies(given.study)
    if missing := [arm for arm in arms or () for study in studies if arm not in study.arms]:
        raise Unusable(f"the study {given.study} has no arm {missing[0]!r}; there are: {', '.join(studies[0].arms)}")
    for study in studies:
        out = (given.out or Path("runs")) / study.name if len(studies) > 1 or not given.out else given.out
        carry_out(given, study, out, arms, given.results or Path("results"))


def carry_out(given, study, out: Path, arms: list[str] | None = None, results: Path | None = None) -> None:
    """Runs a study and shows what came of it."""
    from unveil.progress import progress
    from unveil.reports.page import write_study
    from unveil.studies.present import present
    from unveil.studies.study import run_study
    results = given.results or results or out / "rows"
    if given.quick:
        short = {arm: held | QUICK for arm, held in study.arms.items()}
        study, results = replace(study, arms=short, seeds=1, draws=2, claim=""), out / "rows"
    with progress(given.json) as show:
        rows = run_study(study, seeds=given.seeds, arms=arms, results=results, runs=out, jobs=given.jobs, show=show, say=say(given))
    held = present(study, rows, out, None if given.json else OUT)
    page = write_study(study, rows, held, out)
    print_json(held | {"report": str(page)}) if given.json else OUT.print(escape(f"results  {out / 'results.json'}\nreport   {page}"))
