"""Where the electrodes of the 10-20, 10-10 and 10-05 systems are, by the systems' own rule on a sphere.

A sphere of radius 1 stands for the head: x to the right, y to the front, z up through Cz. From nasion over Cz to inion, and from one ear
over Cz to the other, is half a turn each, cut into tenths (Jasper 1958). Electrodes a tenth above the lower ends lie on one ring, which is
cut into tenths again from Fpz to Oz, and each row between its ends on the ring and its point on the midline into equal parts
(Oostenveld and Praamstra, Clin. Neurophysiol. 112 (2001) 713).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

# Tenths of the way from nasion to inion at which a row crosses the midline.
ROWS = {"N": 0, "NFp": 0.5, "Fp": 1, "AFp": 1.5, "AF": 2, "AFF": 2.5, "F": 3, "FFC": 3.5, "FFT": 3.5, "FC": 4, "FT": 4, "FCC": 4.5,
        "FTT": 4.5, "C": 5, "T": 5, "CCP": 5.5, "TTP": 5.5, "CP": 6, "TP": 6, "CPP": 6.5, "TPP": 6.5, "P": 7, "PPO": 7.5, "PO": 8,
        "POO": 8.5, "O": 9, "OI": 9.5, "I": 10}
TEN_TWENTY = ("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2")
OLD = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}  # names of before 1991
EARS = {"M": (6.0, 98.0), "A": (5.4, 100.0)}  # mastoid and ear lobe: tenth on the ring, angle from Cz; as far below T9 as on one real head
NEAR = 0.95  # two electrodes of a derivation are neighbours within so many head radii, and it stands between them
NAME = re.compile(r"(NFp|Fp|AFp|AFF|FFC|FFT|FCC|FTT|CCP|TTP|CPP|TPP|PPO|POO|OI|AF|FC|FT|CP|TP|PO|N|F|C|T|P|O|I)(z|10|[1-9])(h?)",
                  re.IGNORECASE)
EAR = re.compile(r"([MA])([12])", re.IGNORECASE)
BOUND = {name.lower(): name for name in ROWS}


def place(name: str) -> np.ndarray:
    """``(3,)`` of an electrode; NaN where it is unknown.

    A derivation against an ear or mastoid, such as ``F3-M2``, stands where its first electrode is; one of two neighbours, such as
    ``Fp1-F7``, midway between them; any other nowhere.
    """
    return _place(name.strip()).copy()


def places(names: Sequence[str]) -> np.ndarray:
    """``(C, 3)`` of all."""
    return np.stack([place(name) for name in names]) if len(names) else np.zeros((0, 3))


def proper(name: str) -> str:
    """An electrode as the systems write it, ``Fp1`` for ``FP1``; any other name as it is."""
    if found := NAME.fullmatch(name):
        row, column, half = found.groups()
        return BOUND[row.lower()] + column.lower() + half.lower()
    return name


@lru_cache(4096)
def _place(name: str) -> np.ndarray:
    unknown = np.full(3, np.nan)
    if name.count("-") == 1:
        one, other = map(_place, name.split("-"))
        if EAR.fullmatch(name.split("-")[1]) and not EAR.fullmatch(name.split("-")[0]):
            return one
        return (one + other) / 2 if np.linalg.norm(one - other) <= NEAR else unknown
    name = OLD.get(name.upper(), name)
    if found := EAR.fullmatch(name):
        tenth, down = EARS[found[1].upper()]
        return _at(18 * tenth * (1 if found[2] == "1" else -1), down)
    found = NAME.fullmatch(name)
    if not found:
        return unknown
    tenth = ROWS[BOUND[found[1].lower()]]
    if found[2].lower() == "z":
        return unknown if found[3] else _at(0, 18 * (tenth - 5))
    number = int(found[2])
    side, step = 1 if number % 2 else -1, (number + 1) // 2 - 0.5 * bool(found[3])
    return _beside(tenth, step, side)


def _beside(tenth: float, step: float, side: int) -> np.ndarray:
    """An electrode ``step`` columns from the midline; left where ``side`` is 1."""
    if tenth <= 1 or tenth >= 9:  # these rows run along a ring: one step is a tenth of it
        ring, front = 90 - 18 * min(tenth, 10 - tenth), tenth <= 1
        if step > 1:
            return _at(side * 18 * tenth, 72 + 18 * (step - 4)) if step > 4 else np.full(3, np.nan)
        return _at(side * (18 * step if front else 180 - 18 * step), ring)
    if step > 4:  # the row goes on below the ring, a column a tenth
        return _at(side * 18 * tenth, 72 + 18 * (step - 4))
    middle, end = _at(0, 18 * (tenth - 5)), _at(side * 18 * tenth, 72)
    return _along(middle, end, step / 4)


def _at(azimuth: float, down: float) -> np.ndarray:
    """The point so many degrees to the left of the front and so many degrees down from Cz, a negative angle to the front on the midline."""
    turn, fall = np.radians([azimuth, down])
    if azimuth == 0:
        return np.array([0.0, -np.sin(fall), np.cos(fall)])
    return np.array([-np.sin(turn) * np.sin(fall), np.cos(turn) * np.sin(fall), np.cos(fall)])


def _along(middle: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """A share of the way from ``middle`` to ``end`` on the circle through both and the mirror image of ``end``."""
    other = end * [-1, 1, 1]
    across = np.cross(end - middle, other - middle)
    across /= np.linalg.norm(across)
    centre = across * (across @ middle)
    start, stop = middle - centre, end - centre
    angle = np.arccos(np.clip(start @ stop / (start @ start), -1, 1)) * share
    side = np.cross(across, start)
    side *= np.sign(side @ stop)
    return centre + np.cos(angle) * start + np.sin(angle) * side


def on_sphere(points: np.ndarray) -> np.ndarray:
    """Places ``(C, 3)`` in any unit as head radii about the centre of the sphere that fits them best; NaN stays.

    Fewer than eight places, or places on no sphere, are taken about the origin, by their median distance from it.
    """
    points = np.asarray(points, np.float64)
    known = np.isfinite(points).all(1) & (np.abs(points).sum(1) > 0)
    held, centre = points[known], np.zeros(3)
    if not len(held):
        return np.full(points.shape, np.nan)
    if len(held) >= 8:
        system = np.concatenate([2 * held, np.ones((len(held), 1))], 1)
        found, _, rank, _ = np.linalg.lstsq(system, (held**2).sum(1), rcond=None)
        if rank == 4 and np.linalg.norm(found[:3]) < np.median(np.linalg.norm(held, axis=1)):
            centre = found[:3]
    away = points - centre
    return np.where(known[:, None], away / np.median(np.linalg.norm(away[known], axis=1)), np.nan)
