"""What happens to bytes, whatever they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

MAGIC = (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\xff\xff\xff\xffWEBP", b"BM", b"II*\0", b"MM\0*", b"P6\n",
         b"PK\x03\x04",
         b"\x93NUMPY\x01\0", b"\x1f\x8b\x08", b"%PDF-1.4", b"\x7fELF", b"<html>", b"ARROW1\0\0", b"\0\0\0\0", b"#!/bin/sh\n")
NUMBERS = (0, 1, -1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 10**9, 10**12)


def _place(content: bytes, rng: Random) -> int:
    """A place in it; half of the time in the first bytes, where files say what they are."""
    return rng.randrange(min(len(content), rng.choice((64, 512, len(content)))))


def flip(content: bytes, rng: Random) -> bytes:
    held = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 64))):
        held[_place(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(held)


def cut(content: bytes, rng: Random) -> bytes:
    return content[:rng.randrange(len(content))]


def head_gone(content: bytes, rng: Random) -> bytes:
    return content[_place(content, rng):]


def block_gone(content: bytes, rng: Random) -> bytes:
    start = _place(content, rng)
    return content[:start] + content[start + rng.randrange(1, 200):]


def blank(content: bytes, rng: Random) -> bytes:
    start, length = _place(content, rng), rng.randrange(1, 300)
    return content[:start] + rng.choice((b"\0", b"\xff", b" ", b"A")) * length + content[start + length:]


def again(content: bytes, rng: Random) -> bytes:
    start, length = _place(content, rng), rng.randrange(1, 300)
    return content[:start] + content[start:start + length] * rng.choice((2, 3, 50)) + content[start + length:]


def number(content: bytes, rng: Random) -> bytes:
    """A number in a header that cannot be."""
    width, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    value, start = rng.choice(NUMBERS) % (1 << 8 * width), _place(content, rng)
    return content[:start] + value.to_bytes(width, order) + content[start + width:]


def magic(content: bytes, rng: Random) -> bytes:
    said = rng.choice(MAGIC)
    return said + content[len(said) * rng.randrange(2):]


def noise(content: bytes, rng: Random) -> bytes:
    start = _place(content, rng)
    return content[:start] + rng.randbytes(rng.randrange(1, 400)) + content[start + rng.randrange(400):]


def tail(content: bytes, rng: Random) -> bytes:
    return content + rng.choice((rng.randbytes(300), content, b"\0" * 2000))


def nothing(content: bytes, rng: Random) -> bytes:
    return rng.choice((b"", b"\0", content[:1], b"\n"))


ANY = (flip, flip, cut, cut, head_gone, block_gone, blank, again, number, number, number, magic, noise, tail, nothing)


def damaged(content: bytes, rng: Random, others: Sequence[bytes] = (), also: Sequence[Callable] = ()) -> tuple[str, bytes]:
    """One to three kinds of damage in turn, or a splice of two files; what was done, and the bytes."""
    if others and rng.random() < 0.08:
        other = rng.choice(others)
        return "splice", content[:rng.randrange(len(content))] + other[rng.randrange(len(other)):]
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if content:
            way = rng.choice((*ANY, *also, *also))
            done.append(way.__name__)
            content = way(content, rng)
    return " ".join(done), content
