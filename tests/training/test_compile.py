"""Compiled blocks give the eager loss, and leave no trace in what is kept."""

import copy

import pytest
import torch

from unveil.methods.ijepa import IJEPA
from unveil.testing import Cell
from unveil.training import processes
from unveil.training.settings import Training


@pytest.mark.slow
def test_a_compiled_run_loses_as_an_eager_one(tmp_path):
    """By plain gradient steps: AdamW makes whole steps of the rounding of gradients that are truly zero, as those of biases of keys are."""
    losses, held = {}, {}
    for compile in ("no", "yes"):
        rows = []
        held[compile] = Cell(IJEPA).loop(tmp_path / compile, steps=4, optimiser="sgd", lr=0.05, compile=compile)
        held[compile].show = rows.append
        kept = held[compile].method
        held[compile].run()
        losses[compile] = [row["loss"] for row in rows]
        assert (held[compile].method is kept) == (compile == "no")
    assert len(losses["yes"]) == 4 and losses["yes"] == pytest.approx(losses["no"], rel=1e-5)
    for name, x in held["no"].method.state_dict().items():
        torch.testing.assert_close(held["yes"].method.state_dict()[name], x, rtol=1e-4, atol=1e-6)
    encoder = held["yes"].method.kept()["encoder"]
    assert not any(part._compiled_call_impl for part in held["yes"].method.modules())
    assert copy.deepcopy(encoder).state_dict().keys() == encoder.state_dict().keys()


def test_auto_compiles_on_a_gpu_alone():
    assert not processes.compiled(Training(compile="auto"), torch.device("cpu"))
    assert processes.compiled(Training(compile="auto"), torch.device("cuda"))
    assert not processes.compiled(Training(compile="auto"), torch.device("cuda"), packed=True)
    assert processes.compiled(Training(compile="yes"), torch.device("cpu"))


def test_everything_repeated_is_named_as_a_unit():
    """Two blocks of the encoder, two of its teacher, one of the predictor; each is called as a module."""
    method = Cell(IJEPA).build()
    units = method.units()
    assert len(units) == len(set(units)) == 5
    called = []
    for unit in units:
        unit.register_forward_hook(lambda unit, *_: called.append(unit))
    held = Cell(IJEPA).loop(None, steps=1)
    held.method = method
    held.run()
    assert set(called) == set(units)


def test_a_blueprint_takes_no_memory_and_gets_the_weights_back():
    method = Cell(IJEPA).build()
    plain = processes.blueprint(method)
    assert all(x.is_meta for x in plain.state_dict().values())
    assert [p.requires_grad for p in plain.parameters()] == [p.requires_grad for p in method.parameters()]
    whole = processes.restored(plain, method)
    assert all(torch.equal(x, method.state_dict()[name]) for name, x in whole.state_dict().items())
    assert not whole.training and [p.requires_grad for p in whole.parameters()] == [p.requires_grad for p in method.parameters()]
