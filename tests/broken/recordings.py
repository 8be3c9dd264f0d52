"""Broken recordings: EDF and BDF that lie in their headers, other formats cut or bent, files that only end as one, and
tables of annotations beside them."""

from __future__ import annotations

from random import Random

import numpy as np

from broken.damage import damaged
from broken.words import CELLS, TEXT
from recorded import edf

NAMES = ("Fp1", "EEG C3-REF", "O1", "Fp1", "EKG", "", "A" * 16, "Status", "EDF Annotations", "Fp1-F7", "\xb5\xff", "--", "EEG")
FIELDS = {"version": (0, 8), "person": (8, 80), "size": (184, 8), "kind": (192, 44), "records": (236, 8), "seconds": (244, 8),
          "signals": (252, 4)}
NUMBERS = ("0", "-1", "-2", "1e9", "1e400", "nan", "inf", "99999999", "0x10", "1_0", "", " ", "1,5", "\xbd", "-", "1 1", "2147483647")


def sound(rng: Random) -> bytes:
    """A file of a few channels and seconds."""
    channels, rate = rng.choice((1, 2, 5)), rng.choice((10, 50))
    values = np.random.default_rng(rng.randrange(10**6)).normal(0, 50, (channels, 6 * rate))
    rates = [rate if rng.random() < 0.9 else rate // 5 for _ in range(channels)]
    return edf([x[:6 * each] for x, each in zip(values, rates)], [rng.choice(NAMES[:6]) for _ in range(channels)], rates,
               bdf=rng.random() < 0.3, units=[rng.choice(("uV", "mV", "V", "%", "", "\xb5V")) for _ in range(channels)],
               onsets=rng.choice((None, None, [0, 1, 2, 30, 31, 32])),
               annotations=rng.choice((None, None, [(rng.uniform(-1, 7), rng.choice((None, 0, 1.5)), rng.choice(NAMES))
                                                    for _ in range(3)])))


def odd_head(rng: Random) -> bytes:
    """Fields that say what cannot be."""
    content = bytearray(sound(rng))
    for _ in range(rng.choice((1, 1, 3))):
        at, width = rng.choice(list(FIELDS.values()))
        said = rng.choice((*NUMBERS, *CELLS[:20])).encode("utf-8", "replace")[:width]
        content[at:at + width] = said.ljust(width)
    return bytes(content)


def odd_lines(rng: Random) -> bytes:
    """Lines of channels that say what cannot be: ends, counts, names."""
    content = bytearray(sound(rng))
    count = int(bytes(content[252:256]))
    for _ in range(rng.choice((1, 2, 6))):
        before, width = rng.choice(((0, 16), (96, 8), (104, 8), (112, 8), (120, 8), (128, 8), (216, 8)))
        at = 256 + before * count + width * rng.randrange(count)
        said = rng.choice((*NUMBERS, *NAMES)).encode("latin-1", "replace")[:width]
        content[at:at + width] = said.ljust(width)
    return bytes(content)


def odd_values(rng: Random) -> bytes:
    """Nothing, the least, the greatest or one value throughout, or annotations that are none."""
    content = sound(rng)
    start = 256 * (1 + int(content[252:256]))
    rest = len(content) - start
    return content[:start] + rng.choice((b"\0", b"\xff", b"\x80\x00", b"\xff\x7f", b"+1\x14\x14", rng.randbytes(97))) * (rest // 2)


def table(rng: Random) -> tuple[str, bytes]:
    """A name beside ``a.edf`` and a table with stretches of time, some of them none."""
    ending, mark = rng.choice(((".csv", ","), (".csv_bi", ","), (".tsv", "\t")))
    heads = rng.choice((("channel", "start_time", "stop_time", "label"), ("onset", "duration", "trial_type"), ("onset", "label"), ("x",),
                        ()))
    cell = lambda: rng.choice((*NUMBERS, *CELLS[:20], "seiz", "bckg", *(f"{rng.uniform(0, 8):.2f}" for _ in range(20))))
    lines = ["# made up"] * rng.randrange(2) + [mark.join(heads)]
    lines += [mark.join(cell() for _ in range(max(0, len(heads) + rng.choice((0, 0, 0, 1, -1))))) for _ in range(rng.randrange(5))]
    return "a" + ending, "\n".join(lines).encode("utf-8", "replace") + rng.choice((b"", b"", b"\xff\xfe", b"\0"))


def other(rng: Random) -> tuple[str, bytes]:
    """A name of another format over bytes of any sort."""
    ending = rng.choice((".h5", ".hea", ".vhdr", ".gdf", ".fif", ".edf", ".bdf"))
    text = rng.choice((b"", b"\0" * 300, b"time,x\n1,2\n", b"r100 2 360 1000\nr100.dat 16 200 16 0 0 0 0 a\nr100.dat 16 200 16 0 0 0 0 b\n",
                       b"Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=none.eeg\n",
                       b"\x89HDF\r\n\x1a\n" + b"\0" * 90,
                       b"GDF 2.20" + b"\0" * 400, rng.randbytes(700)))
    return "a" + ending, text


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, one file or two, what the user says."""
    name, chance = "a.edf", rng.random()
    if chance < 0.45:
        way = rng.choice((odd_head, odd_lines, odd_values))
        how, content = way.__name__, way(rng)
    elif chance < 0.6:
        how, (name, content) = "other", other(rng)
    else:
        how, content = damaged(sound(rng), rng, [sound(rng)], TEXT)
    files = {name: content}
    if rng.random() < 0.3:
        files[rng.choice(("in/b.edf", "sub-01/c.bdf"))] = sound(rng)
    if rng.random() < 0.3:
        files |= dict([table(rng)])
        return how, files, {"labels": "annotations"}
    return how, files, rng.choice(({}, {"labels": "annotations"}, {"groups": "files"}, {"labels": "folders"}, {"rate": 20.0},
                                   {"layout": "ct"}))
