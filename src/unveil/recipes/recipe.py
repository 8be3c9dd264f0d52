"""A recipe: everything that defines a run, resolved to the last setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from unveil import plain_yaml
from unveil.contracts import Encoder, Method, Spec
from unveil.errors import Unusable, nearest
from unveil.kinds.kind import Kind
from unveil.randomness import key
from unveil.recipes.check import brief, checked, find
from unveil.recipes.fit import encoders
from unveil.training.settings import Training

SECTIONS = ("kind", "encoder", "method", "train")
SCALES = ("auto", "small", "published")


@dataclass
class Recipe:
    """Resolved settings; building from equal recipes on equal data gives equal runs.

    Attributes:
        kind: name and settings.
        encoder: name and settings.
        method: name and settings.
        train: settings of :class:`unveil.training.settings.Training`.
        seed: of everything random.
        scale: which settings were taken.
        reasons: what was chosen by data and machine, and why.
    """

    kind: dict[str, Any]
    encoder: dict[str, Any]
    method: dict[str, Any]
    train: dict[str, Any]
    seed: int = 0
    scale: str = "auto"
    reasons: dict[str, str] = field(default_factory=dict)

    def build_kind(self) -> Kind:
        return build("kind", self.kind)

    def build_encoder(self, spec: Spec) -> Encoder:
        """With initial weights from the seed.

        Raises:
            Unusable: where it reads what samples of this kind do not have.
        """
        kind = self.build_kind()
        if lacks := find("encoder", self.encoder["name"]).reads - kind.offers:
            raise Unusable(f"the encoder {self.encoder['name']} reads {' and '.join(sorted(lacks))}, which {kind.name} data do not offer: "
                           f"{instead(encoders(kind.offers))}")
        encoder = build_encoder(self.encoder, spec, self.seed)
        encoder.kind = kind
        return encoder

    def build_method(self, encoder: Encoder) -> Method:
        """Around ``encoder``, with the method's own weights from the seed.

        Raises:
            Unusable: where the encoder cannot do what the method needs, or samples do not have what it asks for.
        """
        kind = self.build_kind()
        if without := find("method", self.method["name"]).asks - kind.offers:
            settings = [f"--kind.{name} {value}" for what in sorted(without) for name, value in kind.optional.get(what, {}).items()]
            raise Unusable(f"{self.method['name']} asks for {' and '.join(sorted(without))}, which {kind.name} data do not have"
                           + (f" as they are: {' '.join(settings)}" if settings else ""))
        lacks = find("method", self.method["name"]).needs - encoder.supports
        if lacks:
            needs, offers = find("method", self.method["name"]).needs, kind.offers
            raise Unusable(f"{self.method['name']} needs an encoder that supports {', '.join(sorted(lacks))}; {self.encoder['name']} does "
                           f"not: {instead(encoders(offers, needs))}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(self.seed, "method") >> 1)
            return build("method", self.method, encoder)

    def training(self) -> Training:
        return Training(**self.train)

    def chosen(self) -> list[str]:
        """A sentence on each setting that was chosen by data and machine."""
        paths = {path: path.split(".") for path in self.reasons}
        return [f"{path} = {getattr(self, section)[key]}: {self.reasons[path]}" for path, (section, key) in paths.items()]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def instead(found: Sequence[str]) -> str:
    """What to choose instead, of encoders."""
    return "use " + " or ".join(f"--encoder {name}" for name in found) if found else "there is no encoder that can"


def build(section: str, settings: Mapping[str, Any], *first):
    """The named kind, encoder or method with its settings.

    Raises:
        Unusable: where settings that are right alone do not go together.
    """
    thing = find(section, settings["name"])
    try:
        return thing(*first, **{k: v for k, v in settings.items() if k != "name"})
    except ValueError as why:
        raise Unusable(f"the {section} {settings['name']} cannot be built: {why}; see unveil list {settings['name']}") from why


def build_encoder(settings: Mapping[str, Any], spec: Spec, seed: int) -> Encoder:
    """With initial weights that depend on the seed alone; ``encoder.settings`` builds another."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(seed, "encoder") >> 1)
        encoder = build("encoder", settings, spec)
    encoder.settings = dict(settings) | getattr(encoder, "resolved", {})
    return encoder


