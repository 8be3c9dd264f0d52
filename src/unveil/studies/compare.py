"""A study of methods on anyone's data: equal network, batch and steps for all, rows that are never made twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unveil.api.opening import opened, quiet
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.split import judgeable, split
from unveil.errors import Unusable
from unveil.recipes import recipe as recipes
from unveil.studies.study import Study

SHARED = ("batch", "epochs", "steps")  # what all arms take from the first; learning rates are each recipe's own


def comparison(arms: Sequence[str], data: str, *, hold_out: Sequence[int] | None = None, seeds: int = 5,
               budgets: Sequence[int | None] = (1, 5, 20, None), options: Options | None = None,
               settings: Mapping[str, Any] | None = None) -> Study:
    """A study whose claim is that the first arm gives better frozen features than the others.

    Args:
        arms: names of methods, or YAML files of a method with settings, the claimant first.
        data: a built-in set or a path, with labels.
        hold_out: groups to score on; None leaves the choice to :func:`unveil.data.split.split`.
        seeds: how many.
        budgets: labels a class; the verdict is at the middle one.
        options: what is to be said of the data.
        settings: for all arms, by dotted name.

    Raises:
        Unusable: where data or arms cannot be compared, before any work.
    """
    if len(arms) < 2:
        raise Unusable("a comparison needs two methods at least: unveil compare simclr mae --data DATA")
    held = {Path(arm).stem if arm.endswith(".yaml") else arm: _arm(arm) for arm in arms}
    if len(held) < len(arms):
        raise Unusable(f"two arms have one name: {', '.join(arms)}; give a YAML file for each and name the files apart")
    options, settings, first = options or Options(), dict(settings or {}), next(iter(held.values()))
    name, records = open_records(data, options)
    base = recipes.resolve(first["method"], name, scale="small", given=settings | _without_method(first))
    samples = opened(base.build_kind(), records, options, quiet)
    if samples.labels is None and samples.targets is None:
        raise Unusable(f"{data} has no labels, and only labels can say which method is better: give --labels folders, COLUMN or FILE.csv, "
                       "or numbers to predict with --targets")
    judgeable(split(samples, hold_out))
    shared = {"encoder": base.encoder} | {f"train.{name}": base.train[name] for name in SHARED if base.train[name] is not None}
    for arm in held.values():
        recipes.resolve(arm["method"], name, scale="small", given=shared | settings | _without_method(arm))
    claimant, *others = held
    return Study(name="-".join(held), question=f"Which of {', '.join(held)} gives the better frozen features of {data}?", data=data,
                 arms=held, folds=(tuple(hold_out) if hold_out is not None else None,), budgets=tuple(budgets), seeds=seeds,
                 settings=shared | settings, options={k: v for k, v in vars(options).items() if v is not None},
                 claim=f"{claimant} gives better frozen features than {' and '.join(others)}.", arm=claimant, over=tuple(others),
                 **({"task": "regression", "metric": "R2"} if samples.labels is None else {}))


def _arm(arm: str) -> dict[str, Any]:
    held = recipes.read(Path(arm)) if arm.endswith(".yaml") else {"method": arm}
    if not isinstance(held.get("method"), str):
        raise Unusable(f"{arm} must name a method, such as 'method: simclr', and settings by dotted name")
    recipes.find("method", held["method"])
    return held


def _without_method(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arm.items() if name != "method"}
