"""What SCD is compared on: three small clouds and a network with the released norm of vectors, all from seeds."""

import torch
from given import fill, normal

from unveil.contracts import Batch, Spec
from unveil.encoders.equivariant import Equivariant
from unveil.methods.scd import SCD
from unveil.tokens import Graph

SPEC = Spec(1, (), ("x", "y", "z"), (), "angstrom", (0.0,), (1.0,), packed=True)
SIZES = (5, 3, 7)


def method():
    encoder = Equivariant(SPEC, width=24, depth=3, heads=4, radial=12, vector_norm="dyt")
    return fill(SCD(encoder, drop=0.5), 1).double()


def batch(seed):
    """Keys are such that at a drop of one half some samples are told something and some nothing."""
    sample = torch.repeat_interleave(torch.arange(3), torch.tensor(SIZES))
    numbers = torch.tensor([6, 1, 8, 1, 7, 16, 6, 1, 1, 6, 6, 8, 9, 1, 17])
    return Batch(numbers[:, None].double(), torch.arange(3), torch.arange(3) + seed, graph=Graph(sample, 3, max(SIZES)),
                 where=1.6 * normal(seed, 15, 3, dtype=torch.float64))
