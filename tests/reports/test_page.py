from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unveil.errors import Unusable
from unveil.reports.page import render, report_again, write_study
from unveil.studies.present import summarise
from unveil.studies.study import Study

VOID = {"meta", "img", "input", "br", "hr", "link"}


class Reader(HTMLParser):
    """Reads a page strictly: every element is closed, in order."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.errors, self.tags, self.text, self.ids = [], [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def words(self) -> str:
        return " ".join("".join(self.text).split())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(params=["run", "unlabelled", "study"])
def page(request, tmp_path, hostile) -> str:
    if request.param == "study":
        return study(tmp_path, hostile).read_text()
    return (request.getfixturevalue(request.param).folder / "report.html").read_text()


def study(out: Path, other: str = "byol") -> Path:
    arms = ("simclr", other)
    score = lambda name, each, value: {"features": name, "task": "linear", "labels": each, "values": [value]}
    fold = lambda name, value: {
        "split": name, "split_name": f"held-out {name}", "status": "finished", "steps": 9, "findings": [], "figures": {},
        "scores": [score(way, each, value - less) for each in (5, None) for way, less in (("encoder", 0), ("statistics", 0.05))]}
    rows = [{"arm": arm, "seed": seed, "code": "1", "date": "today", "machine": "one", "seconds": 1.0, "cpu_seconds": 1.0,
             "folds": [fold("a", 0.8 + 0.01 * seed), fold("b", 0.7)]} for arm in arms for seed in range(2)]
    made = Study(name="tiny", question="Is it?", data="watch", arms={arm: {"method": arm} for arm in arms}, budgets=(5, None))
    return write_study(made, rows, summarise(made, rows), out)


def test_elements_are_nested(page):
    read = Reader(page)
    assert not read.errors and not read.open


def test_nothing_is_fetched(page):
    assert page.startswith("<!DOCTYPE html>")
    for tag, attributes in Reader(page).tags:
        for name in ("src", "href", "srcset", "action", "data", "xlink:href"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:image/")), (tag, name, address)
    assert not re.search(r"@import|url\(|<link|<iframe|<base", page)
    policy = next(meta["content"] for meta in Reader(page).all("meta") if meta.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;") and "script-src 'sha256-" in policy


def test_names_from_data_are_text(page, hostile):
    assert hostile not in page
    assert len(re.findall("<script", page)) == 2


def test_names_from_data_can_be_read(run, hostile):
    words = Reader((run.folder / "report.html").read_text()).words()
    assert hostile in words and "b & <b>" in words and 'c"' in words


def test_headings_are_in_order_and_landmarks_are_there(page):
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    read = Reader(page)
    assert [len(read.all(tag)) for tag in ("main", "nav", "footer")] == [1, 1, 1]
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in read.all("a"):
        assert link["href"][1:] in ids
    for use in read.all("use"):
        assert use["href"][1:] in ids
    for part in read.all("section"):
        assert part["aria-labelledby"] in ids


def test_figures_have_words(page):
    for svg in Reader(page).all("svg"):
        inner = "preserveaspectratio" in svg and "class" not in svg
        drawn = "sample" in svg.get("class", "")
        assert inner or drawn or svg.get("aria-label") or svg.get("aria-hidden") == "true", svg


def test_the_sections_are_in_order(run):
    found = [part["id"] for part in Reader((run.folder / "report.html").read_text()).all("section")]
    assert found == ["worse", "scores", "further", "learning", "health", "map", "neighbours", "portraits", "views", "data", "repeat",
                     "recipe"]


def test_the_first_line_is_the_decision(run):
    held = json.loads((run.folder / "report.json").read_text())
    assert held["decision"]["headline"].startswith("With ")
    assert re.search(r"<h1>(.*?)</h1>", render(held))[1].startswith("With ")


def test_without_labels_the_page_says_how_to_name_them(unlabelled):
    words = Reader((unlabelled.folder / "report.html").read_text()).words()
    assert "name labels with --labels" in words and "Not judged" in words


def test_what_a_method_hides_is_covered(unlabelled):
    held = json.loads((unlabelled.folder / "report.json").read_text())["views"]
    cells = held["grid"][0]
    for sample in held["samples"]:
        assert set(sample["seen"]) | set(sample["asked"]) == set(range(cells)) and not set(sample["seen"]) & set(sample["asked"])
    assert (unlabelled.folder / "report.html").read_text().count('class="mask"') == len(held["samples"])


def test_the_map_holds_every_drawn_sample(run):
    held = json.loads((run.folder / "report.json").read_text())
    page = Reader((run.folder / "report.html").read_text())
    assert len(held["map"]["x"]) == held["facts"]["test"] == sum("data-id" in circle for circle in page.all("circle"))
    island = re.search(r'id="drawings">(.*?)</script>', (run.folder / "report.html").read_text())[1]
    assert {circle["data-id"] for circle in page.all("circle") if "data-id" in circle} == set(json.loads(island))


def test_the_map_can_be_coloured_by_clusters_that_no_label_made(run, unlabelled):
    held = json.loads((run.folder / "report.json").read_text())["map"]
    cluster = held["cluster"]
    assert sorted(set(cluster)) == list(range(4)) and cluster.count(0) == max(map(cluster.count, range(4)))
    without = json.loads((unlabelled.folder / "report.json").read_text())["map"]
    assert without["label"] is None and len(set(without["cluster"])) == 8
    assert '<input type="radio" name="way" value="cluster" checked/>' in (unlabelled.folder / "report.html").read_text()


def test_what_is_told_apart_inside_a_sample_is_drawn_for_networks_with_tokens(run, unlabelled):
    assert "inside" not in json.loads((run.folder / "report.json").read_text()), "a convolution has no tokens"
    held = json.loads((unlabelled.folder / "report.json").read_text())["inside"]
    assert 0 < held["explained"] <= 1 and len(held["samples"]) == 8
    for sample in held["samples"]:
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(sample["axes"].partition(",")[2]))))
        assert picture.shape == (1, held["grid"][0], 4) and (picture[..., 3] == 255).all()
    assert len({sample["axes"] for sample in held["samples"]}) > 1
    images = Reader((unlabelled.folder / "report.html").read_text()).all("img")
    assert [image["alt"] for image in images if image.get("class") == "axes"] == [
        f"{sample['name']}: the axes of its tokens as colours" for sample in held["samples"]]


def test_neighbours_are_of_other_groups(run):
    for row in json.loads((run.folder / "report.json").read_text())["neighbours"]:
        assert row["near"] and all(near["group"] != row["group"] for near in row["near"])


def test_report_again_needs_the_json_alone_and_changes_nothing(run, tmp_path):
    (tmp_path / "report.json").write_bytes((run.folder / "report.json").read_bytes())
    assert report_again(tmp_path).read_bytes() == (run.folder / "report.html").read_bytes()


def test_report_again_names_what_is_missing(tmp_path):
    with pytest.raises(Unusable, match="holds no report"):
        report_again(tmp_path)


def test_it_is_small(run):
    assert (run.folder / "report.json").stat().st_size < 3e6
    assert (run.folder / "report.html").stat().st_size < 5e6


def test_large_drawings_are_fewer(run, monkeypatch):
    from unveil.reports import pictures
    monkeypatch.setattr(type(run.encoder.kind), "draw", lambda self, values: f'<svg class="sample">{"x" * 100_000}</svg>')
    held = pictures.pictures(run)
    assert len(held["map"]["drawn"]) <= 16
    assert sum(map(len, held["drawings"].values())) < 6e6


def test_a_fault_is_told_with_what_to_try(run):
    held = json.loads((run.folder / "report.json").read_text())
    finding = {"fault": "collapse", "part": "embedding", "since": 12, "sentence": "embedding collapsed since step 12",
               "advice": "more <negatives>", "fatal": True}
    page = render(held | {"ending": held["ending"] | {"findings": [finding]}})
    assert "Collapse, from step 12" in page and "more &lt;negatives&gt;" in page and not Reader(page).errors


def test_no_number_that_is_not_finite_is_written(run, tmp_path):
    def refuse(word):
        raise AssertionError(word)
    for path in (run.folder / "report.json", study(tmp_path).parent / "report.json"):
        json.loads(path.read_text(), parse_constant=refuse)


def test_what_the_reader_noted_and_set_aside_is_told(run, hostile):
    held = json.loads((run.folder / "report.json").read_text())
    held["facts"] |= {"notes": [f"numbers above 1 in {hostile}"], "faults": {"b.jpg": "is cut short"}}
    words = Reader(render(held)).words()
    assert f"numbers above 1 in {hostile}" in words and "Set aside: 1" in words and "is cut short" in words
