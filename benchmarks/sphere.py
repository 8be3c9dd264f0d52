"""Laya on simulated EEG (``unveil.data.simulated``): what noise, lost channels and a cap that was never seen cost it, beside the same
network taught by reconstruction, without SIGReg and not at all, and beside powers of bands.

``python benchmarks/sphere.py``: half an hour of one processor. ``python benchmarks/sphere.py --folder eeg``: writes the built-in set
``simulated-eeg`` as EDF+ files with annotations, which ``unveil pretrain eeg --labels annotations`` reads.

For each seed other people: 24 to learn from, who wear three caps in turn, or two, and 12 to score on, each seen with every cap. Settings
are those of the study ``laya``; none was chosen by a score of these people. Probes learn from all labels of those who were learned from.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # where the writer of EDF lies

from rows import write

from recorded import edf
from unveil.api.pretraining import settle, train
from unveil.contracts import Batch, Encoder
from unveil.data import simulated
from unveil.data.samples import Samples
from unveil.kinds.signal import Signal, corrupt, describe
from unveil.randomness import Generator
from unveil.studies.study import load_studies
from unveil.tasks.embedded import embed, frozen
from unveil.tasks.linear import fit, predict
from unveil.training.checkpoint import write_atomic
from unveil.training.loop import Ending

ROWS = Path("results") / "benchmarks" / "sphere.json"
STUDY, = load_studies("laya")
SEEDS, CAPS = (0, 1, 2), tuple(simulated.CAPS)
ARMS = {"laya": {}, "reconstruction": {"method.target": "signal"}, "laya without SIGReg": {"method.weight": 0.0}}
NEW = ("32", "32, 14")  # caps that nobody wears who is learned from; the first are those of the sweeps
DECIBELS = (10.0, 5.0, 0.0, -5.0)
LOST = (0.3, 0.5, 0.8)  # shares of channels that the table shows
NOISES = ("noise", "pink", "muscle")
SCORE = 512  # stride of windows that are scored: one in each trial


def opened(seed: int, people: Sequence[tuple[int, str]], stride: int, window: int, rate: float) -> tuple[Signal, Samples]:
    """Windows of some people, those without a class left out."""
    kind = Signal(window=window, stride=stride, rate=rate, montage="mixed")
    samples = kind.open(simulated.records(seed, people))
    return kind, samples.subset(np.flatnonzero(samples.labels >= 0))


def powers_by_place(batch: Batch, rate: float) -> Tensor:
    """Log powers of the bands of EEG at the places of the 10-20 system, each a mean over electrodes by nearness ``(B, 19 * 5)``: what the
    field does without a network, for any cap."""
    power = describe.spectrum(batch.values - batch.values.mean(-1, keepdim=True))
    at = torch.fft.rfftfreq(batch.values.shape[-1], 1 / rate)
    bands = [((power * ((at >= low) & (at < high))).sum(-1) + 1e-6).log() for low, high in describe.BANDS.values()]
    return describe.about(torch.stack(bands, 1), batch.extras["place"], batch.extras["channel"] == 0)


def taught(kind: Signal, samples: Samples, settings: dict, seed: int) -> tuple[Encoder, Encoder, Ending]:
    """The network untaught and taught, and how that ended."""
    recipe = settle(samples, kind, "laya", scale=STUDY.scale, seed=seed, settings=settings)
    untaught = recipe.build_encoder(samples.spec())
    untaught.kind = kind
    return untaught, *train(recipe, kind, samples, None)


def accuracy(way: Callable[[Batch], Tensor], w: Tensor, samples: Samples, change: Callable[[Batch], Batch] = lambda batch: batch) -> float:
    """Share of windows whose class a probe ``w`` on some features tells."""
    found = embed(samples, lambda batch: way(change(batch)), batch=512)
    return round(float((predict(w[None], found.features)[0].numpy() == samples.labels).mean()), 4)


def swept(kind: Signal, way: Callable[[Batch], Tensor], w: Tensor, sets: Sequence[Samples], seed: int) -> Iterator[dict]:
    """Accuracy under the kind's own noises and with channels lost, as the task ``robust`` has it: the mean over ``sets`` at each level."""
    for name in (*NOISES, "channels"):
        levels, found = kind.strengths[name][1], []
        for severity in range(1, 1 + len(levels)):
            change = lambda batch, name=name, severity=severity: kind.corrupt(batch, name, severity, Generator(seed, "corrupt", name))
            found.append(round(float(np.mean([accuracy(way, w, samples, change) for samples in sets])), 4))
        yield {"sweep": name, "levels": levels, "accuracy": found}


