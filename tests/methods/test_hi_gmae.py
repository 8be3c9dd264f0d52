"""Hi-GMAE: what is hidden at each level, and the whole step against one with dense matrices."""

import pytest
import torch
from torch.nn import functional as F

from hierarchies import random_graphs
from parity.given import Still
from unveil.encoders.hierarchical import HierarchicalNet
from unveil.methods.hi_gmae import HiGMAE
from unveil.parts.ragged import counted
from unveil.randomness import Generator

SIZES = [20, 9, 40, 3, 31]


def built(levels=2, **settings):
    samples = random_graphs(SIZES, levels=levels)
    torch.manual_seed(0)
    method = HiGMAE(HierarchicalNet(samples.spec(), width=12, levels=levels, depth=2), **settings).double()
    for part in method.modules():
        if hasattr(part, "running_mean"):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    batch = samples.batch(torch.arange(len(SIZES)))
    return method.eval(), batch.map(lambda x: x.double() if x.is_floating_point() else x)


def levels_of(batch):
    levels = [batch.graph]
    while levels[-1].coarser is not None:
        levels.append(levels[-1].coarser)
    return levels


def hidden(method, batch, again=0.0, seed=0, there=None):
    levels = levels_of(batch)
    there = there or [torch.ones_like(level.sample, dtype=torch.bool) for level in levels]
    masks, noisy = method._hidden(levels, there, batch.keys, Generator(seed), again)
    return levels, masks, noisy


@pytest.mark.parametrize("depth", [2, 3])
def test_what_is_hidden_is_drawn_at_the_top_and_copied_down(depth):
    method, batch = built(depth, ratio=0.5, replaced=0.3)
    levels, masks, noisy = hidden(method, batch)
    for level, mine, above in zip(levels, masks, masks[1:]):
        assert torch.equal(mine, above[level.parent])
    top = levels[-1]
    taken, all_of_it = counted(masks[-1], top), counted(torch.ones_like(masks[-1]), top)
    assert ((taken - 0.5 * all_of_it).abs() < 1).all() and taken.sum() > 0
    assert noisy.any() and not (noisy & ~masks[0]).any()
    whole = noisy.clone()
    for level in levels[:-1]:  # whole coarse nodes get features of others, or none of their nodes does
        share = torch.zeros(len(level.coarser.sample)).index_add_(0, level.parent, whole.float())
        every = torch.zeros(len(level.coarser.sample)).index_add_(0, level.parent, torch.ones(len(level.parent)))
        assert ((share == 0) | (share == every)).all()
        whole = share > 0


def test_independent_masks_know_nothing_of_each_other():
    method, batch = built(ratio=0.5, masks="independent")
    agree = []
    for seed in range(40):
        levels, masks, _ = hidden(method, batch, seed=seed)
        agree.append((masks[0] == masks[1][levels[0].parent]).double().mean())
        for level, mask in zip(levels, masks):
            n = counted(torch.ones_like(mask), level)
            assert ((counted(mask, level) - 0.5 * n).abs() < 1).all()
    assert abs(float(torch.stack(agree).mean()) - 0.5) < 0.03


def test_recovery_shows_a_share_of_finer_levels_alone():
    method, batch = built(3, ratio=0.6)
    share = []
    for seed in range(60):
        _, full, _ = hidden(method, batch, seed=seed)
        _, masks, noisy = hidden(method, batch, again=0.3, seed=seed)
        assert torch.equal(masks[-1], full[-1]), "never at the coarsest"
        for mine, whole in zip(masks, full):
            assert not (mine & ~whole).any()
        assert not (noisy & ~masks[0]).any()
        share.append([1 - mine.sum() / whole.sum() for mine, whole in zip(masks[:-1], full)])
    assert torch.tensor(share).mean(0) == pytest.approx([0.3, 0.3], abs=0.02)


