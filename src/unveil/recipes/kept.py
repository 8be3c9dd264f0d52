"""The folder of a kept encoder: safetensors and JSON, with everything that is needed to read new data alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from unveil import __version__
from unveil.contracts import Encoder, Spec
from unveil.errors import Unusable
from unveil.kinds.kind import Kind
from unveil.parts.distributed import helper, whole
from unveil.provenance import fingerprint
from unveil.recipes.check import checked, find
from unveil.recipes.recipe import Recipe, build, build_encoder
from unveil.training.checkpoint import write_atomic


def save_encoder(folder: Path, encoder: Encoder, recipe: Recipe, beside: Mapping[str, nn.Module] = MappingProxyType({})) -> None:
    """Writes weights, settings, how to read data, and ``beside`` what else the method kept, each in a file of its name: the first process
    does, and where weights are in shards all must call this."""
    facts = {"unveil": __version__, "kind": recipe.kind, "encoder": recipe.encoder, "spec": encoder.spec.to_json(),
             "method": recipe.method, "seed": recipe.seed}
    facts |= {"beside": sorted(beside), "words": _words(recipe.build_kind())} if beside else {}
    files = {name: {key: whole(x.detach()).cpu().contiguous() for key, x in part.state_dict().items()}
             for name, part in {"model": encoder, **beside}.items()}
    if helper():
        return
    for name, tensors in files.items():
        write_atomic(folder / f"{name}.safetensors", save(tensors))
    write_atomic(folder / "config.json", json.dumps(facts, indent=1).encode())


def load_encoder(folder: str | Path) -> Encoder:
    """A kept encoder in evaluation mode, with the kind that reads its data as ``encoder.kind``, and what was kept beside it, unless words
    had other numbers then: it would read them wrongly.

    Args:
        folder: of a run, or of an encoder.

    Raises:
        Unusable: where there is none, or its weights are of another architecture.
    """
    folder = home(folder)
    try:
        facts = json.loads((folder / "config.json").read_text())
        tensors = load((folder / "model.safetensors").read_bytes())
    except (OSError, ValueError, RecursionError, SafetensorError) as why:
        raise Unusable(f"{folder} holds no encoder that can be read ({why}): name the folder of a finished run") from why
    settings, spec, seed = _described(folder / "config.json", facts)
    try:
        encoder = build_encoder(settings["encoder"], spec, seed)
        encoder.kind = build("kind", settings["kind"])
    except (TypeError, RuntimeError, ArithmeticError, LookupError, MemoryError) as why:  # right alone, of a network that cannot be
        raise Unusable(_other(folder / "config.json", why)) from why
    fill(encoder, tensors, str(folder))
    if facts.get("beside") and facts.get("words") == _words(encoder.kind):
        encoder.beside = _beside(folder, facts, encoder)
    return encoder.eval()


def _words(kind: Kind) -> str:
    """Fingerprint of the numbers that a kind's words have."""
    return fingerprint({f"{name}: {value}": texts for name, values in kind.prompts().items() for value, texts in values.items()})


def _beside(folder: Path, facts: dict[str, Any], encoder: Encoder) -> dict[str, nn.Module]:
    """What a method kept beside its encoder, in evaluation mode: the method of the same settings is built around it to know their form."""
    try:
        made = build("method", _settings("method", facts), encoder).kept()
        found = {name: made[name].eval().requires_grad_(False) for name in facts["beside"]}
        tensors = {name: load((folder / f"{name}.safetensors").read_bytes()) for name in found}
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError, MemoryError, SafetensorError) as why:
        raise Unusable(_other(folder / "config.json", why)) from why
    for name, part in found.items():
        fill(part, tensors[name], str(folder / f"{name}.safetensors"))
    return found


def _described(file: Path, facts: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], Spec, int]:
    """Settings of encoder and kind, what they read, and the seed.

    Raises:
        Unusable: where the file speaks of something else.
    """
    try:
        return {section: _settings(section, facts) for section in ("encoder", "kind")}, Spec.from_json(facts["spec"]), int(facts["seed"])
    except (Unusable, KeyError, TypeError, ValueError, AttributeError) as why:
        raise Unusable(_other(file, why)) from why


def _other(file: Path, why: Exception) -> str:
    return (f"{file} does not describe an encoder of unveil {__version__} ({why}): name the folder of a finished run, made by this version "
            "or an earlier one")


def _settings(section: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Name and settings of a kept encoder or kind, checked as those of a recipe are: the file may be anyone's."""
    name, settings = facts[section]["name"], {key: value for key, value in facts[section].items() if key != "name"}
    return {"name": name} | checked(find(section, name), settings, section)


def home(folder: str | Path) -> Path:
    """Where the encoder lies: in its own folder, or below that of its run."""
    folder = Path(folder)
    return folder / "encoder" if (folder / "encoder").is_dir() else folder


def fill(encoder: nn.Module, tensors: dict, source: str) -> None:
    """Loads weights, all of them or none.

    Raises:
        Unusable: with how many tensors match by name and shape.
    """
    own = encoder.state_dict()
    matched = [name for name, x in own.items() if name in tensors and tensors[name].shape == x.shape]
    if len(matched) < len(own) or len(tensors) > len(own):
        odd = next((name for name in [*own, *tensors] if name not in matched), "")
        raise Unusable(f"the weights in {source} are of another architecture: {len(matched)} of {len(own)} tensors match; the first "
                       f"that does not is {odd}")
    encoder.load_state_dict(tensors)
