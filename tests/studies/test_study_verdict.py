"""Verdicts follow from rows alone, and say no more than the rows can carry."""

from __future__ import annotations

import numpy as np
import pytest

from unveil.reports.page import write_study
from unveil.studies.claims import section
from unveil.studies.present import _table, summarise
from unveil.studies.study import Study
from unveil.studies.summary import ACCURACY, Figure, decimals
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


def test_nothing_is_said_where_the_data_do_not_carry_the_claim():
    made = rows(a=dict(encoder=0.8), b=dict(encoder=0.7))
    made[0]["folds"][0]["doubts"] = ["75% of the graphs have a coarser level, fewer than 80%"]
    found, = verdicts(study(over=("b",)), made)
    assert found.word == UNTESTABLE and found.why == "75% of the graphs have a coarser level, fewer than 80%"


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


def measured(arm: str, seed: int, encoder: float, *, untaught: float = 60.0, scratch: float = 55.0, forest: float = 52.0,
             parts: int = 8) -> dict:
    """A row of a regression in kelvin, where less is better, among figures that are none of the study's."""
    rng = np.random.default_rng([seed, sum(map(ord, arm))])

    def score(name, value, task="regression", metric="MAE", samples=200):
        return {"task": task, "features": name, "labels": None, "at": {"samples": samples} if samples else {}, "values": [value],
                "metric": metric, "unit": "K" if metric == "MAE" else "share of variance",
                "direction": "lower" if metric == "MAE" else "higher", "parts": (value + 0.5 * rng.normal(size=parts)).tolist()}
    found = [score("encoder", encoder), score("encoder", 0.3, metric="R2"), score("encoder", encoder + 9, samples=50),
             score("encoder", encoder - 9, samples=None), score("random init", untaught), score("from scratch", scratch, task="network"),
             score("statistics", forest, task="forest"), score("statistics", 50.0)]
    made = row(arm, seed, 0.5)
    made["folds"][0] |= {"scores": found, "rise": None, "figures": {}}
    return made | {"date": "today", "machine": "one", "code": "1"}


def melting(smallest: float = 2.0, **claims) -> Study:
    return Study("s", "q", "chemicals", {name: {"method": name} for name in "ab"}, budgets=(5, 20, None), claim="a beats b", arm="a",
                 task="regression", metric="MAE", smallest=smallest, **claims)


def kelvin(a: float, b: float, **facts) -> list[dict]:
    return [measured(arm, seed, value, **facts) for arm, value in (("a", a), ("b", b)) for seed in range(5)]


def test_less_of_an_error_is_better_and_its_unit_is_said():
    found, = verdicts(melting(over=("b",)), kelvin(40.0, 45.0))
    assert found.word == HOLDS and found.gain == pytest.approx(5.0, abs=0.5) and found.low > 0
    assert found.why.startswith("MAE lower by +") and " K at 200 samples, over 5 seeds and 8 parts" in found.why
    assert "smallest that matters 2 K" in found.why
    assert verdicts(melting(over=("b",)), kelvin(45.0, 40.0))[0].word == FAILS
    assert verdicts(melting(smallest=8.0, over=("b",)), kelvin(40.0, 45.0))[0].word == FAILS, "less than what matters"
    assert verdicts(melting(level=("b",)), kelvin(40.0, 39.5))[0].word == HOLDS


def test_of_a_higher_figure_in_other_units_more_is_better():
    figure = melting(over=("b",))
    found, = verdicts(Study(**{**vars(figure), "metric": "R2"}), kelvin(40.0, 40.0))
    assert found.word == UNTESTABLE, "the untaught network has no R2 in these rows"


def test_an_arm_that_is_no_better_than_untaught_in_its_unit_is_not_testable():
    found, = verdicts(melting(over=("b",)), kelvin(40.0, 60.0))
    assert found.word == UNTESTABLE and "b does not clearly beat the same network untaught: MAE lower by" in found.why
    found, = verdicts(melting(without=("b",)), kelvin(40.0, 60.0))
    assert found.word == HOLDS


def test_controls_are_beaten_or_not_by_their_own_task():
    beside = (("from scratch", "network"), ("statistics", "forest"), ("statistics", "regression"), ("raw + PCA", "regression"))
    found = verdicts(melting(controls=beside), kelvin(51.5, 45.0, forest=52.0))
    assert [each.word for each in found] == [HOLDS, FAILS, FAILS, UNTESTABLE]
    assert [each.about for each in found][:2] == ["a over from scratch (network)", "a over statistics (forest)"]
    assert "hold no pair of MAE of regression at 200 samples" in found[-1].why and found[0].cost is None


