"""Floors, rooms and budgets of the package hold."""

import ast
from pathlib import Path

import pytest

import unveil
from unveil.recipes.check import TABLES

ROOT = Path(unveil.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ROOMS = {"methods", "encoders", "kinds", "tasks", "training", "formats"}
FLOORS = [{"wording", "plain_yaml"}, {"errors", "provenance"}, {"randomness"}, {"tokens", "health"}, {"contracts"}, {"data"},
          {"parts"}, ROOMS, {"recipes"}, {"controls"}, {"api", "testing"}, {"studies"}, {"reports", "listing", "progress", "sklearn"},
          {"commands"}, {"cli"}]
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(file: Path) -> set[str]:
    """Rooms that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("unveil"):
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "unveil" else [node.module]
            found |= {name.split(".")[1] for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("unveil.")}
    return found - {"__version__"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_never_go_up_and_rooms_stay_apart(file):
    mine = room_of(file)
    if mine == "__init__":
        return
    for other in imports(file) - {mine}:
        assert LEVEL[other] <= LEVEL[mine], f"{file.name} imports {other}, which is above it"
        assert not (mine in ROOMS and other in ROOMS), f"{file.name} of {mine} imports the room {other}"


def test_a_method_imports_no_other_method_and_names_no_kind():
    names = {file.stem for file in (ROOT / "methods").glob("*.py")} - {"__init__"}
    for file in (ROOT / "methods").glob("*.py"):
        text = file.read_text()
        assert not any(f"unveil.methods.{name}" in text for name in names - {"__init__"}) or file.stem == "__init__"
        assert "unveil.kinds" not in text and "manual_seed" not in text and "open(" not in text, file


def named_kinds(tree: ast.AST) -> list[tuple[int, str]]:
    """Lines where a program asks which kind it has before it: compares with a kind's name, or looks one up among names."""
    kinds, found = set(TABLES["kind"]), []
    for node in ast.walk(tree):
        parts = [node.left, *node.comparators] if isinstance(node, ast.Compare) else \
            node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else node.keys if isinstance(node, ast.Dict) else \
            [node.pattern.value] if isinstance(node, ast.match_case) and isinstance(node.pattern, ast.MatchValue) else []
        found += [(node.lineno, part.value) for part in parts if isinstance(part, ast.Constant) and part.value in kinds]
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unveil.kinds.") and node.module != "unveil.kinds.kind":
            found.append((node.lineno, node.module))
    return found


@pytest.mark.parametrize("file", [file for file in FILES if room_of(file) not in {"kinds", "encoders", "methods", "data"}],
                         ids=lambda f: str(f.relative_to(ROOT)))
def test_kinds_answer_by_contract(file):
    """Engine, tasks, studies and reports never ask which kind of data they have: no ``if graph``. Readers alone say what they can hold."""
    assert not named_kinds(ast.parse(file.read_text())), "ask the kind, the spec or the batch instead"


@pytest.mark.parametrize("line", ['if kind.name == "graph": pass', 'x = kind.name in ("atoms", "shape")', 'y = {"image": 1}[kind.name]',
                                  "from unveil.kinds.graph import Graph", 'z = "signal" != name'])
def test_a_kind_that_is_named_is_found(line):
    assert named_kinds(ast.parse(line))


def test_the_contract_itself_is_no_name_of_a_kind():
    assert not named_kinds(ast.parse('if batch.graph is not None: x = dict(graph=batch.graph)\nfrom unveil.kinds.kind import Kind'))


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_sizes(file):
    text = file.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            doc = node.body[0] if isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant) else None
            lines = node.end_lineno - node.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if doc else 0)
            assert lines <= 60, f"{node.name} has {lines} lines"


def test_a_method_file_is_short():
    for file in (ROOT / "methods").glob("*.py"):
        tree = ast.parse(file.read_text())
        docs = {line for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
                for line in range(node.lineno, node.end_lineno + 1)}
        lines = enumerate(map(str.strip, file.read_text().splitlines()), 1)
        code = [number for number, line in lines if line and not line.startswith("#") and number not in docs]
        assert len(code) <= 120, f"{file.name} has {len(code)} code lines"
