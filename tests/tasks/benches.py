"""Benches on planted features."""

from __future__ import annotations

import numpy as np
import torch

from unveil.data.samples import Samples
from unveil.data.split import Split, split
from unveil.tasks.bench import Bench, Way


def features(x, labels, groups=None, test=None) -> Samples:
    """Rows of ``x (n, D)`` as samples."""
    values = torch.as_tensor(np.asarray(x), dtype=torch.float32)
    names = [str(c) for c in range(max(labels) + 1)]
    return Samples(lambda ids: (values[ids], None), len(values), shape=(), channels=values.shape[1], axes=(), spacing=(), unit="",
                   labels=np.asarray(labels), classes=names, groups=groups, test=test)


def bench_of(samples: Samples | Split, **how) -> Bench:
    """A bench whose only way is the features themselves."""
    parts = samples if isinstance(samples, Split) else split(samples)
    return Bench(parts, {"features": Way(lambda batch: batch.values)}, **how)


def blobs(count=400, classes=4, width=8, apart=2.0, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian classes, in turn, each centre ``apart`` deviations from zero along an axis of its own."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return draw.normal(size=(count, width)) + apart * np.eye(width)[labels], labels
