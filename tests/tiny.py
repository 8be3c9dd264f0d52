"""Tiny data, and settings with which a command takes well under a second on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from unveil.contracts import Batch
from unveil.data.packed import Structure

SETTINGS = {"encoder.width": 16, "encoder.stages": 2, "method.hidden": 16, "method.projection": 8, "train.steps": 2, "train.batch": 8}
WORDS = [word for name, value in SETTINGS.items() for word in (f"--{name}", str(value))]


def pixels(count: int = 24, side: int = 16, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Pictures ``(count, side, side, channels)`` uint8; every other one is brighter in its first channel."""
    values = np.random.default_rng(seed).integers(0, 200, (count, side, side, channels)).astype(np.uint8)
    values[1::2, ..., 0] += 55
    return values


def photos(folder: Path, count: int = 24, side: int = 16) -> Path:
    """The same as files, in folders of two classes."""
    for number, values in enumerate(pixels(count, side)):
        file = folder / ("dark", "light")[number % 2] / f"{number:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(file)
    return folder


def series(count: int = 24, channels: int = 3, length: int = 64, seed: int = 0) -> np.ndarray:
    """Series ``(count, channels, length)`` float32; every other one swings."""
    values = np.random.default_rng(seed).normal(size=(count, channels, length)).astype(np.float32)
    values[1::2] += 3 * np.sin(np.arange(length) / 3)
    return values


def recordings(folder: Path, people: int = 4, rows: int = 200, rate: int = 50) -> Path:
    """One CSV file a person, half sitting, half walking."""
    folder.mkdir(parents=True, exist_ok=True)
    for who in range(people):
        values = np.random.default_rng(who).normal(size=(rows, 2))
        values[rows // 2:] += 3 * np.sin(np.arange(rows - rows // 2) / 3)[:, None]
        lines = [f"{i / rate:.3f},{x:.4f},{y:.4f},{'sit' if i < rows // 2 else 'walk'},p{who}" for i, (x, y) in enumerate(values)]
        (folder / f"p{who}.csv").write_text("\n".join(["time,x,y,label,subject", *lines]) + "\n")
    return folder


def graphs(folder: Path, count: int = 24, large: int = 0) -> Path:
    """Graphs in the files of the TU collection, rings and stars in turn, with a type a node; the last two are one graph in two orders.
    ``large`` adds a path of so many nodes."""
    folder.mkdir(parents=True, exist_ok=True)
    draws, made = np.random.default_rng(0), []
    for number in range(count - 1):
        size = 5 + number % 4
        ring = [(i, (i + 1) % size) for i in range(size)]
        made.append((number % 2, draws.integers(0, 3, size).tolist(), [(0, i) for i in range(1, size)] if number % 2 else ring))
    label, types, pairs = made[-1]
    order = draws.permutation(len(types)).tolist()
    made.append((label, [types[order.index(i)] for i in range(len(types))], [(order[a], order[b]) for a, b in pairs]))
    if large:
        made.append((0, [0] * large, [(i, i + 1) for i in range(large - 1)]))
    edges, owner, first = [], [], 1
    for number, (_, types, pairs) in enumerate(made, 1):
        edges += [line for a, b in pairs for line in (f"{first + a}, {first + b}", f"{first + b}, {first + a}")]
        owner += [str(number)] * len(types)
        first += len(types)
    lines = {"A": edges, "graph_indicator": owner, "graph_labels": [str(label) for label, _, _ in made],
             "node_labels": [str(each) for _, types, _ in made for each in types]}
    for name, text in lines.items():
        (folder / f"{folder.name}_{name}.txt").write_text("\n".join(text) + "\n")
    return folder


def structures(batch: Batch) -> list[Structure]:
    """The samples of a batch one by one."""
    parts = [batch.one(number) for number in range(len(batch))]
    plain = lambda x: None if x is None else x.cpu().numpy()
    return [Structure(plain(b.values), plain(b.graph.edges), plain(b.graph.edge_values), plain(b.where),
                      None if b.graph.cell is None else plain(b.graph.cell[0])) for b in parts]
