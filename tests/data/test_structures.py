"""Atoms in space out of every format: equal to what ASE reads, and every fault named where it stands."""

import json
import sqlite3
import struct

import numpy as np
import pytest

from unveil.data import ase_files, atoms
from unveil.data.frames import UNSAID
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.readers import structures
from unveil.data.records import Unreadable
from unveil.errors import Unusable


def opened(path, **options):
    kind, records = open_records(path, Options(**options))
    assert kind == "atoms" and records.layout == "atoms"
    return records


def reason(records, i):
    with pytest.raises(Unreadable) as why:
        records.load(i)
    return str(why.value)


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def made():
    """A molecule, a crystal, a slab that is open along one axis, and a skew cell."""
    from ase import Atoms
    from ase.build import bulk, fcc111, molecule
    skew = Atoms("NaCl", scaled_positions=[[0.1, 0.2, 0.3], [0.6, 0.6, 0.7]], cell=[4, 5, 6, 80, 95, 110], pbc=True)
    return [molecule("CH3CH2OH"), bulk("NaCl", "rocksalt", 5.64, cubic=True), fcc111("Cu", (2, 2, 2), vacuum=5), skew]


def equal(held, want, digits=4):
    np.testing.assert_array_equal(held.values[:, 0], want.numbers)
    np.testing.assert_allclose(held.where, want.positions, atol=10**-digits)
    assert held.values.dtype == held.where.dtype == np.float32 and held.edges is None
    if want.pbc.any():
        np.testing.assert_allclose(held.cell, np.asarray(want.cell) * want.pbc[:, None], atol=10**-digits)
    else:
        assert held.cell is None


@pytest.mark.parametrize("ending", ["xyz", "extxyz", "db", "traj"])
def test_many_frames_as_ase_writes_them(tmp_path, ending):
    pytest.importorskip("ase")
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write as ase_write
    systems = made()
    for number, system in enumerate(systems):
        forces = np.random.default_rng(number).normal(size=(len(system), 3))
        system.calc = SinglePointCalculator(system, energy=-1.5 * number, forces=forces)
    ase_write(tmp_path / f"a.{ending}", systems, format={"xyz": "extxyz"}.get(ending, ending))
    records = opened(tmp_path / f"a.{ending}", targets="energy")
    assert len(records) == 4 and records.groups is None and list(records.targets) == [0, -1.5, -3, -4.5]
    for i, system in enumerate(systems):
        equal(records.load(i), system)
        np.testing.assert_allclose(records.load(i).forces, system.get_forces(), atol=1e-7)
    assert records.extensive and not opened(tmp_path / f"a.{ending}").extensive
    if ending in ("db", "traj"):
        assert records.target == "energy (eV)" and not records.notes
    else:
        assert records.target is None and records.notes == [UNSAID, "energy is in the unit of the file, which does not say it"]
    assert "energy" in opened(tmp_path / f"a.{ending}").notes[-1]


def test_cif_and_pdb_as_ase_writes_them(tmp_path):
    pytest.importorskip("ase")
    from ase.io import read as ase_read
    from ase.io import write as ase_write
    molecule, salt, _, skew = made()
    ase_write(tmp_path / "two.cif", [salt, skew])
    both = opened(tmp_path / "two.cif")
    assert len(both) == 2 and both.names[1].endswith("two.cif block 2")
    for i, want in enumerate(ase_read(tmp_path / "two.cif", ":")):
        equal(both.load(i), want)
    for name, system in (("a", molecule), ("b", salt), ("c", skew)):
        ase_write(tmp_path / f"{name}.pdb", [system, system])
        held = opened(tmp_path / f"{name}.pdb")
        assert len(held) == 2 and held.names[0].endswith(f"{name}.pdb model 1")
        equal(held.load(1), ase_read(tmp_path / f"{name}.pdb", 0), digits=3)


def test_symmetry_of_a_cif_is_applied(tmp_path):
    pytest.importorskip("ase")
    held = opened(write(tmp_path / "a.cif", CIF.format(occupancy=1.0))).load(0)
    assert sorted(held.values[:, 0].tolist()) == [11] * 4 + [17] * 4 and held.cell[0, 0] == pytest.approx(5.64)
    assert reason(opened(write(tmp_path / "b.cif", CIF.format(occupancy=0.5))), 0) == "has sites that are only partly occupied"
    unknown = CIF.format(occupancy=1.0).replace("Na Na", "Xx Xx")
    assert reason(opened(write(tmp_path / "c.cif", unknown)), 0) == "is no CIF that can be read: 'Xx' is missing or no element"


