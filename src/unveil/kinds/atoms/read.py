"""Records to clouds of atoms: what cannot be used is named and set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from unveil.data.atoms import SYMBOLS
from unveil.data.packed import Packed, Structure, none_left, usable
from unveil.data.records import Records, Unreadable
from unveil.errors import Unusable
from unveil.parts.neighbours import radius_graph

TOUCHING = 0.01  # angstrom: atoms nearer than this stand at one point
FLAT = 0.1  # angstrom: walls of a cell nearer than this enclose nothing
ROWS = 1 << 16  # atoms that are looked through in one piece


def read(records: Records) -> tuple[list[Structure], Packed, np.ndarray, dict[str, str]]:
    """Usable clouds, one by one and packed, their numbers among the records, and what was set aside.

    Raises:
        Unusable: where none is left.
    """
    found, faults = usable(records, checked)
    at = np.fromiter(found, np.int64, len(found))
    clouds = list(found.values())
    packed = Packed(clouds) if found else None
    apart = touching(packed) if found else {}
    for number, why in apart.items():
        faults[records.names[at[number]]] = why
    if len(apart) == len(found):
        raise none_left(records, faults, "structures")
    if apart:
        at = np.delete(at, list(apart))
        clouds = [found[i] for i in at]
        packed = Packed(clouds)
    return clouds, packed, at, faults


def checked(cloud: Structure) -> Structure:
    """The atoms and the cell of a cloud as they are packed: bonds are left out, and an open cloud lies about the origin. It is shifted and
    never turned, so forces stay as they are.

    Raises:
        Unreadable: where it has no atoms, no places, an element that does not exist, a place that is no number, or a cell of no volume.
        Unusable: where the source holds no clouds at all.
    """
    if not isinstance(cloud, Structure):
        raise Unusable(f"these are not atoms but arrays of {'x'.join(map(str, np.shape(cloud)))} values: choose another --kind")
    if not len(cloud.values):
        raise Unreadable("has no atoms")
    if cloud.where is None:
        raise Unreadable("has no places, only what hangs together: its kind may be graph")
    values, where = np.asarray(cloud.values, np.float64), np.asarray(cloud.where, np.float64)
    if values.shape != (len(values), 1) or where.shape != (len(values), 3):
        raise Unreadable(f"must have an atomic number and three coordinates an atom, it has {'x'.join(map(str, values.shape))} and "
                         f"{'x'.join(map(str, where.shape))} numbers")
    odd = ~((values >= 1) & (values <= len(SYMBOLS)) & (values == np.round(values)))[:, 0]
    if odd.any():
        raise Unreadable(f"atom {int(odd.argmax()) + 1} is of no element: its number is {values[odd.argmax(), 0]:g}")
    finite = np.isfinite(where).all(1) & (np.abs(where) < 1e6).all(1)
    if not finite.all():
        first = int((~finite).argmax())
        raise Unreadable(f"{int((~finite).sum())} of its {len(where)} atoms stand nowhere; the first is atom {first + 1} at "
                         f"{', '.join(f'{x:g}' for x in where[first])}")
    cell = None if cloud.cell is None else np.asarray(cloud.cell, np.float64)
    if cell is None or not cell.any():
        return Structure(np.float32(values), where=np.float32(where - where.mean(0)), forces=cloud.forces)
    return Structure(np.float32(values), where=np.float32(where), cell=voluminous(cell), forces=cloud.forces)


def known_forces(clouds: Sequence[Structure], names: Sequence[str]) -> tuple[Tensor | None, list[str]]:
    """Forces on the atoms of all clouds, laid end to end ``(sum N, 3)`` float32, and what is to be said of them.

    Forces that are damaged are unknown, as are those of a cloud that has none: NaN. The cloud is used all the same: forces are labels, and
    an encoder is taught without them.

    Args:
        clouds: as :func:`read` leaves them.
        names: of the clouds.

    Returns:
        None in place of the forces where none are known.
    """
    held, wrong = [], {}
    for cloud, name in zip(clouds, names, strict=True):
        try:
            held.append(sound_forces(cloud))
        except Unreadable as why:
            wrong[name] = str(why)
            held.append(None)
    known = sum(forces is not None for forces in held)
    notes = [f"forces of {known:,} of {len(held):,} structures are known, eV/angstrom"] if known else []
    if wrong:
        name, why = next(iter(wrong.items()))
        notes.append(f"the forces of {len(wrong):,} structure{'s' * (len(wrong) > 1)} are set aside as unknown; {name}: {why}")
    if not known:
        return None, notes
    whole = [np.full((len(cloud), 3), np.nan, np.float32) if forces is None else forces for cloud, forces in zip(clouds, held)]
    return torch.from_numpy(np.concatenate(whole)), notes


def sound_forces(cloud: Structure) -> np.ndarray | None:
    """The forces on a cloud ``(n, 3)`` float32; None where it has none.

    Raises:
        Unreadable: where they are not three finite numbers an atom.
    """
    if cloud.forces is None:
        return None
    with np.errstate(over="ignore"):
        forces = np.asarray(cloud.forces, np.float64).astype(np.float32)
    if forces.shape != (len(cloud), 3):
        raise Unreadable(f"has {'x'.join(map(str, forces.shape))} numbers as forces, where its {len(cloud)} atoms have {len(cloud)}x3")
    finite = np.isfinite(forces).all(1)
    if not finite.all():
        raise Unreadable(f"the force on its atom {int(finite.argmin()) + 1} is no three finite numbers")
    return forces


def voluminous(cell: np.ndarray) -> np.ndarray:
    """A cell ``(3, 3)``, with zeros along open axes, as it is packed.

    Raises:
        Unreadable: where its vectors are no numbers, or some walls lie on each other.
    """
    if cell.shape != (3, 3) or not np.isfinite(cell).all():
        raise Unreadable("has a cell that is not three vectors of finite numbers")
    axes = cell[cell.any(1)]
    height = 1 / np.maximum(np.linalg.norm(np.linalg.pinv(axes), axis=0), 1e-300)
    if np.linalg.matrix_rank(axes) < len(axes) or height.min() < FLAT:
        raise Unreadable("repeats, but its cell has no volume")
    return np.float32(cell)


def touching(packed: Packed) -> dict[int, str]:
    """Of each cloud in which two atoms, or an atom and an image, stand at one point, its number and what is wrong."""
    found: dict[int, str] = {}
    for ids in pieces(packed.sizes):
        batch = packed(ids)
        (one, two), _ = radius_graph(batch.where, batch.graph, TOUCHING)
        place = batch.graph.place
        for a, b in zip(two.tolist(), one.tolist(), strict=True):
            number = int(ids[batch.graph.sample[a]])
            found.setdefault(number, f"its atoms {int(place[a]) + 1} and {int(place[b]) + 1} stand at one point" if a != b else
                             f"its atom {int(place[a]) + 1} and its image in the next cell stand at one point")
    return found


def pieces(sizes: Tensor) -> list[Tensor]:
    """Numbers of samples, in their order, in pieces of about :data:`ROWS` rows."""
    total = sizes.cumsum(0)
    cuts = torch.searchsorted(total, torch.arange(ROWS, max(int(total[-1]), ROWS), ROWS)).unique()
    return [part for part in torch.arange(len(sizes)).tensor_split(cuts) if len(part)]


def common(packed: Packed, most: int) -> list[int]:
    """Atomic numbers of up to ``most`` elements, those of most atoms first, of equally many the lighter."""
    counts = Counter(packed.values[:, 0].long().tolist())
    return sorted(counts, key=lambda number: (-counts[number], number))[:most]


def told(packed: Packed) -> str:
    """What a person should know of all clouds, in a sentence."""
    elements = sorted({*packed.values[:, 0].long().unique().tolist()})
    names = f": {', '.join(SYMBOLS[number - 1] for number in elements)}" if len(elements) <= 12 else ""
    periodic = 0 if packed.cell is None else int((packed.cell != 0).flatten(1).any(1).sum())
    whole = len(packed.sizes)
    repeats = "all repeat" if periodic == whole else f"{periodic or 'none'} of {whole} repeat{'s' * (periodic < 2)}"
    return f"{len(elements)} element{'s' * (len(elements) != 1)}{names}; {repeats} periodically"
