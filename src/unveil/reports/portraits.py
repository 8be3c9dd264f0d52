"""A few samples in the further ways in which their kind can draw them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unveil.data.samples import Samples
from unveil.reports.drawings import Drawings
from unveil.reports.markup import Markup, join, tag
from unveil.reports.sections import section

Held = Mapping[str, Any]


def portrayed(samples: Samples, places: list[int], drawings: Drawings) -> dict[str, Any]:
    """``portraits``: what is known of the samples at ``places``, each with its further drawings; nothing for a kind that has none."""
    found = [drawings.told(samples, at) | {"also": drawings.also(samples, at)} for at in places]
    return {"portraits": found} if any(sample["also"] for sample in found) else {}


def portraits(held: Held) -> Markup | None:
    """Each sample above its further drawings."""
    found = held.get("portraits")
    if not found:
        return None
    classes, shown = held["facts"]["classes"], []
    for sample in found:
        name = classes[sample["label"]] if sample["label"] is not None and sample["label"] >= 0 else sample["name"]
        also = [tag("figure", Markup(drawn), tag("figcaption", what)) for what, drawn in sample["also"].items()]
        shown.append(tag("li", tag("figure", Markup(held["drawings"][sample["id"]]), tag("figcaption", tag("b", name))), join(*also)))
    how = "Held-out samples as they are drawn elsewhere on this page, and below in other ways. Each has a scale of its own."
    return section("portraits", "A few samples", how, tag("ul", shown, class_="tiles portraits"))
