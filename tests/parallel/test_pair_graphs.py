"""Two processes, each with half of the graphs, make the same update as one with all: methods on graphs, in float64.

Their halves have unequal numbers of nodes, so that a mean over nodes that is one of means would be seen.
"""

from dataclasses import replace

import pytest
import torch
from pair import Job, distances, work
from test_pair import CLOSE, pair  # noqa: F401

JOBS = [Job(method, "gin", "graph") for method in ("graphmae", "graphcl", "infograph", "simclr", "vicreg", "byol", "lejepa", "dino")]
JOBS += [Job(method, "hierarchical", "graph") for method in ("hi-gmae", "graph-jepa", "infograph")]
JOBS += [Job("graphmae", "gin", "graph", dict(ratio=0.3, replaced=0.4, power=2.0)), Job("infograph", "gin", "graph", dict(prior=0.1)),
         Job("hi-gmae", "hierarchical", "graph", dict(masks="independent", recovery="compounded", until=1.0)),
         Job("graph-jepa", "hierarchical", "graph", dict(target="features"))]
JOBS += [replace(job, sharded=True) for job in JOBS[:3] + JOBS[8:10]]
FAULTY = [replace(job, fault=f"{where} {fault}") for fault in ("not reduced", "times world") for where, jobs in
          {"sum": [JOBS[0], JOBS[8], JOBS[9]], "gather": [JOBS[1], JOBS[2]]}.items() for job in jobs]


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_two_processes_equal_one(pair, job):  # noqa: F811
    one = work(job)
    assert one["loss"].dtype == torch.float64
    for rank, answer in enumerate(pair(job)):
        assert answer.keys() == one.keys()
        far = distances(answer, one)
        worst = max(far, key=far.get)
        assert far[worst] <= CLOSE, f"process {rank}: {worst} is {far[worst]:.1e} from that of one process"


@pytest.mark.parametrize("job", FAULTY, ids=str)
def test_a_gradient_that_is_wrong_by_the_number_of_processes_is_found(pair, job):  # noqa: F811
    one = work(job)
    for answer in pair(job):
        far = {name: x for name, x in distances(answer, one).items() if name.startswith("gradient")}
        assert max(far.values()) > 1000 * CLOSE, f"{job.fault} goes unseen: {max(far.values()):.1e}"
