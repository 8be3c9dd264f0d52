from __future__ import annotations

import pytest

from unveil.reports.decision import decide, of_run, of_study, share
from unveil.tasks.result import interval

COLLAPSED = {"fault": "collapse", "sentence": "embedding collapsed since step 40: spread 0.001", "advice": "a lower --train.lr",
             "fatal": True}
FLAT = {"fault": "dimensional collapse", "sentence": "projection uses few of its dimensions", "advice": "a larger batch",
        "fatal": False}


def row(features: str, labels: int | None, value: float, task: str | None = None, wobble: float = 0.004) -> dict:
    """Few labels: five paired draws. All labels: one value with its interval."""
    values = [value + wobble * d for d in (-2, -1, 0, 1, 2)] if labels else [value]
    low, high = interval(values) if labels else (value - 0.02, value + 0.02)
    task = task or ("network" if features in ("from scratch", "fine-tuned") else "linear")
    return {"features": features, "task": task, "labels": labels, "value": value, "low": low, "high": high, "values": values}


def said(*rows, **other):
    return decide(of_run(rows), **other)


def test_few_labels_for_the_encoder_all_labels_for_training_from_scratch():
    told = said(row("encoder", 20, 0.82), row("statistics", 20, 0.79), row("from scratch", 20, 0.74),
                row("encoder", None, 0.88), row("statistics", None, 0.80), row("from scratch", None, 0.95))
    assert told.tone == "use"
    assert told.headline == ("With 20 labels a class use this encoder + linear: .82 [.81, .83]; hand statistics give .79, "
                             "training from scratch .74.")
    assert told.rest == ["With all labels train from scratch, without this encoder: .95 [.93, .97] against .88 (linear)."]


def test_hand_statistics_win_and_the_first_line_says_so():
    told = said(row("encoder", 5, 0.5), row("statistics", 5, 0.6), row("encoder", 20, 0.64), row("statistics", 20, 0.77))
    assert (told.tone, told.rest) == ("avoid", [])
    assert told.headline == ("With 5 to 20 labels a class use hand statistics, not this encoder: .77 [.76, .78] against .64 "
                             "(linear) with 20.")


def test_raw_values_win():
    told = said(row("encoder", None, 0.5), row("raw + PCA", None, 0.7))
    assert told.headline.startswith("With all labels use raw values + PCA, not this encoder")


def test_the_same_network_untrained_wins():
    told = said(row("encoder", 20, 0.6), row("random init", 20, 0.7))
    assert told.tone == "avoid"
    assert told.headline == ("With 20 labels a class do not use this encoder, the same network untrained is better: "
                             ".70 [.69, .71] against .60 (linear).")


def test_no_clear_gain_is_no_reason_to_use_it():
    told = said(row("encoder", None, 0.80), row("statistics", None, 0.79))
    assert told.tone == "even"
    assert told.headline == ("With all labels this encoder gains nothing clear over hand statistics: .80 [.78, .82] (linear) "
                             "against .79 [.77, .81].")


def test_a_gain_is_paired_over_draws():
    """Draws differ by much, and the encoder is better on each by as much."""
    told = said(row("encoder", 5, 0.62, wobble=0.05), row("statistics", 5, 0.60, wobble=0.05))
    assert told.tone == "use"


def test_a_gain_of_less_than_one_in_a_hundred_decides_nothing():
    assert said(row("encoder", 5, 0.608, wobble=0.05), row("statistics", 5, 0.60, wobble=0.05)).tone == "even"


def test_fine_tuning_is_advised_only_where_it_clearly_beats_the_frozen_encoder():
    rest = row("encoder", 20, 0.8), row("statistics", 20, 0.6)
    assert "this encoder + linear" in said(*rest, row("fine-tuned", 20, 0.8)).headline
    assert "this encoder, fine-tuned: .90" in said(*rest, row("fine-tuned", 20, 0.9)).headline


def test_a_control_must_beat_the_fine_tuned_encoder_too():
    rows = row("encoder", 20, 0.6), row("statistics", 20, 0.77), row("fine-tuned", 20, 0.76, wobble=0.04)
    told = said(*rows)
    assert told.tone == "even"
    assert told.headline.endswith("over hand statistics: .76 [.68, .84] (fine-tuned) against .77 [.76, .78].")
    assert said(*rows[:2], row("fine-tuned", 20, 0.7)).tone == "avoid"


