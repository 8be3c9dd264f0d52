"""NT-Xent against the equation of the paper (Chen et al. 2020, eq. 1), written out with loops in float64.

The authors' TensorFlow code could not be run here. What it computes is the sum of two cross-entropies, each a mean over N
samples, so exactly twice the mean over 2N anchors of the paper, which is what ours is.
"""

import math

import pytest
import torch
from given import Still, normal
from torch import nn

from unveil.contracts import Batch, Features
from unveil.methods.simclr import SimCLR


class AsItIs(nn.Module):
    width = 6

    def forward(self, batch):
        return Features(batch.values, batch.values)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_is_the_equation(temperature):
    a, b = normal(1, 9, 6), normal(1, 9, 6) + 0.7 * normal(2, 9, 6)
    method = SimCLR(AsItIs(), temperature=temperature, hidden=4, projection=6)
    method.project = nn.Identity()
    rows = torch.arange(9)
    views = [Batch(x, rows, rows) for x in (a, b)]
    ours = method(views[0], Still(views)).loss.item()

    z = [row for pair in zip(a.double().tolist(), b.double().tolist()) for row in pair]  # neighbours are a pair, as in the paper
    cosine = [[sum(x * y for x, y in zip(u, v)) / math.sqrt(sum(x * x for x in u) * sum(y * y for y in v)) for v in z] for u in z]
    term = lambda i, j: -math.log(math.exp(cosine[i][j] / temperature)
                                  / sum(math.exp(cosine[i][k] / temperature) for k in range(18) if k != i))
    assert ours == pytest.approx(sum(term(2 * k, 2 * k + 1) + term(2 * k + 1, 2 * k) for k in range(9)) / 18, rel=1e-5)
