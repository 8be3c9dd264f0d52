"""Checks of a method."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unveil.contracts import Encoder, Method
from unveil.kinds.kind import Kind
from unveil.parts.blocks import Drop
from unveil.parts.teacher import Teacher
from unveil.recipes.kept import load_encoder, save_encoder
from unveil.testing.cell import Cell, left
from unveil.testing.learning import SEEDS, Learned, check_learning, check_twin
from unveil.testing.ops import watched


def check_method(method_class: type[Method], kind: Kind | None = None, *, encoder: type[Encoder] | None = None,
                 settings: dict[str, Any] | None = None, seeds: Sequence[int] = SEEDS, learning: bool = True) -> list[Learned]:
    """All checks of a method: its output, gradients, draws, a step in bfloat16, waits, exact resume, saving; that it learns; that its
    twins do not.

    Args:
        method_class: its ``tiny`` are the settings for a small encoder, its ``twins`` those under which it must fail.
        kind: what it is checked on; None for the first that a fitting encoder reads.
        encoder: class, whose ``tiny`` settings are taken; None for the first that supports what the method needs.
        settings: of the method, over ``tiny``.
        seeds: for the checks that learn, at least two.
        learning: also train, which takes some seconds a seed.

    Returns:
        what came of the method and of each twin.

    Raises:
        AssertionError: with what is wrong.
    """
    cell = Cell(method_class, kind, encoder, settings or {})
    for check in CONTRACT:
        check(cell)
    if not learning:
        return []
    return [check_learning(cell, seeds), *(check_twin(cell, twin, seeds) for twin in method_class.twins)]


def check_output(cell: Cell) -> None:
    """A finite scalar loss; detached figures; features by view and sample; an encoder that is kept."""
    method, batch = cell.build().train(), cell.batch()
    output = method(batch, cell.step())
    assert output.loss.dim() == 0 and output.loss.isfinite(), f"{cell}: the loss must be one finite number, it is {output.loss}"
    assert output.loss.requires_grad, f"{cell}: the loss has no gradient"
    for name, x in (output.scalars | output.shown).items():
        assert isinstance(x, Tensor) and not x.requires_grad, f"{cell}: {name} must be a detached tensor"
    assert all(x.dim() == 0 for x in output.scalars.values()), f"{cell}: scalars must have no axes"
    z = output.shown.get("embedding")
    assert z is not None and z.dim() == 3 and z.shape[1] == len(batch), \
        f"{cell}: shown must hold the encoder's features as 'embedding' (views, batch, width), so that a run can be diagnosed"
    kept = method.kept()
    assert isinstance(kept.get("encoder"), cell.encoder), f"{cell}: kept() must hold the encoder that is saved, under 'encoder'"


def check_gradients(cell: Cell, total: int = 100) -> None:
    """Gradient reaches every parameter that is not frozen, the optimiser is given each once, and none reaches a teacher."""
    method = cell.build().train()
    given = [id(p) for group in method.parameter_groups() for p in group["params"]]
    trained = {name: p for name, p in method.named_parameters() if p.requires_grad}
    assert len(given) == len(set(given)), f"{cell}: parameter_groups() names a parameter twice"
    left_out = [name for name, p in trained.items() if id(p) not in given]
    assert not left_out, f"{cell}: parameter_groups() leaves out {_some(left_out)}"
    taught = {f"teacher {name}": p.requires_grad_(True) for part in method.modules() if isinstance(part, Teacher)
              for name, p in part.named_parameters()}
    own, reached = {id(p) for p in taught.values()}, set()
    for index in (0, total // 2, total - 1):
        method(cell.batch(index), cell.step(index, total)).loss.backward()
        reached |= {name for name, p in trained.items() if p.grad is not None and bool(p.grad.any())}
        method.after_step(cell.step(index, total))
        method.zero_grad(set_to_none=False)
    missed = [name for name, p in trained.items() if name not in reached and id(p) not in own]
    assert not missed, f"{cell}: no gradient reaches {_some(missed)}"
    touched = [name for name, p in taught.items() if p.grad is not None]
    assert not touched, f"{cell}: gradient reaches {_some(touched)}"


def check_draws(cell: Cell) -> None:
    """Loss and gradients come from weights, batch and step alone, not from the state of torch's, numpy's or Python's generators."""
    found = []
    for state in (1, 2):
        method = cell.build().train()
        for part in method.modules():
            if isinstance(part, (Drop, nn.modules.dropout._DropoutNd)):
                part.eval()
        with _seeded(state):
            output = method(cell.batch(), cell.step())
            output.loss.backward()
        found.append([output.loss.detach(), *(p.grad for p in method.parameters() if p.grad is not None)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True)), \
        f"{cell}: a step depends on the state of a global generator: draw from step.generator(purpose) instead"


