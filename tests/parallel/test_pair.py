"""Two processes, each with half a batch, make the same update as one with the whole: every method, encoder and kind, in float64.

Compared are the loss, the averaged gradients, and after the update all weights and buffers (running statistics, DINO's centre,
teachers), on both processes. Missing values that differ from half to half, and small views, are further jobs.
"""

import pytest
import torch
from pair import KINDS, Job, Pair, work

from unveil.recipes.check import TABLES, find

CLOSE = 1e-6
ENCODERS = ("transformer", "conv")
JOBS = [Job(method, encoder, kind) for method in TABLES["method"] for encoder in ENCODERS for kind in KINDS
        if find("method", method).needs <= find("encoder", encoder).supports]
JOBS += [Job(method, "transformer", "signal", missing=True) for method in TABLES["method"]]
JOBS += [Job(method, "transformer", kind, dict(local_views=2)) for method in ("dino", "lejepa") for kind in KINDS]
JOBS += [Job("lejepa", "conv", "image", dict(form="pooled")), Job("i-jepa", "transformer", "image", dict(masking="random")),
         Job("byol", "conv", "signal", dict(teacher=False))]


@pytest.fixture(scope="session")
def pair():
    """Started once."""
    held = Pair()
    yield held
    held.close()


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference, relative to the largest value and never to less than 1e-3."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-3)) if a.numel() else 0.0


@pytest.mark.parametrize("job", JOBS, ids=lambda job: "-".join(
    [job.method, job.encoder, job.kind, *(f"{name}={value}" for name, value in job.settings.items()), *["missing"] * job.missing]))
def test_two_processes_equal_one(pair, job):
    one = work(job)
    assert one["loss"].dtype == torch.float64
    assert any(name.startswith("gradient") for name in one)
    for rank, answer in enumerate(pair(job)):
        assert answer.keys() == one.keys()
        far = {name: distance(x, one[name]) for name, x in answer.items()}
        worst = max(far, key=far.get)
        assert far[worst] <= CLOSE, f"process {rank}: {worst} is {far[worst]:.1e} from that of one process"