def test_a_coarse_node_of_which_nothing_is_left_is_not_drawn():
    method, batch = built(ratio=1.0)
    there = torch.arange(len(batch.values)) % 3 > 0
    top = torch.zeros(len(batch.graph.coarser.sample)).index_add_(0, batch.graph.parent, there.float()) > 0
    _, masks, _ = hidden(method, batch, there=[there, top])
    assert torch.equal(masks[0], there) and torch.equal(masks[1], top) and not top.all()


def dense(x, y):
    """Matrix of pairs ``(rows, rows)``, 1 where an edge goes from the second to the first."""
    matrix = torch.zeros(y, y, dtype=torch.float64)
    matrix[x[1], x[0]] = 1
    return matrix


def isomorphism(layer, x, matrix):
    """A layer of messages with the matrix of a graph."""
    norm = lambda part, x: F.batch_norm(x, part.running_mean, part.running_var, part.weight, part.bias)
    send = layer.send
    x = (1 + send.epsilon) * x + matrix @ x
    x = send.outer(send.activate(norm(send.norm, send.inner(x))))
    return x if layer.norm is None else layer.activate(norm(layer.norm, x))


@pytest.mark.parametrize("progress", [0.05, 0.6])
@pytest.mark.parametrize("depth", [2, 3])
def test_a_step_is_that_of_dense_matrices(depth, progress):
    """The published steps with assignment matrices, one graph at a time: mask, encode, pool by P, attend among visible ones, decode by P^T
    with what is visible beside it."""
    method, batch = built(depth, ratio=0.5, replaced=0.3, power=2.0)
    method.mask_token.data.normal_()
    output = method(batch, Still(progress=progress))
    levels, masks, noisy = hidden(method, batch, 0.8 * max(0, 1 - progress / 0.25), seed="masks")
    assert torch.equal(output.shown["hidden"], masks[0]) and noisy.any()
    from unveil.parts.ragged import random_row
    draw = Generator("masks")
    draw.calls = 4 + 2 * (depth - 1)
    other = random_row(torch.ones_like(masks[0]), batch.graph, draw, batch.keys)
    encoder, errors = method.encoder, []
    given = torch.where(masks[0][:, None], method.mask_token, batch.values)
    given = torch.where(noisy[:, None], batch.values[other], given)
    shown = []
    for number in range(len(SIZES)):
        rows = [level.sample == number for level in levels]
        first = [int(r.nonzero()[0]) for r in rows]
        pairs = [dense(level.edges[:, r[level.edges[0]]] - f, int(r.sum())) for level, r, f in zip(levels, rows, first)]
        assign = [F.one_hot(level.parent[r] - f, int(up.sum())).T.double()
                  for level, r, up, f in zip(levels, rows, rows[1:], first[1:])]
        visible = [(~mask[r]).double()[:, None] for mask, r in zip(masks, rows)]
        x, codes = encoder.project((given[rows[0]] - encoder.standardise.mean) / encoder.standardise.std), []
        for level in range(depth - 1):
            for layer in encoder.fine if level == 0 else encoder.middle[level - 1:level]:
                x = x + isomorphism(layer, x, pairs[level])
            codes.append(x)
            x = assign[level] @ x
        see = ~masks[-1][rows[-1]]
        mixer = encoder.coarse[0]
        entered = torch.cat([mixer.enter(x[see]), levels[-1].code[rows[-1]][see].double()], 1)
        x = x.clone()
        if see.any():
            x[see] = mixer.block(entered[None])[0]
        codes.append(x)
        shown.append(torch.stack([code.mean(0) for code in codes]).sum(0))
        for level in reversed(range(depth)):
            if level < depth - 1:
                x = assign[level].T @ x + codes[level] * visible[level]
            x = isomorphism(method.decode[level], x, pairs[level])
        errors.append((1 - F.cosine_similarity(x, batch.values[rows[0]]))[masks[0][rows[0]]] ** 2)
    torch.testing.assert_close(output.loss, torch.cat(errors).mean(), rtol=1e-10, atol=0)
    torch.testing.assert_close(output.shown["embedding"][0], torch.stack(shown), rtol=1e-10, atol=1e-12)
