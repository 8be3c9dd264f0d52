"""JPEG files for benchmarks: seeded crops of the photographs that scikit-image ships, saved at 256 px a side."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

WHEEL = "scikit-image==0.26.0"
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "ihc.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg")
SAID = f"crops of {len(PHOTOS)} photographs of {WHEEL}, 256 px, JPEG quality 90"


def originals() -> list[Image.Image]:
    """The photographs, out of the package's wheel, which is fetched and not installed."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", scratch, WHEEL],
                       check=True, stderr=subprocess.DEVNULL)
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as archive:
            return [Image.open(archive.open(f"skimage/data/{name}")).convert("RGB") for name in PHOTOS]


def make(folder: Path, count: int, seed: int = 0, side: int = 256) -> Path:
    """``count`` files below ``folder``, in one folder a photograph; those that are there already are left."""
    if sum(1 for _ in folder.rglob("*.jpg")) == count:
        return folder
    photos, draw = originals(), np.random.default_rng(seed)
    for number in range(count):
        at = number % len(photos)
        photo, home = photos[at], folder / PHOTOS[at].partition(".")[0]
        home.mkdir(parents=True, exist_ok=True)
        edge = int(draw.integers(side * 3 // 4, min(photo.size) + 1))
        left, top = (int(draw.integers(0, whole - edge + 1)) for whole in photo.size)
        photo.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + edge, top + edge)).save(
            home / f"{number:05d}.jpg", quality=90)
    return folder


if __name__ == "__main__":
    print(make(Path(sys.argv[1]), int(sys.argv[2])), SAID)
