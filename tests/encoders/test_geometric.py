"""Geometric encoders turn, shift, mirror and reorder as their samples do; nothing depends on the batch, on the choice of cell or on atoms
that were taken away."""

from dataclasses import replace
from functools import lru_cache

import pytest
import torch

from unveil.contracts import Batch, Spec
from unveil.encoders.equivariant import Equivariant
from unveil.encoders.painn import PaiNN
from unveil.recipes.check import TABLES, find
from unveil.tokens import Graph

SPEC = Spec(1, (), ("x", "y", "z"), (), "angstrom", (7.0,), (3.0,), packed=True)
GEOMETRIC = [name for name in TABLES["encoder"] if find("encoder", name).reads == {"places"}]
CLOSE = {torch.float64: 1e-10, torch.float32: 1e-5}
MOTIONS = 1000


@lru_cache
def built(name, dtype=torch.float64, **settings):
    torch.manual_seed(3)
    encoder_class = find("encoder", name)
    encoder = encoder_class(SPEC, **(encoder_class.tiny | settings)).eval()
    with torch.no_grad():
        for part in encoder.parameters():  # away from zeros and ones, where something that is not used might hide
            part.add_(0.1 * torch.randn_like(part))
    return encoder.to(dtype)


def packed(parts, dtype=torch.float64, cells=None, valid=None):
    """A batch of ``(atomic numbers (n,), places (n, 3))``."""
    sizes = torch.tensor([len(places) for _, places in parts])
    sample = torch.repeat_interleave(torch.arange(len(parts)), sizes)
    graph = Graph(sample, len(parts), int(sizes.max()), cell=None if cells is None else torch.stack(cells).to(dtype))
    return Batch(torch.cat([z for z, _ in parts])[:, None].to(dtype), torch.arange(len(parts)), torch.arange(len(parts)), valid,
                 graph=graph, where=torch.cat([places for _, places in parts]).to(dtype))


def molecule(seed, atoms=None, box=1.6):
    """Atoms no closer than 0.9, some of them further apart than the cutoff."""
    state = torch.Generator().manual_seed(seed)
    atoms = atoms or 3 + seed % 9
    places = torch.zeros(0, 3, dtype=torch.float64)
    while len(places) < atoms:
        new = box * torch.randn(1, 3, generator=state, dtype=torch.float64)
        if not len(places) or (places - new).norm(dim=1).min() > 0.9:
            places = torch.cat([places, new])
    return torch.randint(1, 18, (atoms,), generator=state), places


def motion(state):
    """A rotation, mirrored in half of all cases, uniform over all; and a shift."""
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=state, dtype=torch.float64))
    q = q * r.diagonal().sign()
    return q, 3 * torch.randn(3, generator=state, dtype=torch.float64)


def apart(a, b):
    """Largest difference over the largest number."""
    return float((a - b).abs().max() / b.abs().max())


