"""SimCLR of each package on Fashion-MNIST: processor seconds until kNN is right on a given share of held-out pictures.

Runs in the peers' environment, started by ``accuracy.py``. All have the same network and projector, batch, steps, temperature, schedule
and precision, and views of the same strength; each makes them and its batches in its own way. Looking at the accuracy is not counted.
"""

from __future__ import annotations

import json
import os
import sys

import torch
from contenders import lend_torchvision
from loaders import processor_seconds

from unveil.contracts import Batch
from unveil.data.opening import open_records
from unveil.data.samples import Samples
from unveil.parts.projector import projector
from unveil.parts.schedules import warmup_cosine
from unveil.recipes import recipe as recipes
from unveil.tasks.knn import knn_predict
from unveil.training.loop import Loop

EVERY, BANK, ASKED = 25, 10_000, 2_000
STEPS, BATCH, TEMPERATURE, LR, WARMUP, AREA = 1170, 256, 0.2, 2e-3, 0.05, (0.3, 1.0)


class Race:
    """Looks at the encoder every so often, and prints what it cost until then.

    Args:
        seed: of weights and order.
    """

    def __init__(self, seed: int):
        self.recipe = recipes.resolve("simclr", "image", scale="small", seed=seed, given={"train": dict(
            batch=BATCH, steps=STEPS, lr=LR, warmup=WARMUP, precision="bf16", stop_unhealthy=False)})
        _, records = open_records("fashion-mnist")
        whole = self.recipe.build_kind().open(records)
        self.train, self.test = whole.subset(~whole.test), whole.subset(whole.test)
        self.encoder = self.recipe.build_encoder(self.train.spec())
        self.spent, self.began = 0.0, 0.0

    @torch.no_grad()
    def _features(self, samples: Samples, count: int) -> torch.Tensor:
        at = torch.linspace(0, len(samples) - 1, count).long()
        return torch.cat([self.encoder(samples.batch(part)).pooled for part in at.split(1000)])

    def look(self, step: int) -> None:
        """Counts what was spent since the last look, then measures."""
        self.spent += processor_seconds() - self.began if step else 0.0
        self.encoder.eval()
        labels = [torch.as_tensor(part.labels)[torch.linspace(0, len(part) - 1, count).long()]
                  for part, count in ((self.train, BANK), (self.test, ASKED))]
        guess = knn_predict(self._features(self.train, BANK), labels[0], self._features(self.test, ASKED), 10)
        self.encoder.train()
        print(json.dumps({"step": step, "cpu": self.spent, "accuracy": float((guess == labels[1]).float().mean())}), flush=True)
        if not sys.stdin.readline():
            os._exit(0)
        self.began = processor_seconds()


class Watched(Loop):
    """Our loop, looked at."""

    def _update(self, index: int):
        if index % EVERY == 0:
            self.race.look(index)
        return super()._update(index)


def ours(race: Race) -> None:
    """The package's own loop."""
    from unveil.health.monitor import Monitor
    loop = Watched(race.recipe.build_method(race.encoder), race.recipe.build_kind(), race.train, race.recipe.training(),
                   seed=race.recipe.seed, monitor=Monitor(STEPS))
    loop.race = race
    loop.run()


class Pictures(torch.utils.data.Dataset):
    """Fashion-MNIST as pictures of the imaging library, through a transform."""

    def __init__(self, samples: Samples, transform):
        self.values = (samples.batch(torch.arange(len(samples))).values[:, 0] * 255).round().to(torch.uint8).numpy()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, i: int):
        from PIL import Image
        return self.transform(Image.fromarray(self.values[i]))


def peer(race: Race, transform, views_of, loss) -> None:
    """A loop as the peers' examples have it."""
    project = projector(race.encoder.width, race.recipe.method["hidden"], race.recipe.method["projection"], bias=False)
    model = torch.nn.ModuleList([race.encoder, project]).train()
    loader = torch.utils.data.DataLoader(Pictures(race.train, transform), BATCH, shuffle=True, drop_last=True, num_workers=os.cpu_count(),
                                         persistent_workers=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warmup_cosine(step / STEPS, WARMUP))
    step = 0
    while step < STEPS:
        for batch in loader:
            if step % EVERY == 0:
                race.look(step)
            a, b = views_of(batch)
            with torch.autocast("cpu", torch.bfloat16):
                za, zb = project(race.encoder(_batch(torch.cat([a, b]))).pooled).chunk(2)
                value = loss(za.float(), zb.float())
            value.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            schedule.step()
            step += 1


def _batch(x: torch.Tensor) -> Batch:
    ids = torch.arange(len(x))
    return Batch(x, ids, ids, None, torch.tensor([[0.0, 0.0], [28.0, 28.0]]).expand(len(x), 2, 2))


def lightly(race: Race) -> None:
    """Lightly's transform and loss; blur scaled to 28 px as ours is."""
    from lightly.loss import NTXentLoss
    from lightly.transforms import SimCLRTransform
    transform = SimCLRTransform(input_size=28, cj_strength=0.5, min_scale=AREA[0], sigmas=(0.1 / 8, 2 / 8), normalize=None)
    peer(race, transform, lambda batch: batch, NTXentLoss(temperature=TEMPERATURE))


def stable(race: Race) -> None:
    """stable-pretraining's transforms and loss."""
    import stable_pretraining as spt
    from stable_pretraining.data import transforms as t

    def view():
        return t.Compose(t.RandomResizedCrop((28, 28), scale=AREA), t.RandomHorizontalFlip(p=0.5),
                         t.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, p=0.8), t.ToImage(mean=[0.0], std=[1.0]))
    both = t.MultiViewTransform([view(), view()])
    peer(race, lambda picture: [held["image"] for held in both({"image": picture})["views"]], lambda batch: batch,
         spt.losses.NTXEntLoss(temperature=TEMPERATURE))


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    lend_torchvision()
    torch.manual_seed(asked["seed"])
    {"ours": ours, "lightly": lightly, "stable-pretraining": stable}[asked["who"]](Race(asked["seed"]))
