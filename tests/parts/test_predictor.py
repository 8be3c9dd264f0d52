"""Predictor.

- blocks that are asked for together are answered as if each were asked alone: they do not see each other;
- equals a slow sequence built token by token;
- answers depend on where is asked and on what is seen where, not on the order of either;
- the shape of an answer follows the shape of the question.
"""

import pytest
import torch
from torch import nn

from unveil.parts.positions import grid_coordinates, sincos
from unveil.parts.predictor import Predictor
from unveil.randomness import Generator

GRID = (4, 5)
CLOSE = dict(rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def predictor():
    made = Predictor(6, 7, width=16, depth=2, heads=2)
    for number, p in enumerate(made.parameters()):
        p.data = Generator("weights", number).normal(*p.shape) * 0.3
    return made.eval()


@pytest.fixture(scope="module")
def question():
    order = Generator("order").permutation(20, torch.arange(3))
    return Generator("seen").normal(3, 8, 6), order[:, :8], torch.stack([order[:, 8:13], order[:, 11:16]], 1)


@torch.no_grad()
def slow(predictor, seen, seen_at, asked_at):
    """One sample, one block: a sequence of tokens one by one."""
    place = [sincos(where, 16) for where in grid_coordinates(GRID)]
    tokens = [predictor.enter(x) + place[at] for x, at in zip(seen, seen_at.tolist())]
    tokens += [predictor.mask_token + place[at] for at in asked_at.tolist()]
    x = torch.stack(tokens)[None]
    for block in predictor.blocks:
        x = block(x)
    norm = nn.functional.layer_norm(x[0, len(seen):], (16,), predictor.norm.weight, predictor.norm.bias, 1e-6)
    return torch.stack([predictor.leave.weight @ row + predictor.leave.bias for row in norm])


def test_equals_the_slow_sequence(predictor, question):
    seen, seen_at, asked_at = question
    answer = predictor(seen, seen_at, asked_at, GRID)
    assert answer.shape == (3, 2, 5, 7)
    for b in range(3):
        for block in range(2):
            torch.testing.assert_close(answer[b, block], slow(predictor, seen[b], seen_at[b], asked_at[b, block]), **CLOSE)


def test_blocks_do_not_see_each_other(predictor, question):
    seen, seen_at, asked_at = question
    together = predictor(seen, seen_at, asked_at, GRID)
    for block in range(2):
        torch.testing.assert_close(predictor(seen, seen_at, asked_at[:, block], GRID), together[:, block], **CLOSE)
    other = asked_at.clone()
    other[:, 1] = seen_at[:, :5]
    torch.testing.assert_close(predictor(seen, seen_at, other, GRID)[:, 0], together[:, 0], **CLOSE)
    joined = predictor(seen, seen_at, asked_at.flatten(1), GRID)
    assert joined.shape == (3, 10, 7)
    assert (joined[:, :5] - together[:, 0]).abs().max() > 1e-3, "within one block tokens do see each other"


def test_order_says_nothing_and_places_do(predictor, question):
    seen, seen_at, asked_at = question
    answer, turn = predictor(seen, seen_at, asked_at, GRID), torch.tensor([3, 1, 7, 0, 5, 2, 6, 4])
    torch.testing.assert_close(predictor(seen[:, turn], seen_at[:, turn], asked_at, GRID), answer, **CLOSE)
    torch.testing.assert_close(predictor(seen, seen_at, asked_at.flip(-1), GRID).flip(-2), answer, **CLOSE)
    assert (predictor(seen, seen_at[:, turn], asked_at, GRID) - answer).abs().max() > 1e-3
    assert (predictor(seen, seen_at, asked_at.roll(1, 1), GRID) - answer).abs().max() > 1e-3


@pytest.mark.parametrize("grid", [(20,), (2, 2, 5)])
def test_grids_of_other_dimensions(predictor, question, grid):
    answers = [predictor(*question, shape) for shape in (GRID, grid)]
    assert answers[1].shape == (3, 2, 5, 7) and (answers[0] - answers[1]).abs().max() > 1e-3


def test_in_bfloat16(predictor, question):
    with torch.autocast("cpu", torch.bfloat16):
        answer = predictor(*question, GRID)
    torch.testing.assert_close(answer.float(), predictor(*question, GRID), rtol=0, atol=0.15)
