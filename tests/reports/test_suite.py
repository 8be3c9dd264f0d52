"""Results of further tasks find their place on the page, whatever tasks there are."""

from __future__ import annotations

import json
import re

import pytest

from unveil.errors import Unusable
from unveil.reports.collect import decided
from unveil.reports.page import render, report_again
from unveil.reports.suite import further, robustness
from unveil.reports.tables import columns, graded
from unveil.tasks.result import Result

WAYS = ("encoder", "random init", "raw + PCA", "statistics")


def row(task: str, features: str, value: float, labels: int | None = None, **other) -> dict:
    facts = dict(metric="accuracy", unit="share", direction="higher", low=value - 0.02, high=value + 0.02) | other
    return Result(task=task, protocol=f"{task} as usual", features=features, labels=labels, value=value, values=[value], parts=[],
                  n_train=10, n_test=1200, split="s", split_name="held-out groups 0", seed=0, code="1", encoder="e", **facts).row()


def everything() -> list[dict]:
    """Rows of every shape that a task may give, worse for each way in turn."""
    rows = []
    for less, way in enumerate(WAYS):
        rows += [row(task, way, 0.5 + 0.04 * i - 0.03 * less, each) for task, ladder in
                 (("few-shot", (1, 2, 5, 10, 20)), ("curve", (20, 50, 100, None)), ("linear", (1, 5, 20, None)))
                 for i, each in enumerate(ladder)]
        rows += [row("robust", way, 0.8 - 0.06 * s - 0.02 * less - 0.03 * (name == "blur"), at={"corruption": name, "severity": s})
                 for name in ("mean", "blur", "noise", "turn") for s in range(1, 6)]
        rows += [row("cluster", way, 0.4 - 0.1 * less, metric="NMI"), row("calibration", way, 0.03, metric="ECE", direction="lower"),
                 row("calibration", way, 1.234, metric="negative log-likelihood", unit="nat", direction="lower"),
                 row("shift", way, -0.12, metric="gap"), row("regression", way, 12.5, metric="MAE", unit="mm", direction="lower"),
                 row("dense", way, 0.6, at={"tokens": "all"}), row("attentive", way, 0.7, 20)]
    return [*rows, row("regression", "median", 20.0, metric="MAE", unit="mm", direction="lower", low=None, high=None)]


@pytest.fixture
def held(run) -> dict:
    return json.loads((run.folder / "report.json").read_text()) | {"rows": everything()}


def test_a_page_with_every_task_is_whole(held):
    page = render(held)
    assert [page.count(f'id="{name}"') for name in ("scores", "robustness", "further")] == [1, 1, 1]
    assert "nan" not in re.sub(r"<[^>]*>", "", page.partition("<main")[2].partition('id="map"')[0]).lower()


def test_without_such_rows_there_is_no_such_section(run, held):
    page = (run.folder / "report.html").read_text()
    assert 'id="robustness"' not in page and page.count("ROC-AUC") >= 2, "beside accuracy a probe has its area under the ROC curve"
    assert 'id="further"' not in render(held | {"rows": graded(held["rows"])})


def test_the_chart_goes_over_all_budgets_and_the_table_over_few(held):
    rows = graded(held["rows"])
    assert {each["task"] for each in rows} == {"linear", "few-shot", "curve"}
    assert columns(rows) == [1, 5, 20, None]
    assert "with 2 labels a class" in render(held) and "with 100 labels a class" in render(held)
    assert columns([row("curve", "encoder", 0.5, each) for each in (1, 2, 4, 8, 16, 32, 64, 128, None)]) == [1, 4, 16, 64, None]


def test_a_probe_s_own_row_stands_before_that_of_the_curve(held):
    from unveil.reports.tables import cells_of
    cells = cells_of(graded(held["rows"]), "linear", "encoder")
    assert (cells[20]["task"], cells[2]["task"], cells[100]["task"]) == ("linear", "few-shot", "curve")


def test_robustness_has_a_chart_a_corruption_and_the_two_best_controls(held):
    part = robustness(held)
    assert re.findall(r"<h3>([^<]*)</h3>", part) == ["Mean of all corruptions, by severity", "Blur", "Noise", "Turn"]
    assert "encoder: .74 at 1, .68 at 2" in part and "untrained: .72 at 1" in part and "statistics" not in part


def test_all_robustness_charts_share_a_scale(held):
    ticks = [re.findall(r'class="tick last"[^>]*>([^<]*)<', figure) for figure in robustness(held).split("<figure")[2:]]
    assert len(ticks) == 3 and ticks[0] == ticks[1] == ticks[2]


def test_further_tasks_say_value_interval_direction_and_number(held):
    part = further(held)
    assert re.findall(r"<h3>([^<]*)</h3>", part) == [
        "Clusters found without labels", "Calibration of the linear probe", "From known groups to new ones", "Regression",
        "Labels of single tokens", "Attentive probe on local features"]
    assert "<b>.40</b><span>[.38, .42]</span>" in part and "lower is better" in part and "tokens all" in part
    assert "<b>\N{MINUS SIGN}.12</b>" in part, "a gap below zero keeps its sign"
    assert "<b>20</b></td>" in part and "<span>mm</span>" in part and "20 labels a class" in part and "1,200" in part
    assert "<b>12.5</b>" in part and "<b>1.23</b>" in part


def of_the_same_split(folder, rows: list[dict]) -> list[dict]:
    return [each | {"split": json.loads((folder / "report.json").read_text())["rows"][0]["split"]} for each in rows]


def test_a_later_evaluation_is_taken_into_the_report(run, tmp_path):
    (tmp_path / "report.json").write_bytes((run.folder / "report.json").read_bytes())
    rows = of_the_same_split(run.folder, everything())
    (tmp_path / "results.json").write_text(json.dumps({"rows": rows}))
    page = report_again(tmp_path, tmp_path).read_text()
    assert 'id="robustness"' in page and 'id="further"' in page and 'id="worse"' in page
    held = json.loads((tmp_path / "report.json").read_text())
    before = json.loads((run.folder / "report.json").read_text())
    keys = [(each["task"], each["features"], each["labels"], each["metric"], str(each["at"])) for each in held["rows"]]
    assert len(set(keys)) == len(keys) > len(before["rows"])
    assert held["decision"] != before["decision"], "it is made of the joined rows"
    (tmp_path / "results.json").write_text(json.dumps({"rows": everything()}))
    with pytest.raises(Unusable, match="other samples"):
        report_again(tmp_path, tmp_path)


def test_a_regression_is_decided_by_the_variance_that_it_explains():
    r2 = lambda name, value: row("regression", name, value, metric="R2", unit="share of variance")
    error = row("regression", "encoder", 3.0, metric="MAE", unit="mm", direction="lower")
    said = decided([r2("encoder", 0.8), r2("statistics", 0.5), error],
                 {"findings": [], "status": "finished", "step": 9})
    assert said["headline"] == "With all labels use this encoder + linear: .80 [.78, .82]; hand statistics give .50."
    assert "R2" in said["rest"][-1]


def test_a_run_that_was_judged_by_regression_alone_is_not_called_unjudged(held):
    rows = [each for each in everything() if each["task"] == "regression"]
    page = render(held | {"rows": rows})
    assert 'id="scores"' not in page and 'id="further"' in page and "Not judged:" not in page
