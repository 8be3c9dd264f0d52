"""Inputs of the comparisons with the authors' code of BioPM, LIMU-BERT and TS2Vec, and networks of ours with weights from seeds."""

import numpy as np
import torch
from given import fill, normal

from unveil.contracts import Batch, Spec
from unveil.encoders.dilated import Dilated
from unveil.encoders.limu import LIMU
from unveil.encoders.movement import Movement
from unveil.methods.biopm import BioPM
from unveil.methods.unimotion import UniMotion
from unveil.parts.movement import POINTS

RATE, WINDOW, ROWS = 40, 4, 24


def body():
    """Acceleration ``(T, 3)`` so strong that no stretch is small by any reading."""
    state = np.random.RandomState(1)
    time = np.arange(RATE * WINDOW) / RATE
    return 300 * sum(state.rand(3) * np.sin(2 * np.pi * (f * time[:, None] + state.rand(3))) for f in (1.0, 2.3, 5.1))


def spec(length, channels):
    return Spec(channels, (length,), ("t",), (1 / RATE,), "s", (0.0,) * channels, (1.0,) * channels)


def rows():
    """Full rows of elements ``(2, ROWS, 35)``: no padding, which the released code counts among its neighbours."""
    state = np.random.RandomState(3)
    centre = np.sort(state.rand(2, 3, ROWS // 3), -1).reshape(2, ROWS)
    axis = np.repeat(np.arange(3), ROWS // 3)[None].repeat(2, 0)
    long = state.randint(4, 40, (2, ROWS))
    waves = state.standard_normal((2, ROWS, POINTS)) * 0.4
    return torch.from_numpy(np.concatenate([waves, np.stack([centre, axis, long], -1)], -1)).float()


def hidden():
    return normal(4, 2, ROWS) > 0.3


def batch(x, **extras):
    at = torch.arange(len(x))
    return Batch(x, at, at, extras=extras)


def biopm():
    method = BioPM(Movement(spec(RATE * WINDOW, 3), width=64, depth=2, heads=4, hidden=96, dropout=0.0, read="tokens"))
    return fill(method, 11).eval()


def limu():
    return fill(UniMotion(LIMU(spec(120, 6), marks=False)), 12).eval()


def dilated():
    return fill(Dilated(spec(50, 3), width=20, hidden=12, depth=3), 13).eval()
