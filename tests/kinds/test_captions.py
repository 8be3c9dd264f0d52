"""Captions say what is so, by the values alone, and the same of a sample for good."""

import numpy as np
import pytest
import torch

from unveil.kinds.signal import Signal
from unveil.kinds.signal.captions import (
    FAR,
    FEW,
    LENGTH,
    PERIODS,
    RISES,
    TABLES,
    TOKENISER,
    WAVE,
    WORDS,
    captioned,
    compose,
    prompts,
    properties,
)
from unveil.parts.text import END, PAD, START, Tokeniser
from unveil.randomness import Generator

TIME = np.arange(96)


def value_of(name, x, there=None, rate=None):
    """What is said of one series of one channel."""
    x = torch.as_tensor(np.asarray(x), dtype=torch.float32)[None, None]
    there = torch.ones_like(x, dtype=torch.bool) if there is None else torch.as_tensor(there)[None, None]
    found = properties(x, there, None if rate is None else torch.tensor([float(rate)]))
    return list(WORDS[name])[int(found[name][0])]


@pytest.mark.parametrize("name, series, value", [
    ("trend", 0.1 * TIME, "rising"), ("trend", 5 - 0.1 * TIME, "falling"), ("trend", np.sin(TIME), "steady"),
    ("trend", 3 + 0 * TIME, "steady"),
    ("period", np.sin(2 * np.pi * TIME / 8 + 1), "8"), ("period", np.sin(2 * np.pi * TIME / 24) + 0.2 * TIME, "24"),
    ("period", np.random.RandomState(0).standard_normal(96), "none"), ("period", 0 * TIME, "none"),
    ("level", 2 + np.sin(TIME), "above"), ("level", np.sin(TIME) - 2, "below"), ("level", np.sin(TIME), "zero"),
    ("outliers", np.sin(TIME), "none"), ("outliers", np.sin(TIME) + 9 * (TIME == 40), "few"),
    ("outliers", np.sin(TIME) + 9 * (TIME % 10 == 0), "many"), ("outliers", 0.0 * TIME, "none"),
    ("size", 7 * np.sin(TIME), "5"), ("size", 0.014 * np.sin(TIME), "0.01"), ("size", 14 * np.sin(TIME) + 100, "10")])
def test_what_is_said_is_so(name, series, value):
    assert value_of(name, series) == value


def test_rates_are_said_where_they_are_known():
    assert value_of("rate", np.sin(TIME), rate=49.0) == "50"
    found = properties(torch.randn(2, 1, 32), torch.ones(2, 1, 32, dtype=torch.bool), torch.tensor([0.0, 100.0]))
    assert found["rate"].tolist() == [-1, list(WORDS["rate"]).index("100")]
    assert "rate" not in properties(torch.randn(2, 1, 32), torch.ones(2, 1, 32, dtype=torch.bool))


