"""Each fault is named when it holds, where it holds and since when; transients and healthy runs are not."""

import json
import math

import pytest

from unveil.health.verdict import PATIENCE, Finding, summary, verdict


def row(step, loss=1.0, distance=0.3, **parts):
    figures = {"step": step, "loss": loss, "embedding/view_distance": distance}
    for part in ("embedding", "projection"):
        spread, deviation, rank = parts.get(part, (0.5, 0.3, 40.0))
        figures |= {f"{part}/{name}": value for name, value in
                    dict(spread=spread, deviation=deviation, effective_rank=rank, width=192.0).items()}
    return figures


def named(history, **settings):
    return [(finding.fault, finding.part, finding.since) for finding in verdict(history, **settings)]


def healthy(count=30):
    return [row(20 * i, 5.0 / (1 + i), embedding=(0.3 + 0.01 * i, 0.2, 60 - i), projection=(0.9, 1.0, 30 + i))
            for i in range(count)]


def test_healthy_run_has_no_finding():
    assert all(named(healthy(count), total=600) == [] for count in range(1, 31))
    said = summary([], healthy()[-1])
    assert said.startswith("healthy: embedding spread 0.59, effective rank 31 of 192; projection spread 0.9")


@pytest.mark.parametrize("part, other", [("embedding", "projection"), ("projection", "embedding")])
def test_complete_collapse_of_one_part(part, other):
    history = healthy(10) + [row(200 + 20 * i, 0.5, **{part: (0.02 / (i + 1), 0.01, 30.0)}) for i in range(5)]
    finding, = verdict(history, total=1000)
    assert (finding.fault, finding.part, finding.since, finding.fatal) == ("collapse", part, 200, True)
    assert finding.sentence.startswith(f"{part} collapsed since step 200")
    assert f"{other}: spread 0.5, effective rank 40 of 192" in finding.sentence, "the other part is said apart"
    assert json.loads(json.dumps(finding.to_json())) == finding.to_json()


def test_collapse_of_both_parts_is_two_findings():
    gone = (0.001, 0.001, 5.0)
    history = healthy(5) + [row(100 + 20 * i, embedding=gone, projection=gone) for i in range(3)]
    assert named(history) == [("collapse", "embedding", 100), ("collapse", "projection", 100)]


def test_loss_that_goes_while_the_projection_gathers_is_a_collapse():
    gathers = [row(20 * i, 0.1 * 0.4**i, projection=(max(0.2, 0.6 - 0.1 * i), 0.25 * 0.6**i, 50.0)) for i in range(9)]
    assert named(gathers) == [("collapse", "projection", 80)], "though noise fills all dimensions"
    assert named([x | {"loss": 0.1} for x in gathers]) == [] and named([x | {"loss": -1.0} for x in gathers]) == []
    assert named([x | {"projection/spread": 0.6} for x in gathers]) == []


def test_smaller_scale_alone_is_no_collapse():
    assert named([row(20 * i, 5.0 - i / 10, projection=(0.9, 0.5 ** i, 50.0)) for i in range(12)]) == []


def test_features_that_begin_near_constant_and_rise_are_healthy():
    rising, falling = ([row(20 * i, 5 - i / 10, embedding=(0.004 * x**i, 0.01, 4.0)) for i in range(10)] for x in (1.3, 0.9))
    assert named(rising) == [] and named(falling) == [("collapse", "embedding", 0)]


def test_fall_to_where_the_run_began_is_no_collapse():
    history = [row(20 * i, 5 / (i + 1), embedding=(0.9 if i < 4 else 0.085, 0.3, 5.0)) for i in range(1, 9)]
    assert named([row(0, embedding=(0.08, 0.1, 5.0)), *history]) == []


