"""What was annotated of recordings: stretches of time with a word each, inside a file or in a table beside it, as labels of windows."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unveil.data.columns import MISSING, number
from unveil.data.records import Unreadable
from unveil.errors import Unusable
from unveil.wording import printable

BEGIN, END, LENGTH = ("start_time", "onset", "start"), ("stop_time", "stop", "end"), ("duration",)
WORD = ("label", "trial_type", "eventtype", "description", "value")
BACKGROUND = ("bckg", "background")  # words for nothing of note: they give way to any other word of the same window
ASIDE = ("bad", "edge boundary")  # how MNE calls stretches that are to be left out: they are no classes
PLACES = 6  # of seconds, so that rounding parts no equals
SIGNALS = ("eeg", "ieeg", "meg")  # how names of recordings end in BIDS


@dataclass(frozen=True)
class Annotations:
    """Stretches of one recording.

    Attributes:
        begin: of each, seconds from the first value, float64 ``(n,)``.
        end: of each, in seconds.
        words: of each.
        known: somebody looked: a recording without any stretch is background throughout; else nothing is known of it.
        table: they stand in a table beside the file.
        late: number of those that begin after the recording's end and were left out.
    """

    begin: np.ndarray = field(default_factory=lambda: np.zeros(0))
    end: np.ndarray = field(default_factory=lambda: np.zeros(0))
    words: Sequence[str] = ()
    known: bool = False
    table: bool = False
    late: int = 0


class Part(NamedTuple):
    """Windows of one recording.

    Attributes:
        held: what was annotated of it.
        begin: of each window, seconds from the first value ``(n,)``.
        seconds: that each lasts.
        least: seconds between two values: what is not longer is a marker.
    """

    held: Annotations
    begin: np.ndarray
    seconds: float
    least: float


def made(rows: Sequence[tuple[float, float, str]], seconds: float, where: str, table: bool = False) -> Annotations:
    """Annotations of a recording that lasts ``seconds``.

    Args:
        rows: beginning and length in seconds, and word; a row without a word says nothing.
        seconds: of the recording.
        where: they stand, for messages.
        table: as in :class:`Annotations`.

    Raises:
        Unreadable: where times are no times, or all are after the recording's end.
    """
    for at, (begin, length, word) in enumerate(rows):
        if not (math.isfinite(begin) and math.isfinite(length)) or length < 0:
            raise Unreadable(f"has a wrong annotation in {where}: number {at + 1}, {printable(word)[:40]!r}, begins at {begin:g} s and "
                             f"lasts {length:g} s; both must be numbers, and no length is negative")
    said = [(begin, length, word) for begin, length, word in rows if word and not word.lower().startswith(ASIDE)]
    inside = [row for row in said if row[0] < seconds]
    if said and not inside:
        raise Unreadable(f"ends before any annotation of it in {where} begins: it lasts {seconds:g} s, the first begins at "
                         f"{min(row[0] for row in said):g} s. Times there must be in seconds from its beginning")
    begin, length = (np.array([row[i] for row in inside], np.float64) for i in (0, 1))
    return Annotations(begin, begin + length, [printable(row[2]) for row in inside], True, table, len(said) - len(inside))


def beside(path: str, seconds: float) -> Annotations | None:
    """What the table beside a recording says: ``NAME.csv_bi`` or ``NAME.csv`` as in TUSZ, ``NAME.tsv``, or ``..._events.tsv`` as in BIDS,
    the first of these that is there; None where none is.

    Args:
        path: of the recording.
        seconds: that it lasts.

    Raises:
        Unreadable: where a table is there, but says no times and words.
    """
    file = Path(path)
    places = [file.with_suffix(ending) for ending in (".csv_bi", ".csv", ".tsv")]
    stem, _, last = file.stem.rpartition("_")
    places += [file.with_name(f"{stem}_events.tsv")] if last in SIGNALS else []
    place = next((place for place in places if place.is_file()), None)
    return None if place is None else made(list(_rows(place)), seconds, place.name, True)


def _rows(place: Path) -> Iterator[tuple[float, float, str]]:
    """Beginning, length and word of every line of a table."""
    try:
        with open(place, newline="", encoding="utf-8-sig") as stream:
            lines = list(csv.reader((line for line in stream if line.strip() and not line.startswith("#")),
                                    delimiter="," if place.suffix.startswith(".csv") else "\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as why:
        reason = getattr(why, "strerror", None) or "it is no text in UTF-8"
        raise Unreadable(f"has annotations in {place.name} that cannot be read: {reason}") from why
    heads = [head.strip().lower() for head in lines[0]] if lines else []
    first, last, length, word = (next((heads.index(name) for name in names if name in heads), None) for names in (BEGIN, END, LENGTH, WORD))
    if first is None or word is None or (last is None and length is None):
        found = ", ".join(map(repr, heads[:8])) or "nothing"
        raise Unreadable(f"has a table beside it, {place.name}, that is not of annotations: it has {found} at its head, not start_time, "
                         "stop_time and label, nor onset, duration and trial_type. Correct it or move it away")
    for line in lines[1:]:
        cell = lambda at, line=line: line[at].strip() if at is not None and at < len(line) else ""
        begin, said = number(cell(first)), cell(word)
        lasts = number(cell(length)) if last is None else number(cell(last)) - begin
        yield begin, 0.0 if last is None and np.isnan(lasts) else lasts, "" if said.lower() in MISSING else said


def of_windows(parts: Sequence[Part]) -> tuple[np.ndarray, list[str]]:
    """Words of all windows, one recording after the other, ``""`` for none, and what a person should know of them.

    A window has the word that covers most of it, at least half; words for background give way to any other. Where two cover equally
    much, or stretches of several words cover half of it together but none alone, it has none; where they do not, it is background.

    Raises:
        Unusable: where nothing is annotated, or no stretch is long enough.
    """
    known = [part.held for part in parts if part.held.known]
    if not any(held.words or held.table for held in known):
        raise Unusable("no recording has annotations, neither in its file nor in a table beside it, NAME.csv_bi, NAME.csv, NAME.tsv or "
                       "NAME_events.tsv: leave out --labels annotations, or put such tables there")
    lengths = [(end - begin > 1.5 * part.least, word) for part in parts for begin, end, word in zip(part.held.begin, part.held.end,
                                                                                                part.held.words, strict=True)]
    if lengths and not any(long for long, _ in lengths):
        some = ", ".join(repr(word) for word, _ in Counter(word for _, word in lengths).most_common(4))
        raise Unusable(f"all {len(lengths)} annotations, such as {some}, are markers of no length, which label no window: give each a "
                       "length, as the column duration of NAME_events.tsv beside the recording does")
    words = sorted({word for long, word in lengths if long}, key=lambda word: (word.lower() in BACKGROUND, word))
    nothing = next((word for word in words if word.lower() in BACKGROUND), "background")
    labels = np.concatenate([_labels(part, words, nothing) for part in parts])
    if words and not set(labels.tolist()) & set(words):
        longest = max((part.held.end - part.held.begin).max(initial=0) for part in parts)
        raise Unusable(f"no annotation covers half of a window of {parts[0].seconds:g} s, the longest lasts {longest:g} s: "
                       "take shorter windows by --kind.window")
    return labels, _notes(parts, known, labels, lengths)


def _labels(part: Part, words: list[str], nothing: str) -> np.ndarray:
    """Of the windows of one recording."""
    held, count = part.held, len(part.begin)
    if not held.known:
        return np.full(count, "")
    names, long = np.array(held.words, dtype=object), held.end - held.begin > 1.5 * part.least
    cover = lambda chosen: _covered(held.begin[chosen], held.end[chosen], part.begin, part.begin + part.seconds)
    shares = np.stack([cover(long & (names == word)) for word in words] + [np.zeros(count)])
    half = round(part.seconds / 2, PLACES)
    plain = np.array([word.lower() in BACKGROUND for word in words] + [False])
    shares[plain] = np.where((shares[~plain] >= half).any(0), 0, shares[plain])
    most = shares.max(0)
    best = np.where((shares == most).sum(0) > 1, "", np.array([*words, nothing], dtype=object)[shares.argmax(0)])
    return np.where(most >= half, best, np.where(cover(long) >= half, "", nothing)).astype(str)


def _covered(begin: np.ndarray, end: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Seconds of each stretch from ``first`` to ``last`` that lie in any of some others, which may overlap."""
    if not len(begin):
        return np.zeros(len(first))
    order = np.argsort(begin, kind="stable")
    begin, reach = begin[order], np.maximum.accumulate(end[order])
    new = np.r_[True, begin[1:] > reach[:-1]]
    begin, end = begin[new], reach[np.r_[new[1:], True]]
    at = np.stack([begin, end], 1).reshape(-1)
    total = np.stack([np.r_[0, np.cumsum(end - begin)[:-1]], np.cumsum(end - begin)], 1).reshape(-1)
    return (np.interp(last, at, total) - np.interp(first, at, total)).round(PLACES)


def _notes(parts: Sequence[Part], known: list[Annotations], labels: np.ndarray, lengths: list[tuple[bool, str]]) -> list[str]:
    """How many windows have which class, from where, and what was left out."""
    counts, tables = Counter(labels.tolist()), sum(held.table for held in known)
    without, markers, late = counts.pop("", 0), sum(not long for long, _ in lengths), sum(held.late for held in known)
    told = ", ".join(f"{count} {word}" for word, count in sorted(counts.items(), key=lambda each: -each[1])[:12])
    where = f"{tables} of {len(parts)} recordings have them in a table beside" if tables else "they stand in the recordings"
    notes = [f"windows by annotation: {told}{', ...' * (len(counts) > 12)}" + f"; {without} without a class" * bool(without) + f"; {where}"]
    if len(known) < len(parts):
        notes.append(f"{len(parts) - len(known)} of {len(parts)} recordings have no annotations: their windows have no class")
    if markers:
        notes.append(f"{markers} annotations are markers of no length and label nothing")
    if late:
        notes.append(f"{late} annotations begin after the end of their recording and were left out")
    return notes
