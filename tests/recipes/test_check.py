"""A setting that is wrong is refused with one sentence: its dotted name, what is wrong, what is right."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from unveil import encoders, kinds, methods, tasks
from unveil.contracts import Count, Fraction, NotNegative, Positive
from unveil.errors import Unusable
from unveil.recipes.check import TABLES, checked, find, names, settings_of
from unveil.recipes.recipe import resolve
from unveil.training.settings import Training


class Thing:
    """Has a setting of every type."""

    def __init__(self, first, *, count: Count = 4, lr: Positive = 0.1, share: Fraction = 0.5, weight: NotNegative | None = None,
                 area: tuple[Fraction, Fraction] = (0.3, 1.0), mirror: bool = True, way: Literal["left", "32", "no", "yes"] = "left",
                 name: str | None = None, free: Any = None):
        self.count = count


@pytest.mark.parametrize("given, words", [
    ({"cuont": 3}, "part.cuont is no setting of Thing; did you mean 'count'?"),
    ({"zzzzzz": 3}, "part.zzzzzz is no setting of Thing; there are: count, lr, share"),
    ({"first": 3}, "part.first is no setting of Thing"),
    ({"count": "many"}, "part.count is 'many', a text; it must be a whole number"),
    ({"count": 2.5}, "part.count is 2.5, a number; it must be a whole number"),
    ({"count": True}, "part.count is True, true or false; it must be a whole number"),
    ({"count": None}, "part.count is None, nothing; it must be a whole number"),
    ({"count": [1]}, "part.count is [1], a list; it must be a whole number"),
    ({"count": 0}, "part.count is 0; it must be at least 1"),
    ({"lr": "quick"}, "part.lr is 'quick', a text; it must be a number"),
    ({"lr": -1}, "part.lr is -1; it must be at least 1e-12"),
    ({"lr": float("nan")}, "part.lr is nan; it must be a finite number"),
    ({"lr": "inf"}, "part.lr is inf; it must be a finite number"),
    ({"share": 1.5}, "part.share is 1.5; it must be at least 0 and at most 1"),
    ({"weight": -2}, "part.weight is -2; it must be at least 0"),
    ({"area": 0.3}, "part.area is 0.3; it must be a list of 2, such as [0.3, 1.0]"),
    ({"area": [0.3]}, "part.area is [0.3]; it must be a list of 2"),
    ({"area": [0.3, 2]}, "part.area[1] is 2; it must be at least 0 and at most 1"),
    ({"mirror": 1}, "part.mirror is 1, a whole number; it must be true or false"),
    ({"mirror": "maybe"}, "part.mirror is 'maybe', a text; it must be true or false"),
    ({"way": "up"}, "part.way is 'up'; it can be 'left' or '32' or 'no' or 'yes'"),
    ({"name": 3}, "part.name is 3, a whole number; it must be a text"),
])
def test_what_is_wrong_is_one_sentence(given, words):
    with pytest.raises(Unusable) as why:
        checked(Thing, given, "part")
    assert str(why.value).startswith(words) and "\n" not in str(why.value)


def test_what_is_right_is_taken_as_its_type_and_the_rest_are_defaults():
    held = checked(Thing, {"lr": "1e-3", "share": 1, "weight": None, "area": [0, 1], "way": 32, "free": {"any": 1}}, "part")
    assert held == {"count": 4, "lr": 1e-3, "share": 1.0, "weight": None, "area": (0.0, 1.0), "mirror": True, "way": "32", "name": None,
                    "free": {"any": 1}}
    assert isinstance(held["share"], float)


def test_yes_and_no_mean_what_they_say_where_yaml_reads_truth():
    assert checked(Thing, {"way": False}, "part")["way"] == "no" and checked(Thing, {"way": True}, "part")["way"] == "yes"
    assert checked(Training, {"precision": 32, "compile": False}, "train")["precision"] == "32"


def test_a_setting_without_a_default_must_be_given():
    def needs(*, source: str): ...
    with pytest.raises(Unusable, match=r"encoder\.source must be given: needs has no default for it"):
        checked(needs, {}, "encoder")


@pytest.mark.parametrize("section, wrong, right", [("method", "simclear", "simclr"), ("kind", "imgae", "image"),
                                                   ("encoder", "transfromer", "transformer")])
def test_an_unknown_name_names_its_nearest_neighbour(section, wrong, right):
    with pytest.raises(Unusable, match=f"there is no {section} '{wrong}'; did you mean '{right}'?"):
        find(section, wrong)


@pytest.mark.parametrize("given, words", [
    ({"train.epoch": 3}, "train.epoch is no setting of Training; did you mean 'epochs'?"),
    ({"trian.epochs": 3}, "trian.epochs is in no section; did you mean 'train'?"),
    ({"method.temprature": 0.1}, "method.temprature is no setting of SimCLR; did you mean 'temperature'?"),
    ({"kind": {"sise": 8}}, "kind.sise is no setting of Image; did you mean 'size'?"),
    ({"encoder": {"name": "transformer", "widht": 8}}, "encoder.widht is no setting of Transformer; did you mean 'width'?"),
    ({"train.clip": -1}, "train.clip is -1; it must be at least 0"),
    ({"train.optimiser": "adam"}, "train.optimiser is 'adam'; it can be 'adamw' or 'lars' or 'sgd'"),
    ({"encoder": 5}, "encoder.name is 5; it must be a name"),
    ({"method.area": [0.1]}, "method.area is [0.1]; it must be a list of 2"),
])
def test_a_recipe_names_the_dotted_path(given, words):
    with pytest.raises(Unusable) as why:
        resolve("simclr", "image", given=given)
    assert str(why.value).startswith(words)


@pytest.mark.parametrize("section, name", [(section, name) for section in TABLES for name in names(section)])
def test_defaults_of_everything_pass_their_own_check(section, name):
    known = settings_of(find(section, name))
    given = {key: default for key, (_, default) in known.items() if isinstance(default, (bool, int, float, str, tuple))}
    needed = {key: "x" for key, (hint, default) in known.items() if key not in given and default is not None}
    assert checked(find(section, name), given | needed, section) == {k: d for k, (_, d) in known.items()} | needed


def test_the_tables_are_the_only_ones():
    assert TABLES == {"kind": kinds.TABLE, "encoder": encoders.TABLE, "method": methods.TABLE, "task": tasks.TABLE}
