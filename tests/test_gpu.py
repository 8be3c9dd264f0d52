"""On a GPU every method says what it says on the CPU, in whole numbers and in half, and no step waits for the device."""

from __future__ import annotations

import pytest
import torch

from conformance.test_methods import CELLS, cell
from unveil.training.step import TrainStep

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is at hand")


@pytest.fixture(autouse=True)
def exact():
    """Products in whole float32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def taught(made, device: str, half: bool = False, steps: int = 3) -> list[float]:
    """The losses of the first steps, by plain gradient steps."""
    method = made.build().to(device).train()
    optimiser = torch.optim.SGD(method.parameters(), lr=1e-3)
    losses = []
    for index in range(steps):
        step = TrainStep(made.kind, 0, index, 100, torch.device(device))
        torch.manual_seed(0)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            output = method(made.batch(index).to(device), step)
        optimiser.zero_grad()
        output.loss.backward()
        optimiser.step()
        method.after_step(step)
        losses.append(float(output.loss))
    return losses


@pytest.mark.parametrize("case", CELLS, ids="-".join)
def test_as_on_the_cpu(case):
    here = taught(cell(*case), "cpu")
    assert taught(cell(*case), "cuda") == pytest.approx(here, rel=1e-3, abs=1e-4)
    assert taught(cell(*case), "cuda", half=True) == pytest.approx(here, rel=0.1, abs=0.05)


@pytest.mark.parametrize("case", CELLS, ids="-".join)
def test_no_step_waits(case):
    made = cell(*case)
    if made.encoder.waits:
        pytest.skip(f"{made.encoder.__name__}: {made.encoder.waits}")
    method, batch = made.build().to("cuda").train(), made.batch().to("cuda")
    made.kind.to(torch.device("cuda"))
    for index in range(2):
        step = TrainStep(made.kind, 0, index, 100, torch.device("cuda"))
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error" if index else "default")  # the first step fills what is kept
        try:
            method(batch, step).loss.backward()
            method.after_step(step)
        finally:
            torch.cuda.set_sync_debug_mode("default")
