"""What a run will take, before any work: nothing is allocated, and no data are read beyond their number, their shape and a few of them.

Packed samples have no one shape, and their edges may be found only by looking: there a step is made in earnest on a few of them. Of other
samples a few say what comes with them, such as captions; where there are no data, planted ones do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from unveil.api.opening import Say, opened_by, quiet
from unveil.contracts import Batch, Spec
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.randomness import Generator
from unveil.recipes import recipe as recipes
from unveil.recipes import scale as scales
from unveil.recipes.recipe import Recipe
from unveil.training import hardware as machines
from unveil.training.cost import Cost, count
from unveil.training.hardware import Hardware, Memory, Time
from unveil.training.settings import Training

SOME = 16  # samples that are looked at


@dataclass(frozen=True)
class Plan:
    """What a run will take.

    Attributes:
        recipe: resolved, over the planned devices.
        spec: of a sample.
        samples: number of them; None where it is not known.
        hardware: on which it is planned.
        mfu: share of the peak that computation is assumed to reach.
        cost: of a step, on each device.
        memory: on each device.
        time: of a step.
        some: a few samples: packed ones the cost was counted on, of others what comes with them.
        size: of packed samples their mean number of rows, else 0.
    """

    recipe: Recipe
    spec: Spec
    samples: int | None
    hardware: Hardware
    mfu: float
    cost: Cost
    memory: Memory
    time: Time
    some: Batch | None = None
    size: float = 0.0

    @property
    def settings(self) -> Training:
        return self.recipe.training()

    @property
    def steps(self) -> int | None:
        """Of the whole run; None where neither their number nor that of the samples is known."""
        return self.settings.steps or (max(1, round(self.settings.epochs * self.samples / self.each)) if self.samples else None)

    @property
    def each(self) -> float:
        """Samples of a batch."""
        return scales.held(self.settings.batch, self.settings.rows, self.size)

    @property
    def hours(self) -> float | None:
        """Of the whole run on all devices together."""
        return None if self.steps is None else self.steps * self.time.step / 3600

    @property
    def fits(self) -> bool:
        """A step takes no more than the allowed share of a device's memory."""
        return self.memory.total <= self.settings.memory_share * 1e9 * self.hardware.memory

    def to_json(self) -> dict[str, Any]:
        held = {name: asdict(getattr(self, name)) for name in ("hardware", "cost", "memory", "time")}
        return held | {"recipe": self.recipe.to_json(), "samples": self.samples, "mfu": self.mfu, "steps": self.steps, "hours": self.hours,
                       "fits": self.fits, "rows": self.size or None, "step_seconds": self.time.step, "memory_total": self.memory.total}


def plan(method: str, *, kind: str | None = None, data=None, samples: int | None = None, channels: int | None = None,
         encoder: str | None = None, scale: str = "published", hardware: str | Hardware = "h100", gpus: int | None = None,
         mfu: float = 0.35, options: Options | None = None, settings: Mapping[str, Any] | None = None, say: Say = quiet) -> Plan:
    """Counts what a run will take, on tensors that take no memory.

    Args:
        method: name.
        kind: name; where there are data, None detects it.
        data: what :func:`unveil.api.pretrain` takes; their number and shape are read.
        samples: their number, where it is not that of ``data``; None takes the published set's at scale ``"published"``.
        channels: of a sample, where there are no data and the kind's settings do not say it; None takes the published set's at scale
            ``"published"``.
        encoder: name; None takes the recipe's.
        scale: ``"published"``, ``"small"``, or ``"auto"`` where there are data.
        hardware: name in :data:`unveil.training.hardware.TABLE`, ``"cpu"`` for this machine's, which is then measured, or any.
        gpus: number of such devices; None is a machine of 8, or this one's CPU.
        mfu: share of the peak that computation is assumed to reach.
        options: what is to be said of the data.
        settings: any setting by its dotted name.
        say: told each stage.

    Raises:
        Unusable: for every mistake in settings, and where the shape of a sample is not known.
    """
    on = machines.find(hardware) if isinstance(hardware, str) else hardware
    given = dict(settings or {}) | ({"encoder.name": encoder} if encoder else {})
    if data is None and kind is None:
        raise Unusable("say what the data are: --kind image, or --data photos/")
    if scale == "published" and kind:
        channels = channels or recipes.published_channels(method, kind)
    recipe, seen = _sized(method, kind, data, channels, scale, given, options, say)
    number = samples or seen.number or (recipes.published_samples(method, recipe.kind["name"]) if scale == "published" else None)
    if scale == "auto":
        if number is None:
            raise Unusable("--scale auto goes by the number of samples: give --data or --samples")
        recipe = scales.adjust(recipe, number, torch.device("cuda"), given, seen.size)
    return _counted(recipe, replace(seen, number=number), on, gpus or (8 if on.link else 1), mfu)


