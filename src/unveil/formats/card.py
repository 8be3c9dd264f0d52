"""The model card of an exported encoder, in the form of the Hugging Face hub. Every figure in it comes from the run's own files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import yaml

from unveil.wording import printable

OURS = ("encoder", "fine-tuned")
LIBRARY = {"safetensors": "unveil", "onnx": "onnx", "transformers": "transformers", "timm": "timm"}
LOAD = {
    "safetensors": 'import unveil\n\nencoder = unveil.load("FOLDER")\nfeatures = unveil.embed(encoder, "your-data/")  # (n, {width})',
    "onnx": 'import onnxruntime\n\nsession = onnxruntime.InferenceSession("FOLDER/model.onnx")\n'
            'pooled, local = session.run(["pooled", "local"], {{"values": values}})  # values: float32 {shape}',
    "transformers": 'from transformers import AutoImageProcessor, AutoModel\n\n{pixels}'
                    'model = AutoModel.from_pretrained("FOLDER").eval()\n'
                    'features = model(pixel_values=pixels{arguments}).{pooled}  # (n, {width})',
    "timm": 'import timm\n\nmodel = timm.create_model("local-dir:FOLDER", pretrained=True).eval()\n{pixels}'
            'features = model(pixels)  # (n, {width})'}
READ = {"transformers": 'pixels = AutoImageProcessor.from_pretrained("FOLDER")(images=pictures, return_tensors="pt")["pixel_values"]\n',
        "timm": "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))\n"
                "pixels = torch.stack([transform(picture) for picture in pictures])\n"}


def card(held: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """The text of ``README.md``; the licence is the user's to add.

    Args:
        held: what ``export.json`` says.
        run: contents of the run's ``results.json``, with ``health``, ``made``, ``name`` and ``with``; empty where nothing is known.
    """
    method = run.get("recipe", {}).get("method", {}).get("name")
    data = (run.get("name") or "").partition(" on ")[2] or "the user's data"
    title = f"{method} encoder of {data}" if method else f"{held['encoder']['name']} encoder"
    tags = ["unveil", "self-supervised-learning", held["input"]["kind"], held["encoder"]["name"], *([method] if method else [])]
    front: dict[str, Any] = {"library_name": LIBRARY[held["to"]], "pipeline_tag": "feature-extraction", "tags": tags}
    rows = run.get("rows", [])
    if index := [_indexed(row, data) for row in rows if row["features"] in OURS]:
        front["model-index"] = [{"name": title, "results": index}]
    data = plain(data)
    parts = [f"# {plain(title)}", _about(held), "## Load it", _load(held), "## What goes in", _input(held["input"])]
    if run:
        parts += ["## How it was taught", _taught(run, method, data)]
    if rows:
        parts += ["## Results", _results(rows), "## Limits", _limits(rows)]
    elif run:
        parts += ["## Limits", "It was not judged on labels: nothing is known of what its features are good for."]
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n" + "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Text from outside as Markdown and HTML show it: no sign of it is obeyed, and it stays in its line."""
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", escape(printable(text), quote=False))


def _about(held: Mapping[str, Any]) -> str:
    return (f"A frozen network (`{held['encoder']['name']}`, {held['width']} features) that was taught without labels by "
            f"unveil {held['unveil']}. Read by {held['read_by']}, its features differ from the original's by at most "
            f"{held['difference']:.2g} (limit {held['tolerance']:g}; of the largest feature where that is above 1).")


def _load(held: Mapping[str, Any]) -> str:
    shape = "(" + ", ".join(map(str, held["input"]["shape"])) + ")"
    pixels = READ.get(held["to"]) if held.get("reads_pictures") else f"pixels = (values - mean) / std  # values: float32 {shape}\n"
    arguments = "".join(f", {name}={value}" for name, value in held.get("arguments", {}).items())
    text = LOAD[held["to"]].format(width=held["width"], shape=shape, pooled=held.get("pooled", ""), pixels=pixels, arguments=arguments)
    return f"```python\n{text}\n```"


