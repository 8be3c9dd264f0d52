"""Broken ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile
from random import Random

import numpy as np

from broken.damage import damaged

SHAPES = ("()", "(4,)", "(4, 3, 20)", "(0, 3, 20)", "(4, 0, 20)", "(4, 3, 0)", "(-4, 3, 20)", "(4, -3, -20)", "(999999999999, 3, 20)",
          "(18446744073709551617, 2)", "(2147483648, 2147483648)", "(4.0, 3)", "('4', 3)", "4", "None", "[4, 3, 20]",
          "(4, 3, 20" + ", 1" * 70 + ")",
          "(True, 3)", "((4,), 3)", "(" * 300 + ")" * 300, "(4, 3, 20, 2, 2)")
TYPES = ("<f4", ">f4", "<f8", "<f2", "|u1", "<i8", ">u2", "|b1", "<c8", "|O", "<M8[s]", "<m8[ns]", "<U5", "<U999999999", "|S3", "|V4",
         "<f16",
         "f4", "nope", "", "O8", "<f4, <i4", "('<f4', (2, 2))")


def npy(values: np.ndarray, **how) -> bytes:
    held = io.BytesIO()
    np.save(held, values, **how)
    return held.getvalue()


def headed(header: str, body: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    """An ``.npy`` of any header."""
    text = header.encode("latin-1", "replace")
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(text) % (1 << 16)) + text + body


def lying(rng: Random) -> bytes:
    """A header that promises other shapes, types or more than there is."""
    kind = rng.choice(TYPES)
    said = kind if kind.startswith("(") or rng.random() < 0.1 else repr([("a", kind)] if rng.random() < 0.1 else kind)
    order = rng.choice(("False", "False", "True", "1", "None"))
    header = f"{{'descr': {said}, 'fortran_order': {order}, 'shape': {rng.choice(SHAPES)}, }}"
    header = rng.choice((header, header, header, header + " " * 20_000, "{" * 100, "__import__('os').getcwd()", header.replace("'shape'",
                                                                                                                               "'form'")))
    return headed(header + "\n", rng.randbytes(rng.choice((0, 100, 960, 5000))), rng.choice(((1, 0), (1, 0), (2, 0), (3, 0), (9, 9), (0,
                                                                                                                                      0))))


def sound(rng: Random) -> np.ndarray:
    shape = rng.choice(((6, 3, 20), (6, 20), (5, 20, 20, 3), (4, 20, 20), (3, 2, 40)))
    values = np.random.default_rng(rng.randrange(99)).normal(size=shape)
    return values.astype(rng.choice(("f4", "f8", "f2", ">f4", "i4", "u1", "i8")))


def odd_values(rng: Random) -> bytes:
    """What is no finite number, or none at all."""
    return npy(rng.choice((
        np.full((4, 3, 20), np.nan), np.full((4, 3, 20), np.inf), np.full((4, 3, 20), 1e308), np.zeros((4, 3, 20)), np.zeros((0, 3, 20)),
        np.zeros(()),
        np.zeros((4, 0)), np.zeros((4, 3, 20), complex), np.zeros((4, 3, 20), bool), np.array(["a", "b"]), np.zeros((1, 1, 1)),
        np.zeros((4, 1)),
        np.zeros(4, "M8[s]"), np.zeros(4, [("a", "f4")]), np.full((4, 3, 20), np.iinfo(np.int64).min), np.full((4, 20, 20, 3), 2**63,
                                                                                                               np.uint64),
        np.zeros((4, 20, 20, 17)), np.zeros((2, 3, 4, 5, 6)), np.where(np.random.default_rng(0).random((6, 3, 20)) < 0.3, np.nan, 1.0))))


def packed(rng: Random) -> bytes:
    """An archive whose members are odd: wrong labels, strange names, doubled, damaged, no arrays, packed in odd ways."""
    x = sound(rng)
    count = len(x)
    label = rng.choice((np.arange(count) % 2, np.array("a"), np.arange(count + 1), np.zeros((count, 2)), np.array(["a"] * count),
                        np.zeros((0,)),
                        np.zeros(count, "M8[s]"), np.array([b"\xff"] * count), np.full(count, np.nan), np.zeros(count, [("a", "i4")])))
    rate = rng.choice((50.0, 0, -1, np.nan, np.inf, [1, 2], "fast", 1e308, 1e-308, True, 1j))
    held = {"x": npy(x), "y": npy(label), "rate": npy(np.array(rate)), "dense": npy(rng.choice((label, x, np.zeros(x.shape, int),
                                                                                                np.zeros((count, 20), int)))),
            "groups": npy(label), "X": npy(x), "../../evil": npy(x), "/etc/evil": npy(x), "": npy(x), "x\0y": npy(x), "a" * 300: npy(x),
            "note": b"no array", "objects": npy(np.array([{}]), allow_pickle=True), "code": b"\x93NUMPY\x01\0" + pickle.dumps(print)}
    chosen = ["x"] * (rng.random() < 0.85) + rng.sample(sorted(held), rng.randrange(4))
    out, way = io.BytesIO(), rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(out, "w", way) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of doubled names
        for name in chosen:
            content = damaged(held[name], rng)[1] if rng.random() < 0.15 else lying(rng) if rng.random() < 0.15 else held[name]
            archive.writestr(zipfile.ZipInfo(name + rng.choice((".npy", ".npy", ".npy", ".npy", "", ".txt"))), content, way)
    return out.getvalue()


def bomb(rng: Random) -> bytes:
    """A small archive that says it unpacks to terabytes, or does unpack to much."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rng.choice((10**5, 10**9))}, 3, 1000), }}"
    member, out = headed(header + "\n", bytes(1 << 22)), io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(zipfile.ZipInfo("x.npy"), member, zipfile.ZIP_DEFLATED)
    held = bytearray(out.getvalue())
    if rng.random() < 0.7:
        for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            start = held.rindex(mark) + at
            held[start:start + 4] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(held)


SAID = ({"kind": "signal", "layout": "ct"}, {"kind": "signal", "layout": "tc"}, {"kind": "image"}, {"kind": "image", "layout": "hwc"},
        {"kind": "image", "layout": "chw"}, {"kind": "signal"}, {"kind": "signal", "layout": "ct", "targets": "y"}, {"kind": "signal",
                                                                                                                     "layout": "ct",
                                                                                                                     "rate": 9.0})


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, a file, what the user says."""
    chance = rng.random()
    if chance < 0.6:
        way, ending = rng.choice(((lying, "npy"), (odd_values, "npy"), (packed, "npz"), (packed, "npz"), (bomb, "npz")))
        how, content = way.__name__, way(rng)
    else:
        ending = rng.choice(("npy", "npz"))
        content = npy(sound(rng)) if ending == "npy" else packed(rng)
        how, content = damaged(content, rng, [npy(sound(rng)), packed(rng)])
    ending = {"npy": "npz", "npz": "npy"}[ending] if rng.random() < 0.05 else ending
    return how, {f"a.{ending}": content}, dict(rng.choice(SAID))
