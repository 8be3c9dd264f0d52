"""timm, where it can be imported."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session")
def timm():
    """The library, with the two operators that torchvision misses beside another build of torch."""
    try:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float threshold) -> Tensor")
        import timm
    except Exception as why:
        pytest.skip(f"timm cannot be imported: {why}")
    yield timm
    library._destroy()
