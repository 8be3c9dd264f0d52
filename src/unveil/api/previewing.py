"""What a method will be shown of data, before it is taught: views, what is hidden, what is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.api.opening import Say, quiet
from unveil.api.pretraining import Prepared, fitted, prepare
from unveil.contracts import Batch, Encoder, Method
from unveil.data.opening import open_records
from unveil.data.options import Options
from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.recipes import recipe as recipes
from unveil.recipes.recipe import Recipe
from unveil.tokens import Graph, pool
from unveil.training.step import TrainStep

MEASURED = 16  # samples over which shares are measured, at each step


class Watched(TrainStep):
    """A step that keeps what was asked of it and the views that it gave, in ``asked``."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.asked: list[tuple[dict[str, Any], list[Batch]]] = []

    def view(self, batch: Batch, count: int = 1, **asked: Any) -> list[Batch]:
        views = super().view(batch, count, **asked)
        self.asked.append((asked, views))
        return views


def preview(method: str, data, *, encoder: str | None = None, scale: str = "auto", seed: int = 0, hold_out: Sequence[int] | None = None,
            options: Options | None = None, settings: Mapping[str, Any] | None = None, samples: int = 4, steps: int = 4,
            say: Say = quiet) -> dict[str, Any]:
    """Runs a method, as it would be taught, on a few samples for a few steps, and keeps what it was shown. Nothing is learned.

    Args:
        method: name, or a YAML file of settings that names one.
        data: name of a built-in set, path, ``hf:NAME``, array or table of arrays.
        encoder: name; None takes the recipe's.
        scale: ``"auto"``, ``"small"`` or ``"published"``.
        seed: of everything random: the views are those of the first steps of the run with this seed.
        hold_out: groups that are kept for judging, so are not shown.
        options: what is to be said of the data.
        settings: any setting by its dotted name, such as ``{"method.area": [0.2, 1.0]}``.
        samples: how many are drawn.
        steps: how many are drawn of each.
        say: told each stage.

    Returns:
        ``method``, ``kind``, ``recipe`` (resolved), ``given`` (names of settings), ``words`` (sentences on views and masks) and
        ``views`` (drawings, as :func:`shown_of` makes them).

    Raises:
        Unusable: for every mistake in data or settings.
    """
    if min(samples, steps) < 1:
        raise Unusable(f"{samples} samples at {steps} steps leave nothing to draw; both must be at least 1")
    settings = _read(method, settings)
    named = {section: own.get("name") for section, own in recipes.sections(settings).items()}
    name, given = named["method"], settings | ({"encoder.name": encoder} if encoder else {})
    options = options or Options()
    options = replace(options, kind=options.kind or named["kind"])
    kind, records = open_records(data, options, say)
    held = prepare(records, recipes.resolve(name, kind, scale=scale, given=given, seed=seed), given, options, hold_out, seed, say)
    recipe = fitted(held.learn, held.kind, name, scale, seed, given)
    recipe = replace(recipe, reasons=held.reasons | recipe.reasons)
    some = held.learn.subset(_evenly(len(held.learn), MEASURED))
    try:
        facts = _facts(recipe, held, some, steps, say)
    except (ValueError, RuntimeError, ArithmeticError) as why:
        raise Unusable(f"{name} cannot take a step with these settings on samples of {some.looks}: {why}") from why
    rows = [fact["samples"][i] | {"name": f"{fact['samples'][i]['name']}, step {index + 1}"}
            for i in _evenly(len(some), samples) for index, fact in enumerate(facts)]
    return {"method": name, "kind": kind, "recipe": recipe.to_json(), "given": list(given), "words": _words(facts, some),
            "views": {"grid": facts[0]["grid"], "hidden": facts[0]["hidden"], "samples": rows}}


def _evenly(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))


def _facts(recipe: Recipe, held: Prepared, some: Samples, steps: int, say: Say) -> list[dict[str, Any]]:
    """Of each step what :func:`shown_of` says, and what was ``asked`` of it."""
    method = recipe.build_method(recipe.build_encoder(held.learn.spec())).eval()
    total, facts = recipe.training().total(len(held.learn)), []
    for index in range(steps):
        say(f"step {index + 1} of {steps}")
        step = Watched(held.kind, recipe.seed, index, total)
        facts.append(shown_of(method, some, step) | {"asked": step.asked})
    return facts


