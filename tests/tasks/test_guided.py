"""A head that texts of classes guide: it finds what is planted, its four arms differ in what they say they do and in nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.planted import Patches, halves, series
from unveil.parts.sentences import letters
from unveil.studies.summary import Figure
from unveil.studies.verdict import paired
from unveil.tasks import guided
from unveil.tasks.bench import Bench, Way
from unveil.tasks.guided import ARMS, CONTRAST, LIKENESS, Guided, derangement, likeness, stretched, weight
from unveil.tasks.task import judge

CALLED = {"": "own", "shuffled text": "others'", "supervised contrast alone": "none", "cross-entropy alone": "none"}


def marked(classes: int = 4, count: int = 240, tokens: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """One token of each sample shows its class, with a flag; all others show any class without it."""
    rng = np.random.default_rng(seed)
    shown, place = rng.integers(0, classes, (count, tokens)), rng.integers(0, tokens, count)
    values = np.zeros((count, 1, tokens, 8), np.float32)
    values[..., :classes] = 2 * np.eye(classes)[shown][:, None] + 0.3 * rng.normal(size=(count, 1, tokens, classes))
    values[np.arange(count), 0, place, 7] = 3
    return values.reshape(count, 1, -1), shown[np.arange(count), place]


def bench(labels, values, described=None, budgets=(None,), **columns) -> Bench:
    held = series(values, labels=labels, classes=[f"class_{c}" for c in range(max(labels) + 1)], **columns)
    held.described = described or {}
    return Bench(halves(held), {"patches": Way.frozen(Patches(8, 1, 1))}, budgets=budgets, draws=2, controls=False)


def found(task: Guided, held: Bench) -> dict[str, dict]:
    """The last accuracy of each arm, by what it is called behind the features."""
    rows, left = judge(held, [task])
    assert not left
    return {row["features"].removeprefix("patches").removeprefix(", "): row for row in rows if row["metric"] == "accuracy"}


@pytest.fixture
def plain(monkeypatch):
    """Vectors of letters, whatever is installed."""
    monkeypatch.setattr(guided, "vectors", lambda texts: (letters(texts), "letters"))


def test_the_planted_class_is_found_by_every_arm_and_nothing_where_nothing_is(plain):
    values, labels = marked()
    rows = found(Guided(steps=80, depth=1, lr=1e-2), bench(labels, values))
    assert list(rows) == list(CALLED) == [arm.called for arm in ARMS] and all(row["value"] > 0.6 for row in rows.values()), rows
    assert all(row["task"] == "guided" and row["labels"] is None and row["n_train"] == 120 and row["encoder"] for row in rows.values())
    rows = found(Guided(steps=15, depth=1), bench(np.random.default_rng(1).permutation(labels), values))
    assert all(row["value"] < 0.45 for row in rows.values()), "chance is 1/4"


def test_protocols_say_which_texts_and_how_alike_they_are(plain):
    values, labels = marked(classes=3, count=60)
    rows = found(Guided(steps=2), bench(labels, values))
    assert "the likeness of the names of classes (letters)" in rows[""]["protocol"]
    assert "each class with that of another" in rows["shuffled text"]["protocol"]
    alone, plain = (rows[f"{what} alone"]["protocol"] for what in ("supervised contrast", "cross-entropy"))
    assert "likeness" not in plain + alone and "contrast" in alone and "contrast" not in plain
    said = {f"class_{c}": text for c, text in enumerate(("the arm is raised", "the arm is lowered", "sitting still"))}
    held = bench(labels, values, said)
    (alike, texts), own = likeness(held), letters(list(said.values()))
    assert texts.startswith("the likeness of the descriptions of classes (letters), ")
    assert alike[0, 1] > alike[0, 2] and torch.equal(alike, (own @ own.T) ** 3)
    assert "descriptions and names" in likeness(bench(labels, values, {"class_0": "the arm is raised"}))[1]
    names = letters(["class 0", "class 1", "class 2"])
    assert torch.equal(likeness(bench(labels, values))[0], (names @ names.T) ** 3)


def test_each_arm_sees_the_texts_that_it_says(plain, monkeypatch):
    values, labels = marked(classes=4, count=60)
    said = {f"class_{c}": text for c, text in enumerate(("arm up", "arm down", "leg up", "sitting quite still"))}
    seen, contrasted, now = {}, set(), []
    margin, contrast, train = guided.likeness_margin, guided.supervised_contrast, Guided._train

    def watched(self, arm, *rest):
        now[:] = [arm.called]
        return train(self, arm, *rest)

    monkeypatch.setattr(Guided, "_train", watched)
    monkeypatch.setattr(guided, "likeness_margin", lambda u, y, alike, same: (seen.setdefault(now[0], alike), margin(u, y, alike, same))[1])
    monkeypatch.setattr(guided, "supervised_contrast", lambda z, y, t: (contrasted.add(now[0]), contrast(z, y, t))[1])
    held = bench(labels, values, said)
    found(Guided(steps=2), held)
    alike, _ = likeness(held)
    order = derangement(4, held.seed)
    assert set(seen) == {"", "shuffled text"} and torch.equal(seen[""], alike)
    assert torch.equal(seen["shuffled text"], alike[order][:, order]) and not torch.equal(seen["shuffled text"], alike)
    assert contrasted == {"", "shuffled text", "supervised contrast alone"}


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shuffled_texts_leave_no_class_its_own(count):
    orders = [derangement(count, seed).tolist() for seed in range(20)]
    assert all(sorted(order) == list(range(count)) and all(i != at for i, at in enumerate(order)) for order in orders)
    assert len({tuple(order) for order in orders}) > 1 or count == 2


def test_arms_differ_in_their_loss_alone(plain, monkeypatch):
    values, labels = marked(count=80)
    monkeypatch.setattr(guided, "weight", lambda epoch, most, until: 0.0)
    answers = []
    monkeypatch.setattr(Guided, "_answers", lambda self, taught, held, name, true=Guided._answers: (
        answers.extend(head.answer.weight for head, _, _ in taught), true(self, taught, held, name))[1])
    found(Guided(steps=6), bench(labels, values))
    assert len(answers) == 4 and all(torch.equal(answers[0], other) for other in answers[1:])


def test_weights_rise_as_published():
    assert [weight(epoch, *LIKENESS) for epoch in (0, 5, 10, 400)] == pytest.approx([0.1, 0.15, 0.3, 0.3])
    assert [weight(epoch, *CONTRAST) for epoch in (0, 4, 10, 20, 400)] == pytest.approx([0.1, 0.1, 0.25, 0.5, 0.5])


@pytest.mark.parametrize("count, most", [(7, 3), (12, 5), (4, 12), (6, 1)])
def test_means_over_neighbours_are_those_of_what_is_there(count, most):
    rng = np.random.default_rng(count)
    x, valid = torch.as_tensor(rng.normal(size=(3, count, 2))), torch.as_tensor(rng.uniform(size=(3, count)) > 0.4)
    valid[0, :count // 2] = False
    short, there = stretched(x, valid, most)
    assert short.shape == (3, min(count, most), 2)
    for i in range(3):
        for j in range(short.shape[1]):
            mine = [t for t in range(count) if t * min(count, most) // count == j and (valid[i, t] or count <= most)]
            assert bool(there[i, j]) == any(bool(valid[i, t]) for t in mine)
            assert torch.allclose(short[i, j], x[i, mine].mean(0) if mine else torch.zeros(2, dtype=x.dtype))


def test_a_sample_without_a_value_gives_a_finite_answer():
    head = guided.Head(8, 3, 2, 3)
    assert head.blocks[0].attention.heads == 2, "the next lower divisor of 8"
    assert head(torch.randn(2, 5, 8), torch.tensor([[False] * 5, [True] * 5])).isfinite().all()


def test_what_it_cannot_judge_is_told():
    values, labels = marked()
    assert "three classes" in Guided().lacks(bench(labels % 2, values), "patches")
    held = bench(labels, values)
    held.ways = {"statistics": Way(lambda batch: batch.values.flatten(1))}
    assert Guided().lacks(held, "statistics") == "a network with local features"


def test_a_verdict_pairs_the_arms_with_each_other_and_never_with_the_linear_probe(plain):
    values, labels = marked(count=80)
    rows, _ = judge(bench(labels, values, budgets=(2, None)), [Guided(steps=3)])
    assert [row["labels"] for row in rows if row["metric"] == "accuracy"] == [2] * 4 + [None] * 4
    whole = [{"arm": "a", "seed": 0, "folds": [{"split": "s", "scores": rows}]}]
    by = lambda features, each, task="guided": ("a", Figure(task), features)
    mine = {row["features"]: row for row in rows if row["metric"] == "accuracy" and row["labels"] == 2}
    for arm in ("shuffled text", "cross-entropy alone"):
        difference = paired(whole, by("patches", 2), by(f"patches, {arm}", 2), 2)
        assert difference[0] == pytest.approx(np.subtract(mine["patches"]["parts"], mine[f"patches, {arm}"]["parts"]))
    assert not paired(whole, by("patches", 2), by("patches", 2, "linear"), 2).size
