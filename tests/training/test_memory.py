"""Freed memory stays with the process while training lasts, and goes back at its end."""

import multiprocessing
import resource

import pytest
import torch

from unveil.training import memory
from unveil.training.memory import freed_memory_kept

needs_glibc = pytest.mark.skipif(memory._glibc() is None, reason="this C library is not glibc")


def pages(rounds: int = 20, bytes_each: int = 8 << 20) -> int:
    """Pages that the system had to hand out for tensors made and freed again and again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        torch.ones(bytes_each // 4)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def held() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize()


def apart(function):
    """The answer of a process of its own: what others have left in the heap of this one would be measured too."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function)


def usual_and_kept() -> tuple[int, int]:
    usual = pages()
    with freed_memory_kept():
        return usual, min(pages() for _ in range(3))  # until the heap has found its shape


def nested() -> tuple[int, int, int]:
    with freed_memory_kept():
        with freed_memory_kept():
            torch.ones(64 << 20)
        again, within = min(pages() for _ in range(3)), held()
    return again, within, held()


@needs_glibc
def test_a_step_gets_its_pages_once():
    usual, again = apart(usual_and_kept)
    assert again < usual / 20, (usual, again)


@needs_glibc
def test_inside_one_another_the_outer_one_decides_and_at_the_end_memory_goes_back():
    again, within, after = apart(nested)
    assert again < 2000, "still kept after the inner one"
    assert after < within - (128 << 20)


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    with freed_memory_kept() as kept:
        assert not kept
