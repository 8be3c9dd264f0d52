from __future__ import annotations

import xml.etree.ElementTree as tree

import pytest

from unveil.reports.figures import Line, apart, dots, line_chart, number, strip, ticks


@pytest.mark.parametrize(("low", "high", "expected"), [
    (0.0, 1.0, [0.0, 0.5, 1.0]), (3.4, 5.8, [2.0, 4.0, 6.0]), (0.16, 0.88, [0.0, 0.5, 1.0]), (5.0, 5.0, [2.5, 5.0, 7.5])])
def test_ticks_are_round_and_hold_the_data(low, high, expected):
    found = ticks(low, high, 3)
    assert found == expected and found[0] <= low and found[-1] >= high


@pytest.mark.parametrize(("value", "text"), [(0.656, ".656"), (3.5153, "3.52"), (0, "0"), (300, "300"), (6.1e-8, "6.1e-8"),
                                             (-0.25, "-.25"), (0.0005, ".0005"), (10.5, "10.5"), (200000, "2e5")])
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_labels_keep_apart_and_inside():
    found = apart([10, 11, 12, 100], 16, 90)
    assert all(b - a >= 16 for a, b in zip(sorted(found), sorted(found)[1:])) and max(found) == 90


def test_a_line_chart_is_xml_with_every_line_in_words():
    chart = line_chart([Line([(0, 1.0), (5, 2.0)], "a <b>", dots=True), Line([(0, 3.0), (5, 1.0)], "b", "other")],
                       'loss "falls"', below=[(0, "0"), (5, "5 steps")], marks=[(2, "collapse")])
    root = tree.fromstring(chart)
    assert root.get("role") == "img" and root.get("aria-label") == 'loss "falls"'
    assert {"a <b>", "b", "collapse", "5 steps"} <= {text.text for text in root.iter("text")}


def test_a_line_of_one_point_is_drawn():
    tree.fromstring(line_chart([Line([(7, 2.0)], "once")], "one point"))


def test_a_strip_keeps_to_its_scale():
    root = tree.fromstring(strip(0.5, 0.25, 2.0, (0.0, 1.0), "ours", [(0.75, "chance")]))
    assert root.find("circle").get("cx") == "50.0%"
    assert [(line.get("x1"), line.get("x2")) for line in root.findall("line")] == [("75.0%", "75.0%"), ("25.0%", "100.0%")]


def test_dots_are_lines_of_no_length():
    assert dots([(1, 2), (3, 4)]) == "M1 2h0M3 4h0"
