"""HTML and SVG by function calls. Text is escaped wherever it comes from, unless it is markup already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

ALONE = frozenset({"circle", "line", "path", "use", "input", "img"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def join(*parts: Any) -> Markup:
    """Parts one after the other: markup as it is, other things as escaped text, lists flattened, None left out."""
    return Markup("".join(_text(part) for part in parts))


def _text(part: Any) -> str:
    if part is None:
        return ""
    if isinstance(part, Markup):
        return part
    if isinstance(part, Iterable) and not isinstance(part, str):
        return join(*part)
    return escape(str(part))


def tag(name: str, /, *inside: Any, **attributes: Any) -> Markup:
    """An element.

    Args:
        name: of the element.
        inside: as for :func:`join`.
        attributes: ``class_`` is class and ``aria_label`` is aria-label; True gives a bare attribute, None and False none.
    """
    said = "".join(f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
                   for key, value in attributes.items() if value is not None and value is not False)
    return Markup(f"<{name}{said}/>" if name in ALONE else f"<{name}{said}>{join(*inside)}</{name}>")
