"""A training step of GraphMAE on MUTAG, data to updated weights: ours, and plain PyTorch Geometric as its examples are written.

    python benchmarks/graph_steps.py [--rounds 30]

Both have the same layers, batch, share hidden and optimiser, and take turns; the ratio is made round by round. The authors' own code is
on DGL, which has no build for this torch, so the second is a plain writing of the same step with PyG's layers and loader.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch
from rows import interval, write
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GINConv, GINEConv, global_mean_pool

from unveil.api.opening import open_data
from unveil.recipes import recipe as recipes
from unveil.training.loop import Loop

WIDTH, DEPTH, BATCH, RATIO, LR, STEPS = 32, 5, 32, 0.75, 5e-4, 10


class Plain(nn.Module):
    """GraphMAE with PyG's layers."""

    def __init__(self, channels: int, edge_channels: int):
        super().__init__()
        def layer(a: int, b: int) -> nn.Module:
            inner = nn.Sequential(nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.PReLU(), nn.Linear(b, b))
            return GINEConv(inner, train_eps=True, edge_dim=edge_channels) if edge_channels else GINConv(inner, train_eps=True)
        self.project = nn.Linear(channels, WIDTH)
        self.layers = nn.ModuleList(layer(WIDTH, WIDTH) for _ in range(DEPTH))
        self.norms = nn.ModuleList(nn.Sequential(nn.BatchNorm1d(WIDTH), nn.PReLU()) for _ in range(DEPTH))
        self.token, self.between = nn.Parameter(torch.zeros(channels)), nn.Linear(WIDTH, WIDTH, bias=False)
        self.decode = layer(WIDTH, channels)

    def forward(self, batch: Data) -> torch.Tensor:
        more = () if batch.edge_attr is None else (batch.edge_attr,)
        hidden = torch.randperm(len(batch.x))[:int(RATIO * len(batch.x))]
        x = batch.x.clone()
        x[hidden] = self.token
        x = self.project(x)
        for layer, norm in zip(self.layers, self.norms):
            x = norm(layer(x, batch.edge_index, *more))
        global_mean_pool(x, batch.batch)
        code = self.between(x)
        code = code.clone()
        code[hidden] = 0.0
        answer = self.decode(code, batch.edge_index, *more)
        return (1 - F.cosine_similarity(answer[hidden], batch.x[hidden])).mean()


def theirs(graphs: list[Data]):
    """Seconds of processor time of a step, made anew at each call."""
    model = Plain(graphs[0].x.shape[1], 0 if graphs[0].edge_attr is None else graphs[0].edge_attr.shape[1]).train()
    optimiser = torch.optim.AdamW(model.parameters(), LR)
    loader = DataLoader(graphs, BATCH, shuffle=True, drop_last=True)

    def steps() -> float:
        began, done = time.process_time(), 0
        while done < STEPS:
            for batch in loader:
                loss = model(batch)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                done += 1
                if done == STEPS:
                    break
        return (time.process_time() - began) / STEPS
    return steps


class Paced(Loop):
    """Its own loop with monitor-free steps, of which so many are made at each call."""

    def begin(self) -> None:
        from unveil.data.feed import Feed
        from unveil.training import processes
        from unveil.training.guard import Guard
        self.fabric = processes.fabric(self.settings)
        self.fabric.launch()
        self.module, self.optimiser = processes.set_up(self.fabric, self.method, self.settings)
        self.guard, self.index = Guard(self.fabric.device), 0
        self.feed = Feed(self.samples, self.settings.order(self.samples, self.seed), 0, self.total)
        self.method.train()

    def steps(self) -> float:
        began = time.process_time()
        for _ in range(STEPS):
            self._update(self.index)
            self.index += 1
        return (time.process_time() - began) / STEPS


def main() -> None:
    """Prints and keeps the ratio."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=30)
    rounds = words.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kind, samples = open_data("mutag")
    parts = [samples.batch(torch.tensor([i])) for i in range(len(samples))]
    graphs = [Data(x=one.values, edge_index=one.graph.edges, edge_attr=one.graph.edge_values) for one in parts]
    recipe = recipes.resolve("graphmae", "graph", scale="small", given={
        "encoder": dict(name="gin", width=WIDTH, depth=DEPTH), "method": dict(ratio=RATIO),
        "train": dict(batch=BATCH, steps=STEPS * (rounds + 2), lr=LR, precision="32")})
    ours = Paced(recipe.build_method(recipe.build_encoder(samples.spec())), kind, samples, recipe.training())
    ours.begin()
    contenders = {"ours": ours.steps, "plain PyG": theirs(graphs)}
    taken = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, steps in contenders.items():
            seconds = steps()
            if turn:
                taken[name].append(seconds)
    ratio = interval([a / b for a, b in zip(*taken.values(), strict=True)])
    row = {"ms": {name: round(1000 * median(held), 3) for name, held in taken.items()}, "ratio": [round(x, 3) for x in ratio]}
    print(row)
    write("graph_steps", [row], rounds=rounds, threads=1, batch=BATCH, width=WIDTH, depth=DEPTH)


if __name__ == "__main__":
    main()
