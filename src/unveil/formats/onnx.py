"""Encoders as ONNX graphs, for programs that know neither torch nor this package."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Encoder
from unveil.errors import Unusable

OPSET = 18
FILE = "model.onnx"
OUTPUTS = ("pooled", "local")
EXTRAS = ("channel", "place")  # further inputs, of mixed channels


class Graph(nn.Module):
    """From ``values (B, C, *shape)`` in the kind's own units, and of mixed channels what each is, to ``pooled (B, D)`` and
    ``local (B, N, D)``; the standardisation is the encoder's, so it lies inside."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, values: Tensor, *more: Tensor) -> tuple[Tensor, Tensor]:
        one = torch.zeros(1, dtype=torch.long)  # ids name samples and shape nothing: a constant, so that the batch stays free
        features = self.encoder(Batch(values, one, one, extras=dict(zip(EXTRAS, more))))
        return features.pooled, features.local


@torch.no_grad()
def write(encoder: Encoder, folder: Path) -> dict[str, Any]:
    """Writes the graph, with a free batch axis.

    Raises:
        Unusable: where a package is missing, or the encoder cannot be traced.
    """
    library()
    graph, spec = Graph(encoder).eval(), encoder.spec
    example = (torch.zeros(2, spec.channels, *spec.shape),)
    if spec.mixed:
        example += torch.zeros(2, spec.channels, dtype=torch.long), torch.zeros(2, spec.channels, 3)
    inputs, free = ["values", *EXTRAS[:len(example) - 1]], {0: torch.export.Dim("batch")}
    shapes = (free, (free,) * (len(example) - 1)) if spec.mixed else (free,)
    graph(*example)  # tables that are made once are made here: what they were filled with while tracing would outlive it
    try:
        with quietly():
            made = torch.onnx.export(graph, example, dynamo=True, opset_version=OPSET, input_names=inputs, output_names=list(OUTPUTS),
                                     dynamic_shapes=shapes, verbose=False)
            (folder / FILE).write_bytes(made.model_proto.SerializeToString())
    except Exception as why:  # an operator without a form in ONNX, a size that depends on values, over 2 GB: many classes
        raise Unusable(f"{type(encoder).__name__} cannot be written as ONNX ({type(why).__name__}: {_first_line(why)}): "
                       "use --to safetensors") from why
    outputs = {"pooled": ["batch", encoder.width], "local": ["batch", "tokens", encoder.local_width]}
    return {"file": FILE, "opset": OPSET, "inputs": inputs, "outputs": outputs}


def answer(folder: Path, encoder: Encoder) -> Callable[..., dict[str, Tensor]]:
    """What onnxruntime makes of the file: ``values``, and of mixed channels what each is, to its outputs by name."""
    session = library().InferenceSession(str(folder / FILE), providers=["CPUExecutionProvider"])
    asked = [given.name for given in session.get_inputs()]

    def run(*given: Tensor) -> dict[str, Tensor]:
        made = session.run(list(OUTPUTS), dict(zip(asked, (x.numpy() for x in given))))
        return dict(zip(OUTPUTS, map(torch.from_numpy, made)))

    return run


def library():
    """The onnxruntime package.

    Raises:
        Unusable: where it, or what writes graphs, is not there.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as why:
        raise Unusable(f"--to onnx needs the packages onnx, onnxscript and onnxruntime ({why}): pip install 'unveil[onnx]'") from why
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime


@contextlib.contextmanager
def quietly():
    """Without what the exporter tells of its own stages."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _first_line(why: Exception) -> str:
    return next(iter(str(why).strip().splitlines()), "")[:200]
