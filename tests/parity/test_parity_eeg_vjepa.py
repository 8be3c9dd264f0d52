"""EEG-VJEPA against the authors' code, with equal weights: encoder, predictor with its two mask tokens, loss of two masks, regulariser and
gradients; block sides and shares of their masks; the crop of their settings. Numbers: ``numbers/README.md``."""

import json

import pytest
import torch
from given import NUMBERS, Still, fill, kept, normal, order

from unveil.contracts import Batch, Spec
from unveil.encoders.tubelets import Tubelets
from unveil.methods.eeg_vjepa import EEGVJEPA
from unveil.parts.frames import plane_crops
from unveil.parts.masking import Masks
from unveil.parts.stretches import tube_size, tubes, untouched
from unveil.randomness import Generator

SPEC = Spec(16, (8 * 480,), ("t",), (0.01,), "s", (0.0,) * 16, (1.0,) * 16)
NET = dict(frame=480, hop=480, frames=8, patch=(4, 4, 30), width=24, depth=2, heads=4)
STATISTICS = json.loads((NUMBERS / "eeg_vjepa_masks.json").read_text())
RELEASED = {"short": (8, 0.15), "long": (2, 0.7)}
CLOSE = dict(rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def ours():
    encoder = fill(Tubelets(SPEC, **NET), 1)
    method = EEGVJEPA(encoder, predictor_width=12, predictor_depth=2, predictor_heads=4, crop="none", spread=0.1)
    fill(method.teacher.network, 2)
    fill(method.predictor, 3)
    places = order(5, 4, 128)
    masks = [Masks(places[:2, :40], places[:2, None, 40:110]), Masks(places[2:, :30], places[2:, None, 30:128])]
    method._masks = lambda tokens, number, *_: masks[number]
    series = normal(4, 2, 1, 8, 16, 480)[:, 0].transpose(1, 2).flatten(2)
    return method, Batch(series, torch.arange(2), torch.arange(2)), masks, kept("eeg_vjepa")


def test_encoder_and_predictor_answer_as_theirs(ours):
    method, batch, masks, theirs = ours
    tokens = method.encoder.embed(batch)
    assert tokens.grid == (2, 4, 16)
    torch.testing.assert_close(method.encoder.encode(tokens).local, theirs["whole"], **CLOSE)
    for number, name in enumerate(("first", "second")):
        seen = method.encoder.encode(tokens, keep=masks[number].context).local
        answer = method.predictor(seen, masks[number].context, masks[number].targets[:, 0], tokens.grid, token=number)
        torch.testing.assert_close(answer, theirs[name], **CLOSE)


def test_loss_and_gradients_are_theirs(ours):
    method, batch, _, theirs = ours
    method.zero_grad()
    out = method(batch, Still())
    out.loss.backward()
    torch.testing.assert_close(out.loss, theirs["loss"] + 0.1 * theirs["narrow"], rtol=1e-5, atol=0)
    torch.testing.assert_close(out.scalars["narrow"], theirs["narrow"], rtol=1e-5, atol=0)
    torch.testing.assert_close(method.encoder.project.weight.grad, theirs["project_gradient"], **CLOSE)
    torch.testing.assert_close(method.predictor.mask_token.grad, theirs["mask_gradient"], **CLOSE)
    assert all(p.grad is None for p in method.teacher.parameters())


@pytest.mark.parametrize("name", RELEASED)
def test_block_sides_for_the_same_random_number(name):
    for draw, height, width in STATISTICS[name]["sides"]:
        assert tube_size((4, 16), RELEASED[name][1], 0.75 + draw * 0.75) == (height, width)


@pytest.mark.parametrize("name", RELEASED)
def test_as_much_is_hidden_as_by_theirs(name):
    """4,000 draws each; sizes are drawn once a step of one sample here, so the standard error is that of 4,000."""
    (blocks, share), hidden = RELEASED[name], []
    for step in range(4000):
        draws = Generator("hidden", step)
        size = tube_size((4, 16), share, 0.75 + 0.75 * draws.number())
        hidden.append(1 - untouched((4, 16), size, blocks, draws, torch.arange(1))[0, 0].float().mean())
    hidden = torch.stack(hidden)
    hidden = hidden[hidden < 1]
    mean, spread = STATISTICS[name]["hidden"]
    assert float(hidden.mean()) == pytest.approx(mean, abs=4 * spread * (2 / 4000) ** 0.5)
    assert float(hidden.std()) == pytest.approx(spread, rel=0.08)


@pytest.mark.parametrize("name", RELEASED)
def test_what_common_counts_cost(name):
    """A batch has one count. Theirs, at their batch of two, is the shorter of two lists; ours the quartiles of fixed layouts, whole tubes
    at a time: within 8% of the tokens."""
    blocks, share = RELEASED[name]
    made = [tubes((8, 4, 16), Generator("common", step), torch.arange(1), blocks=blocks, share=share, aspect=(0.75, 1.5))
            for step in range(300)]
    counts = zip(*((masks.context.shape[1], masks.targets.shape[2]) for masks in made))
    for mine, theirs in zip(counts, STATISTICS[name]["kept at batch 2"]):
        assert sum(mine) / 300 == pytest.approx(theirs, abs=0.08 * 512)


def test_their_crop_of_19_channels_by_500_values_is_one_and_the_same():
    assert STATISTICS["crops"] == [[0, 237, 19, 26]]
    box = plane_crops(19, 500, (0.3, 1.0), (0.75, 1.35), Generator("crops"), torch.arange(5000))
    assert box.unique(dim=0).tolist() == [[0, 237, 19, 26]]
