"""VICReg against the authors' code: each term of the loss, the weighted sum, and five steps of their LARS.

Numbers: ``numbers/README.md``."""

import torch
from given import Still, kept, normal
from torch import nn

from unveil.contracts import Batch, Features
from unveil.methods.vicreg import VICReg
from unveil.training.optimiser import LARS

THEIRS = kept("vicreg")


class AsItIs(nn.Module):
    width = 12

    def forward(self, batch):
        return Features(batch.values, batch.values)


def test_terms_and_their_sum():
    method = VICReg(AsItIs(), hidden=4, projection=12)
    method.expand = nn.Identity()
    rows = torch.arange(20)
    views = [Batch(x, rows, rows) for x in (normal(1, 20, 12), 0.6 * normal(1, 20, 12) + 0.3 * normal(2, 20, 12))]
    out = method(views[0], Still(views))
    ours = torch.stack([*(out.scalars[name] for name in ("invariance", "variance", "covariance")), out.loss])
    torch.testing.assert_close(ours, THEIRS["terms"], rtol=1e-6, atol=0)
    assert (ours > 0.01).all()


def test_lars_takes_their_steps():
    weight, bias = nn.Parameter(normal(3, 4, 5)), nn.Parameter(normal(4, 4))
    optimiser = LARS([dict(params=[weight], weight_decay=1e-2), dict(params=[bias])], lr=0.0)
    for step, theirs in enumerate(THEIRS["lars"]):
        for group in optimiser.param_groups:
            group["lr"] = 0.5 + 0.1 * step
        weight.grad, bias.grad = normal(10 + step, 4, 5), normal(20 + step, 4)
        optimiser.step()
        torch.testing.assert_close(torch.cat([weight.detach().flatten(), bias.detach()]), theirs, rtol=0, atol=1e-6)
