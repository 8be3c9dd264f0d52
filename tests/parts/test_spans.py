"""Spans of hidden values against a plain draw, one span after the other."""

import torch

from unveil.parts.spans import span_masks
from unveil.randomness import Generator

KEYS = torch.arange(2000)


def test_every_sample_hides_as_many_and_draws_its_own():
    masks = span_masks(60, 9, Generator("a"), KEYS)
    assert masks.dtype == torch.bool and (masks.sum(1) == 9).all()
    assert torch.equal(masks[500:700], span_masks(60, 9, Generator("a"), KEYS[500:700])), "keyed by sample, not by place in the batch"
    assert masks.unique(dim=0).shape[0] > 1700  # one in six is a single span, of which there are 52
    assert (span_masks(8, 8, Generator("a"), KEYS).all()), "all may be hidden"


def test_spans_are_those_of_a_plain_draw():
    """The same draws, read one after the other."""
    length, count, tries = 60, 9, 26
    draw = Generator("plain")
    share = 0.8 ** torch.arange(10)
    cut = (share / share.sum()).cumsum(0)
    long = 1 + (draw.uniform(tries, 1, keys=KEYS[:200]) > cut[:-1]).sum(-1)
    begin = draw.integers(0, length, tries, keys=KEYS[:200])
    masks = span_masks(length, count, Generator("plain"), KEYS[:200])
    for mask, starts, sizes in zip(masks, begin.tolist(), long.tolist(), strict=True):
        hidden = []
        for start, size in zip(starts, sizes, strict=True):
            if start in hidden:
                continue
            hidden += [at for at in range(start, min(start + size, length)) if at not in hidden]
        assert sorted(hidden[:count]) == mask.nonzero()[:, 0].tolist()


def test_a_core_draws_spans_to_it():
    core = torch.zeros(2000, 120, dtype=torch.bool)
    core[:, 40:70] = True
    core[1000:] = False
    masks = {bias: span_masks(120, 18, Generator("core"), KEYS, core=core, bias=bias).float() for bias in (0.0, 0.8)}
    inside = {bias: float(x[:1000, 40:70].sum(1).mean() / 18) for bias, x in masks.items()}
    assert abs(inside[0.0] - 0.25) < 0.02 and 0.55 < inside[0.8] < 0.85
    assert abs(float(masks[0.8][1000:, 40:70].sum(1).mean() / 18) - 0.25) < 0.02, "without a core spans begin anywhere"
