"""Every verb works on samples of unequal size as it does on grids: from files to a run, its report, and what is done with it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import unveil
from tiny import graphs, structures
from unveil import api
from unveil.cli import main
from unveil.errors import Unusable
from unveil.health.duplicates import unordered
from unveil.randomness import Generator
from unveil.recipes.check import TABLES, find
from unveil.recipes.fit import ways
from unveil.reports.page import write_report
from unveil.testing.packed import rows_of
from unveil.training import measure
from unveil.training.settings import Training

PACKED = [kind for kind in TABLES["kind"] if "grid" not in find("kind", kind)().offers]
SMALL = {"encoder.width": 16, "encoder.depth": 2, "method.hidden": 16, "method.projection": 8, "train.batch": 8, "train.precision": "32"}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> api.Run:
    """Taught with batches of at most 40 rows on data that hold a graph of 41."""
    place = tmp_path_factory.mktemp("packed")
    data = graphs(place / "TINY", large=41)
    return unveil.pretrain(str(data), method="simclr", out=place / "run", budgets=(2, None), networks=False,
                           settings=SMALL | {"train.rows": 40, "train.epochs": 2, "train.snapshots": 2})


def test_a_run_holds_its_batches_to_the_budget_and_names_what_none_can_hold(run):
    assert run.ending.status == "finished" and run.recipe.train["rows"] == 40
    faults = [why for why in run.facts["faults"].values() if "the budget of a batch is 40" in why]
    assert faults in ([], ["has 41 rows, the budget of a batch is 40"]), "it may be among those held out"
    order = run.recipe.training().order(run.samples.subset(run.samples.sizes.numpy() <= 40))
    assert run.recipe.train["steps"] >= 2 and max(len(order(step)[0]) for step in range(9)) <= 7 < 8, "5 rows are the fewest"
    assert {row["features"] for row in run.rows} == {"encoder", "random init", "raw + PCA", "statistics"}


def test_its_report_says_and_draws_what_there_is(run):
    page, held = write_report(run).read_text(), json.loads((run.folder / "report.json").read_text())
    assert run.samples.looks in page
    assert held["views"]["samples"][0]["views"] and "inside" not in held and held["map"]["x"]


def test_its_record_knows_edges_from_other_edges(run):
    from unveil.api.record import data_facts
    before = data_facts(run.samples)["values"]
    edges = run.samples.fetch.edges
    run.samples.fetch.edges = edges.flip(1)
    try:
        assert data_facts(run.samples)["values"] != before
    finally:
        run.samples.fetch.edges = edges


def test_it_is_repeated_bit_for_bit(run, tmp_path):
    again = unveil.rerun(run.folder, out=tmp_path / "again")
    assert again.exact and again.matches, again.sentence


def test_features_are_those_of_each_sample_alone(run):
    data = run.asked["data"]
    whole = unveil.embed(run.encoder, data)
    with torch.no_grad():
        alone = torch.cat([run.encoder(run.samples.batch(torch.tensor([i]))).pooled for i in range(len(run.samples))])
    assert whole.shape == (25, 16) and np.allclose(whole, alone.numpy(), atol=1e-5)


def test_a_snapshot_is_picked_without_labels(run):
    assert {each.name for each in unveil.select([run.folder])} == {path.name for path in (run.folder / "snapshots").iterdir()}


def test_it_leaves_as_safetensors_and_other_formats_say_why_not(run, tmp_path):
    held = unveil.export(run, "safetensors", tmp_path / "kept")
    assert held["difference"] == 0 and "rows" in (tmp_path / "kept" / "README.md").read_text()
    for to in ("onnx", "timm", "transformers"):
        with pytest.raises(Unusable, match=r"rows of unequal number.*use --to safetensors"):
            unveil.export(run, to, tmp_path / to)
        assert not (tmp_path / to).exists()


def test_other_features_of_nodes_are_refused(run, tmp_path):
    folder = graphs(tmp_path / "OTHER")
    types = (folder / "OTHER_node_labels.txt").read_text().replace("2", "1")
    (folder / "OTHER_node_labels.txt").write_text(types)
    with pytest.raises(Unusable, match="has 2 channels, the encoder was taught on 3"):
        unveil.embed(run.encoder, str(folder))


def test_what_is_in_the_data_is_told(tmp_path):
    found = api.inspect(str(graphs(tmp_path / "TINY")))
    told = {finding["topic"]: finding for finding in found["findings"]}
    assert found["shape"] == [] and found["looks"].startswith("5 to 8 rows") and found["missing"] == 0
    assert "another order" in told["near copies"]["sentence"] and "TINY graph 23 = TINY graph 24" in told["near copies"]["evidence"]
    assert "exact copies" not in told and len(found["channels"]) == 3


def test_the_number_of_rows_that_is_the_label_is_told(tmp_path):
    folder = graphs(tmp_path / "SIZES", count=80)
    sizes = np.bincount([int(line) for line in (folder / "SIZES_graph_indicator.txt").read_text().split()])[1:]
    (folder / "SIZES_graph_labels.txt").write_text("\n".join(str(int(size > 6)) for size in sizes) + "\n")
    assert any("number of rows alone gives the label" in finding["sentence"] for finding in api.inspect(str(folder))["findings"])


@pytest.mark.parametrize("kind", PACKED)
def test_order_turns_and_shifts_do_not_hide_a_copy_and_a_change_does(kind):
    batch = find("kind", kind)().planted(32, Generator("copies")).batch(torch.arange(32))
    numbers = unordered(batch.values, batch.graph, batch.where)
    order = torch.argsort(batch.graph.sample * 1000 + (batch.graph.place * 7919) % 997, stable=True)
    other = rows_of(batch, order)
    turned = None
    if batch.where is not None:
        axes = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
        turned = (other.where @ axes + 3.0).float()
    alike = unordered(other.values, other.graph, turned)
    assert (alike == numbers).float().mean() > 0.9, "rounding of a distance may hide one now and then"
    changed = batch.values.clone()
    changed[batch.graph.place == 0] += 1
    assert not (unordered(changed, batch.graph, batch.where) == numbers).any()


@pytest.mark.parametrize("kind", PACKED)
def test_every_method_of_a_packed_kind_is_planned_from_its_settings_alone(kind):
    for method in TABLES["method"]:
        if found := ways(kind, method):
            encoder, settings = found[0]
            given = {f"kind.{name}": value for name, value in settings.items()}
            made = api.plan(method, kind=kind, encoder=encoder, scale="small", gpus=1, samples=1000, settings=given | {"train.batch": 64})
            assert made.cost.flops > 0 and made.cost.activations > 0 and made.size > 1 and made.steps > 0, method


def test_a_plan_grows_with_rows_and_with_the_budget_of_them(tmp_path):
    data = str(graphs(tmp_path / "TINY"))
    plan = lambda **train: api.plan("simclr", data=data, scale="small", gpus=1, settings={f"train.{k}": v for k, v in train.items()})
    one, two, bound = plan(batch=32), plan(batch=64), plan(batch=64, rows=100)
    assert two.cost.flops == pytest.approx(2 * one.cost.flops) and two.cost.activations == pytest.approx(2 * one.cost.activations, rel=0.01)
    assert bound.cost.flops == pytest.approx(one.cost.flops * 100 / (32 * one.size)) and bound.each == pytest.approx(100 / one.size)
    assert bound.steps > two.steps


def test_memory_is_that_of_the_rows_that_a_batch_may_hold(tmp_path):
    _, samples = api.open_data(str(graphs(tmp_path / "TINY", large=500)))
    assert measure.largest(samples, Training(batch=1)) == 500
    assert measure.largest(samples, Training(batch=64, rows=600)) == 600
    assert measure.largest(samples, Training(batch=64, rows=600, accumulate=2)) == 300
    assert 64 * samples.sizes.double().mean() < measure.largest(samples, Training(batch=64)) < 64 * 500


def test_views_are_told_by_rows_and_edges(tmp_path):
    data = str(graphs(tmp_path / "TINY"))
    found = unveil.preview("simclr", data, settings=SMALL | {"method.area": [0.5, 0.7], "method.strength": 1.0}, samples=2, steps=2)
    assert "of the rows and" in found["words"][0] and "of the edges of the sample" in found["words"][0]
    low, high = (int(part) for part in found["words"][0].split(" with ")[1].replace("%", "").split(" (")[0].split(" to "))
    assert 35 <= low <= high <= 85
    hidden = unveil.preview("graphmae", data, settings={"encoder.width": 16, "method.ratio": 0.5}, samples=2, steps=2)
    assert any("rows are hidden and asked for" in sentence for sentence in hidden["words"]) and hidden["views"]["hidden"]


def test_a_budget_of_rows_is_refused_where_samples_have_none(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.zeros((8, 3, 64), np.float32))
    words = ["--kind", "signal", "--layout", "ct", "--kind.window", "64", "--train.rows", "100", "--out", str(tmp_path / "run")]
    assert main(["pretrain", str(tmp_path / "x.npy"), *words]) == 2
    assert "train.rows bounds batches of samples of unequal size; these are all 64 with 3 channels" in capsys.readouterr().err


def test_structures_come_back_as_they_went_in(tmp_path):
    _, samples = api.open_data(str(graphs(tmp_path / "TINY")))
    assert [len(each) for each in structures(samples.batch(torch.arange(4)))] == samples.sizes[:4].tolist()


def test_the_row_of_a_comparison_is_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--quick", "--budgets", "2", "--encoder.width", "16", "--train.batch", "8", "--json"]
    assert main(["compare", "simclr", "vicreg", "--data", str(graphs(tmp_path / "TINY")), *words]) == 0
    assert set(json.loads(capsys.readouterr().out)["arms"]) == {"simclr", "vicreg"}
