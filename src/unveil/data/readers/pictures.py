"""A folder of pictures as it lies: nested or not, labelled by its folders or not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from unveil.data.changes import Changes
from unveil.data.options import Options
from unveil.data.records import Records, Unreadable
from unveil.errors import Unusable

NAME = "pictures"
KINDS = ("image",)
ENDINGS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm", ".pgm"}

# A picture of more pixels than this is set aside: decoding it would take gigabytes.
Image.MAX_IMAGE_PIXELS = 100_000_000


def walk(folder: Path, endings: set[str]):
    """Paths below ``folder`` with one of ``endings``, folders and files in order of name, links to folders not followed."""
    with os.scandir(folder) as held:
        entries = sorted(held, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path), endings)
        elif os.path.splitext(entry.name)[1].lower() in endings:
            yield entry.path


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
        root = os.path.join(path, "")
        labels = np.array([file.removeprefix(root).rpartition(os.sep)[0].partition(os.sep)[0] for file in files])
        if not any(labels):
            raise Unusable(f"{path} has no sub-folders to take labels from: leave out --labels folders")
    notes: list[str] = []
    changes = Changes(files, notes)

    def load(i: int) -> np.ndarray:
        changes.look(i)
        return decode(files[i])

    return Records(files, load, layout="hwc", labels=labels, notes=notes)


def decode(source) -> np.ndarray:
    """A file (or open stream) as ``(H, W, C)`` in its own depth: 8 or 16 bits or float; palettes become colours, and an
    alpha channel stays a channel.

    Raises:
        Unreadable: where it is no picture, damaged, or too large.
    """
    try:
        with Image.open(source) as picture:
            if picture.mode == "P":
                picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
            elif picture.mode in ("1", "LA", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
                picture = picture.convert({"1": "L", "LA": "RGBA", "PA": "RGBA"}.get(picture.mode, "RGB"))
            values = np.asarray(picture)
    except Exception as why:  # a damaged file can raise anything from inside a decoder
        reason = "is no picture that can be read" if "cannot identify" in str(why) else str(why) or type(why).__name__
        raise Unreadable(reason) from why
    values = values.astype(np.uint16) if values.dtype == np.int32 and values.min() >= 0 and values.max() < 65536 else values
    return values[..., None] if values.ndim == 2 else values