CIF = """data_salt
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na Na 0 0 0 1.0
Cl Cl 0.5 0.5 0.5 {occupancy}
"""
QM9 = ("3\ngdb 3\t799.58812\t437.90386\t282.94545\t1.8511\t6.31\t-0.2928\t0.0687\t0.3615\t19.0002\t0.021375\t-76.404702\t-76.401867\t"
       "-76.400922\t-76.422349\t6.002\t\nO\t-0.0343604951\t 0.9775395708\t 7.6015923*^-3\t-0.589706\n"
       "H\t 0.0647664923\t 0.0205721989\t 0.0015346341\t 0.294853\nH\t 0.8717903737\t 1.3007924048\t 0.0006931336\t 0.294853\n"
       "1671.4\t3803.6\t3907.1\nO\tO\nInChI=1S/H2O/h1H2\tInChI=1S/H2O/h1H2\n")


def test_qm9_as_it_comes(tmp_path):
    for number in (1, 2):
        write(tmp_path / f"dsgdb9nsd_{number:06d}.xyz", QM9)
    records = opened(tmp_path, targets="homo")
    assert len(records) == 2 and list(records.targets) == [-0.2928] * 2 and records.target == "homo (Ha)" and records.groups is None
    np.testing.assert_allclose(records.load(1).where[0], [-0.0343604951, 0.9775395708, 0.0076015923], rtol=1e-6)
    assert list(opened(tmp_path, targets="U0").targets) == [-76.404702] * 2 and records.load(0).values.tolist() == [[8], [1], [1]]
    write(tmp_path / "b" / "all.xyz", QM9 * 3)
    assert len(opened(tmp_path / "b" / "all.xyz")) == 3


def test_alex_mp_20_as_it_comes(tmp_path):
    pytest.importorskip("ase")
    for part, count in (("train", 2), ("val", 1), ("test", 1)):
        cell = CIF.format(occupancy=1.0).replace('"', '""')
        write(tmp_path / f"{part}.csv", "material_id,energy_above_hull,cif\n" + f'agm1,0.05,"{cell}"\n' * count)
    records = opened(tmp_path, targets="energy_above_hull")
    assert len(records) == 4 and list(records.targets) == [0.05] * 4 and list(records.test) == [True, False, False, False]
    assert len(records.load(3)) == 8 and records.names[2].endswith("train.csv line 39")
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow
    parquet.write_table(pyarrow.table({"cif": [CIF.format(occupancy=1.0), ""], "gap": [1.0, 2.0]}), tmp_path / "p.parquet")
    held = opened(tmp_path / "p.parquet", targets="gap")
    assert len(held.load(0)) == 8 and reason(held, 1) == "is empty: there is no CIF"


def test_facts_of_a_frame(tmp_path):
    file = write(tmp_path / "a.xyz", '1\nenergy=-1.5e0 name="a b" label=x dipole="0 0 1" Properties=pos:R:3:species:S:1\n0 0 1 He\n'
                                     '1\nenergy=-2 label=y pbc="F F F" Lattice="1 0 0 0 1 0 0 0 1" Properties=Z:I:1:pos:R:3\n2 0 0 2\n')
    records = opened(file, targets="energy", groups="name")
    assert list(records.targets) == [-1.5, -2] and list(records.labels) == ["x", "y"] and list(records.groups) == ["a b", ""]
    assert records.names == [f"{file} line 1", f"{file} line 4"]
    assert records.load(0).where.tolist() == [[0, 0, 1]] and records.load(1).where.tolist() == [[0, 0, 2]] and records.load(1).cell is None
    assert opened(file).notes == ["beside the atoms stand energy, name, label, dipole: choose numbers to predict with --targets"]
    with pytest.raises(Unusable, match=r"has no column 'energi'; did you mean 'energy'"):
        opened(file, targets="energi")
    with pytest.raises(Unusable, match=r"has no column 'person'; its columns are energy, "):
        opened(file, groups="person")


