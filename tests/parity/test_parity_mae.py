"""MAE against the authors' code, with equal weights: encoder with class token on what is left, decoder, loss on normalised
patches, number of tokens left, and the position table. Numbers: ``numbers/README.md``.

Their decoder also reads the class token; ours does not (encoders need none). To compare the decoder it is given the class token
as one more seen token, whose position is zero as theirs is.
"""

import pytest
import torch
from given import Still, fill, kept, normal, order

from unveil.contracts import Batch, Spec
from unveil.encoders.transformer import Transformer
from unveil.methods import mae
from unveil.parts import predictor
from unveil.parts.masking import Masks, random_masks
from unveil.parts.positions import sincos_grid
from unveil.randomness import Generator

SPEC = Spec(3, (12, 12), ("y", "x"), (1.0, 1.0), "px", (0.0,) * 3, (1.0,) * 3)
CLOSE = dict(rtol=0, atol=1e-5)
THEIRS = kept("mae")


@pytest.fixture(scope="module")
def encoder():
    return fill(Transformer(SPEC, patch=3, width=24, depth=3, heads=4, class_token=True), 1)


@pytest.fixture(scope="module")
def batch():
    return Batch(normal(3, 2, 3, 12, 12), torch.arange(2), torch.arange(2))


@pytest.fixture(scope="module")
def masks():
    places = order(4, 2, 16)
    return Masks(places[:, :4], places[:, None, 4:])


def test_the_same_tokens_are_hidden(masks):
    hidden = torch.ones(2, 16).scatter(1, masks.context, 0.0)
    torch.testing.assert_close(hidden, THEIRS["mask"])


def test_encoder_answers_as_theirs(encoder, batch, masks):
    features = encoder.encode(encoder.embed(batch), keep=masks.context)
    torch.testing.assert_close(torch.cat([features.pooled[:, None], features.local], 1), THEIRS["seen"], **CLOSE)


def test_decoder_answers_as_theirs(batch, masks, monkeypatch):
    decoder = fill(predictor.Predictor(24, 27, width=16, depth=2, heads=4), 2)
    monkeypatch.setattr(predictor, "sincos_grid", lambda *where: torch.cat([sincos_grid(*where), torch.zeros(1, 16)]))
    at = torch.cat([torch.full((2, 1), 16), masks.context], 1)
    answer = decoder(THEIRS["seen"], at, masks.targets[:, 0], (4, 4))
    asked = masks.targets[:, 0, :, None].expand(-1, -1, 27)
    torch.testing.assert_close(answer, THEIRS["answer"].gather(1, asked), **CLOSE)


def test_loss_is_theirs(encoder, batch, masks, monkeypatch):
    method = mae.MAE(encoder, ratio=0.7, decoder_width=16, decoder_depth=1, decoder_heads=4)
    monkeypatch.setattr(mae, "random_masks", lambda *_: masks)
    method.decoder = torch.nn.Identity()
    method.decoder.forward = lambda seen, at, asked, grid: THEIRS["answer"].gather(1, asked[..., None].expand(-1, -1, 27))
    torch.testing.assert_close(method(batch, Still()).loss, THEIRS["loss"], rtol=1e-5, atol=0)


def test_number_of_tokens_left():
    for tokens, ratio, left in THEIRS["counts"].tolist():
        assert random_masks(int(tokens), ratio, Generator("counts"), torch.arange(2)).context.shape[1] == max(1, left)


def test_position_table_is_theirs():
    torch.testing.assert_close(sincos_grid((4, 4), 16, torch.device("cpu")), THEIRS["table"], rtol=0, atol=1e-6)
