"""The colours of the page keep to WCAG AA on light and on dark paper."""

from __future__ import annotations

import re
from importlib import resources

import pytest

CSS = (resources.files("unveil.reports") / "page.css").read_text()
PAIRS = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", CSS)
LIGHT, DARK = ({name: pair[side] for name, *pair in PAIRS} for side in (0, 1))
TEXT = ("ink", "quiet", "ours", "good", "bad", "unsure")
MARKS = ("other", "faint", *(f"c{i}" for i in range(11)))


def contrast(a: str, b: str) -> float:
    def light(colour: str) -> float:
        parts = (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))
        linear = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
        return sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    high, low = sorted((light(a), light(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("paper", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_marks_can_be_seen(paper):
    for name in TEXT:
        assert contrast(paper[name], paper["paper"]) >= 4.5, name
        assert contrast(paper[name], paper["tint"]) >= 4.5, name
    for name in MARKS:
        assert contrast(paper[name], paper["paper"]) >= 3, name


def test_every_colour_has_both_papers():
    used = set(re.findall(r"var\(--(\w+)\)", CSS)) - {"serif", "sans", "mono", "s", "c", "n", "v", "wide", "narrow", "tone", "label",
                                                      "cluster", "group", "sample"}
    assert used <= set(LIGHT) and {"paper", "ink", *TEXT, *MARKS} <= set(LIGHT)
    assert not re.findall(r"#[0-9a-f]{3,8}\b", re.sub(r"light-dark\([^)]*\)", "", CSS))
