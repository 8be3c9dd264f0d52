"""What SLIP is compared on: two samples of two channels, values of which are missing, and small networks, all from seeds."""

import torch
from given import fill, normal

from unveil.contracts import Batch, Spec
from unveil.encoders.flex import Flex
from unveil.methods.slip import SLIP

SPEC = Spec(2, (24,), ("t",), (1.0,), "sample", (0.0, 0.0), (1.0, 1.0))
SIZES = (4, 6, 8)


def method():
    encoder = Flex(SPEC, base=4, sizes=SIZES, patch=6, width=16, depth=2, heads=2, dropout=0.0)
    return fill(SLIP(encoder, width=16, depth=1, decoder=1, heads=2, queries=3, words=20, dropout=0.0), 1)


def batch():
    """The second sample lacks some values, of no patch all."""
    valid = torch.ones(2, 24, dtype=torch.bool)
    valid[1, [1, 2, 9, 22]] = False
    values = normal(2, 2, 2, 24) * valid[:, None]
    return Batch(values, torch.arange(2), torch.arange(2), valid)


def vectors():
    """Unit vectors of five samples and their texts."""
    return (torch.nn.functional.normalize(normal(seed, 5, 8), dim=-1) for seed in (3, 4))
