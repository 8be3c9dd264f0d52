"""SLIP against the authors' sensor encoder, pooling and contrastive loss, with equal weights and patches of three sizes, and gradients.

Their attention dropout, which stays on in evaluation, is off; no patch lacks all values, which theirs do not count and ours do; the mask is
made before missing values are replaced. Their pretrained text model is no part of this. Numbers: ``numbers/README.md``."""

import pytest
import torch
from given import kept
from slip_case import SIZES, batch, method, vectors

from unveil.parts.losses import matched

CLOSE = dict(rtol=1e-4, atol=1e-5)
THEIRS = kept("slip")


@pytest.mark.parametrize("size", SIZES)
def test_tokens_are_theirs(size):
    ours = method()
    torch.testing.assert_close(ours.encoder.encode(ours.encoder.embed(batch(), size)).local, THEIRS[f"tokens_{size}"], **CLOSE)


def test_pooled_tokens_and_gradients_are_theirs():
    ours = method()
    pooled = ours.text.pooled(ours.encoder.encode(ours.encoder.embed(batch(), SIZES[-1])))
    torch.testing.assert_close(pooled, THEIRS["pooled"], **CLOSE)
    (pooled * torch.linspace(-1, 1, 16)).sum().backward()
    for name, part in (("inner_gradient", ours.encoder.embedding.inner), ("straight_gradient", ours.encoder.embedding.straight),
                       ("gate_gradient", ours.encoder.blocks[0].network.gate),
                       ("value_gradient", ours.encoder.blocks[1].attention.value)):
        torch.testing.assert_close(part.weight.grad, THEIRS[name], **CLOSE)


def test_contrast_is_theirs_and_no_hotter_than_their_limit():
    ours, (sample, text) = method(), vectors()
    torch.testing.assert_close(matched(sample, text, ours.text.scale()), THEIRS["contrast"], **CLOSE)
    with torch.no_grad():
        ours.text.heat.fill_(9.0)
    assert float(ours.text.scale().detach()) == pytest.approx(1 / 0.07)


def test_weights_are_resized_as_theirs():
    embedding = method().encoder.embedding
    torch.testing.assert_close(embedding.resized(embedding.inner.weight[:4], 21), THEIRS["resized"], **CLOSE)
