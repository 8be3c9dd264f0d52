"""Shares, rows and pools of each sample by itself, against slow plain ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hierarchies import random_graphs
from unveil.parts.ragged import chosen, coarsened, counted, pooled, random_row, random_rows, random_share
from unveil.randomness import Generator

SIZES = [7, 1, 40, 12, 2, 33]


def batch(ids=range(6), levels=2):
    return random_graphs(SIZES, levels=levels).batch(torch.tensor(list(ids)))


def among(b, share=0.7):
    return Generator("among").uniform(1, keys=b.row_keys)[:, 0] < share


def test_a_share_is_the_smallest_scores_of_its_own_sample():
    b = batch()
    rows = among(b)
    got = random_share(rows, 0.4, b.graph, Generator("m"), b.keys)
    draw = Generator("m")
    rounding, score = draw.uniform(1, keys=b.keys)[:, 0], draw.uniform(1, keys=b.row_keys)[:, 0]
    for number in range(6):
        mine = [row for row in range(len(rows)) if b.graph.sample[row] == number and rows[row]]
        many = int(0.4 * len(mine) + float(rounding[number]))
        first = sorted(mine, key=lambda row: float(score[row]))[:many]
        assert sorted(first) == [row for row in range(len(rows)) if got[row] and b.graph.sample[row] == number]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.93, 1.0])
def test_a_share_is_right_on_average_and_as_near_as_can_be_each_time(share):
    b = batch()
    rows = among(b)
    n = counted(rows, b.graph).double()
    taken = torch.stack([counted(random_share(rows, share, b.graph, Generator("m", i), b.keys), b.graph) for i in range(400)]).double()
    assert ((taken - share * n).abs() < 1).all()
    assert ((taken.mean(0) - share * n).abs() < 4 * 0.5 / 400 ** 0.5).all()


def test_every_row_is_taken_as_often():
    b = batch([2])
    rows = torch.ones(40, dtype=torch.bool)
    often = sum(random_share(rows, 0.25, b.graph, Generator("m", i), b.keys).double() for i in range(2000)) / 2000
    assert (often - 0.25).abs().max() < 5 * (0.25 * 0.75 / 2000) ** 0.5


def test_a_sample_is_masked_alike_in_any_batch():
    whole, part = batch(), batch([3, 0])
    for make in (lambda b: random_share(among(b), 0.5, b.graph, Generator("m"), b.keys),
                 lambda b: random_rows(among(b), torch.full((b.graph.count,), 3), b.graph, Generator("m"), b.keys),
                 lambda b: b.graph.place[random_row(among(b), b.graph, Generator("m"), b.keys)]):
        a, c = make(whole), make(part)
        for there, here in ((3, 0), (0, 1)):
            assert torch.equal(a[whole.graph.sample == there], c[part.graph.sample == here])


def test_no_more_rows_than_there_are():
    b = batch()
    rows = among(b)
    got = random_rows(rows, torch.full((6,), 5), b.graph, Generator("m"), b.keys)
    assert torch.equal(counted(got, b.graph), counted(rows, b.graph).clamp_max(5)) and not (got & ~rows).any()


def test_a_random_row_is_one_of_those_of_its_sample_and_each_comes_as_often():
    b = batch()
    rows = among(b)
    rows[b.graph.sample == 4] = False  # nothing to choose from: any row of it will do
    seen = torch.zeros(len(rows), len(rows))
    for i in range(300):
        picked = random_row(rows, b.graph, Generator("m", i), b.keys)
        assert torch.equal(b.graph.sample[picked], b.graph.sample) and rows[picked[b.graph.sample != 4]].all()
        seen[torch.arange(len(rows)), picked] += 1
    mine = (b.graph.sample == 2)
    n = int((mine & rows).sum())
    share = seen[mine][:, mine & rows].sum(0) / (300 * mine.sum())
    assert (share * n - 1).abs().max() < 6 * (n / (300 * 40)) ** 0.5


@pytest.mark.parametrize("how", ["mean", "sum", "max"])
def test_pools(how):
    b = batch()
    x, rows = Generator("x").normal(len(b.values), 3), among(b)
    rows[b.graph.sample == 4] = False
    got, every = pooled(x, rows, b.graph, how), pooled(x, None, b.graph, how)
    plain = {"mean": lambda part: part.mean(0), "sum": lambda part: part.sum(0), "max": lambda part: part.max(0).values}[how]
    for number in range(6):
        mine = b.graph.sample == number
        torch.testing.assert_close(every[number], plain(x[mine]))
        left = x[mine & rows]
        torch.testing.assert_close(got[number], plain(left) if len(left) else torch.zeros(3))


def test_coarse_rows_are_sums_of_what_they_are_made_of():
    b = batch()
    x, rows = Generator("x").normal(len(b.values), 3), among(b, 0.5)
    total, left = coarsened(x, rows, b.graph)
    assert left.any() and not left.all()
    for coarse in range(len(total)):
        mine = (b.graph.parent == coarse) & rows
        torch.testing.assert_close(total[coarse], x[mine].sum(0))
        assert bool(left[coarse]) == bool(mine.any())
    assert coarsened(x, None, b.graph)[1] is None


def test_the_view_that_was_chosen():
    b = batch(levels=1)
    gone = among(b)
    edge = gone[b.graph.edges[0]] & gone[b.graph.edges[1]]
    other = replace(b, values=b.values * gone[:, None], valid=gone, graph=replace(b.graph, edge_valid=edge))
    choice = torch.tensor([0, 1, 1, 0, 1, 0])
    got = chosen([b, other], choice)
    for number in range(6):
        mine, from_ = b.graph.sample == number, (b, other)[int(choice[number])]
        along = mine[b.graph.edges[0]]
        assert torch.equal(got.values[mine], from_.values[mine])
        assert torch.equal(got.valid[mine], torch.ones_like(gone[mine]) if choice[number] == 0 else gone[mine])
        assert torch.equal(got.graph.edge_valid[along], torch.ones_like(edge[along]) if choice[number] == 0 else edge[along])
    assert np.array_equal(got.ids, b.ids)
