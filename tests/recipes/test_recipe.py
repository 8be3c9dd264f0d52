"""Recipe files resolve, published ones say what the classes say, and ``auto`` gives its reasons."""

from __future__ import annotations

import math
from importlib import resources

import pytest
import torch
import yaml

from unveil.errors import Unusable
from unveil.randomness import Generator
from unveil.recipes import scale
from unveil.recipes.check import find, names, settings_of
from unveil.recipes.fit import ways
from unveil.recipes.recipe import SCALES, from_file, read, resolve, sections
from unveil.training.settings import Training

FILES = sorted(file.name for file in resources.files("unveil.recipes").iterdir() if file.name.endswith(".yaml"))
HELD = {name: yaml.safe_load((resources.files("unveil.recipes") / name).read_text()) for name in FILES}
CASES = [(*name.split(".")[:2], part) for name in FILES for part in HELD[name]]
CPU = torch.device("cpu")


def test_every_method_has_a_recipe_for_every_kind_that_it_can_be_taught_on():
    assert {name.removesuffix(".yaml") for name in FILES} >= {f"{m}.{k}" for m in names("method") for k in names("kind") if ways(k, m)}


@pytest.mark.parametrize("method, kind, part", CASES)
def test_every_part_of_every_file_resolves(method, kind, part):
    assert part in SCALES
    recipe = resolve(method, kind, scale=part)
    held = HELD[f"{method}.{kind}.yaml"][part]
    assert set(held) <= {"kind", "encoder", "method", "train"} | ({"samples", "rows", "channels"} if part == "published" else set())
    for section, found in (("encoder", recipe.encoder), ("method", recipe.method), ("train", recipe.train)):
        for key, value in held.get(section, {}).items():
            assert found[key] == (tuple(value) if isinstance(value, list) else value), f"{section}.{key}"
    assert recipe.training() == Training(**recipe.train) and recipe.build_kind().name == kind


@pytest.mark.parametrize("method, kind", [(m, k) for m, k, part in CASES if part == "published"])
def test_published_settings_of_a_method_are_the_defaults_of_its_class(method, kind):
    """Only the size of a predictor or decoder may differ: it follows that of the encoder."""
    defaults = {name: default for name, (_, default) in settings_of(find("method", method)).items()}
    recipe = resolve(method, kind, scale="published")
    differ = {name for name, default in defaults.items() if recipe.method[name] != default}
    assert differ <= {"predictor_heads", "predictor_depth", "decoder_heads"}, differ


def test_the_user_comes_before_the_file_and_the_file_before_the_class():
    recipe = resolve("simclr", "image", given={"method.temperature": 0.7, "train": {"epochs": 2}})
    file = from_file("simclr", "image", "small")
    assert recipe.method["temperature"] == 0.7 and recipe.train["epochs"] == 2
    assert recipe.method["hidden"] == file["method"]["hidden"] != settings_of(find("method", "simclr"))["hidden"][1]
    assert recipe.train["betas"] == Training().betas


def test_another_encoder_leaves_the_files_settings_of_the_first():
    recipe = resolve("simclr", "image", given={"encoder.name": "transformer", "encoder.patch": 4})
    assert recipe.encoder["patch"] == 4 and recipe.encoder["width"] == 768 and "stages" not in recipe.encoder


def test_what_is_not_there_is_said():
    with pytest.raises(Unusable, match="there is no scale 'large'; there are auto, small, published"):
        resolve("simclr", "image", scale="large")
    lacking = [(m, k) for m, k, _ in CASES if "published" not in HELD[f"{m}.{k}.yaml"]]
    for method, kind in dict.fromkeys(lacking):
        with pytest.raises(Unusable, match=f"{method} has no published settings for {kind}; there are: small"):
            resolve(method, kind, scale="published")


def test_settings_that_do_not_go_together_are_named():
    recipe = resolve("mae", "image", given={"encoder.width": 30, "encoder.heads": 4})
    spec = recipe.build_kind().planted(8, Generator(0)).spec()
    with pytest.raises(Unusable, match="the encoder transformer cannot be built: width 30 is not a multiple of heads 4"):
        recipe.build_encoder(spec)
    recipe = resolve("mae", "image", given={"encoder.name": "conv"})
    with pytest.raises(Unusable, match=r"mae needs an encoder that supports keep, tokens; conv does not: use --encoder transformer"):
        recipe.build_method(recipe.build_encoder(spec))


