"""Blocks.

- the plain form of attention and PyTorch's are the same function, with and without a mask, and equal a slow softmax over loops;
- an attention layer equals torch's own multi-head attention with the same weights: queries, keys, values in this order;
- keys that may not be seen change nothing; a row that may see nothing stays finite;
- a block is pre-norm with two residual branches, eps 1e-6, exact GELU;
- stochastic depth drops whole samples, keeps the mean, and does nothing in evaluation;
- initial weights have the published deviation, scaled by width, and the maps that end the n-th block are divided by sqrt(2n).
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from unveil.parts.blocks import Attention, Block, Drop, attend, initialise
from unveil.parts.positions import rotary, rotate

some = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 10**6)


def qkv(seed, *shape, dtype=torch.float64):
    return torch.tensor(np.random.default_rng(seed).normal(size=(3, *shape)), dtype=dtype)


def slow_attend(q, k, v, mask=None):
    out = torch.zeros_like(q)
    for b, h, i in np.ndindex(*q.shape[:3]):
        seen = [j for j in range(k.shape[2]) if mask is None or mask[b, j]]
        weights = [math.exp(float(q[b, h, i] @ k[b, h, j]) / math.sqrt(q.shape[-1])) for j in seen]
        for weight, j in zip(weights, seen):
            out[b, h, i] += weight / sum(weights) * v[b, h, j]
    return out


@some
@given(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 6), st.integers(1, 5)), seeds)
def test_attend_is_the_slow_softmax(shape, seed):
    q, k, v = qkv(seed, *shape)
    mask = torch.tensor(np.random.default_rng(seed).random((shape[0], shape[2])) < 0.7)
    mask[:, 0] = True
    torch.testing.assert_close(attend(q, k, v), slow_attend(q, k, v))
    torch.testing.assert_close(attend(q, k, v, mask[:, None, None]), slow_attend(q, k, v, mask))


@pytest.mark.parametrize("length", [3, 128, 129])
def test_the_plain_form_and_sdpa_agree_in_bfloat16(length):
    """Up to 128 keys on a CPU the plain form runs, beyond it PyTorch's: both within bfloat16's own error of float64."""
    q, k, v = qkv(1, 2, 3, length, 16, dtype=torch.bfloat16)
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    for answer in (attend(q, k, v), F.scaled_dot_product_attention(q, k, v)):
        assert answer.dtype == torch.bfloat16
        assert (answer.double() - exact).abs().max() < 0.03 and (answer.double() - exact).abs().mean() < 0.004


def test_attention_is_torchs_with_the_same_weights():
    ours, theirs = Attention(12, 3).double(), nn.MultiheadAttention(12, 3, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias.normal_())
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    x, seen = qkv(2, 2, 5, 12)[0], torch.tensor([[True] * 5, [True, False, True, False, True]])
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0])
    torch.testing.assert_close(ours(x, seen), theirs(x, x, x, key_padding_mask=~seen)[0])


def test_attention_turns_queries_and_keys_but_not_values():
    layer, x, turn = Attention(12, 3).double(), qkv(3, 2, 5, 12)[0], rotary(torch.arange(5.0)[:, None], 4)
    q, k, v = (part.unflatten(-1, (3, 4)).transpose(1, 2) for part in layer.qkv(x).chunk(3, -1))
    expected = slow_attend(rotate(q, turn).detach(), rotate(k, turn).detach(), v.detach()).transpose(1, 2).flatten(-2)
    torch.testing.assert_close(layer(x, turn=turn), layer.out(expected), rtol=0, atol=1e-6)


def test_what_may_not_be_seen_changes_nothing():
    block, x = Block(12, 3).double(), qkv(4, 2, 6, 12)[0]
    seen = torch.tensor([[True, True, False, True, True, False]] * 2)
    other = torch.where(seen[..., None], x, 100 * x + 7)
    torch.testing.assert_close(block(x, seen)[seen], block(other, seen)[seen])
    torch.testing.assert_close(block(x, seen)[seen].view(2, 4, 12), block(x[:, seen[0]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sample_that_shows_nothing_stays_finite(dtype):
    seen = torch.tensor([[True] * 4, [False] * 4])
    block = Block(12, 3).to(dtype)
    x = qkv(5, 2, 4, 12, dtype=dtype)[0].requires_grad_()
    out = block(x, seen)
    out.square().sum().backward()
    assert out.isfinite().all() and x.grad.isfinite().all()


def test_width_must_be_a_multiple_of_heads():
    with pytest.raises(ValueError, match="width 10 is not a multiple of heads 4"):
        Attention(10, 4)


def test_block_is_pre_norm_with_two_branches():
    block, x = Block(12, 3, mlp_ratio=2.5).double(), qkv(6, 2, 5, 12)[0]
    for p in block.parameters():
        nn.init.normal_(p, std=0.5)
    unit = lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
    norm = lambda x, part: unit(x) * part.weight + part.bias
    middle = x + block.attention(norm(x, block.norm1))
    inner = block.inner(norm(middle, block.norm2))
    assert inner.shape[-1] == 30
    gelu = inner * (1 + torch.erf(inner / math.sqrt(2))) / 2
    torch.testing.assert_close(block(x), middle + block.outer(gelu))


def test_drop_takes_whole_samples_and_keeps_the_mean():
    drop, x = Drop(0.25), torch.ones(20000, 3, 2)
    torch.manual_seed(0)
    out = drop(x)
    assert (out.flatten(1) == out[:, :1, 0]).all()
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.015)
    assert Drop(0.25).eval()(x) is x and Drop(0.0)(x) is x
    assert drop(x.bfloat16()).dtype == torch.bfloat16


def test_initial_weights():
    """0.02 at width 768, the same gain elsewhere; zero biases; the ends of block n over sqrt(2n); norms stay as they are."""
    module = nn.ModuleDict({"blocks": nn.ModuleList(Block(192, 3) for _ in range(3)), "other": nn.Linear(48, 768)})
    initialise(module, module["blocks"])
    assert all(not part.bias.any() for part in module.modules() if isinstance(part, nn.Linear))
    spread = lambda part: part.weight.std().item() / (0.02 * (768 / part.in_features) ** 0.5)
    assert spread(module["other"]) == pytest.approx(1, rel=0.03)
    for number, block in enumerate(module["blocks"], start=1):
        assert [spread(block.attention.qkv), spread(block.inner)] == pytest.approx([1, 1], rel=0.03)
        assert [spread(block.attention.out), spread(block.outer)] == pytest.approx([(2 * number) ** -0.5] * 2, rel=0.03)
        assert (block.norm1.weight == 1).all()


@some
@given(st.integers(1, 5), st.booleans(), st.booleans(), seeds)
def test_answers_for_the_last_tokens_alone_are_those_of_the_whole(last, masked, turned, seed):
    block, x = Block(12, 3).double(), qkv(seed, 2, 5, 12)[0].requires_grad_()
    mask = torch.tensor([[True, False, True, True, True], [True] * 5]) if masked else None
    turn = tuple(part.double() for part in rotary(torch.arange(5.0)[:, None], 4)) if turned else None
    whole, part = block(x, mask, turn)[:, -last:], block(x, mask, turn, last=last)
    torch.testing.assert_close(part, whole)
    weights = [x, *block.parameters()]
    for a, b in zip(torch.autograd.grad(part.square().sum(), weights), torch.autograd.grad(whole.square().sum(), weights)):
        torch.testing.assert_close(a, b)
