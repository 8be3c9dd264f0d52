"""Charts as SVG: lines, intervals, dots. Colours and sizes of text are the style sheet's.

A chart has no view box: places across are per cent and places down are pixels, so it stretches to its column while its text
keeps its size. What must be scaled sits in an inner drawing, with strokes that do not scale; a dot is a line of length 0 with
round ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from unveil.reports.markup import Markup, tag

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        points: ``(x, y)`` in order of x.
        end: text at its right end.
        style: class in the style sheet.
        dots: mark every point, not the last alone.
        spans: low and high of each point, None where unknown; empty where none is known.
    """

    points: Sequence[Point]
    end: str
    style: str = "main"
    dots: bool = False
    spans: Sequence[tuple[float | None, float | None]] = ()


def number(value: float) -> str:
    """Three digits, without a leading zero."""
    if value != 0 and not 1e-4 <= abs(value) < 1e5:
        digits, _, power = f"{value:.2g}".partition("e")
        return f"{digits}e{int(power)}"
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers, equally far apart, from at most ``low`` to at least ``high``."""
    if high <= low:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    rough = (high - low) / (most - 1)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10, 20) if m * unit >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def line_chart(lines: Sequence[Line], about: str, *, height: int = 150, left: int = 12, wide: int = 56,
               below: Sequence[tuple[float, str]] = (), marks: Sequence[tuple[float, str]] = (),
               form: Callable[[float], str] = number, most: int = 3, within: Sequence[float] = ()) -> Markup:
    """Lines over a common x, labelled at their right ends.

    Args:
        lines: what to draw; the first one on top.
        about: the chart in words, for who cannot see it.
        height: pixels.
        left: per cent of the width before the lines, for ticks.
        wide: per cent that the lines take; the rest is for their labels.
        below: places on the x axis with their text.
        marks: places with their text, as upright lines.
        form: number to text, of the ticks.
        most: ticks on the left, about.
        within: further values that the scale has to hold.
    """
    xs, ys = ([point[axis] for line in lines for point in line.points] for axis in (0, 1))
    ys += [*within, *(end for line in lines for span in line.spans for end in span if end is not None)]
    steps, top, bottom = ticks(min(ys), max(ys), most), 18, height - 22
    first, last, low, high = min(xs), max(xs), steps[0], steps[-1]
    across = lambda x: 100 * (x - first) / (last - first) if last > first else 50.0
    down = lambda y: bottom - (bottom - top) * (y - low) / (high - low)
    words = lambda x, y, text, style, shift=0: tag(
        "text", text, class_=style, x=f"{left + x * wide / 100:.1f}%", dx=shift, y=f"{y:.0f}")

    inner = [tag("path", class_="grid", d=f"M0 {down(y):.1f}H100") for y in steps]
    inner += [tag("path", class_="mark", d=f"M{across(x):.2f} {top}V{bottom}") for x, _ in marks]
    for line in reversed(lines):
        at = [(f"{across(x):.2f}", f"{down(y):.1f}") for x, y in line.points]
        bars = [f"M{x} {down(low):.1f}V{down(high):.1f}" for (x, _), (low, high) in zip(at, line.spans, strict=False) if low is not None]
        inner += [tag("path", class_=f"bar {line.style}", d="".join(bars))] if bars else []
        inner += [tag("path", class_=f"line {line.style}", d="M" + "L".join(map(" ".join, at))),
                  tag("path", class_=f"dot {line.style}", d=dots(at if line.dots else at[-1:]))]
    outer = [words(0, down(y) + 4, form(y), "tick last", -7) for y in steps]
    outer += [words(across(x), height - 6, text, f"tick {_anchor(across(x))}") for x, text in below]
    outer += [words(across(x), 10, text, "tick mark", 4) for x, text in marks]
    ends = apart([down(line.points[-1][1]) for line in lines], 16, bottom + 4)
    outer += [words(100, y + 4, line.end, f"end {line.style}", 9) for line, y in zip(lines, ends, strict=True)]
    plot = tag("svg", inner, x=f"{left}%", width=f"{wide}%", height=height, viewBox=f"0 0 100 {height}",
               preserveAspectRatio="none")
    return tag("svg", plot, outer, class_="chart", role="img", width="100%", height=height, aria_label=about)


def _anchor(across: float) -> str:
    return "first" if across < 5 else "last" if across > 95 else "middle"


def apart(places: Sequence[float], gap: float, end: float) -> list[float]:
    """Places moved as little as needs be so that neighbours are ``gap`` apart and none is beyond ``end``."""
    order, result = sorted(range(len(places)), key=lambda i: places[i]), list(places)
    for before, i in pairwise(order):
        result[i] = max(result[i], result[before] + gap)
    for number, i in enumerate(reversed(order)):
        result[i] = min(result[i], end - number * gap)
    return result


def strip(value: float, low: float | None, high: float | None, scale: Point, style: str,
          beside: Sequence[tuple[float, str]] = ()) -> Markup:
    """A dot with its interval on ``scale``, and upright lines ``beside`` it that go on in the strips above and below."""
    place = lambda v: f"{100 * (min(max(v, scale[0]), scale[1]) - scale[0]) / (scale[1] - scale[0]):.1f}%"
    lines = [tag("line", class_=kind, x1=place(v), x2=place(v), y1="0", y2="100%") for v, kind in beside]
    span = None if low is None or high is None else tag("line", class_="span", x1=place(low), x2=place(high), y1="50%", y2="50%")
    return tag("svg", lines, span, tag("circle", cx=place(value), cy="50%", r=4.5), class_=f"strip {style}", aria_hidden="true",
               width="100%", height=34)


def dots(points: Sequence[tuple]) -> str:
    """Path data of a dot a point."""
    return "".join(f"M{x} {y}h0" for x, y in points)


def pair(ours: float, theirs: float, scale: Point) -> Markup:
    """A dot and a ring on ``scale``, joined by a line."""
    a, b = (f"{100 * (value - scale[0]) / (scale[1] - scale[0]):.1f}%" for value in (ours, theirs))
    return tag("svg", tag("line", x1=a, x2=b, y1="50%", y2="50%"), tag("circle", class_="theirs", cx=b, cy="50%", r=4),
               tag("circle", class_="ours", cx=a, cy="50%", r=4.5), aria_hidden="true", width="100%", height=22)
