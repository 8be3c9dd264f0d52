"""unveil learns encoders from unlabelled data of any kind, and shows what they learned."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "pretrain": "unveil.api",
    "evaluate": "unveil.api",
    "embed": "unveil.api",
    "export": "unveil.api",
    "inspect": "unveil.api",
    "load": "unveil.api",
    "plan": "unveil.api",
    "preview": "unveil.api",
    "rerun": "unveil.api",
    "select": "unveil.api",
    "diagnose": "unveil.health.diagnose",
    "Options": "unveil.data.options",
    "Unusable": "unveil.errors",
}
__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str):
    """Public names are imported when they are first used, so that ``import unveil`` costs nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'unveil' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
