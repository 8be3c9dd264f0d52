"""Features of every sample, as an array or a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from unveil.api.opening import Say, for_encoder, quiet
from unveil.contracts import Encoder
from unveil.data.options import Options
from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.recipes.kept import load_encoder
from unveil.tasks.embedded import embed as embed_samples
from unveil.tasks.embedded import frozen
from unveil.training.checkpoint import write_atomic
from unveil.training.measure import device


def embed(encoder: Encoder | str | Path, data, *, options: Options | None = None, batch: int = 256, say: Say = quiet) -> np.ndarray:
    """Features ``(n, width)`` float32 of every sample of ``data``, in order; NaN for a picture that cannot be used."""
    encoder = load_encoder(encoder) if isinstance(encoder, (str, Path)) else encoder
    samples = for_encoder(encoder, data, options, say)
    found = embed_samples(samples, frozen(encoder.to(device())), batch, device())
    sound, features = samples.sound(), np.full((samples.whole, encoder.width), np.nan, np.float32)
    features[found.ids[sound]] = found.features.numpy()[sound]
    if sound.sum() < samples.whole:
        say(f"{samples.whole - sound.sum()} of {samples.whole} samples cannot be used; their features are NaN")
    return features


def embed_to(encoder: str | Path, data, out: Path, *, options: Options | None = None, say: Say = quiet) -> dict[str, Any]:
    """Writes features of every sample that can be read to a file, a row a sample: ``id`` (its place in the data), ``name`` (of its file
    or recording) and, where known, ``label`` (empty for none) and ``group`` (number of the subject or recording).

    - ``.npz``: ``x (n, width)`` float32, ``ids``, ``names``, ``y``, ``groups``, as :func:`unveil.evaluate` reads them;
    - ``.csv``: these columns and ``f0``, ``f1`` ... to nine digits, which give the same float32 back;
    - ``.parquet``: these columns and ``embedding``, one list of ``width`` float32 a row, as vector stores and data frames take it.

    Returns:
        number of samples and features, the file, and what was set aside, name -> reason.

    Raises:
        Unusable: for another ending, or Parquet without pyarrow.
    """
    if out.suffix not in WRITERS:
        raise Unusable(f"cannot write {out}: the ending must be {', '.join(list(WRITERS)[:-1])} or {list(WRITERS)[-1]}")
    if out.suffix == ".parquet":
        _pyarrow()
    encoder = load_encoder(encoder)
    samples = for_encoder(encoder, data, options, say)
    made = embed_samples(samples, frozen(encoder.to(device())), device=device(), tick=_tenths(len(samples), say))
    features, sound = made.features.numpy(), samples.sound()
    samples, features = samples.subset(sound), features[sound]
    held = io.BytesIO()
    WRITERS[out.suffix](held, features, samples)
    write_atomic(out, held.getvalue())
    return {"samples": len(features), "width": features.shape[1], "out": str(out), "faults": dict(samples.faults)}


def _tenths(total: int, say: Say):
    """Told how many samples were done, says it at each tenth of the whole."""
    done = 0

    def tick(count: int) -> None:
        nonlocal done
        before, done = done, done + count
        if 10 * done // total > 10 * before // total:
            say(f"{done} of {total} samples")

    return tick


def _columns(samples: Samples) -> dict[str, list]:
    """What is known of each sample."""
    held = {"id": samples.index.tolist(), "name": [samples.name(i) for i in samples.index.tolist()]}
    if samples.labels is not None:
        held["label"] = [samples.classes[code] if code >= 0 else "" for code in samples.labels]
    if samples.groups is not None:
        held["group"] = samples.groups.tolist()
    return held


def _npz(held: io.BytesIO, features: np.ndarray, samples: Samples) -> None:
    called = {"id": "ids", "name": "names", "label": "y", "group": "groups"}
    np.savez(held, x=features, **{called[name]: np.array(column) for name, column in _columns(samples).items()})


def _csv(held: io.BytesIO, features: np.ndarray, samples: Samples) -> None:
    known, text = _columns(samples), io.TextIOWrapper(held, "utf-8", newline="")
    lines = csv.writer(text)
    lines.writerow([*known, *(f"f{i}" for i in range(features.shape[1]))])
    lines.writerows([*facts, *(f"{value:.9g}" for value in row)] for *facts, row in zip(*known.values(), features, strict=True))
    text.detach()


def _parquet(held: io.BytesIO, features: np.ndarray, samples: Samples) -> None:
    pyarrow = _pyarrow()
    vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(features.ravel()), features.shape[1])
    pyarrow.parquet.write_table(pyarrow.table(_columns(samples) | {"embedding": vectors}), held)


WRITERS = {".npz": _npz, ".csv": _csv, ".parquet": _parquet}


def _pyarrow():
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as why:
        raise Unusable("Parquet needs the package pyarrow: pip install 'unveil[parquet]', or write .npz or .csv") from why
    return pyarrow
