"""Pictures of atoms: shaded balls, those in front last, bonds where two stand about as near as their radii say, a cell in dashes."""

from __future__ import annotations

from itertools import product

import numpy as np

from unveil.contracts import Batch
from unveil.data.atoms import SYMBOLS

WIDTH, HEIGHT, EDGE = 160, 130, 6
MOST = 120  # atoms that are drawn
FEW = 60  # atoms up to which bonds are sorted by depth too
BOND = 1.25  # how much longer than the sum of two radii a bond may be
# Covalent radii in picometres (Cordero et al. 2008, doi 10.1039/b801115j), from hydrogen to curium; 160 for what comes after.
RADII = np.array([
    31, 28, 128, 96, 84, 76, 71, 66, 57, 58, 166, 141, 121, 111, 107, 105, 102, 106, 203, 176, 170, 160, 153, 139, 139, 132, 126, 124,
    132, 122, 122, 120, 119, 120, 120, 116, 220, 195, 190, 175, 164, 154, 147, 146, 142, 139, 145, 144, 142, 139, 139, 138, 139, 140,
    244, 215, 207, 204, 203, 201, 199, 198, 198, 196, 194, 192, 192, 189, 190, 187, 187, 175, 170, 162, 151, 144, 141, 136, 136, 132,
    145, 146, 148, 140, 150, 150, 260, 221, 215, 206, 200, 196, 190, 187, 180, 169, *[160] * 22]) / 100
# Colours after Corey, Pauling and Koltun as programs have them; metals that are not named are grey, others pink.
COLOURS = {
    "H": "f4f4f4", "B": "f0a8a0", "C": "5a5a5a", "N": "3c5cf0", "O": "e8201c", "F": "7fcf4a", "Na": "a45cea", "Mg": "6fd02a",
    "Al": "b8a4a4", "Si": "d8b48c", "P": "f08410", "S": "e8cc20", "Cl": "2cc838", "K": "8a44cc", "Ca": "58c830", "Ti": "b4b8c0",
    "Cr": "8494c4", "Mn": "9a78c4", "Fe": "d86838", "Co": "e88c9c", "Ni": "58c858", "Cu": "c48038", "Zn": "7a7eac", "Br": "a03030",
    "Ag": "bcbcc8", "I": "902098", "Pt": "c8c8d8", "Au": "f0c428"}
METALS = {*range(3, 5), *range(11, 14), *range(19, 32), *range(37, 51), *range(55, 85), *range(87, 119)}


def drawing(sample: Batch) -> str:
    """SVG of one packed sample; of a larger one the atoms nearest to its middle. Atoms that a view took away are empty circles."""
    numbers = sample.values[:, 0].cpu().numpy().round().astype(int).clip(0, len(SYMBOLS))
    places = sample.where.cpu().numpy().astype(float)
    there = np.ones(len(numbers), bool) if sample.valid is None else sample.valid.cpu().numpy()
    cell = np.zeros((3, 3)) if sample.graph.cell is None else sample.graph.cell[0].cpu().numpy().astype(float)
    places = inside(places, cell)
    centre = cell.sum(0) / 2 if cell.any() else places.mean(0)
    shown = np.sort(np.argsort(np.square(places - centre).sum(1), kind="stable")[:MOST])
    corners, walls = edges(cell)
    corners = corners + (places.mean(0) - centre) @ (np.eye(3) - np.linalg.pinv(cell) @ cell)  # amid the atoms where it is open
    turn = outlook(places[shown], numbers[shown], cell)
    flat, lines = (places[shown] - centre) @ turn, (corners - centre) @ turn
    radius = np.where(numbers == 1, 0.24, 0.18 + 0.24 * RADII[numbers - 1])[shown]
    scale, shift = fitted(np.concatenate([flat, lines]), np.concatenate([radius, np.zeros(len(lines))]))
    flat, lines, radius = flat * scale + shift, lines * scale + shift, radius * scale
    parts = [(flat[i, 2], _ball(flat[i], radius[i], numbers[shown][i], there[shown][i])) for i in range(len(shown))]
    pairs = bonds(places[shown], numbers[shown], there[shown])
    if len(shown) <= FEW:
        parts += [(min(flat[a, 2], flat[b, 2]) - 1e-6, _bonds(flat, [(a, b)], scale)) for a, b in pairs]
    else:
        parts.append((-np.inf, _bonds(flat, pairs, scale)))
    box = "".join(f'<path class="cell" d="M{lines[a][0]:.1f} {lines[a][1]:.1f}L{lines[b][0]:.1f} {lines[b][1]:.1f}" fill="none" '
                  'stroke="#8a8a8a" stroke-width="0.8" stroke-dasharray="3 2"/>' for a, b in walls)
    words = "" if len(shown) == len(numbers) else \
        f'<text class="told" x="2" y="{HEIGHT - 3}" font-size="8">{len(shown)} of {len(numbers)} atoms</text>'
    body = "".join(text for _, text in sorted(parts, key=lambda part: part[0]))
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" class="sample atoms">{box}{body}{words}</svg>'


