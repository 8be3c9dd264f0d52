"""Captions of signals: what their own values say of trend, period, level, outliers and size, in words.

A caption speaks of one channel, the one that moves most, by its place among those that are there; a channel that is missing is
never spoken of. Everything is computed for a batch at once. Which of several wordings is taken, in which order things are said, and what
is left out, is drawn by the sample's id, so a sample has one caption for good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.samples import Samples
from unveil.parts.text import CLASS, END, PAD, START, Tokeniser
from unveil.randomness import Generator

LENGTH, LABELLED_LENGTH = 32, 64  # token numbers of a caption: the longest without and, for most names, with a class
SAID = 0.8  # chance that a property is spoken of
RISES = 0.5  # correlation with time, from which there is a trend
AWAY = 0.5  # deviations that the mean is from zero, from which it is above or below
WAVE = 0.4  # share of the detrended power about one frequency, from which there is a period
FAR = 4.0  # robust deviations from the median, from which a value is an outlier
FEW = 3  # outliers that are still a few
PERIODS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)
SIZES = tuple(f"{digit * 10 ** power:g}" for power in range(-3, 4) for digit in (1, 2, 5))
RATES = (1, 2, 5, 10, 20, 25, 50, 64, 100, 128, 200, 256, 400, 512, 1000)
PLACES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth")


def _each(ways: list[str], names) -> dict[str, list[str]]:
    return {str(name): [way.format(name) for way in ways] for name in names}


# Property -> value -> wordings, equally many in a property. Numbers are the nearest of a list.
WORDS: dict[str, dict[str, list[str]]] = {
    "channel": _each(["the {} channel moves most", "most in the {} channel", "look at the {} channel"], [*PLACES, "later"]),
    "trend": {"falling": ["it is falling", "the trend is down", "values decrease"],
              "steady": ["it is steady", "the trend is flat", "no trend"],
              "rising": ["it is rising", "the trend is up", "values increase"]},
    "period": {"none": ["no wave", "it does not repeat", "without a period"]}
    | _each(["a wave of {} values", "it repeats every {}", "the period is {}"], PERIODS),
    "level": {"below": ["it lies below zero", "the level is negative", "under zero"],
              "zero": ["it lies around zero", "the level is neutral", "near zero"],
              "above": ["it lies above zero", "the level is positive", "over zero"]},
    "outliers": {"none": ["without outliers", "no value stands apart", "no spikes"],
                 "few": ["with few outliers", "few values stand apart", "few spikes"],
                 "many": ["with many outliers", "many values stand apart", "many spikes"]},
    "size": _each(["its swing is {}", "it deviates by {}", "the amplitude is {}"], SIZES),
    "rate": _each(["sampled at {} hertz", "at {} hertz", "{} values a second"], RATES),
}
LABELLED = ["the activity is {}", "this is {}", "it shows {}"]
TOKENISER = Tokeniser([way for values in WORDS.values() for ways in values.values() for way in ways] + LABELLED)


def _table(values: dict[str, list[str]]) -> Tensor:
    """Token numbers ``(values + 1, ways, L)`` of each wording; the last row says nothing, so that -1 does."""
    said = [[TOKENISER.encode(way) for way in ways] for ways in values.values()]
    longest = max(len(way) for ways in said for way in ways)
    rows = torch.tensor([[way + [PAD] * (longest - len(way)) for way in ways] for ways in said])
    return torch.cat([rows, torch.full_like(rows[:1], PAD)])


TABLES = {name: _table(values) for name, values in WORDS.items()}


def _nearest(x: Tensor, among) -> Tensor:
    """Number of the value of ``among`` that ``x`` is nearest to, as a ratio."""
    logs = torch.tensor([math.log(float(value)) for value in among], device=x.device)
    return (x.clamp_min(1e-30).log()[:, None] - logs).abs().argmin(1)


def properties(values: Tensor, there: Tensor, rate: Tensor | None = None) -> dict[str, Tensor]:
    """What captions say of samples, as numbers of the values in :data:`WORDS`, int64 ``(B,)``, -1 where nothing can be said.

    Args:
        values: ``(B, C, T)``.
        there: bool ``(B, C, T)``, of values that are not missing.
        rate: ``(B,)`` values a second; None where unknown.
    """
    count = there.sum(-1, keepdim=True)
    mean = (values * there).sum(-1, keepdim=True) / count.clamp_min(1)
    spread = (((values - mean) * there).square().sum(-1, keepdim=True) / count.clamp_min(1)).sqrt()
    moves = torch.where(count > 1, spread, -1.0)
    strongest = moves.argmax(1, keepdim=True)
    own = lambda x: x.gather(1, strongest.expand(-1, 1, x.shape[-1]))[:, 0]
    place = ((count > 0).long().cumsum(1) - 1).gather(1, strongest)[:, 0, 0]
    x, here, mean, spread = own(values), own(there), own(mean)[:, 0], own(spread)[:, 0]
    still = spread <= 1e-6 * (1 + mean.abs())
    x = (x - mean[:, None]) / spread[:, None].clamp_min(1e-12) * here
    slope, rest = _trend(x, here)
    found = {"channel": place.clamp(max=len(PLACES)), "trend": (slope > RISES).long() - (slope < -RISES).long() + 1,
             "period": _period(rest), "level": (mean > AWAY * spread).long() - (mean < -AWAY * spread).long() + 1,
             "outliers": _outliers(x, here), "size": _nearest(spread, SIZES)}
    if rate is not None:
        found["rate"] = torch.where(rate > 0, _nearest(rate, RATES), -1)
    moving = {"trend": 1, "period": 0, "outliers": 0, "size": -1}  # what is said of a series that stands still
    found |= {name: torch.where(still, calm, found[name]) for name, calm in moving.items()}
    return {name: torch.where(count.sum((1, 2)) > 0, number, -1) for name, number in found.items()}


def _trend(x: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation with time ``(B,)`` of ``x (B, T)``, which has mean 0 and deviation 1 where it is, and what a straight line leaves."""
    time = torch.arange(x.shape[1], device=x.device, dtype=x.dtype).expand_as(x)
    count = here.sum(1, keepdim=True).clamp_min(1)
    time = (time - (time * here).sum(1, keepdim=True) / count) * here
    time = time / (time.square().sum(1, keepdim=True) / count).sqrt().clamp_min(1e-12)
    slope = (x * time).sum(1, keepdim=True) / count
    return slope[:, 0], (x - slope * time) * here


