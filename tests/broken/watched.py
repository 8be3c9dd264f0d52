"""Reads cases in a process of its own, under a limit of time and of memory, and says what came of it.

A process that hangs is killed, one that dies is noticed, and the next case goes to a new one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import resource
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from broken import Case

SECONDS = 20.0
BYTES = 4 << 30  # of address space, beyond what the process has after its imports
INSIDE = re.compile(
    r"object has no attribute|NoneType|not subscriptable|unpack requires|unpack_from|to unpack|list index|out of range|invalid literal"
    r"|must be str|<class|<\w+\.\w+ object|0x[0-9a-f]{6}|\[Errno|Traceback|positional|codec|Expecting|bytes-like"
    r"|Unable to allocate|recursion|not iterable"
    r"|Error\(|\(char \d+\)|mmap|struct|decoder|^\W*$")


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        word: ``"read"``, ``"set aside"`` (read, with faults named), ``"refused"``, or of a find: ``"crash"``, ``"slow"``, ``"memory"``,
            ``"unclear"``.
        said: what the user is told, or what happened.
        faults: name -> reason of what was set aside.
        seconds: that it took.
        peak: most bytes in memory so far in that process.
    """

    word: str
    said: str = ""
    faults: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    peak: int = 0

    @property
    def find(self) -> bool:
        return self.word in ("crash", "slow", "memory", "unclear")


class Watched:
    """One process that reads, started anew whenever it was lost."""

    def __init__(self, seconds: float = SECONDS, memory: int = BYTES):
        self.seconds, self.memory = seconds, memory
        self.process = self.pipe = None

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *why) -> None:
        self._end()

    def _begin(self) -> None:
        start = multiprocessing.get_context("spawn")
        self.pipe, other = start.Pipe()
        self.process = start.Process(target=_serve, args=(other, self.memory), daemon=True)
        self.process.start()
        other.close()
        assert self.pipe.poll(120) and self.pipe.recv() == "ready"

    def _end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None

    def read(self, case: Case) -> Outcome:
        if self.process is None:
            self._begin()
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
            path = case.write(Path(folder))
            self.pipe.send((str(path), {name: value if value != "beside.csv" else f"{folder}/{value}" for name,
                                        value in case.options.items()}))
            try:
                if self.pipe.poll(self.seconds):
                    word, said, faults, peak = self.pipe.recv()
                    return Outcome(word, said, faults, time.monotonic() - began, peak)
            except EOFError:
                self.process.join()
                code = self.process.exitcode
                self._end()
                return Outcome("crash", f"the process died with status {code}", (), time.monotonic() - began)
            self._end()
            return Outcome("slow", f"not done after {self.seconds:g} s", (), time.monotonic() - began)


def _serve(pipe, memory: int) -> None:
    """Answers paths with outcomes until the other side is gone."""
    import torch

    import unveil.kinds.image
    import unveil.kinds.signal  # noqa: F401
    with contextlib.suppress(ImportError):
        import datasets  # noqa: F401, before the limit, as all imports
    with contextlib.suppress(ImportError):
        import ase.io.cif  # noqa: F401
        import h5py  # noqa: F401
        import mne  # noqa: F401
        import networkx  # noqa: F401
        import pyarrow.parquet  # noqa: F401
        import rdkit.Chem.rdDistGeom  # noqa: F401
    torch.set_num_threads(1)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    pipe.send("ready")
    while True:
        try:
            path, options = pipe.recv()
        except EOFError:
            return
        pipe.send((*_outcome(Path(path), options), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def _outcome(path: Path, options: dict) -> tuple[str, str, tuple]:
    from unveil.errors import Unusable
    try:
        faults = opened(path, options)
    except Unusable as why:
        fault = unclear(str(why))
        return ("unclear", f"{fault}: {why}", ()) if fault else ("refused", str(why), ())
    except MemoryError:
        return "memory", traceback.format_exc()[-1500:], ()
    except BaseException:
        return "crash", traceback.format_exc()[-1500:], ()
    bad = next((f"{fault}: {name}: {why}" for name, why in faults.items() if (fault := unclear(why))), None)
    return ("unclear", bad, ()) if bad else ("set aside" if faults else "read", "", tuple(faults.items()))


def opened(path: Path, options: dict) -> dict[str, str]:
    """Everything that a run reads off its data: records, labels, samples, statistics, batches. What was set aside."""
    import warnings

    import torch

    from unveil.data.labels import attach
    from unveil.data.opening import open_records
    from unveil.data.options import Options
    from unveil.kinds.image import Image
    from unveil.kinds.signal import Signal
    said = Options(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name, records = open_records(path, said)
        if name in ("graph", "atoms"):
            return structures(records)
        samples = {"image": lambda: Image(channels=None), "signal": lambda: Signal(window=16)}[name]().open(records)
        attach(samples, said)
        samples.spec()
        batch = samples.batch(torch.arange(min(len(samples), 64)))
    assert batch.values.isfinite().all(), "what is read is finite"
    for text in (*map(samples.name, range(min(len(samples), 100))), *samples.classes, *samples.faults, *samples.notes):
        text.encode()
    return dict(samples.faults)


def structures(records) -> dict[str, str]:
    """Reads all records of graphs or atoms; what was set aside."""
    from unveil.data.records import Unreadable
    from unveil.errors import Unusable
    faults = {}
    for i, name in enumerate(records.names):
        name.encode()
        try:
            held = records.load(i)
        except Unreadable as why:
            faults[name] = str(why)
            continue
        count = len(held.values)
        assert count and held.values.ndim == 2 and held.values.dtype == "float32", "what is read has rows of numbers"
        assert held.where is None or held.where.shape == (count, 3)
        if held.edges is not None:
            back = {*zip(*held.edges.tolist())}
            many = held.edges.shape[1]
            assert all((b, a) in back and 0 <= a < count for a, b in back) and len(back) == many, "edges lead both ways, once"
            assert held.edge_values is None or (len(held.edge_values) == many and abs(held.edge_values).max(initial=0) < 1e39)
    if len(faults) == len(records):
        raise Unusable(f"none of {len(records)} can be read; {next(iter(faults.items()))}")
    for text in records.notes:
        text.encode()
    return faults


def unclear(message: str) -> str:
    """What is wrong with a sentence that is meant for a person; empty where it will do."""
    if not message.strip():
        return "empty"
    if len(message) > 1200:
        return f"{len(message)} characters"
    if not all(sign.isprintable() or sign == "\n" for sign in message):
        return "control characters"
    return f"speaks of the inside ({inside[0]!r})" if (inside := INSIDE.search(message)) else ""