def worst(encoder, dtype):
    """Largest relative error over motions: of pooled and local features, and of vectors."""
    state, found = torch.Generator().manual_seed(0), []
    for seed in range(20):
        z, places = molecule(seed)
        still = encoder(packed([(z, places)], dtype))
        moved, orders, turns = [], [], []
        for _ in range(MOTIONS // 20):
            turn, shift = motion(state)
            order = torch.randperm(len(z), generator=state)
            moved.append((z[order], (places @ turn.T + shift)[order]))
            orders.append(order)
            turns.append(turn)
        answer = encoder(packed(moved, dtype))
        local, vectors = (x.detach().unflatten(0, (-1, len(z))) for x in (answer.local, answer.vectors))
        order, turn = torch.stack(orders), torch.stack(turns).to(dtype)
        found.append([apart(answer.pooled, still.pooled.expand_as(answer.pooled)), apart(local, still.local[order]),
                      apart(vectors, torch.einsum("mij,mnjd->mnid", turn, still.vectors[order]))])
    return torch.tensor(found).amax(0)


def test_all_geometric_encoders_are_tested():
    assert {"equivariant", "painn"} <= set(GEOMETRIC)


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("name", GEOMETRIC)
@torch.no_grad()
def test_motions(name, dtype):
    error = worst(built(name, dtype), dtype)
    assert (error <= CLOSE[dtype]).all(), error


@torch.no_grad()
def test_the_released_norm_of_vectors_is_not_equivariant():
    error = worst(built("equivariant", vector_norm="dyt"), torch.float64)
    assert (error > 1e-3).all(), error
    assert (worst(built("equivariant", vector_norm="none"), torch.float64) < 1e-10).all()


@pytest.mark.parametrize("name", GEOMETRIC)
@torch.no_grad()
def test_vectors_and_numbers_say_something(name):
    """What is equal under motion is not so because it is always equal."""
    one, other = (built(name)(packed([molecule(5, atoms=6)])) for _ in range(2))
    z, places = molecule(5, atoms=6)
    places[0] += 0.3
    other = built(name)(packed([(z, places)]))
    assert apart(one.pooled, other.pooled) > 1e-3 and apart(one.vectors, other.vectors) > 1e-3
    assert one.vectors.norm(dim=1).min() > 1e-4


@pytest.mark.parametrize("name", GEOMETRIC)
@torch.no_grad()
def test_symmetric_places_leave_vectors_small(name):
    """In the middle of a symmetric sample every vector is zero; rounding of single precision is not made into something."""
    places = torch.cat([torch.zeros(1, 3), torch.eye(3), -torch.eye(3)]).double() * 1.5
    turn, shift = motion(torch.Generator().manual_seed(1))
    encoder, z = built(name, torch.float32), torch.tensor([26, 8, 8, 8, 8, 8, 8])
    features = encoder(packed([(z, places @ turn.T + shift)], torch.float32))
    assert features.vectors[0].abs().max() < 1e-4 * features.vectors[1:].abs().max()


CELL = torch.tensor([[4.1, 0.0, 0.0], [1.1, 4.7, 0.0], [0.3, -0.9, 5.3]], dtype=torch.float64)
PLACES = torch.tensor([[0.1, 0.2, 0.3], [2.1, 1.9, 2.4], [0.4, 2.6, 4.0], [3.0, 3.5, 1.0]], dtype=torch.float64)
ATOMS = torch.tensor([11, 17, 8, 26]), PLACES


@pytest.mark.parametrize("open_axis", [False, True])
@pytest.mark.parametrize("name", GEOMETRIC)
@torch.no_grad()
def test_lattice(name, open_axis):
    """Moving atoms by vectors of the cell, another choice of cell, a motion of all, and a cell twice as large change nothing."""
    encoder, (z, places), cell = built(name), ATOMS, CELL.clone()
    if open_axis:
        cell[2] = 0
    still = encoder(packed([(z, places)], cells=[cell]))
    state = torch.Generator().manual_seed(2)
    for _ in range(10):
        steps = torch.randint(-3, 4, (4, 3), generator=state).double()
        moved = encoder(packed([(z, places + steps @ cell)], cells=[cell]))
        assert apart(moved.local, still.local) < 1e-10 and apart(moved.vectors, still.vectors) < 1e-10
        turn, shift = motion(state)
        moved = encoder(packed([(z, places @ turn.T + shift)], cells=[cell @ turn.T]))
        assert apart(moved.pooled, still.pooled) < 1e-10
        assert apart(moved.vectors, torch.einsum("ij,njd->nid", turn, still.vectors)) < 1e-10
    for change in ([[1, 1, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [-2, 1, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 0], [0, 0, -1]]):
        moved = encoder(packed([(z, places)], cells=[torch.tensor(change).double() @ cell]))
        assert apart(moved.local, still.local) < 1e-10 and apart(moved.vectors, still.vectors) < 1e-10
    twice = torch.diag(torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)) @ cell
    moved = encoder(packed([(z.repeat(2), torch.cat([places, places + cell[0]]))], cells=[twice]))
    assert apart(moved.pooled, still.pooled) < 1e-10 and apart(moved.vectors[4:], still.vectors) < 1e-10


@pytest.mark.parametrize("name", GEOMETRIC)
@torch.no_grad()
def test_the_cell_is_seen(name):
    encoder = built(name)
    assert apart(encoder(packed([ATOMS])).pooled, encoder(packed([ATOMS], cells=[CELL])).pooled) > 1e-3


@pytest.mark.parametrize("readout", ["mean", "sum"])
@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("name", GEOMETRIC)
@torch.no_grad()
def test_alone_as_in_a_batch(name, dtype, readout):
    encoder = built(name, dtype, readout=readout)
    parts = [molecule(seed) for seed in range(12)] + [(torch.tensor([2]), torch.zeros(1, 3, dtype=torch.float64))]
    cells = [torch.zeros(3, 3)] * 11 + [8 * torch.eye(3)] * 2
    for given in (None, cells):
        batch = packed(parts, dtype, given)
        whole, condition = encoder(batch), torch.randn(13, encoder.width, generator=torch.Generator().manual_seed(0)).to(dtype)
        told = encoder.encode(encoder.embed(batch), condition=condition)
        for number in range(len(batch)):
            own, one = batch.graph.sample == number, batch.one(number)
            one = one.map(lambda x: x.to(dtype) if x.is_floating_point() else x)
            alone = encoder(one)
            assert apart(alone.pooled[0], whole.pooled[number]) <= CLOSE[dtype]
            assert apart(alone.local, whole.local[own]) <= CLOSE[dtype]
            alone = encoder.encode(encoder.embed(one), condition=condition[number:number + 1])
            assert apart(alone.pooled[0], told.pooled[number]) <= CLOSE[dtype]


@pytest.mark.parametrize("readout", ["mean", "sum"])
@pytest.mark.parametrize("name", GEOMETRIC)
@torch.no_grad()
def test_an_atom_that_was_taken_away_is_as_if_absent(name, readout):
    encoder, (z, places) = built(name, readout=readout, neighbours=3), molecule(8, box=1.2)
    valid = torch.ones(len(z), dtype=torch.bool)
    valid[[1, 4]] = False
    parts = [(z * valid, places), molecule(3)]
    batch = packed(parts, valid=torch.cat([valid, torch.ones(len(parts[1][0]), dtype=torch.bool)]))
    less = packed([(z[valid], places[valid]), molecule(3)])
    with_hole, without = encoder(batch), encoder(less)
    assert apart(with_hole.pooled, without.pooled) < 1e-10
    assert apart(with_hole.vectors[batch.valid], without.vectors) < 1e-10
    assert apart(encoder(replace(batch, valid=None)).pooled, without.pooled) > 1e-4


@pytest.mark.parametrize("name", GEOMETRIC)
@torch.no_grad()
def test_nothing_jumps_at_the_cutoff(name):
    encoder, z = built(name), torch.tensor([6, 8, 7])
    at = lambda d: encoder(packed([(z, torch.tensor([[0, 0, 0], [1.2, 0, 0], [1.2 - d, 0.0, 0.0]], dtype=torch.float64))])).local
    below, above, near = at(5 - 1e-5), at(5 + 1e-5), at(4.0)
    assert apart(below, above) < 1e-6 < 1e-3 < apart(near, above)


@pytest.mark.parametrize("name", GEOMETRIC)
def test_gradient_reaches_all(name):
    encoder = built(name)
    encoder.zero_grad()
    batch = packed([molecule(seed) for seed in range(6)])
    batch.where.requires_grad_(True)
    features = encoder(batch)
    (features.local.square().sum(1) @ torch.linspace(-1, 1, len(batch.values)).double() + features.vectors.pow(3).sum()).backward()
    missed = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert not missed and batch.where.grad.isfinite().all() and batch.where.grad.any()


@pytest.mark.parametrize("name", GEOMETRIC)
@torch.no_grad()
def test_condition(name):
    """Every layer hears of it, a sample hears its own alone, and where none is given the token stands."""
    encoder = built(name)
    batch = packed([molecule(4), molecule(7)])
    tokens, layers = encoder.embed(batch), range(encoder.depth)
    plain = encoder.encode(tokens, layers=layers)
    same = encoder.encode(tokens, condition=encoder.unconditioned.expand(2, -1))
    assert torch.equal(plain.local, same.local)
    condition = encoder.unconditioned.repeat(2, 1)
    condition[1] += torch.linspace(-3, 3, encoder.width).double()
    told, mine = encoder.encode(tokens, condition=condition, layers=layers), batch.graph.sample == 0
    assert torch.equal(told.local[mine], plain.local[mine])
    assert all(apart(a[~mine], b[~mine]) > 1e-3 for a, b in zip(told.hidden, plain.hidden, strict=True))


@torch.no_grad()
def test_force_is_the_slope_of_the_energy():
    encoder, (z, places) = built("equivariant"), molecule(6)
    weight = torch.linspace(-1, 1, encoder.width).double()
    energy = lambda at: (encoder(packed([(z, at)])).pooled @ weight).sum()
    with torch.enable_grad():
        at = places.clone().requires_grad_(True)
        slope, = torch.autograd.grad(energy(at), at)
    step = torch.zeros_like(places)
    step[2, 1] = 1e-5
    assert float((energy(places + step) - energy(places - step)) / 2e-5) == pytest.approx(float(slope[2, 1]), rel=1e-5)


def test_dropping_paths_draws_whole_samples_or_atoms():
    batch = packed([molecule(0, atoms=6)] * 40)
    for unit, mixed in (("sample", False), ("atom", True)):
        encoder = Equivariant(SPEC, **(Equivariant.tiny | dict(depth=1)), drop_path=0.5, drop_unit=unit).double().train()
        torch.manual_seed(0)
        still = encoder(batch).vectors.flatten(1).norm(dim=1).view(40, 6) == 0
        assert still.any() and not still.all()
        assert bool((still.any(1) & ~still.all(1)).any()) == mixed


def test_width_of_heads():
    with pytest.raises(ValueError, match="multiple of heads"):
        Equivariant(SPEC, width=30, heads=4)
    assert PaiNN(SPEC, **PaiNN.tiny).chain()[-1].normalized_shape == (32,)