def test_training_that_shows_no_gain_is_told():
    told = said(row("encoder", 20, 0.8), row("random init", 20, 0.8), row("statistics", 20, 0.9))
    assert told.rest == ["Its training shows no gain: with 20 labels a class the same network untrained gives .80, "
                         "this encoder .80."]


def test_without_labels_the_decision_is_on_health_alone():
    assert decide({}).headline == "Healthy; name labels with --labels to know whether to use this encoder."
    told = decide({}, [FLAT])
    assert (told.tone, told.headline) == ("avoid", "Do not use this encoder: projection uses few of its dimensions.")


def test_a_fatal_fault_comes_first_and_another_one_last():
    rows = row("encoder", 20, 0.8), row("statistics", 20, 0.6)
    told = said(*rows, findings=[FLAT, COLLAPSED])
    assert (told.tone, told.headline) == ("avoid", "Do not use this encoder: embedding collapsed since step 40.")
    assert told.rest[1] == "Embedding collapsed since step 40: spread 0.001. Try: a lower --train.lr."
    assert "use this encoder" in told.rest[-1]
    told = said(*rows, findings=[FLAT])
    assert told.tone == "use" and told.rest == ["Projection uses few of its dimensions. Try: a larger batch."]


def test_a_stopped_run_says_how_to_go_on():
    told = decide({}, status="stopped", step=70)
    assert (told.tone, told.headline) == ("open", "Stopped after 70 steps, before this encoder was judged.")


def test_labels_are_said_in_words():
    groups = [row(name, each, value) for each in (1, 5, None) for name, value in (("encoder", 0.9), ("statistics", 0.7))]
    assert said(*groups).headline.startswith("With 1 label a class or more use this encoder + linear: .90 [.88, .92] with all;")


def study_rows(gain: float, seeds: int = 3, splits: int = 2) -> list[dict]:
    score = lambda name, value: {"features": name, "task": "linear", "labels": 20, "values": [value - 0.02, value + 0.02]}
    both = lambda value, seed: [score("encoder", value + gain), score("statistics", value + 0.002 * seed)]
    return [{"arm": "simclr", "seed": seed, "folds": [{"split": f"s{split}", "scores": both(0.7 + 0.05 * split, seed)}
                                                      for split in range(splits)]} for seed in range(seeds)]


def test_a_study_pairs_over_seeds_and_splits():
    told = decide(of_study(study_rows(0.03), "simclr", (20,)), who="simclr")
    assert told.tone == "use" and told.headline.startswith("With 20 labels a class use simclr + linear: .76 [")
    assert decide(of_study(study_rows(-0.03), "simclr", (20,))).tone == "avoid"


def test_a_study_of_one_split_and_seed_falls_back_to_its_draws():
    table = of_study(study_rows(0.03, 1, 1), "simclr", (20,))
    assert len(table[("encoder", "linear"), 20].values) == 2
    single = study_rows(0.03, 1, 1)
    for score in single[0]["folds"][0]["scores"]:
        score["values"] = score["values"][:1]
    told = decide(of_study(single, "simclr", (20,)))
    assert told.tone == "even"
    assert told.headline == ("With 20 labels a class hand statistics give .68, this encoder .71 (linear); a single run gives no "
                             "interval.")


@pytest.mark.parametrize(("value", "text"), [(0.8249, ".82"), (1.0, "1.00"), (0.0, "0.00"), (0.004, "0.00"), (0.999, "1.00"),
                                             (1.2, "1.00")])
def test_shares_are_short(value, text):
    assert share(value) == text


def test_a_control_that_is_not_clearly_beaten_is_named_though_another_is_higher():
    told = said(row("encoder", 20, 0.82), row("from scratch", 20, 0.79), row("statistics", 20, 0.785, wobble=-0.03))
    assert told.tone == "even" and "gains nothing clear over hand statistics" in told.headline


@pytest.mark.parametrize("task, metric", [("dense", "token accuracy"), ("forces", "cosine")])
def test_what_is_known_of_places_alone_decides_too(task, metric):
    row = lambda features, value: {"features": features, "task": task, "metric": metric, "labels": None, "at": {}, "value": value,
                                   "low": value - 0.02, "high": value + 0.02, "values": [value]}
    told = decide(of_run([row("encoder", 0.9), row("random init", 0.5)]))
    assert told.tone == "use"
    assert told.headline == "With all labels use this encoder + linear: .90 [.88, .92]; the same network untrained gives .50."
