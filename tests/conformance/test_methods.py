"""Every method of the table keeps its contract, learns on a planted set, and has twins that do not.

The cells (method, encoder, kind) are computed: where a method teaches on a kind, with the kind's own encoder or the first that can,
on grids with a second encoder that is unlike the first, and on recordings of mixed channels with one that reads these. The quick part
checks the contract in every cell, and learning and twins at home: on pictures, else on the first kind that the method teaches on. The
slow part checks learning and twins in every cell and writes what came of each to ``results/conformance.json``; where that takes minutes,
on atoms and for methods of signals alone, it is the only one.
"""

import json
from pathlib import Path

import pytest

from unveil.recipes.check import TABLES, find
from unveil.recipes.fit import ways
from unveil.testing import CONTRACT, Cell, check_learning, check_twin, learn
from unveil.testing.learning import SEEDS
from unveil.training.checkpoint import write_atomic

HOME, COSTLY = "image", ("atoms", "signal")
SECOND = ("conv", "montage")
OWN = {"ts2vec": dict(steps=300), "biopm": dict(steps=1200, lr=1e-3)}  # of training: the first is slow, the second forgets before it learns
ROWS = Path(__file__).parents[2] / "results" / "conformance.json"
METHODS = list(TABLES["method"])
SETTINGS = {(method, encoder, kind): find("kind", kind).tiny | settings for method in METHODS for kind in TABLES["kind"]
            for number, (encoder, settings) in enumerate(ways(kind, method)) if not number or encoder in SECOND}
CELLS = list(SETTINGS)
HOMES = {case[0]: case for case in [*CELLS[::-1], *(case for case in CELLS[::-1] if case[2] == HOME)]}
TWINS = [(*case, twin) for method, case in HOMES.items() for twin in find("method", method).twins]
KNOWN: dict[tuple[str, ...], str] = {
    ("dino", "conv", "image", ""): "0.55 -> 1.00, 0.81 -> 0.91, 0.69 -> 0.89: gain 0.253 is 2.5 standard errors, seeds start too far apart",
    ("infograph", "equivariant", "atoms", ""): "0.47 -> 0.40, 0.53 -> 0.44, 0.48 -> 0.44: it loses what the untaught network says"}


def cell(method: str, encoder: str, kind: str, **training) -> Cell:
    return Cell(find("method", method), find("kind", kind)(**SETTINGS[method, encoder, kind]), find("encoder", encoder), training=training)


def marked(cases: list[tuple[str, ...]]) -> list:
    """Cases with what is known not to pass, which must go on not passing until its line is taken out."""
    known = lambda case: [pytest.mark.xfail(reason=KNOWN[whole], strict=True)] if (whole := (*case, "")[:4]) in KNOWN else []
    return [pytest.param(*case, id="-".join(case), marks=known(case)) for case in cases]


@pytest.mark.parametrize("method, encoder, kind", [pytest.param(*case, id="-".join(case)) for case in CELLS])
def test_contract(method, encoder, kind):
    for check in CONTRACT:
        check(cell(method, encoder, kind))


def test_every_method_names_a_twin():
    assert all(find("method", method).twins for method in METHODS)


def test_every_kind_and_every_method_has_a_cell():
    assert {case[0] for case in CELLS} == set(METHODS) and {case[2] for case in CELLS} == set(TABLES["kind"])


@pytest.mark.parametrize("method, encoder, kind", marked([case for case in HOMES.values() if case[2] not in COSTLY]))
def test_learns(method, encoder, kind):
    check_learning(cell(method, encoder, kind))


@pytest.mark.parametrize("method, encoder, kind, twin", marked([case for case in TWINS if case[2] not in COSTLY]))
def test_twin_fails(method, encoder, kind, twin):
    check_twin(cell(method, encoder, kind), twin)


@pytest.fixture(scope="module")
def rows():
    """Rows by their case; those of cases that are run are replaced in the file."""
    made = {}
    yield made
    before = {tuple(row["case"]): row for row in json.loads(ROWS.read_text())} if ROWS.exists() else {}
    held = [row for case, row in sorted((before | made).items())]
    write_atomic(ROWS, ("[\n" + ",\n".join(json.dumps(row) for row in held) + "\n]\n").encode())


@pytest.mark.slow
@pytest.mark.parametrize("method, encoder, kind, twin", marked(
    [(*case, twin) for case in CELLS for twin in ("", *find("method", case[0]).twins)]))
def test_table(rows, method, encoder, kind, twin):
    made = cell(method, encoder, kind, **OWN.get(method, {}))
    learned = learn(made, twin=twin or None)
    held = {name: [round(x, 4) for x in x] if name in ("untaught", "taught") else round(x, 4) if isinstance(x, float) else x
            for name, x in learned.to_json().items()}
    settings = made.settings_of_training()
    rows[method, encoder, kind, twin] = {"case": [method, encoder, kind, twin], "seeds": list(SEEDS), "steps": settings.steps,
                                         "batch": settings.batch, "lr": settings.lr} | held
    assert (learned.gains and learned.clean) == (not twin), str(learned)
