"""Sets of series that ship in packages: what their files hold, checked against what is written of them.

The table says of each set its rate, its channels and where both are written. ``docs/signals.md`` shows it. Where an order of channels is
not documented they are numbered and have no place: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unveil.data.montages import places
from unveil.data.options import Options
from unveil.data.readers import series
from unveil.data.records import Records, Unreadable
from unveil.data.series import Series, of_array


@dataclass(frozen=True)
class Layout:
    """What stands in the two files of a set.

    Attributes:
        folder: name of the set in its package, and of its files.
        rate: values a second; None where it is not written, or the values do not follow one another in time.
        channels: their names, in order.
        electrodes: the names are electrodes or derivations of the head.
        unit: of the values, as it is written.
        source: where rate and channels are written.
        folded: the file holds the numbers of a trial cut at the wrong places, see :func:`unfolded`.
        held: what is counted or found besides, in a sentence.
    """

    folder: str
    rate: float | None
    channels: tuple[str, ...]
    electrodes: bool
    unit: str
    source: str
    folded: bool = False
    held: str = ""


NUMBERED = tuple(str(i + 1) for i in range(10))
HEAD = "head of the .ts file"
LAYOUTS = {
    "scp1": Layout(
        "SelfRegulationSCP1", 256.0, ("A1-Cz",), True, "uV", f"{HEAD}, after bbci.de/competition/ii/tuebingen_desc_i.html", True,
        "6 channels are announced; the file holds the first whole and 30 values of the second"),
    "scp2": Layout(
        "SelfRegulationSCP2", 256.0, ("A1-Cz",), True, "uV", f"{HEAD}, after bbci.de/competition/ii/tuebingen_desc_ii.html", True,
        "7 channels are announced; the file holds the first whole and 42 values of the second"),
    "finger-movements": Layout(
        "FingerMovements", 100.0, ("F3", "F1", "Fz", "F2", "F4", "FC5", "FC3", "FC1", "FCz", "FC2", "FC4", "FC6", "C5", "C3", "C1", "Cz"),
        True, "", f"{HEAD}, after bbci.de/competition/ii/berlin_desc.html", True,
        "28 channels are announced; the file holds the first 16 whole and 6 values of the next"),
    "hand-movement-direction": Layout(
        "HandMovementDirection", 400.0, NUMBERED, False, "", f"{HEAD}, after bbci.de/competition/iv desc_3.pdf", False,
        "MEG: sensors above the head have no place among electrodes; two subjects are said to be merged, untold apart"),
    "blink": Layout(
        "Blink", 255.0, NUMBERED[:4], False, "", 
        f"{HEAD}; no order of channels is written there or at github.com/Kelvin9811/EEG-Blink-dataset"),
    "eyes-open-shut": Layout(
        "EyesOpenShut", 128.0, ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4"), True, "",
        "EyesOpenShut.txt of the package; the order is that of the columns of the UCI set 264, whose first rows the file repeats", False,
        "the package's own EyesOpenShut.json has another order, under which correlation between channels does not fall with distance "
        "(0.06; -0.83 under this one)"),
    "italy-power-demand": Layout("ItalyPowerDemand", None, ("power",), False, "", HEAD, False, "24 values, of a day"),
    "acsf1": Layout("ACSF1", None, ("power",), False, "", HEAD),
    "osu-leaf": Layout("OSULeaf", None, ("outline",), False, "", HEAD, False, "values follow an outline, not time"),
    "arrow-head": Layout("ArrowHead", None, ("outline",), False, "", HEAD, False, "values follow an outline, not time"),
    "gun-point": Layout("GunPoint", None, ("hand x",), False, "", HEAD),
    "pickup-gesture": Layout("PickupGestureWiimoteZ", None, ("acceleration z",), False, "", HEAD, False,
                             "series differ in length; a class is a person"),
}
NEURO, AEON = tuple(LAYOUTS)[:6], tuple(LAYOUTS)[6:]
# SHA-256 of the training and the test file.
DIGESTS = {
    "scp1": ("841e9e5031d38aa407396a017e61173674282ecdd8010375f24350cf13083ff2",
             "d55b2ea9980bd86fcdf2905593d18f0ee9333a7e3ef3687b828776bcb749de20"),
    "scp2": ("41c6a0310dc5c96155181509c4024ea139aa6ed38bb2252124b056fac8235fae",
             "1c2656ee44046ded9b901a4345cfb094f5585a2317919e2653a17708b2b38a70"),
    "finger-movements": ("26599c27a44cfb2f0723e6c944d486e3e47991bfc2ddc8e8aa7d99d008363840",
                         "cbfd5ac70ff7a83fb29f9c2a3c6745fdfc640a8002b6973ee0d716737c47b8d6"),
    "hand-movement-direction": ("dca263f9161bbb4570794e0e93522a608139cc8d768d14e7aba1bf20263f030d",
                                "c192d70ab65f548b992a473ed75f9bf562943e91f2e07e5a3e5afb5c389d8e9e"),
    "blink": ("5ca84638ffeceb8c24370218dd3f665618f8935bec4e34d6d57365f8ee783f6b",
              "c7022448ffbf1d55af9410161ce92e98be5b6f53bf0aba8af7094d1127b08789"),
    "eyes-open-shut": ("c40b21a74e70b28f569d5c5e03371fa311d88d20adfadca016080c6f1ecfe773",
                       "dfa0d32ebcbef6ebbd9dcece26ca7ff35c5c44ad1b96d44bf9e56cc2d91776ae"),
    "italy-power-demand": ("341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c",
                           "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144"),
    "acsf1": ("0646b90dc4843e02baed6b2ba345c5601a4991b6796565489cef1b2d92a7537b",
              "93e8aaeb44a10af181d24a156e60da7021193cd990ca28f263fccf3b905bfebf"),
    "osu-leaf": ("86b9d6e860414ffd26cebc62fff84ffb37fa588ef3e5bf79e4094a437c36ddfc",
                 "6c549dd354f9e42d5985fa5fab75321ca9acefc7873457e71467fc8a31f107ce"),
    "arrow-head": ("a83c470aaf611a5f5284377cce27a5fc9f6292bc3d110257b0fd4905ced5ee72",
                   "5417dab42626d41df5e435bb22458c2df40dfad4bcd3b59559bbe72e20e84904"),
    "gun-point": ("f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5",
                  "79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e"),
    "pickup-gesture": ("4d303d9990df621c066fc454d62626e3721aed008462103500b86b1ac1ca92c8",
                       "a9109bce918e48ee0e924e9cf2fdfdc4de364a3d88ec5e8aa44399ff08b11361"),
}


def files(*names: str) -> dict[str, str]:
    """Files of some sets, as they lie in their package, and their SHA-256."""
    return {f"{(folder := LAYOUTS[name].folder)}/{folder}_{part}.ts": digest
            for name in names for part, digest in zip(("TRAIN", "TEST"), DIGESTS[name])}


def unfolded(x: np.ndarray, channels: int) -> np.ndarray:
    """The channels ``(channels, T)`` that a folded trial ``(C, T)`` holds whole.

    Three sets of the package were written with windows in place of channels: row ``c`` holds the numbers from ``c * C`` on of all
    channels laid end to end, so each row repeats the one before, ``C`` values later, and most channels are not in the file at all.

    Raises:
        Unreadable: where the rows do not repeat each other: this is another version of the file.
    """
    rows, length = x.shape
    if not np.array_equal(x[1:, :length - rows], x[:-1, rows:]):
        raise Unreadable("is not folded as the known version of this file is: its channels are not certain")
    flat = np.concatenate([x[0], x[1:, length - rows:].reshape(-1)])
    return np.ascontiguousarray(flat[:channels * length].reshape(channels, length))


def read(name: str, folder: Path, prefix: bool = False) -> Records:
    """A set with its official split, each trial with its channels, rate and places.

    Args:
        name: of the set.
        folder: that holds its files.
        prefix: names say the set, and so do labels, groups and channels without a place: it is one of several in a pool.
    """
    layout = LAYOUTS[name]
    parts = [series.read(folder / layout.folder / f"{layout.folder}_{part}.ts", Options()) for part in ("TRAIN", "TEST")]
    cut = len(parts[0])
    where = places(layout.channels) if layout.electrodes else None
    channels = [f"{name} {channel}" if prefix and not layout.electrodes else channel for channel in layout.channels]

    def load(i: int) -> Series:
        values = parts[i >= cut].load(i - cut * (i >= cut))
        values = unfolded(values, len(channels)) if layout.folded else values
        return of_array(values, channels, layout.rate, where)

    labels = np.concatenate([part.labels for part in parts])
    test = np.arange(len(labels)) >= cut
    group = np.where(test, f"{name}, official test part", name) if prefix else None
    return Records([f"{name} {'test' if late else 'train'} {i - cut * late}" for i, late in enumerate(test.tolist())], load, layout="ct",
                   labels=np.char.add(f"{name}: ", labels) if prefix else labels, groups=group, rate=layout.rate, channels=channels,
                   test=test, notes=[f"{name}: {layout.held}"] if layout.held else [])


def pooled(sets: Mapping[str, Records]) -> Records:
    """Several sets as one, whose records have channels and rates of their own."""
    held = list(sets.values())
    ends = np.cumsum([len(each) for each in held])

    def load(i: int) -> Series:
        at = int(np.searchsorted(ends, i, side="right"))
        each, i = held[at], i - int(ends[at - 1] if at else 0)
        found = each.load(i)
        return found if isinstance(found, Series) else of_array(found, each.channels, each.rate)

    return Records([name for each in held for name in each.names], load, labels=np.concatenate([each.labels for each in held]),
                   groups=np.concatenate([each.groups for each in held]),
                   test=np.concatenate([np.zeros(len(each), bool) if each.test is None else each.test for each in held]),
                   notes=[note for each in held for note in each.notes])


def pool(names: tuple[str, ...], folder: Path) -> Records:
    """Some of the sets, which lie in one folder."""
    return pooled({name: read(name, folder, prefix=True) for name in names})


def table() -> str:
    """What is known of each set, as Markdown."""
    rows = ["| set | rate (Hz) | channels | places | where it is written | what the file holds |", "|---|---|---|---|---|---|"]
    for name, each in LAYOUTS.items():
        known = int(np.isfinite(places(each.channels)).all(1).sum()) if each.electrodes else 0
        rows.append(f"| `{name}` | {each.rate or 'not written':{'g' if each.rate else ''}} | {' '.join(each.channels)} | "
                    f"{known} of {len(each.channels)} | {each.source} | {each.held or 'as announced'} |")
    return "\n".join(rows)
