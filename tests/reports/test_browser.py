"""The page in a browser, without a network."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars"]


def open_page(page: Path, folder: Path, *flags: str) -> str:
    done = subprocess.run([CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_runs_to_its_end(run, tmp_path):
    page = open_page(run.folder / "report.html", tmp_path, "--dump-dom")
    assert 'data-ready="yes"' in page
    assert 'id="broken" role="alert" hidden' in page
    assert 'aria-selected="true"' in page


@pytest.mark.parametrize(("flags", "light"), [((), True), (("--blink-settings=preferredColorScheme=0",), False)])
def test_the_page_is_drawn(run, tmp_path, flags, light):
    target = tmp_path / "page.png"
    open_page(run.folder / "report.html", tmp_path, "--window-size=1200,3000", f"--screenshot={target}", *flags)
    picture = np.asarray(Image.open(target).convert("L"), np.float32)
    assert (picture.mean() > 200) == light
    bands = picture.reshape(10, -1)
    assert (bands.std(1) > 3).all(), "a part of the page is blank"


POKE = """
const say = (name, value) => document.documentElement.setAttribute('data-' + name, value);
const first = document.querySelector('circle[aria-selected=true]');
first.focus();
for (const key of ['ArrowRight', 'ArrowLeft', 'ArrowUp', 'ArrowDown'])
  document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
const now = document.querySelectorAll('circle[aria-selected=true]');
say('moved', now.length === 1 && now[0] !== first && now[0] === document.activeElement && now[0].tabIndex === 0);
say('shown', document.querySelector('.card .what').textContent === now[0].getAttribute('aria-label')
    && document.querySelector('.card .drawing svg') !== null);
const circles = () => document.querySelectorAll('circle[data-id]:not(.off)').length;
const all = circles();
document.querySelector('.keys[data-way=label] input').click();
say('fewer', circles() < all);
document.querySelector('.choice input[value=group]').click();
const hidden = way => document.querySelector(`.by[data-way=${way}]`).hasAttribute('hidden');
say('groups', circles() === all && hidden('label') && !hidden('group'));
"""


def test_the_map_answers_to_keys_and_legend(run, tmp_path):
    page = (run.folder / "report.html").read_text()
    before, _, after = page.partition('<meta http-equiv="Content-Security-Policy"')
    (tmp_path / "poked.html").write_text(before + after.partition(">")[2].replace("</body>", f"<script>{POKE}</script></body>"))
    found = open_page(tmp_path / "poked.html", tmp_path, "--dump-dom")
    for name in ("moved", "shown", "fewer", "groups"):
        assert f'data-{name}="true"' in found, name


def test_nothing_but_the_page_s_own_script_runs(run, tmp_path):
    page = (run.folder / "report.html").read_text()
    (tmp_path / "hostile.html").write_text(page.replace("</body>", "<script>document.title = 'broken into'</script></body>"))
    assert "<title>broken into" not in open_page(tmp_path / "hostile.html", tmp_path, "--dump-dom")
