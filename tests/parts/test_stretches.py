"""Masks over time: contiguous stretches, and tubes through all frames."""

import pytest
import torch

from unveil.errors import Unusable
from unveil.parts.stretches import stretches, tube_size, tubes, untouched
from unveil.randomness import Generator

PUBLISHED = dict(tokens=160, share=0.6, length=(5, 10))
RELEASED = {"short": (8, 0.15), "long": (2, 0.7)}
KEYS = torch.arange(64)


def runs(hidden: torch.Tensor) -> list[int]:
    """Lengths of the stretches of a bool sequence."""
    text = "".join("x" if on else " " for on in hidden.tolist())
    return [len(part) for part in text.split()]


def test_a_stretch_is_of_its_length_and_as_much_is_hidden_in_every_sample():
    masks = stretches(**PUBLISHED, generator=Generator("a"), keys=KEYS)
    assert masks.context.shape == (64, 64) and masks.targets.shape == (64, 1, 96)
    both = torch.cat([masks.context, masks.targets[:, 0]], 1).sort(1).values
    assert torch.equal(both, torch.arange(160).expand(64, -1))
    lengths = []
    for places in masks.targets[:, 0]:
        hidden = torch.zeros(160, dtype=torch.bool).index_fill(0, places, True)
        lengths += runs(hidden)
        # All but the last stretch that was laid are whole, so at most one is shorter than the shortest.
        assert sum(length < 5 for length in runs(hidden)) <= 1
    assert 8 < sum(lengths) / len(lengths) < 25


def test_every_place_is_hidden_about_as_often():
    masks = stretches(40, 0.5, (3, 6), Generator("b"), torch.arange(4000))
    often = torch.zeros(40).index_add(0, masks.targets.flatten(), torch.ones(4000 * 20)) / 4000
    assert often[5:-5].min() > 0.45 and often[5:-5].max() < 0.65


def test_what_a_sample_hides_hangs_on_its_key_alone():
    whole, part = (stretches(**PUBLISHED, generator=Generator("c"), keys=keys) for keys in (KEYS, KEYS[40:]))
    assert torch.equal(whole.context[40:], part.context)
    whole, part = (tubes((8, 4, 16), Generator("c"), keys, blocks=8, share=0.15, aspect=(0.75, 1.5)) for keys in (KEYS, KEYS[40:]))
    assert torch.equal(whole.context[40:], part.context) and torch.equal(whole.targets[40:], part.targets)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(Unusable, match="leaves nothing"):
        stretches(10, share, (2, 3), Generator("d"), KEYS)


@pytest.mark.parametrize("name", RELEASED)
def test_tubes_run_through_all_frames_and_never_show_what_they_ask(name):
    blocks, share = RELEASED[name]
    for step in range(20):
        masks = tubes((8, 4, 16), Generator(name, step), KEYS, blocks=blocks, share=share, aspect=(0.75, 1.5))
        seen, asked = (torch.zeros(64, 512, dtype=torch.bool).scatter(1, at, True) for at in (masks.context, masks.targets[:, 0]))
        assert not (seen & asked).any() and seen.any(1).all() and asked.any(1).all()
        for part in (seen, asked):
            assert torch.equal(part.unflatten(1, (8, 64)).any(1), part.unflatten(1, (8, 64)).all(1))


@pytest.mark.parametrize(("name", "share"), [("short", 0.67), ("long", 0.60)])
def test_unions_of_blocks_hide_what_is_known_of_the_released_ones(name, share):
    """On the released grid of 4 x 16: 67% and 60% of a frame, before lists are cut; never less than one block."""
    blocks, scale = RELEASED[name]
    hidden, sizes = [], set()
    for step in range(400):
        draws = Generator("union", step)
        size = tube_size((4, 16), scale, 0.75 + 0.75 * draws.number())
        sizes.add(size[0] * size[1] / 64)
        hidden.append(1 - untouched((4, 16), size, blocks, draws, torch.arange(50))[:, 0].float().mean(-1))
    hidden = torch.cat(hidden)
    assert float(hidden[hidden < 1].mean()) == pytest.approx(share, abs=0.015)
    assert min(sizes) <= float(hidden.min()) < 0.36


def test_large_blocks_cover_every_channel_row():
    sizes = {tube_size((4, 16), 0.7, 0.75 + 0.75 * number / 100) for number in range(101)}
    assert {height for height, _ in sizes} == {4} and {width for _, width in sizes} == {5, 6, 7, 8}


def test_what_common_counts_cost_is_about_what_a_published_batch_of_two_loses():
    """Theirs keeps the shorter context of two and the shorter list of targets."""
    ours, theirs = [], []
    for step in range(300):
        draws = Generator("cost", step)
        size = tube_size((4, 16), 0.15, 0.75 + 0.75 * Generator("cost", step).number())
        masks = tubes((1, 4, 16), draws, torch.arange(2), blocks=8, share=0.15, aspect=(0.75, 1.5))
        ours.append([masks.context.shape[1], masks.targets.shape[2]])
        counts = untouched((4, 16), size, 8, Generator("theirs", step), torch.arange(60))[:, 0].sum(-1).float()
        counts = counts[counts > 0][:40].view(20, 2)
        theirs.append([counts.amin(1).mean(), (64 - counts).amin(1).mean()])
    ours, theirs = torch.tensor(ours).float().mean(0), torch.tensor(theirs).mean(0)
    assert (ours - theirs).abs().max() < 2.0, f"{ours} {theirs}"


def test_blocks_that_cover_everything_are_refused():
    with pytest.raises(Unusable, match="always cover all"):
        tubes((2, 1, 1), Generator("e"), KEYS, blocks=1, share=1.0, aspect=(1.0, 1.0))
