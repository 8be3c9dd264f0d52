"""Normalisation.

- BatchNorm is torch's: values, running mean and variance after several batches, evaluation, gradients, for 2 to 5 axes;
- the form that works across processes is the same function (here the other process is made to hold nothing);
- one value a channel is refused; without affine there is nothing to learn;
- Standardise takes the data's mean and deviation off each channel, and leaves missing values at zero.
"""

import pytest
import torch
from torch import nn

from unveil.contracts import Batch, Spec
from unveil.parts import norms
from unveil.parts.norms import BatchNorm, Standardise, settled
from unveil.randomness import Generator

SHAPES = [(8, 5), (3, 5, 7), (3, 5, 4, 2), (2, 5, 2, 3, 2)]
TORCHS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


@pytest.fixture(params=["one process", "across processes"])
def processes(request, monkeypatch):
    if request.param == "across processes":
        monkeypatch.setattr(norms, "world", lambda: 2)
        monkeypatch.setattr(norms, "global_sum", lambda x: x)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_is_torchs(shape, affine, processes):
    ours, theirs = BatchNorm(5, affine=affine, momentum=0.2), TORCHS[len(shape)](5, affine=affine, momentum=0.2)
    if affine:
        for norm in (ours, theirs):
            with torch.no_grad():
                norm.weight.copy_(torch.linspace(0.5, 2, 5))
                norm.bias.copy_(torch.linspace(-1, 1, 5))
    for step in range(3):
        x = 3 * Generator("x", step).normal(*shape) + 2
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        out, expected = ours(a), theirs(b)
        torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
        for y in (out, expected):
            (y * Generator("y").normal(*shape)).sum().backward()
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    if affine:
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    assert len(list(ours.parameters())) == 2 * affine


def test_running_variance_is_unbiased(processes):
    norm = BatchNorm(1, momentum=1.0)
    norm(torch.tensor([[0.0], [1.0]]))
    assert norm.running_var.item() == pytest.approx(0.5) and norm.running_mean.item() == pytest.approx(0.5)


def test_precision_of_the_answer(processes):
    x = Generator("x").normal(64, 5)
    assert BatchNorm(5)(x.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(BatchNorm(5)(x.bfloat16()).float(), BatchNorm(5)(x), rtol=0, atol=0.05)
    assert BatchNorm(5).double()(x.double()).dtype == torch.float64


def test_one_value_a_channel_is_refused():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        BatchNorm(3)(torch.zeros(1, 3))


def test_standardise():
    spec = Spec(2, (3, 4), ("y", "x"), (1.0, 1.0), "px", (1.0, -2.0), (2.0, 0.5))
    normal = Generator("values").normal(5, 2, 3, 4)
    values = normal * torch.tensor([2.0, 0.5]).view(2, 1, 1) + torch.tensor([1.0, -2.0]).view(2, 1, 1)
    valid = Generator("valid").uniform(5, 3, 4) < 0.7
    rows = torch.arange(5)
    out = Standardise(spec)(Batch(values, rows, rows))
    torch.testing.assert_close(out, normal, rtol=0, atol=1e-5)
    gaps = Standardise(spec)(Batch(values * valid[:, None], rows, rows, valid=valid))
    assert torch.equal(gaps, torch.where(valid[:, None], out, 0.0))


def test_an_untaught_network_has_the_statistics_of_the_data():
    network = nn.Sequential(nn.Linear(3, 4), BatchNorm(4), nn.Dropout(0.5))
    weights = {name: value.clone() for name, value in network.named_parameters()}
    batches = [5 + 3 * torch.randn(16, 3, generator=torch.Generator().manual_seed(i)) for i in range(4)]
    assert settled(network, batches) is network and not any(part.training for part in network.modules())
    inner = [network[0](batch) for batch in batches]
    torch.testing.assert_close(network[1].running_mean, torch.stack([x.mean(0) for x in inner]).mean(0))
    torch.testing.assert_close(network[1].running_var, torch.stack([x.var(0) for x in inner]).mean(0))
    assert network[1].momentum == 0.1 and all(torch.equal(value, weights[name]) for name, value in network.named_parameters())
    settled(nn.Linear(3, 4), (pytest.fail("read without need") for _ in range(1)))
