from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from unveil.cli import dotted, parser
from unveil.recipes import recipe as recipes
from unveil.reports.command import as_command, differing


def recipe_of(method: str = "simclr", **train):
    made = recipes.resolve(method, "signal", given={"kind.window": 64, "method.area": [0.3, 1.0]})
    return replace(made, train=made.train | train, reasons={"train.batch": "few samples"}, kind=made.kind | {"rate": 50.0})


def asked(**other):
    return {"data": "my recordings/", "options": {"labels": "folders"}, "hold_out": (0, 2), "budgets": (5, None),
            "settings": {"kind.window": 64, "method.area": [0.3, 1.0]}} | other


def test_the_command_gives_the_same_recipe_without_looking_at_the_machine():
    made = recipe_of(batch=16, lr=1e-5, decay=(0.05, 2e-7), steps=300)
    words = shlex.split(as_command(made, asked()))
    given, rest = parser().parse_known_args(words[1:])
    again = recipes.resolve(given.method, "signal", scale=given.scale, seed=given.seed,
                            given=dotted(rest) | {"encoder.name": given.encoder})
    for part in ("encoder", "method", "train"):
        assert getattr(again, part) == getattr(made, part), part
    assert (given.data, given.labels, given.hold_out, given.budgets) == ("my recordings/", "folders", "0,2", "5,all")
    assert again.kind["window"] == 64 and again.kind["rate"] is None, "what was read off the data is read off them again"


def test_what_was_not_judged_is_not_judged_again():
    made = recipe_of()
    assert "--frozen" in as_command(made, asked(networks=False)) and "--frozen" not in as_command(made, asked(networks=True))
    assert "networks=False" in as_command(made, asked(data=None, networks=False, options={}))


def test_an_array_is_repeated_from_python():
    text = as_command(recipe_of(batch=16), asked(data=None, options={"kind": "signal", "layout": "ct"}))
    compile(text, "command", "exec")
    assert "options=Options(layout='ct')" in text and "'train.batch': 16" in text and "hold_out=(0, 2)" in text


@pytest.mark.parametrize("method", ["simclr", "mae", "dino"])
def test_what_is_usual_is_left_out(method):
    made = recipes.resolve(method, "signal", scale="small")
    assert differing(made, {}) == {}
