"""What a current dipole in the brain makes of potentials on the scalp, for a head of three spherical shells: brain, skull and scalp.

A point is given in head radii about the centre, as in :mod:`unveil.data.montages`. Within a shell a potential is a sum of
``(A r^n + B r^-(n+1))`` times spherical harmonics of degree n. That potential and normal current go on at each border, and that no current
leaves the scalp, gives the potential at the scalp for each B of the innermost shell, which the dipole fixes (de Munck and Peters, IEEE
Trans. Biomed. Eng. 40 (1993) 1166; Zhang, Phys. Med. Biol. 40 (1995) 335). Radii and conductivities are those of Rush and Driscoll (IEEE
Trans. Biomed. Eng. 16 (1969) 15).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RADII = (0.87, 0.92, 1.0)  # outer radii of brain, skull and scalp
CONDUCTIVITY = (1.0, 1 / 80, 1.0)  # relative to the brain's
BRAIN, HEAD = 0.33, 0.092  # siemens a metre, and metres
UNIT = 1e-9 * 1e6 / (4 * np.pi * BRAIN * HEAD**2)  # microvolts of a nanoampere metre, before geometry
TERMS = 120  # of the series: at 0.85 of the radius the last is below 1e-7 of the first


def gains(radii: Sequence[float] = RADII, conductivity: Sequence[float] = CONDUCTIVITY, terms: int = TERMS) -> np.ndarray:
    """Potential at the scalp over the source's B of the innermost shell, for degrees 1 to ``terms``; ``(2 n + 1) / n`` of one shell.

    Args:
        radii: outer ones, from the innermost; the last is 1.
        conductivity: of each shell.
        terms: of the series.
    """
    n = np.arange(1, terms + 1)
    a, b = (n + 1.0) / (2 * n + 1), n / (2 * n + 1.0)  # no current through the scalp, where the potential is 1
    for border in range(len(radii) - 2, -1, -1):
        r, ratio = radii[border], conductivity[border + 1] / conductivity[border]
        power = r ** (2.0 * n + 1)
        potential, current = a * power + b, ratio * (n * a * power - (n + 1) * b)
        a, b = ((n + 1) * potential + current) / (2 * n + 1) / power, (n * potential - current) / (2 * n + 1)
    return 1 / b


def shells(places: np.ndarray, moments: np.ndarray, electrodes: np.ndarray, radii: Sequence[float] = RADII,
           conductivity: Sequence[float] = CONDUCTIVITY, terms: int = TERMS) -> np.ndarray:
    """Microvolts at electrodes ``(E, S)`` against a point far away.

    Args:
        places: of dipoles ``(S, 3)``, within the innermost shell.
        moments: ``(S, 3)`` in nanoampere metres.
        electrodes: ``(E, 3)``, taken to lie on the scalp.
        radii: as in :func:`gains`.
        conductivity: of each shell over that of the innermost.
        terms: of the series.
    """
    depth = np.linalg.norm(places, axis=1)
    if not (depth < radii[0]).all():
        raise ValueError(f"a dipole lies {depth.max():.3f} head radii from the centre; the innermost shell ends at {radii[0]}")
    out = places / np.maximum(depth, 1e-12)[:, None]
    ends = electrodes / np.linalg.norm(electrodes, axis=1, keepdims=True)
    cosine = ends @ out.T
    radial = (moments * out).sum(1)
    along = ends @ moments.T - cosine * radial  # the moment's part that turns the angle
    legendre, before = cosine, np.ones_like(cosine)  # P_n and P_(n-1)
    slope, total, strength = np.ones_like(cosine), np.zeros_like(cosine), np.ones_like(depth)
    for n, gain in enumerate(gains(radii, conductivity, terms), 1):
        total += gain * strength * (n * radial * legendre + along * slope)
        slope = (n + 1) * legendre + cosine * slope  # P'_(n+1)
        legendre, before = ((2 * n + 1) * cosine * legendre - n * before) / (n + 1), legendre
        strength = strength * depth
    return UNIT / conductivity[0] * total


def one_sphere(places: np.ndarray, moments: np.ndarray, electrodes: np.ndarray) -> np.ndarray:
    """As :func:`shells`, of one conductor throughout, in closed form (Frank, J. Appl. Phys. 23 (1952) 1225): for sources that no skull
    covers, such as eyes and muscles."""
    ends = electrodes / np.linalg.norm(electrodes, axis=1, keepdims=True)
    away = ends[:, None] - places
    far = np.linalg.norm(away, axis=-1, keepdims=True)
    below = 1 - (ends[:, None] * places).sum(-1, keepdims=True) + far
    field = 2 * away / far**3 + (ends[:, None] + away / far) / below
    return UNIT * (field * moments).sum(-1)
