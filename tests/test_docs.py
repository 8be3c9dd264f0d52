"""Every snippet of the pages for people runs, at tiny sizes; what installs or takes minutes is checked against what it names."""

from __future__ import annotations

import re
import shlex
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from recorded import folder as eeg
from tiny import photos, recordings
from unveil import methods
from unveil.cli import main, parser
from unveil.data import builtin
from unveil.data.locate import cache_folder
from unveil.recipes.check import TABLES, find, names, settings_of
from unveil.recipes.recipe import from_file
from unveil.studies.study import load_studies
from unveil.training.settings import Training

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
TINY = {"kind.stride": 512, "encoder.width": 24, "encoder.depth": 2, "encoder.heads": 2, "encoder.patch": 4, "encoder.stages": 2,
        "method.hidden": 16, "method.projection": 16, "method.slices": 16, "method.bottleneck": 8, "method.prototypes": 16,
        "method.predictor_width": 16, "method.predictor_depth": 1, "method.predictor_heads": 2, "method.decoder_width": 16,
        "method.decoder_depth": 1, "method.decoder_heads": 2, "method.min_keep": 2, "train.steps": 2, "train.batch": 8}


def snippets(page: Path, *languages: str) -> list[str]:
    return [text for language, text in FENCE.findall(page.read_text()) if language in languages]


def commands(page: Path) -> list[str]:
    """The commands of a page, one each; of a console only what is typed."""
    lines = [line for text in snippets(page, "", "sh", "bash") for line in text.replace("\\\n", " ").splitlines()]
    lines += [line[2:] for text in snippets(page, "console") for line in text.splitlines() if line.startswith("$ ")]
    parts = [part for line in lines for part in " ".join(shlex.quote(w) for w in shlex.split(line, comments=True)).split(" ';' ")]
    return [part for part in parts if part.strip()]


CASES = [pytest.param(page, command, id=f"{page.name}: {command}") for page in PAGES for command in commands(page)]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with all that the pages speak of."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("photos", "labelled"):
        photos(folder / name)
    recordings(folder / "recordings", rows=400)
    eeg(folder / "eeg")
    labels = np.arange(40) % 2
    np.savez(folder / "features.npz", x=np.random.default_rng(0).normal(size=(40, 5)) + labels[:, None])
    (folder / "molecules.smi").write_text("".join(f"{'C' * (1 + i % 7)}{end}\n" for i in range(20) for end in ("O", "N", "Cl")))
    (folder / "structures").mkdir()
    for i in range(24):
        atoms = "".join(f"{name} {i / 10} {1.1 * at} 0 0 {at - 1} 0\n" for at, name in enumerate("CON"))
        (folder / "structures" / f"{i}.xyz").write_text(f"3\nProperties=species:S:1:pos:R:3:forces:R:3 energy={-i}.5\n{atoms}")
    (folder / "y.csv").write_text("label\n" + "".join("ab"[label] + "\n" for label in labels))
    return folder


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


def tiny(given) -> list[str]:
    """Settings, after those of a page, that make a command of ``unveil pretrain`` tiny."""
    kind = given.kind or (builtin.TABLE[given.data].kind if given.data in builtin.TABLE else None)
    kind = kind or {"recordings/": "signal", "eeg/": "signal", "molecules.smi": "graph", "structures/": "atoms"}.get(given.data, "image")
    method = given.method or find("kind", kind).method
    encoder = given.encoder or from_file(method, kind, "small")["encoder"]["name"]
    known = {"kind": find("kind", kind), "encoder": find("encoder", encoder), "method": find("method", method), "train": Training}
    words = ["--frozen", "--budgets", "1", *(["--budget", "1s"] if given.budget else [])]
    for name, value in TINY.items():
        section, key = name.split(".")
        if key in settings_of(known[section]):
            words += [f"--{name}", str(value)]
    return words


