"""Regression: agrees with scikit-learn, finds what was planted, keeps groups whole, and leaves missing targets out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

import unveil
from tasks.planted import halves, series
from tiny import recordings
from unveil import api
from unveil.data.options import Options
from unveil.errors import Unusable
from unveil.tasks import regression
from unveil.tasks.bench import Bench, Way
from unveil.tasks.regression import Regression, fit, ridge
from unveil.tasks.task import judge


def planted(count: int = 400, width: int = 6, noise: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features, and a target of which noise is a known share: the best R2 is 1 / (1 + noise^2)."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(count, width)).astype(np.float32), rng.normal(size=width)
    return x, 40 + 3 * (x @ w / np.linalg.norm(w) + noise * rng.normal(size=count))


def bench(x: np.ndarray, target: np.ndarray, budgets=(None,), **columns) -> Bench:
    return Bench(halves(series(x[:, None], targets=target, **columns)), {"features": Way(lambda batch: batch.values.flatten(1))},
                 budgets=budgets, draws=3)


def rows(held: Bench) -> dict[tuple, dict]:
    return {(row["features"], row["metric"], row["at"].get("samples")): row for row in judge(held, [Regression()])[0]}


@pytest.mark.parametrize("count, width", [(60, 8), (20, 40)])
def test_ridge_is_that_of_scikit_learn(count, width):
    rng = np.random.default_rng(0)
    x, y, penalties = rng.normal(size=(count, width)) + 3, rng.normal(size=count), [0.01, 1.0, 300.0]
    found = ridge(torch.as_tensor(x), torch.as_tensor(y), torch.tensor(penalties, dtype=torch.float64))
    for w, penalty in zip(found.numpy(), penalties, strict=True):
        theirs = Ridge(alpha=penalty).fit(x, y)
        np.testing.assert_allclose(w, [*theirs.coef_, theirs.intercept_], rtol=1e-6, atol=1e-9)


def test_a_planted_number_is_found_as_well_as_its_noise_allows():
    x, target = planted()
    found = rows(bench(x, target))
    r2, error = found["features", "R2", None], found["features", "MAE", None]
    assert abs(r2["value"] - 0.8) < 0.06 and r2["low"] < r2["value"] < r2["high"] and r2["unit"] == "share of variance"
    w = fit(torch.as_tensor(x[:200]), target[:200], None).numpy()
    assert r2["value"] == pytest.approx(r2_score(target[200:], x[200:] @ w[:-1] + w[-1]))
    assert error["direction"] == "lower" and error["value"] == pytest.approx(np.abs(target[200:] - x[200:] @ w[:-1] - w[-1]).mean())
    median = found["median", "MAE", None]
    assert median["value"] == pytest.approx(np.abs(target[200:] - np.median(target[:200])).mean())
    assert median["value"] > 1.8 * error["value"] and found["median", "R2", None]["value"] < 0.01
    assert rows(bench(x, np.random.default_rng(1).permutation(target)))["features", "R2", None]["value"] < 0.02, "shuffled"


def test_missing_targets_are_neither_learned_from_nor_scored():
    x, target = planted()
    gone = np.arange(400) % 4 == 0
    wrong, left = np.where(gone, np.nan, target), rows(bench(x[~gone], target[~gone]))["features", "R2", None]
    found = rows(bench(x, wrong))["features", "R2", None]
    assert (found["n_train"], found["n_test"]) == (150, 150) and found["value"] == pytest.approx(left["value"])


def test_budgets_are_ten_samples_a_label_and_end_where_samples_do():
    x, target = planted()
    found = rows(bench(x, target, (1, 5, 20, None)))
    values = {key[2]: row for key, row in found.items() if key[:2] == ("features", "R2")}
    assert list(values) == [10, 50, None] and [row["n_train"] for row in values.values()] == [10, 50, 200]
    assert len(values[50]["values"]) == 3 and values[10]["value"] < values[50]["value"] < values[None]["value"]


def test_penalties_are_chosen_on_whole_groups(monkeypatch):
    learn, seen = regression.ridge, []
    monkeypatch.setattr(regression, "ridge", lambda x, y, penalties: seen.append(len(y)) or learn(x, y, penalties))
    x, target = planted(100)
    fit(torch.as_tensor(x), target, np.repeat([0, 1, 2], [50, 30, 20]))
    assert seen == [50, 70, 80, 100]


def test_a_target_that_only_tells_groups_apart_does_not_hold_on_others():
    rng = np.random.default_rng(0)
    who = np.arange(400) // 10
    x = np.eye(40, dtype=np.float32)[who] + 0.1 * rng.normal(size=(400, 40)).astype(np.float32)
    found = rows(bench(x, rng.normal(size=40)[who], groups=who))["features", "R2", None]
    assert found["value"] < 0.1 and "whole groups apart" in found["protocol"] and len(found["parts"]) == 20


def test_what_a_task_lacks():
    x, target = planted(40)
    assert "--targets" in Regression().lacks(bench(x, np.full(40, 3.0)), "features")
    assert Regression().lacks(bench(x, target), "features") == ""


def test_targets_of_an_archive_a_column_and_a_file(tmp_path):
    x, target = planted(48)
    np.savez(tmp_path / "a.npz", x=x, age=np.where(np.arange(48) == 3, np.nan, target), y=np.arange(48) % 2)
    found = unveil.evaluate(tmp_path / "a.npz", options=Options(targets="age"), budgets=(None,), tasks=["regression"])
    assert {row["unit"] for row in found} == {"share of variance", "age"} and found[0]["n_train"] + found[0]["n_test"] == 47
    with pytest.raises(Unusable, match="none is called 'agee', which --targets names"):
        unveil.evaluate(tmp_path / "a.npz", options=Options(targets="agee"))
    recordings(tmp_path / "people")
    for number, file in enumerate(sorted((tmp_path / "people").iterdir())):
        lines = file.read_text().splitlines()
        file.write_text("\n".join([lines[0] + ",age", *(f"{line},{20 + number if number else ''}" for line in lines[1:])]))
    _, samples = api.open_data(tmp_path / "people", options=Options(targets="age"), settings={"window": 32})
    assert samples.channels == 2 and samples.target == "age"
    assert np.isnan(samples.targets[samples.groups == 0]).all() and set(samples.targets[samples.groups > 0]) == {21, 22, 23}
    (tmp_path / "t.csv").write_text("name,size\n" + "\n".join(f"the array[{i}],{i / 2 if i else ''}" for i in range(24)))
    held = np.random.default_rng(0).random((24, 16, 16, 3)).astype(np.float32)
    _, samples = api.open_data(held, options=Options(kind="image", layout="hwc", targets=str(tmp_path / "t.csv")))
    assert samples.target == "size" and np.isnan(samples.targets[0]) and samples.targets[23] == 11.5
    assert samples.subset([3, 1]).targets.tolist() == [1.5, 0.5]


def test_targets_that_are_no_numbers_are_refused_where_they_stand(tmp_path):
    held = {"x": np.zeros((3, 16, 16)), "age": np.array(["1", "old", ""])}
    with pytest.raises(Unusable, match=r"the array\[1\]: age is 'old', which is no finite number"):
        api.open_data(held, options=Options(kind="image", targets="age"))
    with pytest.raises(Unusable, match="3 samples, but age is 3x2; targets are one number a sample"):
        api.open_data(held | {"age": np.zeros((3, 2))}, options=Options(kind="image", targets="age"))
    recordings(tmp_path / "people")
    with pytest.raises(Unusable, match=r"has no column 'age'"):
        api.open_data(tmp_path / "people", options=Options(targets="age"))


def test_labels_that_look_measured_are_pointed_to_targets():
    x, notes = np.zeros((60, 16, 16)), {}
    for name, y in {"measured": np.arange(60) / 3, "counted": np.arange(60) % 30, "words": np.array([f"w{i}" for i in range(60)])}.items():
        notes[name] = api.open_data({"x": x, "y": y}, options=Options(kind="image"))[1].notes
    assert "60 different numbers" in notes["measured"][0] and "--targets" in notes["measured"][0]
    assert not notes["counted"] and not notes["words"]


@pytest.mark.parametrize("name, unit", [("gap (eV)", "eV"), ("melting point [K]", "K"), ("age", "age"), ("logS (mol/L) ", "mol/L"),
                                        ("f(x) of it", "f(x) of it")])
def test_the_unit_of_an_error_is_in_the_name_of_the_target(name, unit):
    held = bench(*planted(80))
    held.split.train.target = held.split.test.target = name
    found = rows(held)["features", "MAE", None]
    assert found["unit"] == unit and found["protocol"].endswith(f"; target {name}")


def test_parts_are_those_of_r2_and_spread_as_its_jackknife():
    from scipy.stats import t
    x, target = planted(300)
    found = rows(bench(x, target, groups=np.arange(300) // 10))["features", "R2", None]
    parts = np.array(found["parts"])
    half = t.ppf(0.975, len(parts) - 1) * parts.std(ddof=1) / len(parts) ** 0.5
    assert parts.mean() == pytest.approx(found["value"]) and found["high"] - found["value"] == pytest.approx(half)
