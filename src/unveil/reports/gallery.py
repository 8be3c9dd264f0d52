"""The sections of a run's page that show samples: map, neighbours, views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unveil.reports.decision import share
from unveil.reports.figures import dots
from unveil.reports.markup import Markup, join, tag
from unveil.reports.pictures import COLOURS
from unveil.reports.sections import section

Held = Mapping[str, Any]


@dataclass(frozen=True)
class Colouring:
    """One way to colour the map.

    Attributes:
        way: ``"label"``, ``"cluster"``, ``"group"`` or, where none is known, ``"sample"``.
        keys: colour of each point.
        words: name of each point's class.
        names: colour -> what it stands for.
    """

    way: str
    keys: list[int]
    words: list[str]
    names: dict[int, str]


def colourings(found: Held, classes: Sequence[str]) -> list[Colouring]:
    """By label, cluster and group, as far as they are known; the most frequent values have colours of their own, the others a grey."""
    named = {"label": lambda value: classes[value], "cluster": lambda value: f"cluster {value + 1}",
             "group": lambda value: f"group {value}"}
    made = []
    for way, name in named.items():
        values = found.get(way)
        if values is None or len(set(values)) < 2:
            continue
        often = sorted(value for value, _ in Counter(value for value in values if value >= 0).most_common(COLOURS))
        colour = {value: key for key, value in enumerate(often)}
        keys = [colour.get(value, COLOURS) for value in values]
        words = [name(value) if value >= 0 else "none" for value in values]
        rest = sorted({word for key, word in zip(keys, words, strict=True) if key == COLOURS})
        names = {key: name(value) for value, key in colour.items()}
        names |= {COLOURS: rest[0] if len(rest) == 1 else f"{len(rest)} others"} if rest else {}
        made.append(Colouring(way, keys, words, names))
    return made or [Colouring("sample", [0] * len(found["x"]), ["sample"] * len(found["x"]), {0: "all"})]


def embedding_map(held: Held) -> Markup | None:
    """Held-out samples on two axes, coloured by label, cluster or group; thumbnails are legend and filter at once."""
    found = held.get("map")
    if not found:
        return None
    ways = colourings(found, held["facts"]["classes"])
    across, down = max(found["x"]), max(found["y"])
    high = max(down, across // 2)
    box = f"-16 {(down - high) // 2 - 16} {across + 32} {high + 32}"
    layers = [tag("path", id=f"{way.way}-{key}", vector_effect="non-scaling-stroke", d=dots(
        [(x, y) for x, y, its in zip(found["x"], found["y"], way.keys, strict=True) if its == key]))
        for way in ways for key in way.names]
    cloud = tag("g", [tag("use", href=f"#{ways[0].way}-{key}") for key in ways[0].names], id="cloud")
    layer = lambda way, key: tag("use", class_="dots", href=f"#{way}-{key}", data_key=key, style=f"--c:var(--c{key})")
    shown = [tag("g", [layer(way.way, key) for key in way.names], class_="by", data_way=way.way, hidden=way is not ways[0])
             for way in ways]
    circles = tag("g", [_circle(found, ways, i) for i in range(len(found["drawn"]))], class_="drawn")
    svg = tag("svg", tag("defs", layers, cloud), shown, circles, viewBox=box, role="listbox",
              aria_label="Samples with a drawing; arrow keys go to the next one")
    card = tag("aside", tag("div", class_="drawing"), tag("p", "Point at a larger dot to see the sample.", class_="what"),
               class_="card", aria_live="polite", aria_label="The chosen sample")
    count = tag("p", f"{len(found['drawn'])} larger dots shown", class_="count-of more", role="status")
    keys = [tag("div", [_key(way.way, key, name, box) for key, name in way.names.items()], class_="keys", data_way=way.way,
                hidden=way is not ways[0], role="group", aria_label=f"Show a {way.way} alone") for way in ways]
    body = tag("div", _choice(ways), tag("div", svg, card, class_="stage"), keys, count, class_="map", data_way=ways[0].way)
    return section("map", "Map", _explained(found, held), body, _as_table(found, ways))


def _choice(ways: Sequence[Colouring]) -> Markup | None:
    if len(ways) < 2:
        return None
    button = lambda way: tag("input", type="radio", name="way", value=way.way, checked=way is ways[0])
    choices = [tag("label", button(way), way.way) for way in ways]
    return tag("fieldset", tag("legend", "Colour by"), choices, class_="choice")


def _explained(found: Held, held: Held) -> str:
    which = "held-out samples" if held["facts"]["split"] else "samples"
    n = len(found["x"])
    some = f"{n:,} of {found['of']:,} {which}" if n < found["of"] else f"All {n:,} {which}"
    first, second = (value or 0.0 for value in found["explained"])
    clusters = "" if not found.get("cluster") else (f" Clusters are k-means with {max(found['cluster']) + 1} centres on all axes, made "
                                                    "without labels.")
    return (f"{some} on the two leading principal axes of the standardised features, which hold {first:.0%} and {second:.0%} of "
            f"the variance: the rest is not in sight.{clusters} The {len(found['drawn'])} larger dots carry a drawing: point at them, or "
            "go from one to the next by arrow keys. Press one of the small maps to see it alone, more of them to see them together.")


def _circle(found: Held, ways: Sequence[Colouring], number: int) -> Markup:
    point = found["drawn"][number]
    at = point["at"]
    return tag("circle", cx=found["x"][at], cy=found["y"][at], r=7, role="option", aria_selected="false",
               tabindex=-1 if number else 0, data_id=point["id"], **{f"data_{way.way}": way.keys[at] for way in ways},
               style=";".join(f"--{way.way}:var(--c{way.keys[at]})" for way in ways),
               aria_label=", ".join([*(way.words[at] for way in ways), _whole_name(point)]))


def _whole_name(point: Held) -> str:
    """The name of a sample, with its number where the name does not end in it: windows of one recording share theirs."""
    name, number = point["name"], point["id"]
    return name if name.endswith(f" {number}") else f"{name}, no. {number}"


def _key(way: str, key: int, name: str, box: str) -> Markup:
    small = tag("svg", tag("use", href="#cloud", class_="cloud"), tag("use", class_="dots", href=f"#{way}-{key}"), viewBox=box,
                aria_hidden="true")
    return tag("label", tag("input", type="checkbox", data_key=key), small, tag("span", name), class_="key",
               style=f"--c:var(--c{key})")


def _as_table(found: Held, ways: Sequence[Colouring]) -> Markup:
    heads = [tag("th", text, scope="col") for text in ("sample", *(way.way for way in ways), "across", "down")]
    rows = [tag("tr", tag("td", point["name"]), [tag("td", way.words[point["at"]]) for way in ways],
                tag("td", found["x"][point["at"]]), tag("td", found["y"][point["at"]])) for point in found["drawn"]]
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows), class_="points")
    return tag("details", tag("summary", "The larger dots as a table"), tag("div", table, class_="scroll"))


def neighbours(held: Held) -> Markup | None:
    """A few held-out samples, each beside those it resembles most."""
    found, facts = held.get("neighbours"), held["facts"]
    if not found:
        return None
    body, shared, asked = [], 0, 0
    for row in found:
        known = row["label"] is not None and row["label"] >= 0
        same = sum(near["label"] == row["label"] for near in row["near"]) if known else 0
        shared, asked = shared + same, asked + (len(row["near"]) if known else 0)
        told = tag("span", f"{same} of {len(row['near'])} share its label") if known else None
        name = tag("b", _called(row, facts["classes"]))
        query = tag("figure", Markup(held["drawings"][row["id"]]), tag("figcaption", name, told), class_="query")
        body.append(tag("li", query, tag("ol", [_near(near, row, known, held) for near in row["near"]])))
    left, right = ("held-out samples", "samples that it learned from") if facts["split"] else ("samples", "others")
    how = (f"Left, {left}; right, the {right} that are most alike to the encoder, by cosine"
           f"{', of other groups alone' if facts['groups'] > 1 else ''}. "
           + (f"Here {share(shared / asked)} share the label. A label that differs is struck through." if asked else ""))
    return section("neighbours", "Neighbours", how, tag("ul", body, class_="gallery"))


def _called(sample: Held, classes: Sequence[str]) -> str:
    return classes[sample["label"]] if sample["label"] is not None and sample["label"] >= 0 else sample["name"]


def _near(near: Held, row: Held, known: bool, held: Held) -> Markup:
    name = _called(near, held["facts"]["classes"])
    other = known and near["label"] != row["label"]
    text = tag("s", tag("span", "differs: ", class_="unseen"), name) if other else tag("span", name)
    return tag("li", tag("figure", Markup(held["drawings"][near["id"]]),
                         tag("figcaption", text, " ", tag("i", share(near["similarity"])))))


def inside(held: Held) -> Markup | None:
    """What the encoder tells apart inside a sample."""
    found = held.get("inside")
    if not found:
        return None
    shown = []
    for sample in found["samples"]:
        name = _called(sample, held["facts"]["classes"])
        colours = tag("img", class_="axes", src=sample["axes"], alt=f"{name}: the axes of its tokens as colours")
        shown.append(tag("li", tag("figure", tag("div", Markup(held["drawings"][sample["id"]]), colours, class_="frame"),
                                   tag("figcaption", tag("b", name)))))
    how = ("The features of every token on the three leading principal axes over all tokens shown "
           f"({found['explained'] or 0:.0%} of their variance), as red, green and blue. Parts of one colour are alike to the encoder; "
           "which colour it is means nothing. One flat colour: it tells no parts apart. The same gradient in every sample: it is place, "
           "not content.")
    return section("inside", "Inside a sample", how, tag("ul", shown, class_=f"tiles inside{' series' * (len(found['grid']) == 1)}"))


def views(held: Held) -> Markup | None:
    """What the method was shown of a few samples."""
    found = held.get("views")
    if not found or not any(sample["views"] for sample in found["samples"]):
        return None
    shown_of = []
    for sample in found["samples"]:
        mask = _mask(sample, found["grid"]) if found["grid"] is not None else None
        shown = [tag("li", tag("figure", tag("div", Markup(view), mask, class_="frame"))) for view in sample["views"]]
        whole = tag("figure", Markup(sample["whole"]), tag("figcaption", sample["name"]), class_="query")
        shown_of.append(tag("li", whole, tag("ol", shown)))
    hidden = [" What is blank was hidden from the encoder; ", tag("b", "tinted", class_="asked"), " parts had to be predicted."]
    rows = " What is pale was hidden from the encoder, and had to be predicted."
    several = max(len(sample["views"]) for sample in found["samples"]) > 1
    same = " It was asked to see that these are the same." if several else f" What it then does to it, unveil list {held['method']} says."
    how = join(f"Left, a training sample; right, what {held['method']} was shown of it.",
               hidden if found["grid"] is not None else rows if found.get("hidden") else same,
               " If a view has lost what matters to you, the views are too strong.")
    many = 1 + max(len(sample["views"]) for sample in found["samples"])
    wide, narrow = {2: (4, 2), 3: (2, 1)}.get(many, (1, 1))
    return section("views", "What the method saw", how, tag(
        "ul", shown_of, class_="gallery views", style=f"--n:{many};--wide:{wide};--narrow:{narrow}"))


def _mask(sample: Held, grid: Sequence[int]) -> Markup:
    """Covers tokens that were not seen, and tints those that were asked for."""
    down, across = (1, grid[0]) if len(grid) == 1 else grid
    seen, asked = set(sample["seen"]), set(sample.get("asked", []))
    squares = lambda places: "".join(f"M{i % across} {i // across}h1v1h-1z" for i in sorted(places))
    blank = tag("path", d=squares(set(range(down * across)) - seen - asked))
    return tag("svg", blank, tag("path", class_="asked", d=squares(asked)), class_="mask", viewBox=f"0 0 {across} {down}",
               preserveAspectRatio="none", aria_hidden="true", shape_rendering="crispEdges")
