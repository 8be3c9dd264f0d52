"""BioPM: which elements are hidden, whose waveforms are swapped, and what does not matter."""

import torch

from unveil.kinds.signal import Signal
from unveil.methods.biopm import BioPM
from unveil.parts.movement import POINTS
from unveil.testing import Cell

KIND = Signal(window=64, movements="crossings")


def made(size=64, **settings):
    cell = Cell(BioPM, KIND, settings=settings)
    method = cell.build().train()
    return cell, method, cell.batch(size=size), method.encoder.embed(cell.batch(size=size))


def test_half_of_the_elements_or_all_of_half_the_seconds():
    cell, method, batch, tokens = made(bin=0.5)
    count = tokens.valid.sum(1)
    for masks in ("elements", "seconds", "either"):
        method.masks = masks
        hidden = method.masked(tokens, batch.keys, cell.step().generator("masks"))
        assert not (hidden & ~tokens.valid).any()
        alone = hidden.sum(1) == (count * 0.5).long()
        bins = torch.stack([((tokens.span[..., 1] > 0.5 * k) & (tokens.span[..., 0] < 0.5 * (k + 1)) & tokens.valid) for k in range(5)])
        whole = torch.stack([(bins[i] | bins[j] == hidden).all(1) for i in range(5) for j in range(5) if i != j]).any(0)
        if masks == "elements":
            assert alone.all() and not whole.all()
        elif masks == "seconds":
            assert whole.all() and (hidden.sum(1) > 0.4 * count).float().mean() > 0.7
        else:
            assert (alone | whole).all() and 0.25 < float(whole.float().mean()) < 0.75


def test_waveforms_are_swapped_among_seen_elements_alone():
    cell, method, batch, tokens = made()
    hidden = method.masked(tokens, batch.keys, cell.step().generator("masks"))
    seen = tokens.valid & ~hidden
    told = method.swapped(tokens, seen, batch.keys, cell.step().generator("swaps"))
    content = method.encoder.content
    moved = (told.values[..., :content] != tokens.values[..., :content]).any(-1)
    assert torch.equal(told.values[..., content:], tokens.values[..., content:]), "axis and length stay"
    assert not (moved & ~seen).any() and 0.1 < float(moved[seen].float().mean()) < 0.25
    for sample in range(len(seen)):
        own = tokens.values[sample, seen[sample], :content]
        assert all((own == x).all(1).any() for x in told.values[sample, moved[sample], :content])


def test_a_hidden_waveform_is_not_seen():
    """Of a hidden element the answer depends on nothing but its time, in evaluation, where norms do not look at the batch."""
    cell, method, batch, tokens = made(size=8, swap=0.0)
    encoder = method.encoder.eval()
    hidden = method.masked(tokens, batch.keys, cell.step().generator("masks"))
    other = batch.map(torch.clone)
    other.extras["elements"] = torch.where(hidden[..., None], 7.0, batch.extras["elements"])
    other.extras["elements"][..., POINTS:POINTS + 2] = batch.extras["elements"][..., POINTS:POINTS + 2]
    with torch.no_grad():
        answers = [encoder.encode(encoder.embed(x), hide=hidden).local for x in (batch, other)]
        shown = encoder.encode(encoder.embed(other)).local
    assert torch.equal(*answers) and not torch.equal(answers[0], shown)


def test_empty_rows_change_nothing():
    _, method, batch, _ = made(size=8)
    encoder, more = method.encoder.eval(), batch.map(torch.clone)
    empty = torch.zeros(8, 16, POINTS + 3)
    empty[..., POINTS + 1] = -1
    more.extras["elements"] = torch.cat([batch.extras["elements"], empty], 1)
    with torch.no_grad():
        torch.testing.assert_close(encoder(batch).pooled, encoder(more).pooled)


def test_what_a_vector_is_made_of():
    found = {}
    for read in ("both", "tokens", "gravity"):
        cell = Cell(BioPM, KIND, encoder_settings=dict(read=read, gravity=10))
        encoder, batch = cell.build_encoder().eval(), cell.batch()
        found[read] = encoder(batch).pooled.detach()
        assert found[read].shape[1] == encoder.width and encoder.local_width == 32
    assert torch.equal(found["both"], torch.cat([found["tokens"], found["gravity"]], 1)) and found["gravity"].shape[1] == 30
    mean = batch.extras["gravity"].mean(-1)
    assert (found["gravity"].unflatten(1, (3, 10)).mean(-1) - mean).abs().max() < 0.02
