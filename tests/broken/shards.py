"""Broken tar shards: the archives, and what lies in them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from random import Random

from broken import arrays, pictures
from broken.damage import damaged
from broken.words import CELLS, deep, odd_json

FACTS = {"label": "cat", "subject": "s1", "depth": 1.5}
NAMES = ("../../evil", "/etc/evil", "a/../../b", "~/evil", "", ".", "..", "a" * 300, "\0", "\x1b[31mred", "<script>", "[bold]x", "con",
         "x.y.z", ".hidden",
         "__MACOSX/0", "a\nb", "\u202egpj", "🙂")


def _members(rng: Random) -> dict[str, bytes]:
    """A few samples, some of them broken."""
    held = {}
    for number in range(rng.randrange(1, 6)):
        key = rng.choice(NAMES) if rng.random() < 0.15 else str(number)
        value = rng.choice((pictures, arrays)).broken(rng)[1] if rng.random() < 0.5 else {"0.png": pictures.sound()["a.png"]}
        for name, content in value.items():
            held[f"{key}.{name.rpartition('.')[2]}"] = content
        held[f"{key}.json"] = (odd_json(FACTS, rng) if rng.random() < 0.5 else json.dumps(FACTS)).encode("utf-8", "replace")
        held[f"{key}.cls"] = rng.choice((b"cat", b"dog", b"", b"\xff\xfe", *(cell.encode("utf-8", "replace") for cell in CELLS)))
    return held


def tar(members: dict[str, bytes], rng: Random, **also) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in also.items():
                setattr(info, key, value)
            try:
                archive.addfile(info, io.BytesIO(content))
            except ValueError:  # this format has no room for such a name
                continue
    return out.getvalue()


def links(rng: Random) -> bytes:
    """Members that are links, devices, pipes or folders, called like samples."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
                                       tarfile.DIRTYPE)):
            info = tarfile.TarInfo(rng.choice((f"{number}.png", "../up.png", "/dev/zero.png")))
            info.type, info.linkname = kind, rng.choice(("/etc/passwd", "../../x", "0.png", ""))
            archive.addfile(info)
    return out.getvalue() + tar(_members(rng), rng)


def header(rng: Random) -> bytes:
    """A member's header that lies, its checksum right."""
    held = bytearray(tar(_members(rng), rng))
    at = 512 * rng.randrange(max(1, min(4, len(held) // 512)))
    start, width = rng.choice(((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155)))
    size = rng.choice((b"77777777777\0", b"-1", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"\x80" + bytes(7) + b"\x7f\xff\xff\xff",
                       b"99999999999", rng.randbytes(12)))
    kinds = b"0123456789xgLKSVDMN\0\xff"
    held[at + start:at + start + width] = (bytes([rng.choice(kinds)]) if width == 1 else size)[:width].ljust(width, b"\0")
    held[at + 148:at + 156] = b" " * 8
    held[at + 148:at + 156] = b"%06o\0 " % sum(held[at:at + 512])
    return bytes(held)


def _block(kind: bytes, content: bytes, size: bytes | None = None, name: bytes = b"x.png") -> bytes:
    """A member of any type, its checksum right."""
    held = bytearray(512)
    held[:len(name)], held[124:136] = name, size or b"%011o\0" % len(content)
    held[156:157], held[257:265], held[148:156] = kind, b"ustar\x0000", b" " * 8
    held[148:156] = b"%06o\0 " % sum(held)
    return bytes(held) + content + bytes(-len(content) % 512)


def chain(rng: Random) -> bytes:
    """Headers about headers about headers, or one that promises to be endless."""
    record = rng.choice((b"20 path=../../evil.p\n", b"11 size=-99\n", b"22 size=99999999999999\n", b"9999999 path=x\n", b"0 x=\n",
                         b"-5 x=y\n", b"12 path=\xff\n",
                         b"30 GNU.sparse.major=1\n", b"25 GNU.sparse.map=0,9,9\n", b"22 GNU.sparse.size=-1\n", b"21 hdrcharset=BINARY\n",
                         b""))
    one = lambda: _block(rng.choice((b"x", b"g", b"L", b"K", b"S")), record)
    large = _block(rng.choice((b"x", b"L", b"g")), b"", rng.choice((b"77777777777\0", b"\x80" + bytes(6) + b"\xff" * 5)))
    return b"".join(one() for _ in range(rng.choice((1, 3, 3000)))) + rng.choice((b"", large)) + tar(_members(rng), rng)


def nested(rng: Random) -> bytes:
    """JSON of great depth beside pictures."""
    return tar({"0.png": pictures.sound()["a.png"], "0.json": deep(rng).encode(), "1.png": pictures.sound()["a.png"],
                "1.json": b"[" * 60_000,
                "2.png": pictures.sound()["a.png"], "2.json": ('{"' + "_" * 60_000 + '": 1}').encode()}, rng)


def other(rng: Random) -> bytes:
    return rng.choice((gzip.compress(tar(_members(rng), rng), mtime=0), b"", bytes(10_240), b"no tar", tar({}, rng), tar({"a.txt": b"x"},
                                                                                                                         rng),
                       tar(_members(rng), rng, mtime=-1), tar(_members(rng), rng, size=0)))


SPECIAL = (links, header, header, chain, nested, other)
SAID = ({}, {}, {"kind": "image"}, {"kind": "signal", "layout": "ct"}, {"kind": "image", "labels": "label"}, {"kind": "image",
                                                                                                              "groups": "files"},
        {"kind": "image", "labels": "folders"}, {"kind": "image", "targets": "depth"}, {"kind": "signal", "layout": "ct", "rate": 20.0})


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, one shard or two, what the user says."""
    chance = rng.random()
    if chance < 0.35:
        how, content = "members", tar(_members(rng), rng)
    elif chance < 0.7:
        way = rng.choice(SPECIAL)
        how, content = way.__name__, way(rng)
    else:
        how, content = damaged(tar(_members(rng), rng), rng, [tar(_members(rng), rng)])
    files = {"a.tar": content}
    if rng.random() < 0.2:
        files["in/b.tar"] = tar({f"{i}.png": pictures.sound()["a.png"] for i in range(3)}, rng)
    return how, files, dict(rng.choice(SAID))
