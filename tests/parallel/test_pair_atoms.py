"""Two processes, each with half of the clouds, make the same update as one with all: methods on atoms, in float64.

Their halves have unequal numbers of atoms, so a mean over atoms that is one of means would be seen; so would running statistics, and
atoms and conditions whose draws go by the process.
"""

from dataclasses import replace

import pytest
import torch
from pair import Job, distances, work
from test_pair import CLOSE, pair  # noqa: F401

JOBS = [Job(method, encoder, "atoms") for method in ("scd", "coordinate-denoising") for encoder in ("equivariant", "painn")]
JOBS += [Job("scd", "equivariant", "atoms", settings) for settings in
         (dict(drop=1.0), dict(drop=0.0), dict(stop=True), dict(frozen=False), dict(centred=False))]
JOBS += [Job("simclr", "equivariant", "atoms"), replace(JOBS[0], sharded=True)]
FAULTY = [replace(job, fault=fault) for job in JOBS[:4] for fault in ("sum not reduced", "sum times world", "summed")]


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
