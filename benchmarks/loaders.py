"""An epoch from JPEG files to updated weights as each package makes it, in a process that makes one whenever it is asked to.

Runs in the peers' environment. All have the same convolutional network and projector, batch, precision, loss and AdamW. Peers have the
transforms of their own SimCLR example at 64 px and a loader with as many lasting workers as there are processors, around a bare loop.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

import torch
from contenders import lend_torchvision

from unveil.contracts import Batch, Spec
from unveil.data.opening import open_records
from unveil.data.samples import Files
from unveil.encoders.conv import ConvNet
from unveil.kinds.image import Image
from unveil.methods.simclr import SimCLR
from unveil.parts.projector import projector
from unveil.training.loop import Loop
from unveil.training.settings import Training

SIDE, BATCH, EPOCHS, WORKERS = 64, 256, 100, os.cpu_count()
NETWORK, HIDDEN, PROJECTION, TEMPERATURE = dict(width=64, stages=3, stride=4), 128, 64, 0.5
CLOCK = os.sysconf("SC_CLK_TCK")


def processor_seconds() -> float:
    """Of this process and its children, those that still run and those that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = time.process_time() + ended.ru_utime + ended.ru_stime
    for child in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for number in child.read_text().split():
            user, system = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[11:13]
            found += (int(user) + int(system)) / CLOCK
    return found


class Paced(Loop):
    """Our loop; it waits before each epoch until it is asked."""

    def _update(self, index: int):
        if index % self.epoch == 0:
            answered(self, index // self.epoch, self.feed.waited)
        return super()._update(index)


class WholeFiles(Image):
    """Pictures kept at the 256 px of their files, as peers have them, and views cut from there."""

    def view(self, batch, count, *, size, **more):
        return super().view(batch, count, size=size * SIDE / batch.values.shape[-1], **more)


def ours(folder: str, precision: str, variant: str) -> None:
    """The package's own loop, from its files; ``variant``: cached, decoded (nothing kept), or whole (crops from the full file)."""
    kind = WholeFiles(size=256) if variant == "whole" else Image(size=SIDE)
    samples = kind.open(open_records(folder)[1])
    if variant == "decoded":
        assert isinstance(samples.fetch, Files)
        samples.fetch.room = 0
    settings = Training(batch=BATCH, epochs=EPOCHS, precision=precision, stop_unhealthy=False)
    method = SimCLR(ConvNet(samples.spec(), **NETWORK), temperature=TEMPERATURE, hidden=HIDDEN, projection=PROJECTION)
    samples.fetch.cache.clear()  # the first epoch starts with nothing decoded
    loop = Paced(method, kind, samples, settings)
    loop.epoch = len(samples) // BATCH
    loop.run()


class Peer(torch.nn.Module):
    """The same network and projector; what the two packages share of their loops."""

    def __init__(self, precision: str):
        super().__init__()
        self.encoder = ConvNet(Spec(3, (SIDE, SIDE), ("y", "x"), (1.0, 1.0), "px", (0.0,) * 3, (1.0,) * 3), **NETWORK)
        self.project, self.precision = projector(NETWORK["width"], HIDDEN, PROJECTION, bias=False), precision

    def forward(self, x):
        ids = torch.arange(len(x))
        box = torch.tensor([[0.0, 0.0], [SIDE, SIDE]]).expand(len(x), 2, 2)
        return self.project(self.encoder(Batch(x, ids, ids, None, box)).pooled)

    def run(self, loader, views_of, loss) -> None:
        """Epochs, each when it is asked for."""
        optimiser = torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS * len(loader))
        waited = 0.0
        for epoch in range(EPOCHS):
            answered(self, epoch, waited)
            began = time.perf_counter()
            for batch in loader:
                a, b = views_of(batch)
                waited += time.perf_counter() - began
                with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
                    za, zb = self(torch.cat([a, b])).chunk(2)
                    value = loss(za.float(), zb.float())
                value.backward()
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                schedule.step()
                began = time.perf_counter()


def lightly(folder: str, precision: str, variant: str) -> None:
    """Lightly's transform, data set and loss, and torch's loader as in its examples."""
    from lightly.data import LightlyDataset
    from lightly.loss import NTXentLoss
    from lightly.transforms import SimCLRTransform
    data = LightlyDataset(folder, transform=SimCLRTransform(input_size=SIDE))
    loader = torch.utils.data.DataLoader(data, BATCH, shuffle=True, drop_last=True, num_workers=WORKERS, persistent_workers=True)
    Peer(precision).run(loader, lambda batch: batch[0], NTXentLoss(temperature=TEMPERATURE))


def stable(folder: str, precision: str, variant: str) -> None:
    """stable-pretraining's example for SimCLR (``workers``), or its views made in batches as its readme advises (``batched``)."""
    import stable_pretraining as spt
    import torchvision
    from stable_pretraining.data import gpu_transforms as batched
    from stable_pretraining.data import transforms as t
    files = torchvision.datasets.ImageFolder(folder)

    def view(low: float, *more):
        return t.Compose(t.RGB(), t.RandomResizedCrop((SIDE, SIDE), scale=(low, 1.0)), t.RandomHorizontalFlip(p=0.5),
                         t.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, p=0.8), t.RandomGrayscale(p=0.2), *more,
                         t.ToImage(**spt.data.static.ImageNet))
    changes, views_of = t.MultiViewTransform([view(0.2), view(0.08, t.RandomSolarize(threshold=0.5, p=0.2))]), None
    if variant == "batched":
        changes = t.ToImage(rgb=True, scale=True)
        device = batched.StackedMultiView(batched.GPUCompose([
            batched.GPURandomResizedCrop(size=SIDE, scale=(0.08, 1.0)), batched.GPURandomHorizontalFlip(p=0.5),
            batched.GPUColorJitter(0.4, 0.4, 0.2, 0.1, p=0.8), batched.GPURandomGrayscale(p=0.2),
            batched.GPUGaussianBlur(kernel_size=7, p=0.5),
            batched.GPUNormalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])]), n_views=2)
        views_of = lambda batch: [view["image"] for view in device(batch)["views"]]
    data = spt.data.FromTorchDataset(files, names=["image", "label"], transform=changes)
    loader = torch.utils.data.DataLoader(data, BATCH, shuffle=True, drop_last=True, num_workers=WORKERS, persistent_workers=True)
    Peer(precision).run(loader, views_of or (lambda batch: [view["image"] for view in batch["views"]]),
                        spt.losses.NTXEntLoss(temperature=TEMPERATURE))


def answered(held, epoch: int, waited: float) -> None:
    """Says what the epoch before took, and waits for the next request."""
    now = {"seconds": time.perf_counter(), "processor": processor_seconds(), "waited": waited}
    if epoch:
        print(json.dumps({name: now[name] - held.before[name] for name in now}), flush=True)
    if not sys.stdin.readline():
        os._exit(0)
    held.before = {"seconds": time.perf_counter(), "processor": processor_seconds(), "waited": waited}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    if asked["package"] != "ours":
        lend_torchvision()
    torch.manual_seed(0)
    {"ours": ours, "lightly": lightly, "stable-pretraining": stable}[asked.pop("package")](**asked)
