"""Atoms as they stand in files: elements by name, cells by lengths and angles, and what is refused of both."""

from __future__ import annotations

import numpy as np

from unveil.data.packed import Structure
from unveil.data.records import Unreadable

_NAMES = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru "
    "Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At "
    "Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og ")
SYMBOLS = _NAMES.split()
NUMBERS = {name: number for number, name in enumerate(SYMBOLS, 1)} | {"D": 1, "T": 1}
MOST_ATOMS = 1_000_000
FLAT = 1e-6  # share of a box of the same sides that a periodic cell must fill


def element(word: str) -> int:
    """The atomic number of a symbol in any case, with a label behind it or not, or of the number itself.

    Raises:
        Unreadable: where there is no such element.
    """
    if word.isdecimal() and 1 <= int(word[:9]) <= len(SYMBOLS):
        return int(word)
    letters = word.rstrip("0123456789+-_'*").capitalize()
    if letters not in NUMBERS:
        raise Unreadable(f"{word[:20]!r} is no element")
    return NUMBERS[letters]


def structure(numbers: np.ndarray, places: np.ndarray, cell: np.ndarray | None = None, periodic: np.ndarray | None = None,
              forces: np.ndarray | None = None) -> Structure:
    """Atoms in space.

    Args:
        numbers: atomic numbers ``(n,)``.
        places: ``(n, 3)`` in angstrom.
        cell: vectors as rows ``(3, 3)`` in angstrom.
        periodic: bool ``(3,)``, along which of the cell's vectors it repeats.
        forces: on the atoms, in eV/angstrom; whether they are sound is not looked at.

    Raises:
        Unreadable: where there are no atoms, one is of no element, or the cell has no volume along what repeats.
    """
    numbers, places = np.asarray(numbers), np.asarray(places, np.float64)
    if numbers.ndim != 1 or places.ndim != 2:
        raise Unreadable("has no list of elements, or no table of places")
    if not len(numbers):
        raise Unreadable("has no atoms")
    if len(numbers) > MOST_ATOMS:
        raise Unreadable(f"has {len(numbers):,} atoms, more than the {MOST_ATOMS:,} of one sample that are read")
    if places.shape != (len(numbers), 3):
        raise Unreadable(f"has {len(numbers)} atoms, but places of shape {'x'.join(map(str, places.shape))}")
    known = (numbers >= 1) & (numbers <= len(SYMBOLS)) & (numbers % 1 == 0)
    if not known.all():
        wrong = int(np.argmin(known))
        raise Unreadable(f"atom {wrong + 1} is of no element: its number is {numbers[wrong]}")
    with np.errstate(over="ignore"):
        held = Structure(numbers.astype(np.float32)[:, None], where=places.astype(np.float32), forces=forces)
    if periodic is not None and np.any(periodic):
        held.cell = _repeating(np.asarray(cell, np.float64), np.asarray(periodic, bool))
    return held


def _repeating(cell: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    if cell.shape != (3, 3) or periodic.shape != (3,):
        raise Unreadable("repeats along a cell that does not have three vectors")
    vectors = cell[periodic]
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(vectors).all() or (lengths <= 0).any():
        raise Unreadable("repeats along a vector of its cell that has no length")
    unit = vectors / lengths[:, None]
    if np.linalg.det(unit @ unit.T) < FLAT**2:
        raise Unreadable("repeats, but its cell has no volume")
    return np.where(periodic[:, None], cell, 0).astype(np.float32)


def cell_of(lengths: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Vectors as rows, the first along x and the second in the plane of x and y, of three lengths and three angles in degrees.

    Raises:
        Unreadable: where no cell has these angles.
    """
    cos = np.cos(np.deg2rad(angles))
    cos[np.abs(cos) < 1e-12] = 0  # of a right angle
    sin = np.sqrt(1 - cos[2]**2)
    if not np.isfinite([*lengths, *cos]).all() or sin < FLAT:
        raise Unreadable("has a cell whose angles no cell has")
    y = (cos[0] - cos[1] * cos[2]) / sin
    rest = 1 - cos[1]**2 - y**2
    if rest <= 0:
        raise Unreadable("has a cell whose angles no cell has")
    return np.array(lengths)[:, None] * np.array([[1, 0, 0], [cos[2], sin, 0], [cos[1], y, np.sqrt(rest)]])
