"""A small run with everything that must survive: running statistics, a teacher, a centre, two moments."""

import hashlib
from pathlib import Path

import torch

from unveil.encoders.conv import ConvNet
from unveil.kinds.signal import Signal
from unveil.methods.dino import DINO
from unveil.testing import Cell
from unveil.training.loop import Loop


def cell() -> Cell:
    return Cell(DINO, Signal(window=32), ConvNet)


def loop(cell: Cell, folder: Path | None, definition: str = "one", **settings) -> Loop:
    training = cell.settings_of_training(**({"batch": 8} | settings))
    return Loop(cell.build(), cell.kind, cell.samples()[0], training, folder=folder, definition=definition)


def bits(loop: Loop) -> str:
    """Hash of all weights, buffers and the optimiser's state."""
    state = loop.optimiser.state_dict()["state"]
    tensors = dict(loop.method.state_dict()) | {f"{n} {name}": x for n, held in state.items() for name, x in held.items()}
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode() + torch.as_tensor(tensors[name]).numpy().tobytes())
    return total.hexdigest()
