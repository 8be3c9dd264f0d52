"""I-JEPA against the authors' code, with equal weights: encoder (whole and with dropped tokens), predictor (blocks apart), loss
and its gradients, the position table, block sizes, and the statistics of their masks. Numbers: ``numbers/README.md``."""

import json

import numpy as np
import pytest
import torch
from given import NUMBERS, Still, fill, kept, normal, order

from unveil.contracts import Batch, Spec
from unveil.encoders.transformer import Transformer
from unveil.methods.ijepa import IJEPA
from unveil.parts.masking import Masks, block_size, layouts, multiblock
from unveil.parts.positions import grid_coordinates, sincos_grid
from unveil.randomness import Generator

SPEC = Spec(3, (12, 12), ("y", "x"), (1.0, 1.0), "px", (0.0,) * 3, (1.0,) * 3)
STATISTICS = json.loads((NUMBERS / "ijepa_masks.json").read_text())
GRIDS = [((14, 14), 10), ((8, 8), 4)]
CLOSE = dict(rtol=0, atol=1e-5)


def release(generator, sides, keys):
    """Layouts at the released settings, before contexts are cut to a common count: size of a target, its corners, context."""
    draw, other = generator.number(), generator.number()
    target = block_size(sides, 0.15 + 0.05 * draw, 0.75 + 0.75 * draw)
    corners, seen = layouts(sides, target, block_size(sides, 0.85 + 0.15 * other, 1.0), 4, False, generator, keys)
    return target, corners[:, 0], seen[:, 0]


@pytest.fixture(scope="module")
def ours():
    encoder = fill(Transformer(SPEC, patch=2, width=24, depth=3, heads=4), 1)
    method = IJEPA(encoder, predictor_width=16, predictor_depth=2, predictor_heads=4)
    fill(method.teacher.network, 2)
    fill(method.predictor, 3)
    places = order(5, 2, 36)
    masks = Masks(places[:, :14].sort(1).values, torch.stack([places[:, a:a + 6] for a in (14, 18, 30)], 1))
    method._masks = lambda *_: masks
    return method, Batch(normal(4, 2, 3, 12, 12), torch.arange(2), torch.arange(2)), masks, kept("ijepa")


def test_position_table_is_theirs():
    torch.testing.assert_close(sincos_grid((6, 6), 24, torch.device("cpu")), kept("ijepa")["table"], rtol=0, atol=1e-6)


def test_encoder_and_predictor_answer_as_theirs(ours):
    method, batch, masks, theirs = ours
    tokens = method.encoder.embed(batch)
    torch.testing.assert_close(method.encoder.encode(tokens).local, theirs["whole"], **CLOSE)
    seen = method.encoder.encode(tokens, keep=masks.context).local
    torch.testing.assert_close(seen, theirs["seen"], **CLOSE)
    torch.testing.assert_close(method.predictor(seen, masks.context, masks.targets, (6, 6)), theirs["answer"], **CLOSE)


def test_loss_and_gradients_are_theirs(ours):
    method, batch, _, theirs = ours
    method.zero_grad()
    out = method(batch, Still())
    out.loss.backward()
    torch.testing.assert_close(out.loss, theirs["loss"], rtol=1e-5, atol=0)
    torch.testing.assert_close(method.encoder.project.weight.grad, theirs["project_gradient"], **CLOSE)
    torch.testing.assert_close(method.predictor.mask_token.grad, theirs["mask_gradient"], **CLOSE)
    assert all(p.grad is None for p in method.teacher.parameters())


@pytest.mark.parametrize(("sides", "least"), GRIDS)
def test_block_sides_for_the_same_random_number(sides, least):
    theirs = STATISTICS["x".join(map(str, sides))]
    for draw, height, width in theirs["target sides"]:
        assert block_size(sides, 0.15 + draw * (0.2 - 0.15), 0.75 + draw * (1.5 - 0.75)) == (height, width)
    for draw, height, width in theirs["context sides"]:
        assert block_size(sides, 0.85 + draw * (1.0 - 0.85), 1.0) == (height, width)


@pytest.mark.parametrize(("sides", "least"), GRIDS)
def test_layouts_have_their_statistics(sides, least):
    """2,000 steps of 8 samples against their 2,000 of one: the standard error of a difference is at most 0.034 deviations."""
    counts, place = [], grid_coordinates(sides)
    for step in range(2000):
        target, corners, seen = release(Generator("statistics", step), sides, torch.arange(8))
        offset = place - corners[:, :, None]
        union = ((offset >= 0) & (offset < torch.tensor(target))).all(-1).any(1)
        assert not (seen & union).any()
        counts.append(torch.stack([seen.sum(-1), torch.full((8,), target[0] * target[1]), union.sum(-1)], 1))
    counts = torch.cat(counts).double()
    counts = counts[counts[:, 0] > least]
    for ours, name in zip(counts.T, ("context", "target", "union")):
        mean, spread = STATISTICS["x".join(map(str, sides))][name]
        assert ours.mean() == pytest.approx(mean, abs=4 * 0.034 * spread)
        assert ours.std() == pytest.approx(spread, rel=0.08)


@pytest.mark.parametrize(("sides", "least", "expected"), [((14, 14), 10, 53.3), ((8, 8), 4, 12.0)])
def test_what_the_common_count_costs(sides, least, expected):
    """A batch has one count. Theirs is the shortest context of the batch: 50.5 and 11.0 tokens of 82.2 and 21.7 at batch 128.
    Ours is the shortest of 128 fixed layouts, whatever the batch: 53.3 and 12.0, so as theirs at batch 128, and fewer than theirs
    at a small batch."""
    release = dict(blocks=4, target_scale=(0.15, 0.2), target_aspect=(0.75, 1.5), context_scale=(0.85, 1.0), min_keep=least)
    kept = [multiblock(sides, Generator("common", step), torch.arange(1), **release).context.shape[1] for step in range(200)]
    theirs, spread = STATISTICS["x".join(map(str, sides))]["context at batch 128"]
    assert np.mean(kept) == pytest.approx(expected, abs=0.1)
    assert np.mean(kept) == pytest.approx(theirs, abs=3 * spread / 40 ** 0.5)
