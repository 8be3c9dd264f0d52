"""What corruption of the samples does to a probe that was fitted on clean ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from unveil.contracts import Count
from unveil.errors import nearest
from unveil.randomness import Generator
from unveil.tasks.bench import Bench, right, some
from unveil.tasks.linear import predict, probe, protocol
from unveil.tasks.result import Result
from unveil.tasks.task import Task

SEVERITIES = (1, 2, 3, 4, 5)


class Robust(Task):
    """The linear probe on corrupted test samples: the kind's corruptions at five severities (Hendrycks and Dietterich 2019).

    Where the kind says how strong a corruption is, such as a ratio of signal to noise or a share of lost channels, ``at`` has it too.

    Args:
        samples: test samples, at most.
        only: names of the corruptions; empty for all that the kind knows.
    """

    name = "robust"

    def __init__(self, *, samples: Count = 500, only: tuple[str, ...] = ()):
        self.samples, self.only = samples, only

    def lacks(self, bench: Bench, name: str) -> str:
        known = getattr(bench.kind, "corruptions", ())
        if reason := super().lacks(bench, name) or ("" if known else "samples of a kind that can be corrupted"):
            return reason
        return next((f"another corruption than {each!r}{nearest(each, known)}" for each in self.only if each not in known), "")

    def _names(self, bench: Bench) -> tuple[str, ...]:
        return self.only or bench.kind.corruptions

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        score, names = self._scores(bench, name), self._names(bench)
        severities = (0, *SEVERITIES)
        mean = {severity: np.mean([score[each, severity] for each in names], 0) for severity in severities}
        rows = score | {("mean", severity): values for severity, values in mean.items()}
        for (corruption, severity), values in rows.items():
            over = f"mean over {', '.join(names)}" if corruption == "mean" else corruption
            if severity or corruption == "mean":
                yield bench.result(name, name, [values], task=self.name, labels=None, n_train=len(bench.labelled(None, 0)),
                                   at={"corruption": corruption, "severity": severity} | _level(bench, corruption, severity),
                                   protocol=f"{protocol(bench, None)}; learned on clean samples, "
                                            f"scored on {len(values[np.isfinite(values)])} that are corrupted, {over}")

    @torch.no_grad()
    def _scores(self, bench: Bench, name: str) -> dict[tuple[str, int], np.ndarray]:
        """Right or wrong ``(n_test,)`` for each corruption and severity; severity 0 is clean."""
        test, w = bench.split.test, probe(bench, name)
        asked = some(len(test), self.samples)
        answer = lambda batch: right(predict(w[None], bench.ways[name].describe(batch).float())[0], test.labels[at])
        found = {(each, severity): np.full(len(test), np.nan) for each in self._names(bench) for severity in (0, *SEVERITIES)}
        tick = bench.counter(f"{name}: corrupted samples described", len(asked) * (1 + len(SEVERITIES) * len(self._names(bench))))
        for at in np.array_split(asked, -(-len(asked) // 256)):
            batch = test.batch(torch.as_tensor(at)).to(bench.device)
            clean = answer(batch)
            tick(len(at))
            for each, severity in found:
                seen = severity and bench.kind.corrupt(batch, each, severity, Generator(bench.seed, "corrupt", each, device=bench.device))
                found[each, severity][at] = answer(seen) if severity else clean
                tick(len(at) * bool(severity))
        return found


class Worsened(Robust):
    """The linear probe on corrupted test samples, one figure a corruption: the mean over its five severities, by which studies judge.

    Args:
        samples: test samples, at most.
        only: names of the corruptions; empty for all that the kind knows.
    """

    name = "worsened"
    again = True

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        score = self._scores(bench, name)
        for corruption in self._names(bench):
            yield bench.result(name, name, [np.mean([score[corruption, severity] for severity in SEVERITIES], 0)], task=self.name,
                               metric=f"accuracy under {corruption}", labels=None, n_train=len(bench.labelled(None, 0)),
                               protocol=f"{protocol(bench, None)}; learned on clean samples, scored on corrupted ones")


def _level(bench: Bench, corruption: str, severity: int) -> dict[str, object]:
    """How strong it is, where the kind says it."""
    if corruption not in bench.kind.strengths:
        return {}
    what, values = bench.kind.strengths[corruption]
    return {"level": values[severity - 1], "levels in": what}