def slow(x, there):
    """The properties of one sample ``(C, T)`` again, one value after the other."""
    moves = [np.std(c[h]) if h.sum() > 1 else -1 for c, h in zip(x, there, strict=True)]
    best = int(np.argmax(moves))
    c, here = x[best], there[best]
    t = np.arange(len(c))[here]
    r = np.corrcoef(t, c[here])[0, 1]
    rest = np.where(here, c - np.polyval(np.polyfit(t, c[here], 1), np.arange(len(c))), 0)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(c)) / len(c))
    power = np.abs(np.fft.rfft(rest * hann)[1:]) ** 2
    top = int(power.argmax())
    wave = power[max(top - 1, 0):top + 2].sum() / power.sum() > WAVE
    period = 1 + int(np.argmin([abs(np.log(len(c) / (top + 1) / p)) for p in PERIODS])) if wave else 0
    low = np.sort(c[here])[(here.sum() - 1) // 2]  # the lower of two medians
    far = np.abs(c[here] - low)
    many = int((far > FAR * max(1.4826 * np.sort(far)[(here.sum() - 1) // 2], 0.05 * np.std(c[here]))).sum())
    return dict(channel=int((there.any(1)[:best]).sum()), trend=1 + int(r > RISES) - int(r < -RISES), period=period,
                outliers=int(many > 0) + int(many > FEW))


def test_a_batch_is_told_as_sample_by_sample():
    state = np.random.RandomState(1)
    walk = state.standard_normal((60, 3, 80)).cumsum(-1) * state.choice([0.1, 1, 3], (60, 3, 1))
    x = (walk + 4 * np.sin(2 * np.pi * np.arange(80) / state.choice([5, 9, 16, 33], (60, 3, 1)))).astype(np.float32)
    there = state.uniform(size=x.shape) > 0.1
    there[::3, 0] = False
    found = properties(torch.from_numpy(np.where(there, x, 0)), torch.from_numpy(there))
    for i in range(60):
        assert {name: int(found[name][i]) for name in slow(x[i], there[i])} == slow(x[i], there[i]), i
    assert all(len(found[name].unique()) > 1 for name in ("channel", "trend", "period", "outliers", "level"))


def test_what_is_missing_is_never_spoken_of():
    x = torch.randn(16, 4, 64)
    there = torch.ones(16, 4, 64, dtype=torch.bool)
    there[:, 2] = False
    there[:, 0, 10:20] = False
    whole = properties(torch.where(there, x, 0.0), there)
    other = properties(torch.where(there, x, 1000.0), there)
    assert all(torch.equal(whole[name], other[name]) for name in whole)
    assert whole["channel"].max() <= 2, "a channel that is absent is counted"
    nothing = properties(x, torch.zeros_like(there))
    assert all((number == -1).all() for number in nothing.values())
    assert (compose(nothing, torch.arange(16))[:, :2] == torch.tensor([START, END])).all()


def opened(montage="same", captions="signal"):
    return Signal(window=64, montage=montage, captions=captions).planted(64, Generator("captions"))


@pytest.mark.parametrize("montage", ["same", "mixed"])
def test_captions_hold_what_is_computed_and_end(montage):
    kind, samples = Signal(window=64, montage=montage, captions="signal"), opened(montage)
    batch = samples.batch(torch.arange(64))
    said, text = kind.says(batch), batch.extras["text"]
    assert text.shape == (64, LENGTH) == (64, samples.spec().text) and (text[:, 0] == START).all()
    assert ((text == END).sum(1) == 1).all() and ((text == PAD).long().diff(dim=1) >= 0).all(), "padding comes after the end"
    for i, words in enumerate(map(TOKENISER.decode, text.tolist())):
        for name, values in WORDS.items():
            spoken = {value for value, ways in values.items() if any(f" {way} " in f" {words} " for way in ways)}
            true = list(values)[int(said[name][i])] if name in said else None
            assert spoken <= {true}, f"{words!r} says {name} {spoken}, which is {true}"
    assert len({tuple(row) for row in text.tolist()}) > 32, "captions hardly differ"


def test_a_sample_has_one_caption_in_any_batch_and_knows_no_label():
    samples = opened()
    whole = samples.batch(torch.arange(64)).extras["text"]
    order = torch.randperm(64)
    assert torch.equal(samples.batch(order).extras["text"], whole[order])
    assert torch.equal(samples.subset(np.arange(5, 9)).batch(torch.arange(4), torch.arange(100, 104)).extras["text"], whole[5:9])
    other = opened()
    other.labels = other.labels[::-1].copy()
    assert torch.equal(other.batch(torch.arange(64)).extras["text"], whole)


def test_captions_with_classes_name_them_and_say_so():
    samples = opened(captions="classes")
    assert any("uses labels" in note for note in samples.notes) and Signal(captions="classes").uses_labels
    assert not Signal(captions="signal").uses_labels and not opened().notes
    samples.classes = ["rest", "arm_raise", "walk", "turn"]
    samples.labels = samples.labels.copy()
    samples.labels[0] = -1
    text = samples.batch(torch.arange(12)).extras["text"]
    for i, words in enumerate(map(TOKENISER.decode, text.tolist())):
        named = [name for name in samples.classes if f"{name.replace('_', ' ')} " in f"{words} "]
        assert named == ([] if i == 0 else [samples.classes[samples.labels[i]]])


def test_the_longest_caption_fits():
    longest = {name: int((table != PAD).sum(-1).max()) for name, table in TABLES.items()}
    assert 2 + sum(longest.values()) <= LENGTH
    assert all(len(ways) == 3 for values in WORDS.values() for ways in values.values())


def test_words_come_back_from_their_numbers():
    words = Tokeniser(["a wave of 12 values", "its swing is 0.05"])
    assert words.decode(words.encode("a wave of 12 values")) == "a wave of 12 values"
    assert words.decode(words.encode("Its swing is zebra 0.05 x9")) == "its swing is zebra 0.05 x 9"
    assert len(TOKENISER) <= 192, "words of the smallest settings are 192"
    assert words.sentence("a wave of 12 values", 5).tolist() == [START, *words.encode("a wave of"), END]


def test_prompts_are_in_the_order_of_numbers():
    for name, values in prompts().items():
        assert list(values) == list(WORDS[name])
        assert all(TOKENISER.decode(texts[0].tolist()) == WORDS[name][value][0] for value, texts in values.items())


def test_prompts_name_classes_only_where_captions_do_and_are_never_cut():
    names = ["rest", "arm_raise", *(f"a rather long name of what somebody does with both hands {end}" for end in "ab")]
    plain, named = (Signal(window=64, captions=captions).prompts(names) for captions in ("signal", "classes"))
    assert "class" not in plain and "class" not in Signal(window=64, captions="classes").prompts()
    assert list(named["class"]) == names and {name: named[name].keys() for name in WORDS} == {name: plain[name].keys() for name in WORDS}
    for name, texts in named["class"].items():
        assert [TOKENISER.decode(text.tolist()).split(" is ")[-1].split(" shows ")[-1] for text in texts] == [name.replace("_", " ")] * 3
        assert (texts == END).sum(1).tolist() == [1, 1, 1]


def test_without_captions_nothing_is_said():
    kind = Signal(window=64)
    samples = kind.planted(4, Generator("none"))
    assert "text" not in samples.batch(torch.arange(4)).extras and samples.spec().text == 0
    assert not kind.says(samples.batch(torch.arange(4))) and not kind.prompts() and "text" not in kind.offers
    assert "text" in captioned(samples, False).batch(torch.arange(4)).extras
