"""Losses.

- each is a slow plain loop over the numbers in float64, for any shape;
- NT-Xent of identical, mutually orthogonal views is log(1 + (2B - 2) exp(-1 / t)), and swapping the views changes nothing;
- VICReg's variance is unbiased: numpy's with ddof 1; spread-out uncorrelated features cost nothing;
- SIGReg of a standard normal is 1.05 whatever N; of zeros, too narrow and too wide clouds what theory says;
- views are tested apart;
- errors are means over every element, and over the valid ones only.
"""

import cmath
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.parts import losses
from unveil.parts.losses import (
    centred_cross_entropy,
    contrast,
    infonce,
    jensen_shannon,
    latent_error,
    likeness_margin,
    masked_mean,
    mean_over,
    scaled_cosine,
    sigreg,
    supervised_contrast,
    variance_covariance,
)
from unveil.randomness import Generator

shape = st.tuples(st.integers(2, 6), st.integers(1, 5))
seeds = st.integers(0, 10**6)
few = settings(max_examples=25, deadline=None)


def cloud(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def single(*arrays):
    return [torch.tensor(x, dtype=torch.float32) for x in arrays]


def slow_infonce(a, b, temperature):
    z = [x / np.linalg.norm(x) for x in (*a, *b)]
    n, total = len(a), 0.0
    for i in range(2 * n):
        sims = {k: math.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k != i}
        total -= math.log(sims[(i + n) % (2 * n)] / sum(sims.values()))
    return total / (2 * n)


def slow_sigreg(z, directions, knots, limit):
    """For one view: trapezoid rule on [-limit, limit], which is what doubling [0, limit] means."""
    total = 0.0
    for a in directions.T / np.linalg.norm(directions.T, axis=1, keepdims=True):
        points = np.linspace(-limit, limit, 2 * knots - 1)
        normal = [math.exp(-t * t / 2) for t in points]
        heights = [abs(sum(cmath.exp(1j * t * (a @ row)) for row in z) / len(z) - g) ** 2 * g for t, g in zip(points, normal)]
        total += len(z) * sum((x + y) / 2 * (points[1] - points[0]) for x, y in itertools.pairwise(heights))
    return total / directions.shape[1]


def slow_smooth_l1(x, y):
    gap = abs(x - y)
    return gap * gap / 2 if gap < 1 else gap - 0.5


@few
@given(shape, seeds, st.sampled_from([0.1, 0.5, 2.0]))
def test_infonce_is_the_sum_over_pairs(shape, seed, temperature):
    a, b = cloud(seed, 2, *shape)
    assert infonce(*single(a, b), temperature).item() == pytest.approx(slow_infonce(a, b, temperature), rel=1e-4, abs=1e-5)
    assert infonce(*single(b, 3 * a), temperature).item() == pytest.approx(slow_infonce(a, b, temperature), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("count", "temperature"), [(2, 0.5), (8, 0.1), (32, 1.0)])
def test_infonce_floor_of_identical_orthogonal_views(count, temperature):
    z = torch.eye(count)
    floor = math.log(1 + (2 * count - 2) * math.exp(-1 / temperature))
    assert infonce(z, 5 * z, temperature).item() == pytest.approx(floor, rel=1e-5, abs=1e-6)
    assert infonce(z, z.roll(1, 0), temperature).item() > floor


def test_infonce_of_a_collapsed_batch_is_chance():
    assert infonce(torch.ones(8, 3), torch.ones(8, 3), 0.1).item() == pytest.approx(math.log(15), rel=1e-5)


@few
@given(shape, seeds)
def test_variance_and_covariance_are_numpys(shape, seed):
    z = cloud(seed, *shape) + 4
    spread, cov = variance_covariance(*single(z))
    table = np.atleast_2d(np.cov(z.T))
    expected = np.mean([max(0, 1 - math.sqrt(np.var(z[:, j], ddof=1) + 1e-4)) for j in range(shape[1])])
    assert spread.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    off = sum(table[i, j] ** 2 for i in range(shape[1]) for j in range(shape[1]) if i != j) / shape[1]
    assert cov.item() == pytest.approx(off, rel=1e-3, abs=1e-5)


def test_variance_is_unbiased():
    """Two values one apart have deviation 0.7071 with 1 / (B - 1), 0.5 without."""
    spread, cov = variance_covariance(torch.tensor([[0.0], [1.0]]), eps=0.0)
    assert spread.item() == pytest.approx(1 - 0.5 ** 0.5, rel=1e-5) and cov.item() == 0


def test_variance_and_covariance_at_rest():
    z = 2 * torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert [x.item() for x in variance_covariance(z)] == [0.0, 0.0]
    assert variance_covariance(z, gamma=3.0)[0].item() == pytest.approx(3 - math.sqrt(16 / 3 + 1e-4), rel=1e-5)
    assert variance_covariance(torch.zeros(4, 3))[0].item() == pytest.approx(0.99)


@few
@given(shape, st.integers(1, 4), seeds, st.sampled_from([(5, 1.0), (17, 3.0), (9, 5.0)]))
def test_sigreg_is_the_integral(shape, slices, seed, quadrature):
    z, directions = 2 * cloud(seed, *shape) + 0.3, cloud(seed + 1, shape[1], slices)
    knots, limit = quadrature
    slow = slow_sigreg(z, directions, knots, limit)
    double = sigreg(torch.tensor(z), torch.tensor(directions), knots=knots, limit=limit)
    assert double.item() == pytest.approx(slow, rel=1e-6, abs=1e-6)
    assert sigreg(*single(z, directions), knots=knots, limit=limit).item() == pytest.approx(slow, rel=1e-3, abs=1e-4)


@few
@given(shape, seeds)
def test_sigreg_tests_views_apart(shape, seed):
    z, directions = cloud(seed, 3, *shape), cloud(seed + 1, shape[1], 4)
    apart = np.mean([slow_sigreg(view, directions, 17, 3.0) for view in z])
    assert sigreg(torch.tensor(z), torch.tensor(directions)).item() == pytest.approx(apart, rel=1e-6)


def sigreg_of_a_normal(scale, count):
    """What to expect of N samples of N(0, scale^2): N times the integral of ((f - g)^2 + (1 - f^2) / N) g, f and g the two
    characteristic functions, on 17 knots."""
    t = np.linspace(0, 3, 17)
    f, g = np.exp(-(scale * t) ** 2 / 2), np.exp(-t ** 2 / 2)
    heights = (count * (f - g) ** 2 + 1 - f ** 2) * g
    return sum((heights[1:] + heights[:-1]) * (t[1:] - t[:-1]))


def drawn(scale, count, number):
    return sigreg(scale * Generator("z", number).normal(count, 16), Generator("directions", number).normal(16, 64)).item()


@pytest.mark.parametrize("count", [32, 256, 1024])
def test_sigreg_of_a_standard_normal(count):
    """The same whatever N."""
    assert sigreg_of_a_normal(1.0, count) == pytest.approx(1.05, abs=0.005)
    values = [drawn(1.0, count, number) for number in range(30)]
    assert np.mean(values) == pytest.approx(1.05, abs=0.005 + 4 * np.std(values) / 30 ** 0.5)
    assert np.std(values) < 0.4


@pytest.mark.parametrize(("scale", "about"), [(0.0, 103), (0.5, 39), (2.0, 62)])
def test_sigreg_of_wrong_scales(scale, about):
    expected = sigreg_of_a_normal(scale, 256)
    assert expected == pytest.approx(about, abs=0.6)
    values = [drawn(scale, 256, number) for number in range(10)]
    assert np.mean(values) == pytest.approx(expected, abs=1e-3 + 4 * np.std(values) / 10 ** 0.5)


def test_sigreg_knows_a_shift_and_a_lost_dimension():
    z, directions = Generator("z").normal(256, 8), Generator("d").normal(8, 256)
    base = sigreg(z, directions)
    assert sigreg(z + 0.3, directions) > base + 5
    assert sigreg(z * torch.tensor([0.0] + [1.0] * 7), directions) > base + 0.5
    assert sigreg(z, 7 * directions).item() == pytest.approx(base.item(), rel=1e-5)


@few
@given(shape, seeds, st.sampled_from([0.1, 1.0]))
def test_centred_cross_entropy_is_the_sum(shape, seed, temperature):
    student, teacher = cloud(seed, 2, *shape)
    teacher = np.exp(teacher) / np.exp(teacher).sum(1, keepdims=True)
    total = 0.0
    for s, t in zip(student / temperature, teacher):
        total -= sum(p * (x - math.log(sum(math.exp(y) for y in s))) for p, x in zip(t, s))
    ours = centred_cross_entropy(*single(student, teacher), temperature)
    assert ours.item() == pytest.approx(total / len(student), rel=1e-4, abs=1e-5)


@few
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), seeds, st.booleans())
def test_latent_error_is_the_mean_over_what_is_asked(batch, blocks, asked, width, seed, all_valid):
    rng = np.random.default_rng(seed)
    answer, goal = 2 * rng.normal(size=(batch, blocks, asked, width)), rng.normal(size=(batch, 6, width))
    at = np.stack([[rng.permutation(6)[:asked] for _ in range(blocks)] for _ in range(batch)])
    valid = np.ones((batch, 6), bool) if all_valid else rng.random((batch, 6)) < 0.6
    valid[0, at[0, 0, 0]] = True
    errors = [np.mean([slow_smooth_l1(x, y) for x, y in zip(answer[b, k, m], goal[b, at[b, k, m]])])
              for b in range(batch) for k in range(blocks) for m in range(asked) if valid[b, at[b, k, m]]]
    given_valid = None if all_valid else torch.tensor(valid)
    ours = latent_error(*single(answer, goal), torch.tensor(at), given_valid)
    assert ours.item() == pytest.approx(np.mean(errors), rel=1e-4, abs=1e-6)


