"""Opens whatever a user names: a built-in set, a path, a hub name or an array."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from unveil.data import builtin
from unveil.data.locate import locate
from unveil.data.options import Options
from unveil.data.readers import TABLE
from unveil.data.records import Records
from unveil.errors import Unusable
from unveil.wording import printable, sentence


def open_records(source, options: Options | None = None, say: Callable[[str], None] = lambda text: None) -> tuple[str, Records]:
    """The kind and the records of ``source``.

    Args:
        source: name of a built-in set, path, ``hf:NAME``, array, or table of arrays.
        options: what the user says of it.
        say: tells what is being fetched.

    Raises:
        Unusable: where nothing is there, nothing detects it, or the kind is not certain.
    """
    options = options or Options()
    options = replace(options, groups=None) if options.windows else options  # which is settled where samples are, not by a reader
    if not isinstance(source, (str, Path)):
        array = source if isinstance(source, Mapping) else np.asarray(source)
        return _kind(options.kind, ("image", "signal"), "an array", "--kind"), _module("arrays").from_arrays(array, options)
    path, name = Path(source), str(source)
    if name in builtin.TABLE and not path.exists():
        held = builtin.TABLE[name]
        kind = _kind(options.kind, (held.kind, *held.others), name, name, held.kind)
        folder = {part: locate(part, builtin.TABLE[part], say) for part in held.parts} if held.parts else locate(name, held, say)
        records = held.read(folder, replace(options, kind=kind))
        records.described = held.described
        return kind, records
    if not name.startswith("hf:"):
        _must_exist(path, name)
    place, readers = (name, ["hub"]) if name.startswith("hf:") else (path, TABLE)
    try:
        for reader in map(_module, readers):
            if seen := reader.detect(place):
                possible = reader.kinds(place) if hasattr(reader, "kinds") else reader.KINDS
                kind = _kind(options.kind, possible, seen, name, reader.usual(place) if hasattr(reader, "usual") else None)
                return kind, _printable(reader.read(place, replace(options, kind=kind)))
        raise _nothing(path)
    except OSError as why:
        raise Unusable(f"cannot read {why.filename or path}: {why.strerror or why}") from why


def _printable(records: Records) -> Records:
    """Names of files need not be text that can be shown; see :func:`unveil.wording.printable`. Names of classes are seen to where
    labels become numbers."""
    if not all(map(str.isprintable, records.names)):
        records.names = [printable(name) for name in records.names]
    records.notes[:] = [sentence(note) for note in records.notes]  # the list that reading adds to
    return records


def _nothing(path: Path) -> Unusable:
    """Says what was found where no reader found what it reads."""
    files = (file for file in islice(path.rglob("*"), 1000) if file.is_file()) if path.is_dir() else [path]
    endings = sorted({file.suffix for file in files})
    found = f"it holds files ending in {', '.join(map(repr, endings))}" if endings else "it is empty"
    return Unusable(f"nothing in {path} can be read: {found}. Readable are pictures, .npy, .npz, .csv, .ts, .tar shards, "
                    "recordings (.edf, .bdf, .fif, .vhdr, .gdf, .hea, .h5), "
                    "Hugging Face data sets, molecules (.smi, .sdf, tables with a column smiles), atoms (.xyz, .cif, .pdb, .db), graphs "
                    "(.graphml, .gml, .edgelist, node-link .json) and TU sets")


def _must_exist(path: Path, name: str) -> None:
    if not path.exists():
        close = difflib.get_close_matches(name, builtin.TABLE, 1)
        hint = f"; did you mean the built-in set {close[0]!r}?" if close else f"; built-in sets: {', '.join(builtin.TABLE)}"
        raise Unusable(f"there is no file, folder or built-in set {name!r}{hint}")


def _module(name: str):
    return importlib.import_module(f"unveil.data.readers.{name}")


def _kind(wanted: str | None, possible: tuple[str, ...], seen: str, name: str, usual: str | None = None) -> str:
    """The kind of data: said by the user, the only one possible, or the ``usual`` one, where all others would need something made first."""
    if wanted is not None:
        if wanted not in possible:
            raise Unusable(f"{name} is {seen}, which holds {' or '.join(possible)}, not {wanted}")
        return wanted
    if len(possible) > 1 and usual is None:
        lines = "\n".join(f"  --kind {kind}" for kind in possible)
        raise Unusable(f"{name} is {seen}; that can be several kinds. Say which:\n{lines}")
    return usual or possible[0]
