"""Features that were made elsewhere, as samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from unveil.data.options import Options
from unveil.data.readers import arrays
from unveil.data.samples import Samples, encode_labels
from unveil.errors import Unusable


def open_features(source: np.ndarray | str | Path, options: Options) -> Samples:
    """Rows of an array or file ``(n, D)``, with labels and groups where an ``.npz`` names them.

    Raises:
        Unusable: where it is no table of numbers.
    """
    records = arrays.from_arrays(source, options) if isinstance(source, np.ndarray) else arrays.read(Path(source), options)
    if records.array.ndim != 2 or not records.array.shape[1]:
        raise Unusable(f"features must be n x D, these are {'x'.join(map(str, records.array.shape))}")
    values = torch.from_numpy(np.ascontiguousarray(records.array, dtype=np.float32))
    if not values.isfinite().all():
        bad = int((~values.isfinite()).any(1).nonzero()[0])
        raise Unusable(f"row {bad} of the features is not finite")
    labels, classes = encode_labels(records.labels)
    groups, group_names = encode_labels(records.groups)
    return Samples(lambda ids: (values[ids], None), len(values), shape=(), channels=values.shape[1], axes=(), spacing=(), unit="",
                   labels=labels, classes=classes, targets=records.targets, groups=groups, group_names=group_names,
                   name=lambda i: records.names[i])
