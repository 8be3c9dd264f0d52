"""Verdicts follow from rows alone, and say no more than the rows can carry."""

from __future__ import annotations

import numpy as np
import pytest

from unveil.studies.study import Study
from unveil.studies.verdict import FAILS, HOLDS, OPEN, UNTESTABLE, crossed, deciding, differences, judged, overall, verdicts
from unveil.tasks.result import interval

RECIPE = {"encoder": {"name": "transformer"}, "method": {"name": "m", "weight": 0.1}, "train": {"steps": 5}, "kind": {"name": "signal"}}


def draws(rng, seeds: int, parts: int, mean: float, by_seed: float, by_part: float, noise: float) -> np.ndarray:
    return mean + by_seed * rng.normal(size=(seeds, 1)) + by_part * rng.normal(size=(1, parts)) + noise * rng.normal(size=(seeds, parts))


@pytest.mark.parametrize("seeds, parts, by_seed, by_part", [(5, 6, 0.02, 0.03), (5, 20, 0.02, 0.0), (3, 6, 0.0, 0.03), (5, 6, 0.0, 0.0)])
def test_the_interval_covers_the_truth_over_new_seeds_and_new_parts(seeds, parts, by_seed, by_part):
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(600):
        _, low, high = crossed(draws(rng, seeds, parts, 0.01, by_seed, by_part, 0.02))
        inside += low <= 0.01 <= high
    assert inside / 600 > 0.93, "three standard errors of the count below 95% are .923"


def test_with_equal_parts_the_interval_is_the_paired_t_interval_of_the_seeds():
    values = np.repeat(np.array([[0.01], [0.03], [0.02], [0.06]]), 5, 1)
    assert crossed(values)[1:] == pytest.approx(interval(values[:, 0]))


def test_one_seed_says_nothing():
    assert crossed(np.ones((1, 4)))[1:] == (float("-inf"), float("inf"))


@pytest.mark.parametrize("low, high, level, word", [
    (0.01, 0.09, False, HOLDS), (-0.01, 0.05, False, OPEN), (-0.03, 0.019, False, FAILS), (0.001, 0.015, False, FAILS),
    (0.001, 0.03, False, OPEN), (-0.019, 0.01, True, HOLDS), (-0.03, 0.01, True, OPEN), (-0.09, -0.03, True, FAILS)])
def test_words(low, high, level, word):
    assert judged((low + high) / 2, low, high, 0.02, level) == word


def test_what_would_decide_does_decide():
    rng = np.random.default_rng(1)
    values = draws(rng, 4, 30, 0.03, 0.06, 0.0, 0.005)
    mean, low, _ = crossed(values)
    said = deciding(values, mean)
    assert low < 0 and said.startswith("About ") and "seeds would decide" in said
    needed = int(said.split()[1])
    again = [crossed(draws(rng, max(needed, 3), 30, mean, values.mean(1).std(ddof=1), 0.0, 0.005))[1] > 0 for _ in range(200)]
    assert np.mean(again) > 0.4, "half of the time with two standard errors of room"
    assert "test parts" in deciding(draws(rng, 30, 4, 0.02, 0.0, 0.1, 0.005), 0.02)


def row(arm: str, seed: int, encoder: float, *, untaught: float = 0.5, rise: float = 0.0, loss: float = 1.0,
        weight: float = 0.1) -> dict:
    rng = np.random.default_rng([seed, sum(map(ord, arm))])
    score = lambda name, value: {"task": "linear", "features": name, "labels": 20, "values": [value],
                                 "parts": (value + 0.004 * rng.normal(size=8)).tolist()}
    fold = {"split": "s", "status": "finished", "rise": rise, "loss": loss}
    fold |= {"scores": [score("encoder", encoder), score("random init", untaught)]}
    recipe = RECIPE | {"method": RECIPE["method"] | {"weight": weight}}
    return {"arm": arm, "seed": seed, "cpu_seconds": 10.0, "folds": [fold], "recipe": recipe}


