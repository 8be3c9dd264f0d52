"""Noise on places, running normalisation, and functions of the distance."""

import math

import pytest
import torch

from unveil.contracts import Batch
from unveil.parts.noise import Running, row_error, shaken
from unveil.parts.radial import Bessel, ExpNormal, lengths
from unveil.parts.vectors import limited
from unveil.randomness import Generator
from unveil.tokens import Graph


def packed(sizes=(4, 1, 6), valid=None):
    sample = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    rows = torch.arange(len(sizes))
    return Batch(torch.ones(len(sample), 1), rows, rows + 5, valid, graph=Graph(sample, len(sizes), max(sizes)),
                 where=torch.arange(3.0 * len(sample)).view(-1, 3))


def test_noise_is_a_row_own_and_has_the_deviation_asked_for():
    batch = packed((500, 300))
    moved, noise = shaken(batch, 0.04, Generator("a"))
    assert torch.equal(moved.where, batch.where + noise) and float(noise.std()) == pytest.approx(0.04, rel=0.05)
    alone = shaken(batch.one(1), 0.04, Generator("a"))[1]
    assert torch.equal(alone, noise[500:])


def test_centred_noise_moves_no_sample_and_no_atom_that_is_gone():
    valid = torch.tensor([1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1], dtype=torch.bool)
    batch = packed(valid=valid)
    _, noise = shaken(batch, 0.04, Generator("a"), centred=True)
    means = torch.zeros(3, 3).index_add(0, batch.graph.sample, noise)
    assert means.abs().max() < 1e-6 and not noise[~valid].any() and noise[valid][:3].any()


def test_running_statistics_are_those_of_all_rows_so_far():
    running, state = Running(3).train(), torch.Generator().manual_seed(0)
    parts = [torch.randn(n, 3, generator=state) * 2 + 1 for n in (5, 9, 2)]
    answers = [running(part) for part in parts]
    seen = torch.cat(parts)
    torch.testing.assert_close(answers[-1], (parts[-1] - seen.mean(0)) / seen.std(0, correction=0))
    before = running.count.clone()
    running.eval()(parts[0])
    assert torch.equal(running.count, before)
    valid = torch.tensor([True, True, False])
    one, other = Running(3).train(), Running(3).train()
    torch.testing.assert_close(one(parts[1][:3], valid)[:2], other(parts[1][:2]))


def test_running_count_goes_on_where_single_precision_stands_still():
    running = Running(3).train()
    running.count += 2.0**24
    running(torch.zeros(1, 3))
    assert float(running.count) == 2.0**24 + 1


def test_row_error_is_a_mean_over_rows_that_are_there():
    answer, goal = torch.tensor([[1.0, 2, 3], [0, 0, 0], [9, 9, 9]]), torch.zeros(3, 3)
    assert float(row_error(answer, goal, torch.tensor([True, True, False]))) == pytest.approx(14 / 6)
    assert float(row_error(answer, goal, None)) == pytest.approx((14 + 243) / 9)


def test_functions_of_the_distance_are_the_published_ones():
    """At 5 angstrom, by hand: centres from exp(-5) to 1, all of one width, times the cosine cutoff."""
    d, k = torch.tensor([0.7, 2.5, 4.9], dtype=torch.float64), 8
    found = ExpNormal(k, 5.0).double()(d)
    for row, x in enumerate(d.tolist()):
        for column in range(k):
            centre = math.exp(-5) + (1 - math.exp(-5)) * column / (k - 1)
            beta = (2 / k * (1 - math.exp(-5))) ** -2
            want = 0.5 * (math.cos(math.pi * x / 5) + 1) * math.exp(-beta * (math.exp(-x) - centre) ** 2)
            assert float(found[row, column]) == pytest.approx(want, rel=1e-5)
    waves = Bessel(3, 5.0).double()(d)
    assert float(waves[1, 2]) == pytest.approx(0.5 * math.sin(3 * math.pi / 2) / 2.5, rel=1e-5)


@pytest.mark.parametrize("basis", [ExpNormal(8, 3.0), Bessel(8, 3.0)])
def test_functions_of_the_distance_are_gone_at_the_cutoff_and_do_not_mind_the_unit(basis):
    assert basis(torch.tensor([3.0, 3.1, 50.0])).abs().max() < 1e-6
    larger = type(basis)(8, 30.0)(torch.tensor([10.0, 25.0]))
    scale = 10.0 if isinstance(basis, Bessel) else 1.0
    torch.testing.assert_close(scale * larger, basis(torch.tensor([1.0, 2.5])))


def test_no_length_has_no_direction_and_no_gradient():
    vectors = torch.zeros(2, 3, requires_grad=True)
    length, direction = lengths(vectors)
    (length.sum() + direction.sum()).backward()
    assert not direction.any() and vectors.grad.isfinite().all()


def test_long_vectors_keep_their_direction():
    v = torch.tensor([[[30.0], [0.0], [40.0]], [[0.3], [0.0], [0.4]]])
    torch.testing.assert_close(limited(v, 10.0), torch.tensor([[[6.0], [0.0], [8.0]], [[0.3], [0.0], [0.4]]]))