def test_forces_by_any_name_and_damaged_ones(tmp_path):
    form = "1\nProperties=pos:R:3:species:S:1:{name}:R:{width} energy=1\n0 0 1 He {held}\n"
    cases = [("force", 3, "1 -2 3e-1", [[1, -2, 0.3]]), ("Forces", 3, "1 2 3 4", [[1, 2, 3]]), ("forces", 3, "1 two 3", [[1, np.nan, 3]]),
             ("forces", 3, "1", [[1, np.nan, np.nan]]), ("forces", 2, "1 2", [[1, 2]]), ("velo", 3, "1 2 3", None)]
    records = opened(write(tmp_path / "a.xyz", "".join(form.format(name=name, width=width, held=held) for name, width, held, _ in cases)))
    for i, (*_, want) in enumerate(cases):
        held = records.load(i)
        assert held.where.tolist() == [[0, 0, 1]], "a frame is not lost for its labels"
        assert held.forces is None if want is None else np.array_equal(held.forces, want, equal_nan=True)
    assert records.notes[0] == UNSAID and UNSAID not in opened(write(tmp_path / "b.xyz", "1\n\nHe 0 0 0\n")).notes


def test_forces_that_a_data_base_or_a_trajectory_lies_about(tmp_path):
    he = np.array([2], "<i4").tobytes(), bytes(24), b""
    held = sqlite3.connect(tmp_path / "a.db")
    held.execute(database.__defaults__[0].replace("pbc INTEGER,", "pbc INTEGER, forces BLOB,"))
    for forces in (np.array([1.0, 2, 3]).tobytes(), b"odd bytes", None, "text"):
        held.execute("INSERT INTO systems (numbers, positions, cell, pbc, forces) VALUES (?, ?, ?, 0, ?)", (*he, forces))
    held.commit()
    held.close()
    records = opened(tmp_path / "a.db")
    assert records.load(0).forces.tolist() == [[1, 2, 3]] and records.load(2).forces is None
    assert [records.load(i).forces.shape for i in (1, 3)] == [(1,), (0, 3)] and records.load(3).values.tolist() == [[2]]
    frame = {"numbers.": [2], "positions.": [[0, 0, 0]]}
    said = [{"forces": [[1, 2, 3]]}, {"forces.": {"ndarray": [[10**15, 3], "float64", 0]}}, {"forces.": "x"}, {}, "none"]
    (tmp_path / "a.traj").write_bytes(ulm([frame | {"calculator.": each} for each in said]))
    records = opened(tmp_path / "a.traj")
    assert records.load(0).forces.tolist() == [[1, 2, 3]] and [records.load(i).forces.shape for i in (1, 2)] == [(0,), (0,)]
    assert [records.load(i).forces for i in (3, 4)] == [None, None]


def test_frames_of_one_simulation_stay_together(tmp_path):
    frame = "1\n\nHe 0 0 0\n"
    write(tmp_path / "hot" / "a.xyz", frame * 3)
    write(tmp_path / "cold" / "b.xyz", frame * 2)
    records = opened(tmp_path, labels="folders")
    assert len(set(records.groups)) == 2 and list(records.labels) == ["cold"] * 2 + ["hot"] * 3
    assert records.notes == ["groups are files: frames of one are alike"]


