"""``unveil export``."""

from __future__ import annotations

from pathlib import Path

from unveil.commands.words import OUT, command, print_json, say
from unveil.wording import escape


def add(commands) -> None:
    new = command(commands, "export", run, "Write an encoder so that others can read it, and check that they read it right.",
                  "  unveil export runs/photos-simclr --to onnx\n  unveil export runs/photos-simclr --to transformers --out photos-vit")
    new.add_argument("encoder", help="folder of a run or encoder")
    new.add_argument("--to", required=True, metavar="FORMAT", help="safetensors, onnx, transformers or timm")
    new.add_argument("--out", type=Path, help="folder to write (default ENCODER/export/FORMAT)")


def run(given, settings) -> None:
    from unveil import api
    held = api.export(given.encoder, given.to, given.out, say=say(given))
    if given.json:
        print_json(held)
        return
    for name, size in held["files"].items():
        OUT.print(f"{_size(size):>9}  {escape(str(Path(held['out']) / name))}")
    OUT.print(f"{held['read_by']} gives the same features: greatest difference {held['difference']:.2g} (limit {held['tolerance']:g})")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
