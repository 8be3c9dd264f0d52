"""Every kind keeps its contract."""

import pytest
import torch

from unveil.kinds.image import Image
from unveil.randomness import Generator
from unveil.recipes.check import TABLES, find
from unveil.testing import check_kind
from unveil.testing.kinds import check_views

MORE = {"image": [dict(size=24), dict(mirror=False)], "signal": [dict(window=64), dict(window=33), dict(window=64, montage="mixed")],
        "graph": [dict(levels=2), dict(levels=3, ratio=0.6, code=4)]}


@pytest.mark.parametrize("name, settings", [(name, settings) for name in TABLES["kind"] for settings in [{}, *MORE.get(name, [])]])
def test_kind(name, settings):
    check_kind(find("kind", name), **settings)


def test_colour_pictures_are_viewed_alike():
    kind = Image(size=16)
    samples = kind.planted(8, Generator("colour"))
    batch = samples.batch(torch.arange(8))
    batch.values = torch.cat([batch.values, batch.values.flip(2), 1 - batch.values], 1)
    check_views(kind, batch)
