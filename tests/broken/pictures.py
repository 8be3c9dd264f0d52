"""Broken pictures of every ending that is read."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from random import Random

import numpy as np
from PIL import Image

from broken.damage import damaged

HUGE = (0, 1, 20_000, 65_535, 65_536, 100_000, 2**31 - 1, 2**32 - 1)


@cache
def sound() -> dict[str, bytes]:
    """A small valid picture of every format and of many modes, by file name."""
    values = np.random.default_rng(0).integers(0, 256, (24, 20, 4)).astype(np.uint8)
    colour, held = Image.fromarray(values[..., :3]), {}
    ways = {
        "a.jpg": (colour, {}), "progressive.jpeg": (colour, {"progressive": True}), "grey.jpg": (colour.convert("L"), {}),
        "cmyk.jpg": (colour.convert("CMYK"), {}), "a.png": (colour, {}), "alpha.png": (Image.fromarray(values), {}),
        "palette.png": (colour.convert("P"), {"transparency": 3}), "one.png": (colour.convert("1"), {}),
        "deep.png": (Image.fromarray(values[..., 0].astype(np.uint16) * 257), {}), "a.tif": (colour, {}),
        "lzw.tiff": (colour, {"compression": "tiff_lzw"}), "jpeg.tiff": (colour, {"compression": "jpeg"}),
        "float.tif": (Image.fromarray(values[..., 0].astype(np.float32)), {}), "a.bmp": (colour, {}), "a.webp": (colour, {}),
        "lossless.webp": (Image.fromarray(values), {"lossless": True}), "a.gif": (colour.convert("P"), {}),
        "moves.gif": (colour.convert("P"), {"save_all": True, "append_images": [colour.convert("P").rotate(90)]}),
        "a.ppm": (colour, {}), "a.pgm": (colour.convert("L"), {})}
    kinds = {"jpg": "JPEG", "jpeg": "JPEG", "tif": "TIFF", "ppm": "PPM", "pgm": "PPM"}
    for name, (picture, how) in ways.items():
        ending, out = name.rpartition(".")[2], io.BytesIO()
        picture.save(out, kinds.get(ending, ending.upper()), **how)
        held[name] = out.getvalue()
    return held


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG, its checksum right."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """A deflate stream of many zeros; a thousandth of their number."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(min(1 << 20, count - done))) for done in range(0, count, 1 << 20)) + packer.flush()


def lying_png(rng: Random) -> tuple[str, bytes]:
    """Right checksums around sizes, depths and colours that do not go together."""
    pixels = chunk(b"IDAT", zlib.compress(bytes(rng.randrange(5000))))
    return "lying.png", png(rng.choice(HUGE), rng.choice(HUGE), *[pixels] * rng.randrange(4), depth=rng.choice((0, 1, 8, 16, 255)),
                            colour=rng.choice((0, 2, 3, 4, 6, 77)))


def png_bomb(rng: Random) -> tuple[str, bytes]:
    side = rng.choice((3_000, 30_000))
    return "bomb.png", png(side, side, chunk(b"IDAT", zeros(min(side * (3 * side + 1), 1 << 26))))


def png_texts(rng: Random) -> tuple[str, bytes]:
    """Comments that unpack to many megabytes, an odd colour profile, a palette without colours."""
    text = chunk(b"zTXt", b"Comment\0\0" + zeros(1 << 23))
    odd = chunk(rng.choice((b"iCCP", b"PLTE", b"tRNS", b"gAMA", b"eXIf", b"acTL")), rng.randbytes(rng.randrange(40)))
    pixels = chunk(b"IDAT", zlib.compress(bytes(20 * (3 * 20 + 1))))
    return "texts.png", png(20, 20, *[text] * rng.choice((0, 1, 30)), odd, pixels, colour=rng.choice((2, 3)))