def _input(given: Mapping[str, Any]) -> str:
    spread = "; ".join(f"{mean:.4g} ± {std:.4g}" for mean, std in zip(given["mean"][:12], given["std"][:12]))
    gaps = f"- neighbours along each axis are {', '.join(f'{gap:g}' for gap in given['spacing'])} {given['unit']} apart"
    lines = [given["read"], f"- shape: {' x '.join(map(str, given['shape']))} ({', '.join(given['axes'])})",
             *([gaps] if given["spacing"] else []), f"- channels: {given['channels']}",
             f"- range: {given['range'] or 'any, in the units of the data it was taught on'}",
             f"- mean ± deviation of each channel, as it was taught: {spread}{' ...' if len(given['mean']) > 12 else ''}",
             f"- {given['missing']}"]
    return f"{lines[0]}\n\n" + "\n".join(lines[1:])


def _taught(run: Mapping[str, Any], method: str | None, data: str) -> str:
    facts, ending, train = run["data"], run["ending"], run["recipe"]["train"]
    many = f"{facts['samples']} samples"
    held = f"{facts['train']} of {many} ({plain(facts['split'])})" if facts.get("split") else many
    lines = [f"`{method}` on {data}: {held}, {ending['step']} steps of {train['batch']}, seed {run['recipe']['seed']}, "
             f"{ending['seconds']:.0f} s ({ending['status']}).",
             f"Channels {facts['channels']}, size {'x'.join(map(str, facts['shape'])) or facts['looks']}, classes "
             f"{len(facts['classes'])}, groups {facts['groups']}, set aside {len(facts['faults'])}."]
    lines += [f"Made {run['made']}."] if run.get("made") else []
    lines += [f"Diagnosis: {run['health']}"] if run.get("health") else []
    return "\n\n".join([*lines, *(f"Note: {plain(note)}" for note in facts["notes"])])


def _results(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a figure: the encoder's and what stands beside it."""
    lines = ["| features | judged by | labels a class | metric | value | 95% interval | n | split | seed |", "|" + "---|" * 9]
    lines += [f"| {row['features']} | {row['task']}{_at(row)} | {row['labels'] or 'all'} | {row['metric']} | {row['value']:.3f} | "
              f"{_interval(row)} | {row['n_test']} | {plain(row['split_name'])} | {row['seed']} |" for row in rows]
    return "\n".join(lines)


def _limits(rows: Sequence[Mapping[str, Any]]) -> str:
    """Where a plain baseline did at least as well as the frozen encoder, judged alike."""
    key = lambda row: (row["task"], row["labels"], row["metric"], row["split_name"], _at(row))
    ours = {key(row): row for row in rows if row["features"] == "encoder"}
    beside = [row for row in rows if row["features"] not in OURS and key(row) in ours]
    if not beside:
        return "No baseline was judged beside it."
    lines = []
    for row in beside:
        mine = ours[key(row)]
        ahead = (mine["value"] - row["value"]) * (1 if row["direction"] == "higher" else -1)
        if ahead <= 0:
            lines.append(f"- {row['task']}{_at(row)}, {row['labels'] or 'all'} labels a class, {row['metric']}: {row['features']} "
                         f"{row['value']:.3f} {_interval(row)}, this encoder {mine['value']:.3f} {_interval(mine)}")
    return "\n".join(["Baselines that did as well or better:", "", *lines] if lines else
                     ["No baseline did better in this table. It says nothing of other data."])


def _indexed(row: Mapping[str, Any], data: str) -> dict[str, Any]:
    """A row as the hub's model index has it."""
    metric = {"type": row["metric"], "value": row["value"], "name": f"{row['features']}, {row['task']}{_at(row)}, "
              f"{row['labels'] or 'all'} labels a class", "args": {"interval": [_end(row["low"]), _end(row["high"])], "n": row["n_test"],
                                                                   "seed": row["seed"], "protocol": row["protocol"]}}
    return {"task": {"type": "feature-extraction", "name": row["task"]},
            "dataset": {"type": data, "name": data, "split": row["split_name"]}, "metrics": [metric]}


def _at(row: Mapping[str, Any]) -> str:
    return "".join(f", {name} {plain(str(value))}" for name, value in row.get("at", {}).items())


def _interval(row: Mapping[str, Any]) -> str:
    low, high = _end(row["low"]), _end(row["high"])
    return "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def _end(value: float | None) -> float | None:
    return value if value is not None and abs(value) != float("inf") else None
