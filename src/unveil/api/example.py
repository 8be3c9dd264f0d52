"""Made-up samples that look as a spec says: what a plan counts on and what an export is compared on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unveil.contracts import Batch, Spec
from unveil.kinds.kind import Kind, templates
from unveil.randomness import Generator


def example(kind: Kind, spec: Spec, count: int) -> Batch:
    """Samples with the data's mean and deviation: smooth patterns on a grid, and of mixed channels some that are not there, of known and of
    unknown place; of packed kinds their planted samples, whose rows and edges have as many values as the spec says."""
    generator = Generator("export")
    if not spec.packed:
        mean, std = (torch.tensor(part).view(-1, *[1] * len(spec.shape)) for part in (spec.mean, spec.std))
        ids = torch.arange(count)
        batch = Batch(mean + std * templates((spec.channels, *spec.shape), count, generator)[0] / 1.5, ids, ids)
        return _mixed(batch, generator) if spec.mixed else batch
    batch = kind.planted(max(count, 4), generator).batch(torch.arange(count))
    graph, values = batch.graph, batch.values
    if values.shape[1] != spec.channels:
        values = torch.tensor(spec.mean) + torch.tensor(spec.std) * generator.normal(len(values), spec.channels)
    edges = 0 if graph.edges is None else graph.edges.shape[1]
    graph = replace(graph, edge_values=_wide(graph.edge_values, edges, spec.edge_channels, generator))
    return replace(batch, values=values, graph=graph)


def _mixed(batch: Batch, generator: Generator) -> Batch:
    samples, channels = batch.values.shape[:2]
    number = torch.arange(channels).expand(samples, -1)
    kept = 1 + torch.arange(samples)[:, None] % channels  # one channel, two, and so on
    channel = torch.where(number < kept, number % 2 * (1 + number % 255), -1)
    place = generator.uniform(samples, channels, 3, low=-0.6, high=0.6) * (channel == 0)[..., None]
    return replace(batch, values=batch.values * (channel >= 0)[..., None], extras={"channel": channel, "place": place})


def _wide(x: Tensor | None, rows: int, width: int, generator: Generator) -> Tensor | None:
    """``x`` where it has ``width`` values a row, else others that do; None for a width of 0."""
    if x is not None and x.shape[1] == width:
        return x
    return generator.normal(rows, width) if width and rows else None