def test_latent_error_leaves_the_goals_gradient():
    answer, goal = torch.zeros(1, 1, 2, 3), torch.ones(1, 4, 3, requires_grad=True)
    latent_error(answer, goal, torch.tensor([[[1, 3]]]), None).backward()
    assert goal.grad[0, 1].all() and not goal.grad[0, 0].any()


def test_masked_mean():
    error = torch.tensor([[[1.0, 3.0], [5.0, 5.0]], [[7.0, 9.0], [100.0, 300.0]]])
    assert masked_mean(error, None).item() == pytest.approx((2 + 5 + 8 + 200) / 4)
    assert masked_mean(error, torch.tensor([[True, True], [True, False]])).item() == pytest.approx(5.0)


def test_losses_are_taken_in_single_precision():
    z, other = Generator("a").normal(16, 8).bfloat16(), Generator("b").normal(16, 8).bfloat16()
    assert all(loss.dtype == torch.float32 for loss in
               (infonce(z, other, 0.1), sigreg(z, Generator("c").normal(8, 4)), *variance_covariance(z)))
    assert infonce(z, other, 0.1).item() == pytest.approx(slow_infonce(z.double().numpy(), other.double().numpy(), 0.1), rel=1e-4)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0])
def test_scaled_cosine_is_the_mean_over_what_is_asked(power):
    draw = Generator("sce")
    answer, goal, asked = draw.normal(9, 4).double(), draw.normal(9, 4).double(), draw.uniform(9) < 0.6
    cosine = lambda a, b: float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
    total = [(1 - cosine(a, b)) ** power for a, b, counts in zip(answer, goal, asked) if counts]
    assert 1 < len(total) < 9
    assert float(scaled_cosine(answer, goal, power, asked)) == pytest.approx(sum(total) / len(total), rel=1e-12)


