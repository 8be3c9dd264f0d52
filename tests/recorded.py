"""Small recordings as files: an EDF and BDF writer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def edf(values: Sequence[np.ndarray], labels: Sequence[str], rates: Sequence[int], *, seconds: float = 1, person: str = "X X X X",
        units: Sequence[str] | None = None, ends: tuple[float, float] = (-1000.0, 1000.0), bdf: bool = False, records: int | None = None,
        onsets: Sequence[float] | None = None, annotations: Sequence[tuple[float, float | None, str]] | None = None) -> bytes:
    """An EDF file, or a BDF one, of channels in physical values; with ``onsets`` of records it is one with gaps (EDF+D), with
    ``annotations``, each a beginning, a length or None and a text, an EDF+ or BDF+ file."""
    counts = [int(rate * seconds) for rate in rates]
    whole = min(len(x) // n for x, n in zip(values, counts))
    top = 2 ** 23 - 1 if bdf else 2 ** 15 - 1
    steps = [(np.asarray(x, float) - ends[0]) / (ends[1] - ends[0]) * (2 * top + 1) - top - 1 for x in values]
    digital = [np.clip(np.round(x), -top - 1, top).astype("<i4") for x in steps]
    labels, units = list(labels), list(units or ["uV"] * len(values))
    gaps, size = onsets is not None, 3 if bdf and annotations is not None else 2
    if annotations is not None:
        onsets = [seconds * i for i in range(whole)] if onsets is None else onsets
    said = [f"+{onset:g}\x14\x14\0".encode() for onset in onsets or ()]
    for begin, length, text in annotations or ():
        at = max([i for i, onset in enumerate(onsets) if onset <= begin], default=0)
        said[at] += f"{begin:+g}".encode() + (b"" if length is None else f"\x15{length:g}".encode()) + f"\x14{text}\x14\0".encode()
    room = max(60 // size, *(-(-len(each) // size) for each in said)) if said else 0
    if onsets is not None:
        labels, units, counts = [*labels, "BDF Annotations" if size == 3 else "EDF Annotations"], [*units, ""], [*counts, room]
    pad = lambda held, width: str(held)[:width].ljust(width).encode("latin-1")
    limits = [ends] * len(values) + [(-1, 1)] * (onsets is not None)
    head = (b"\xffBIOSEMI" if bdf else pad("0", 8)) + pad(person, 80) + pad("Startdate X X X X", 80)
    head += pad("01.01.01", 8) + pad("01.01.01", 8) + pad(256 * (len(labels) + 1), 8)
    head += pad(f"{'BDF' if size == 3 else 'EDF'}+{'CD'[gaps]}" if said else "24BIT" if bdf else "", 44)
    head += pad(whole if records is None else records, 8)
    head += pad(f"{seconds:g}", 8) + pad(len(labels), 4)
    for column, width in ((labels, 16), ([""] * len(labels), 80), (units, 8), ([f"{low:g}" for low, _ in limits], 8),
                          ([f"{high:g}" for _, high in limits], 8), ([-top - 1] * len(labels), 8), ([top] * len(labels), 8),
                          ([""] * len(labels), 80), (counts, 8), ([""] * len(labels), 32)):
        head += b"".join(pad(held, width) for held in column)
    rows = []
    for record in range(whole):
        for x, n in zip(digital, counts):
            part = x[record * n:(record + 1) * n]
            rows.append(part.astype("<i2").tobytes() if not bdf else part.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
        if onsets is not None:
            rows.append(said[record].ljust(size * room, b"\0"))
    return head + b"".join(rows)


def waves(channels: int, rate: int, seconds: float, seed: int = 0) -> np.ndarray:
    """Noisy rhythms ``(C, T)`` of some microvolts."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(rate * seconds)) / rate
    return np.stack([20 * np.sin(2 * np.pi * (8 + c % 5) * t + c) + rng.normal(0, 8, len(t)) for c in range(channels)])


def folder(path: Path) -> Path:
    """Three people's EDF files with different montages and rates, as in a clinic."""
    for who, (rate, labels) in enumerate([(100, ("EEG FP1-REF", "EEG C3-REF", "EEG O1-REF")), (128, ("Fp1", "Fp2", "Cz", "Pz", "EKG")),
                                          (200, ("F3-M2", "C4-M1"))]):
        for night in range(2):
            file = path / f"p{who}" / f"night{night}.edf"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(edf(waves(len(labels), rate, 12, 10 * who + night), labels, [rate] * len(labels), person=f"P{who:03d} X X X"))
    return path


def gdf(values: np.ndarray, labels: Sequence[str], rate: int, events: Sequence[tuple[int, int, int]] = ()) -> bytes:
    """A GDF 2.20 file (Schloegl, arXiv cs/0608052) of channels in microvolts, a record a second, values of 16 bits, with events as first
    value (from 1), code and length in values."""
    count, seconds, top = len(values), values.shape[1] // rate, 2 ** 15 - 1
    text = lambda held, width: held.encode("latin-1").ljust(width, b"\0")
    column = lambda held, kind: np.full(count, held, kind).tobytes()
    head = text("GDF 2.20", 8) + text("P1 X", 66) + bytes(14) + text("recording", 64) + bytes(16) + bytes(16)
    head += np.array([count + 1], "<u2").tobytes() + bytes(50) + np.array([seconds], "<i8").tobytes()
    head += np.array([1, 1], "<u4").tobytes() + np.array([count, 0], "<u2").tobytes()
    assert len(head) == 256
    head += b"".join(text(label, 16) for label in labels) + bytes(86 * count) + column(4275, "<u2")
    head += b"".join(column(end, "<f8") for end in (-1000.0, 1000.0, -top, top)) + bytes(68 * count)
    head += column(100, "<f4") + column(0.5, "<f4") + column(0, "<f4") + column(rate, "<u4") + column(3, "<u4") + bytes(32 * count)
    assert len(head) == 256 * (count + 1)
    digital = np.round(values[:, :seconds * rate] * top / 1000).astype("<i2").reshape(count, seconds, rate)
    first, code, length = (np.array([event[i] for event in events]) for i in range(3))
    table = bytes([3]) + len(events).to_bytes(3, "little") + np.array([rate], "<f4").tobytes()
    table += first.astype("<u4").tobytes() + code.astype("<u2").tobytes() + bytes(2 * len(events)) + length.astype("<u4").tobytes()
    return head + digital.transpose(1, 0, 2).tobytes() + table
