"""Processes that train side by side: when one is gone, all end within seconds, and a sentence says so."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from unveil.errors import Unusable
from unveil.parts.distributed import helper
from unveil.training.loop import Loop

LOOK = 0.2  # seconds between two looks at the helpers
GRACE = 3.0  # seconds that the first process has to come out of waiting for one that is gone
GONE = re.compile(r"closed by peer|reset by peer|broken pipe|connection (was )?(closed|refused|aborted)|timed out", re.I)
AGAIN = "What was saved before is untouched; the same command goes on from the last checkpoint"


@contextmanager
def together(loop: Loop) -> Iterator[None]:
    """While a loop runs, the end of one of its processes ends the others.

    Raises:
        Unusable: where another process of the run is gone.
    """
    if loop.settings.devices == 1:
        yield
        return
    watch = None if helper() else _Watch(loop)
    try:
        yield
    except RuntimeError as why:
        ended = watch and watch.told()
        if ended or GONE.search(str(why)):
            raise Unusable(ended or f"another process of this run is gone. {AGAIN}") from why
        raise
    finally:
        if watch:
            watch.over.set()


class _Watch(threading.Thread):
    """Looks after the helpers that the first process started. A wait for one that is gone may never end, so this ends it."""

    def __init__(self, loop: Loop):
        super().__init__(daemon=True, name="helpers")
        self.loop, self.over, self.sentence = loop, threading.Event(), ""
        self.start()

    def told(self) -> str:
        """What happened to a helper, where one is gone; the connection to it breaks before it can be seen to have ended."""
        until = time.perf_counter() + 5 * LOOK
        while not self.sentence and time.perf_counter() < until:
            time.sleep(LOOK / 4)
        return self.sentence

    def run(self) -> None:
        while not self.over.wait(LOOK):
            started = self._helpers()
            if ended := next((one for one in started if one.poll()), None):
                self.sentence = _ended(ended)
                for one in started:
                    one.kill()
                if not self.over.wait(GRACE):
                    print(f"error: {self.sentence}", file=sys.stderr, flush=True)
                    os._exit(2)
                return

    def _helpers(self) -> list[subprocess.Popen]:
        """The helpers that there are by now. Fabric's own observer, which would kill this process without a word, is given none."""
        for thread in threading.enumerate():
            if thread.name == "child-process-observer":
                thread._child_processes = []
        fabric = getattr(self.loop, "fabric", None)
        return list(getattr(getattr(fabric and fabric._strategy, "launcher", None), "procs", []))


def _ended(one: subprocess.Popen) -> str:
    by = signal.Signals(-one.returncode).name if one.returncode < 0 else f"status {one.returncode}"
    why = "; the system does so where memory runs out" if one.returncode == -signal.SIGKILL else ""
    return f"process {one.pid}, which trained beside this one, was ended by {by}{why}. {AGAIN}"
