"""EEG-VJEPA: loss against sums written out, crops, and what its controls change. See ``tests/parity`` for the authors' numbers."""

import pytest
import torch
from torch.nn import functional as F

from unveil.encoders.tubelets import Tubelets
from unveil.kinds.signal import Signal
from unveil.methods.eeg_vjepa import EEGVJEPA
from unveil.parts.stretches import tubes
from unveil.testing import Cell


@pytest.fixture(scope="module")
def cell():
    return Cell(EEGVJEPA, Signal(window=64), Tubelets)


def test_loss_is_the_mean_of_two_ways_of_hiding(cell):
    method, batch, step = cell.build(spread=0.5), cell.batch(), cell.step()
    tokens = method.encoder.embed(batch)
    goal, errors, spreads = F.layer_norm(method.teacher(batch).local, (32,)), [], []
    for number in (0, 1):
        masks = tubes(tokens.grid, step.generator(f"masks {number}"), batch.keys, blocks=(2, 1)[number], share=(0.25, 0.5)[number],
                      aspect=(0.75, 1.5))
        seen = method.encoder.encode(tokens, keep=masks.context).local
        answer = method.predictor(seen, masks.context, masks.targets[:, 0], tokens.grid, token=number)
        errors.append(sum(float((answer[i] - goal[i, masks.targets[i, 0]]).abs().mean()) for i in range(8)) / 8)
        spreads.append((answer.var(1) + 1e-4).sqrt())
    narrow = F.relu(1 - sum(spreads) / 2).mean()
    assert float(method(batch, step).loss) == pytest.approx(sum(errors) / 2 + 0.5 * float(narrow), rel=1e-4)


@pytest.mark.parametrize("crop", ["time", "none", "published"])
def test_what_a_crop_lets_through(crop):
    """On 19 channels by frames of 500 values: all that the published crop ever sees of a frame are 26 values of its middle."""
    cell = Cell(EEGVJEPA, Signal(window=1000), Tubelets, settings=dict(crop=crop),
                encoder_settings=dict(frame=500, hop=500, patch=(1, 2, 50)))
    method, batch, step = cell.build(), cell.batch(), cell.step()
    batch.values = batch.values.repeat(1, 10, 1)[:, :19]
    other = batch.values.clone().unflatten(2, (2, 500))
    other[..., :237], other[..., 263:] = 9.0, -9.0
    first = method._cut(batch, step).values
    batch.values = other.flatten(2)
    assert torch.equal(first, method._cut(batch, step).values) == (crop == "published")


def test_random_masks_have_the_counts_of_tubes(cell):
    batch, step = cell.batch(), cell.step()
    tokens = cell.build().encoder.embed(batch)
    for number in (0, 1):
        tube, other = (cell.build(masking=name)._masks(tokens, number, batch.keys, step) for name in ("tubes", "random"))
        assert tube.context.shape == other.context.shape and tube.targets.shape == other.targets.shape
        both = torch.cat([other.context, other.targets[:, 0]], 1).sort(1).values
        assert (both.diff(dim=1) > 0).all()


def test_values_as_targets_need_no_teacher(cell):
    method = cell.build(target="values")
    assert method.teacher is None and method.kept()["encoder"] is method.encoder
    assert method(cell.batch(), cell.step()).loss.isfinite()
