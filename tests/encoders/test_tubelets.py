"""A recording as a film: which values a token covers, and that nothing of a channel is left out."""

from dataclasses import replace

import torch

from unveil.contracts import Batch, Spec
from unveil.encoders.tubelets import Tubelets
from unveil.randomness import Generator

SPEC = Spec(5, (70,), ("t",), (0.01,), "s", (1.0,) * 5, (2.0,) * 5)


def test_a_token_is_a_box_of_frames_channels_and_time():
    encoder = Tubelets(SPEC, frame=20, hop=10, frames=9, patch=(2, 2, 8), width=24, depth=1, heads=2)
    batch = Batch(Generator("film").normal(3, 5, 70), torch.arange(3), torch.arange(3))
    tokens = encoder.embed(batch)
    assert tokens.grid == (3, 3, 3)  # six frames, five channels, twenty values
    film = torch.zeros(3, 6, 6, 24)
    for frame in range(6):
        film[:, frame, :5, :20] = (batch.values[..., 10 * frame:10 * frame + 20] - 1) / 2
    for number, (t, c, s) in enumerate((t, c, s) for t in range(3) for c in range(3) for s in range(3)):
        box = film[:, 2 * t:2 * t + 2, 2 * c:2 * c + 2, 8 * s:8 * s + 8].flatten(1)
        torch.testing.assert_close(tokens.raw[:, number], box)
        torch.testing.assert_close(tokens.where[0, number], torch.tensor([2.0 * t + 1, 2.0 * c + 1, 0.08 * s + 0.04]))


def test_frames_that_were_cut_before_are_read_as_series_are():
    encoder = Tubelets(SPEC, frame=20, hop=10, frames=4, patch=(2, 2, 8), width=24, depth=1, heads=2).eval()
    valid = torch.ones(3, 70, dtype=torch.bool)
    valid[1, :30] = False
    batch = Batch(Generator("film").normal(3, 5, 70) * valid[:, None], torch.arange(3), torch.arange(3), valid)
    for each in (batch, replace(batch, valid=None)):
        assert torch.equal(encoder(each).local, encoder(encoder.frames(each)).local)
    assert not encoder.embed(batch).valid[1].all() and encoder.embed(batch).valid[0].any()
