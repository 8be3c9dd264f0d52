"""A folder of pictures as it lies: nested or not, labelled by its folders or not."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from unveil.data.options import Options
from unveil.data.records import Records, Unreadable
from unveil.errors import Unusable

NAME = "pictures"
KINDS = ("image",)
ENDINGS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm", ".pgm"}

# A picture of more pixels is set aside: decoding it would take gigabytes. Pillow refuses above twice its own number, and warns below.
MOST_PIXELS = 100_000_000
Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")  # what is wrong with a file is said once, as its fault


def walk(folder: Path, endings: set[str]):
    """Paths of files below ``folder`` with one of ``endings``, folders and files in order of name, links to folders not followed, pipes and
    devices left alone."""
    with os.scandir(folder) as held:
        entries = sorted(held, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path), endings)
        elif os.path.splitext(entry.name)[1].lower() in endings and (entry.is_file() or not os.path.exists(entry.path)):
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
    return Records(files, lambda i: decode(files[i]), layout="hwc", labels=labels)


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
