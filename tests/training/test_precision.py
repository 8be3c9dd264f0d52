"""Mixed precision is of the network: samples come to the method as they were read."""

import torch

from unveil.contracts import Method, Output
from unveil.encoders.transformer import Transformer
from unveil.kinds.image import Image
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