def _period(x: Tensor) -> Tensor:
    """Number of the period in ``WORDS["period"]``: that of the greatest of the periodogram (Hann window), where with its neighbours it
    holds enough of the power."""
    power = torch.fft.rfft(x * torch.hann_window(x.shape[1], device=x.device, dtype=x.dtype)).abs().square()[:, 1:]
    top = power.argmax(1, keepdim=True)
    near = torch.cat([top - 1, top, top + 1], 1)
    inside = (near >= 0) & (near < power.shape[1])
    share = (power.gather(1, near.clamp(0, power.shape[1] - 1)) * inside).sum(1) / power.sum(1).clamp_min(1e-12)
    return torch.where(share > WAVE, 1 + _nearest(x.shape[1] / (top[:, 0] + 1).to(x.dtype), PERIODS), 0)


def _outliers(x: Tensor, here: Tensor) -> Tensor:
    """0 for none, 1 for a few, 2 for many: values far from the median in deviations that are made of the median distance from it."""
    known = torch.where(here, x, math.nan)
    distance = (known - known.nanmedian(1, keepdim=True).values).abs()
    robust = (1.4826 * distance.nanmedian(1, keepdim=True).values).clamp_min(0.05)  # of a series that mostly stands still
    count = (distance > FAR * robust).sum(1)
    return (count > 0).long() + (count > FEW).long()


