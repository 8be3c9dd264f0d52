"""One training step of a method as each package makes it, in a process that makes a step whenever it is asked to.

Runs in the peers' environment. All contenders have the same transformer (pre-norm, no class token), batch, precision, heads and
schedules of learning rate and teacher, the same AdamW, and where there are masks the same masks: ours draws them in its step, peers are
given them ready made. ``plain`` is the same in torch and timm alone.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import resource
import sys
import time
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from unveil.data.samples import Samples, in_memory
from unveil.kinds.image import Image
from unveil.parts.masking import multiblock, random_masks
from unveil.randomness import Generator
from unveil.recipes import recipe as recipes
from unveil.training.loop import Loop

TOTAL = 100_000
LR, DECAY, BETAS = 1e-3, 0.05, (0.9, 0.999)
DECODER = dict(width=128, depth=4, heads=4)
PREDICTOR = dict(width=96, depth=6, heads=3)
HIDDEN, PROJECTION, SLICES = 2048, 64, 1024
LOCAL_VIEWS, LOCAL_SIZE = 4, 0.5


def lend_torchvision() -> None:
    """Torchvision's compiled operators are missing beside a CPU build of torch; nothing here calls them, so naming them is enough."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    lend_torchvision.kept = library


class Setting:
    """What all contenders are given.

    Args:
        side: of the pictures.
        patch: side of a patch.
        batch: pictures a step.
        width, depth, heads: of the encoder.
    """

    def __init__(self, side: int, patch: int, batch: int, width: int = 192, depth: int = 12, heads: int = 3):
        self.side, self.patch, self.batch, self.width, self.depth, self.heads = side, patch, batch, width, depth, heads
        self.grid = (side // patch,) * 2
        self.pictures = torch.rand(4 * batch, 3, side, side, generator=torch.Generator().manual_seed(0))

    def images(self, index: int) -> torch.Tensor:
        """Pictures of a step."""
        first = index % 4 * self.batch
        return self.pictures[first:first + self.batch]

    def masks(self, method: str, index: int):
        """Those that ours draws at this step."""
        keys = torch.arange(index * self.batch, (index + 1) * self.batch)
        draw = Generator(0, index, "masks")
        if method == "mae":
            return random_masks(self.grid[0] * self.grid[1], 0.75, draw, keys)
        return multiblock(self.grid, draw, keys, blocks=4, target_scale=(0.15, 0.2), target_aspect=(0.75, 1.5),
                          context_scale=(0.85, 1.0), min_keep=4)

    def transformer(self, **more):
        """timm's, like ours."""
        from timm.models.vision_transformer import VisionTransformer
        given = dict(img_size=self.side, patch_size=self.patch, embed_dim=self.width, depth=self.depth, num_heads=self.heads, num_classes=0,
                     class_token=False, global_pool="avg")
        return VisionTransformer(**given | more)


def projector(*widths: int) -> nn.Sequential:
    """Linear layers with batch normalisation between them."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths[:-1]):
        layers += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(*widths[-2:]))


class Ours:
    """The loop itself, with monitor, schedules and all; it stops before each step until it is asked."""

    def __init__(self, method: str, setting: Setting, precision: str):
        extra = {"mae": {f"decoder_{k}": v for k, v in DECODER.items()} | dict(area=(1.0, 1.0), symmetry=False),
                 "i-jepa": {f"predictor_{k}": v for k, v in PREDICTOR.items()} | dict(area=(1.0, 1.0), min_keep=4),
                 "simclr": dict(hidden=HIDDEN, projection=PROJECTION, area=(1.0, 1.0), strength=0.0, symmetry=False),
                 "lejepa": dict(hidden=HIDDEN, projection=PROJECTION, slices=SLICES, local_views=LOCAL_VIEWS, local_size=LOCAL_SIZE,
                                global_area=(1.0, 1.0), local_area=(1.0, 1.0), strength=0.0, symmetry=False)}[method]
        given = {"encoder": dict(name="transformer", patch=setting.patch, width=setting.width, depth=setting.depth, heads=setting.heads),
                 "method": extra, "train": dict(batch=setting.batch, steps=TOTAL, lr=LR, decay=(DECAY, DECAY), betas=BETAS,
                                                precision="32" if precision == "32" else "bf16", stop_unhealthy=False)}
        recipe = recipes.resolve(method, "image", scale="small", given=given)
        samples = Samples(in_memory(setting.pictures), len(setting.pictures), shape=(setting.side,) * 2, channels=3, axes=("y", "x"),
                          spacing=(1.0, 1.0), unit="px")
        from unveil.health.monitor import Monitor
        self.loop = Paced(recipe.build_method(recipe.build_encoder(samples.spec())), Image(size=setting.side, channels=3), samples,
                          recipe.training(), monitor=Monitor(TOTAL))

    def serve(self, before, after) -> None:
        self.loop.before, self.loop.after = before, after
        self.loop.run()


class Paced(Loop):
    """Waits before each step, and tells when it is made."""

    def _update(self, index: int):
        asked = self.before()
        with asked:
            answer = super()._update(index)
        self.after(index, asked)
        return answer


class Peer:
    """A loop as the peers' examples have it, around ``method`` modules and ``loss(index)``."""

    def __init__(self, setting: Setting, precision: str):
        self.setting, self.precision = setting, precision

    def ready(self, *modules: nn.Module) -> None:
        """Makes the optimiser over modules."""
        self.modules = nn.ModuleList(modules).train()
        trained = [p for p in self.modules.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(trained, lr=LR, weight_decay=DECAY, betas=BETAS)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda i: 0.5 * (1 + math.cos(math.pi * i / TOTAL)))

    def loss(self, index: int) -> torch.Tensor:
        raise NotImplementedError

    def follow(self, index: int) -> None:
        """Where a teacher follows."""

    def step(self, index: int) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            loss = self.loss(index)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.schedule.step()
        self.follow(index)

    def serve(self, before, after) -> None:
        for index in range(TOTAL):
            asked = before()
            with asked:
                self.step(index)
            after(index, asked)


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Moving average as the peers' examples write it."""
    for mine, its in zip(teacher.parameters(), student.parameters()):
        mine.data.mul_(momentum).add_((1.0 - momentum) * its.detach().data)


def pick(x: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Tokens of each sample at places ``(B, K)``."""
    return x.gather(1, at[..., None].expand(-1, -1, x.shape[-1]))


def momentum(index: int) -> float:
    """Of the teacher at a step."""
    return 0.996 + 0.004 * index / TOTAL


class PlainMAE(Peer):
    """Masked autoencoder in torch and timm."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        from timm.models.vision_transformer import Block
        width = DECODER["width"]
        self.vit = setting.transformer()
        self.enter, self.leave = nn.Linear(setting.width, width), nn.Linear(width, 3 * setting.patch**2)
        self.token = nn.ParameterList([nn.Parameter(torch.zeros(1, 1, width))])
        self.place = torch.zeros(1, setting.grid[0] * setting.grid[1], width)
        self.blocks = nn.Sequential(*(Block(width, DECODER["heads"], qkv_bias=True) for _ in range(DECODER["depth"])))
        self.norm = nn.LayerNorm(width)
        self.ready(self.vit, self.enter, self.leave, self.token, self.blocks, self.norm)

    def loss(self, index: int) -> torch.Tensor:
        images, masks = self.setting.images(index), self.setting.masks("mae", index)
        x = self.vit.patch_embed(images) + self.vit.pos_embed
        x = self.enter(self.vit.norm(self.vit.blocks(pick(x, masks.context))))
        hidden = self.token[0].expand(len(x), masks.targets.shape[-1], -1).to(x.dtype)
        order = torch.cat([masks.context, masks.targets[:, 0]], 1).argsort(1)
        x = pick(torch.cat([x, hidden], 1), order) + self.place
        answer = self.leave(pick(self.norm(self.blocks(x)), masks.targets[:, 0]))
        side = self.setting.patch
        raw = F.unfold(images, side, stride=side).transpose(1, 2)
        goal = pick(raw, masks.targets[:, 0])
        goal = (goal - goal.mean(-1, keepdim=True)) / (goal.var(-1, keepdim=True) + 1e-6).sqrt()
        return (answer.float() - goal).square().mean()


class PlainIJEPA(Peer):
    """I-JEPA in torch and timm."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        from timm.models.vision_transformer import Block
        width = PREDICTOR["width"]
        self.vit = setting.transformer(global_pool="", num_classes=0)
        self.teacher = copy.deepcopy(self.vit).requires_grad_(False)
        self.enter, self.leave = nn.Linear(setting.width, width), nn.Linear(width, setting.width)
        self.token = nn.ParameterList([nn.Parameter(torch.zeros(1, 1, width))])
        self.place = torch.zeros(setting.grid[0] * setting.grid[1], width)
        self.blocks = nn.Sequential(*(Block(width, PREDICTOR["heads"], qkv_bias=True) for _ in range(PREDICTOR["depth"])))
        self.norm = nn.LayerNorm(width)
        self.ready(self.vit, self.enter, self.leave, self.token, self.blocks, self.norm)

    def loss(self, index: int) -> torch.Tensor:
        images, masks = self.setting.images(index), self.setting.masks("i-jepa", index)
        with torch.no_grad():
            goal = self.teacher.norm(self.teacher.blocks(self.teacher.patch_embed(images) + self.teacher.pos_embed))
            goal = pick(F.layer_norm(goal, goal.shape[-1:]), masks.targets.flatten(1))
        x = self.vit.norm(self.vit.blocks(pick(self.vit.patch_embed(images) + self.vit.pos_embed, masks.context)))
        x = self.enter(x)
        blocks = masks.targets.shape[1]
        x = (x + self.place[masks.context].to(x.dtype)).repeat_interleave(blocks, 0)
        asked = (self.token[0] + self.place[masks.targets.flatten(0, 1)]).to(x.dtype)
        answer = self.norm(self.blocks(torch.cat([x, asked], 1)))[:, x.shape[1]:]
        return F.smooth_l1_loss(self.leave(answer).float().view_as(goal), goal.float())

    def follow(self, index: int) -> None:
        follow(self.teacher, self.vit, momentum(index))


class PlainSimCLR(Peer):
    """SimCLR in torch and timm."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        self.vit, self.head = setting.transformer(), projector(setting.width, HIDDEN, PROJECTION)
        self.ready(self.vit, self.head)

    def contrast(self, z: torch.Tensor) -> torch.Tensor:
        z = F.normalize(z.float(), dim=-1)
        logits = (z @ z.T / 0.1).fill_diagonal_(float("-inf"))
        return F.cross_entropy(logits, torch.arange(len(z)).roll(len(z) // 2))

    def loss(self, index: int) -> torch.Tensor:
        images = self.setting.images(index)
        return self.contrast(self.head(self.vit(torch.cat([images, images]))))


class PlainLeJEPA(Peer):
    """LeJEPA in torch and timm."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        self.vit, self.head = setting.transformer(dynamic_img_size=True), projector(setting.width, HIDDEN, HIDDEN, PROJECTION)
        self.ready(self.vit, self.head)

    def views(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        images = self.setting.images(index)
        small = F.interpolate(images, scale_factor=LOCAL_SIZE, mode="bilinear")
        return torch.cat([images] * 2), torch.cat([small] * LOCAL_VIEWS)

    def loss(self, index: int) -> torch.Tensor:
        z = self.head(torch.cat([self.vit(group) for group in self.views(index)])).float().unflatten(0, (-1, self.setting.batch))
        apart = (z[:2].mean(0) - z).square().mean()
        t = torch.linspace(0, 3, 17)
        weight = torch.full_like(t, 2 * 3 / 16).index_fill_(0, torch.tensor([0, 16]), 3 / 16) * (-t.square() / 2).exp()
        directions = F.normalize(torch.randn(PROJECTION, SLICES), dim=0)
        angle = (z @ directions)[..., None] * t
        gap = (angle.cos().mean(-3) - (-t.square() / 2).exp()).square() + angle.sin().mean(-3).square()
        return 0.95 * apart + 0.05 * (gap @ weight).mean() * self.setting.batch


PLAIN = {"mae": PlainMAE, "i-jepa": PlainIJEPA, "simclr": PlainSimCLR, "lejepa": PlainLeJEPA}


# torch does not count the form of attention that a CPU runs.
FLASH = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu:
         lambda q, k, v, *more, out_shape=None, **named: sdpa_flop_count(q, k, v),
         torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward:
         lambda grad, q, k, v, *more, out_shape=None, **named: sdpa_backward_flop_count(grad, q, k, v)}


class Asked:
    """One step as it was asked for: its times and, where it is counted, its operations and the bytes kept for the backward pass."""

    def __init__(self, count: bool):
        self.counter = FlopCounterMode(display=False, custom_mapping=FLASH)
        self.saved: dict[int, int] = {}
        self.count, self.around = count, contextlib.ExitStack()

    def _save(self, x: torch.Tensor) -> torch.Tensor:
        self.saved[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    def __enter__(self) -> None:
        if self.count:
            self.around.enter_context(self.counter)
            self.around.enter_context(torch.autograd.graph.saved_tensors_hooks(self._save, lambda x: x))
        self.faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def __exit__(self, *error) -> None:
        self.answer = {"cpu": time.process_time() - self.cpu, "wall": time.perf_counter() - self.wall,
                       "pages": resource.getrusage(resource.RUSAGE_SELF).ru_minflt - self.faults}
        self.around.close()
        if self.count:
            self.answer["flops"] = self.counter.get_total_flops()


def fixed(made: Ours | Peer) -> tuple[set[int], int]:
    """Places of all weights and buffers, and their bytes with gradients and the optimiser's two moments."""
    held = [made.loop.method] if isinstance(made, Ours) else [part for part in vars(made).values() if isinstance(part, nn.Module)]
    tensors = {id(x): x for part in held for x in (*part.parameters(), *part.buffers())}.values()
    size = lambda x: x.numel() * x.element_size()
    return {x.untyped_storage().data_ptr() for x in tensors}, sum(size(x) * (4 if x.requires_grad else 1) for x in tensors)


def memory(name: str) -> int:
    """A figure of this process's memory in bytes."""
    with open("/proc/self/status") as stream:
        return next(1024 * int(line.split()[1]) for line in stream if line.startswith(name))


def main() -> None:
    """Builds the contender that is asked for, then answers each line with a step's figures."""
    asked = json.loads(sys.argv[1])
    lend_torchvision()
    import stable_pretraining.methods  # noqa: F401
    from peer_steps import PEERS
    torch.manual_seed(0)
    setting = Setting(asked["side"], asked["patch"], asked["batch"])
    bare = memory("VmRSS")
    with contextlib.redirect_stdout(io.StringIO()):
        contender = {"ours": lambda *given: Ours(asked["method"], *given), "plain": PLAIN[asked["method"]]} | \
            {name: methods[asked["method"]] for name, methods in PEERS.items()}
        made = contender[asked["who"]](setting, asked["precision"])
    with open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")

    def before() -> Asked:
        return Asked(json.loads(sys.stdin.readline()).get("count", False))

    def after(index: int, step: Asked) -> None:
        places, size = fixed(made) if step.count else (set(), 0)
        parts = size + sum(held for place, held in step.saved.items() if place not in places)
        print(json.dumps(step.answer | {"index": index, "peak": memory("VmHWM") - bare, "parts": parts}), flush=True)

    made.serve(before, after)


if __name__ == "__main__":
    main()
