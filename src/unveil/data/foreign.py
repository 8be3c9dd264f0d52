"""Recordings in formats that other packages read, in stretches."""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from pathlib import Path

import numpy as np

from unveil.data.annotations import made
from unveil.data.edf import VOLTS, clean, distinct
from unveil.data.montages import on_sphere, places
from unveil.data.options import Options
from unveil.data.records import Unreadable
from unveil.data.series import Series
from unveil.errors import Unusable

# MNE gives SI units; of what is no voltage, these are the usual ones of the field.
SCALE = {"mag": (1e15, "fT"), "grad": (1e13, "fT/cm"), "eeg": (1e6, "uV"), "seeg": (1e6, "uV"), "ecog": (1e6, "uV"), "eog": (1e6, "uV"),
         "ecg": (1e6, "uV"), "emg": (1e6, "uV")}
NO_SIGNAL = {"stim", "exci", "ias", "syst", "chpi"}
VALUES = ("data", "values", "signals", "signal", "eeg", "x")
RATES = ("rate", "sfreq", "fs", "sampling_rate", "sampling_frequency")


def _needed(module: str, file: str, extra: str):
    """A package that may not be there."""
    try:
        return importlib.import_module(module)
    except ImportError as why:
        raise Unusable(f"{file}: reading {Path(file).suffix} needs the package {module}: pip install 'unveil[{extra}]'") from why


