"""``.npy`` content, looked at before it is read: what its header promises must be there, and be numbers or text, never objects."""

from __future__ import annotations

import math
from typing import BinaryIO

import numpy as np

from unveil.data.records import Unreadable

OBJECTS = "holds Python objects, which are never loaded: save plain number arrays"
DAMAGED = "is no .npy: its header is damaged"


def check(stream: BinaryIO, size: int) -> None:
    """Reads the header at the start of a stream of ``size`` bytes.

    Raises:
        Unreadable: where it is damaged, promises more than follows, or speaks of objects.
    """
    try:
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = header(stream)
    except Exception as why:  # a damaged header can raise anything
        raise Unreadable(DAMAGED) from why
    if dtype.hasobject:
        raise Unreadable(OBJECTS)
    if any(side < 0 for side in shape):
        raise Unreadable(DAMAGED)
    need, left = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if need > left:
        raise Unreadable(f"is cut short: its header promises {need:,} bytes of values, {max(left, 0):,} follow")
    if len(shape) > 32:
        raise Unreadable(f"has {len(shape)} axes")


def load(stream: BinaryIO, size: int) -> np.ndarray:
    """The array in a stream of ``size`` bytes.

    Raises:
        Unreadable: as :func:`check` does.
    """
    check(stream, size)
    stream.seek(0)
    try:
        return np.load(stream, allow_pickle=False)
    except Exception as why:  # as above
        raise Unreadable(DAMAGED) from why