def run_unveil(words: list[str]) -> None:
    given, _ = parser().parse_known_args(words)
    if given.command == "reproduce":
        for study in load_studies(given.study):
            assert set(given.arms.split(",") if given.arms else []) <= set(study.arms)
        return
    if given.command == "export" and given.to in ("onnx", "timm"):
        pytest.importorskip("onnxruntime" if given.to == "onnx" else "timm")
    if given.command == "pretrain":
        if given.data in builtin.TABLE and not (cache_folder() / given.data).is_dir():
            pytest.skip(f"the set {given.data} is not in the cache")
        words = [*words, *tiny(given)]
    if given.command == "evaluate":
        words = [*words, "--frozen", "--budgets", "1"]
    if given.command == "compare":
        words = [*words, "--budgets", "1", "--seeds", "2", "--train.steps", "4", "--train.batch", "8", "--encoder.width", "24",
                 "--encoder.stages", "2"]
    for word in words:
        if word.startswith("runs/") and given.command != "pretrain" and not Path(word).exists():
            run_unveil(["pretrain", "structures/" if word == "runs/structures" else "photos/", "--out", word])
    assert main(words) == 0


@pytest.mark.parametrize("page, command", CASES)
def test_a_command_runs(page, command, here):
    program, *words = shlex.split(command)
    if program == "unveil":
        run_unveil(words)
    elif program in ("torchrun", "srun"):  # what they start, in one process; tests/parallel starts several
        at = words.index("unveil.cli")
        assert words[at - 1] == "-m" and (program == "torchrun" or words[:1] == ["python"])
        run_unveil(words[at + 1:])
    elif program == "make":
        rules = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert words and set(words) <= set(rules), f"{words} is not in the Makefile"
    elif program in ("pip", "pip3"):
        project = (ROOT / "pyproject.toml").read_text()
        extras = re.search(r"\[project.optional-dependencies\]\n(.*?)\n\n", project, re.S)[1]
        assert words[:2] == ["install", "-e"] and re.fullmatch(r"\.(\[[\w,]+\])?", words[2])
        assert set(re.findall(r"\w+", words[2])) <= set(re.findall(r"^(\w+) =", extras, re.M)), f"{words[2]} is no extra"
    else:
        pytest.fail(f"do not know how to check {command!r}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_runs_from_top_to_bottom(page, here, monkeypatch):
    """The snippets of a page share their names, as a reader's session would."""
    module = ModuleType(f"snippets_of_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for number, text in enumerate(snippets(page, "python")):
        began = time.perf_counter()
        exec(compile(text, f"{page.name}, snippet {number + 1}", "exec", dont_inherit=True), vars(module))
        assert time.perf_counter() - began < 120


def test_the_ninth_method_of_contributing_is_taught_by_its_name(here, monkeypatch):
    """With the line in the table that the page asks for."""
    page = ROOT / "CONTRIBUTING.md"
    module = ModuleType("snippets_of_barlow")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(snippets(page, "python")[0], page.name, "exec", dont_inherit=True), vars(module))
    name, place = re.search(r'`"([\w-]+)": "([\w.:]+)"`', page.read_text()).groups()
    assert place.endswith(":BarlowTwins")
    monkeypatch.setitem(methods.TABLE, name, "snippets_of_barlow:BarlowTwins")
    known = {"method": vars(module)["BarlowTwins"], "encoder": find("encoder", "transformer"), "train": Training}
    words = [word for key, value in TINY.items() if (section := key.partition(".")[0]) in known
             and key.partition(".")[2] in settings_of(known[section]) for word in (f"--{key}", str(value))]
    assert main(["pretrain", "photos", "--method", name, "--out", "runs/ninth", "--json", *words]) == 0
    assert main(["list", name]) == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_are_named_exist(page):
    known = {f"{section}.{key}" for section in TABLES for name in names(section) for key in settings_of(find(section, name))}
    known |= {f"train.{key}" for key in settings_of(Training)} | {f"{section}.name" for section in TABLES}
    named = set(re.findall(r"--((?:kind|encoder|method|train)\.\w+)", page.read_text()))
    assert named <= known, named - known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_fence_says_what_it_holds(page):
    """What is neither python nor a command is not run, so it must say so."""
    assert {language for language, _ in FENCE.findall(page.read_text())} <= {"", "sh", "bash", "console", "python", "text", "yaml", "json"}


def test_readme_has_what_a_reader_needs():
    text = (ROOT / "README.md").read_text()
    assert "make test" in text and "make demo" in text and snippets(ROOT / "README.md", "python")
