"""GraphMAE: a step against a plain one, and what it refuses."""

import pytest
import torch
from torch.nn import functional as F

from hierarchies import random_graphs
from parity.given import Still
from unveil.encoders.gin import GIN
from unveil.encoders.hierarchical import HierarchicalNet
from unveil.methods.graphmae import GraphMAE
from unveil.parts.message import Paths
from unveil.parts.ragged import random_row, random_share
from unveil.randomness import Generator

SIZES = [20, 9, 40, 3]


@pytest.mark.parametrize("asked", ["hidden", "seen"])
@pytest.mark.parametrize("remask", [True, False])
def test_a_step_is_the_published_one(remask, asked):
    """Token and noise in place of features, encode, a linear map, hide again, decode, and the error over what is asked, row by row."""
    samples = random_graphs(SIZES)
    torch.manual_seed(0)
    method = GraphMAE(GIN(samples.spec(), width=12, depth=2), ratio=0.5, replaced=0.3, power=3.0, remask=remask, asked=asked).eval()
    method.mask_token.data.normal_()
    batch = samples.batch(torch.arange(4))
    out = method(batch, Still())
    draw, there = Generator("masks"), torch.ones(len(batch.values), dtype=torch.bool)
    hidden = random_share(there, 0.5, batch.graph, draw, batch.keys)
    noisy = random_share(hidden, 0.3, batch.graph, draw, batch.keys)
    other = random_row(there, batch.graph, draw, batch.keys)
    x = batch.values.clone()
    for row in range(len(x)):
        x[row] = batch.values[other[row]] if noisy[row] else method.mask_token.detach() if hidden[row] else x[row]
    batch.values, before = x, batch.values
    code = method.encoder(batch).local @ method.between.weight.T
    if remask:
        code[hidden] = 0
    answer = method.decode(code, Paths.of(batch.graph, None))
    rows = hidden if asked == "hidden" else ~hidden
    plain = (1 - F.cosine_similarity(answer[rows], before[rows])).pow(3).mean()
    torch.testing.assert_close(out.loss, plain)
    assert noisy.any() and torch.equal(out.shown["hidden"], hidden)


def test_what_is_hidden_does_not_reach_the_answer():
    """With the token alone and codes hidden again, the features of a hidden node change nothing but the aim."""
    samples = random_graphs(SIZES)
    method = GraphMAE(GIN(samples.spec(), width=12, depth=2)).eval()
    answers = []
    method.decode.register_forward_hook(lambda module, given, out: answers.append(out))
    batch = samples.batch(torch.arange(4))
    hidden = method(batch, Still()).shown["hidden"]
    batch.values = torch.where(hidden[:, None], 7.0, batch.values)
    method(batch, Still())
    assert torch.equal(*answers) and hidden.any()


def test_coarser_levels_that_it_would_not_teach_are_refused():
    with pytest.raises(ValueError, match="use hi-gmae"):
        GraphMAE(HierarchicalNet(random_graphs(SIZES, levels=2).spec(), width=12))
