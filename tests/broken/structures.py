"""Broken files of atoms."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import tempfile
from pathlib import Path
from random import Random

from broken.damage import damaged
from broken.words import CELLS, TEXT, odd_json


def xyz(rng: Random) -> bytes:
    """Frames, plain, extended or as QM9 comes."""
    extended = 'Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:forces:R:3 pbc="T T F" energy=-1'
    comment = rng.choice(("", "energy=-1.5 label=a", extended, "gdb 1\t1.0\t2.0*^-3\t3"))
    frame = f"2\n{comment}\nHe 0.0 0.0 {rng.random():.4f} 0 0 1\n" + "C 1.0 2.0*^-1 2 0 0 1\n"
    return (frame + "1.0\t2.0\nO\nInChI\n" * comment.startswith("gdb")).encode() * rng.choice((1, 3))


def pdb(rng: Random) -> bytes:
    atom = "ATOM  {:5d}  CA  ALA A   1    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00           C  \n"
    model = "".join(atom.format(i, rng.gauss(0, 9), rng.gauss(0, 9), i) for i in range(4))
    crystal = rng.choice(("", "CRYST1   14.000   15.000   16.000  90.00  80.00 100.00 P 1           1\n"))
    return (crystal + f"MODEL        1\n{model}ENDMDL\n" * rng.choice((1, 2)) + "END\n").encode()


def cif(rng: Random) -> bytes:
    cell = "".join(f"_cell_length_{axis} 5.6\n_cell_angle_{angle} 90\n" for axis, angle in zip("abc", ("alpha", "beta", "gamma")))
    group = rng.choice(("_symmetry_space_group_name_H-M 'F m -3 m'\n", "_symmetry_Int_Tables_number 225\n",
                        "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'-x, -y, -z'\n"))
    names = "".join(f"_atom_site_{name}\n" for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"))
    return f"data_a\n{cell}{group}loop_\n{names}Na1 Na 0 0 0 1.0\nCl1 Cl 0.5 0.5 0.5 1.0\n".encode() * rng.choice((1, 2))


def database(rng: Random) -> bytes:
    """An ASE data base, with facts of any sort."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.db"
        held = sqlite3.connect(file)
        held.execute("CREATE TABLE systems (id INTEGER PRIMARY KEY, numbers BLOB, positions BLOB, cell BLOB, pbc INTEGER, energy REAL, "
                     "free_energy REAL, key_value_pairs TEXT)")
        for number in range(4):
            blob = lambda form, *values: struct.pack(f"<{len(values)}{form}", *values)
            row = [blob("i", 2, 6), blob("d", *range(6)), blob("d", 4, 0, 0, 0, 4, 0, 0, 0, 4), 7, -1.0, None, json.dumps({"gap": number})]
            if rng.random() < 0.4:
                odd = odd_json({"gap": 1}, rng).encode("utf-8", "replace").decode()
                row[rng.randrange(7)] = rng.choice((None, b"", b"\xff" * 7, -1, 10**18, "text", b"\xff" * 48, odd))
            held.execute("INSERT INTO systems VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (number + 1, *row))
        held.commit()
        held.close()
        return file.read_bytes()


def trajectory(rng: Random) -> bytes:
    """A trajectory whose JSON may say anything of where its arrays lie."""
    out, offsets = io.BytesIO(), []
    out.write(b"- of UlmASE-Trajectory  " + struct.pack("<3q", 1, 0, 0))
    out.write(struct.pack("<2i6d", 2, 6, *range(6)))
    for _ in range(3):
        array = lambda shape, form, offset: {"ndarray": [shape, form, offset]}
        frame = {"version": 1, "pbc": [True, True, True], "cell": [[4, 0, 0], [0, 4, 0], [0, 0, 4]], "numbers.": array([2], "int32", 48),
                 "positions.": array([2, 3], "float64", 56), "calculator.": {"name": "x", "energy": -1.0}}
        if rng.random() < 0.5:
            frame[rng.choice(sorted(frame))] = rng.choice((
                None, [], "x", array([10**12], "float64", 0), array([-1, -2], "int64", 0), array([2], "object", 0), array("x", 1, {}),
                array([2], "float64", -5), 10**400, [[1]]))
        text = (odd_json(frame, rng) if rng.random() < 0.2 else json.dumps(frame)).encode("utf-8", "replace")
        offsets.append(out.tell())
        out.write(struct.pack("<q", len(text)) + text)
    begin = out.tell()
    out.write(struct.pack(f"<{len(offsets)}q", *offsets))
    held = bytearray(out.getvalue())
    held[32:48] = struct.pack("<2q", len(offsets), begin)
    return bytes(held)


def odd_words(content: bytes, rng: Random) -> bytes:
    """What a parser of atoms may stumble over."""
    old, new = rng.choice((
        (b"He", b"Xx"), (b"2\n", b"999999999\n"), (b"2\n", b"-2\n"), (b"Lattice", b'lattice="x" Lattice'), (b"4 0 0", b"0 0 0"),
        (b"species:S:1", b"species"), (b"pos:R:3", b"pos:R:99999"), (b"0.0", b"nan"), (b"'F m -3 m'", b"'Q 9'"), (b"225", b"999"),
        (b"loop_", b"loop_\nloop_"), (b"_atom_site_label", b""), (b"fract_x", b"Cartn_x"), (b" Na ", b" Zz "), (b"90", b"0"),
        (b"'x, y, z'", b"'x**9, __import__(1), z'"), (b"5.6", b"5.6(99999999999)"), (b"data_a", b"data_"), (b"1.0", b"0.5"),
        (b"data_a\n", b"data_a\n;\n"), (b"CRYST1   14", b"CRYST1  -14"), (b"ENDMDL", b"MODEL"), (b"CA  ALA", b"QQ  ALA")))
    return content.replace(old, rng.choice((new, new, rng.choice(CELLS)[:200].encode("utf-8", "replace"))))


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, one file or two, what the user says."""
    name, make, text = rng.choice((("a.xyz", xyz, 1), ("a.pdb", pdb, 1), ("a.cif", cif, 1), ("a.cif", cif, 1), ("a.db", database, 0),
                                   ("a.traj", trajectory, 0)))
    content = make(rng)
    how = "as made"
    if text or rng.random() < 0.6:
        how, content = damaged(content, rng, [make(rng)], (odd_words, odd_words, odd_words, *TEXT) if text else ())
    files = {name: content}
    if rng.random() < 0.3:
        files[rng.choice(("b.xyz", "in/b.xyz"))] = xyz(rng)
    return how, files, rng.choice(({}, {}, {"targets": "energy"}, {"targets": "gap"}, {"labels": "folders"}, {"groups": "files"}))