def test_scaled_cosine_at_its_ends():
    x = torch.tensor([[1.0, 2.0], [3.0, -1.0]], requires_grad=True)
    every = torch.tensor([True, True])
    for power in (1.0, 1.5, 2.0):
        for goal, error in ((2 * x.detach(), 0.0), (-x.detach(), 2.0 ** power)):
            loss = scaled_cosine(x, goal, power, every)
            loss.backward()
            assert float(loss) == pytest.approx(error, abs=1e-4) and x.grad.isfinite().all()
    nothing = scaled_cosine(x, x.detach(), 1.0, ~every)
    assert float(nothing) == 0 and float(mean_over(torch.ones(2), ~every)) == 0


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_contrast_leaves_the_partner_out_of_what_it_is_told_from(temperature):
    draw = Generator("contrast")
    a, b = draw.normal(5, 3).double(), draw.normal(5, 3).double()
    sim = lambda x, y: math.exp(float(x @ y) / math.sqrt(float(x @ x) * float(y @ y)) / temperature)
    plain = [-math.log(sim(a[i], b[i]) / sum(sim(a[i], b[j]) for j in range(5) if j != i)) for i in range(5)]
    assert float(contrast(a, b, temperature)) == pytest.approx(sum(plain) / 5, rel=1e-12)
    assert float(contrast(torch.eye(4), torch.eye(4), 0.2)) == pytest.approx(math.log(3) - 5) , "below 0 where partners agree"


@pytest.mark.parametrize("some", [True, False])
def test_jensen_shannon_is_the_sum_over_pairs(some):
    draw = Generator("jsd")
    local, whole = draw.normal(10, 3).double(), draw.normal(4, 3).double()
    sample = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3])
    valid = draw.uniform(10) < 0.7 if some else None
    soft = lambda x: math.log1p(math.exp(x))
    rows = [n for n in range(10) if valid is None or valid[n]]
    own = [math.log(2) - soft(-float(local[n] @ whole[sample[n]])) for n in rows]
    other = [soft(-s) + s - math.log(2) for n in rows for g in range(4) if g != sample[n] for s in [float(local[n] @ whole[g])]]
    got = jensen_shannon(local, whole, sample, valid)
    assert [float(x) for x in got] == pytest.approx([sum(own) / len(own), sum(other) / len(other)], rel=1e-12)
    zero = jensen_shannon(0 * local, whole, sample, valid)
    assert [float(x) for x in zero] == pytest.approx([0, 0], abs=1e-12), "nothing is shared"