def judged(seed: int, new: str) -> Iterator[dict]:
    """Rows of every arm, learned from people who wear no cap that is ``new``."""
    asked = {name: value for name, value in STUDY.settings["kind"].items() if name in ("window", "rate")}
    worn = [cap for cap in CAPS if cap not in new.split(", ")]
    people = [(i, worn[i % len(worn)]) for i in range(simulated.LEARN)]
    kind, learned = opened(seed, people, STUDY.settings["kind"]["stride"], **asked)
    others = range(simulated.LEARN, simulated.LEARN + simulated.TEST)
    seen = {cap: opened(seed, [(i, cap) for i in others], SCORE, **asked)[1] for cap in CAPS}
    ways, facts = {"band powers by place": partial(powers_by_place, rate=asked["rate"]), "statistics": kind.statistics}, {}
    for arm, more in ARMS.items():
        untaught, encoder, ending = taught(kind, learned, STUDY.settings | more, seed)
        ways |= {arm: frozen(encoder), "untaught": frozen(untaught)}
        facts[arm] = {"cpu_seconds": round(ending.cpu_seconds, 1), "steps": ending.step, "status": ending.status, "faults": ending.findings}
    for arm, way in ways.items():
        known = embed(learned, way, batch=512)
        w = fit(known.features, known.labels, known.groups, 2, None)
        common = {"seed": seed, "new": new, "arm": arm}
        scores = [accuracy(way, w, samples) for samples in seen.values()]
        yield common | {"sweep": "caps", "levels": CAPS, "accuracy": scores} | facts.get(arm, {})
        if new == NEW[0]:
            yield from (common | row for row in swept(kind, way, w, [seen[cap] for cap in worn], seed))


def table(found: dict) -> str:
    """The rows as Markdown: mean over caps, and over noises, then mean and deviation over seeds."""
    first, by = NEW[0], {(row["arm"], row["new"], row["sweep"], row["seed"]): dict(zip(row["levels"], row["accuracy"]))
                         for row in found["rows"]}
    caps = [cap for cap in CAPS if all(("laya", f"{first}, {cap}", "caps", seed) in by for seed in found["seeds"])]
    columns = {"clean": [(first, "caps", cap) for cap in CAPS if cap != first]}
    columns |= {f"{level:g} dB": [(first, name, level) for name in NOISES] for level in DECIBELS}
    columns |= {f"{share:.0%} lost": [(first, "channels", share)] for share in LOST} | {f"{first}, new": [(first, "caps", first)]}
    columns |= {f"{cap}, {what}": [(new, "caps", cap)] for cap in caps for what, new in (("worn", first), ("new", f"{first}, {cap}"))}
    lines = [["features", *columns], ["---"] * (1 + len(columns))]
    for arm in dict.fromkeys(row["arm"] for row in found["rows"]):
        each = np.array([[np.mean([by[arm, new, sweep, seed][level] for new, sweep, level in asked]) for seed in found["seeds"]]
                         for asked in columns.values()])
        lines.append([arm, *(f"{mean:.3f} ({std:.3f})" for mean, std in zip(each.mean(1), each.std(1, ddof=1)))])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def folder(path: Path) -> None:
    """Writes the built-in set as EDF+ files: people to learn from in ``train``, the others in ``eval``."""
    held = simulated.builtin()
    for i, test in enumerate(held.test):
        series, person = held.load(i), held.groups[i].replace(" ", "")
        marks = series.annotations
        content = edf(series.read(0, series.length), series.channels, [int(series.rate)] * len(series.channels), person=f"{person} X X X",
                      annotations=list(zip(marks.begin, marks.end - marks.begin, marks.words, strict=True)))
        file = path / ("eval" if test else "train") / f"{person}.edf"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, content)


def main() -> None:
    """Prints and keeps a row a seed, arm and sweep, or writes files."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--folder", type=Path, help="write the built-in set there as EDF+ files and measure nothing")
    words.add_argument("--new", nargs="+", default=NEW, choices=NEW, help="only these runs; rows of others that are on file stay")
    given = words.parse_args()
    if given.folder:
        folder(given.folder)
        return
    for name in NOISES:  # the kind's own severities end at 0 dB
        corrupt.LEVELS[name] = (corrupt.SNR, DECIBELS)
    rows = [row for row in json.loads(ROWS.read_text())["rows"] if row["new"] not in given.new] if ROWS.exists() else []
    for new in given.new:
        for seed in SEEDS:
            for row in judged(seed, new):
                rows.append(row)
                print(row, flush=True)
            write("sphere", rows, seeds=SEEDS, people={"to learn from": simulated.LEARN, "to score on": simulated.TEST},
                  settings=STUDY.settings)


if __name__ == "__main__":
    main()
