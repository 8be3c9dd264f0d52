"""Clouds of atoms: what is read and what is set aside, views, corruptions, descriptors and pictures, alone as in a batch."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch

from unveil.contracts import Batch
from unveil.data.atoms import SYMBOLS
from unveil.data.packed import Structure
from unveil.data.records import Records, Unreadable
from unveil.errors import Unusable
from unveil.kinds.atoms import Atoms
from unveil.kinds.atoms.describe import composition, distances, spectrum
from unveil.kinds.atoms.draw import RADII
from unveil.kinds.atoms.view import rotations
from unveil.randomness import Generator
from unveil.recipes.check import find
from unveil.testing.kinds import PLAIN
from unveil.testing.ops import watched
from unveil.tokens import Graph

WATER = np.array([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])
CUBE = 5.64 * np.eye(3)


def cloud(numbers, where, cell=None) -> Structure:
    return Structure(np.asarray(numbers, np.float32).reshape(-1, 1), where=np.asarray(where, np.float64), cell=cell)


def water() -> Structure:
    return cloud([8, 1, 1], WATER)


def salt() -> Structure:
    corner = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    return cloud([11] * 4 + [17] * 4, np.concatenate([corner, corner + np.array([0.5, 0, 0])]) @ CUBE, CUBE)


def records(*clouds, **more) -> Records:
    def load(i: int):
        if isinstance(clouds[i], Exception):
            raise clouds[i]
        return clouds[i]
    return Records([f"cloud {i}" for i in range(len(clouds))], load, **more)


def zoo() -> list[Structure]:
    """Molecules, crystals, a slab, a chain, one atom: as different as they come."""
    random = np.random.default_rng(4)
    made = [water(), salt(), cloud([18], [[9.0, 9, 9]])]
    for size in (2, 7, 15, 40):
        grid = np.argwhere(np.ones((4, 4, 4)))[random.permutation(64)[:size]] * 1.5
        places = grid + random.uniform(-0.3, 0.3, (size, 3))
        numbers = random.choice([1, 1, 6, 7, 8, 16, 17, 29], size)
        made.append(cloud(numbers, places))
        repeats = np.array([[True], [size > 2], [size > 7]])
        made.append(cloud(numbers, places, np.where(repeats, 6.5 * np.eye(3) + random.normal(size=(3, 3)) * 0.2, 0)))
    return made


def opened(clouds=None, **settings):
    kind = Atoms(**settings)
    samples = kind.open(records(*(zoo() if clouds is None else clouds)))
    return kind, samples, samples.batch(torch.arange(len(samples)))


def rows(batch: Batch, number: int) -> torch.Tensor:
    return batch.graph.sample == number


# ---- Reading


BROKEN = {
    "has no atoms": cloud(np.zeros((0, 1)), np.zeros((0, 3))),
    "atom 2 is of no element: its number is 0": cloud([1, 0], [[0.0, 0, 0], [1, 0, 0]]),
    "atom 1 is of no element: its number is 119": cloud([119], [[0.0, 0, 0]]),
    "atom 3 is of no element: its number is nan": cloud([1, 1, np.nan], np.eye(3)),
    "atom 1 is of no element: its number is 6.5": cloud([6.5], [[0.0, 0, 0]]),
    "1 of its 2 atoms stand nowhere; the first is atom 2 at nan, 0, 0": cloud([1, 1], [[0.0, 0, 0], [np.nan, 0, 0]]),
    "2 of its 2 atoms stand nowhere; the first is atom 1 at inf, 0, 0": cloud([1, 1], [[np.inf, 0, 0], [np.nan, 0, 0]]),
    "its atoms 1 and 3 stand at one point": cloud([1, 1, 1], [[0.0, 0, 0], [2, 0, 0], [0.005, 0, 0]]),
    "its atoms 1 and 2 stand at one point": cloud([1, 1], [[0.001, 2, 2], [3.999, 2, 2]], 4 * np.eye(3)),
    "repeats, but its cell has no volume": cloud([1], [[0.0, 0, 0]], np.array([[3.0, 0, 0], [0, 3, 0], [3, 3, 0]])),
    "has a cell that is not three vectors of finite numbers": cloud([1], [[0.0, 0, 0]], np.diag([3.0, 3, np.inf])),
    "has no places, only what hangs together: its kind may be graph": Structure(np.ones((2, 1), np.float32), np.array([[0, 1], [1, 0]])),
    "must have an atomic number and three coordinates an atom, it has 2x4 and 2x3 numbers": Structure(np.ones((2, 4)), where=np.eye(3)[:2]),
    "cannot be read": Unreadable("cannot be read"),
}


@pytest.mark.parametrize("why", BROKEN)
def test_what_is_wrong_is_named_and_set_aside(why):
    samples = Atoms().open(records(water(), BROKEN[why], salt(), labels=np.array(["a", "b", "c"]), targets=np.array([1.0, 2.0, 3.0]),
                                   groups=np.array(["g", "h", "i"]), test=np.array([False, True, True])))
    assert samples.faults == {"cloud 1": why}
    assert len(samples) == 2 and [samples.name(i) for i in range(2)] == ["cloud 0", "cloud 2"]
    assert [samples.classes[k] for k in samples.labels] == ["a", "c"] and samples.targets.tolist() == [1.0, 3.0]
    assert [samples.group_names[g] for g in samples.groups] == ["g", "i"] and samples.test.tolist() == [False, True]


def test_every_fault_is_counted_and_nothing_left_is_an_error():
    samples = Atoms().open(records(*BROKEN.values(), water()))
    assert len(samples) == 1 and sorted(samples.faults.values()) == sorted(BROKEN)
    with pytest.raises(Unusable, match=r"none of the 14 structures can be used\. cloud 0: has no atoms"):
        Atoms().open(records(*BROKEN.values()))
    with pytest.raises(Unusable, match="there are no structures"):
        Atoms().open(records())
    with pytest.raises(Unusable, match="not atoms but arrays of 3x4"):
        Atoms().open(records(np.zeros((3, 4))))


def test_what_is_legal_is_read():
    """Isolated atoms, cells smaller than an atom, atoms outside their cell, slabs and chains."""
    alone, far = cloud([2], [[500.0, 0, 0]]), cloud([1, 1], [[0.0, 0, 0], [900.0, 0, 0]])
    outside = cloud([29], [[70.0, -80, 90]], 2.5 * (1 - np.eye(3)))
    chain = cloud([6], [[1.0, 2, 3]], np.diag([0.0, 1.4, 0]))
    kind, samples, batch = opened([alone, far, outside, chain])
    assert not samples.faults and samples.notes == ["4 elements: H, He, C, Cu; 2 of 4 repeat periodically"]
    assert batch.where[0].tolist() == [0, 0, 0] and batch.where[1:3, 0].tolist() == [-450, 450]
    assert kind.statistics(batch).isfinite().all()


def test_facts_of_the_samples():
    kind, samples, batch = opened([water(), salt()])
    spec = samples.spec()
    assert spec.packed and spec.channels == 1 and spec.axes == ("x", "y", "z") and spec.unit == "angstrom" and spec.shape == ()
    assert samples.notes == ["4 elements: H, O, Na, Cl; 1 of 2 repeats periodically"]
    assert batch.values[:3, 0].tolist() == [8, 1, 1] and torch.allclose(batch.where[:3].mean(0), torch.zeros(3), atol=1e-6)
    assert torch.allclose(batch.graph.cell[1], torch.tensor(CUBE, dtype=torch.float32)) and not batch.graph.cell[0].any()
    assert kind.fixed(samples) == {"mirror": True, "elements": "Na Cl H O"}
    assert find("kind", "atoms") is Atoms


def test_the_elements_that_are_told_apart_can_be_given():
    kind, samples, _ = opened([water()], elements="O H")
    assert kind.fixed(samples)["elements"] == "O H" and kind.apart == [8, 1]
    with pytest.raises(Unusable, match=r"kind\.elements is 'H Q'"):
        Atoms(elements="H Q")


def test_precision_is_kept_far_from_the_origin():
    """An open cloud is brought to the origin before it is rounded to float32."""
    _, _, batch = opened([cloud([8, 1, 1], WATER + 50000.0)])
    assert np.allclose(batch.where.numpy(), WATER - WATER.mean(0), atol=1e-6)


# ---- Alone as in a batch


def test_all_of_a_sample_alone_is_as_in_a_batch():
    kind, _, batch = opened()
    asked = dict(area=(0.3, 0.8), size=0.5, strength=1.0, symmetry=True)
    generator = lambda: Generator("alone")
    view, = kind.view(batch, 1, **asked, generator=generator())
    figures, counts = kind.statistics(batch), kind.flat(batch)
    worse = {name: kind.corrupt(batch, name, 3, generator()) for name in kind.corruptions}
    for number in range(len(batch)):
        one, mine = batch.one(number), rows(batch, number)
        pairs = [(kind.view(one, 1, **asked, generator=generator())[0], view)]
        pairs += [(kind.corrupt(one, name, 3, generator()), worse[name]) for name in kind.corruptions]
        for alone, beside in pairs:
            assert torch.equal(alone.values, beside.values[mine]) and torch.allclose(alone.where, beside.where[mine], atol=1e-5)
            assert (alone.valid is None and beside.valid is None) or torch.equal(alone.valid, beside.valid[mine])
            assert torch.allclose(alone.graph.cell, beside.graph.cell[number:number + 1], atol=1e-6)
        assert torch.allclose(kind.statistics(one)[0], figures[number], rtol=1e-5, atol=1e-5)
        assert torch.equal(kind.flat(one)[0], counts[number])


# ---- Views


def test_views_turn_and_mirror_places_and_cell_together():
    kind, _, batch = opened([water(), salt()] * 50)
    view, = kind.view(batch, 1, **PLAIN | dict(symmetry=True), generator=Generator("turn"))
    share = lambda b: torch.linalg.solve(b.graph.cell[1].T.double(), b.where[rows(b, 1)].T.double())
    assert torch.allclose(share(view), share(batch), atol=1e-5)
    assert torch.allclose(view.graph.cell[1].norm(dim=1), batch.graph.cell[1].norm(dim=1), atol=1e-5)
    turn = torch.linalg.lstsq(batch.graph.cell[1::2].double(), view.graph.cell[1::2].double()).solution
    assert torch.allclose(turn @ turn.mT, torch.eye(3, dtype=torch.float64).expand_as(turn), atol=1e-5)
    mirrored = (torch.linalg.det(turn) < 0).double().mean()
    assert 0.3 < mirrored < 0.7
    same, = Atoms(mirror=False).view(batch, 1, **PLAIN | dict(symmetry=True), generator=Generator("turn"))
    turn = torch.linalg.lstsq(batch.graph.cell[1::2].double(), same.graph.cell[1::2].double()).solution
    assert (torch.linalg.det(turn) > 0).all()


def test_rotations_go_everywhere_alike():
    turn = rotations(Generator("rotations").normal(20000, 4)).double()
    assert torch.allclose(torch.linalg.det(turn), torch.ones(20000, dtype=torch.float64), atol=1e-5)
    assert turn.mean(0).abs().max() < 0.02  # of uniform ones each component has mean 0 and square 1/3
    assert (turn.square().mean(0) - 1 / 3).abs().max() < 0.02


def test_strength_shakes_by_its_deviation():
    kind, _, batch = opened([salt()] * 200)
    view, = kind.view(batch, 1, **PLAIN | dict(strength=0.5), generator=Generator("shake"))
    assert abs(float((view.where - batch.where).std()) - 0.02) < 0.001 and torch.equal(view.values, batch.values)


def test_area_keeps_the_atoms_nearest_to_one():
    random = np.random.default_rng(0)
    kind, _, batch = opened([cloud([6] * 30, random.normal(size=(30, 3)) * 3)] * 40)
    view, = kind.view(batch, 1, **PLAIN | dict(area=(0.3, 0.6)), generator=Generator("area"))
    for number in range(40):
        valid, places = view.valid[rows(view, number)], view.where[rows(view, number)]
        assert 9 <= int(valid.sum()) <= 18
        reach = [(places - places[i]).norm(dim=1) for i in torch.nonzero(valid)[:, 0]]
        assert any(away[valid].max() < away[~valid].min() for away in reach), "no atom has the others nearest to it"
    assert not view.values[~view.valid].any() and (view.values[view.valid] == 6).all()
    again, = kind.view(view, 1, **PLAIN | dict(area=(0.5, 0.5)), generator=Generator("again"))
    assert (again.valid <= view.valid).all()


def test_area_sees_through_the_walls_of_a_cell():
    line = np.arange(10)[:, None] * np.array([[1.0, 0, 0]])
    kind, _, batch = opened([cloud([6] * 10, line, np.diag([10.0, 9, 9]))] * 60)
    view, = kind.view(batch, 1, **PLAIN | dict(area=(0.5, 0.5)), generator=Generator("wall"))
    kept = view.valid.view(60, 10)
    joined = kept.float() - kept.roll(1, 1).float()
    assert (joined == 1).sum(1).eq(1).all() and kept.sum(1).eq(5).all(), "five neighbours on a ring"
    assert (kept[:, 0] & kept[:, 9]).any()


def test_views_and_corruptions_of_cells_do_not_wait():
    kind, _, batch = opened()
    asked = dict(area=(0.3, 0.8), size=0.5, strength=1.0, symmetry=True)
    for work in (lambda: kind.view(batch, 2, **asked, generator=Generator("w")),
                 *(lambda name=name: kind.corrupt(batch, name, 3, Generator("w")) for name in kind.corruptions)):
        assert watched(work)[1] == []


# ---- Corruptions


def test_hydrogens_go_first_and_only_they():
    kind, _, batch = opened([water(), cloud([1, 1], [[0.0, 0, 0], [0.74, 0, 0]]), salt()])
    gone = kind.corrupt(batch, "hydrogens", 5, Generator("h"))
    assert gone.valid.tolist() == [True, False, False, True, True] + [True] * 8
    assert gone.values[:, 0].tolist()[:3] == [8, 0, 0]
    assert kind.corrupt(batch, "hydrogens", 1, Generator("h")).valid[:3].sum() == 2


def test_vacancies_leave_something():
    kind, _, batch = opened()
    for severity in range(1, 6):
        valid = kind.corrupt(batch, "vacancies", severity, Generator("v")).valid
        left = torch.zeros(len(batch)).index_add_(0, batch.graph.sample, valid.float())
        whole = torch.bincount(batch.graph.sample)
        assert (left > 0).all() and ((left < whole) | (whole == 1)).all()


def test_wrong_elements_are_neighbours_in_the_table():
    kind, _, batch = opened([cloud([1, 118, 6, 7] * 3, np.arange(36).reshape(12, 3))])
    changed = kind.corrupt(batch, "elements", 5, Generator("e"))
    step = (changed.values - batch.values)[:, 0]
    assert set(step.tolist()) <= {-1.0, 0.0, 1.0} and int(step.abs().sum()) == 6
    assert changed.values.min() >= 1 and changed.values.max() <= len(SYMBOLS)


def test_strain_stretches_cell_and_atoms_alike():
    kind, _, batch = opened([salt()])
    strained = kind.corrupt(batch, "strain", 4, Generator("s"))
    share = lambda b: torch.linalg.solve(b.graph.cell[0].T.double(), b.where.T.double())
    assert torch.allclose(share(strained), share(batch), atol=1e-5) and not torch.allclose(strained.graph.cell, batch.graph.cell, atol=0.05)


def test_a_shifted_half_moves_as_one():
    kind, _, batch = opened([cloud([6] * 20, np.random.default_rng(0).normal(size=(20, 3)) * 4)])
    moved = kind.corrupt(batch, "shift", 4, Generator("s")).where - batch.where
    length = moved.norm(dim=1)
    assert int((length > 0).sum()) == 10 and torch.allclose(length[length > 0], torch.tensor(1.5), atol=1e-5)


# ---- Descriptors


def test_descriptors_do_not_see_motion_and_order():
    kind, _, batch = opened()
    turned, = kind.view(batch, 1, **PLAIN | dict(symmetry=True), generator=Generator("motion"))
    turned.where = turned.where + torch.randn(len(batch), 3, generator=torch.Generator().manual_seed(0))[batch.graph.sample]
    order = torch.cat([torch.nonzero(rows(batch, i))[:, 0].flip(0) for i in range(len(batch))])
    other = Batch(turned.values[order], batch.ids, batch.keys, graph=turned.graph, where=turned.where[order])
    figures = kind.statistics(batch)
    assert torch.allclose(figures, kind.statistics(other), rtol=1e-3, atol=2e-3)
    assert figures.std(0).gt(0).sum() > 60 and torch.equal(kind.flat(batch), kind.flat(other))


def test_descriptors_see_geometry():
    kind, _, batch = opened([water()])
    stretched = Batch(batch.values, batch.ids, batch.keys, graph=batch.graph, where=batch.where * 1.1)
    assert (kind.statistics(batch) - kind.statistics(stretched)).abs().max() > 0.1
    assert torch.equal(kind.flat(batch), kind.flat(stretched))


def test_the_coulomb_spectrum_is_that_of_its_matrix():
    _, _, batch = opened([water(), cloud([6, 8], [[0.0, 0, 0], [1.13, 0, 0]])])
    charge, place = np.array([8.0, 1, 1]), WATER / 0.529177210903
    apart = np.linalg.norm(place[:, None] - place, axis=-1)
    with np.errstate(divide="ignore"):
        matrix = np.where(np.eye(3) > 0, 0.5 * charge**2.4, np.outer(charge, charge) / apart)
    want = np.linalg.eigvalsh(matrix)
    found = spectrum(batch)
    assert np.allclose(found[0, :3], want[np.argsort(-np.abs(want))], rtol=1e-4) and not found[0, 3:].any()
    assert found.shape == (2, 32) and not found[1, 2:].any()


def test_a_larger_cell_of_the_same_crystal_reads_the_same():
    pytest.importorskip("ase")
    from ase.build import bulk
    one = bulk("NaCl", "rocksalt", a=5.64)
    kind, _, batch = opened([cloud(a.numbers, a.positions, a.cell.array) for a in (one, one * 2)])
    first, second = kind.statistics(batch)
    assert torch.allclose(first, second, rtol=1e-3, atol=1e-4) and first[:4].isfinite().all() and first.abs().sum() > 10


def test_counts_are_counts():
    _, _, batch = opened([water(), salt()])
    counts = composition(batch)
    assert counts.shape == (2, 118) and counts[0, 0] == 2 and counts[0, 7] == 1 and counts[0].sum() == 3 and counts[1, 10] == 4
    histogram = distances(batch, [1, 8]).view(2, -1, 16)
    assert histogram[0, 0].sum() > 0 and histogram[0, 1].sum() > histogram[0, 0].sum() and not histogram[0, 2:].any()


def test_atoms_that_were_taken_away_are_not_described():
    kind, _, batch = opened([salt(), water()])
    batch.valid = batch.values[:, 0] != 1
    batch.values = batch.values * batch.valid[:, None]
    bare, _, lone = opened([salt(), cloud([8], [[0.0, 0, 0]])])
    bare.apart = kind.apart
    assert torch.allclose(kind.statistics(batch), bare.statistics(lone), atol=1e-5) and torch.equal(kind.flat(batch), bare.flat(lone))


# ---- Pictures


def test_pictures_are_small_and_show_all_atoms():
    kind, _, batch = opened()
    for number in range(len(batch)):
        drawn = ET.fromstring(kind.draw(batch.one(number)))
        left, top, width, height = map(float, drawn.get("viewBox").split())
        balls = [x for x in drawn.iter("circle") if x.find("title") is not None]
        assert width <= 200 and height <= 200 and len(balls) == int(rows(batch, number).sum())
        for ball in balls:
            x, y, r = (float(ball.get(name)) for name in ("cx", "cy", "r"))
            assert left <= x - r and x + r <= width and top <= y - r and y + r <= height
        cell = batch.graph.cell[number]
        assert len(drawn.findall("path[@class='cell']")) == [0, 1, 4, 12][int(cell.any(1).sum())]


def test_pictures_bond_what_is_bonded_and_hide_what_is_gone():
    kind, _, batch = opened([water()])
    one = batch.one(0)
    drawn = ET.fromstring(kind.draw(one))
    assert len(drawn.findall("path[@class='bond']")) == 2
    assert [ball.find("title").text for ball in drawn.iter("circle") if ball.find("title") is not None].count("H") == 2
    one.valid = torch.tensor([True, False, True])
    one.values = one.values * one.valid[:, None]
    drawn = ET.fromstring(kind.draw(one))
    assert len(drawn.findall("path[@class='bond']")) == 1 and len(drawn.findall("circle[@class='gone']")) == 1


def test_a_picture_of_very_many_atoms_stays_small():
    grid = np.argwhere(np.ones((20, 20, 20))) * 2.0
    kind, _, batch = opened([cloud([29] * 8000, grid)])
    drawn = kind.draw(batch.one(0))
    assert len(drawn) < 60000 and "120 of 8000 atoms" in drawn


def test_radii_are_those_of_the_table():
    pytest.importorskip("ase")
    from ase.data import covalent_radii
    assert len(RADII) == len(SYMBOLS) and np.allclose(RADII[:96], covalent_radii[1:97], atol=0.015)


# ---- Planted


def test_planted_classes_are_shapes_and_not_compositions():
    kind = Atoms()
    samples = kind.planted(400, Generator("planted"))
    batch = samples.batch(torch.arange(400))
    assert samples.sizes.min() == 6 and samples.sizes.max() == 10
    label, counts = torch.as_tensor(samples.labels), kind.flat(batch)
    means = torch.stack([counts[label == k].mean(0) for k in range(4)])
    assert (means[:, :20] - means.mean(0)[:20]).abs().max() < 0.35, "strangers are drawn alike for all classes"
    first = torch.stack([batch.where[batch.graph.sample == i][:6] for i in range(400)])
    apart = (first[:, :, None] - first[:, None]).norm(dim=-1).flatten(1)
    centre = torch.stack([apart[label == k].mean(0) for k in range(4)])
    assert (torch.cdist(apart, centre).argmin(1) == label).double().mean() > 0.99, "distances within the shape tell the class"
    gap = (batch.where[:, None] - batch.where).norm(dim=-1)
    gap = gap + 9 * (batch.graph.sample[:, None] != batch.graph.sample) + 9 * torch.eye(len(gap))
    assert gap.min() > 0.8


def test_graphs_of_other_sources_keep_their_cells_when_joined():
    _, _, batch = opened([salt(), water()])
    joined = Graph.cat([batch.one(0).graph, batch.one(1).graph])
    assert torch.equal(joined.cell, batch.graph.cell)
