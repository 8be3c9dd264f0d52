"""Which kinds, encoders and methods go together: computed from what they offer, read, support and need, written down nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unveil.contracts import Encoder
from unveil.kinds.kind import Kind
from unveil.recipes.check import find, names


def supports(encoder: type[Encoder]) -> frozenset[str]:
    """What every network of the class supports; where that hangs on settings or weights, nothing is certain."""
    return encoder.supports if isinstance(encoder.supports, frozenset) else frozenset()


def encoders(offers: frozenset[str], needs: frozenset[str] = frozenset()) -> list[str]:
    """Names of those that read what a kind offers and support what a method needs."""
    return [name for name in names("encoder") if (made := find("encoder", name)).reads <= offers and needs <= supports(made)]


def variants(kind: type[Kind]) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Settings of a kind under which it offers something of its own, and what it then offers; first as it is."""
    for settings in ({}, *kind.optional.values()):
        yield settings, kind(**settings).offers


def ways(kind: str, method: str) -> list[tuple[str, dict[str, Any]]]:
    """Encoders with which a method teaches on a kind, its own first, each with the settings of the kind that it takes."""
    made, needs, found = find("kind", kind), find("method", method).needs, {}
    for settings, offers in variants(made):
        if find("method", method).asks - offers:
            continue
        for name in sorted(encoders(offers, needs), key=lambda name: name != made.encoder):
            found.setdefault(name, settings)
    return list(found.items())