@pytest.mark.parametrize("content, words", [
    ("2\n\nHe 0 0 0\n", "promises 2 atoms, 1 follow: it is cut short"),
    ("2\n\nHe 0 0 0\nHe 0 0\n", "line 7 has 3 values; an atom has an element and three coordinates"),
    ("1\n\nXx 0 0 0\n", "line 6: 'Xx' is no element"), ("1\n\n119 0 0 0\n", "line 6: '119' is no element"),
    ("1\n\nHe 0 zero 0\n", "line 6: 'zero' is no number"), ("0\n\n", "has no atoms"),
    ('1\nLattice="1 0 0"\nHe 0 0 0\n', "line 5: its Lattice has 3 numbers; there must be 9"),
    ('1\nLattice="1 0 0 0 x 0 0 0 1"\nHe 0 0 0\n', "line 5: 'x' is no number"),
    ('1\nLattice="0 0 0 0 1 0 0 0 1"\nHe 0 0 0\n', "repeats along a vector of its cell that has no length"),
    ('1\nLattice="1 0 0 2 0 0 0 0 1"\nHe 0 0 0\n', "repeats, but its cell has no volume"),
    ('1\nLattice="1 0 0 0 nan 0 0 0 1"\nHe 0 0 0\n', "repeats along a vector of its cell that has no length"),
    ('1\nLattice="1 0 0 0 1 0 0 0 1" pbc="T T"\nHe 0 0 0\n', "line 5: its pbc has 2 words; there must be 3"),
    ("1\nProperties=pos:R:3\n0 0 0\n", "its Properties name no species or no pos"),
    ("9999999999999\n\nHe 0 0 0\n", "promises 9,999,999,999,999 atoms, 1 follow: it is cut short"),
])
def test_a_frame_that_is_wrong_is_set_aside_alone(tmp_path, content, words):
    records = opened(write(tmp_path / "a.xyz", "1\n\nHe 0 0 0\n" + content))
    assert len(records) == 2 and len(records.load(0)) == 1 and reason(records, 1) == words


def test_what_follows_a_broken_line_is_one_fault(tmp_path):
    records = opened(write(tmp_path / "a.xyz", "1\n\nHe 0 0 0\nwhat\n1\n\nHe 0 0 0\n"))
    assert len(records) == 2 and reason(records, 1) == "line 4: 'what' is no number of atoms"


def test_coordinates_that_are_no_numbers_are_left_to_the_kind(tmp_path):
    assert np.isnan(opened(write(tmp_path / "a.xyz", "1\n\nHe nan 0 0\n")).load(0).where[0, 0])


def test_open_axes_have_no_vector(tmp_path):
    held = opened(write(tmp_path / "a.xyz", '1\nLattice="3 0 0 0 4 0 0 0 0" pbc="T T F"\nHe 0 0 0\n')).load(0)
    assert held.cell.tolist() == [[3, 0, 0], [0, 4, 0], [0, 0, 0]]


PDB = ("CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\n"
       "ATOM      1  CA AALA A   1      11.104   6.134  -6.504  1.00  0.00           C  \n"
       "ATOM      2  CA BALA A   1      12.104   6.134  -6.504  1.00  0.00           C  \n"
       "HETATM    3 CA    CA A   2      10.000   0.000   0.000  1.00  0.00\n"
       "ATOM      4  HB2 ALA A   1       1.104   6.134  -6.504  1.00  0.00\nEND\n")


def test_pdb(tmp_path):
    held = opened(write(tmp_path / "a.pdb", PDB)).load(0)
    assert held.values[:, 0].tolist() == [6, 20, 1] and held.cell is None
    assert held.where[0].tolist() == pytest.approx([11.104, 6.134, -6.504])
    assert reason(opened(write(tmp_path / "b.pdb", PDB.replace("11.104", "1x.104"))), 0) == "line 2: '1x.104' is no number"
    assert reason(opened(write(tmp_path / "c.pdb", PDB.replace("           C  \nATOM      2", "           Q  \nATOM      2"))), 0) \
        == "line 2: 'Q' is no element"
    assert reason(opened(write(tmp_path / "d.pdb", "REMARK nothing\n")), 0) == "has no atoms"
    bad = PDB.replace("1.000    1.000    1.000  90.00  90.00  90.00", "5.000    5.000    5.000  10.00  90.00 170.00")
    assert reason(opened(write(tmp_path / "e.pdb", bad)), 0) == "has a cell whose angles no cell has"


def test_cells_are_those_of_ase():
    geometry = pytest.importorskip("ase.geometry")
    rng = np.random.default_rng(0)
    for _ in range(20):
        lengths, angles = rng.uniform(3, 9, 3), rng.uniform(70, 110, 3)
        np.testing.assert_allclose(atoms.cell_of(lengths, angles), geometry.cellpar_to_cell([*lengths, *angles]), atol=1e-9)
    assert atoms.SYMBOLS[0] == "H" and len(atoms.SYMBOLS) == 118 and [atoms.element(w) for w in ("C", "c", "CL", "Fe3+", "H1", "D", "26")] \
        == [6, 6, 17, 26, 1, 1, 26]