def over(planned: Plan, gpus: int, strategy: str = "ddp") -> Plan:
    """The same run on another number of devices, at the same batch."""
    recipe = replace(planned.recipe, train=planned.recipe.train | {"strategy": strategy})
    return _counted(recipe, _Seen(planned.spec, planned.some, planned.samples, planned.size), planned.hardware, gpus, planned.mfu)


@dataclass(frozen=True)
class _Seen:
    """What is known of the data: what a sample looks like, a few of them, their number, and the mean number of rows of packed ones."""

    spec: Spec
    some: Batch
    number: int | None = None
    size: float = 0.0


def _counted(recipe: Recipe, seen: _Seen, on: Hardware, gpus: int, mfu: float) -> Plan:
    recipe = replace(recipe, train=recipe.train | {"devices": min(gpus, on.machine), "nodes": -(-gpus // on.machine)})
    training, spec = recipe.training(), seen.spec
    if training.processes != gpus or (gpus > 1 and not on.link):
        raise Unusable(f"--gpus {gpus} does not fill machines of {on.machine} {on.name}")
    if training.batch % training.parts:
        raise Unusable(f"--train.batch {training.batch} is not a multiple of accumulate {training.accumulate} x {gpus} devices")
    some = None
    if spec.packed:
        rows = scales.held(training.batch, training.rows, seen.size) * seen.size / training.parts
        some = seen.some, rows / len(seen.some.graph.sample)
    try:
        with torch.device("cpu" if some else "meta"):
            built = recipe.build_method(recipe.build_encoder(spec))
        cost = count(built, recipe.build_kind(), spec, training, mixed=training.precision != "32" and on.mixed, some=some,
                     extras=seen.some.extras)
    except (ValueError, RuntimeError, NotImplementedError) as why:
        looks = "unequal size" if spec.packed else "x".join(map(str, spec.shape))
        raise Unusable(f"{recipe.method['name']} cannot take a step with these settings on samples of {looks} with {spec.channels} "
                       f"channels: {why}") from why
    return Plan(recipe, spec, seen.number, on, mfu, cost, machines.memory(cost, training), machines.time(cost, training, on, mfu),
                seen.some, seen.size)


def _sized(method: str, kind: str | None, data, channels: int | None, scale: str, given: Mapping[str, Any], options: Options | None,
           say: Say) -> tuple[Recipe, _Seen]:
    """The recipe, and what is known of the data, where they or the kind's settings say it."""
    if data is None:
        recipe = recipes.resolve(method, kind, scale=scale, given=given)
        reader = recipe.build_kind()
        spec = reader.spec(channels)
        if spec is None and "grid" in reader.offers:
            raise Unusable(f"the settings do not say what a sample of kind {kind} looks like: give --data, or for pictures --kind.size and "
                           "--kind.channels, for signals --channels")
        planted = reader.planted(SOME, Generator("plan"))
        if planted.packed:
            seen = _looked(planted, spec or planted.spec())
            return recipe, replace(seen, number=None, size=recipes.published_rows(method, kind) or seen.size)
        return recipe, replace(_looked(planted, replace(spec, text=planted.text)), number=None)
    options = Options(**(vars(options or Options()) | {"kind": kind or (options.kind if options else None)}))
    name, records = open_records(data, options, say)
    recipe, reader, held = opened_by(recipes.resolve(method, name, scale=scale, given=given), given, records, options, say)
    recipe = replace(recipes.resolve(method, name, scale=scale, given=given, offers=reader.offers), reasons=recipe.reasons)
    recipe.kind |= reader.fixed(held)
    for sentence in recipe.chosen():
        say(sentence)
    if held.packed:
        return recipe, _looked(held, held.spec())
    return recipe, _looked(held, Spec(held.channels, tuple(held.shape), held.axes, held.spacing, held.unit, (0.0,) * held.channels,
                                      (1.0,) * held.channels, mixed=held.mixed, text=held.text))


def _looked(samples: Samples, spec: Spec) -> _Seen:
    """With some of the samples, evenly spaced."""
    at = torch.linspace(0, len(samples) - 1, min(SOME, len(samples))).long().unique()
    return _Seen(spec, samples.batch(at), len(samples), float(samples.sizes.double().mean()) if samples.packed else 0.0)
