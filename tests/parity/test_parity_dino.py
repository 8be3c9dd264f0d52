"""DINO against the authors' code, with equal weights: head, loss over four views at three steps (so with a centre that has moved
and both ends of the teacher's temperature), gradients, centre, and the schedule of the teacher.

Numbers: ``numbers/README.md``."""

import pytest
import torch
from given import Still, fill, kept, normal
from torch import nn

from unveil.contracts import Batch, Features
from unveil.methods.dino import DINO
from unveil.parts.schedules import cosine

CLOSE = dict(rtol=0, atol=1e-5)
THEIRS = kept("dino")


class AsItIs(nn.Module):
    width = 8

    def forward(self, batch):
        return Features(batch.values, batch.values)


@pytest.fixture(scope="module")
def run():
    method = DINO(AsItIs(), local_views=2, hidden=16, bottleneck=6, prototypes=24)
    fill(method.head, 1)
    fill(method.teacher.network[1], 2)
    outputs = []
    for number, progress in enumerate((0.0, 0.4, 0.8)):
        rows = torch.arange(5)
        views = [Batch(values, rows, rows) for values in normal(10 + number, 4, 5, 8)]
        outputs.append(method(views[0], Still(views, progress)))
    outputs[-1].loss.backward()
    return method, outputs


def test_head_answers_as_theirs(run):
    _, logits = run[0].head(normal(12, 4, 5, 8).flatten(0, 1))
    torch.testing.assert_close(logits, THEIRS["logits"], **CLOSE)


def test_losses_and_centre_are_theirs(run):
    method, outputs = run
    torch.testing.assert_close(torch.stack([out.loss for out in outputs]), THEIRS["losses"], rtol=1e-5, atol=0)
    torch.testing.assert_close(method.mean_logits, THEIRS["centre"], rtol=0, atol=1e-6)


def test_gradients_are_theirs(run):
    method = run[0]
    torch.testing.assert_close(method.head.prototypes.weight.grad, THEIRS["prototype_gradient"], **CLOSE)
    torch.testing.assert_close(method.head.layers[0].weight.grad, THEIRS["first_gradient"], **CLOSE)


def test_frozen_prototypes_get_no_gradient(run):
    head = run[0].head
    logits = head(normal(12, 20, 8), moving=0.0)[1]
    torch.testing.assert_close(logits, THEIRS["logits"], **CLOSE)
    gradient, = torch.autograd.grad(logits.square().sum(), head.prototypes.weight)
    assert not gradient.any()


def test_momentum_schedule_is_theirs():
    ours = torch.tensor([cosine(0.996, 1.0, step / 20) for step in range(20)], dtype=torch.float64)
    torch.testing.assert_close(ours, THEIRS["momenta"], rtol=0, atol=1e-12)
