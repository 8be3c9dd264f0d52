"""Nothing from outside is run, nothing that it is called leads anywhere, and no name in it is obeyed by a page or a terminal."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import pickle
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import unveil
from broken import arrays
from tiny import WORDS, photos, pixels, series
from unveil import api
from unveil.cli import main
from unveil.commands import words
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.errors import Unusable
from unveil.formats import card
from unveil.recipes import recipe as recipes
from unveil.recipes.kept import load_encoder
from unveil.reports.page import render, write_report
from unveil.studies.study import _file_name, load_studies
from unveil.wording import printable, sentence

ROOT = Path(unveil.__file__).parent
EVIL = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "</script><script>alert(2)</script>", "javascript:alert(1)",
        "[bold]x[/]",
        "[/]", "[link=http://evil.invalid]x", "\x1b[31mred\x1b]0;title\x07", "\u202egpj.exe", "=cmd|' /C calc'!A0", "{{7*7}}", "`x`|y\n# z"]


# ---- code from outside


def calls(file: Path):
    """Dotted name and call of every call in a file."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}


def unsafe(name: str, said: dict[str, str], file: str) -> str:
    """Why a call is none that this package makes; empty where it may."""
    last = name.rpartition(".")[2]
    if name in ("eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.hub.load", "marshal.loads", "shelve.open"):
        return "runs text"
    if name == "torch.load" and said.get("weights_only") != "True":
        return "unpickles"
    if name in ("np.load", "numpy.load") and said.get("allow_pickle") != "False":
        return "may unpickle"
    if name.startswith(("pickle.", "joblib.", "dill.", "cloudpickle.")) and (file != "data/builtin.py" or last in ("load", "loads")):
        return "unpickles"
    if name.startswith("yaml.") and last not in ("safe_load", "safe_dump"):
        return "YAML that makes objects"
    if said.get("trust_remote_code", "False") != "False" or said.get("shell", "False") != "False":
        return "runs code of others"
    if last == "from_pretrained" and "Model" in name and file.startswith("encoders/") and said.get("use_safetensors") != "True":
        return "may unpickle weights"
    return "unpacks paths of others" if last in ("extractall", "unpack_archive") else ""


def test_the_source_runs_nothing_from_outside():
    found = {f"{file.relative_to(ROOT)}: {name}": why for file in sorted(ROOT.rglob("*.py")) for name, said in calls(file)
             if (why := unsafe(name, said, str(file.relative_to(ROOT))))}
    assert not found
    users = [str(file.relative_to(ROOT)) for file in ROOT.rglob("*.py") if re.search(r"^\s*(import|from) (pickle|marshal|dill|joblib)",
                                                                                     file.read_text(), re.M)]
    assert users == ["data/builtin.py"], "the restricted reader of one built-in set"


@pytest.mark.parametrize("line", ["torch.load(x)", "torch.load(x, weights_only=False)", "np.load(x)", "np.load(x, allow_pickle=True)",
                                  "yaml.load(x)",
                                  "eval(x)", "pickle.loads(x)", "subprocess.run(x, shell=True)",
                                  "AutoModel.from_pretrained(x, trust_remote_code=True)",
                                  "archive.extractall(x)"])
