"""What is in a data set, before anything is taught: figures, and findings that a person should know of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from unveil.api.copies import copies
from unveil.api.labelled import labelled
from unveil.api.looking import Finding, Looked, look, many
from unveil.api.opening import Say, open_data, quiet
from unveil.data.options import Options

SEVERITIES = ("serious", "warning", "note")


def inspect(data, *, hold_out: Sequence[int] | None = None, seed: int = 0, options: Options | None = None,
            settings: Mapping[str, Any] | None = None, say: Say = quiet) -> dict[str, Any]:
    """Looks at all data once: figures, files that cannot be read, copies, leaks and the balance of labels.

    Args:
        data: name of a built-in set, path, ``hf:NAME``, array or table of arrays.
        hold_out: groups that would be kept for judging; None leaves the choice to :func:`unveil.data.split.split`.
        seed: of that choice.
        options: what is to be said of the data.
        settings: of the kind, such as ``{"window": 256}``.
        say: told each stage.

    Returns:
        ``kind``, ``samples``, ``looks`` (a sample in words), ``shape`` (empty for packed samples), ``axes``, ``spacing``, ``unit``,
        ``channels`` (a table each), ``missing`` (share), ``groups``, ``split``, ``classes`` (name -> samples on each side), ``order`` of
        the labels, ``compared`` (how copies were
        looked for) and ``findings``, the worst first: tables with the attributes of :class:`Finding`.

    Raises:
        Unusable: where nothing can be read.
    """
    kind, samples = open_data(data, options=options, settings=settings, say=say)
    looked = look(samples, hold_out, seed, say)
    compared, found = copies(looked, say)
    classes, order, also = labelled(looked)
    found = sorted([*_plain(looked), *found, *also], key=lambda finding: SEVERITIES.index(finding.severity))
    samples = looked.samples
    return {"kind": kind.name, "samples": len(samples), "looks": samples.looks, "shape": list(samples.shape), "axes": list(samples.axes),
            "spacing": list(samples.spacing), "unit": samples.unit, "channels": _channels(looked), "missing": _missing(looked),
            "groups": 0 if samples.groups is None else len(np.unique(samples.groups)),
            "split": looked.parts and {"name": looked.parts.name, "train": len(looked.parts.train), "test": len(looked.parts.test)},
            "classes": classes, "order": order, "compared": compared, "findings": [asdict(finding) for finding in found]}


def _channels(looked: Looked) -> list[dict[str, float]]:
    """Mean, deviation, least and greatest of each channel over all values that are there."""
    weight = looked.count[:, None] / looked.count.sum()
    mean = (weight * looked.mean).sum(0)
    std = np.sqrt((weight * (np.square(looked.std, dtype=np.float64) + np.square(looked.mean - mean))).sum(0))
    return [{"mean": float(m), "std": float(s), "min": float(a), "max": float(b)}
            for m, s, a, b in zip(mean, std, looked.low.min(0), looked.high.max(0), strict=True)]


def _missing(looked: Looked) -> float:
    return float(looked.missing.mean())


def _plain(looked: Looked) -> list[Finding]:
    """What cannot be read, says nothing, or is missing; and what the source itself has to say."""
    faults, found = looked.samples.faults, []
    if faults:
        bad = len(faults) / (len(faults) + len(looked.samples))
        found.append(Finding("serious" if bad > 0.1 else "warning", "corrupt", f"{many(len(faults), 'item')} cannot be used.",
                             "They are set aside in every command; repair or delete them.",
                             [f"{name}: {why}" for name, why in faults.items()]))
    flat = [number for number, c in enumerate(_channels(looked)) if c["std"] <= 1e-6 * (1e-6 + abs(c["mean"]))]
    if flat:
        found.append(Finding("warning", "constant channels", f"Never vary: {len(flat)} of {many(looked.samples.channels, 'channel')}.",
                             "Leave them out: they only cost time.", [f"channel {number}" for number in flat]))
    if looked.blank.any() and len(flat) < looked.samples.channels:
        what = "A single row" if looked.samples.packed else "One value throughout"
        found.append(Finding("warning", "blank", f"{what}: {many(int(looked.blank.sum()), 'sample')}.",
                             "Look at them; they teach nothing, and are left out where copies are looked for.",
                             list(dict.fromkeys(looked.names[looked.blank].tolist()))))
    if (missing := _missing(looked)) > 0:
        some = looked.missing > 0
        found.append(Finding("note", "missing values", f"{missing:.2%} of the values are missing, in {many(int(some.sum()), 'sample')}.",
                             "Encoders are told what is missing; check that it is missing for no reason that matters.",
                             list(dict.fromkeys(looked.names[some].tolist()))))
    found += [Finding("note", "source", note, "Check that this is what you expect.") for note in looked.samples.notes]
    return found
