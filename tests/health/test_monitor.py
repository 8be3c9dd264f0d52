"""What the monitor keeps, when it judges, and what it says of short real runs."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from unveil.encoders.transformer import Transformer
from unveil.health import panel
from unveil.health.monitor import Monitor
from unveil.kinds.signal import Signal
from unveil.methods.lejepa import LeJEPA
from unveil.methods.simclr import SimCLR
from unveil.randomness import Generator
from unveil.training.loop import Loop
from unveil.training.settings import Training


def step(index, batch=16, width=4, views=2, **more):
    """An output whose features tell the step that they are from."""
    ids = torch.arange(batch) + index * batch
    embedding = torch.randn(views, batch, width, generator=torch.Generator().manual_seed(index))
    return SimpleNamespace(ids=ids), SimpleNamespace(shown={"embedding": embedding, "views": torch.zeros(1)} | more)


def test_keeps_the_last_rows_and_no_views():
    monitor = Monitor(100, rows=40)
    outputs = [step(i) for i in range(5)]
    for i, (batch, output) in enumerate(outputs):
        monitor.observe(i, batch, output)
    assert [int(kept["ids"][0]) for kept in monitor.kept] == [32, 48, 64], "40 rows are three batches of 16"
    assert all(set(kept) == {"embedding", "ids"} for kept in monitor.kept)
    figures, findings = monitor.judge(5, {"loss": 1.0})
    joined = torch.cat([output.shown["embedding"] for _, output in outputs[2:]], 1)
    assert figures == panel.panel(joined) and findings == []


@pytest.mark.parametrize("width, batch, rows", [(4, 16, 512), (256, 100, 1100), (4096, 512, 8192)])
def test_rows_follow_the_widest_layer(width, batch, rows):
    monitor = Monitor(100)
    monitor.observe(0, *step(0, batch, 2, projection=torch.zeros(2, batch, width)))
    assert monitor.kept.maxlen * batch == rows


def test_judges_at_the_first_chance_then_every_so_often_and_at_the_end():
    monitor = Monitor(100, every=20)
    assert monitor.judge(0, {"loss": 1.0}) == ({}, []), "nothing was seen yet"
    judged = []
    for index in range(100):
        monitor.observe(index, *step(index))
        if (index + 1) % 6 == 0 or index == 99:
            judged += [index + 1] if monitor.judge(index + 1, {"loss": 1.0})[0] else []
    assert judged == [6, 30, 54, 78, 100] == [row["step"] for row in monitor.history]
    assert Monitor(1000).every == 20 and Monitor(10**6).every == 2000


def test_a_resumed_run_remembers():
    earlier = {"step": 40, "loss": 1.0} | panel.panel(step(0)[1].shown["embedding"])
    monitor = Monitor(100, every=20)
    monitor.recall([earlier, {"step": 45, "loss": 1.0}])
    monitor.observe(50, *step(50))
    assert monitor.judge(51, {"loss": 1.0}) == ({}, []) and monitor.judge(60, {"loss": 1.0})[0]
    assert [row["step"] for row in monitor.history] == [40, 60]


def test_reports_a_fault_once():
    monitor = Monitor(1000, every=1, rows=16)
    told = []
    for index in range(12):
        batch, output = step(index)
        output.shown["embedding"] = 5 + output.shown["embedding"] * 0.2**index
        monitor.observe(index, batch, output)
        told += [(finding["fault"], finding["part"], finding["fatal"]) for finding in monitor.judge(index + 1, {"loss": 1.0})[1]]
    assert told == [("collapse", "embedding", True)] and len(monitor.findings) == 1


def test_labels_and_groups_are_looked_up_by_id():
    labels = np.arange(160) % 2
    figures = {}
    for groups in (None, np.arange(160) // 2, np.zeros(160)):
        monitor = Monitor(10, labels=labels, groups=groups)
        for index in range(10):
            batch, output = step(index)
            output.shown["embedding"][0] += 9.0 * (batch.ids % 2)[:, None] * torch.eye(4)[0]
            monitor.observe(index, batch, output)
        figures[str(groups)] = monitor.judge(10, {"loss": 1.0})[0].get("embedding/knn")
    first, second, third = figures.values()
    assert first > 0.95 and second > 0.95 and third is None


def test_methods_that_show_nothing_or_less():
    monitor = Monitor(10)
    monitor.observe(0, SimpleNamespace(ids=torch.arange(4)), SimpleNamespace(shown={}))
    assert monitor.judge(1, {"loss": 1.0}) == ({}, [])
    monitor.observe(1, *step(1, views=1, target=torch.zeros(1, 16, 7)))
    figures, _ = monitor.judge(2, {"loss": 1.0})
    assert "embedding/lidar" not in figures and "embedding/teacher_distance" not in figures


def test_processes_agree(monkeypatch):
    sent = []

    def broadcast(box):
        sent.append(box[0])
        box[0] = sent[0]

    for name, value in dict(is_initialized=True, get_world_size=2).items():
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", broadcast)
    answers = []
    for rank in range(2):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        monitor = Monitor(10)
        monitor.observe(0, *step(rank))
        answers.append(monitor.judge(1, {"loss": 1.0}))
        assert monitor.judge(2, {"loss": 1.0}) == ({}, []), "all wait for the same steps"
    assert answers[0] == answers[1] == sent[0] and sent[1] is None


def run(method, steps, seed, **settings):
    torch.set_num_threads(1)
    kind = Signal(window=64)
    samples = kind.planted(256, Generator(0))
    torch.manual_seed(seed)
    encoder = Transformer(samples.spec(), width=64, depth=2, heads=2, patch=4)
    monitor = Monitor(steps, labels=samples.labels, groups=samples.groups)
    training = Training(steps=steps, batch=64, lr=1e-3, precision="32")
    ending = Loop(method(encoder, **(method.tiny | settings)), kind, samples, training, seed=seed, monitor=monitor).run()
    return ending, [(finding.fault, finding.part) for finding in monitor.findings], monitor


def test_lejepa_without_sigreg_is_named():
    ending, named, _ = run(LeJEPA, 300, 110, weight=0.0)
    assert ending.status == "unhealthy" and ending.step <= 300 and named == [("collapse", "projection")]
    assert "; embedding: spread" in ending.findings[0]["sentence"], "the encoder's state is said apart"


def test_equal_views_are_named():
    ending, named, _ = run(SimCLR, 300, 111, **SimCLR.twins["views that are equal"])
    assert ending.status == "unhealthy" and ending.step < 100 and named == [("trivial task", "views")]


@pytest.mark.parametrize("method", [SimCLR, LeJEPA])
def test_healthy_runs_are_clean(method):
    ending, named, monitor = run(method, 100, 112)
    assert ending.status == "finished" and named == []
    assert monitor.history[-1]["step"] == 100 and "embedding/knn" in monitor.history[-1]
