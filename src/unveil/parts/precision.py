"""Keeps what needs it in full precision while the rest of a step runs in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor, nn

ALONG_ONE = (nn.Conv1d, nn.ConvTranspose1d)


def bfloat16_pays(device: str, packed: bool, network: nn.Module | None = None) -> bool:
    """Whether mixed precision in bfloat16 is worth it on this machine's ``device``, and right for ``network``.

    On a CPU it is where the processor computes in it, and batches have one shape: a product in bfloat16 is prepared for its shape and kept,
    so that packed samples, of which every batch has another number of rows, take time for it at every step and ever more memory.

    On processors with tiles (AMX) the gradient of a convolution along one axis is now and then of another size altogether (torch 2.13, seen
    under load; not with ``ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16``, nor in float32), so networks that have one stay in float32 there.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    if tiles and network is not None and any(isinstance(part, ALONG_ONE) for part in network.modules()):
        return False
    return torch.cpu._is_avx512_bf16_supported() and not packed


def wide(x: Tensor) -> Tensor:
    """``x`` in float32, or as it is where it is float64."""
    return x if x.dtype == torch.float64 else x.float()


def full_precision(function: Callable) -> Callable:
    """Runs ``function`` without automatic mixed precision, its tensors made :func:`wide`. Its first argument is a tensor."""

    @wraps(function)
    def run(*given, **named):
        floating = lambda x: wide(x) if isinstance(x, Tensor) and x.is_floating_point() else x
        device = next(x for x in given if isinstance(x, Tensor)).device.type
        with torch.autocast("cpu" if device == "meta" else device, enabled=False):  # a count on meta tensors follows the CPU's switch
            return function(*map(floating, given), **{name: floating(x) for name, x in named.items()})

    return run