def database(file, table="CREATE TABLE systems (id INTEGER PRIMARY KEY, numbers BLOB, positions BLOB, cell BLOB, pbc INTEGER, "
                         "energy REAL, free_energy REAL, key_value_pairs TEXT)", *rows):
    held = sqlite3.connect(file)
    held.execute(table)
    for row in rows:
        held.execute("INSERT INTO systems VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    held.commit()
    held.close()
    return file


def test_data_bases_that_are_damaged(tmp_path):
    table = database.__defaults__[0]
    he = (np.array([2], "<i4").tobytes(), np.zeros(3, "<f8").tobytes(), b"")
    file = database(tmp_path / "a.db", table, (1, *he, 0, -1.0, None, '{"gap": 2.5, "name": "x"}'), (2, b"abc", *he[1:], 0, None, None, ""),
                    (3, *he[:2], b"", 7, None, None, "{}"), (4, None, None, None, None, None, None, None))
    before = file.read_bytes()
    records = opened(file, targets="gap")
    assert len(records.load(0)) == 1 and records.targets[0] == 2.5 and np.isnan(records.targets[1:]).all()
    assert reason(records, 1) == "is damaged: its atoms cannot be read"
    assert reason(records, 2) == "repeats along a vector of its cell that has no length" and reason(records, 3) == "has no atoms"
    assert file.read_bytes() == before and [f.name for f in tmp_path.iterdir()] == ["a.db"]
    view = database(tmp_path / "b.db", "CREATE VIEW systems AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
                                       "SELECT x AS id, 0 AS energy, 0 AS free_energy, '' AS key_value_pairs FROM n")
    with pytest.raises(Unusable, match="is no data base of ASE: it has no table systems"):
        opened(view)
    (tmp_path / "c.db").write_bytes(before[:2000])
    with pytest.raises(Unusable, match="is no data base of ASE"):
        opened(tmp_path / "c.db")
    (tmp_path / "Thumbs.db").write_bytes(b"something else")
    assert structures.detect(tmp_path / "Thumbs.db") is None


def ulm(frames, count=None):
    out = bytearray(b"- of UlmASE-Trajectory  " + struct.pack("<4q", 1, len(frames) if count is None else count, 0, 0))
    offsets = []
    for frame in frames:
        offsets.append(len(out))
        text = json.dumps(frame).encode()
        out += struct.pack("<q", len(text)) + text
    out[40:48] = struct.pack("<q", len(out))
    return bytes(out[:40] + out[40:48] + out[48:]) + struct.pack(f"<{len(offsets)}q", *offsets)


def test_trajectories_that_lie(tmp_path):
    lies = [{"numbers.": {"ndarray": [[10**15], "int64", 0]}, "positions.": [[0, 0, 0]]},
            {"numbers.": {"ndarray": [[1], "object", 0]}, "positions.": [[0, 0, 0]]},
            {"numbers.": {"__ase_objtype__": "atoms"}, "positions.": [[0, 0, 0]]}, {"numbers.": [2], "positions.": [[0, 0, 0]]}, {}]
    (tmp_path / "a.traj").write_bytes(ulm(lies))
    records = opened(tmp_path / "a.traj")
    assert [reason(records, i) for i in range(3)] == ["is a frame whose arrays cannot be read"] * 3
    assert records.load(3).values.tolist() == [[2]]
    for content, words in ((b"junk" * 30, "is no trajectory of ASE"), (ulm(lies, 10**12), "is a trajectory that is cut short"),
                           (ulm([]), "has no frames")):
        (tmp_path / "b.traj").write_bytes(content)
        with pytest.raises(Unusable, match=words):
            opened(tmp_path / "b.traj")
    assert ase_files.EV["energy"] == "eV"


def test_a_folder_where_one_file_is_broken(tmp_path):
    write(tmp_path / "a.xyz", "1\n\nHe 0 0 0\n")
    write(tmp_path / "b.cif", "nothing")
    write(tmp_path / "c.xyz", "")
    records = opened(tmp_path)
    assert len(records) == 3 and len(records.load(0)) == 1
    assert reason(records, 1) == "has no line that begins with data_: it is no CIF" and reason(records, 2) == "is empty"
    write(tmp_path / "a.xyz", "1\n\nNe 0 0 0\n ")
    assert reason(records, 0) == "its file was replaced while it was in use"
