"""Mixed precision is of the network: samples come to the method as they were read."""

import torch
from torch import nn

from unveil.contracts import Method, Output
from unveil.encoders.transformer import Transformer
from unveil.kinds.image import Image
from unveil.parts.precision import bfloat16_pays
from unveil.randomness import Generator
from unveil.training.loop import Loop
from unveil.training.settings import Training


class Watching(Method):
    """Keeps what it was given, and whether the network runs in bfloat16."""

    def forward(self, batch, step):
        self.seen, local = batch, self.encoder(batch).local
        self.inside = torch.is_autocast_enabled("cpu")
        return Output(local.float().square().mean())


def test_places_and_values_of_samples_are_not_rounded():
    kind = Image(size=16)
    samples = kind.planted(16, Generator("t"))
    method = Watching(Transformer(samples.spec(), **Transformer.tiny))
    Loop(method, kind, samples, Training(steps=1, batch=8, precision="bf16")).run()
    assert method.inside and method.seen.values.dtype == method.seen.box.dtype == torch.float32
    ids = method.seen.ids
    torch.testing.assert_close(method.seen.values, samples.batch(ids).values, rtol=0, atol=0)


def test_a_convolution_along_one_axis_stays_in_single_precision_where_tiles_compute_it_wrongly(monkeypatch):
    plain, along = nn.Linear(2, 2), nn.Sequential(nn.Conv1d(1, 2, 3))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    for tiles in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda tiles=tiles: tiles, raising=False)
        assert [bfloat16_pays("cpu", False, network) for network in (None, plain, along)] == [True, True, not tiles]