def inside(places: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Places brought into the cell along the axes that repeat; those on its wall stay on the first one."""
    if not cell.any():
        return places
    share = places @ np.linalg.pinv(cell)
    return places - np.floor(share + 1e-4) @ cell


def edges(cell: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Corners ``(n, 3)`` of what the axes that repeat span, and pairs of them that a wall's edge joins."""
    axes = cell[cell.any(1)]
    codes = list(product((0, 1), repeat=len(axes))) if len(axes) else []
    corners = np.array(codes, float).reshape(len(codes), len(axes)) @ axes if len(axes) else np.zeros((0, 3))
    near = [(a, b) for a in range(len(codes)) for b in range(a) if sum(x != y for x, y in zip(codes[a], codes[b], strict=True)) == 1]
    return corners, near


def outlook(places: np.ndarray, numbers: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Axes of the picture as columns: of open samples their own, longest across and shortest in depth; of cells a look from above one
    side."""
    if cell.any():
        a, b = np.deg2rad(-28), np.deg2rad(16)
        side = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
        above = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
        return np.diag([1, -1, 1]) @ side @ above
    weight = np.where(numbers == 1, 0.3, 1.0)[:, None]
    middle = places - (places * weight).sum(0) / weight.sum()
    _, axes = np.linalg.eigh(middle.T @ (middle * weight))
    axes = axes[:, ::-1]
    axes = axes * np.where(axes[np.abs(axes).argmax(0), range(3)] < 0, -1, 1)
    return axes * np.array([1, 1, np.sign(np.linalg.det(axes)) or 1])


def fitted(places: np.ndarray, radius: np.ndarray) -> tuple[float, np.ndarray]:
    """Pixels an angstrom, and what is added so that all is in the picture."""
    low, high = (places[:, :2] - radius[:, None]).min(0), (places[:, :2] + radius[:, None]).max(0)
    room = np.array([WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE])
    scale = float(min(22.0, (room / np.maximum(high - low, 1e-6)).min()))
    return scale, np.append(np.array([WIDTH, HEIGHT]) / 2 - scale * (low + high) / 2, 0)


def bonds(places: np.ndarray, numbers: np.ndarray, there: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of atoms that stand about as near as their radii say."""
    apart = np.sqrt(np.square(places[:, None] - places[None]).sum(-1))
    reach = BOND * (RADII[numbers - 1][:, None] + RADII[numbers - 1])
    near = (apart < reach) & (apart > 0.1) & there[:, None] & there
    return [(int(a), int(b)) for a, b in zip(*np.nonzero(np.triu(near, 1)), strict=True)]


def _ball(place: np.ndarray, radius: float, number: int, there: bool) -> str:
    x, y = place[:2]
    if not there:
        return (f'<circle class="gone" cx="{x:.1f}" cy="{y:.1f}" r="{0.7 * radius:.1f}" fill="none" stroke="#8a8a8a" stroke-width="0.7" '
                'stroke-dasharray="1.5 1.5"/>')
    name = SYMBOLS[number - 1]
    colour = COLOURS.get(name, "a8a8b4" if number in METALS else "d07cb4")
    return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#{colour}" stroke="#303030" stroke-width="0.5">'
            f'<title>{name}</title></circle>'
            f'<circle cx="{x - 0.3 * radius:.1f}" cy="{y - 0.34 * radius:.1f}" r="{0.36 * radius:.1f}" fill="#fff" fill-opacity="0.42"/>')


def _bonds(flat: np.ndarray, pairs: list[tuple[int, int]], scale: float) -> str:
    d = "".join(f"M{flat[a][0]:.1f} {flat[a][1]:.1f}L{flat[b][0]:.1f} {flat[b][1]:.1f}" for a, b in pairs)
    return (f'<path class="bond" d="{d}" fill="none" stroke="#7c7c7c" stroke-width="{max(0.7, 0.16 * scale):.1f}" '
            'stroke-linecap="round"/>')