@pytest.mark.parametrize("since, length, alarm", [(0, PATIENCE - 1, False), (5, PATIENCE - 1, False), (5, PATIENCE, True)])
def test_transients_do_not_alarm(since, length, alarm):
    history = healthy(20)
    for i in range(since, since + length):
        history[i] |= {"projection/spread": 0.005, "projection/deviation": 0.001, "loss": 80.0, "embedding/view_distance": 0.0}
    assert any(named(history[:end], total=400) for end in range(1, 21)) == alarm
    assert named(history, total=400) == [], "what is over is no finding"


def test_dimensional_collapse_does_not_stop_the_run():
    history = healthy(8) + [row(160 + 20 * i, projection=(0.9, 1.0, 3.1)) for i in range(4)]
    finding, = verdict(history)
    assert (finding.fault, finding.part, finding.since, finding.fatal) == ("dimensional collapse", "projection", 160, False)
    assert "effective rank 3.1 of 192 (was 37)" in finding.sentence


def test_equal_views_are_a_trivial_task_and_no_collapse():
    finding, = verdict([row(20 * i, 2.0 / (i + 1), distance=0.0) for i in range(4)])
    assert (finding.fault, finding.part, finding.since, finding.fatal) == ("trivial task", "views", 0, True)
    gone = (0.0001, 0.0001, 1.0)
    constant = healthy(5) + [row(100 + 20 * i, distance=0.0, embedding=gone, projection=gone) for i in range(4)]
    assert {fault for fault, *_ in named(constant)} == {"collapse"}


def test_loss_at_its_floor_is_a_trivial_task():
    assert named([row(20 * i, 10.0 ** -i) for i in range(8)]) == [("trivial task", "loss", 100)]
    assert named([row(20 * i, -1.0 * i) for i in range(8)]) == [], "a loss that may be negative has no floor at 0"


def test_divergence():
    for bad in (math.nan, math.inf):
        assert named([*healthy(3), row(60, bad)]) == [("divergence", "loss", 60)]
    broken = {"step": 60, "loss": 1.0, "embedding/width": 192.0, "embedding/finite": 0.5}
    assert named([*healthy(3), broken]) == [("divergence", "loss", 60)]
    history = healthy(5) + [row(100 + 20 * i, 60.0 * 2 ** i) for i in range(3)]
    finding, = verdict(history)
    assert (finding.fault, finding.since, finding.fatal) == ("divergence", 100, True) and "best 1" in finding.sentence


def test_loss_that_rises_after_it_fell_is_no_divergence():
    falling_then_rising = [0.5, 0.1, 0.02, 0.01, 0.05, 0.1, 0.2, 0.3]
    assert named([row(20 * i, x, embedding=(0.1 + 0.02 * i, 0.2, 9.0)) for i, x in enumerate(falling_then_rising)]) == []


def test_no_learning():
    still = [row(20 * i, 4.0 + 0.1 * (-1) ** i) for i in range(20)]
    assert named(still[:6], total=2000) == [], "too early to say"
    finding, = verdict(still, total=1000)
    assert (finding.fault, finding.part, finding.since, finding.fatal) == ("no learning", "run", 0, False)
    assert named(still) == [("no learning", "run", 0)]
    assert named([x | {"loss": 4.0 - 0.2 * i} for i, x in enumerate(still)]) == []
    assert named([x | {"embedding/spread": 0.3 + 0.02 * i} for i, x in enumerate(still)]) == []


def test_findings_in_words():
    finding = Finding("collapse", "projection", 240, "projection collapsed since step 240", "a lower --train.lr", True)
    assert str(finding) == "projection collapsed since step 240. Try: a lower --train.lr"
    assert summary([finding, finding], {}).count("\n") == 1


def test_history_without_loss_or_projection():
    kept = ("step", "embedding/spread", "embedding/deviation", "embedding/effective_rank", "embedding/width")
    history = [{name: row(i)[name] for name in kept} for i in range(9)]
    assert named(history) == [] and named([]) == [] and named([{"step": 1, "loss": 0.3}]) == []