def study(**claims) -> Study:
    return Study("s", "q", "watch", {name: {"method": name} for name in "abc"}, budgets=(5, 20, None), claim="a beats b", arm="a", **claims)


def rows(seeds: int = 4, **arms) -> list[dict]:
    return [row(arm, seed, **facts) for arm, facts in arms.items() for seed in range(seeds)]


def test_a_claim_that_holds_and_one_that_does_not():
    found, = verdicts(study(over=("b",)), rows(a=dict(encoder=0.8), b=dict(encoder=0.7)))
    assert found.word == HOLDS and found.gain == pytest.approx(0.1, abs=0.01) and found.cost == 1.0 and "8 parts" in found.why
    found, = verdicts(study(over=("b",)), rows(a=dict(encoder=0.7), b=dict(encoder=0.8)))
    assert found.word == FAILS and overall([found]) == FAILS
    found, = verdicts(study(level=("b",)), rows(a=dict(encoder=0.8), b=dict(encoder=0.8)))
    assert found.word == HOLDS


def test_nothing_is_said_where_an_arm_learned_nothing_or_still_learns():
    found, = verdicts(study(over=("b",)), rows(a=dict(encoder=0.8), b=dict(encoder=0.5)))
    assert found.word == UNTESTABLE and found.why.startswith("b does not clearly beat the same network untaught")
    found, = verdicts(study(without=("b",)), rows(a=dict(encoder=0.8), b=dict(encoder=0.5)))
    assert found.word == HOLDS, "an arm that lacks what the claim rests on may fail"
    found, = verdicts(study(over=("b",)), rows(a=dict(encoder=0.8), b=dict(encoder=0.7, rise=0.05)))
    assert found.word == UNTESTABLE and "was still learning" in found.why


def test_runs_that_the_diagnosis_ended_are_told():
    made = rows(a=dict(encoder=0.8), b=dict(encoder=0.5))
    for each in made[4:6]:
        each["folds"][0] |= {"status": "unhealthy", "findings": [{"fault": "collapse"}]}
    assert "; b was ended early in 2 of 4 runs (collapse)" in verdicts(study(without=("b",)), made)[0].why


def test_below_two_seeds_and_without_a_claim_there_is_no_verdict():
    assert verdicts(study(over=("b",)), rows(1, a=dict(encoder=0.8), b=dict(encoder=0.7))) == []
    assert verdicts(Study("s", "q", "watch", {"a": {}}), rows(a=dict(encoder=0.8))) == []


def test_the_loss_ranks_or_not():
    ordered = rows(a=dict(encoder=0.8, loss=1.0), b=dict(encoder=0.7, loss=2.0), c=dict(encoder=0.6, loss=3.0))
    found = verdicts(study(over=("b",), ranks=("a", "b", "c")), ordered)[-1]
    assert found.word == HOLDS and "+1.00" in found.why
    turned = rows(a=dict(encoder=0.8, loss=3.0), b=dict(encoder=0.7, loss=2.0), c=dict(encoder=0.6, loss=1.0))
    assert verdicts(study(over=("b",), ranks=("a", "b", "c")), turned)[-1].word == FAILS


def test_a_claim_fails_with_any_of_its_parts():
    say = lambda word: verdicts(study(over=("b",)), rows(a=dict(encoder=0.8), b=dict(encoder=0.7)))[0].__class__(word, "", "")
    assert overall([say(HOLDS), say(HOLDS)]) == HOLDS and overall([say(HOLDS), say(OPEN)]) == OPEN
    assert overall([say(UNTESTABLE), say(OPEN)]) == UNTESTABLE and overall([say(FAILS), say(UNTESTABLE)]) == FAILS


def test_what_differs_is_named():
    found = differences(rows(1, a=dict(encoder=0.8), b=dict(encoder=0.8, weight=0.0)), "a")
    assert found == {"b": {"method.weight": (0.1, 0.0)}}
