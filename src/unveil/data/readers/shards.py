"""Tar shards in the layout of WebDataset: ``key.jpg`` or ``key.npy`` beside ``key.cls``, ``key.txt`` or ``key.json``."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from unveil.data import npy
from unveil.data.changes import stamp
from unveil.data.labels import numeric
from unveil.data.options import Options
from unveil.data.readers.pictures import ENDINGS, decode, walk
from unveil.data.records import Records, Unreadable
from unveil.data.runs import GROUPS, LABELS, plain
from unveil.data.tars import Members, files, index, last, named
from unveil.errors import Unusable

NAME = "shards"
KINDS = ("image", "signal")
VALUES = {*ENDINGS, ".npy"}


@dataclass(frozen=True)
class Place:
    """Where a record lies in its shard, or why it cannot be used, and what is said of it."""

    shard: str
    key: str
    start: int = 0
    size: int = 0
    picture: bool = False
    fault: str = ""
    label: str = ""
    group: str = ""
    target: str = ""


def detect(path: Path) -> str | None:
    """What is seen at ``path``, looking at names alone."""
    if path.is_file():
        return "a tar shard" if path.suffix.lower() == ".tar" else None
    return "a folder of tar shards" if next(walk(path, {".tar"}), None) else None


def kinds(path: Path) -> tuple[str, ...]:
    """The kinds that the first files of the first readable shard can be: a picture is an image, an array can be either."""
    for shard in _shards(path):
        try:
            endings = {last(named(member.name)[1]) for member in islice(files(shard, []), 100)} & VALUES
        except Unreadable:
            continue
        if endings:
            return KINDS if ".npy" in endings else ("image",)
    raise Unusable(f"{path} holds no picture or .npy in tar files that can be read")


def read(path: Path, options: Options) -> Records:
    """Records of all shards, read when asked for. A shard that cannot be used is one record that says why.

    Raises:
        Unusable: where nothing can be used, or nothing has the label that the options name.
    """
    notes: list[str] = []
    stamps = {shard: stamp(shard) for shard in _shards(path)}
    places = [place for shard in stamps for place in _places(shard, options, notes)]
    if all(place.fault for place in places):
        first = f"; {places[0].shard}: {places[0].fault}" if places else ""
        raise Unusable(f"{path} holds no picture or .npy that can be used{first}")
    labels = np.array([place.label for place in places])
    groups = np.array([place.shard if options.groups == "files" else place.group for place in places])
    if options.labels and not options.label_file and not any(labels):
        raise Unusable(f"no sample in {path} has a label {options.labels!r}; name an ending (cls, txt), a key of its .json, "
                       "or folders")
    if not options.labels and len(labels) > 10 and len(set(labels)) == len(labels):
        notes.append("every sample has a label of its own: they are taken for captions, not classes")
        labels = labels[:0]
    names, targets = [f"{place.shard}/{place.key}".rstrip("/") for place in places], [place.target for place in places]
    load = lambda i, side=None: _load(places[i], options, stamps, side)
    return Records(names, load, smaller=load, targets=numeric(targets, names, options.targets) if any(targets) else None,
                   layout=options.layout if options.kind == "signal" else "hwc", rate=options.rate, notes=notes,
                   labels=labels if any(labels) else None, groups=groups if any(groups) else None)


def _shards(path: Path) -> list[str]:
    return [str(path)] if path.is_file() else list(walk(path, {".tar"}))


def _places(shard: str, options: Options, notes: list[str]) -> list[Place]:
    try:
        held = index(shard, VALUES, notes)
    except (Unreadable, OSError) as why:
        return [Place(shard, "", fault=str(why))]
    return [_place(shard, key, sample, options) for key, sample in held.items()]


def _place(shard: str, key: str, sample: Members, options: Options) -> Place:
    arrays = [ending for ending in sample.values if last(ending) == ".npy"]
    pictures = [ending for ending in sample.values if ending not in arrays]
    may = arrays if options.kind == "signal" else pictures or arrays
    simple = [ending for ending in may if "." not in ending]
    chosen = simple if len(simple) == 1 else may
    if len(chosen) != 1:
        fault = f"holds {', '.join(chosen)}; keep one, or let names differ before their first dot" if chosen else "holds no .npy"
        return Place(shard, key, fault=fault)
    start, size = sample.values[chosen[0]]
    wanted = GROUPS if options.groups in (None, "files") else (plain(options.groups),)
    return Place(shard, key, start, size, chosen[0] not in arrays, label=_label(key, sample, options),
                 group=_fact(sample.facts, wanted), target=_target(sample, options))


def _label(key: str, sample: Members, options: Options) -> str:
    if options.labels == "folders":
        return key.partition("/")[0] if "/" in key else ""
    if options.label_file:
        return ""
    if options.labels:
        return sample.words.get(options.labels) or _fact(sample.facts, (plain(options.labels),))
    known = tuple(name for name in LABELS if name != plain(options.targets or ""))
    return sample.words.get("cls") or _fact(sample.facts, known) or sample.words.get("txt", "")


def _target(sample: Members, options: Options) -> str:
    """What an ending or a key of the ``.json`` gives that the options name."""
    if options.target_file or not options.targets:
        return ""
    return sample.words.get(options.targets) or _fact(sample.facts, (plain(options.targets),))


def _fact(facts: Mapping[str, object], known: tuple[str, ...]) -> str:
    """The first of the ``known`` names that a ``.json`` gives a word or number for."""
    held = {plain(name): value for name, value in facts.items() if isinstance(value, (str, int, float))}
    return next((str(held[name]) for name in known if name in held), "")


def _load(place: Place, options: Options, stamps: Mapping[str, int], side: int | None = None) -> np.ndarray:
    """A record: a picture ``(H, W, C)`` its shorter side brought to ``side`` where that is longer, or a series as it lies.

    Raises:
        Unreadable: where it is damaged, or no array of numbers, or its shard is not the one whose places are known.
    """
    if place.fault:
        raise Unreadable(place.fault)
    if stamp(place.shard) != stamps[place.shard]:
        raise Unreadable("lies in a shard that was changed or removed after it was opened; the same command opens it anew")
    try:
        with open(place.shard, "rb") as stream:
            stream.seek(place.start)
            content = io.BytesIO(stream.read(place.size))
    except OSError as why:
        raise Unreadable(f"cannot be read: {why.strerror or why}") from why
    if place.picture:
        return decode(content, side)
    values = npy.load(content, place.size)
    if values.dtype.kind not in "uif":
        raise Unreadable("holds no array of numbers")
    return values if options.kind == "signal" else _hwc(values, options.layout)


def _hwc(values: np.ndarray, layout: str | None) -> np.ndarray:
    """An array as a picture ``(H, W, C)``.

    Raises:
        Unreadable: where it has not 2 or 3 axes.
        Unusable: where it is not certain which axis is of channels.
    """
    if values.ndim == 2:
        return values[..., None]
    shape = "x".join(map(str, values.shape))
    if values.ndim != 3:
        raise Unreadable(f"is {shape}; a picture has 2 or 3 axes")
    few = [name for name, axis in (("chw", 0), ("hwc", 2)) if values.shape[axis] <= 16]
    if layout is None and len(few) != 1:
        raise Unusable(f"an array of {shape} can have its channels first or last. Say which:\n  --layout chw\n  --layout hwc")
    return np.moveaxis(values, 0, -1) if (layout or few[0]) == "chw" else values
