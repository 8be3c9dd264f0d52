"""Broken files: none ends in a traceback, a hang or memory without end, and what is said of each is for a person.

The corpus is that of ``benchmarks/fuzz.py``; what it found has cases of its own in ``test_hostile_files.py``.
"""

from __future__ import annotations

from collections import Counter

import pytest

from broken import READERS, Case, corpus
from broken.watched import Watched, unclear

NEEDS = {"hub": ["datasets"], "molecules": ["rdkit"], "networks": ["networkx"], "structures": ["ase"],
         "recordings": ["mne", "wfdb", "h5py"]}


@pytest.fixture(scope="module")
def watched():
    with Watched() as held:
        yield held


@pytest.mark.parametrize("reader", READERS)
def test_broken_files_are_survived(watched, reader):
    for package in NEEDS.get(reader, ()):
        pytest.importorskip(package)
    words = Counter()
    for case in corpus(reader, 50, seed=2):
        outcome = watched.read(case)
        words[outcome.word] += 1
        assert not outcome.find, f"{reader} {case.number} ({case.how}): {outcome.word}: {outcome.said}"
    assert words["refused"] > 5 and len(words) > 1, f"the corpus is all of one sort: {words}"


def test_the_corpus_is_the_same_every_time():
    for reader in ("pictures", "tables", "series", "recordings", "arrays", "shards", "labels", "tudataset", "molecules", "networks",
                   "structures"):
        assert list(corpus(reader, 20, seed=3)) == list(corpus(reader, 20, seed=3)) != list(corpus(reader, 20, seed=4))


def test_a_crash_is_a_find(watched):
    outcome = watched.read(Case(0, "", {"a.csv": b"x,y\n1,2\n"}, {"rate": "fast"}))
    assert outcome.word == "crash" and outcome.find and "TypeError" in outcome.said


@pytest.mark.slow
def test_a_hang_and_hunger_are_finds():
    rows = b"x,y\n" + b"1,2\n" * 1_500_000
    with Watched(seconds=0.5) as watched:
        assert watched.read(Case(0, "", {"a.csv": rows}, {})).word == "slow"
        assert watched.read(Case(0, "", {"a.csv": b"\xff"}, {})).word == "refused", "the next one goes to a new process"
    with Watched(memory=64 << 20) as watched:
        assert watched.read(Case(0, "", {"a.csv": rows}, {})).word == "memory"


@pytest.mark.parametrize("message", ["", "  ", "a.npy: 'NoneType' object has no attribute 'x'", "a\x1b[31m", "x" * 2000,
                                     "unpack requires a buffer of 4 bytes", "[Errno 22] Invalid argument"])
def test_what_no_person_can_use_is_a_find(message):
    assert unclear(message) and not unclear("cannot read a.npy: it is cut short")
