"""Places of electrodes: the systems' own rule, against MNE's tables, one made by rule and one of a real head."""

from __future__ import annotations

import numpy as np
import pytest

from unveil.data.montages import on_sphere, place, places, proper


def angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Degrees between directions."""
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def test_landmarks():
    np.testing.assert_allclose(place("Cz"), [0, 0, 1], atol=1e-12)
    for name, up in (("Fpz", 18), ("Oz", 18), ("T7", 18), ("T8", 18), ("Fz", 54), ("C3", 54), ("Nz", 0), ("Iz", 0)):
        assert abs(np.degrees(np.arcsin(place(name)[2])) - up) < 1e-6, name
    assert place("Fpz")[1] > 0.9 and place("Oz")[1] < -0.9 and place("C3")[0] < 0 < place("C4")[0]
    for left, right in (("F7", "F8"), ("FFC5h", "FFC6h"), ("PO9", "PO10"), ("A1", "A2"), ("M1", "M2"), ("Fp1", "Fp2"), ("OI1h", "OI2h")):
        np.testing.assert_allclose(place(left) * [-1, 1, 1], place(right), atol=1e-12)


def test_all_are_on_the_sphere_and_apart():
    names = [f"{row}{column}" for row in ("AF", "F", "FC", "C", "CP", "P", "PO") for column in ("z", *range(1, 11))]
    held = places(names)
    np.testing.assert_allclose(np.linalg.norm(held, axis=1), 1, atol=1e-9)
    apart = np.linalg.norm(held[:, None] - held[None], axis=-1) + 9 * np.eye(len(held))
    assert apart.min() > 0.05


def test_old_names_case_and_derivations():
    np.testing.assert_array_equal(place("T3"), place("T7"))
    np.testing.assert_array_equal(place("FP1"), place("Fp1"))
    np.testing.assert_array_equal(place("F3-M2"), place("F3"))
    np.testing.assert_allclose(place("Fp1-F7"), (place("Fp1") + place("F7")) / 2)
    assert proper("FP1") == "Fp1" and proper("cz") == "Cz" and proper("poO9H") == "POO9h" and proper("EKG") == "EKG"


@pytest.mark.parametrize("name", ["", "EKG", "A1-Cz", "Fp1-O2", "SpO2", "X1", "F11", "Fz1", "C0", "-", "Fp1-", "chin", "1", "Fp1 (2)"])
def test_what_is_no_electrode_has_no_place(name):
    assert np.isnan(place(name)).all()


@pytest.mark.parametrize("table, most, mean", [("spherical_1005", 0.01, 0.01), ("spherical_1020", 0.01, 0.01),
                                               ("colin27_1005", 30.0, 16.0)])
def test_as_mne_has_them(table, most, mean):
    """By the rule, to a hundredth of a degree; on one real head, which is no sphere, to 30 degrees and 16 in the mean."""
    mne = pytest.importorskip("mne")
    if table not in mne.channels.get_builtin_montages():
        pytest.skip(f"this MNE has no {table}")
    held = mne.channels.make_standard_montage(table).get_positions()["ch_pos"]
    names = list(held)
    away = angles(on_sphere(np.array([held[name] for name in names])), places(names))
    assert np.isfinite(away).all() and away.max() < most and away.mean() < mean


def test_measured_places_are_brought_to_head_radii():
    names = [f"{row}{column}" for row in ("F", "C", "P", "O") for column in ("z", 1, 2, 3, 4)][:16]
    held = places(names)
    held[3] = np.nan
    back = on_sphere(0.093 * np.nan_to_num(held, nan=np.nan) + [0.001, -0.004, 0.03])
    np.testing.assert_allclose(back, held, atol=1e-9)
    assert np.isnan(on_sphere(np.full((3, 3), np.nan))).all() and np.isnan(on_sphere(np.zeros((3, 3)))).all()
    np.testing.assert_allclose(np.linalg.norm(on_sphere(0.1 * held[:2]), axis=1), 1)
