"""The page in a browser, without a network."""

from __future__ import annotations

import io
import json
import select
import socket

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from PIL import Image

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium")
SHOWN = "document.querySelectorAll('circle[data-id]:not(.off)').length"
CARD = "document.querySelector('.card .what').textContent"
CHOSEN = "document.querySelector('circle[aria-selected=true]')"
PAPER = "getComputedStyle(document.body).backgroundColor"
TOP = """[...document.querySelectorAll('circle[data-id]:not(.off)')].find(c => {{ const b = c.getBoundingClientRect();
    return c !== {0} && document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2) === c; }}).dataset.id"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def browser(chromium, run):
    """A tab with the page of a run. What it said and asked for is looked at after every test."""
    page = run.folder / "report.html"
    chromium.said.clear()
    chromium.asked.clear()
    chromium.open(page)
    chromium.ask("localStorage.clear()")
    yield chromium
    assert chromium.said == []
    assert [address for address in chromium.asked if not address.startswith("data:")] == [page.as_uri()]


def test_the_script_runs_to_its_end(browser):
    assert browser.ask("document.documentElement.dataset.ready") == "yes"
    assert browser.ask("document.getElementById('broken').hidden")


def test_pointing_at_a_dot_shows_the_sample(browser, run):
    browser.where(".stage > svg")
    chosen = browser.ask(TOP.format(CHOSEN))
    browser.hover(f"circle[data-id='{chosen}']")
    assert browser.ask(f"{CHOSEN}.dataset.id") == chosen
    held = json.loads((run.folder / "report.json").read_text())
    point = next(each for each in held["map"]["drawn"] if each["id"] == chosen)
    said = browser.ask(CARD)
    assert said.startswith(f"{held['facts']['classes'][point['label']]}, cluster ")
    assert f"group {point['group']}" in said and point["name"] in said and said.endswith(f" {chosen}")
    first = held["drawings"][chosen].partition('points="')[2].partition('"')[0]
    assert browser.ask("document.querySelector('.card polyline').getAttribute('points')") == first


def test_keys_go_from_dot_to_dot(browser):
    browser.ask(f"{CHOSEN}.focus()")
    seen = {browser.ask(f"{CHOSEN}.dataset.id")}
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        browser.press(key)
        assert browser.ask(f"{CHOSEN} === document.activeElement && {CHOSEN}.tabIndex === 0")
        assert browser.ask(f"{CARD} === {CHOSEN}.getAttribute('aria-label')")
        seen.add(browser.ask(f"{CHOSEN}.dataset.id"))
    assert len(seen) > 1
    assert browser.ask("document.querySelectorAll('circle[aria-selected=true]').length") == 1


def test_a_pressed_dot_keeps_the_focus(browser):
    browser.where(".stage > svg")
    chosen = browser.ask(TOP.format(CHOSEN))
    browser.click(f"circle[data-id='{chosen}']")
    other = browser.ask(TOP.format(CHOSEN))
    for pointed in (chosen, other, chosen):
        browser.hover(f"circle[data-id='{pointed}']")
        assert browser.ask("document.activeElement.dataset.id") == chosen


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_label_is_shown_alone_and_a_second_beside_it(browser, run, by):
    labels = [each["label"] for each in json.loads((run.folder / "report.json").read_text())["map"]["drawn"]]
    key = lambda number: f".keys[data-way=label] .key:nth-child({number + 1})"

    def press(number: int) -> None:
        if by == "mouse":
            browser.click(key(number))
        else:
            browser.ask(f"document.querySelector('{key(number)} input').focus()")
            browser.press(" ")

    assert browser.ask(SHOWN) == len(labels)
    press(1)
    assert browser.ask(SHOWN) == labels.count(1) < len(labels)
    assert browser.ask("[...document.querySelectorAll('circle[data-id]')].every(c => "
                       "(getComputedStyle(c).display === 'none') === (c.dataset.label !== '1'))")
    assert browser.ask(f"{CHOSEN}.dataset.label") == "1", "what is shown beside the map is in sight"
    assert browser.ask("document.querySelector('.count-of').textContent") == f"{labels.count(1)} of {len(labels)} larger dots shown"
    press(2)
    assert browser.ask(SHOWN) == labels.count(1) + labels.count(2)
    press(1)
    press(2)
    assert browser.ask(SHOWN) == len(labels)


def test_the_map_is_coloured_by_label_cluster_or_group(browser):
    fill = lambda: browser.ask(f"getComputedStyle({CHOSEN}).fill")
    colour = lambda way: browser.ask(f"""(() => {{ const probe = document.createElement('i');
        probe.style.color = `var(--c${{{CHOSEN}.dataset.{way}}})`; document.body.append(probe);
        const found = getComputedStyle(probe).color; probe.remove(); return found; }})()""")
    assert fill() == colour("label")
    for way in ("cluster", "group"):
        browser.click(f".choice input[value={way}]")
        assert fill() == colour(way)
        assert browser.ask("[...document.querySelectorAll('.by, .keys')].filter(e => !e.hidden && !e.hasAttribute('hidden'))"
                           ".map(e => e.dataset.way).join()") == f"{way},{way}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_reader_and_turns_at_a_press(browser, run, scheme):
    other = {"light": "dark", "dark": "light"}[scheme]
    page = run.folder / "report.html"
    browser.open(page, scheme=scheme)
    papers = {}
    papers[scheme] = browser.ask(PAPER)
    browser.click("button.theme")
    papers[other] = browser.ask(PAPER)
    bright = {name: sum(json.loads(paper.replace("rgb(", "[").replace(")", "]"))) for name, paper in papers.items()}
    assert bright["light"] > 600 and bright["dark"] < 150
    browser.asked.clear()
    browser.open(page, scheme=scheme)
    assert browser.ask(PAPER) == papers[other], "it is kept"
    browser.click("button.theme")
    assert browser.ask(PAPER) == papers[scheme]


def test_all_that_can_be_pressed_shows_its_focus(browser):
    names = []
    for _ in range(60):
        browser.press("Tab")
        name, ring = browser.ask("""(() => { const at = document.activeElement, key = at.closest('.key') || at;
            const style = getComputedStyle(key);
            const name = at.tagName === 'circle' ? 'circle' : at.className || at.tagName;
            return [name, style.outlineStyle !== 'none' || style.strokeWidth === '6px']; })()""")
        if name == "BODY":
            break
        names.append(name)
        assert ring, name
    assert {"skip", "theme", "copy"} <= set(names) and names.count("circle") == 1 and names.count("INPUT") == 5


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["run", "unlabelled"])
def test_nothing_is_wider_than_the_window(chromium, request, which, width):
    chromium.open(request.getfixturevalue(which).folder / "report.html", width)
    assert chromium.ask("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_drawn(browser, run, scheme):
    browser.asked.clear()
    browser.open(run.folder / "report.html", scheme=scheme)
    picture = np.asarray(Image.open(io.BytesIO(browser.picture())).convert("L"), np.float32)
    assert (picture.mean() > 200) == (scheme == "light")
    bands = [band.std() for band in np.array_split(picture, 10)]
    assert min(bands) > 3, "a part of the page is blank"


def test_nothing_but_the_page_s_own_script_runs_and_no_request_leaves(chromium, run, tmp_path):
    page = (run.folder / "report.html").read_text()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.png"
        added = f"<script>document.title = 'broken into'</script><img src='{address}'></body>"
        (tmp_path / "hostile.html").write_text(page.replace("</body>", added))
        chromium.said.clear()
        chromium.asked.clear()
        chromium.open(tmp_path / "hostile.html")
        assert chromium.ask("document.title") != "broken into"
        assert address in chromium.asked and len(chromium.said) >= 2, "both refusals are noticed"
        assert not select.select([server], [], [], 0.2)[0], "the request left"