def resolve(method: str, kind: str, *, scale: str = "auto", given: Mapping[str, Any] | None = None, seed: int = 0,
            offers: frozenset[str] | None = None) -> Recipe:
    """The recipe of ``method`` on ``kind``: class defaults, then the recipe file's settings for ``scale``, then ``given``.

    Args:
        method: name.
        kind: name.
        scale: ``"published"`` for the paper's settings, else the small ones; ``"auto"`` is adjusted afterwards to data and machine
            by :func:`unveil.recipes.scale.adjust`.
        given: what the user set, nested or with dotted names.
        seed: of everything random.
        offers: what the opened samples have for encoders to read, where that is known: another encoder then stands in for one of the recipe
            that cannot read them, with the settings that it has in a recipe of its own.

    Raises:
        Unusable: for anything unknown, of a wrong type or out of range.
    """
    if scale not in SCALES:
        raise Unusable(f"there is no scale {scale!r}; there are {', '.join(SCALES)}")
    find("method", method), find("kind", kind)
    user = sections(given or {})
    if user["encoder"].get("name", "").startswith("hf:"):
        user["encoder"] |= {"name": "pretrained", "source": user["encoder"]["name"].removeprefix("hf:")}
    base = sections(from_file(method, kind, "published" if scale == "published" else "small"))
    usual = base["encoder"].get("name", find("kind", kind).encoder)
    chosen = user["encoder"].get("name", usual)
    if chosen != usual:
        base["encoder"] = {}
    elif "name" not in user["encoder"] and offers and find("encoder", chosen).reads - offers:
        chosen = next(iter(encoders(offers, find("method", method).needs)), chosen)
        base["encoder"] = _of_others(chosen, kind, scale)
    parts = {}
    for section, name in (("kind", kind), ("encoder", chosen), ("method", method)):
        settings = {k: v for k, v in (base[section] | user[section]).items() if k != "name"}
        parts[section] = {"name": name} | checked(find(section, name), settings, section)
    train = checked(Training, base["train"] | user["train"], "train")
    Training(**train)  # looks for what it needs, before the data are opened
    return Recipe(**parts, train=train, seed=seed, scale=scale)


def from_file(method: str, kind: str, scale: str) -> dict[str, Any]:
    """Settings of the recipe file ``method.kind.yaml``; a method without one runs on its class's defaults."""
    file = resources.files("unveil.recipes") / f"{method}.{kind}.yaml"
    if not file.is_file():
        if scale == "published":
            raise Unusable(f"there is no published recipe of {method} for {kind}: use --scale auto or small")
        return {}
    held = plain_yaml.load(file.read_text())
    if scale not in held:
        raise Unusable(f"{method} has no {scale} settings for {kind}; there are: {', '.join(k for k in held if k in SCALES)}")
    return {section: settings for section, settings in held[scale].items() if section in SECTIONS}


def _of_others(encoder: str, kind: str, scale: str) -> dict[str, Any]:
    """Settings of an encoder in the first recipe for the kind that names it."""
    section = "published" if scale == "published" else "small"
    for file in sorted(resources.files("unveil.recipes").iterdir(), key=lambda file: file.name):
        if file.name.endswith(f".{kind}.yaml"):
            held = plain_yaml.load(file.read_text()).get(section, {}).get("encoder", {})
            if held.get("name") == encoder:
                return held
    return {}


def published_samples(method: str, kind: str) -> int | None:
    """Number of samples of the set that the published recipe is for; None where there is no such recipe."""
    return _published(method, kind, "samples")


def published_rows(method: str, kind: str) -> float | None:
    """Mean number of rows of its packed samples; None where the recipe does not say."""
    return _published(method, kind, "rows")


def published_channels(method: str, kind: str) -> int | None:
    """Number of channels of its samples, at most; None where the recipe does not say."""
    return _published(method, kind, "channels")


def _published(method: str, kind: str, fact: str):
    file = resources.files("unveil.recipes") / f"{method}.{kind}.yaml"
    held = plain_yaml.load(file.read_text()) if file.is_file() else {}
    return held.get("published", {}).get(fact)


def read(path: Path) -> dict[str, Any]:
    """A user's recipe file."""
    try:
        held = plain_yaml.load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as why:
        raise Unusable(f"cannot read the recipe {path}: {getattr(why, 'strerror', None) or why}") from why
    if not isinstance(held, dict):
        raise Unusable(f"the recipe {path} must be a table of settings, such as 'train.epochs: 20'")
    return held


def sections(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Dotted and nested settings by section."""
    result: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for path, value in given.items():
        section, _, name = str(path).partition(".")
        if section not in result:
            raise Unusable(f"{path} is in no section{nearest(section, list(SECTIONS))}")
        if name:
            result[section][name] = value
        elif isinstance(value, Mapping):
            result[section].update({str(key): held for key, held in value.items()})
        else:
            result[section]["name"] = value
    for section, held in result.items():
        if not isinstance(held.get("name", ""), str):
            raise Unusable(f"{section}.name is {brief(held['name'])}; it must be a name, or a table of settings")
    return result
