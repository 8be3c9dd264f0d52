"""LeJEPA against the authors' code, along the same directions: the statistic of their minimal page and its gradient, that of
their package at nine quadratures, and the whole loss. Numbers: ``numbers/README.md``."""

import pytest
import torch
from given import Still, kept, normal
from torch import nn

from unveil.contracts import Batch, Features
from unveil.methods.lejepa import LeJEPA
from unveil.parts.losses import sigreg

THEIRS = kept("lejepa")
Z, DIRECTIONS = 1.3 * normal(1, 3, 40, 8) + 0.2, normal(2, 8, 256)


class AsItIs(nn.Module):
    width = 8

    def forward(self, batch):
        return Features(batch.values, batch.values)


class Given(Still):
    def generator(self, purpose):
        given = type("Given", (), {})()
        given.normal = lambda *shape: DIRECTIONS
        return given


def test_statistic_of_the_minimal_page_and_its_gradient():
    leaf = Z.clone().requires_grad_()
    ours = sigreg(leaf, DIRECTIONS)
    ours.backward()
    torch.testing.assert_close(ours.detach(), THEIRS["minimal"], rtol=1e-5, atol=0)
    torch.testing.assert_close(leaf.grad, THEIRS["gradient"], rtol=0, atol=1e-6)
    assert THEIRS["gradient"].abs().max() > 1e-3


def test_statistic_of_the_package():
    assert len(THEIRS["package"]) == 9
    for limit, knots, statistic in THEIRS["package"].tolist():
        assert sigreg(Z, DIRECTIONS, knots=int(knots), limit=limit).item() == pytest.approx(statistic, rel=1e-5)


def test_whole_loss():
    method = LeJEPA(AsItIs(), weight=0.02, global_views=3, local_views=0, hidden=4, projection=8, slices=256)
    method.project = nn.Identity()
    rows = torch.arange(40)
    views = [Batch(z, rows, rows) for z in Z]
    torch.testing.assert_close(method(views[0], Given(views)).loss, THEIRS["loss"], rtol=1e-5, atol=0)