def compose(found: dict[str, Tensor], keys: Tensor, more: Tensor | None = None, length: int = LENGTH) -> Tensor:
    """Captions ``(B, length)`` that say ``found``: the channel first, the rest in an order, a wording and a choice drawn by ``keys``.

    Args:
        found: of :func:`properties`.
        keys: ``(B,)``.
        more: ``(B, L)`` tokens of a further clause, which is always said.
        length: of the result; what is beyond it is left out.
    """
    draws, rows = Generator("captions", device=keys.device), torch.arange(len(keys), device=keys.device)
    parts, longest = {}, max(table.shape[-1] for table in TABLES.values())
    for name, number in found.items():
        table = TABLES[name].to(keys.device)
        said = table[number, draws.integers(0, table.shape[1], 1, keys=keys)[:, 0]]
        left_out = (draws.uniform(1, keys=keys) >= SAID) & (name != "channel")
        parts[name] = torch.nn.functional.pad(said.masked_fill(left_out, PAD), (0, longest - said.shape[1]))
    first = parts.pop("channel")
    rest = torch.stack(list(parts.values()), 1)[rows[:, None], draws.permutation(len(parts), keys=keys)].flatten(1)
    one = torch.ones_like(keys)[:, None]
    text = torch.cat([START * one, first, *([] if more is None else [more]), rest], 1)
    text = text.gather(1, (text == PAD).long().argsort(dim=1, stable=True))[:, :length - 1]
    text = torch.nn.functional.pad(text, (0, length - text.shape[1]))
    return text.scatter(1, (text != PAD).sum(1, keepdim=True), END)


def said_of(batch: Batch, rate: float | None) -> dict[str, Tensor]:
    """:func:`properties` of a batch; ``rate`` is that of all where samples do not say their own."""
    values, extras = batch.values, batch.extras
    there = torch.ones_like(values, dtype=torch.bool) if batch.valid is None else batch.valid[:, None].expand_as(values)
    if "channel" in extras:
        there = there & (extras["channel"] >= 0)[..., None]
    return properties(values, there, extras.get("rate", None if rate is None else values.new_full((len(values),), rate)))


def captioned(samples: Samples, labelled: bool) -> Samples:
    """The same samples with a caption each among their extras, ``labelled`` with the name of its class."""
    length = LABELLED_LENGTH if labelled else LENGTH
    bare, rate = samples.fetch, 1 / samples.spacing[0] if samples.unit == "s" else None

    def fetch(ids: Tensor):
        values, valid, *more = bare(ids)
        extras = more[0] if more else {}
        said = said_of(Batch(values, ids, ids, valid, extras=extras), rate)
        text = compose(said, ids, _named(samples, ids) if labelled and samples.labels is not None else None, length)
        return values, valid, extras | {"text": text}

    if labelled:
        samples.notes.append("uses labels: the caption of a sample names its class, and methods are given captions")
    samples.fetch, samples.text = fetch, length
    return samples


def _named(samples: Samples, ids: Tensor) -> Tensor:
    """A clause ``(B, L)`` that names the class of each sample, nothing where it has none."""
    table = _table(_classes(samples.classes))
    label = torch.as_tensor(samples.labels)[ids]
    return table[label, Generator("captions of classes").integers(0, len(LABELLED), 1, keys=ids)[:, 0]]


def _classes(names: Sequence[str]) -> dict[str, list[str]]:
    """Wordings that name each class."""
    return {name: [way.format(name.replace("_", " ")) for way in LABELLED] for name in names}


def prompts(classes: Sequence[str] = ()) -> dict[str, dict[str, Tensor]]:
    """Texts ``(ways, LENGTH)`` that say one value of one property, by its name; where there are classes, texts that name one too, as long
    as the longest of them needs, or two classes could be cut to the same."""
    found = {}
    for name, values in (WORDS | ({CLASS: _classes(classes)} if classes else {})).items():
        length = max(LENGTH, *(2 + len(TOKENISER.encode(way)) for ways in values.values() for way in ways)) if name == CLASS else LENGTH
        found[name] = {value: torch.stack([TOKENISER.sentence(way, length) for way in ways]) for value, ways in values.items()}
    return found
