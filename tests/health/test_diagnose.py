"""The diagnosis on arrays: one snapshot needs no history, several are compared."""

import numpy as np
import pytest
import torch

from unveil.health.diagnose import diagnose

rng = np.random.default_rng(1)
LABELS = np.arange(400) % 4
GOOD = rng.normal(size=(400, 32)) + 3 * np.eye(32)[LABELS]


def faults(diagnosis):
    return [(finding.fault, finding.since) for finding in diagnosis.findings]


@pytest.mark.parametrize("make", [np.asarray, torch.tensor, lambda z: torch.tensor(z).bfloat16(), lambda z: z.tolist()],
                         ids=["numpy", "tensor", "bfloat16", "lists"])
def test_healthy_snapshot(make):
    diagnosis = diagnose(make(GOOD), labels=LABELS)
    assert diagnosis.healthy and str(diagnosis).startswith("healthy: embedding spread 0.9")
    assert "neighbours tell the class of 9" in str(diagnosis) and diagnosis.figures["embedding/knn"] > 0.9


def test_constant_features_need_no_history():
    offset = rng.normal(size=32)
    diagnosis = diagnose(offset + 1e-3 * GOOD)
    assert faults(diagnosis) == [("collapse", 0)] and not diagnosis.healthy
    assert str(diagnosis).startswith("embedding collapsed") and diagnosis.findings[0].fatal
    assert faults(diagnose(np.ones((50, 8)))) == [("collapse", 0)]
    assert diagnose(offset + 0.05 * GOOD).healthy, "as random encoders are"


def test_features_on_a_line_are_a_dimensional_collapse():
    line = rng.normal(size=(400, 1)) @ rng.normal(size=(1, 32)) + 0.001 * GOOD
    assert faults(diagnose(line)) == [("dimensional collapse", 0)]


def test_series_is_compared_with_what_was():
    series = {step: offset_cloud(2.0 ** -step) for step in range(0, 8)}
    diagnosis = diagnose(series)
    assert faults(diagnosis) == [("collapse", 5)] and len(diagnosis.history) == 8
    assert faults(diagnose(list(series.values()))) == [("collapse", 5)]
    assert diagnose(series[7]).healthy, "alone, the last could be a random encoder"


def offset_cloud(scale):
    return 4 + 5 * scale * GOOD


def test_views_and_teacher():
    views = np.stack([GOOD + 0.1 * rng.normal(size=GOOD.shape) for _ in range(2)])
    diagnosis = diagnose(GOOD, views=views, teacher=GOOD + 0.1)
    assert diagnosis.healthy and diagnosis.figures["embedding/lidar"] > 25
    assert diagnosis.figures["embedding/view_distance"] < 0.02 and diagnosis.figures["embedding/teacher_distance"] < 0.01
    assert faults(diagnose(GOOD, views=np.stack([GOOD, GOOD]))) == [("trivial task", 0)]


def test_groups_keep_neighbours_honest():
    copies, recordings = np.repeat(rng.normal(size=(80, 32)), 5, 0), np.repeat(np.arange(80), 5)
    labels = np.repeat(rng.integers(0, 2, 80), 5)
    assert diagnose(copies, labels=labels).figures["embedding/knn"] > 0.9
    assert diagnose(copies, labels=labels, groups=recordings).figures["embedding/knn"] < 0.8


def test_broken_and_few_rows_are_said():
    broken = GOOD.copy()
    broken[0, 0] = np.inf
    assert faults(diagnose(broken, views=np.stack([broken, broken]))) == [("divergence", 0)]
    assert "bounded by the 40 rows; give 128" in str(diagnose(GOOD[:40]))


@pytest.mark.parametrize("arguments, said", [
    (dict(embeddings=GOOD[0]), "embeddings: shape"), (dict(embeddings=GOOD[:1]), "two samples"), (dict(embeddings={}), "none"),
    (dict(embeddings=GOOD, views=GOOD), "views: shape"), (dict(embeddings=GOOD, views=GOOD[None]), "two or more"),
    (dict(embeddings=GOOD, teacher=GOOD[:5]), "teacher: shape"), (dict(embeddings=GOOD, labels=LABELS[:3]), "labels: shape")])
def test_wrong_shapes_are_refused_by_name(arguments, said):
    with pytest.raises(ValueError, match=said):
        diagnose(**arguments)
