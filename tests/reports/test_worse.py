"""Where the encoder is worse than a plain control is found, and where it is not nothing is said."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from unveil.contracts import Batch, Features
from unveil.data.samples import Samples
from unveil.data.split import split
from unveil.kinds.kind import Kind
from unveil.reports.drawings import Drawings
from unveil.reports.worse import _places, compare, worse


class Told(Kind):
    """Channels 0 to 2 say the class to the control, 3 to 5 to the encoder."""

    name = "told"

    def statistics(self, batch):
        return batch.values[:, :3, 0]

    def draw(self, values):
        return "<svg/>"


class Reads(torch.nn.Module):
    supports, kind, width = frozenset(), Told(), 3

    def forward(self, batch: Batch) -> Features:
        return Features(batch.values[:, 3:].transpose(1, 2), batch.values[:, 3:, 0])


def judged(run, blind, rows=None):
    """A run of 1,200 samples in three classes and eight groups, four held out, in which the encoder cannot see where ``blind`` is true."""
    classes, groups = np.arange(1200) % 3, np.arange(1200) // 3 % 8
    rng = np.random.default_rng(0)
    code = np.eye(3)[classes]
    guess = np.where(blind(classes, groups)[:, None], np.eye(3)[rng.integers(0, 3, 1200)], code)
    noisy = lambda x: np.where((rng.random(1200) < 0.1)[:, None], np.eye(3)[rng.integers(0, 3, 1200)], x)
    values = torch.tensor(np.concatenate([noisy(code), noisy(guess)], 1)[..., None], dtype=torch.float32)
    samples = Samples(lambda ids: (values[ids], None), 1200, shape=(1,), channels=6, axes=("t",), spacing=(1.0,), unit="sample",
                      labels=classes, classes=["a", "b", "c"], groups=groups)
    linear = lambda name, value: {"task": "linear", "features": name, "labels": None, "value": value}
    parts = split(samples, (4, 5, 6, 7))
    return replace(run, encoder=Reads(), samples=samples, parts=parts,
                   rows=[linear("statistics", 0.9), linear("raw + PCA", 0.8), linear("encoder", 0.7)] if rows is None else rows)


def said(run, found) -> str:
    held = json.loads((run.folder / "report.json").read_text())
    return worse(held | {"facts": {"classes": ["a", "b", "c"]}, "drawings": Drawings(Told()) | {str(i): "<svg/>" for i in range(1200)},
                         "worse": found})


def test_a_blind_class_and_a_blind_group_come_first(run):
    found = compare(judged(run, lambda label, group: (label == 1) | (group == 6)), Drawings(Told()))
    assert (found["control"], found["n_train"], found["n"]) == ("statistics", 600, 600)
    assert {(place["of"], place["value"]) for place in found["places"] if place["clear"]} >= {("class", 1), ("group", 6)}
    assert [place["value"] for place in found["places"][:2]] in ([1, 6], [6, 1])
    assert found["lost"] > 4 * found["won"] > 0, "the control errs too"
    page = said(run, found)
    assert "Clearly worse than hand statistics in" in page and "group 6" in page


def test_drawn_samples_are_those_that_the_control_alone_gets_right(run):
    made = judged(run, lambda label, group: label == 1)
    found = compare(made, Drawings(Told()))
    assert len(found["samples"]) == 12 and len({sample["id"] for sample in found["samples"]}) == 12
    values = made.samples.batch(torch.arange(1200)).values[..., 0].numpy()
    for sample in found["samples"]:
        at = int(sample["id"])
        assert at // 3 % 8 >= 4, "of the held-out side"
        assert values[at, :3].argmax() == sample["label"] != sample["said"] == values[at, 3:].argmax()


def test_where_both_are_alike_it_says_that_nothing_is_worse(run):
    found = compare(judged(run, lambda label, group: label < 0), Drawings(Told()))
    assert found["lost"] > 0 and not any(place["clear"] for place in found["places"])
    assert "Nowhere worse by more than noise." in said(run, found)


def test_the_control_is_the_better_of_the_plain_ones_at_the_most_labels(run):
    row = lambda name, labels, value: {"task": "linear", "features": name, "labels": labels, "value": value}
    rows = [row("statistics", 5, 0.9), row("statistics", None, 0.5), row("raw + PCA", None, 0.6), row("random init", None, 0.99)]
    assert compare(judged(run, lambda label, group: label < 0, rows), Drawings(Told()))["control"] == "raw + PCA"
    assert compare(judged(run, lambda label, group: label < 0, rows[3:]), Drawings(Told())) == {}


@pytest.mark.parametrize(("lost", "won", "clear"), [(6, 0, True), (4, 0, False), (0, 9, False), (0, 0, False), (20, 12, False)])
def test_the_sign_test_is_exact_and_one_sided(lost, won, clear):
    column, less = np.zeros(40, int), np.arange(40) < lost
    more = (np.arange(40) >= lost) & (np.arange(40) < lost + won)
    place, = _places("class", column, more, less, less, more)
    assert place["clear"] == clear and (place["lost"], place["won"]) == (lost, won)


def test_many_places_are_corrected_for():
    column = np.repeat(np.arange(20), 6)
    lost = column == 3
    found = list(_places("group", column, ~lost, lost | True, lost, lost & False))
    assert 0.5**6 < 0.05 < 20 * 0.5**6 and not any(place["clear"] for place in found), "one in 20 would be found by chance"


def test_a_run_with_labels_says_it_first(run, unlabelled):
    held = json.loads((run.folder / "report.json").read_text())
    assert held["worse"]["n"] == held["facts"]["test"]
    assert sum(place["n"] for place in held["worse"]["places"] if place["of"] == "class") == held["facts"]["test"]
    page = (run.folder / "report.html").read_text()
    assert page.index("</h1>") < page.index('id="worse"') < page.index('id="scores"')
    assert 'id="worse"' not in (unlabelled.folder / "report.html").read_text()