def _read(method: str, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings, with the name of the method among them."""
    if Path(method).suffix not in (".yaml", ".yml"):
        return dict(settings or {}) | {"method.name": method}
    held = recipes.read(Path(method)) | dict(settings or {})
    if "name" not in recipes.sections(held)["method"]:
        raise Unusable(f"the recipe {method} names no method: add a line such as 'method.name: simclr'")
    return held


@torch.no_grad()
def shown_of(method: Method, some: Samples, step: Watched) -> dict[str, Any]:
    """One forward pass of a method over a few samples, as drawings of at most six views each.

    Returns:
        ``grid`` of the tokens, None where nothing is hidden or it does not fit over a drawing; ``hidden``: the share of each packed
        sample's rows that was, which are drawn as those that a view took away; ``samples``: a table each, of its ``name``, drawings
        ``whole`` and ``views``, and where there is a grid the places ``seen`` and ``asked`` for.
    """
    batch = some.batch(torch.arange(len(some)))
    shown = method(batch, step).shown
    tokens, grid = _tokens(method.encoder, batch, shown)
    views = [view for _, made in step.asked for view in made] or [batch]
    hidden, share = shown.get("hidden") if some.packed else None, []
    if hidden is not None:  # a bool a row: a view has as many rows as its sample
        first = views[0]
        views = [replace(first, valid=~hidden if first.valid is None else first.valid & ~hidden)]
        share = pool(hidden[:, None].float(), sample=batch.graph.sample, count=len(batch))[:, 0].tolist()
    return {"grid": grid, "hidden": share, "samples": [
        {"name": str(some.name(int(batch.ids[i]))), "whole": step.kind.draw(batch.one(i)),
         "views": [step.kind.draw(view.one(i)) for view in views[:6]]} | {key: places[i] for key, places in tokens.items()}
        for i in range(len(some))]}


def _tokens(encoder: Encoder, batch: Batch, shown: dict[str, Tensor]) -> tuple[dict[str, list], list[int] | None]:
    if "seen" not in shown:
        return {}, None
    grid = encoder.embed(batch).grid
    if grid is None or len(grid) > 2:
        return {}, None
    places = lambda rows: [sorted(set(row.flatten().tolist())) for row in rows]
    return {key: places(shown[key]) for key in ("seen", "asked") if key in shown}, list(grid)


def _words(facts: Sequence[Mapping[str, Any]], some: Samples) -> list[str]:
    """Sentences on the views and masks of some steps."""
    said = [] if facts[0]["asked"] else ["The whole sample, as it is."]
    for number, (asked, views) in enumerate(facts[0]["asked"]):
        many, covers = f"{len(views)} view{'s' * (len(views) != 1)}", _covering(facts, number, some)
        changes = f"values change with strength {asked['strength']:g}" if asked.get("strength") else "values stay as they are"
        said.append(f"{many}{covers} of the sample; {changes}{', with the symmetries of the kind' * bool(asked.get('symmetry'))}.")
    if facts[0]["hidden"]:
        share = np.concatenate([fact["hidden"] for fact in facts])
        said.append(f"{share.min():.0%} to {share.max():.0%} (middle {np.median(share):.0%}) of a sample's rows are hidden and asked for.")
    if (grid := facts[0]["grid"]) is not None:
        count = int(np.prod(grid))
        token = " x ".join(f"{side / cells:g}" for side, cells in zip(some.shape, grid, strict=True))
        seen, asked = (np.array([len(row[key]) for fact in facts for row in fact["samples"]]) for key in ("seen", "asked"))
        said.append(f"{' x '.join(map(str, grid))} tokens of {token}; {_range(seen, count)} seen, {_range(asked, count)} asked for.")
    return said


def _covering(facts: Sequence[Mapping[str, Any]], number: int, some: Samples) -> str:
    """The size of views, and the share of a sample that they cover: of its grid, or of its rows and edges."""
    views = [view for fact in facts for view in fact["asked"][number][1]]
    if not some.packed:
        boxes = torch.cat([view.box for view in views])
        covers = (boxes[:, 1] - boxes[:, 0]).abs().prod(-1).numpy() / float(np.prod(np.multiply(some.shape, some.spacing)))
        return f" of {' x '.join(map(str, views[0].values.shape[2:]))}, covering {_share(covers)}"
    graphs = [view.graph for view in views]
    rows = _share(np.concatenate([_kept(view.valid, graph.sample, graph) for view, graph in zip(views, graphs, strict=True)]))
    if graphs[0].edges is None:
        return f", with {rows} of the rows"
    edges = _share(np.concatenate([_kept(graph.edge_valid, graph.sample[graph.edges[0]], graph) for graph in graphs]))
    return f", with {rows} of the rows and {edges} of the edges"


def _kept(valid: Tensor | None, sample: Tensor, graph: Graph) -> np.ndarray:
    """Share of what each sample has that is valid; 1 where it has nothing."""
    there = torch.ones(len(sample), 1) if valid is None else valid[:, None].float()
    owns = torch.bincount(sample, minlength=graph.count) > 0
    return torch.where(owns, pool(there, sample=sample, count=graph.count)[:, 0], torch.ones(())).numpy()


def _share(covers: np.ndarray) -> str:
    return "all" if covers.min() > 0.999 else f"{covers.min():.0%} to {covers.max():.0%} (middle {np.median(covers):.0%})"


def _range(counts: np.ndarray, of: int) -> str:
    low, high = counts.min(), counts.max()
    return f"{low} ({low / of:.0%})" if low == high else f"{low} to {high} ({low / of:.0%} to {high / of:.0%})"
