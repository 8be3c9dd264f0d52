"""Two processes, each with half a batch, make the same update as one with the whole: every method, encoder and kind, in float64.

Compared are the loss, the averaged gradients, and after the update all weights and buffers (running statistics, DINO's centre,
teachers), on both processes. Halves of packed samples have unequal numbers of rows, so that a mean that is one of means would be seen.
Missing values that differ from half to half, and small views, are further jobs, and so are weights in shards (FSDP2). The same comparison
must fail where a gradient is wrong by the number of processes. ``benchmarks/processes.py`` says how far each method is off.
"""

from dataclasses import replace

import pytest
import torch
from pair import Job, Pair, distances, work

from unveil.recipes.check import TABLES
from unveil.recipes.fit import ways

CLOSE = 1e-6
GRIDS, SECOND = ("signal", "image"), "conv"
# On grids with a second encoder, too; of packed kinds with the first that can.
JOBS = [Job(method, encoder, kind) for kind in TABLES["kind"] for method in TABLES["method"]
        for at, (encoder, _) in enumerate(ways(kind, method)) if at == 0 or encoder == SECOND]
DENSE = [job.method for job in JOBS if job.kind == "signal" and job.encoder == "transformer"]
JOBS += [Job(method, "transformer", "signal", missing=True) for method in DENSE]
JOBS += [replace(job, missing=True) for job in JOBS if job.kind not in GRIDS]
JOBS += [Job(method, "transformer", kind, dict(local_views=2)) for method in ("dino", "lejepa") for kind in GRIDS]
JOBS += [Job("lejepa", "conv", "image", dict(form="pooled")), Job("i-jepa", "transformer", "image", dict(masking="random")),
         Job("byol", "conv", "signal", dict(teacher=False))]
JOBS += [Job("infograph", "hierarchical", "graph"), Job("graphmae", "gin", "graph", dict(ratio=0.3, replaced=0.4, power=2.0)),
         Job("infograph", "gin", "graph", dict(prior=0.1)), Job("graph-jepa", "hierarchical", "graph", dict(target="features")),
         Job("hi-gmae", "hierarchical", "graph", dict(masks="independent", recovery="compounded", until=1.0)),
         Job("scd", "painn", "atoms"), Job("coordinate-denoising", "painn", "atoms")]
JOBS += [Job("scd", "equivariant", "atoms", settings) for settings in
         (dict(drop=1.0), dict(drop=0.0), dict(stop=True), dict(frozen=False), dict(centred=False))]
JOBS += [Job("slip", "flex", "signal", settings) for settings in (dict(contrast=0.0), dict(caption=0.0), dict(pairs="shuffled"))]
JOBS += [Job("slip", "flex", "signal", missing=True)]
JOBS += [replace(job, sharded=True) for job in JOBS if job.kind == "signal" and not job.missing]
PACKED = [Job("graphmae", "gin", "graph"), Job("hi-gmae", "hierarchical", "graph"), Job("graph-jepa", "hierarchical", "graph"),
          Job("graphcl", "gin", "graph"), Job("infograph", "gin", "graph")]
CLOUDS = [Job(method, encoder, "atoms") for method in ("scd", "coordinate-denoising") for encoder in ("equivariant", "painn")]
JOBS += [replace(job, sharded=True) for job in (*PACKED, CLOUDS[0])]

# Where each method looks across the batch: its loss (also over ragged items), or the normalisation in its head or encoder.
ACROSS = {"sum": [Job("lejepa", "transformer", "signal"), Job("byol", "transformer", "signal"), Job("dino", "conv", "signal"),
                  *(Job(method, "transformer", "signal", missing=True) for method in ("mae", "i-jepa", "bootleg"))],
          "gather": [Job("simclr", "transformer", "signal"), Job("vicreg", "transformer", "signal")]}
ACROSS["sum"] += [*PACKED[:3], *CLOUDS]
ACROSS["gather"] += PACKED[3:]
ACROSS["gather"] += [Job("slip", "flex", "signal")]
ACROSS["sum"] += [Job("slip", "flex", "signal")]
FAULTY = [replace(job, fault=f"{where} {fault}") for where, jobs in ACROSS.items() for job in jobs
          for fault in ("not reduced", "times world")]
FAULTY += [Job(method, "transformer", "signal", fault="summed") for method in DENSE]
FAULTY += [replace(job, fault="summed") for job in CLOUDS]


@pytest.fixture(scope="session")
def pair():
    """Started once."""
    held = Pair()
    yield held
    held.close()


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_two_processes_equal_one(pair, job):
    one = work(job)
    assert one["loss"].dtype == torch.float64
    assert any(name.startswith("gradient") for name in one)
    for rank, answer in enumerate(pair(job)):
        assert answer.keys() == one.keys()
        far = distances(answer, one)
        worst = max(far, key=far.get)
        assert far[worst] <= CLOSE, f"process {rank}: {worst} is {far[worst]:.1e} from that of one process"


@pytest.mark.parametrize("job", FAULTY, ids=str)
def test_a_gradient_that_is_wrong_by_the_number_of_processes_is_found(pair, job):
    """The faults are those that this comparison is for; each is far over its limit."""
    one = work(job)
    for answer in pair(job):
        far = {name: x for name, x in distances(answer, one).items() if name.startswith("gradient")}
        assert max(far.values()) > 1000 * CLOSE, f"{job.fault} goes unseen: {max(far.values()):.1e}"
        assert distances(answer, one)["loss"] <= CLOSE, "the loss is right, so that only the gradient can tell"