def slow_supervised(z, labels, temperature):
    z, found = [x / np.linalg.norm(x) for x in z], []
    for i in range(len(z)):
        all_others = sum(math.exp(z[i] @ z[a] / temperature) for a in range(len(z)) if a != i)
        mine = [-math.log(math.exp(z[i] @ z[p] / temperature) / all_others) for p in range(len(z)) if p != i and labels[p] == labels[i]]
        found += [np.mean(mine)] if mine else []
    return np.mean(found) if found else 0.0


def slow_margin(u, labels, likeness, same):
    total = 0.0
    for i, j in itertools.combinations(range(len(u)), 2):
        s = likeness[labels[i], labels[j]]
        if same or labels[i] != labels[j]:
            margin = 2.0 if s > 0.8 else 1.5 if s > 0.5 else 1.0
            total += (s * s + 0.1) * max(0.0, margin - np.linalg.norm(u[i] - u[j]))
    return total / (len(u) * (len(u) - 1))


def classes_of(seed, count, width):
    draw = np.random.default_rng(seed)
    texts = draw.uniform(0, 1, (3, 3))
    likeness = np.maximum(texts, texts.T)
    np.fill_diagonal(likeness, 1.0)
    u = draw.normal(size=(count, width))
    return u / np.linalg.norm(u, axis=1, keepdims=True), draw.integers(0, 3, count), likeness


@few
@given(st.tuples(st.integers(2, 8), st.integers(1, 5)), seeds, st.sampled_from([0.07, 0.5]))
def test_supervised_contrast_is_the_mean_over_pairs_of_a_class(shape, seed, temperature):
    z, labels, _ = classes_of(seed, *shape)
    ours = supervised_contrast(*single(3 * z), torch.tensor(labels), temperature)
    assert ours.item() == pytest.approx(slow_supervised(z, labels, temperature), rel=1e-3, abs=1e-4)


@few
@given(st.tuples(st.integers(2, 8), st.integers(1, 5)), seeds, st.booleans())
def test_likeness_margin_is_the_sum_over_pairs(shape, seed, same):
    u, labels, likeness = classes_of(seed, *shape)
    ours = likeness_margin(*single(u), torch.tensor(labels), *single(likeness), same)
    assert ours.item() == pytest.approx(slow_margin(u, labels, likeness, same), rel=1e-4, abs=1e-5)


def test_samples_of_one_class_are_parted_only_where_that_is_asked_for():
    u = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.1]]), dim=-1).requires_grad_()
    labels, likeness = torch.tensor([1, 1]), torch.eye(2)
    assert float(likeness_margin(u, labels, likeness)) == 0
    likeness_margin(u, labels, likeness, same=True).backward()
    assert u.grad[0, 1] < 0 < u.grad[1, 1], "a step against the gradient drives them apart"


def test_losses_by_class_are_finite_where_samples_are_equal_or_alone():
    z = torch.ones(4, 3, requires_grad=True)
    for labels in (torch.tensor([0, 0, 1, 1]), torch.arange(4)):
        (supervised_contrast(z, labels, 0.07) + likeness_margin(z, labels, torch.ones(4, 4), same=True)).backward()
        assert z.grad.isfinite().all()
    assert float(supervised_contrast(torch.randn(4, 3), torch.arange(4), 0.07)) == 0


def test_losses_by_class_are_those_of_the_joined_batch(monkeypatch):
    """Two processes of three samples each, whose sums are added by hand."""
    u, labels, likeness = classes_of(5, 6, 3)
    (z, alike), labels = single(u, likeness), torch.tensor(labels)
    whole = supervised_contrast(z, labels, 0.5), likeness_margin(z, labels, alike)
    monkeypatch.setattr(losses, "gather", lambda x: z if x.is_floating_point() else labels)
    monkeypatch.setattr(losses, "world", lambda: 2)
    monkeypatch.setattr(losses, "mean_over", lambda error, asked: torch.stack([(error * asked).sum(), asked.sum()]))
    sums, margins = [], []
    for number in (0, 1):
        monkeypatch.setattr(losses, "rank", lambda number=number: number)
        mine = slice(3 * number, 3 * number + 3)
        sums.append(supervised_contrast(z[mine], labels[mine], 0.5))
        margins.append(likeness_margin(z[mine], labels[mine], alike))
    total, count = sum(sums)
    assert (total / count).item() == pytest.approx(whole[0].item(), rel=1e-5)
    assert (sum(margins) / 2).item() == pytest.approx(whole[1].item(), rel=1e-5) and whole[1] > 0