def lying_jpeg(rng: Random) -> tuple[str, bytes]:
    """The frame header of another size, number of parts, or quantisation."""
    held = bytearray(sound()["a.jpg"])
    at = held.index(b"\xff\xc0")
    held[at + 5:at + 9] = struct.pack(">HH", rng.choice((0, 1, 24, 65_500)), rng.choice((0, 1, 20, 65_500)))
    held[at + 9] = rng.choice((0, 1, 3, 4, 255))
    return "lying.jpg", bytes(held)


def many_scans(rng: Random) -> tuple[str, bytes]:
    """A progressive picture that is gone over again and again."""
    held = sound()["progressive.jpeg"]
    at = held.rindex(b"\xff\xda")
    return "scans.jpeg", held[:at] + held[at:-2] * rng.choice((10, 2000)) + held[-2:]


def lying_pnm(rng: Random) -> tuple[str, bytes]:
    word = lambda: rng.choice((b"20", b"0", b"-5", b"99999999999999999999", b"x", b"1e9", b"#", b"20000", "²".encode(), b""))
    head = b"\n".join((rng.choice((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"Pf", b"PyCMYK")), word(), word(), word()))
    return rng.choice(("lying.ppm", "lying.pgm")), head + b"\n" + rng.randbytes(rng.randrange(2000))


def looping_tiff(rng: Random) -> tuple[str, bytes]:
    """Directories that point at each other, with counts and offsets beyond everything."""
    entries = [struct.pack("<HHII", rng.choice((256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 320, 322, 330, 339, 34665)),
                           rng.randrange(14), rng.choice((0, 1, 3, 2**31, 2**32 - 1)), rng.choice((8, 20, 24, 2**31, 2**32 - 1)))
               for _ in range(rng.randrange(1, 12))]
    return "loop.tif", b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + struct.pack("<I", rng.choice((0, 8, 2**31)))


def lying_gif(rng: Random) -> tuple[str, bytes]:
    held = bytearray(sound()["a.gif"])
    held[6:10] = struct.pack("<HH", rng.choice((0, 20, 65_535)), rng.choice((0, 24, 65_535)))
    at = held.index(b"\x2c", 13)
    held[at + 1:at + 9] = struct.pack("<HHHH", *(rng.choice((0, 1, 20, 65_535)) for _ in range(4)))
    return "lying.gif", bytes(held)


def lying_bmp(rng: Random) -> tuple[str, bytes]:
    held = bytearray(sound()["a.bmp"])
    held[10:14] = struct.pack("<I", rng.choice((0, 54, 2**31, 2**32 - 1)))
    held[18:30] = struct.pack("<iihhi", rng.choice((20, 0, -20, 2**31 - 1)), rng.choice((24, 0, -24, -2**31)), 1,
                              rng.choice((0, 1, 4, 8, 16, 24, 32, 777)), rng.choice((0, 1, 2, 3, 4, 99)))
    return "lying.bmp", bytes(held)


def other_format(rng: Random) -> tuple[str, bytes]:
    """What its ending does not say, or no picture at all."""
    ending = rng.choice((".jpg", ".png", ".tif", ".gif", ".webp", ".bmp", ".pgm"))
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\nshowpage\n"
    return f"other{ending}", rng.choice((*sound().values(), eps, b"GIMP", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"x" * 5000))


SPECIAL = (lying_png, png_bomb, png_texts, lying_jpeg, many_scans, lying_pnm, looping_tiff, lying_gif, lying_bmp, other_format)


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, a file, nothing that the user says."""
    if rng.random() < 0.3:
        way = rng.choice(SPECIAL)
        name, content = way(rng)
        if rng.random() < 0.3:
            return f"{way.__name__} {(held := damaged(content, rng))[0]}", {name: held[1]}, {}
        return way.__name__, {name: content}, {}
    name = rng.choice(sorted(sound()))
    how, content = damaged(sound()[name], rng, list(sound().values()))
    return how, {name: content}, {}
