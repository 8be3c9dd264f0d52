"""Counts the operations of a step, and finds those that make the host wait for the device."""

from __future__ import annotations

import traceback

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

WAITS = {"_local_scalar_dense": ".item()", "is_nonzero": "the truth of a tensor", "nonzero": "nonzero", "masked_select": "masked_select",
         "_unique2": "unique", "unique_dim": "unique", "unique_consecutive": "unique_consecutive", "equal": "torch.equal",
         "_linalg_check_errors": "torch.linalg, which looks for errors (its _ex forms do not)"}
PICKS = {"index", "index_put", "index_put_", "_index_put_impl_"}
NEIGHBOURS = "unveil/parts/neighbours.py:"
LEAVES = {"tolist", "numpy", "__array__"}


class Ops(TorchDispatchMode):
    """While it lasts, counts operations in ``count`` and notes in ``waits`` those whose result's size or value the host needs."""

    def __init__(self):
        super().__init__()
        self.count, self.waits = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        name = func.overloadpacket.__name__
        if name in WAITS:
            self.waits.append(f"{WAITS[name]} at {_place()}")
        elif name in PICKS and any(isinstance(x, Tensor) and x.dtype in (torch.bool, torch.uint8) for x in args[1]):
            self.waits.append(f"a boolean index at {_place()}")
        elif name == "repeat_interleave" and (kwargs or {}).get("output_size") is None and func._overloadname == "Tensor":
            self.waits.append(f"repeat_interleave without output_size at {_place()}")
        return func(*args, **(kwargs or {}))


class Leaving(TorchFunctionMode):
    """While it lasts, notes in ``waits`` where values leave torch, which no operation shows on a CPU."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in LEAVES:
            self.waits.append(f".{func.__name__}() at {_place()}")
        return func(*args, **(kwargs or {}))


def _place() -> str:
    """The innermost line outside torch."""
    for frame in reversed(traceback.extract_stack()):
        if "/torch/" not in frame.filename and frame.filename != __file__:
            return f"{frame.filename}:{frame.lineno}"
    return "the backward pass"


def watched(work, may: str = "") -> tuple[int, list[str]]:
    """How many operations ``work()`` makes, and what in it waits; where ``may`` says why, the search for neighbours may."""
    with Ops() as ops, Leaving() as leaving:
        work()
    return ops.count, [wait for wait in ops.waits + leaving.waits if not (may and NEIGHBOURS in wait)]
