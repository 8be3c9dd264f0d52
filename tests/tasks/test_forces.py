"""Forces: found where they are in the vectors, turning as the atoms turn, and not found where they go with other atoms."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import unveil
from tasks.metals import clusters, written
from tasks.planted import halves
from unveil import api
from unveil.cli import main
from unveil.contracts import Encoder
from unveil.data.options import Options
from unveil.data.packed import Structure
from unveil.data.records import Records
from unveil.data.samples import Samples
from unveil.encoders.equivariant import Equivariant
from unveil.encoders.painn import PaiNN
from unveil.errors import Unusable
from unveil.kinds.atoms import Atoms
from unveil.kinds.atoms.view import rotations
from unveil.randomness import Generator
from unveil.tasks.bench import Bench, Way
from unveil.tasks.forces import Forces, fit
from unveil.tasks.regression import GRID, Regression
from unveil.tasks.task import judge

pytest.importorskip("ase")
METALS = clusters()


def metals(forces=None, turned: np.ndarray | None = None, **columns) -> tuple[Atoms, Samples]:
    """The clusters as samples; with other forces, or all turned about the origin."""
    turned = np.eye(3) if turned is None else turned
    forces = [atoms.get_forces() @ turned.T for atoms in METALS] if forces is None else forces
    made = [Structure(np.float32(atoms.numbers)[:, None], where=atoms.positions @ turned.T, forces=of)
            for atoms, of in zip(METALS, forces, strict=True)]
    kind = Atoms()
    return kind, kind.open(Records([str(i) for i in range(len(made))], made.__getitem__, **columns))


def network(samples: Samples, family=Equivariant, **more) -> Encoder:
    torch.manual_seed(0)
    return family(samples.spec(), **family.tiny | more)


def rows(samples: Samples, kind=None, tasks=None, **ways) -> tuple[dict[tuple[str, str], dict], dict[str, str]]:
    bench = Bench(halves(samples), ways or {"untaught": Way.frozen(network(samples))}, kind or Atoms(), budgets=(None,))
    found, left = judge(bench, tasks or [Forces()])
    return {(row["features"], row["metric"]): row for row in found}, left


def shuffled() -> list[np.ndarray]:
    """Every force on an atom of any cluster."""
    whole = np.concatenate([atoms.get_forces() for atoms in METALS])
    return np.split(np.random.default_rng(0).permutation(whole), np.cumsum([len(atoms) for atoms in METALS])[:-1])


@pytest.mark.parametrize("family", [Equivariant, PaiNN])
def test_vectors_say_forces_and_not_those_on_other_atoms(family):
    _, samples = metals()
    found, _ = rows(samples, untaught=Way.frozen(network(samples, family)))
    error, none, cosine = found["untaught", "MAE"], found["no force", "MAE"], found["untaught", "cosine"]
    assert error["high"] < none["low"] and error["value"] < none["value"] / 2 and cosine["low"] > 0.7
    assert (error["unit"], error["direction"], error["n_train"], error["n_test"]) == ("eV/angstrom", "lower", 40, 40)
    true = np.concatenate([atoms.get_forces() for atoms in METALS[40:]])
    assert none["value"] == pytest.approx(np.abs(true).mean(), rel=1e-5) and none["encoder"] == "none"
    assert ("no force", "cosine") not in found
    _, broken = metals(shuffled())
    found, _ = rows(broken, untaught=Way.frozen(network(broken, family)))
    assert found["untaught", "MAE"]["value"] > 0.9 * found["no force", "MAE"]["value"] and found["untaught", "cosine"]["value"] < 0.2


@pytest.mark.parametrize("family", [Equivariant, PaiNN])
def test_answers_turn_with_the_atoms(family):
    turn = rotations(Generator("turned").normal(1, 4))[0].double().numpy()
    (_, still), (_, moved) = metals(), metals(turned=turn)
    net, at = network(still, family), torch.arange(len(still))
    weights = fit(net, still, "cpu")
    assert (fit(net, moved, "cpu") - weights).abs().max() < 1e-4 * weights.abs().max(), "a turned set teaches the same"
    told, again = (net.eval()(samples.batch(at)).vectors.double() @ weights for samples in (still, moved))
    assert (again - told @ torch.as_tensor(turn).T).abs().max() < 1e-4 < told.abs().max()
    assert torch.allclose(moved.forces_on(at).double(), still.forces_on(at).double() @ torch.as_tensor(turn).T, atol=1e-5)


def test_vectors_that_do_not_turn_say_less():
    """A network whose answers stand still while the atoms turn has vectors that say nothing of forces on atoms turned at random."""
    class Still(Equivariant):
        def encode(self, *given, **asked):
            found = super().encode(*given, **asked)
            found.vectors = found.local[:, None].expand(-1, 3, -1)
            return found

    _, samples = metals()
    found, _ = rows(samples, untaught=Way.frozen(network(samples, Still)))
    assert found["untaught", "MAE"]["value"] > 0.9 * found["no force", "MAE"]["value"]


@pytest.mark.parametrize("forces", [None, shuffled()], ids=["true", "shuffled"])
def test_weights_are_those_of_least_squares(forces):
    """As by solving the whole of it at every penalty, with errors over the same folds summed up by hand."""
    _, samples = metals(forces)
    net, at = network(samples), torch.arange(len(samples))
    vectors, forces = net.eval()(samples.batch(at)).vectors.double().detach(), samples.forces_on(at).double()
    x, y = vectors.flatten(0, 1).numpy(), forces.flatten().numpy()
    x = x / (scale := np.sqrt(np.square(x).mean(0)))
    fold = np.repeat(np.repeat(np.arange(len(samples)) % 5, samples.sizes.numpy()), 3)
    solve = lambda rows, penalty: np.linalg.solve(x[rows].T @ x[rows] + penalty * np.eye(x.shape[1]), x[rows].T @ y[rows])
    errors = [sum(np.square(x[fold == k] @ solve(fold != k, penalty) - y[fold == k]).sum() for k in range(5)) for penalty in GRID]
    want = solve(fold >= 0, GRID[int(np.argmin(errors))]) / scale
    np.testing.assert_allclose(fit(net, samples, "cpu").numpy(), want, rtol=1e-5, atol=1e-8)


def test_what_is_unknown_is_neither_learned_from_nor_scored():
    forces = [atoms.get_forces() if i % 2 else None for i, atoms in enumerate(METALS)]
    _, samples = metals(forces)
    assert samples.forced.tolist() == [False, True] * 40 and samples.notes[0] == "forces of 40 of 80 structures are known, eV/angstrom"
    found, _ = rows(samples)
    error = found["untaught", "MAE"]
    assert (error["n_train"], error["n_test"]) == (20, 20) and len(error["parts"]) <= 20
    _, half = metals([forces[i] if i % 2 else None for i in range(80)])
    some = half.subset(np.arange(1, 80, 2))
    assert some.forced.all() and torch.equal(some.forces_on(torch.tensor([3])), torch.tensor(METALS[7].get_forces(), dtype=torch.float32))


def test_a_way_without_vectors_and_data_without_forces_say_what_is_missing():
    kind, samples = metals()
    found, left = rows(samples, kind, statistics=Way(kind.statistics))
    assert not found and left == {"forces": "a network whose features hold vectors, for samples with places"}
    _, bare = metals([None] * 80)
    assert bare.forces is None and not bare.answered and not bare.forced.any()
    found, left = rows(bare)
    assert not found and "forces on the atoms of two structures to learn from" in left["forces"]


def test_no_batch_holds_a_force():
    """What a method and an encoder are given is the same with forces and without."""
    (_, with_forces), (_, without) = metals(), metals([None] * 80)
    one, other = (samples.batch(torch.arange(5)) for samples in (with_forces, without))
    assert vars(one).keys() == vars(other).keys() and not one.extras
    for name, x in vars(one).items():
        if isinstance(x, torch.Tensor):
            assert torch.equal(x, getattr(other, name))


DAMAGED = {"has 4x3 numbers as forces, where its {n} atoms have {n}x3": lambda f: np.zeros((4, 3)),
           "has 7 numbers as forces, where its {n} atoms have {n}x3": lambda f: np.zeros(7),
           "the force on its atom 2 is no three finite numbers": lambda f: np.where(np.arange(len(f))[:, None] == 1, np.nan, f)}


@pytest.mark.parametrize("why", DAMAGED)
def test_damaged_forces_are_unknown_and_their_cluster_stays(why):
    forces = [atoms.get_forces() for atoms in METALS]
    forces[3] = DAMAGED[why](forces[3])
    _, samples = metals(forces)
    assert len(samples) == 80 and not samples.faults and (~samples.forced).nonzero()[0].tolist() == [3]
    said = "the forces of 1 structure are set aside as unknown; 3: " + why.format(n=len(METALS[3]))
    assert samples.notes[:2] == ["forces of 79 of 80 structures are known, eV/angstrom", said]


def test_forces_stay_with_their_cluster_where_others_are_set_aside():
    kind, made = Atoms(), [Structure(np.float32(a.numbers)[:, None], where=a.positions, forces=a.get_forces()) for a in METALS[:5]]
    made[1] = replace(made[1], where=made[1].where * np.nan)
    made[2] = replace(made[2], where=made[2].where[[0, 0, *range(2, len(made[2]))]])
    samples = kind.open(Records(list("abcde"), made.__getitem__))
    assert list(samples.faults) == ["b", "c"] and len(samples.forces) == sum(len(made[i]) for i in (0, 3, 4))
    np.testing.assert_allclose(samples.forces_on(torch.tensor([2, 1])).numpy(), np.concatenate([made[4].forces, made[3].forces]), atol=1e-6)


def test_energies_of_clusters_of_unequal_size_are_learned_by_atom():
    kind, samples = metals(targets=np.array([atoms.get_potential_energy() for atoms in METALS]))
    ways = {readout: Way.frozen(network(samples, readout=readout)) for readout in ("mean", "sum")} | {"statistics": Way(kind.statistics)}
    plain, _ = rows(samples, kind, [Regression()], **ways)
    samples.extensive = True
    found, _ = rows(samples, kind, [Regression()], **ways)
    assert found["mean", "MAE"]["value"] < plain["mean", "MAE"]["value"] / 2, "a mean over atoms holds no size"
    assert found["median", "MAE"]["value"] < plain["median", "MAE"]["value"]
    for way in ("sum", "statistics"):
        assert found[way, "MAE"]["values"] == plain[way, "MAE"]["values"], "what grows itself is left as it is"
    assert found["mean", "R2"]["protocol"].endswith("target target, learned by row") and "row" not in found["sum", "R2"]["protocol"]


@pytest.mark.parametrize("ending", ["extxyz", "db", "traj"])
def test_a_run_on_a_file_with_forces_is_judged_by_them(ending, tmp_path, capsys):
    """Where nothing else is known they judge unasked; and named, with an energy beside them."""
    file = written(tmp_path, ending)
    settings = {"train.steps": 2, "train.batch": 8, "encoder.width": 16, "encoder.depth": 2, "encoder.heads": 2, "encoder.radial": 8}
    run = unveil.pretrain(file, out=tmp_path / "run", method="coordinate-denoising", settings=settings)
    assert {(row["task"], row["features"]) for row in run.rows} == {("forces", way) for way in ("encoder", "random init", "no force")}
    assert run.facts["test"] == 20 and any("forces of 80 of 80 structures are known" in note for note in run.facts["notes"])
    assert "forces" in json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    if ending != "db":
        return
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(file), "--targets", "energy", "--tasks", "forces,regression", "--json",
                 "--budgets", "1"]) == 0
    found = {(row["task"], row["features"], row["metric"]): row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert found["regression", "encoder", "MAE"]["unit"] == "eV" and ("forces", "encoder", "cosine") in found


def test_nothing_judges_where_forces_are_damaged_everywhere(tmp_path):
    (tmp_path / "a.xyz").write_text("".join(f"1\nProperties=species:S:1:pos:R:3:forces:R:3\nHe {i} 0 0 x y z\n" for i in range(9)))
    _, samples = api.open_data(tmp_path / "a.xyz", options=Options())
    assert samples.forces is None and any("the forces of 9 structures are set aside as unknown" in note for note in samples.notes)
    encoder = network(samples)
    encoder.kind, encoder.settings = Atoms(), {"name": "equivariant", **Equivariant.tiny}
    with pytest.raises(Unusable, match="has no labels"):
        unveil.evaluate(encoder, tmp_path / "a.xyz", tasks=["forces"])


@pytest.mark.slow
def test_coordinate_denoising_says_forces_better_than_the_untaught_network(tmp_path):
    """Its target is a force: that of the harmonic wells about the places it saw (Zaidi et al. 2023, arXiv 2206.00133)."""
    file = written(tmp_path, "extxyz", 400)
    settings = {"train.steps": 600, "train.batch": 32, "encoder.width": 32, "encoder.depth": 2, "encoder.heads": 4, "encoder.radial": 16}
    run = unveil.pretrain(file, out=tmp_path / "run", method="coordinate-denoising", settings=settings)
    error = {row["features"]: row for row in run.rows if row["metric"] == "MAE"}
    assert error["encoder"]["high"] < error["random init"]["low"] and error["random init"]["high"] < error["no force"]["low"]