def test_auto_says_what_it_chose_and_why():
    first = resolve("byol", "signal")
    made = scale.adjust(first, 200, CPU, {})
    assert made.train["batch"] == 32 and made.reasons["train.batch"] == "200 samples: at least four batches in an epoch"
    assert made.train["lr"] == pytest.approx(first.train["lr"] * math.sqrt(32 / first.train["batch"]))
    assert "square root rule" in made.reasons["train.lr"]
    assert made.train["steps"] is None or str(scale.FEWEST_STEPS) in made.reasons["train.steps"]
    for path, why in made.reasons.items():
        section, name = path.split(".")
        assert getattr(made, section)[name] != getattr(first, section)[name] and why, path


def test_auto_keeps_what_the_user_set():
    given = {"train.batch": 64, "train.lr": 0.5, "method.momentum": [0.5, 1.0]}
    made = scale.adjust(resolve("byol", "signal", given=given), 200, CPU, given)
    assert made.train["batch"] == 64 and made.train["lr"] == 0.5 and made.method["momentum"] == (0.5, 1.0)
    assert not set(given) & set(made.reasons)


def test_auto_keeps_a_run_within_bounds():
    short, long = (scale.adjust(resolve("simclr", "signal"), count, CPU, {}) for count in (10, 50_000_000))
    assert short.train["steps"] == scale.FEWEST_STEPS and long.train["steps"] == scale.MOST_STEPS["cpu"]
    assert short.train["batch"] == 8 and "train.batch" not in long.reasons


@pytest.mark.parametrize("method, name", [(m, name) for m in names("method") for name in find("method", m).per_batch])
def test_a_weight_that_goes_with_one_over_the_batch_follows_it(method, name):
    first = resolve(method, "signal")
    made = scale.adjust(first, 500, CPU, {})
    ratio = first.train["batch"] / made.train["batch"]
    assert ratio > 1 and made.method[name] == pytest.approx(min(1.0, first.method[name] * ratio))
    assert "the balance goes with batch size" in made.reasons[f"method.{name}"]
    same = scale.adjust(first, 1_000_000, CPU, {})
    assert same.method[name] == first.method[name]


def test_a_setting_per_batch_is_one_of_the_method():
    for method in names("method"):
        assert set(find("method", method).per_batch) <= set(settings_of(find("method", method)))


@pytest.mark.parametrize("text, seconds", [("90s", 90), ("10m", 600), ("2h", 7200), ("3", 180), ("0.5m", 30)])
def test_a_budget_is_read(text, seconds):
    assert scale.parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10 parsecs", "-5m", "0s", "nan", "infh"])
def test_a_budget_that_is_no_time_is_refused(text):
    with pytest.raises(Unusable, match="is no time: write 90s, 10m or 2h"):
        scale.parse_budget(text)


def test_a_budget_becomes_steps_with_the_reason():
    made = scale.within_budget(resolve("simclr", "image"), 60, 0.1)
    assert made.train["steps"] == 540 and "100 ms" in made.reasons["train.steps"]
    assert scale.within_budget(made, 1e-9, 10).train["steps"] == 1


def test_sections_take_dotted_and_nested_names():
    assert sections({"train": {"epochs": 3}, "train.lr": 1, "method": "mae"}) == {
        "kind": {}, "encoder": {}, "method": {"name": "mae"}, "train": {"epochs": 3, "lr": 1}}


@pytest.mark.parametrize("content, words", [("train: [", "cannot read the recipe"), ("- 1\n- 2", "must be a table of settings"),
                                            ("", "must be a table of settings")])
def test_a_users_file_that_is_no_recipe(tmp_path, content, words):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(Unusable, match=words):
        read(tmp_path / "mine.yaml")
    with pytest.raises(Unusable, match=r"cannot read the recipe .*none\.yaml"):
        read(tmp_path / "none.yaml")