def test_seeds_whose_parts_differ_are_no_pair():
    made = kelvin(40.0, 45.0)
    made[0] = measured("a", 0, 40.0, parts=7)
    assert "over 4 seeds and 8 parts" in verdicts(melting(over=("b",)), made)[0].why


def test_what_was_scored_on_other_samples_is_no_pair():
    """Folds over all samples, and a probe on those that were held out, may have as many parts."""
    made = kelvin(40.0, 45.0)
    for each in made:
        for score in each["folds"][0]["scores"]:
            score["n_test"] = 188 if score["task"] == "forest" else 47
    found = verdicts(melting(controls=(("statistics", "forest"), ("from scratch", "network"))), made)
    assert [each.word for each in found] == [UNTESTABLE, HOLDS] and "hold no pair" in found[0].why


def test_the_network_as_a_whole_is_paired_with_training_from_scratch():
    def whole(arm, seed, value):
        made = measured(arm, seed, value)
        made["folds"][0]["scores"] += [score | {"features": "fine-tuned", "task": "network"} for score in made["folds"][0]["scores"][:1]]
        return made
    held = Study(**{**vars(melting(over=("b",))), "task": "network"})
    found, = verdicts(held, [whole(arm, seed, value) for arm, value in (("a", 40.0), ("b", 45.0)) for seed in range(5)])
    assert found.word == HOLDS
    found, = verdicts(held, [whole(arm, seed, value) for arm, value in (("a", 40.0), ("b", 54.9)) for seed in range(5)])
    assert found.word == UNTESTABLE, "b is not clearly better than from scratch"


def test_pages_and_tables_of_errors_hold_their_unit():
    held = melting(over=("b",), controls=(("statistics", "forest"),))
    text = "\n".join(section(held, kelvin(40.0, 45.0)))
    assert "| arm | regression, MAE in K, 50 samples | regression, MAE in K, 200 samples | regression, MAE in K, all samples |" in text
    assert "| a | 49.0 [49.0, 49.0] | 40.0 [40.0, 40.0] | 31.0 [31.0, 31.0] | +20.0 [+20.0, +20.0] |" in text and "learns" in text
    assert "| *statistics (forest)* |  | 52.0" in text and "kNN" not in text and "those at 200 samples" in text
    told = summarise(held, kelvin(40.0, 45.0))
    assert (told["metric"], told["unit"], told["direction"], told["verdict"]) == ("MAE", "K", "lower", HOLDS)
    line = next(line for line in told["arms"]["a"] if (line["features"], line["labels"]) == ("random init", 20))
    assert line["gain"] == pytest.approx(20.0) and _table(held, told).title.startswith("MAE in K on held-out data")


@pytest.mark.parametrize("smallest, places", [(2.0, 1), (0.02, 3), (30.0, 0), (0.5, 2)])
def test_figures_have_two_places_beyond_what_matters(smallest, places):
    assert decimals(Figure("regression", "MAE"), smallest) == places and decimals(ACCURACY, smallest) == 3


def test_a_second_metric_of_the_same_task_changes_no_verdict():
    made = rows(a=dict(encoder=0.8), b=dict(encoder=0.7))
    before = verdicts(study(over=("b",)), made)
    for each in made:
        each["folds"][0]["scores"] += [score | {"metric": "ROC-AUC", "parts": [0.1] * 8, "values": [0.1]}
                                       for score in each["folds"][0]["scores"]]
    assert verdicts(study(over=("b",)), made) == before


def test_the_page_of_a_study_of_errors_shows_them_in_their_unit(tmp_path):
    held, made = melting(over=("b",)), kelvin(40.0, 45.0)
    for each in made:
        each |= {"seconds": 1.0}
        each["folds"][0] |= {"split_name": "scaffolds held out", "findings": [], "figures": {}, "steps": 5}
    page = write_study(held, made, summarise(held, made), tmp_path).read_text()
    assert "MAE in K on held-out data, lower is better" in page and "40 [40, 40]" in page and "200 samples" in page
    assert "Accuracy" not in page.partition("<main")[2]
    bare = Study(**{**vars(held), "claim": ""})
    page = write_study(bare, made, summarise(bare, made), tmp_path).read_text()
    assert "MAE of 2 arms; lower is better." in page