def check_mixed(cell: Cell) -> None:
    """A step in bfloat16, as machines that compute in it make it by themselves, has a finite loss that is about that of float32."""
    found = []
    for mixed in (False, True):
        method = cell.build().train()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = method(cell.batch(), cell.step()).loss
        loss.backward()
        found.append(float(loss.detach()))
    assert np.isfinite(found[1]), f"{cell}: in bfloat16 the loss is {found[1]}"
    assert abs(found[0] - found[1]) <= 0.1 * max(abs(found[0]), 0.1), f"{cell}: the loss is {found[0]:.4g}, in bfloat16 {found[1]:.4g}"


def check_waits(cell: Cell, sizes: tuple[int, int] = (8, 16)) -> None:
    """A step never waits for the device, and makes as many operations at any batch size.

    The step is made twice and the second counts: tables that are made once and kept may wait, and so may the search for neighbours of an
    encoder that says why.
    """
    counts = []
    for size in sizes:
        method, batch = cell.build().train(), cell.batch(size=size)

        def update(method=method, batch=batch):
            method(batch, cell.step()).loss.backward()
            method.after_step(cell.step())
            method.zero_grad()

        update()
        count, waits = watched(update, cell.encoder.waits)
        assert not waits, f"{cell}: a step waits for the device, by {_some(waits)}"
        counts.append(count)
    assert counts[1] <= counts[0], (f"{cell}: a step of {sizes[0]} samples makes {counts[0]} operations, one of {sizes[1]} makes "
                                    f"{counts[1]}: something goes through the samples one by one")


def check_resume(cell: Cell, steps: int = 6, at: int = 3) -> None:
    """``steps`` straight end in the same bits as ``at`` steps, a checkpoint, new objects, and the rest."""
    with TemporaryDirectory() as place:
        straight = _trained(cell, steps, None)
        first = _trained(cell, steps, Path(place), stop=at)
        assert first["step"] == at, f"{cell}: the run was stopped at step {at}, but made {first['step']}"
        resumed = _trained(cell, steps, Path(place))
    assert straight.keys() == resumed.keys(), f"{cell}: the resumed run has other tensors: {_some(straight.keys() ^ resumed.keys())}"
    differ = [name for name, x in straight.items() if not torch.equal(x, resumed[name])]
    assert not differ, f"{cell}: a resumed run ends otherwise, in {_some(differ)}: something is not in state_dict()"


def check_saving(cell: Cell, steps: int = 2) -> None:
    """The kept encoder, saved and loaded, has the same weights and gives the same features, bit for bit."""
    method = cell.build().train()
    optimiser = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.1)
    for index in range(steps):
        method(cell.batch(index), cell.step(index)).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        method.after_step(cell.step(index))
    with TemporaryDirectory() as place, cell.named() as names:
        check_reload(method.kept()["encoder"], cell, names, Path(place))


CONTRACT = (check_output, check_gradients, check_draws, check_mixed, check_waits, check_resume, check_saving)


def check_reload(encoder: Encoder, cell: Cell, names: dict[str, str], folder: Path) -> None:
    """Saves and loads ``encoder`` in ``folder`` and compares every bit."""
    encoder = encoder.eval()
    save_encoder(folder, encoder, cell.recipe(names))
    loaded = load_encoder(folder)
    differ = [name for name, x in encoder.state_dict().items() if not torch.equal(x, loaded.state_dict()[name])]
    assert not differ, f"{cell}: the loaded encoder has other weights in {_some(differ)}"
    batch = cell.batch(size=16)
    with torch.no_grad():
        assert torch.equal(encoder(batch).pooled, loaded(batch).pooled), f"{cell}: the loaded encoder gives other features"
    assert loaded.kind.fixed(cell.samples()[0]) == cell.kind.fixed(cell.samples()[0]), f"{cell}: the loaded kind reads data otherwise"


def _trained(cell: Cell, steps: int, folder: Path | None, stop: int | None = None) -> dict[str, Tensor]:
    """Everything that a run of a cell leaves, and the step at which it ended; asked to stop after ``stop`` steps."""
    loop = cell.loop(folder, steps=steps)

    def show(row: dict) -> None:
        loop.interrupted = row["step"] == stop

    loop.show = show
    step = loop.run().step
    return {"step": torch.tensor(step)} | left(loop)


class _seeded:
    """While it lasts, torch's, numpy's and Python's generators are in a state of their own; then as they were."""

    def __init__(self, state: int):
        self.state = state

    def __enter__(self) -> None:
        self.before = torch.get_rng_state(), np.random.get_state(), random.getstate()
        torch.manual_seed(self.state)
        np.random.seed(self.state)
        random.seed(self.state)

    def __exit__(self, *error) -> None:
        torch.set_rng_state(self.before[0])
        np.random.set_state(self.before[1])
        random.setstate(self.before[2])


def _some(names: Iterable[str], most: int = 3) -> str:
    names = sorted(set(names))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
