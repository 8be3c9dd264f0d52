"""What a run's folder says of how it was made: ``run.json``, written before training begins."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.provenance import code_version, fingerprint, machine
from unveil.training.checkpoint import write_json
from unveil.training.measure import device


def write_record(folder: Path, asked: dict[str, Any], kind: dict[str, Any], samples: Samples) -> bool:
    """Writes what was asked, the kind's settings as the data were opened, what the data are, and where the run is made.

    A run that goes on elsewhere, or under other code, has more than one ``made``.

    Returns:
        whether a run goes on, with data that are not those that it began with.
    """
    made, facts, other = [environment()], data_facts(samples), False
    if (folder / "run.json").exists() and any((folder / "checkpoints").glob("step-*.safetensors")):
        before = read_json(folder, "run.json")
        made = before["made"] if made[0] in before["made"] else before["made"] + made
        other = before["data"] != json.loads(json.dumps(facts))
    write_json(folder / "run.json", {"asked": asked, "kind": kind, "data": facts, "made": made})
    return other


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A table that a run left in its folder.

    Raises:
        Unusable: where it is not there, or cannot be read.
    """
    try:
        return json.loads((folder / name).read_text())
    except (OSError, ValueError, RecursionError) as why:
        raise Unusable(f"{folder} holds no {name} that can be read ({why}): name the folder of a finished run or study") from why


def environment() -> dict[str, Any]:
    """All that the last bits of a run may depend on beside recipe and data."""
    return {"code": code_version(), "machine": machine(), "processor": _processor(), "device": device().type,
            "threads": torch.get_num_threads(), "python": platform.python_version(), "numpy": np.__version__}


def data_facts(samples: Samples) -> dict[str, Any]:
    """Of all samples: their number and shape, and fingerprints of all labels and of all that is known of some samples, evenly spaced."""
    parts = "".join(fingerprint(_known(samples.batch(part))) for part in samples.some().split(256))
    columns = {name: None if (column := getattr(samples, name)) is None else fingerprint({name: torch.as_tensor(column)})
               for name in ("labels", "targets", "dense", "groups", *["forces"] * (samples.forces is not None))}
    return {"samples": len(samples), "shape": list(samples.shape), "channels": samples.channels, "classes": list(samples.classes),
            **columns, "values": hashlib.sha256(parts.encode()).hexdigest()[:12]}


def _known(batch: Batch) -> dict[str, Tensor]:
    """What samples themselves say: their values and, of packed ones, places, edges and cells."""
    graph = batch.graph
    if graph is None:
        return {"values": batch.values}
    held = {"values": batch.values, "where": batch.where, "sample": graph.sample, "edges": graph.edges, "edge_values": graph.edge_values,
            "cell": graph.cell}
    return {name: x for name, x in held.items() if x is not None}


def _processor() -> str:
    """Its model and the widest instructions that torch uses on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}"
