"""The spherical head: against the closed form of one sphere, against the border conditions solved degree by degree, and turned around."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import eval_legendre
from scipy.stats import special_ortho_group

from unveil.data import sphere
from unveil.data.montages import TEN_TWENTY, place, places

SCALP = places(TEN_TWENTY)


def dipoles(count: int = 12, deepest: float = 0.1, highest: float = 0.85, seed: int = 0):
    rng = np.random.default_rng(seed)
    out = rng.normal(size=(count, 3))
    out *= rng.uniform(deepest, highest, (count, 1)) / np.linalg.norm(out, axis=1, keepdims=True)
    return out, rng.normal(size=(count, 3))


def test_three_shells_of_one_conductivity_are_one_sphere():
    where, moment = dipoles()
    want = sphere.one_sphere(where, moment, SCALP)
    np.testing.assert_allclose(sphere.shells(where, moment, SCALP, conductivity=(1, 1, 1), terms=250), want, rtol=1e-6, atol=1e-6)


def test_in_the_centre_a_dipole_makes_three_times_what_it_makes_in_the_open():
    """Of a sphere: V = 3 q cos / (4 pi sigma R^2), as every textbook has it."""
    moment = np.array([[0.0, 0.0, 1.0]])
    got = sphere.one_sphere(np.zeros((1, 3)), moment, np.array([[0, 0, 1.0], [0, 1, 0], [0, 0, -1]]))[:, 0]
    np.testing.assert_allclose(got, 3 * 1e-3 / (4 * np.pi * 0.33 * 0.092**2) * np.array([1, 0, -1]), atol=1e-12)


def borders(n: int, depth: float) -> float:
    """Potential at the scalp of degree n for a source r^-(n+1): five unknowns, two conditions a border, and one at the scalp."""
    (r1, r2, r3), (s1, s2, s3) = sphere.RADII, sphere.CONDUCTIVITY
    up, down = lambda r: r**n, lambda r: r ** -(n + 1.0)
    rises, falls = lambda r: n * r ** (n - 1.0), lambda r: -(n + 1) * r ** -(n + 2.0)
    # unknown: A of the brain, A and B of the skull, A and B of the scalp
    system = np.array([[up(r1), -up(r1), -down(r1), 0, 0], [s1 * rises(r1), -s2 * rises(r1), -s2 * falls(r1), 0, 0],
                       [0, up(r2), down(r2), -up(r2), -down(r2)], [0, s2 * rises(r2), s2 * falls(r2), -s3 * rises(r2), -s3 * falls(r2)],
                       [0, 0, 0, rises(r3), falls(r3)]])
    found = np.linalg.solve(system, [-down(r1), -s1 * falls(r1), 0, 0, 0])
    return found[3] * up(r3) + found[4] * down(r3)


def test_three_shells_as_their_borders_say():
    """The potential of a pair of poles close to each other, from Legendre polynomials of scipy and the border conditions."""
    where, moment = dipoles(6, highest=0.7)
    step, terms = 1e-5, 60
    gain = np.array([borders(n, 0.0) for n in range(1, terms + 1)])
    np.testing.assert_allclose(sphere.gains(terms=terms), gain, rtol=1e-9)

    def pole(at: np.ndarray) -> np.ndarray:
        depth = np.linalg.norm(at)
        cosine = SCALP @ at / depth
        return sum(g * depth**n * eval_legendre(n, cosine) for n, g in enumerate(gain, 1))

    want = np.stack([(pole(at + step * q) - pole(at - step * q)) / (2 * step) for at, q in zip(where, moment)], 1)
    np.testing.assert_allclose(sphere.shells(where, moment, SCALP, terms=terms), sphere.UNIT * want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("field", [sphere.shells, sphere.one_sphere])
def test_a_head_that_is_turned_with_all_that_is_in_it_changes_nothing(field):
    where, moment = dipoles()
    turn = special_ortho_group.rvs(3, random_state=1)
    np.testing.assert_allclose(field(where @ turn.T, moment @ turn.T, SCALP @ turn.T), field(where, moment, SCALP), atol=1e-9)
    other = field(where @ turn.T, moment @ turn.T, SCALP)
    assert np.abs(other - field(where, moment, SCALP)).max() > 0.01


def test_the_skull_weakens_and_widens_what_lies_below_it():
    under, moment = 0.8 * place("C3")[None], place("C3")[None]
    bare, covered = sphere.one_sphere(under, moment, SCALP)[:, 0], sphere.shells(under, moment, SCALP)[:, 0]
    assert bare.argmax() == covered.argmax() == 8 and covered.max() < bare.max() / 4
    assert (covered / covered.max()).clip(0).sum() > 1.3 * (bare / bare.max()).clip(0).sum()


def test_a_dipole_outside_the_brain_is_refused():
    with pytest.raises(ValueError, match=r"lies 0\.900 head radii from the centre; the innermost shell ends at 0\.87"):
        sphere.shells(np.array([[0, 0, 0.9]]), np.ones((1, 3)), SCALP)
