"""A folder of pictures as it lies: nested or not, labelled by its folders or not."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import numpy as np
from PIL import Image

from unveil.data.changes import Changes
from unveil.data.options import Options
from unveil.data.records import Records, Unreadable, scaled
from unveil.errors import Unusable

NAME = "pictures"
KINDS = ("image",)
ENDINGS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm", ".pgm"}

# A picture of more pixels is set aside: decoding it would take gigabytes. Pillow refuses above twice its own number, and warns below.
MOST_PIXELS = 100_000_000
Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")  # what is wrong with a file is said once, as its fault
SPARE = 2  # a JPEG is decoded at this many times the size it is brought to, or more: less would show in its finest detail


def walk(folder: Path, endings: set[str]) -> Iterator[str]:
    """Paths of files below ``folder`` with one of ``endings``, folders and files in order of name, links to folders not followed, pipes and
    devices left alone."""
    inside = [_listed(folder)]
    while inside:
        for entry in inside[-1]:
            name = entry.name
            if name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                inside.append(_listed(entry.path))
                break
            if name[name.rfind("."):].lower() in endings and (entry.is_file() or not os.path.exists(entry.path)):
                yield entry.path
        else:
            inside.pop()


def _listed(folder: Path | str) -> Iterator[os.DirEntry]:
    with os.scandir(folder) as held:
        return iter(sorted(held, key=attrgetter("name")))


def detect(path: Path) -> str | None:
    """What is seen at ``path``, looking at names alone."""
    if path.is_file():
        return "one picture" if path.suffix.lower() in ENDINGS else None
    return "a folder of pictures" if next(walk(path, ENDINGS), None) else None


def read(path: Path, options: Options) -> Records:
    """Records of one picture or of all below a folder; none is opened before it is asked for.

    Raises:
        Unusable: where there are no folders to take labels from.
    """
    files = [str(path)] if path.is_file() else list(walk(path, ENDINGS))
    labels = None
    if options.labels == "folders":
        start = len(os.path.join(path, ""))
        labels = np.array([file[start:max(start, file.find(os.sep, start))] for file in files])
        if not labels.any():
            raise Unusable(f"{path} has no sub-folders to take labels from: leave out --labels folders")
    notes: list[str] = []
    changes = Changes(files, notes)

    def load(i: int, side: int | None = None) -> np.ndarray:
        changes.look(i)
        return decode(files[i], side)

    return Records(files, load, layout="hwc", labels=labels, smaller=load, notes=notes)


def decode(source, side: int | None = None) -> np.ndarray:
    """A file (or open stream) as ``(H, W, C)`` in its own depth: 8 or 16 bits or float; palettes become colours, and an
    alpha channel stays a channel.

    Args:
        source: path or stream.
        side: that a longer shorter side is brought to, of pictures in 8 bits without alpha. Out of a JPEG's blocks of 8 x 8 a half, a
            quarter or an eighth of the size comes several times cheaper than all of the pixels.

    Raises:
        Unreadable: where it is no picture, damaged, or too large.
    """
    try:
        with Image.open(source) as picture:
            full = picture.size
            if side:
                picture.draft(None, (SPARE * side, SPARE * side))
            if picture.mode == "P":
                picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
            elif picture.mode in ("1", "LA", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
                picture = picture.convert({"1": "L", "LA": "RGBA", "PA": "RGBA"}.get(picture.mode, "RGB"))
            if side and min(full) > side and picture.mode in ("L", "RGB"):
                picture = picture.resize(scaled(full, side), Image.Resampling.BILINEAR)
            values = np.asarray(picture)
    except Exception as why:  # a damaged file can raise anything from inside a decoder
        raise Unreadable(_reason(why)) from why
    values = values.astype(np.uint16) if values.dtype == np.int32 and values.min() >= 0 and values.max() < 65536 else values
    return values[..., None] if values.ndim == 2 else values


def _reason(why: Exception) -> str:
    """What a decoder's complaint means to the owner of the file."""
    if isinstance(why, Image.DecompressionBombError):
        return f"has more than {MOST_PIXELS // 10**6} million pixels, the most that are read: cut it into tiles"
    if isinstance(why, MemoryError):
        return "does not fit into memory"
    if isinstance(why, OSError) and why.strerror:
        return why.strerror
    if "cannot identify" in str(why):
        return "is no picture that can be read"
    return "is truncated: its end is missing" if "truncated" in str(why).lower() else "is damaged: it cannot be decoded"
