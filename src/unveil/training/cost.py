"""What a step costs, counted on tensors that take no memory: floating point operations, bytes that are kept, bytes that are sent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from unveil.contracts import Batch, Method, Spec
from unveil.parts.distributed import pretended
from unveil.parts.teacher import Teacher
from unveil.training.settings import Training
from unveil.training.step import TrainStep

FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
FUSED_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True)
class Weights:
    """Numbers of weights.

    Attributes:
        encoder: of the network that is taught.
        rest: of what the method trains beside it.
        teacher: of copies that follow.
        units: of those that are trained, in repeated parts: in shards these are put together twice a step.
        buffers: values that are kept and not trained, such as running statistics and frozen tables.
    """

    encoder: int
    rest: int
    teacher: int
    units: int
    buffers: int

    @property
    def trained(self) -> int:
        """Those with a gradient."""
        return self.encoder + self.rest


@dataclass(frozen=True)
class Cost:
    """What one process does for its part of a batch.

    Attributes:
        flops: of matrix products and convolutions, forward and backward, a multiplication and an addition counted as two.
        activations: bytes that one accumulated part keeps from the forward pass for the backward pass.
        weights: see :class:`Weights`.
    """

    flops: float
    activations: int
    weights: Weights


def weights_of(method: Method) -> Weights:
    """Counts the weights of a method."""
    trained = {id(p): p.numel() for p in method.parameters() if p.requires_grad}
    encoder = sum(trained.get(id(p), 0) for p in method.encoder.parameters())
    teachers = {id(p): p.numel() for part in method.modules() if isinstance(part, Teacher) for p in part.parameters()}
    units = {id(p): trained[id(p)] for unit in method.units() for p in unit.parameters() if id(p) in trained}
    frozen = sum(p.numel() for p in method.parameters() if id(p) not in trained and id(p) not in teachers)
    return Weights(encoder, sum(trained.values()) - encoder, sum(teachers.values()), sum(units.values()),
                   sum(x.numel() for x in method.buffers()) + frozen)


def count(method: Method, kind, spec: Spec, settings: Training, *, mixed: bool, some: tuple[Batch, float] | None = None,
          extras: Mapping[str, Tensor] | None = None) -> Cost:
    """Counts the work of a process: the mean over four steps of a method that drops tokens, whose number differs from step to step, and
    the most that is kept.

    Args:
        method: on the meta device.
        kind: makes views.
        spec: of the data.
        settings: batch, accumulation and processes.
        mixed: bf16 where mixed precision computes in it, else float32.
        some: of packed samples, whose edges may be found by looking: samples and a method that are real, and how many times their rows a
            process takes at once.
        extras: what comes with a few samples, whose shapes stand for those of all.
    """
    steps = 4 if "keep" in method.needs else 1
    part = settings.batch // settings.parts
    batch, share = some or (blank(spec, part, extras or {}), 1.0)
    method.train()
    flops, kept = [], []
    with pretended(settings.processes) if settings.processes > 1 else nullcontext():
        for index in range(steps):
            step = TrainStep(kind, 0, index, steps, batch.values.device)
            counter = FlopCounterMode(display=False, custom_mapping={FUSED: _attention, FUSED_BACKWARD: _attention_backward})
            with counter, _kept(method) as held:
                with torch.autocast("cpu", torch.bfloat16, enabled=mixed), _AsOnGPU():
                    loss = method(batch, step).loss
                loss.backward()
            flops.append(counter.get_total_flops())
            kept.append(sum(held.values()))
    return Cost(settings.accumulate * share * sum(flops) / steps, int(share * max(kept)), weights_of(method))


def blank(spec: Spec, size: int, like: Mapping[str, Tensor]) -> Batch:
    """A batch that has shapes and no values, with extras of the shapes of ``like`` where the spec does not say them."""
    make = lambda *shape, dtype=torch.float32: torch.empty(*shape, dtype=dtype, device="meta")
    places = make(size, dtype=torch.int64)
    extras = {name: make(size, *held.shape[1:], dtype=held.dtype) for name, held in like.items()}
    extras |= {"text": make(size, spec.text, dtype=torch.int64)} if spec.text else {}
    extras |= {"channel": make(size, spec.channels, dtype=torch.int64), "place": make(size, spec.channels, 3)} if spec.mixed else {}
    return Batch(make(size, spec.channels, *spec.shape), places, places, box=make(size, 2, len(spec.shape)), extras=extras)


@contextmanager
def _kept(method: Method) -> Iterator[dict[int, int]]:
    """Bytes that the graph holds, by storage, without the weights themselves."""
    own = {x.untyped_storage()._cdata for x in (*method.parameters(), *method.buffers())}
    held: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        place = x.untyped_storage()
        if place._cdata not in own:
            held[place._cdata] = place.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        yield held


class _AsOnGPU(TorchFunctionMode):
    """Attention that never keeps its matrix and, where the CPU's switch is on, the number types of automatic mixed precision, which meta
    tensors do not know."""

    low = {F.linear, F.conv1d, F.conv2d, F.conv3d, torch.matmul, torch.bmm, torch.mm, Tensor.matmul, Tensor.__matmul__}
    high = {F.layer_norm, F.softmax, torch.softmax, Tensor.softmax, F.log_softmax, F.cross_entropy, F.mse_loss, F.smooth_l1_loss}

    def __torch_function__(self, function, types, given=(), named=None):
        to = torch.bfloat16 if function in self.low or function is F.scaled_dot_product_attention else None
        to = torch.float32 if function in self.high else to
        if to and torch.is_autocast_enabled("cpu"):
            cast = lambda x: x.to(to) if isinstance(x, Tensor) and x.dtype in (torch.float32, torch.bfloat16) else x
            given, named = tuple(map(cast, given)), {name: cast(x) for name, x in (named or {}).items()}
        if function is F.scaled_dot_product_attention:
            return FUSED(*given[:3], attn_mask=_added(given[3] if len(given) > 3 else (named or {}).get("attn_mask"), given[0]))[0]
        return function(*given, **(named or {}))


def _added(mask: Tensor | None, q: Tensor) -> Tensor | None:
    """A mask as the fused form takes it: what is added to the products, in their number type."""
    if mask is None or mask.dtype != torch.bool:
        return mask if mask is None else mask.to(q.dtype)
    return torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill(~mask, -torch.inf)


def _attention(q, k, v, *rest, **named) -> int:
    """Two products: queries with keys, and their weights with values."""
    return 2 * math.prod(q[:-1]) * k[-2] * (q[-1] + v[-1])


def _attention_backward(grad, q, k, v, *rest, **named) -> int:
    """Four products. What a fused kernel computes again is no work of the model."""
    return 2 * _attention(q, k, v)
