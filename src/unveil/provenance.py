"""Who made a figure: the code, the machine, and the weights."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from unveil import __version__


@cache
def code_version() -> str:
    """The package's version, and the commit where it runs from a checkout."""
    here = Path(__file__).parent
    asked = subprocess.run(["git", "-C", here, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return f"{__version__}+{asked.stdout.strip()}" if asked.returncode == 0 else __version__


def machine() -> str:
    """Architecture, cores, GPU and torch of this machine."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{platform.machine()}, {os.cpu_count()} cores, {gpu}, torch {torch.__version__}"


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Hash of named tensors, the same wherever they lie: twelve hexadecimal digits."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        held = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {held.dtype} {tuple(held.shape)}".encode())
        found.update(held.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:12]