def test_the_search_finds_what_it_is_for(tmp_path, line):
    (tmp_path / "a.py").write_text(line)
    assert all(unsafe(name, said, "data/a.py") for name, said in calls(tmp_path / "a.py"))


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """A file that must not come to be."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "ran"
    assert not (tmp_path / "ran").exists(), "code from outside was run"


def test_the_payload_would_run(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_pickles_in_arrays(mark):
    held = np.empty(2, object)
    held[:] = [Payload(mark)] * 2
    np.save("a.npy", held, allow_pickle=True)
    np.savez("a.npz", x=held)
    Path("b.npy").write_bytes(pickle.dumps(Payload(mark)))
    Path("b.npz").write_bytes(pickle.dumps(Payload(mark)))
    Path("c.npy").write_bytes(arrays.headed("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", pickle.dumps(Payload(mark))))
    for name in ("a.npy", "a.npz", "b.npy", "b.npz", "c.npy"):
        with pytest.raises(Unusable, match=f"cannot read {name}"):
            open_records(name, Options(kind="signal", layout="ct"))


def test_yaml_that_would_make_objects(mark):
    for number, text in enumerate((f"!!python/object/apply:os.system ['touch {mark}']",
                                   f"train: !!python/object/new:os.system ['touch {mark}']",
                                   "!!python/name:os.system", "a: !!python/module:os")):
        Path(f"{number}.yaml").write_text(text)
        with pytest.raises(Unusable, match="could not determine a constructor"):
            recipes.read(Path(f"{number}.yaml"))
        with pytest.raises(Unusable, match="could not determine a constructor"):
            load_studies(f"{number}.yaml")
    assert main(["pretrain", "x", "--train.lr", f"!!python/object/apply:os.system ['touch {mark}']"]) == 2


def weights(folder: Path, **config) -> Path:
    """A folder as ``save_pretrained`` leaves it, with pickled weights that are a trap."""
    folder.mkdir()
    vit = dict(model_type="vit", hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16,
               patch_size=8)
    (folder / "config.json").write_text(json.dumps(vit | config))
    return folder


def test_pickled_weights_for_hf(mark):
    pytest.importorskip("transformers")
    from unveil.encoders.pretrained import _loaded
    folder = weights(mark.parent / "w")
    for name in ("pytorch_model.bin", "model.pt", "model.safetensors.bin"):
        (folder / name).write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(Unusable, match="cannot load hf:"):
        _loaded(str(folder))
    (folder / "model.safetensors").write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(Unusable, match="cannot load hf:"):
        _loaded(str(folder))


def test_a_folder_that_brings_code_for_hf(mark, monkeypatch):
    """Neither run nor asked about: nobody can say yes by accident."""
    pytest.importorskip("transformers")
    from unveil.encoders.pretrained import _built, _loaded
    monkeypatch.setattr("builtins.input", lambda *said: pytest.fail("asked whether to run it"))
    evil = {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    folder = weights(mark.parent / "w", **evil)
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')")
    with pytest.raises(Unusable, match="cannot load hf:"):
        _loaded(str(folder))
    native = json.loads((folder / "config.json").read_text()) | {"model_type": "vit", "attn_implementation": "someone/evil-kernel"}
    network, _ = _built(native)
    assert type(network).__module__.startswith("transformers.models.vit") and "/" not in str(network.config._attn_implementation)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on names that are traps."""
    folder = tmp_path_factory.mktemp("evil")
    labels = np.array(EVIL)[np.arange(48) % len(EVIL)]
    data = {"x": series(48), "y": labels, "groups": np.array(EVIL)[np.arange(48) // 4 % len(EVIL)]}
    made = api.pretrain(data, kind="signal", method="simclr", out=folder / "run", budgets=(None,), networks=False, hold_out=(0, 1),
                        options=Options(layout="ct"), settings={"kind.window": 32, "encoder.width": 16, "encoder.stages": 2,
                                                                "method.hidden": 16,
                                                                "method.projection": 8, "train.steps": 2, "train.batch": 8})
    made.facts["faults"] = {name: f"why {name}" for name in EVIL}
    made.facts["notes"] += EVIL
    made.asked["data"] = EVIL[1]
    write_report(made)
    return made


@pytest.mark.parametrize("change", [{"encoder": {"name": "os:system"}}, {"encoder": {"name": "../../evil"}},
                                    {"encoder": {"name": ["conv"]}},
                                    {"encoder": {"name": "unveil.cli:main"}}, {"kind": {"name": "builtins:eval"}},
                                    {"encoder": {"name": None}},
                                    {"spec": {"channels": 10**12}}, {"seed": "x"}, {"encoder": {"width": 10**9}},
                                    {"encoder": {"width": "wide"}},
                                    {"encoder": 3}, {"spec": []}, {"spec": {"mean": ["a"]}}])
def test_a_kept_encoder_names_nothing_but_ours(run, tmp_path, change):
    folder = tmp_path / "encoder"
    folder.mkdir()
    facts = json.loads((run.folder / "encoder" / "config.json").read_text())
    for section, held in change.items():
        facts[section] = facts[section] | held if isinstance(held, dict) else held
    (folder / "config.json").write_text(json.dumps(facts))
    (folder / "model.safetensors").write_bytes((run.folder / "encoder" / "model.safetensors").read_bytes())
    with pytest.raises(Unusable):
        load_encoder(folder)


def test_a_kept_encoder_of_depth_and_of_pickles(run, mark):
    folder = mark.parent / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text("[" * 100_000)
    (folder / "model.safetensors").write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(Unusable, match="holds no encoder that can be read"):
        load_encoder(folder)
    (folder / "config.json").write_bytes((run.folder / "encoder" / "config.json").read_bytes())
    with pytest.raises(Unusable, match="holds no encoder that can be read"):
        load_encoder(folder)


# ---- names in pages


class Traps(HTMLParser):
    """What a page has that only a name could have brought."""

    def __init__(self, page: str):
        super().__init__()
        self.found, self.scripts, self.inside = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.inside = tag
        if tag == "script":
            self.scripts.append("")
        said = {name: value or "" for name, value in attributes}
        if tag in ("iframe", "object", "embed", "base", "form") or (tag == "img" and not said.get("src",
                                                                                                  "data:image/").startswith("data:image/")):
            self.found.append(tag)
        self.found += [name for name, value in said.items() if name.startswith("on") or value.strip().lower().startswith("javascript:")]

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data

    def handle_endtag(self, tag):
        self.inside = None


def test_names_in_a_page_are_text(run):
    page = Traps((run.folder / "report.html").read_text())
    assert not page.found and len(page.scripts) == 2, "the drawings and our own script"
    json.loads(page.scripts[0])
    assert "alert" not in page.scripts[1]


def test_drawings_cannot_leave_their_island(run):
    held = json.loads((run.folder / "report.json").read_text())
    drawn = held["map"]["drawn"][0]["id"]
    page = render(held | {"drawings": held["drawings"] | {drawn: held["drawings"][drawn] + "<!--</script><script>alert(1)//"}})
    island = re.search(r'id="drawings">(.*?)</script>', page, re.S)[1]
    assert json.loads(island)[drawn].endswith("alert(1)//")


def test_every_fault_is_in_the_page(run):
    held = json.loads((run.folder / "report.json").read_text())
    held["facts"]["faults"] = {f"broken {i:04d}.png": "is damaged" for i in range(1000)}
    page = render(held)
    assert all(f"broken {i:04d}.png" in page for i in range(1000)) and "and 980 more" in page


def test_names_in_a_model_card_are_text(run):
    held = {"to": "safetensors", "encoder": {"name": "conv"}, "width": 16, "unveil": "1", "read_by": "unveil", "difference": 0.0,
            "tolerance": 1e-6,
            "input": {"read": "Windows.", "kind": "signal", "shape": [3, 32], "axes": ["t"], "spacing": [1.0], "unit": "s", "channels": 3,
                      "range": "",
                      "mean": [0.0], "std": [1.0], "missing": "none"}}
    report = json.loads((run.folder / "report.json").read_text())
    for name in EVIL:
        rows = [row | {"split_name": name} for row in report["rows"]]
        facts = report["facts"] | {"notes": [name], "split": name}
        text = card.card(held, {"recipe": report["recipe"], "rows": rows, "data": facts, "ending": report["ending"],
                                "name": f"simclr on {name}"})
        body = text.split("---\n", 2)[2]
        assert not re.search(r"<(script|img)", body), "no element"
        assert printable(body.replace("\n", "")) == body.replace("\n",
                                                                 "") and "\n# z" not in body, "no sign that is obeyed, no line of its own"
        assert all(line.count(" | ") == 8 for line in body.splitlines() if line.startswith("| encoder"))


# ---- names in a terminal and in files


def test_names_in_a_terminal_are_text(monkeypatch, capsys):
    shown = io.StringIO()
    monkeypatch.setattr(words, "OUT", Console(file=shown, force_terminal=True, highlight=False, width=200))
    words.print_faults({name: f"why {name}" for name in EVIL[:5]})
    words.print_faults({name: f"why {name}" for name in EVIL[5:10]})
    words.print_faults({name: f"why {name}" for name in EVIL[10:]})
    text = re.sub(r"\x1b\[(33|0)m", "", shown.getvalue())
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
    for name in ("[bold]x[/]", "[/]: why [/]", "[link=http://evil.invalid]x", r"\x1b[31mred\x1b]0;title\x07", r"\u202egpj.exe"):
        assert name in text


@pytest.mark.parametrize("name", EVIL)
def test_a_mistake_that_quotes_a_name_is_one_message(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    for line in (["pretrain", name], ["pretrain", "watch", "--method", name], ["inspect", name], ["reproduce", name]):
        assert main(line) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said and not re.search("[\x1b\x07\u202e]", said)


def test_files_of_such_names_are_read_and_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photos(Path("photos"), 16)
    for number, name in enumerate(EVIL):
        safe = name.replace("/", "_")
        (tmp_path / "photos" / safe).mkdir()
        Image.fromarray(pixels(1, 16, seed=number)[0]).save(tmp_path / "photos" / safe / f"{safe}.png")
        (tmp_path / "photos" / safe / f"{safe}bad.png").write_text("no picture")
    assert main(["inspect", "photos", "--labels", "folders"]) == 0
    assert main(["pretrain", "photos", "--labels", "folders", "--budgets", "all", "--frozen", "--out", "run", *WORDS, "--train.steps",
                 "6"]) == 0
    out, err = capsys.readouterr()
    assert not re.search("[\x1b\x07\u202e]", out + err)
    facts = json.loads(Path("run/results.json").read_text())["data"]
    assert len(facts["faults"]) == len(EVIL) and len(facts["classes"]) == 2 + len(EVIL)
    page = Traps(Path("run/report.html").read_text())
    assert not page.found and len(page.scripts) == 2


def test_printable_leaves_writing_alone():
    for text in ("grün", "日本語", "می‌خواهم", "👩‍🔬", "a b", "naïve"):
        assert printable(text) == text
    assert printable("a\tb\x1b[0m\u202e\udcff") == r"a\tb\x1b[0m\u202e\udcff"
    assert len(sentence("x" * 10_000 + "end")) < 1100 and sentence("x" * 10_000 + "end").endswith("end") and sentence("a\nb") == "a\nb"


@pytest.mark.parametrize("data", ["../../etc", "/", "hf:a/..", "..", "a/../b"])
def test_the_folder_of_a_run_is_below_runs(data):
    """Its name is the last part of where the data lie."""
    called = Path(data).resolve().stem
    assert "/" not in called and called not in (".", "..")


def test_rows_of_a_study_lie_in_its_folder(tmp_path):
    for arm in ("../../evil", "/etc/evil", "a/b", ".."):
        place = (tmp_path / "rows" / f"{_file_name(arm)}-s0.json").resolve()
        assert place.parent == (tmp_path / "rows").resolve()
    (tmp_path / "s.yaml").write_text("question: q\ndata: watch\narms: {a: {method: simclr}}\nkinds: {../../evil: {}}")
    assert "/" not in load_studies(str(tmp_path / "s.yaml"))[0].name


def test_names_in_tables_are_as_they_are(run, tmp_path):
    """A cell that begins with = stays so: whoever reads the file by a program must get the name back. docs/safety.md says so."""
    held = {"x": series(12), "y": np.array(["=1+1"] * 12)}
    np.savez(tmp_path / "a.npz", **held)
    api.embed_to(run.folder, str(tmp_path / "a.npz"), tmp_path / "f.csv", options=Options(layout="ct"))
    with open(tmp_path / "f.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["label"] for row in rows} == {"=1+1"} and os.path.getsize(tmp_path / "f.csv") > 100
