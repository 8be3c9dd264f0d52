"""The folder of a kept encoder: safetensors and JSON, with everything that is needed to read new data alike."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save

from unveil import __version__
from unveil.contracts import Encoder, Spec
from unveil.errors import Unusable
from unveil.parts.distributed import helper, whole
from unveil.recipes.recipe import Recipe, build, build_encoder
from unveil.training.checkpoint import write_atomic


def save_encoder(folder: Path, encoder: Encoder, recipe: Recipe) -> None:
    """Writes weights, settings, and how to read data: the first process does, and where weights are in shards all must call this."""
    facts = {"unveil": __version__, "kind": recipe.kind, "encoder": recipe.encoder, "spec": encoder.spec.to_json(),
             "method": recipe.method, "seed": recipe.seed}
    tensors = {name: whole(x.detach()).cpu().contiguous() for name, x in encoder.state_dict().items()}
    if helper():
        return
    write_atomic(folder / "model.safetensors", save(tensors))
    write_atomic(folder / "config.json", json.dumps(facts, indent=1).encode())


def load_encoder(folder: str | Path) -> Encoder:
    """A kept encoder in evaluation mode, with the kind that reads its data as ``encoder.kind``.

    Args:
        folder: of a run, or of an encoder.

    Raises:
        Unusable: where there is none, or its weights are of another architecture.
    """
    folder = home(folder)
    try:
        facts = json.loads((folder / "config.json").read_text())
        tensors = load((folder / "model.safetensors").read_bytes())
    except (OSError, ValueError, SafetensorError) as why:
        raise Unusable(f"{folder} holds no encoder that can be read ({why}): name the folder of a finished run") from why
    try:
        encoder = build_encoder(facts["encoder"], Spec.from_json(facts["spec"]), facts["seed"])
        encoder.kind = build("kind", facts["kind"])
    except (KeyError, TypeError, AttributeError) as why:
        raise Unusable(f"{folder / 'config.json'} does not describe an encoder of unveil {__version__} ({why}): name the folder of a "
                       "finished run, made by this version or an earlier one") from why
    fill(encoder, tensors, str(folder))
    return encoder.eval()


def home(folder: str | Path) -> Path:
    """Where the encoder lies: in its own folder, or below that of its run."""
    folder = Path(folder)
    return folder / "encoder" if (folder / "encoder").is_dir() else folder


def fill(encoder: Encoder, tensors: dict, source: str) -> None:
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
