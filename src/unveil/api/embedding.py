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
    """Writes features of every sample that can be read to ``out``: ``.npz`` (x, names and, where known, y) or ``.csv``.

    Returns:
        number of samples and features, the file, and what was set aside, name -> reason.

    Raises:
        Unusable: for another ending.
    """
    if out.suffix not in (".npz", ".csv"):
        raise Unusable(f"cannot write {out}: the ending must be .npz or .csv")
    encoder = load_encoder(encoder)
    samples = for_encoder(encoder, data, options, say)
    features = embed_samples(samples, frozen(encoder.to(device())), device=device()).features.numpy()
    sound = samples.sound()
    samples, features = samples.subset(sound), features[sound]
    names = [samples.name(int(i)) for i in samples.index]
    held = io.BytesIO()
    if out.suffix == ".npz":
        labels = {} if samples.labels is None else {"y": samples.labels}
        np.savez(held, x=features, names=np.array(names), **labels)
    else:
        table = io.TextIOWrapper(held, "utf-8", newline="")
        lines = csv.writer(table)
        lines.writerow(["name", *(f"f{i}" for i in range(features.shape[1]))])
        lines.writerows([name, *(f"{value:.9g}" for value in row)] for name, row in zip(names, features, strict=True))
        table.detach()
    write_atomic(out, held.getvalue())
    return {"samples": len(features), "width": features.shape[1], "out": str(out), "faults": dict(samples.faults)}
