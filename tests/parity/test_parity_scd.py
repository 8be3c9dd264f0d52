"""SCD against the authors' network, heads and normaliser, with equal weights, edges and draws: the condition, the answer, losses of two
steps (so with running statistics that have moved), and gradients, which flow through both passes.

Their norm of vectors is the released one, which is not equivariant; everything else is what is used by default.
Numbers: ``numbers/README.md``."""

import pytest
import torch
from given import Still, kept
from scd_case import batch, method

from unveil.parts.noise import shaken

CLOSE = dict(rtol=1e-4, atol=1e-6)
THEIRS = kept("scd")


@pytest.fixture(scope="module")
def run():
    ours = method().train()
    outputs = [ours(batch(seed), Still()) for seed in (3, 8)]
    outputs[-1].loss.backward()
    return ours, outputs


def test_some_are_told_and_some_are_not():
    assert THEIRS["without"].any() and not THEIRS["without"].all()


def test_condition_is_theirs(run):
    torch.testing.assert_close(run[1][-1].shown["projection"][0], THEIRS["told"], **CLOSE)


def test_answer_is_theirs(run):
    ours, _ = run
    noisy, _ = shaken(batch(8), 0.04, Still().generator("noise"), centred=True)
    condition = torch.where(THEIRS["without"][:, None], ours.encoder.unconditioned, THEIRS["told"])
    features = ours.encoder.encode(ours.encoder.embed(noisy), condition=condition)
    torch.testing.assert_close(ours.head(features.local, features.vectors), THEIRS["said"], **CLOSE)


def test_losses_and_running_statistics_are_theirs(run):
    ours, outputs = run
    torch.testing.assert_close(torch.stack([output.loss for output in outputs]), THEIRS["losses"], **CLOSE)
    mean = ours.target.total / ours.target.count
    torch.testing.assert_close(mean, THEIRS["mean"], **CLOSE)
    torch.testing.assert_close((ours.target.square / ours.target.count - mean.square()).sqrt(), THEIRS["deviation"], **CLOSE)


@pytest.mark.parametrize("name, ours", [
    ("value_gradient", "encoder.layers.1.value.weight"), ("adapt_gradient", "encoder.layers.1.adapt.outer.weight"),
    ("summary_gradient", "summary.rows.1.weight"), ("head_gradient", "head.first.outer.weight"),
    ("surroundings_gradient", "encoder.surroundings.table.weight")])
def test_gradients_are_theirs(run, name, ours):
    gradient = dict(run[0].named_parameters())[ours].grad
    torch.testing.assert_close(gradient[[1, 6, 8]] if name.startswith("surroundings") else gradient, THEIRS[name], **CLOSE)
