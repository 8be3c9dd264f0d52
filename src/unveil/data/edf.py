"""EDF and BDF files, read in stretches without a library: the layout is public and short.

Kemp et al., Electroenceph. Clin. Neurophysiol. 82 (1992) 391; EDF+: Kemp and Olivan, Clin. Neurophysiol. 114 (2003) 1755; BDF: BioSemi.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unveil.data.annotations import Annotations, made
from unveil.data.changes import stamp
from unveil.data.montages import places, proper
from unveil.data.records import Unreadable
from unveil.data.series import Series
from unveil.wording import printable

VOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "nv": 1e-3}
MOST_CHANNELS = 4096
RECORDS = 1024  # of triggers that are looked through at a time
TIMES = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?")  # of an annotation: when it begins, and how long it lasts
NOBODY = {"", "x", "anonymous", "anonymized", "anonymised", "unknown", "patient", "subject", "none", "test", "na", "n/a", "null", "no",
          "name"}
PREFIX = re.compile(r"^(EEG|SEEG|ECOG|POL)[\s_:-]+(?=\S)", re.IGNORECASE)
SUFFIX = re.compile(r"[\s]*[-_](REF|LE|RE|AR|AVG|AVE|AV|CAR|REFERENCE|COMMON|GND)$", re.IGNORECASE)


@dataclass
class Channel:
    """One line of the header.

    Attributes:
        label: as it is written.
        unit: of physical values.
        gain: physical values a step.
        offset: physical value at digital 0.
        count: values a record.
        first: place of its first value in a record.
    """

    label: str
    unit: str
    gain: float
    offset: float
    count: int
    first: int


@dataclass
class Head:
    """What a file says of itself.

    Attributes:
        wide: values have 24 bits, as in BDF.
        start: byte at which values begin.
        records: whole ones that are there.
        said: how many the header says, -1 where it does not.
        seconds: of a record.
        size: values of a record.
        channels: that are signals.
        notes: values of each record of the channels of annotations: first and number of each.
        status: the same of BioSemi's channel of triggers; None where there is none.
        broken: time does not run on from each record to the next.
    """

    wide: bool
    start: int
    records: int
    said: int
    seconds: float
    size: int
    channels: list[Channel]
    notes: list[tuple[int, int]]
    status: tuple[int, int] | None
    broken: bool


def subject(path: str) -> str:
    """Whom a file says it is of; empty where it says nobody."""
    try:
        with open(path, "rb") as stream:
            field = stream.read(88)[8:].decode("latin-1")
    except OSError:
        return ""
    word = (field.split() or [""])[0]
    return "" if word.lower().strip(".:,;0") in NOBODY else printable(word)


def clean(label: str) -> str:
    """A channel as others write it: ``Fp1`` for ``EEG FP1-REF``, ``FC5`` for ``Fc5.``."""
    name = SUFFIX.sub("", PREFIX.sub("", " ".join(label.split()).strip(". "))).strip(". ")
    return "-".join(proper(part.strip()) for part in name.split("-")) if name.count("-") == 1 else proper(name) or "unnamed"


def distinct(names: list[str]) -> tuple[list[str], list[str]]:
    """Names of which no two are the same, and those that were there more than once."""
    seen, made = {}, []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return made, [name for name, count in seen.items() if count > 1]


def _number(text: bytes, what: str) -> float:
    try:
        value = float(text.decode("latin-1").strip().replace(",", "."))
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        shown = printable(text.decode("latin-1").strip())[:12]
        raise Unreadable(f"has a wrong header: {what} is {shown!r}, which is no number")
    return value


def _whole(text: bytes, what: str, low: int, high: int) -> int:
    value = _number(text, what)
    if value != int(value) or not low <= value <= high:
        raise Unreadable(f"has a wrong header: {what} is {value:g}; it can be {low:,} to {high:,}")
    return int(value)


def head(path: str, values: bool = True) -> Head:
    """Reads the header.

    Args:
        path: of the file.
        values: there must be channels of them; else annotations are enough, whose records may last no time.

    Raises:
        Unreadable: where it is none, or says what cannot be.
    """
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as stream:
            fixed = stream.read(256)
            if not fixed:
                raise Unreadable("is empty")
            wide = fixed[:8] == b"\xffBIOSEMI"
            if not wide and fixed[:8].strip() != b"0":
                shown = printable(fixed[:8].decode("latin-1"))
                raise Unreadable(f"is no EDF or BDF file: it begins with {shown!r}, not with a version 0")
            if len(fixed) < 256:
                raise Unreadable(f"is cut short: {len(fixed)} bytes of a header of 256")
            count = _whole(fixed[252:256], "the number of signals", 1, MOST_CHANNELS)
            lines = stream.read(256 * count)
    except OSError as why:
        raise Unreadable(f"cannot be opened: {why.strerror}") from why
    start = _whole(fixed[184:192], "the size of the header", 0, 1 << 40)
    if len(lines) < 256 * count:
        raise Unreadable(f"is cut short: its header has {256 + len(lines):,} bytes of {256 * (count + 1):,}")
    if start != 256 * (count + 1):
        raise Unreadable(f"has a wrong header: it says a size of {start:,} bytes, {count} signals make {256 * (count + 1):,}")
    said = _whole(fixed[236:244], "the number of records", -1, 1 << 40)
    seconds = _number(fixed[244:252], "the duration of a record")
    channels, notes, status, place = [], [], None, 0
    for i in range(count):
        label = _field(lines, count, i, 0, 16).decode("latin-1").strip()
        many = _whole(_field(lines, count, i, 216, 8), f"the number of values of channel {i + 1}", 0, 1 << 30)
        if label in ("EDF Annotations", "BDF Annotations"):
            notes.append((place, many))
        elif wide and label == "Status":
            status = (place, many)
        elif many:
            channels.append(_channel(lines, count, i, label, many, place))
        place += many
    width = 3 if wide else 2
    if not channels and (values or not notes):
        raise Unreadable("has no channels with values, only annotations" if notes else "has no channels with values")
    if not (seconds > 0 or (seconds == 0 and not channels)):
        raise Unreadable(f"has a wrong header: a record lasts {seconds:g} seconds")
    records = (size - start) // (place * width)
    return Head(wide, start, min(records, said) if said >= 0 else records, said, seconds, place, channels, notes, status,
                fixed[192:197] in (b"EDF+D", b"BDF+D"))


def _field(lines: bytes, count: int, i: int, before: int, width: int) -> bytes:
    """A field of channel ``i``; the header has all labels, then all transducers, and so on, ``before`` bytes a channel before it."""
    return lines[before * count + width * i:before * count + width * (i + 1)]


def _channel(lines: bytes, count: int, i: int, label: str, many: int, place: int) -> Channel:
    ends = [_number(_field(lines, count, i, before, 8), f"the {what} of channel {printable(label) or i + 1}")
            for before, what in ((104, "physical minimum"), (112, "physical maximum"), (120, "digital minimum"), (128, "digital maximum"))]
    low, high, below, above = ends
    if below == above:
        raise Unreadable(f"has a wrong header: the digital minimum and maximum of channel {printable(label) or i + 1} are both {below:g}")
    gain = (high - low) / (above - below)
    unit = printable(_field(lines, count, i, 96, 8).decode("latin-1").strip())
    return Channel(printable(label), unit, gain, low - gain * below, many, place)


def series(path: str) -> Series:
    """A file as a series: volts as microvolts, channels of lower rates brought to the highest by straight lines.

    Raises:
        Unreadable: where nothing of it can be used.
    """
    held, name, seen = head(path), os.path.basename(path), stamp(path)
    if not held.records:
        raise Unreadable("is cut short: it ends before its first record is whole" if held.said else "has no records")
    notes = []
    if held.said > held.records:
        notes.append(f"{name} is cut short: {held.records} of the {held.said} records that its header says are there and are read")
    most = max(channel.count for channel in held.channels)
    slow = [channel for channel in held.channels if channel.count != most]
    if slow:
        rates = sorted({round(channel.count / held.seconds, 3) for channel in slow})
        notes.append(f"{', '.join(clean(channel.label) for channel in slow[:4])}{' ...' * (len(slow) > 4)}: {len(slow)} channels with "
                     f"{', '.join(f'{rate:g}' for rate in rates[:4])} values a second are read at {most / held.seconds:g} as the others")
    names, twice = distinct([clean(channel.label) for channel in held.channels])
    if twice:
        notes.append(f"{name} has several channels called {', '.join(twice[:4])}: the later ones are numbered and have no place")
    factor = [VOLTS.get(channel.unit.lower().replace("µ", "u").replace("\\xb5", "u"), 1.0) for channel in held.channels]
    odd = sorted({channel.unit for channel in held.channels if channel.unit.lower().replace("µ", "u") not in VOLTS})
    if odd:
        notes.append(f"channels in {', '.join(map(repr, odd[:6]))} stay in that unit, all others are in microvolts")
    gaps = _gaps(path, held, most) if held.broken else np.zeros(0, np.int64)
    if len(gaps):
        notes.append(f"{name} has {len(gaps)} gaps in time; no window crosses one")

    def read(start: int, stop: int) -> np.ndarray:
        if stamp(path) != seen:
            raise Unreadable("was replaced while it was in use")
        values = _values(path, held, most, start, stop, factor)
        inside = gaps[(gaps >= start) & (gaps < stop)]
        values[:, inside - start] = np.nan
        return values

    units = ["uV" if channel.unit.lower().replace("µ", "u") in VOLTS else channel.unit for channel in held.channels]
    return Series(read, held.records * most, names, most / held.seconds, units, places(names), path, notes)


def _raw(path: str, held: Head) -> np.ndarray:
    """Records ``(n, bytes)`` as they lie in the file, mapped."""
    width = held.size * (3 if held.wide else 2)
    return np.memmap(path, np.uint8, "r", held.start, (held.records, width))


def _digital(raw: np.ndarray, wide: bool) -> np.ndarray:
    """Numbers of 16 or 24 bits, little-endian, ``(n, values)``."""
    if not wide:
        return np.ascontiguousarray(raw).view("<i2")
    parts = raw.reshape(len(raw), -1, 3).astype(np.int32)
    value = parts[..., 0] | parts[..., 1] << 8 | parts[..., 2] << 16
    return value - ((value >> 23) << 24)


def _values(path: str, held: Head, most: int, start: int, stop: int, factor: list[float]) -> np.ndarray:
    """Physical values ``(C, stop - start)`` float32 at the highest rate of the file."""
    first, last, width = start // most, -(-stop // most), 3 if held.wide else 2
    raw = _raw(path, held)
    out = np.empty((len(held.channels), stop - start), np.float32)
    for row, (channel, volts) in enumerate(zip(held.channels, factor)):
        more = channel.count != most  # a slower channel needs the values beside the stretch, too
        low, high = max(0, first - more), min(held.records, last + more)
        if first + 1 == last and not more:  # of a long record no more than is asked for
            place = width * (channel.first + start - first * most)
            x = _digital(raw[first:last, place:place + width * (stop - start)], held.wide)[0]
        else:
            place = width * channel.first
            x = _digital(raw[low:high, place:place + width * channel.count], held.wide).reshape(-1)
            if more:
                at = (np.arange(start, stop) + 0.5) * channel.count / most - 0.5 - low * channel.count
                x = np.interp(at, np.arange(len(x)), x)
            else:
                x = x[start - low * most:stop - low * most]
        out[row] = (x * channel.gain + channel.offset) * volts
    return out


def _gaps(path: str, held: Head, most: int) -> np.ndarray:
    """Last value before each gap."""
    if not held.notes:
        return np.zeros(0, np.int64)
    onset = _onsets(path, held)
    late = np.abs(np.diff(onset) - held.seconds) > 1.5 * held.seconds / most
    return (np.flatnonzero(late | np.isnan(np.diff(onset))) + 1) * most - 1


def _onsets(path: str, held: Head) -> np.ndarray:
    """When records begin, in seconds, as the first annotation of each says; NaN where it says nothing."""
    onset = np.full(held.records, np.nan)
    for i, said in enumerate(_said(path, held, *held.notes[0], first=24)):
        try:
            onset[i] = float(said.split(b"\x14")[0].split(b"\x15")[0])
        except ValueError:
            continue
    return onset


def _said(path: str, held: Head, place: int, many: int, first: int | None = None) -> Iterator[bytes]:
    """What each record has in a channel of annotations, or the ``first`` bytes of it."""
    width = 3 if held.wide else 2
    for row in _raw(path, held)[:, width * place:width * (place + many)][:, :first]:
        yield bytes(row)


def annotations(path: str, seconds: float | None = None) -> Annotations:
    """What is annotated in a file: in channels of annotations, else, of BioSemi's triggers, while each code but 0 is held.

    Args:
        path: of the file.
        seconds: that the recording lasts, where the file is one of annotations beside it; None where it is the recording.

    Raises:
        Unreadable: where an annotation begins with no time.
    """
    held = head(path, seconds is None)
    rows = [row for channel in held.notes for said in _said(path, held, *channel) for row in _listed(said)]
    if seconds is not None:
        return made(rows, seconds, os.path.basename(path), True)
    seconds = held.records * held.seconds
    if held.notes:
        onset, usual = _onsets(path, held), held.seconds * np.arange(held.records)
        onset = np.maximum.accumulate(np.where(np.isnan(onset), usual, onset))
        begin, length = (np.array([row[i] for row in rows], np.float64) for i in (0, 1))
        begin, end = _in_values(begin, onset, held.seconds), _in_values(begin + length, onset, held.seconds)
        return made([(a, b - a, row[2]) for a, b, row in zip(begin, end, rows, strict=True)], seconds, "its channel of annotations")
    if held.status is None or not held.status[1]:
        return Annotations()
    return made(list(_triggers(path, held)), seconds, "its channel of triggers")


def _listed(said: bytes) -> Iterator[tuple[float, float, str]]:
    """Beginning, length and text of the annotations in a record, those without text left out."""
    for each in said.split(b"\0"):
        times, *texts = each.split(b"\x14")
        if not any(texts):
            continue
        found = TIMES.fullmatch(times)
        if not found:
            raise Unreadable(f"has a wrong annotation: it begins with {printable(times.decode('latin-1'))[:20]!r}, not with a time")
        for text in filter(None, texts):
            yield float(found[1]), float(found[2] or 0), text.decode("utf-8", "replace").strip()


def _in_values(time: np.ndarray, onset: np.ndarray, seconds: float) -> np.ndarray:
    """Times of a file as seconds of its values laid end to end: what is in a gap is where the gap is."""
    if not len(onset):
        return time
    record = np.clip(np.searchsorted(onset, time, "right") - 1, 0, len(onset) - 1)
    since = time - onset[record]
    return record * seconds + np.where(record < len(onset) - 1, np.minimum(since, seconds), since)


def _triggers(path: str, held: Head) -> Iterator[tuple[float, float, str]]:
    """Beginning, length and number of each stretch in which a code of 16 bits is held."""
    (place, many), last, begun, at = held.status, 0, 0, 0
    raw = _raw(path, held)[:, 3 * place:3 * (place + many)]
    step = held.seconds / many
    for block in range(0, held.records, RECORDS):
        code = _digital(raw[block:block + RECORDS], True).reshape(-1) & 0xFFFF
        for i in np.flatnonzero(np.diff(code, prepend=last)).tolist():
            if last:
                yield begun * step, (at + i - begun) * step, str(last)
            last, begun = int(code[i]), at + i
        at += len(code)
    if last:
        yield begun * step, (at - begun) * step, str(last)
