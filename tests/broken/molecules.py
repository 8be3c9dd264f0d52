"""Broken files of molecules."""

from __future__ import annotations

import gzip
from random import Random

from broken.damage import damaged
from broken.words import CELLS, TEXT

SMILES = ("CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "[Na+].[Cl-]", "C[C@H](N)C(=O)O", "N#N", "OC1CC1", "[13CH4]", "*CC*", "C1CC2CCC1C2")
ODD = ("C(", "C1", "c1ccc1c", "[", "[Xx]", "N(C)(C)(C)C", "C" * 3000, "(" * 500, "C1" * 200, "[C+99]", "[999C]", "%99", ".", "..",
       "C.C." * 400, "c1" * 60, "[H]", "[*:1]", "C%(100)C", "\\C=C/", "C$C", "[#300]", "[Og]", "{", "C" + "(C)" * 300, "C=" * 50, "[C@@@H]",
       "0", "CCO CCO")


def smiles(rng: Random) -> bytes:
    return "\n".join(rng.choice(SMILES) + rng.choice(("", " name", "\tname 2")) for _ in range(rng.choice((1, 6)))).encode() + b"\n"


def table(rng: Random) -> bytes:
    rows = [f"{i},{rng.choice(SMILES)},{rng.gauss(0, 1):.3f},{'ab'[i % 2]}" for i in range(6)]
    return "\n".join(["id,smiles,y,label", *rows]).encode() + b"\n"


def sdf(rng: Random) -> bytes:
    """A few waters, flat or in space."""
    z, dim = rng.choice((("0.0000", "2D"), ("0.3000", "3D")))
    atom = "    0.{}000    0.0000    {} {}   0  0\n"
    one = f"water\n  made here           {dim}\n\n  3  2  0  0  0  0            999 V2000\n" + "".join(
        atom.format(i, z, element) for i, element in enumerate("OHH")) + "  1  2  1  0\n  1  3  1  0\nM  END\n> <y>\n0.5\n\n$$$$\n"
    return (one * rng.choice((1, 3))).encode()


def odd_smiles(content: bytes, rng: Random) -> bytes:
    """Molecules that are none, or more than anyone draws."""
    lines = content.split(b"\n")
    for _ in range(rng.choice((1, 2, 4))):
        lines[rng.randrange(len(lines))] = rng.choice(ODD + CELLS).encode("utf-8", "replace")
    return b"\n".join(lines)


def odd_counts(content: bytes, rng: Random) -> bytes:
    """An SDF that promises other numbers of atoms and bonds, or speaks of atoms that are not there."""
    old, new = rng.choice(((b"  3  2", b"999999"), (b"  3  2", b"  0  0"), (b"  3  2", b" -1 -1"), (b"V2000", b"V3000"),
                           (b"  1  3", b"  1999"), (b"  1  2  1", b"  1  2 99"), (b" O ", b" Zz"), (b"0.0000", b"nan   "),
                           (b"0.0000", b"1e999 "), (b"M  END", b"M  CHG"), (b"$$$$\n", b""), (b"> <y>", b"> <" + b"y" * 4000)))
    return content.replace(old, new)


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, one file or two, what the user says."""
    name, make, ways = rng.choice((("a.smi", smiles, (odd_smiles, odd_smiles)), ("a.csv", table, ()),
                                   ("a.sdf", sdf, (odd_counts, odd_counts)), ("a.csv.gz", table, ())))
    how, content = damaged(make(rng), rng, [make(rng)], (*ways, *TEXT))
    if name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
        how, content = (how, content) if rng.random() < 0.5 else damaged(content, rng)
    files = {name: content}
    if rng.random() < 0.3:
        files[rng.choice(("b.smi", "in/c.smi"))] = smiles(rng)
    kind = {"kind": rng.choice(("graph", "atoms"))} if name == "a.sdf" or rng.random() < 0.2 else {}
    return how, files, kind | rng.choice(({}, {}, {"targets": "y"}, {"labels": "folders"}, {"groups": "files"}, {"groups": "id"}))
