"""Writes ``docs/speed.md`` and its plots from the rows under ``results/benchmarks``; nothing on that page is written by hand.

``python benchmarks/speed.py``
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from unveil.reports.figures import Line, line_chart
from unveil.reports.markup import tag

ROOT = Path(__file__).resolve().parents[1]
HEAD = """# Speed

What was measured, beside peers in an environment of their own. Made by `python benchmarks/speed.py` from the rows under
`results/benchmarks`; not edited by hand. Each benchmark is one command, `python benchmarks/NAME.py`, and one file,
`results/benchmarks/NAME.json`.
"""
# Of a plot that stands alone: no style sheet of a page is there.
STYLE = """svg { overflow: visible; } text { font: 12px Inter, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; fill: #67625a; }
path { fill: none; vector-effect: non-scaling-stroke; } .grid { stroke: #e4dfd5; } .line { stroke-width: 2; stroke: var(--s); }
.dot { stroke-width: 7; stroke-linecap: round; stroke: var(--s); } .ours { --s: #b5400f; } .other { --s: #6f6a62; }
.slope { --s: #979186; } .line.slope { stroke-width: 1.5; stroke-dasharray: 5 4; } .dot.slope { stroke: none; }
.last { text-anchor: end; } .middle { text-anchor: middle; } .end.ours { fill: #b5400f; font-weight: 600; } .title { fill: #1e1c19; }"""
WIDE, HIGH, TOP = 640, 250, 26  # pixels
PEERS = ("lightly", "stable-pretraining", "plain")


def held(name: str) -> dict | None:
    """The rows of a benchmark with what is known of them."""
    file = ROOT / "results" / "benchmarks" / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def under(title: str, name: str, found: dict, text: str) -> str:
    """A section: title, what it says, and where, when and under what load it was measured."""
    load = f", load {found['load'][0]:g}" if "load" in found else ""
    return f"## {title}\n\n{text.strip()}\n\n`{name}`: {found['date']}, {found['machine']}{load}, code {found['code']}.\n"


def plot(title: str, lines: Sequence[Line], below: Sequence[float]) -> str:
    """A chart over two logarithmic axes, as a file of its own.

    Args:
        title: what goes up over what goes across.
        lines: in figures.
        below: ticks across.
    """
    logs = [Line([(math.log10(x), math.log10(y)) for x, y in line.points], line.end, line.style, line.dots) for line in lines]
    chart = line_chart(logs, title, height=HIGH, left=9, wide=77, below=[(math.log10(x), f"{x:,}") for x in below],
                       form=lambda y: f"{10**y:,.0f}" if y >= 0 else f"{10**y:g}", most=5)
    paper = tag("rect", width="100%", height="100%", fill="#fcfbf8")
    return tag("svg", tag("style", STYLE), paper, tag("text", title, class_="title", x=14, y=20),
               tag("svg", chart, y=TOP, width=WIDE, height=HIGH), xmlns="http://www.w3.org/2000/svg", width=WIDE, height=HIGH + TOP + 8,
               viewBox=f"0 0 {WIDE} {HIGH + TOP + 8}") + "\n"


def slope(points: Sequence[tuple[float, float]], end: str = "slope 1") -> Line:
    """Through the first of some points, growing as what goes across."""
    (x, y), (last, _) = points[0], points[-1]
    return Line([(x, y), (last, y * last / x)], end, "slope")


def ranged(values: Sequence[float], digits: int = 3) -> str:
    """Median and its interval."""
    middle, low, high = (f"{value:.{digits}f}" for value in values)
    return f"{middle} [{low}, {high}]"


def step_cost(found: dict) -> str:
    """A step beside each peer's."""
    rows = []
    by = {(row["method"], row["precision"], row["who"]): row for row in found["rows"]}
    for method, precision in dict.fromkeys((row["method"], row["precision"]) for row in found["rows"]):
        mine = by[method, precision, "ours"]
        for who in PEERS:
            row = by[method, precision, who]
            work = row["flops"] / mine["flops"]
            rows.append([method, precision, who, f"{mine['cpu_ms'][0]:.0f}", f"{row['cpu_ms'][0]:.0f}", ranged(row["cpu_ratio"]),
                         ranged(row["wall_ratio"]), f"{work:.2f}", f"{mine['share_of_peak']:.0%}, {row['share_of_peak']:.0%}",
                         f"{mine['peak_mib']:.0f}, {row['peak_mib']:.0f}", f"{mine['parts_mib']:.0f}, {row['parts_mib']:.0f}"])
    first = found["rows"][0]
    return (f"A complete step, one contender after the other in {first['rounds']} rounds, each in a process of its own on "
            f"{first['threads']} thread: {found['network']}. Ratios are ours over theirs, pair by pair, with the 95% interval of the "
            "median; below 1 ours is cheaper. Ours is the whole loop with its monitor and draws its masks inside the step; peers have bare "
            "loops with schedule and teacher and are given the masks. Work is the peer's floating point operations over ours (ours does "
            "not compute what nobody reads; stable-pretraining's I-JEPA asks for all blocks in one sequence, which is less work). "
            "Share of peak: "
            "those operations in a second over the best rate of a matrix product here. Memory is the growth of the process above what it "
            "had before the network was made; its parts are weights, gradients, moments, and what is kept for the backward pass.\n\n"
            + table(["method", "precision", "peer", "ours, CPU ms", "peer, CPU ms", "CPU ratio", "wall ratio", "work",
                     "share of peak, ours and peer", "peak MiB", "sum of parts MiB"], rows))


def accuracy(found: dict) -> str:
    """The race to a fixed accuracy."""
    seeds = sorted({row["seed"] for row in found["rows"]})
    rows = [[who, *(f"{row['cpu']:.0f} ({row['step']}){'' if row['reached'] else ', not reached'}" for seed in seeds
                    for row in found["rows"] if (row["who"], row["seed"]) == (who, seed)),
             f"{found['median'][who]:.2f}" if who in found["median"] else ""] for who in ("ours", *found["median"])]
    return ("SimCLR with one small convolutional network on the pictures of `make demo-images`: processor seconds, workers counted, "
            f"until kNN is right on {found['target']:.0%} of held-out pictures at two looks in a row (steps in brackets). Equal network, "
            "batch, temperature, schedule, precision and strength of views. The last column is the median of ours over theirs.\n\n"
            + table(["package", *(f"seed {seed}" for seed in seeds), "ours over theirs"], rows))


def data_bound(found: dict) -> str:
    """From files, where data are what is waited for."""
    about, *measured = found["rows"]
    rows = [[row["contender"], row["precision"], row["does"], row["images_per_second"], row["processor_ms_an_image"],
             f"{row['waiting_share']:.0%}", row["ours_is_faster_processor"][0], row["ours_is_faster_seconds"][0]] for row in measured]
    return (f"The data-bound case: two views at 64 px from {about['files']}; network: {about['network']}. The last columns say how "
            "many times ours is cheaper, by processor time (workers counted) and by wall time, medians over rounds in turn after a first "
            "epoch.\n\n"
            + table(["contender", "precision", "what it does", "images/s", "CPU ms an image", "waiting", "ours, CPU", "ours, wall"], rows))


def end_to_end(found: dict) -> str:
    """From files beside from memory."""
    about, *measured = found["rows"]
    rows = [[row["method"], row["from"], row["images_per_second"], f"{row['share_of_memory']:.1%}",
             f"{row['share_of_memory_processor']:.1%}", f"{row['waiting_share']:.1%}"] for row in measured if "method" in row]
    return (f"From JPEG files to updated weights beside our own throughput on tensors in memory: {about['encoder']}, batch "
            f"{about['batch']}, {about['threads']} threads, {about['files']}. Shares are medians over rounds in turn.\n\n"
            + table(["method", "from", "images/s", "share of memory's, wall", "share, CPU", "waiting for data"], rows))


def million(found: dict) -> str:
    """A folder of a million pictures."""
    rows = [[f"{row['files']:,}", row["labels"], row["import"], row["first batch"], row["first update"],
             row["peak_gib"]] for row in found["rows"] if "files" in row]
    return ("Seconds from a folder to its first batch and first update in a fresh process, after the import, which is a column of its "
            "own.\n\n"
            + table(["files", "labels", "import", "first batch", "first update", "peak GiB"], rows))


def embedding(found: dict) -> str:
    """Features of files and arrays."""
    rows = [[row["encoder"], row["from"], row["images"], row["images_per_second"], row["processor_ms_an_image"]]
            for row in found["rows"] if "encoder" in row]
    return "`unveil.embed`.\n\n" + table(["encoder", "from", "images", "images/s", "CPU ms an image"], rows)


def graph_steps(found: dict) -> str:
    """A step on graphs beside plain PyTorch Geometric."""
    row, = found["rows"]
    mine, theirs = row["ms"].values()
    return (f"GraphMAE on MUTAG, {found['batch']} graphs a step, GIN of {found['depth']} layers of {found['width']}, from data to updated "
            f"weights, in {found['rounds']} rounds in turn, {found['threads']} thread: {mine:.1f} ms of processor time, "
            f"{theirs:.1f} ms for the same step with PyTorch Geometric's layers and loader; ratio {ranged(row['ratio'])}. The authors' "
            "code is on DGL, which has no build for this torch.")


def messages(found: dict) -> str:
    """One layer of messages beside PyTorch Geometric's."""
    rows = [[row["graphs"], row["nodes"], row["width"], "yes" if row["edge_values"] else "no", row["ours_ms"], row["pyg_ms"]]
            for row in found["rows"]]
    return ("Forward and backward, milliseconds of processor time, the least over rounds that take turns.\n\n"
            + table(["graphs", "nodes each", "width", "values of edges", "ours", "PyTorch Geometric's"], rows))


def neighbours(found: dict) -> str:
    """The radius graph over sizes."""
    rows = [[row["molecules"], f"{row['atoms']:,}", "yes" if row["periodic"] else "no", f"{row['edges']:,}", row["ms"], row["us an atom"],
             row["bytes an atom"], row.get("ase ms", "")] for row in found["rows"]]
    return (f"Within {found['cutoff']:g} angstrom at {found['density']:g} atoms a cubic angstrom; {found['timed']}.\n\n"
            + table(["systems", "atoms", "periodic", "edges", "ms", "us an atom", "bytes an atom at the peak", "ASE, ms"], rows))


def radius_plot(found: dict) -> str:
    """What the radius graph of one system costs over its atoms."""
    cost = {periodic: [(row["atoms"], row["ms"]) for row in found["rows"] if row["molecules"] == 1 and row["periodic"] == periodic]
            for periodic in (False, True)}
    lines = [Line(cost[False], "open", "ours", True), Line(cost[True], "periodic", "other", True), slope(cost[False])]
    return plot("milliseconds of processor time, over atoms of one system", lines, [x for x, _ in cost[False]])


def padding(found: dict) -> str:
    """Packed beside filled up."""
    rows = [[f"{row['largest']:,}", f"{row['rows']:,}", f"{row['filled']:,}", row["packed MiB"], row["padded MiB"]]
            for row in found["rows"]]
    return (f"What a batch of {found['graphs']} graphs and the forward pass of a {found['network']} keep for the backward pass, weights "
            f"left out. All graphs but one have {found['nodes']} nodes; rows laid end to end, as they are here, and each graph filled up "
            "to the largest, as a dense batch would be.\n\n"
            + table(["nodes of the largest", "rows, packed", "rows, filled up", "packed, MiB", "filled up, MiB"], rows))


def padding_plot(found: dict) -> str:
    """What both keep over the size of the largest graph."""
    over = lambda name: [(row["largest"], row[name]) for row in found["rows"]]
    lines = [Line(over("packed MiB"), "packed", "ours", True), Line(over("padded MiB"), "filled up", "other", True),
             slope(over("padded MiB"))]
    return plot(f"MiB kept for the backward pass, over nodes of the largest of {found['graphs']} graphs", lines,
                [row["largest"] for row in found["rows"]])


def gpu(found: dict) -> str:
    """Share of the peak on a GPU."""
    rows = [[row["method"], row["network"], row["compiled"], f"{1000 * row['seconds']:.0f}", f"{row['images_per_second']:.0f}",
             f"{row['tflop']:.1f}", f"{row['mfu']:.0%}"] for row in found["rows"] if "mfu" in row]
    return (f"A whole step on random pictures of 224 px in bf16, {found['rows'][0]['batch']} a batch, the median of the last two thirds of "
            f"{found['steps']} steps: views, masks, both passes and the update. The share of the peak (MFU) is by the operations of matrix "
            f"products and convolutions, over the published dense bf16 peak of {found['hardware'].upper()}.\n\n"
            + table(["method", "network", "compiled", "ms a step", "pictures a second", "TFLOP a step", "MFU"], rows))


SECTIONS = {"step_cost": ("A training step", step_cost), "accuracy": ("Time to an accuracy", accuracy),
            "data_bound": ("From files, beside peers", data_bound), "end_to_end": ("From files, beside memory", end_to_end),
            "million": ("A million paths", million), "embedding": ("Embedding", embedding),
            "graph_steps": ("A step on graphs", graph_steps), "messages": ("A layer of messages", messages),
            "padding": ("One large graph among small ones", padding), "neighbours": ("The radius graph", neighbours),
            "gpu": ("A training step on a GPU", gpu)}


PLOTS = {"padding": ("Memory of packed and of filled up graphs", padding_plot),
         "neighbours": ("Cost of the radius graph over atoms", radius_plot)}


def plots() -> dict[str, str]:
    """Drawings by the name of their file in ``docs``."""
    return {f"speed-{name}.svg": draw(found) for name, (_, draw) in PLOTS.items() if (found := held(name))}


def sections() -> Iterator[str]:
    """Those that were measured."""
    for name, (title, write) in SECTIONS.items():
        if found := held(name):
            drawn = f"\n\n![{PLOTS[name][0]}](speed-{name}.svg)" if name in PLOTS else ""
            yield under(title, name, found, write(found).strip() + drawn)


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *sections()])


if __name__ == "__main__":
    for file, content in {"speed.md": page(), **plots()}.items():
        (ROOT / "docs" / file).write_text(content)
