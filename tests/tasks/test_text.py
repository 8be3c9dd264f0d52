"""Judging in words: ranks and shares against plain counting, an ideal text part, one that knows nothing, and chance beside both."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from unveil.contracts import Encoder, Features
from unveil.data.split import split
from unveil.kinds.signal import Signal
from unveil.kinds.signal.captions import TOKENISER, WORDS
from unveil.randomness import Generator
from unveil.tasks.bench import Bench, Way
from unveil.tasks.task import judge
from unveil.tasks.text import TextRetrieval, ZeroShot, ranks

KIND = Signal(window=64, captions="signal")


def values_of(text):
    """Which values of which properties texts speak of ``(B, values)``, by looking for every wording."""
    said = [f" {TOKENISER.decode(row)} " for row in text.tolist()]
    return torch.tensor([[float(any(f" {way} " in one for way in ways)) for values in WORDS.values() for ways in values.values()]
                         for one in said])


class Ideal(nn.Module):
    """Vectors are what is said."""

    contrasted = True

    def samples(self, features):
        return features.pooled

    def texts(self, text):
        return nn.functional.normalize(values_of(text), dim=-1)


class Reader(Encoder):
    """Knows of a sample what captions would say; or, ``blind``, of another one."""

    def __init__(self, blind=False):
        super().__init__()
        self.blind, self.beside = blind, {"text": Ideal()}

    def forward(self, batch, keep=None, layers=()):
        said = KIND.says(batch)
        columns = []
        for name, values in WORDS.items():
            number = said.get(name, torch.full((len(batch),), -1))
            columns.append((number[:, None] == torch.arange(len(values))).float())
        pooled = nn.functional.normalize(torch.cat(columns, 1), dim=-1)
        return Features(pooled[:, None], pooled.roll(len(batch) // 2, 0) if self.blind else pooled)


def bench(network, count=400, kind=KIND):
    samples = kind.planted(count, Generator("asked"))
    way = Way(lambda batch: batch.values.flatten(1), network, hash="one")
    return Bench(split(samples, [0, 1, 2]), {"encoder": way}, kind, controls=False)


def rows_of(network, task):
    found, left = judge(bench(network), [task])
    assert not left
    return {(row["features"], row["metric"]): row for row in found}


def test_ranks_are_those_of_plain_counting():
    likeness = torch.randn(30, 30).round(decimals=1)
    for i, rank in enumerate(ranks(likeness)):
        others = [float(likeness[i, j]) for j in range(30) if j != i]
        assert rank == 1 + sum(x > float(likeness[i, i]) for x in others) + sum(x == float(likeness[i, i]) for x in others) / 2


def test_an_ideal_text_part_tells_every_property():
    rows = rows_of(Reader(), ZeroShot())
    ours = {metric: row for (features, metric), row in rows.items() if features == "encoder"}
    assert {"balanced accuracy of trend", "balanced accuracy of period", "balanced accuracy"} <= set(ours)
    assert "balanced accuracy of channel" not in ours, "a property that all samples share tells nothing"
    assert all(row["value"] == pytest.approx(1.0) for row in ours.values())
    for metric, row in ours.items():
        assert row["n_train"] == 0 and row["labels"] is None and ("chance", metric) in rows
    assert rows["chance", "balanced accuracy of trend"]["value"] == pytest.approx(1 / 3)


def test_one_that_knows_of_other_samples_is_at_chance():
    rows = rows_of(Reader(blind=True), ZeroShot())
    found, chance = (rows[name, "balanced accuracy of trend"]["value"] for name in ("encoder", "chance"))
    assert found < 0.7 and rows["encoder", "balanced accuracy of trend"]["value"] < 1 and chance < 0.5
    asked = rows_of(Reader(blind=True), TextRetrieval())
    size = asked["encoder", "median rank, signal by text"]["n_test"]
    assert asked["encoder", "median rank, signal by text"]["value"] > size / 5


def test_every_value_counts_alike():
    """Against plain counting: the mean over the values that occur of the share that is right."""
    class Mostly(Reader):
        def forward(self, batch, keep=None, layers=()):
            features = super().forward(batch)
            wrong = (batch.ids % 5 == 0)[:, None]
            return replace(features, pooled=torch.where(wrong, features.pooled.roll(1, 1), features.pooled))

    network, here = Mostly(), bench(Mostly())
    batch = here.split.test.batch(torch.arange(len(here.split.test)))
    prompts = {name: torch.stack([nn.functional.normalize(Ideal().texts(text).mean(0), dim=0) for text in values.values()])
               for name, values in KIND.prompts().items()}
    truth, shares = KIND.says(batch)["trend"], []
    guess = (network(batch).pooled @ prompts["trend"].T).argmax(1)
    for value in truth.unique():
        shares.append(float((guess[truth == value] == value).double().mean()))
    assert rows_of(Mostly(), ZeroShot())["encoder", "balanced accuracy of trend"]["value"] == pytest.approx(np.mean(shares))
    assert 0.5 < np.mean(shares) < 1


def test_captions_find_their_samples_up_to_what_is_left_out_and_alike():
    rows = rows_of(Reader(), TextRetrieval())
    for way in ("signal by text", "text by signal"):
        size = rows["encoder", f"median rank, {way}"]["n_test"]
        assert rows["chance", f"recall@5, {way}"]["value"] == pytest.approx(5 / size)
        assert rows["chance", f"median rank, {way}"]["value"] == (size + 1) / 2
        assert rows["encoder", f"median rank, {way}"]["value"] < size / 4 and rows["encoder", f"median rank, {way}"]["direction"] == "lower"


def test_what_lacks_a_text_part_or_captions_is_not_judged():
    plain = Reader()
    plain.beside = {}
    for network, kind, lacking in ((plain, KIND, "text part"), (Reader(), Signal(window=64), "captions")):
        found, left = judge(bench(network, kind=kind), [ZeroShot(), TextRetrieval()])
        assert not found and all(lacking in why for why in left.values()) and len(left) == 2


def test_a_text_part_that_says_captions_is_asked_how_likely_it_says_each():
    """Ideal log probabilities, beside a favour for some prompts whatever the sample, which the mean over training samples takes out."""
    class Speaker(Ideal):
        contrasted = False

        def pooled(self, features):
            return features.local

        def likelihood(self, pooled, text):
            return pooled[:, 0] @ values_of(text).T + 5 * (text.sum(1) % 7)

    network = Reader()
    network.beside = {"text": Speaker()}
    rows = rows_of(network, ZeroShot(samples=40))
    assert rows["encoder", "balanced accuracy of trend"]["value"] == pytest.approx(1.0)
    assert judge(bench(network), [TextRetrieval()]) == ([], {"text-retrieval": "a text part that a contrast has taught"})


class Named(Ideal):
    """Reads the class of a prompt, and nothing else."""

    def samples(self, features):
        return features.local[:, 0]

    def texts(self, text):
        said = [TOKENISER.decode(row).split()[-1] for row in text.tolist()]
        return torch.tensor([[float(word == name) for name in "abcd"] for word in said])


@pytest.mark.parametrize("captions", ["signal", "classes"])
def test_the_class_is_asked_for_where_captions_name_it(captions):
    """The network is told the class of every second sample, and of the others a wrong one: half are found."""
    kind = Signal(window=64, captions=captions)
    samples = kind.planted(400, Generator("asked"))
    said = torch.as_tensor(samples.labels + (np.arange(400) // 4 % 2)) % 4
    network = Reader()
    network.forward = lambda batch, **how: Features(nn.functional.one_hot(said[batch.ids], 4).float()[:, None], batch.values[:, 0])
    network.beside = {"text": Named()}
    way = Way(lambda batch: batch.values.flatten(1), network, hash="one")
    parts = split(samples, [0, 1, 2, 3])
    found, _ = judge(Bench(parts, {"encoder": way}, kind, controls=False), [ZeroShot(samples=len(parts.test))])
    rows = {(row["features"], row["metric"]): row for row in found}
    assert (("encoder", "balanced accuracy of class") in rows) == (captions == "classes")
    if captions == "classes":
        assert rows["encoder", "balanced accuracy of class"]["value"] == pytest.approx(0.5)
        assert rows["chance", "balanced accuracy of class"]["value"] == pytest.approx(1 / 4)
        assert "among 4 values of class" in rows["encoder", "balanced accuracy of class"]["protocol"]
        parts.test.labels[::2] = -1
        again, _ = judge(Bench(parts, {"encoder": way}, kind, controls=False), [ZeroShot(samples=len(parts.test))])
        assert any(row["metric"] == "balanced accuracy of class" for row in again), "samples without a label are not asked for"