def through_mne(path: str, options: Options) -> Series:
    """FIF, BrainVision or GDF by MNE, without reading values before they are asked for.

    Raises:
        Unreadable: where MNE cannot.
    """
    mne = _needed("mne", path, "signal")
    way = {".fif": mne.io.read_raw_fif, ".vhdr": mne.io.read_raw_brainvision, ".gdf": mne.io.read_raw_gdf}[Path(path).suffix.lower()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = way(path, preload=False, verbose="ERROR")
            kinds = raw.get_channel_types()
    except Exception as why:  # what a library raises at damage can be anything
        logging.getLogger(__name__).debug("MNE at %s", path, exc_info=True)
        raise Unreadable(f"cannot be read as {Path(path).suffix.lower()[1:].upper()}: it is damaged, or a part of it is missing") from why
    at = [i for i, kind in enumerate(kinds) if kind not in NO_SIGNAL]
    if not at:
        raise Unreadable("has no channels with signals")
    if raw.n_times <= 0:
        raise Unreadable("has no values")
    names, twice = distinct([clean(raw.ch_names[i]) for i in at])
    factor = np.array([SCALE.get(kinds[i], (1.0, ""))[0] for i in at])[:, None]

    def read(start: int, stop: int) -> np.ndarray:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return (raw.get_data(picks=at, start=start, stop=stop, verbose="ERROR") * factor).astype(np.float32)
        except Exception as why:
            raise Unreadable("is damaged: a stretch of it cannot be read") from why

    notes = [f"{os.path.basename(path)} has several channels called {', '.join(twice[:4])}"] if twice else []
    rate, seen = float(raw.info["sfreq"]), raw.annotations
    rows = [(begin - raw.first_time, length, word.strip()) for begin, length, word in zip(seen.onset.tolist(), seen.duration.tolist(),
                                                                                        seen.description.tolist(), strict=True)]
    held = made(rows, raw.n_times / rate, "it") if options.labels == "annotations" and rows else None
    return Series(read, int(raw.n_times), names, rate, [SCALE.get(kinds[i], (1.0, ""))[1] for i in at], _where(raw, at, kinds, names), path,
                  notes, held)


def _where(raw, at: list[int], kinds: list[str], names: list[str]) -> np.ndarray:
    """Places that were measured, on the sphere that fits them; of the others, where the systems put their names."""
    loc = np.array([raw.info["chs"][i]["loc"][:3] if kinds[i] in ("eeg", "seeg", "ecog") else [np.nan] * 3 for i in at])
    measured = on_sphere(loc) if np.isfinite(loc).all(1).any() else np.full(loc.shape, np.nan)
    named = places(names)
    named[[i for i, number in enumerate(at) if kinds[number] in ("mag", "grad")]] = np.nan
    return np.where(np.isfinite(measured), measured, named)


def wfdb_record(path: str, options: Options) -> Series:
    """A record of PhysioNet, by the path of its header.

    Raises:
        Unreadable: where wfdb cannot.
    """
    wfdb = _needed("wfdb", path, "signal")
    record = path.removesuffix(".hea")
    try:
        head = wfdb.rdheader(record, rd_segments=True)
        names, rate, length = list(head.sig_name or ()), float(head.fs), int(head.sig_len or 0)
        units = list(head.units or [""] * len(names))
    except Exception as why:
        raise Unreadable("cannot be read as a WFDB record: its header is damaged") from why
    if not names or not length or len(units) != len(names):
        raise Unreadable("has no signals")
    names, _ = distinct([clean(name) for name in names])
    factor = np.array([VOLTS.get(unit.lower(), 1.0) for unit in units])

    def read(start: int, stop: int) -> np.ndarray:
        try:
            held = wfdb.rdrecord(record, sampfrom=start, sampto=stop, physical=True).p_signal
        except Exception as why:
            raise Unreadable("is damaged, or its file of values is missing") from why
        if held is None or held.shape != (stop - start, len(names)):
            raise Unreadable("is damaged: it has fewer values than its header says")
        return (held * factor).T.astype(np.float32)

    return Series(read, length, names, rate, ["uV" if unit.lower() in VOLTS else unit for unit in units], places(names), path)


def hdf5(path: str, options: Options) -> Series:
    """A file with one array of two axes, called data or so, and ``rate`` and ``channels`` beside it or as its attributes.

    Raises:
        Unreadable: where there is none.
        Unusable: where the axes are not certain.
    """
    h5py = _needed("h5py", path, "signal")
    try:
        with h5py.File(path, "r") as held:
            tables = {name.lower(): held[name] for name in held if isinstance(held.get(name), h5py.Dataset)}
            found = next((tables[name] for name in VALUES if name in tables), None)
            if found is None or found.ndim != 2 or found.dtype.kind not in "iuf":
                raise Unreadable(f"has no array of two axes called {', '.join(VALUES)}; it holds {', '.join(list(held)[:8]) or 'nothing'}")
            said = {key.lower(): value for key, value in (*held.attrs.items(), *found.attrs.items())}
            said |= {name: table[()] for name, table in tables.items() if name in (*RATES, "channels") and table.size < 10_000}
            name, shape = found.name, found.shape
    except Unreadable:
        raise
    except Exception as why:
        raise Unreadable("cannot be read as HDF5: it is damaged, or no such file") from why
    names = _words(said.get("channels"))
    rate = next((float(np.ravel(said[key])[0]) for key in RATES if key in said and np.size(said[key]) == 1), options.rate)
    rate = rate if rate and 0 < rate < np.inf else None
    last = options.layout == "tc" or (options.layout is None and bool(names) and shape[1] == len(names) != shape[0])
    if options.layout is None and not last and not (names and shape[0] == len(names) != shape[1]):
        raise Unusable(f"{path}: an array of {'x'.join(map(str, shape))} can have its channels first or last. Say which:\n"
                       "  --layout ct\n  --layout tc")
    channels, length = (shape[1], shape[0]) if last else shape

    def read(start: int, stop: int) -> np.ndarray:
        try:
            with h5py.File(path, "r") as held:
                x = held[name][start:stop].T if last else held[name][:, start:stop]
        except Exception as why:
            raise Unreadable("is damaged: a stretch of it cannot be read") from why
        x = x.astype(np.float32)
        x[~np.isfinite(x)] = np.nan
        return x

    labels = distinct([clean(label) for label in names])[0] if len(names) == channels else [str(i + 1) for i in range(channels)]
    return Series(read, length, labels, rate, None, places(labels), path)


def _words(held) -> list[str]:
    if held is None:
        return []
    return [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in np.ravel(held).tolist()]
