"""Data as samples of a kind, with what the user said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unveil.contracts import Encoder
from unveil.data.labels import attach
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.records import Records
from unveil.data.samples import Samples
from unveil.data.split import Split
from unveil.errors import TooShort, Unusable
from unveil.kinds.kind import Kind
from unveil.recipes import recipe as recipes
from unveil.recipes import scale as scales
from unveil.recipes.check import checked, find
from unveil.recipes.recipe import Recipe

Say = Callable[[str], None]


def quiet(text: str) -> None:
    """Says nothing."""


def open_data(source, kind: Kind | None = None, options: Options | None = None, settings: Mapping[str, Any] | None = None,
              say: Say = quiet) -> tuple[Kind, Samples]:
    """Opens data as samples of a kind.

    Args:
        source: name of a built-in set, path, ``hf:NAME``, array or table of arrays.
        kind: as an encoder was taught on; None detects it.
        options: what is to be said of the source.
        settings: of a detected kind.
        say: told what is fetched.
    """
    options = options or Options()
    name, records = open_records(source, Options(**(vars(options) | {"kind": kind.name})) if kind else options, say)
    if kind is None:
        kind = recipes.build("kind", {"name": name} | checked(find("kind", name), settings or {}, "kind"))
    return kind, opened(kind, records, options, say)


def opened(kind: Kind, records: Records, options: Options, say: Say) -> Samples:
    """Records as samples of a kind, with what the user's files say of them."""
    samples = kind.open(records)
    samples.described = records.described
    attach(samples, options)
    if options.windows:
        samples.groups, samples.group_names, samples.apart = None, [], False
        said = "windows of one recording lie on both sides of the split, as --groups windows asks"
        samples.notes.append(f"{said}: scores say nothing of a recording or a subject that was never seen")
        samples.doubts.append(said)
    if (made := kind.grouping(samples, options.groups)) is not None:
        samples.groups, samples.group_names, samples.ordered = made
        own = "" if samples.test is None else "; the source's own test part is given up"
        samples.test = None
        samples.notes.append(f"groups are {len(samples.group_names)} bins of {samples.ordered}, from least to greatest: the greatest are "
                             f"held out where --hold-out names none{own}")
    if not options.target_file:
        samples.target, samples.extensive = records.target or samples.target, records.extensive
    for note in samples.notes:
        say(note)
    return samples


def opened_by(recipe: Recipe, given: Mapping[str, Any], records: Records, options: Options, say: Say) -> tuple[Recipe, Kind, Samples]:
    """Records as samples of a recipe's kind, and the recipe with shorter samples where no record is as long as one, see
    :func:`unveil.recipes.scale.shortened`; ``given`` is what the user set."""
    try:
        kind = recipe.build_kind()
        return recipe, kind, opened(kind, records, options, say)
    except TooShort as fault:
        recipe = scales.shortened(recipe, fault, given)
        kind = recipe.build_kind()
        return recipe, kind, opened(kind, records, options, say)


def for_encoder(encoder: Encoder, source, options: Options | None, say: Say) -> Samples:
    """Data opened as an encoder was taught on.

    Raises:
        Unusable: where they have another number of channels.
    """
    _, samples = open_data(source, encoder.kind, options, say=say)
    spec, edges = encoder.spec, samples.fetch.edge_channels if samples.packed else 0
    if samples.mixed != spec.mixed:
        raise Unusable(f"the encoder was taught on {'mixed' if spec.mixed else 'the same'} channels in every sample: open the data alike")
    for what, have, taught in (("channels", samples.channels, spec.channels), ("values an edge", edges, spec.edge_channels)):
        if have != taught and not spec.mixed:
            raise Unusable(f"{source if isinstance(source, (str, Path)) else 'the array'} has {have} {what}, the encoder was taught on "
                           f"{taught}: give data with the same {what}")
    return samples


def describe(samples: Samples, parts: Split | None) -> dict[str, Any]:
    """What went in, for the report."""
    return {"samples": len(samples), "looks": samples.looks, "shape": list(samples.shape), "channels": samples.channels,
            "classes": samples.classes, "groups": 0 if samples.groups is None else len(np.unique(samples.groups)),
            "faults": dict(samples.faults), "notes": list(samples.notes), "split": parts.name if parts else None,
            "train": len(parts.train) if parts else len(samples),
            "test": len(parts.test) if parts else 0}
