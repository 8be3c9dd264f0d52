"""Recordings of EEG and other signals: one file, or a folder of them, nested or not, each with its own channels, rate and length.

EDF and BDF need no other package; FIF, BrainVision and GDF are read by MNE, PhysioNet's WFDB by wfdb, HDF5 by h5py.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from glob import escape
from pathlib import Path

import numpy as np

from unveil.data import edf
from unveil.data.annotations import Annotations, beside
from unveil.data.foreign import hdf5, through_mne, wfdb_record
from unveil.data.options import Options
from unveil.data.readers.pictures import walk
from unveil.data.records import Records, Unreadable
from unveil.data.series import Series
from unveil.errors import Unusable

NAME = "recordings"
KINDS = ("signal",)
READ: dict[str, Callable[[str, Options], Series]] = {
    ".edf": lambda path, options: edf.series(path), ".bdf": lambda path, options: edf.series(path), ".fif": through_mne,
    ".vhdr": through_mne, ".gdf": through_mne, ".hea": wfdb_record, ".h5": hdf5, ".hdf5": hdf5}
OWN = {".edf", ".bdf"}  # whose annotations are read here
HYPNOGRAM = "-Hypnogram.edf"
LOOSE = {".h5", ".hdf5"}  # hold anything: a folder is of recordings for their sake only where nothing else is in it that is read
OTHERS = {".csv", ".ts", ".npy", ".npz", ".tar", ".png", ".jpg", ".jpeg", ".parquet"}
PERSON = re.compile(r"(?:^|[/\\_])sub-([A-Za-z0-9]+)")
HELD_OUT, PARTS = {"test", "eval", "evaluation"}, {"train", "training", "test", "eval", "evaluation", "val", "valid", "validation", "dev"}


def detect(path: Path) -> str | None:
    """What is seen at ``path``, looking at names alone."""
    if path.is_file():
        return f"a recording in {path.suffix.lower()}" if path.suffix.lower() in READ else None
    first = next(walk(path, set(READ) - LOOSE), None)
    if first is None and next(walk(path, set(OTHERS)), None) is None:
        first = next(walk(path, LOOSE), None)
    return f"a folder of recordings such as {os.path.basename(first)}" if first else None


def read(path: Path, options: Options) -> Records:
    """Records of one file or of all below a folder, each opened when it is asked for.

    Groups are subjects: as ``sub-01`` in the path says, else the header of an EDF or BDF file, else each file is its own. Folders called
    train and eval or test say what is held out, and the folders in them are then the labels of ``--labels folders``. With ``--labels
    annotations`` each window has a label of its own; see :mod:`unveil.data.annotations`.
    """
    files = [str(path)] if path.is_file() else list(walk(path, set(READ)))
    if options.labels == "annotations" and path.is_dir():
        files = [file for file in files if not file.endswith(HYPNOGRAM)]
    below = [Path(file).relative_to(path).parts[:-1] if path.is_dir() else () for file in files]
    parted = bool(below) and all(parts and parts[0].lower() in PARTS for parts in below)
    test = np.array([parted and parts[0].lower() in HELD_OUT for parts in below])
    groups, notes = _groups(files, options) if options.groups != "folders" else (_folders(below, 0, path, "groups"), [])
    labels = _folders(below, parted, path, "labels") if options.labels == "folders" else None
    return Records(files, lambda i: _opened(files[i], options), labels=labels, groups=groups, notes=notes,
                   test=test if test.any() and not test.all() else None)


def _opened(file: str, options: Options) -> Series:
    ending = Path(file).suffix.lower()
    try:
        held = READ[ending](file, options)
        return held if options.labels != "annotations" else replace(held, annotations=_annotated(file, ending, held))
    except OSError as why:
        raise Unreadable(f"cannot be read: {(why.strerror or 'it is damaged').lower()}") from why


def _annotated(file: str, ending: str, held: Series) -> Annotations:
    """What the table beside a recording says of it, else the recording itself."""
    if not held.rate:
        raise Unreadable("says no rate, and annotations are in seconds: give --rate")
    seconds = held.length / held.rate
    found = beside(file, seconds)
    if found is None and (scored := _hypnogram(file)):
        found = edf.annotations(scored, seconds)
    if found or ending not in OWN:
        return found or held.annotations or Annotations()
    return edf.annotations(file)


def _hypnogram(file: str) -> str | None:
    """The file of sleep stages beside a recording, as the Sleep-EDF set has them: ``SC4001EC-Hypnogram.edf`` for ``SC4001E0-PSG.edf``."""
    stem, mark, kind = Path(file).stem.rpartition("-")
    here = Path(file).parent.glob(f"{escape(stem[:-1])}?{HYPNOGRAM}") if mark and kind == "PSG" else ()
    return next(map(str, sorted(here)), None)


def _folders(below: list[tuple[str, ...]], parted: bool, path: Path, what: str) -> np.ndarray:
    """The first folder below ``path`` that each file lies in, or the second one where the first says what is held out."""
    found = np.array([parts[parted] if len(parts) > parted else "" for parts in below])
    if not any(found):
        raise Unusable(f"{path} has no sub-folders to take {what} from: leave out --{what} folders")
    return found


def _groups(files: list[str], options: Options) -> tuple[np.ndarray, list[str]]:
    """Subject of each file, and how they were found."""
    if options.groups not in (None, "files"):
        raise Unusable(f"recordings have no column {options.groups!r}: their groups are subjects, or --groups files or folders")
    if options.groups == "files":
        return np.array(files), []
    people, how = [], Counter()
    for file in files:
        found = PERSON.search(file)
        said = "" if found or Path(file).suffix.lower() not in OWN else edf.subject(file)
        people.append(f"sub-{found[1]}" if found else said or file)
        how["their path" if found else "their header" if said else "nothing: each file is taken as a subject of its own"] += 1
    told = "; ".join(f"{count} of {len(files)} recordings by {way}" for way, count in how.items())
    return np.array(people), [f"{len(set(people))} subjects, known of {told}"] if len(files) > 1 else []
