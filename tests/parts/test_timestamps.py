"""TS2Vec's contrasts against loops over anchors."""

import math

import torch
from torch.testing import assert_close

from unveil.parts.timestamps import hierarchical_contrast, instance_contrast, temporal_contrast
from unveil.randomness import Generator


def features(seed, samples=3, times=5):
    return Generator("features", seed).normal(samples, times, 4).double()


def told(anchor, partner, others):
    return -math.log(math.exp(anchor @ partner) / sum(math.exp(anchor @ x) for x in others))


def test_instance_contrast():
    a, b = features(1), features(2)
    terms = [told(one[i, t], two[i, t], [x[j, t] for x in (a, b) for j in range(3) if not (x is one and j == i)])
             for one, two in ((a, b), (b, a)) for i in range(3) for t in range(5)]
    assert_close(float(instance_contrast(a, b)), sum(terms) / len(terms))


def test_temporal_contrast():
    a, b = features(1), features(2)
    terms = [told(one[i, t], two[i, t], [x[i, s] for x in (a, b) for s in range(5) if not (x is one and s == t)])
             for one, two in ((a, b), (b, a)) for i in range(3) for t in range(5)]
    assert_close(float(temporal_contrast(a, b)), sum(terms) / len(terms))


def test_scales_double_and_odd_ends_are_left_out():
    a, b = features(1), features(2)
    pairs = lambda x: torch.maximum(x[:, 0:4:2], x[:, 1:4:2])
    scales = [(a, b), (pairs(a), pairs(b)), (pairs(a).amax(1, keepdim=True), pairs(b).amax(1, keepdim=True))]
    wanted = sum(0.3 * instance_contrast(x, y) + (0.7 * temporal_contrast(x, y) if x.shape[1] > 1 else 0) for x, y in scales) / 3
    assert_close(hierarchical_contrast(a, b, 0.3), wanted)
