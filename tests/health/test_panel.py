"""Every figure against a slow plain numpy version, and on clouds whose answer is known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.health import panel

rng = np.random.default_rng(0)
CLOUD = rng.normal(size=(150, 12)) @ rng.normal(size=(12, 12)) + 3 * rng.normal(size=12)
VIEWS = CLOUD + 0.5 * rng.normal(size=(4, 150, 12))
WIDE = rng.normal(size=(10, 24))


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def entropy_rank(weights, eps=0.0):
    p = weights / weights.sum() + eps
    return np.exp(-np.sum(p[p > 0] * np.log(p[p > 0])))


def slow_lidar(views, delta):
    q, n, width = views.shape
    means = views.mean(0)
    between, within = np.zeros((width, width)), np.zeros((width, width))
    for i in range(n):
        between += np.outer(means[i] - means.mean(0), means[i] - means.mean(0)) / n
        for view in views[:, i]:
            within += np.outer(view - means[i], view - means[i]) / (n * q)
    values, vectors = np.linalg.eigh(within + delta * np.eye(width))
    root = vectors @ np.diag(values ** -0.5) @ vectors.T
    return entropy_rank(np.linalg.eigvalsh(root @ between @ root).clip(0), 1e-7)


def slow_knn(z, labels, groups, k, temperature):
    z = z[labels >= 0]
    groups, labels = groups[labels >= 0], labels[labels >= 0]
    z = unit(z - z.mean(0))
    right = []
    for i in range(len(z)):
        others = sorted(((z[i] @ z[j], labels[j]) for j in range(len(z)) if groups[i] != groups[j]), reverse=True)[:k]
        votes = np.zeros(labels.max() + 1)
        for cosine, label in others:
            votes[label] += np.exp(cosine / temperature)
        right += [votes.argmax() == labels[i]] if others else []
    return np.mean(right)


@pytest.mark.parametrize("z", [CLOUD, WIDE], ids=["tall", "wide"])
def test_spectral_figures(z):
    assert panel.rankme(z) == pytest.approx(entropy_rank(np.linalg.svd(z, compute_uv=False), 1e-7), rel=1e-5)
    centred = z - z.mean(0)
    assert panel.effective_rank(z) == pytest.approx(entropy_rank(np.linalg.svd(centred, compute_uv=False)), rel=1e-6)
    values = np.sort(np.linalg.eigvalsh(np.cov(z.T)))[::-1]
    slope = np.polyfit(np.log(np.arange(2, 7)), np.log(values[1:6]), 1)[0]
    assert panel.alpha_req(z, first=2, last=6) == pytest.approx(-slope)
    correlation = np.corrcoef(z.T)
    off = correlation[~np.eye(len(correlation), dtype=bool)]
    assert panel.redundancy(z) == pytest.approx(np.mean(off ** 2))


def test_figures_of_distance():
    a, b = VIEWS[0], VIEWS[1]
    assert panel.spread(a) == pytest.approx(np.sqrt(unit(a).var(0).sum()))
    assert panel.deviation(a) == pytest.approx(np.sqrt(a.var(0).mean()))
    assert panel.alignment(a, b) == pytest.approx(np.mean(np.sum((unit(a) - unit(b)) ** 2, 1)))
    far = [np.exp(-2 * np.sum((x - y) ** 2)) for i, x in enumerate(unit(a)) for j, y in enumerate(unit(a)) if i != j]
    assert panel.uniformity(a) == pytest.approx(np.log(np.mean(far)))
    within = np.mean([np.sum((x - y) ** 2, -1).mean() for i, x in enumerate(VIEWS) for j, y in enumerate(VIEWS) if i != j])
    everyone = VIEWS.reshape(-1, 12)
    among = np.mean([np.sum((x - everyone) ** 2, -1).sum() / (len(everyone) - 1) for x in everyone])
    assert panel.view_distance(VIEWS) == pytest.approx(within / among)


def test_lidar():
    assert panel.lidar(VIEWS) == pytest.approx(slow_lidar(VIEWS, 1e-4), rel=1e-6)
    assert panel.lidar(VIEWS, delta=0.5) == pytest.approx(slow_lidar(VIEWS, 0.5), rel=1e-6)


def test_lidar_counts_directions_between_samples_only():
    samples = rng.normal(size=(2000, 8)) * ([1.0] * 3 + [0.0] * 5)
    quiet = samples + 0.01 * rng.normal(size=(10, 2000, 8))
    assert panel.lidar(quiet) == pytest.approx(3, abs=0.05)
    assert panel.lidar(rng.normal(size=(2000, 8)) + 0.01 * rng.normal(size=(10, 2000, 8))) > 7.9
    loud = quiet + rng.normal(size=(10, 2000, 8)) * ([0.0] + [3.0] * 2 + [0.0] * 5)
    assert panel.lidar(loud) < 1.1, "directions that views fill do not count"


def test_knn():
    labels, groups = rng.integers(-1, 3, 150), rng.integers(0, 20, 150)
    z = CLOUD + 4 * np.eye(12)[labels]
    assert panel.knn(z, labels, groups, k=7, temperature=0.1) == pytest.approx(slow_knn(z, labels, groups, 7, 0.1))
    assert panel.knn(z, labels, k=7, temperature=0.1) == pytest.approx(slow_knn(z, labels, np.arange(150), 7, 0.1))


def test_knn_is_not_fooled_by_near_copies():
    centres, labels = rng.normal(size=(60, 16)), np.repeat(rng.integers(0, 2, 60), 5)
    z = np.repeat(centres, 5, 0) + 0.001 * rng.normal(size=(300, 16))
    assert panel.knn(z, labels, k=4) == 1.0, "five windows of one recording find each other"
    assert panel.knn(z, labels, groups=np.repeat(np.arange(60), 5)) < 0.75
    assert np.isnan(panel.knn(z, labels, groups=np.zeros(300))) and np.isnan(panel.knn(z, -np.ones(300)))


@settings(max_examples=20, deadline=None)
@given(width=st.integers(2, 12), rows=st.integers(12, 40), scale=st.floats(1e-3, 1e3))
def test_known_clouds(width, rows, scale):
    random = np.random.default_rng(width * rows)
    basis, _ = np.linalg.qr(random.normal(size=(rows, width)))
    assert panel.rankme(scale * basis) == pytest.approx(width, rel=1e-4)
    line = scale * np.outer(random.normal(size=rows), random.normal(size=width))
    assert panel.rankme(line) == pytest.approx(1, abs=1e-3) and panel.effective_rank(line) == pytest.approx(1, abs=1e-3)
    assert panel.redundancy(line) == pytest.approx(1)
    constant = np.ones((rows, 1)) * scale * random.normal(size=width)
    assert panel.spread(constant) < 1e-6 and panel.deviation(constant) < 1e-12 * scale
    assert panel.uniformity(constant) == pytest.approx(0, abs=1e-9)
    assert panel.spread(np.concatenate([basis, -basis])) == pytest.approx(1)


def test_isotropic_cloud_and_power_law():
    z = rng.normal(size=(20000, 32))
    assert abs(panel.alpha_req(z)) < 0.1 and panel.redundancy(z) < 0.001
    assert panel.effective_rank(z) == pytest.approx(32, rel=0.01)
    assert panel.alpha_req(z * np.arange(1, 33) ** -0.75) == pytest.approx(1.5, abs=0.1)


def test_offset_hides_from_effective_rank_only():
    z = rng.normal(size=(400, 16)) + 50
    assert panel.rankme(z) < 2 < 15 < panel.effective_rank(z)
    assert panel.spread(z) < 0.05


def test_panel_agrees_with_its_functions():
    labels = rng.integers(0, 3, 150)
    figures = panel.panel(torch.tensor(VIEWS[:2]), VIEWS[:2, :, :6], target=VIEWS[2, :, :6], labels=labels, groups=np.arange(150))
    for part, views in (("embedding", VIEWS[:2]), ("projection", VIEWS[:2, :, :6])):
        for name in ("rankme", "effective_rank", "alpha_req", "redundancy", "spread", "deviation", "uniformity"):
            assert figures[f"{part}/{name}"] == pytest.approx(getattr(panel, name)(views[0]), rel=1e-6), name
        assert figures[f"{part}/lidar"] == panel.lidar(views) and figures[f"{part}/view_distance"] == panel.view_distance(views)
        assert figures[f"{part}/alignment"] == panel.alignment(*views)
    assert figures["projection/teacher_distance"] == pytest.approx(panel.alignment(VIEWS[0, :, :6], VIEWS[2, :, :6]))
    assert figures["embedding/knn"] == panel.knn(VIEWS[0], labels)
    assert (figures["projection/width"], figures["projection/rows"]) == (6, 150)
    assert all(type(value) is float for value in figures.values())


def test_panel_of_what_is_not_finite():
    broken = CLOUD.copy()
    broken[3, 1] = np.nan
    figures = panel.panel(broken, CLOUD, labels=np.zeros(150))
    assert 0.99 < figures["embedding/finite"] < 1 and "embedding/rankme" not in figures and "projection/rankme" in figures


def test_numbers_do_not_depend_on_precision_or_scale():
    low = panel.panel(torch.tensor(CLOUD, dtype=torch.float32), CLOUD.astype(np.float32) * 1000)
    for name in ("rankme", "effective_rank", "spread", "redundancy", "alpha_req"):
        assert low[f"embedding/{name}"] == pytest.approx(low[f"projection/{name}"], rel=1e-4)
