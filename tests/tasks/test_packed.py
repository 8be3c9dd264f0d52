"""Every task on samples of unequal size: it judges, or says in words what it lacks; batches and order change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unveil.controls import judge_controls, judge_encoder
from unveil.data.packed import Packed, Structure
from unveil.data.samples import Samples
from unveil.data.split import Split
from unveil.encoders.gin import GIN
from unveil.encoders.painn import PaiNN
from unveil.kinds.graph import Graph
from unveil.randomness import Generator
from unveil.recipes.check import find, names
from unveil.tasks import supervised
from unveil.tasks.bench import Bench, Way
from unveil.tasks.forest import Forest
from unveil.tasks.supervised import Network, NoisyNodes, Partial, Supervised
from unveil.tasks.task import judge
from unveil.tasks.tenfold import TenFold

KIND = Graph()
QUICK = Supervised(steps=60, epochs=1, batch=32, rates=(3e-3,), lr=3e-3)
TOLD = {"zero-shot", "text-retrieval"}  # what reads words
CUT = {"events", "forecast"}  # what reads windows that are cut from something longer
LOCAL = {"attentive", "dense", "noisy-nodes", "forces", "guided"}  # what reads features of places on a grid, or asks for vectors


def samples(count: int = 160, *, numbers: bool = False) -> Samples:
    """Planted graphs with their class; ``numbers`` puts a number in its place, which goes with the class."""
    held = KIND.planted(count, Generator(0, "packed"))
    if numbers:
        held.targets, held.target = 100.0 + 20.0 * held.labels, "gap (meV)"
        held.labels, held.classes = None, []
    return held


def bench(held: Samples, **how) -> Bench:
    torch.manual_seed(0)
    network = GIN(held.spec(), **GIN.tiny)
    first = held.groups < 4
    parts = Split(held.subset(first), held.subset(~first), "half of the groups held out")
    ways = {"random init": Way.frozen(network, "from scratch"), "statistics": Way(KIND.statistics), "raw": Way(KIND.flat)}
    return Bench(parts, ways, KIND, **{"budgets": (2, None), "draws": 2} | how)


def quick(name: str):
    """A task by name, with settings that make it fast."""
    settings = {"network": dict(settings=QUICK), "partial": dict(settings=QUICK), "forest": dict(trees=10),
                "tenfold": dict(shuffles=1, probe="logistic")}
    return find("task", name)(**settings.get(name, {}))


@pytest.mark.parametrize("task", names("task"))
def test_every_task_judges_packed_samples_or_says_what_it_lacks(task):
    rows, left = judge(bench(samples(80)), [quick(task)])
    if task in LOCAL | CUT | TOLD or task == "regression" or (task == "robust" and not KIND.corruptions):
        assert not rows and left[task], "in words, not by a crash"
    else:
        assert rows and all(np.isfinite(row["value"]) for row in rows), left
    rows, left = judge(bench(samples(80, numbers=True), budgets=(None,)), [quick(task)])
    assert bool(rows) == (task in ("regression", "network", "partial", "forest", "retrieve")), left


def test_a_network_on_graphs_learns_classes_and_numbers_and_shuffled_ones_not():
    judged = lambda held: {row["metric"]: row["value"] for row in judge(bench(held, budgets=(None,)), [Network(settings=QUICK)])[0]}
    held = samples(320)
    known = judged(held)
    assert known["accuracy"] > 0.5 and known["ROC-AUC"] > 0.75
    held.labels = np.random.default_rng(0).permutation(held.labels)
    chance = judged(held)
    assert chance["accuracy"] < 0.4 and abs(chance["ROC-AUC"] - 0.5) < 0.15
    held = samples(320, numbers=True)
    known = judged(held)
    assert known["R2"] > 0.3
    held.targets = np.random.default_rng(0).permutation(held.targets)
    assert judged(held)["R2"] < 0.15 and judged(held)["MAE"] > known["MAE"]


def test_training_views_of_a_graph_leave_it_whole():
    held = samples(8)
    batch = held.batch(torch.arange(8))
    view, = KIND.view(batch, 1, generator=Generator(0, "light"), **Supervised().views(KIND))
    assert torch.equal(view.values, batch.values) and (view.valid is None or view.valid.all())
    assert view.graph.edge_valid is None or view.graph.edge_valid.all()


def test_features_do_not_depend_on_the_batch_that_a_graph_is_in():
    held = bench(samples(60))
    whole = held.sides("random init")[0].features
    alone = torch.cat([held.ways["random init"].describe(held.split.train.batch(torch.tensor([i]))) for i in range(len(whole))]).detach()
    assert torch.allclose(whole, alone, rtol=1e-5, atol=1e-6)


def test_controls_of_graphs_are_all_there():
    held = samples(120)
    encoder = bench(held).ways["random init"].network
    encoder.kind, encoder.settings = KIND, {"name": "gin", **GIN.tiny}
    parts = bench(held).split
    tasks = ["linear", "regression", Forest(trees=10), TenFold(shuffles=1), Network(settings=QUICK), Partial(settings=QUICK)]
    rows = judge_controls(encoder, parts, tasks=tasks, budgets=(None,))
    ways = {(row["task"], row["features"]) for row in rows}
    assert ways >= {(task, way) for task in ("linear", "forest", "tenfold") for way in ("random init", "raw + PCA", "statistics")}
    assert ("network", "from scratch") in ways and ("partial", "random init") in ways
    ours = judge_encoder(encoder, parts, tasks=["linear"], beside=rows, budgets=(None,))
    assert {row["features"] for row in ours[:2]} == {"encoder"} and ours[0]["parts"]


class Cloud(Graph):
    """Clouds of atoms that are read as they are."""

    def view(self, batch, count, **how):
        return [batch] * count


def clouds(count: int = 120) -> Samples:
    """Clouds of four to seven atoms, and how far apart these are on average."""
    rng, made, apart = np.random.default_rng(0), [], []
    for _ in range(count):
        places = rng.normal(size=(rng.integers(4, 8), 3)).astype(np.float32) * rng.uniform(0.6, 1.6)
        made.append(Structure(np.full((len(places), 1), 6.0, np.float32), where=places))
        apart.append(np.linalg.norm(places[:, None] - places, axis=-1).sum() / (len(places) * (len(places) - 1)))
    held = Samples(Packed(made), count, shape=(), channels=1, axes=("x", "y", "z"), spacing=(1.0,) * 3, unit="angstrom",
                   targets=np.array(apart))
    held.target = "mean distance (angstrom)"
    return held


def shaking(noise: float, **how) -> list[dict]:
    held = clouds()
    torch.manual_seed(0)
    network = PaiNN(held.spec(), **PaiNN.tiny)
    parts = Split(held.subset(np.arange(80)), held.subset(np.arange(80, 120)), "planted")
    bench = Bench(parts, {"random init": Way.frozen(network, "from scratch")}, Cloud(), budgets=(None,), draws=1)
    task = NoisyNodes(settings=Supervised(noise=noise, steps=60, epochs=1, batch=16, rates=(3e-3,), lr=3e-3, **how))
    return judge(bench, [task])[0]


def test_noisy_nodes_ask_for_the_noise_and_score_what_is_not_shaken(monkeypatch):
    seen, error = [], supervised.row_error
    kept = lambda *given: seen.append((given[1].detach(), error(*given))) or seen[-1][1]
    monkeypatch.setattr(supervised, "row_error", kept)
    r2, mae = shaking(0.02)
    assert r2["value"] > 0.5 and mae["unit"] == "angstrom" and (mae["task"], mae["features"]) == ("noisy-nodes", "from scratch")
    assert "places shaken by 0.02, the noise asked for with weight 0.1" in mae["protocol"]
    noise = torch.cat([each for each, _ in seen])
    assert noise.std() == pytest.approx((1 - 1 / 5.5) ** 0.5, abs=0.03), "of unit deviation, less the mean of each cloud"
    losses = [float(loss.detach()) for _, loss in seen]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


def test_without_noise_and_without_weight_nothing_is_changed():
    plain = [row["value"] for row in shaking(0.0)]
    assert plain == [row["value"] for row in shaking(0.0, noise_weight=1.0)]
    assert plain != [row["value"] for row in shaking(0.02)]
