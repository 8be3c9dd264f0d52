"""Broken folders of Hugging Face ``save_to_disk``."""

from __future__ import annotations

import io
import json
import struct
import tempfile
from functools import cache
from pathlib import Path
from random import Random

from broken import pictures
from broken.damage import damaged
from broken.words import CELLS, deep


def _saved(held) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        held.save_to_disk(folder)
        made = {str(file.relative_to(folder)): file.read_bytes() for file in sorted(Path(folder).rglob("*")) if file.is_file()}
    mark = lambda content: json.dumps(json.loads(content) | {"_fingerprint": "0"}).encode()
    return {name: mark(content) if name.endswith("state.json") else content for name, content in made.items()}


def _by_hand(held) -> dict[str, bytes]:
    """A folder of rows that ``save_to_disk`` would refuse to write."""
    import pyarrow
    out, table, folder = io.BytesIO(), held.data.table, dict(sound()[0])
    with pyarrow.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    facts = json.loads(folder["dataset_info.json"]) | {"features": held.features.to_dict()}
    return folder | {"data-00000-of-00001.arrow": out.getvalue(), "dataset_info.json": json.dumps(facts).encode()}


@cache
def sound() -> list[dict[str, bytes]]:
    """Folders of pictures, of series and of both splits."""
    import datasets
    datasets.disable_progress_bars()
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"]), "subject": datasets.Value("string")}
    content = [{"bytes": pictures.sound()[name], "path": None} for name in ("a.png", "a.jpg", "a.bmp")]
    shown = datasets.Dataset.from_dict({"image": content, "label": [0, 1, 0], "subject": ["s", None, "t"]}, datasets.Features(kinds))
    rows = {"signal": [[[float(i * t % 7) for t in range(24)] for _ in range(2)] for i in range(4)], "activity": ["a", "b", "a", None]}
    series = datasets.Dataset.from_dict(rows)
    fixed = datasets.Dataset.from_dict(rows, datasets.Features({"signal": datasets.Array2D((2, 24), "float32"),
                                                                "activity": datasets.Value("string")}))
    return [_saved(shown), _saved(series), _saved(fixed), _saved(datasets.DatasetDict(train=shown, test=shown))]


def odd_values(rng: Random) -> dict[str, bytes]:
    """A sound folder whose pictures, labels or series are none."""
    import datasets
    bad = [pictures.broken(rng)[1] for _ in range(4)]
    content = [rng.choice((None, {"bytes": next(iter(each.values())), "path": None}, {"bytes": None, "path": rng.choice(("/etc/passwd",
                                                                                                                         "../x.png", "",
                                                                                                                         "http://none.invalid/x"))}))
               for each in bad]
    names = rng.choice((["cat", "dog"], [*dict.fromkeys(rng.sample(CELLS, 3))]))
    shown = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names), "note": datasets.Value("string")})
    if rng.random() < 0.6:
        rows = {"image": content, "label": [rng.choice((0, 1, -1, None)) for _ in content], "note": [rng.choice(CELLS) for _ in content]}
        return _by_hand(datasets.Dataset.from_dict(rows, shown))
    series = rng.choice(([[1.0], [1.0, 2.0]], [[], []], [None, [1.0]], [["a"], ["b"]], [[[1.0], [2.0, 3.0]], [[1.0]]],
                         [[float("nan")] * 20] * 2, [[[[1.0]]]] * 2,
                         [[float("inf")] * 20] * 2, [[True] * 20] * 2, [[10**18] * 20] * 2))
    return _by_hand(datasets.Dataset.from_dict({rng.choice(("x", "signal", "values")): series}))


def wild_offsets(rng: Random) -> dict[str, bytes]:
    """Arrow whose rows say that they lie far outside of what there is, or whose text is none."""
    import datasets
    folder = _by_hand(datasets.Dataset.from_dict({"x": [[0.5] * count for count in (7, 9, 8)], "label": ["a" * count for count in (7, 9,
                                                                                                                                   8)]}))
    name, said = "data-00000-of-00001.arrow", struct.pack("<4i", 0, 7, 16, 24)
    before, *parts = folder[name].split(said)
    wild = lambda: struct.pack("<4i", *(rng.choice((0, 7, 24, -7, 10**6, 2**31 - 1)) for _ in range(4)))
    folder[name] = before + b"".join(rng.choice((said, wild(), wild())) + part for part in parts)
    return folder


def odd_json(folder: dict[str, bytes], rng: Random) -> dict[str, bytes]:
    """``state.json`` or ``dataset_info.json`` of other types, paths and depth."""
    name = rng.choice([name for name in folder if name.endswith(".json")])
    held = json.loads(folder[name])
    keys = [key for key in (list(held) or ["x"])]
    for _ in range(rng.choice((1, 1, 3))):
        held[rng.choice([*keys, "_data_files", "features", "splits", "_fingerprint"])] = rng.choice((
            None, True, 0, -1, 10**30, float("nan"), "", "../../x", [], {}, [{}], [{"filename": "../../../etc/passwd"}],
            [{"filename": "/dev/zero"}],
            [{"filename": "state.json"}], {"image": {"_type": "Image"}}, {"x": {"_type": "os.system"}}, {"x": {"_type": "Value",
                                                                                                               "dtype": "object"}},
            {"x": {"_type": "List", "feature": {"_type": "Value", "dtype": "float999"}}}, ["train"] * 1000, "x" * 10_000))
    return {**folder, name: deep(rng).encode() if rng.random() < 0.1 else json.dumps(held).encode()}


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, a folder, what the user says."""
    said = rng.choice(({"layout": "ct"}, {"layout": "ct"}, {"layout": "tc"}, {}, {"layout": "ct", "labels": "activity"},
                       {"labels": "label"}))
    folder, chance = dict(rng.choice(sound())), rng.random()
    if chance < 0.2:
        return "odd_values", odd_values(rng), said
    if chance < 0.25:
        return "wild_offsets", wild_offsets(rng), said
    if chance < 0.4:
        return "odd_json", odd_json(folder, rng), said
    if chance < 0.45:
        del folder[rng.choice(sorted(folder))]
        return "file gone", folder, said
    name = rng.choice([name for name in folder if name.endswith(".arrow")] * 3 + sorted(folder))
    how, folder[name] = damaged(folder[name], rng, [other for held in sound() for other in held.values()])
    return f"{how} of {name}", folder, said
