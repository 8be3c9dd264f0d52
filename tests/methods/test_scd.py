"""SCD: what its controls change, and that the vector of a sample is a number of its shape alone."""

import torch
from torch.nn import functional as F

from unveil.encoders.equivariant import Equivariant
from unveil.encoders.painn import PaiNN
from unveil.kinds.atoms import Atoms
from unveil.methods.coordinate_denoising import CoordinateDenoising
from unveil.methods.scd import SCD
from unveil.testing import Cell


def made(encoder=Equivariant, **settings):
    cell = Cell(SCD, Atoms(), encoder, settings=settings)
    return cell, cell.build().train()


def gradients(method, cell):
    method(cell.batch(), cell.step()).loss.backward()
    return {name: p.grad for name, p in method.named_parameters() if p.grad is not None}


def test_told_nothing_it_is_coordinate_denoising():
    cell, method = made(drop=1.0)
    plain = CoordinateDenoising(cell.build_encoder(), sigma=method.sigma).train()
    plain.encoder.load_state_dict(method.encoder.state_dict())
    plain.head.load_state_dict(method.head.state_dict())
    assert torch.equal(method(cell.batch(), cell.step()).loss, plain(cell.batch(), cell.step()).loss)
    assert method.summary is None and "projection" not in method(cell.batch(), cell.step()).shown


def test_elements_and_the_token_for_nothing_stay_as_drawn():
    for frozen in (True, False):
        cell, method = made(frozen=frozen)
        held = gradients(method, cell)
        assert ("encoder.elements.table.weight" in held) == ("encoder.condition.none" in held) == (not frozen)
        assert "encoder.surroundings.table.weight" in held, "the table of neighbours is not frozen"


def test_gradient_flows_through_both_passes_unless_stopped():
    """Looked at in the first pass alone; its head learns in both cases."""
    for stop in (False, True):
        cell, method = made(drop=0.0, stop=stop)
        told, _ = method.told(cell.batch(), cell.step())
        told.square().sum().backward()
        assert (method.encoder.layers[0].value.weight.grad is None) == stop
        assert method.summary.whole[4].weight.grad.any()


def test_a_share_of_the_samples_is_told_nothing():
    """Where all are told, the token has no part in the loss; where some are not, it has."""
    part = {}
    for drop in (0.0, 0.5):
        cell, method = made(drop=drop)
        heard = []
        method.encoder.condition.register_forward_pre_hook(lambda module, given, heard=heard: heard.append(given[0]))
        method(cell.batch(size=64), cell.step())
        none = (heard[1] == method.encoder.unconditioned).all(1)
        part[drop] = float(none.float().mean())
    assert part[0.0] == 0 and 0.3 < part[0.5] < 0.7
    method.eval()
    heard.clear()
    method(cell.batch(size=64), cell.step())
    assert not (heard[1] == method.encoder.unconditioned).all(1).any(), "in evaluation all are told"


def test_the_vector_of_a_sample_does_not_change_as_it_moves():
    for encoder in (Equivariant, PaiNN):
        cell, method = made(encoder, jitter=0.0)
        method.eval()
        turned, = cell.step().view(cell.batch(), symmetry=True)
        still, moved = (method.told(batch, cell.step())[0] for batch in (cell.batch(), turned))
        assert (still - moved).abs().max() < 1e-4 * still.abs().max()


def test_swapping_is_told_apart_from_none_and_own():
    cell, method = made()
    method(cell.batch(), cell.step())  # so that the running deviation is that of the noise
    found = method.eval().swapped(cell.batch(), cell.step(), 0.1)
    assert set(found) == {"own", "swapped", "none"} and len({float(x) for x in found.values()}) == 3
    with torch.no_grad():
        for p in method.head.parameters():
            p.zero_()
    found = method.swapped(cell.batch(), cell.step(), 0.1)
    assert all(F.l1_loss(x, torch.ones_like(x)) < 1e-6 for x in found.values()), "an answer of zero has an error of 1"
