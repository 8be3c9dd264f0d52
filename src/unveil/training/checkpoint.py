"""Checkpoints: complete, atomic, verified, and without pickles.

One file holds the method's weights and buffers and the optimiser's state as safetensors; its header holds the step, the
settings' hash and a checksum. Random numbers and the order of data are functions of seed and step, so nothing else is needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from unveil.contracts import Method
from unveil.errors import Unusable
from unveil.parts.distributed import cut_like, whole

NUMBERS = re.compile(r"\[\n([-+.\deE,\sInfityNa]+)\]")  # as json.dumps lays a list out; no text holds a line's end


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a file that is there completely or not at all, and is on the disk when this returns."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        _settle(path.parent)
    except OSError as why:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise unwritable(path, why) from why


def sweep(folder: Path) -> None:
    """Removes what kills left of half-written files in the folder of a run that is held."""
    for part in folder.rglob(".*"):
        if part.suffix[1:].isdigit():
            part.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """Puts the names in a folder on the disk; a file system that cannot do so does it in its own time."""
    held = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(held)
    finally:
        os.close(held)


def write_json(path: Path, held: Any) -> None:
    """Writes a table of plain values, as :func:`write_atomic` does; a list of numbers stands on one line."""
    text = json.dumps(held, indent=1, default=str)
    write_atomic(path, NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text).encode())


def unwritable(path: Path, why: OSError) -> Unusable:
    """What to tell the user where ``path`` cannot be written."""
    return Unusable(f"cannot write {path}: {why.strerror or why}. What was saved before is untouched; free space or choose another "
                    "--out that can be written to, then run the same command again to go on")


def state_of(method: Method, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All that a checkpoint holds, whole; where weights are in shards every process must call this."""
    tensors = {f"method.{name}": x for name, x in method.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(x) for name, x in state.items() if x is not None}
    return {name: whole(x.detach()).cpu().contiguous().clone() for name, x in tensors.items()}


def store(folder: Path, step: int, state: dict[str, Tensor], definition: str, keep: int = 2) -> Path:
    """Saves the state after ``step`` steps and removes all but the last ``keep`` checkpoints, and damaged ones of later steps."""
    path = folder / f"step-{step:08d}.safetensors"
    content = save(state, {"step": str(step), "definition": definition, "tensors": str(len(state))})
    # The checksum first: between the two there is no checkpoint that cannot be told from a damaged one.
    write_atomic(path.with_suffix(".json"), json.dumps({"sha256": hashlib.sha256(content).hexdigest(), "step": step}).encode())
    write_atomic(path, content)
    held = _held(folder)
    for old in set(held) - set([other for other in held if other <= path][-keep:]):
        old.unlink()
        old.with_suffix(".json").unlink(missing_ok=True)
    return path


def _held(folder: Path) -> list[Path]:
    """Checkpoints in order of their steps; other files that lie there are left alone."""
    return [path for path in sorted(folder.glob("step-*.safetensors")) if re.fullmatch(r"step-\d{8}", path.stem) and path.is_file()]


def _sound(path: Path) -> bool:
    try:
        want = json.loads(path.with_suffix(".json").read_text())["sha256"]
        return hashlib.sha256(path.read_bytes()).hexdigest() == want
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]] | None:
    """Header and tensors of a checkpoint; None where it is damaged or not all there."""
    if not _sound(path):
        return None
    try:
        with safe_open(path, "pt") as held:
            facts, tensors = held.metadata() or {}, {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return None
    return (facts, tensors) if facts.get("tensors", str(len(tensors))) == str(len(tensors)) else None


def restore(folder: Path, method: Method, optimiser: torch.optim.Optimizer, definition: str, say=lambda text: None) -> int:
    """Loads the newest sound checkpoint.

    Returns:
        the number of steps it had made; 0 where there is none.

    Raises:
        Unusable: where it belongs to another recipe or architecture.
    """
    held = _held(folder)
    for path in reversed(held):
        if (read := _read(path)) is None:
            say(f"checkpoint {path.name} is damaged, skipped")
            continue
        facts, tensors = read
        _same(facts, definition, folder)
        try:
            _load(tensors, method, optimiser)
        except (RuntimeError, ValueError, KeyError) as why:
            raise Unusable(f"the weights in {path} are of another architecture ({str(why).splitlines()[0]}): choose another --out, or "
                           "remove the folder to start anew") from why
        return int(facts["step"])
    if held:
        say("no checkpoint is left that can be read: the run begins anew")
    return 0


def refuse_other(folder: Path, definition: str) -> None:
    """Looks at the headers alone, before anything is written into the folder of a run.

    Raises:
        Unusable: where the newest checkpoint that can be read belongs to another recipe.
    """
    for path in reversed(_held(folder)):
        try:
            with safe_open(path, "pt") as held:
                facts = held.metadata()
        except (SafetensorError, OSError):
            continue
        if facts and "definition" in facts:
            return _same(facts, definition, folder)


def _same(facts: dict[str, str], definition: str, folder: Path) -> None:
    if facts["definition"] != definition:
        raise Unusable(f"{folder} holds a run with other settings: choose another --out, or remove the folder to start anew")


def _load(tensors: dict[str, Tensor], method: Method, optimiser: torch.optim.Optimizer) -> None:
    weights = {name.removeprefix("method."): x for name, x in tensors.items() if name.startswith("method.")}
    own = method.state_dict()
    odd = [name for name in own.keys() | weights.keys()
           if name not in own or name not in weights or own[name].shape != weights[name].shape]
    if odd:
        raise ValueError(f"{len(odd)} of {len(own)} tensors do not match, the first is {min(odd)}")
    method.load_state_dict({name: cut_like(x, own[name]) for name, x in weights.items()})
    trained = [p for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, x in tensors.items():
        if name.startswith("optimiser."):
            _, number, entry = name.split(".", 2)
            like = trained[int(number)]
            state.setdefault(int(number), {})[entry] = cut_like(x, like) if x.shape == like.shape else x
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
