"""Small clouds of atoms whose class is a shape: of one composition, so that counting elements says nothing."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unveil.data.packed import Packed, Structure
from unveil.kinds.atoms.view import rotations
from unveil.randomness import Generator

BODY = (6, 6, 7, 8, 6, 9)  # atomic numbers of the shape
SPREAD = 0.1  # angstrom: deviation of a class from the common shape
JITTER = 0.01  # of an atom from its class
STRANGERS = (1, 9, 17)  # atomic numbers of what may stand around and says nothing
MANY = 4  # of them at most


def shapes(count: int, generator: Generator) -> tuple[Packed, np.ndarray]:
    """Six atoms in one of four shapes, which are small deviations from a common one, so that they differ in distances by about a tenth of
    an angstrom; each sample is turned and mirrored at random and has up to four atoms of random elements at random places around.

    Returns:
        the clouds, and their shapes ``(count,)``, in turn.
    """
    keys = torch.arange(count)
    forms = _body(generator) + SPREAD * generator.normal(4, len(BODY), 3)
    body = forms[keys % 4] + JITTER * generator.normal(len(BODY), 3, keys=keys)
    around = _around(body, generator, keys)
    turn = rotations(generator.normal(4, keys=keys)) * (1 - 2 * generator.integers(0, 2, 1, 1, keys=keys))
    where = (torch.cat([body, around], 1) @ turn.mT).numpy()
    strangers = torch.tensor(STRANGERS)[generator.integers(0, len(STRANGERS), MANY, keys=keys)]
    numbers = torch.cat([torch.tensor(BODY).expand(count, -1), strangers], 1).float().numpy()[..., None]
    sizes = (len(BODY) + generator.integers(0, MANY + 1, 1, keys=keys)[:, 0]).tolist()
    return Packed([Structure(numbers[i, :size], where=where[i, :size]) for i, size in enumerate(sizes)]), keys.numpy() % 4


def _body(generator: Generator) -> Tensor:
    """A bent chain ``(6, 3)``: bonds of 1.5 angstrom, each in the direction, of a few random ones, that leads farthest from the others."""
    places = torch.zeros(1, 3)
    for _ in range(len(BODY) - 1):
        ways = generator.normal(8, 3)
        tried = places[-1] + 1.5 * ways / ways.norm(dim=1, keepdim=True)
        room = (tried[:, None] - places).norm(dim=-1).amin(1)
        places = torch.cat([places, tried[room.argmax()][None]])
    return places - places.mean(0)


def _around(body: Tensor, generator: Generator, keys: Tensor) -> Tensor:
    """Places ``(count, MANY, 3)``: 1.2 angstrom and more from every atom, of 32 tries the first that is."""
    ways = generator.normal(MANY, 32, 3, keys=keys)
    tries = ways / ways.norm(dim=-1, keepdim=True) * generator.uniform(MANY, 32, 1, keys=keys, low=2.0, high=4.5)
    places, taken = body, []
    for number in range(MANY):
        room = (tries[:, number, :, None] - places[:, None]).norm(dim=-1).amin(-1)  # (count, 32)
        first = torch.where(room.amax(1) > 1.2, (room > 1.2).float().argmax(1), room.argmax(1))
        taken.append(tries[torch.arange(len(tries)), number, first])
        places = torch.cat([places, taken[-1][:, None]], 1)
    return torch.stack(taken, 1)
