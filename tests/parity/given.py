"""Inputs and weights that a seed alone gives, so that only results need to be kept.

numpy's old generator never changes its stream.
"""

from pathlib import Path

import numpy as np
import torch

NUMBERS = Path(__file__).parent / "numbers"


def normal(seed, *shape, scale=1.0, dtype=torch.float32):
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape) * scale).to(dtype)


def order(seed, rows, n):
    """A random order of range(n) in each row."""
    state = np.random.RandomState(seed)
    return torch.from_numpy(np.stack([state.permutation(n) for _ in range(rows)]))


@torch.no_grad()
def fill(module, seed):
    """Gives every parameter a value of its own, in the order of names; gains of norms lie about 1."""
    state = np.random.RandomState(seed)
    for name, p in sorted(module.named_parameters()):
        scale = p.shape[-1] ** -0.5 if p.dim() > 1 else 0.2
        p.copy_(torch.from_numpy(state.standard_normal(tuple(p.shape)) * scale + ("norm" in name and name.endswith("weight"))))
    return module


def keep(name, origin, **arrays):
    """Writes ``numbers/<name>.npz`` with where the numbers are from."""
    arrays = {key: x.detach().numpy() if isinstance(x, torch.Tensor) else np.asarray(x) for key, x in arrays.items()}
    np.savez_compressed(NUMBERS / f"{name}.npz", origin=np.array(origin), **arrays)


def kept(name):
    with np.load(NUMBERS / f"{name}.npz") as held:
        return {key: torch.from_numpy(held[key]) for key in held if key != "origin"}


class Still:
    """A step at ``progress`` that shows ``views``, or else the batch itself, and leaves everything as it is."""

    index = 0

    def __init__(self, views=None, progress=0.0):
        self.views, self.progress = None if views is None else list(views), progress

    def view(self, batch, count=1, **settings):
        return [batch] * count if self.views is None else [self.views.pop(0) for _ in range(count)]

    def generator(self, purpose):
        from unveil.randomness import Generator
        return Generator(purpose)
