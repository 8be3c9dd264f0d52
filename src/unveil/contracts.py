"""The contracts that kinds, encoders, methods and tasks meet in. Nothing here knows any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from unveil.randomness import Generator
from unveil.tokens import Graph, Tokens


@dataclass(frozen=True)
class Range:
    """Limits of a setting, both included; recipes refuse a value outside."""

    low: float | None = None
    high: float | None = None


Count = Annotated[int, Range(1)]
Index = Annotated[int, Range(0)]
Positive = Annotated[float, Range(1e-12)]
NotNegative = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class Spec:
    """What one sample of an opened data set looks like.

    Attributes:
        channels: number of channels.
        shape: grid size without channels: ``(time,)``, ``(height, width)`` or ``(depth, height, width)``; ``()`` for packed samples.
        axes: their names, such as ``("t",)`` or ``("y", "x")``; of the places of rows for packed samples.
        spacing: distance between neighbours along each axis, in ``unit`` (seconds, millimetres, pixels).
        unit: name of that unit.
        mean: per channel, from the training samples; the encoder subtracts it.
        std: per channel; the encoder divides by it.
        packed: samples have rows of unequal number instead of a grid.
        edge_channels: numbers that are known of an edge.
        code_channels: numbers that say where a row stands in its graph.
        mixed: samples have channels of unequal number and place; ``channels`` is the greatest number, and as nothing is known of a channel
            as such, ``mean`` is 0 and ``std`` 1.
        text: token numbers of the text that comes with a sample; 0 where none does.
    """

    channels: int
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    spacing: tuple[float, ...]
    unit: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    packed: bool = False
    edge_channels: int = 0
    code_channels: int = 0
    mixed: bool = False
    text: int = 0

    def to_json(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Spec:
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()})


@dataclass
class Batch:
    """Samples on their way through. Labels are never in it.

    Samples of equal shape stand side by side. Packed ones (graphs, atoms) have rows of unequal number, laid end to end, and ``graph`` says
    whose they are.

    Attributes:
        values: ``(B, C, *shape)`` float32 in the kind's own units; packed ``(sum N, C)``.
        ids: ``(B,)`` int64, index of the sample in its data set.
        keys: ``(B,)`` int64, place in the stream of the whole run: random draws are keyed by it, so that a batch cut over
            processes draws what the whole would, and a sample that comes twice is seen in two ways.
        valid: bool ``(B, *shape)``, False where a value is missing (its value is then 0); packed ``(sum N)``, False for a row that a
            view took away. None says all are there.
        box: ``(B, 2, axes)`` lower and upper corner of each view in its source, in units of the spec.
        graph: packed only.
        where: packed only, places of the rows ``(sum N, axes)``, where they have any.
        extras: further named tensors, first axis B. Of mixed samples ``"channel"`` ``(B, C)`` int64: -1 where there is no such channel (its
            values are 0), 0 for a channel whose place is known, else 1 to 255, by which channels of unknown place are told apart; and
            ``"place"`` ``(B, C, 3)`` float32: of an electrode on the head, in head radii (right, front, up), 0 where unknown. Where a text
            comes with each sample ``"text"`` ``(B, L)`` int64: numbers of its words, 0 after its end. Of movements ``"elements"``
            ``(B, L, 35)`` float32, see :mod:`unveil.kinds.signal.movements`, and ``"gravity"`` ``(B, A, T)``.
    """

    values: Tensor
    ids: Tensor
    keys: Tensor
    valid: Tensor | None = None
    box: Tensor | None = None
    graph: Graph | None = None
    where: Tensor | None = None
    extras: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def map(self, change) -> Batch:
        """A batch of ``change(tensor)`` for every tensor in it."""
        changed = {name: change(x) for name, x in vars(self).items() if isinstance(x, Tensor)}
        return replace(self, **changed, graph=self.graph and self.graph.map(change),
                       extras={name: change(x) for name, x in self.extras.items()})

    def to(self, device: torch.device | str) -> Batch:
        return self.map(lambda x: x.to(device, non_blocking=True))

    @staticmethod
    def cat(batches: Sequence[Batch]) -> Batch:
        """Batches of equal shape, or packed ones, one after the other: views that share one pass of the encoder."""
        if len(batches) == 1:
            return batches[0]
        first = batches[0]
        joined = {name: torch.cat([getattr(batch, name) for batch in batches])
                  for name, x in vars(first).items() if isinstance(x, Tensor)}
        extras = {name: torch.cat([batch.extras[name] for batch in batches]) for name in first.extras}
        return replace(first, **joined, graph=first.graph and Graph.cat([batch.graph for batch in batches]), extras=extras)

    @property
    def row_keys(self) -> Tensor:
        """Of packed samples ``(sum N)`` int64: what draws for a row are keyed by, whatever batch its sample is in."""
        return self.graph.row_keys(self.keys)

    @property
    def there(self) -> Tensor:
        """Of packed samples bool ``(sum N)``: rows that no view took away."""
        return torch.ones_like(self.graph.sample, dtype=torch.bool) if self.valid is None else self.valid

    def one(self, number: int) -> Tensor | Batch:
        """A sample as its kind draws it: its values ``(C, *shape)``, or for packed samples, and where more is known of it, a batch of it
        alone. It waits for the device."""
        if self.graph is None:
            return self.map(lambda x: x[number:number + 1]) if self.extras else self.values[number].float()
        rows = (self.graph.sample == number).nonzero()[:, 0]
        pick = lambda x: None if x is None else x[rows]
        return Batch(self.values[rows].float(), self.ids[number:number + 1], self.keys[number:number + 1], pick(self.valid),
                     graph=self.graph.one(number), where=pick(self.where))


@dataclass
class Features:
    """What an encoder says of a batch.

    Attributes:
        local: a vector a token, dense ``(B, N, D)`` or packed ``(sum N, D)``.
        pooled: a vector a sample, ``(B, D)``: what probes and users get.
        hidden: outputs of the layers that were asked for, each shaped like ``local``.
        where: coordinates of ``local``.
        valid: bool, which of ``local`` stand for measured values; None says all.
        graph: of packed features, whose each row of ``local`` is.
        vectors: of geometric encoders ``(sum N, 3, D)``, which turn as the sample turns.
        levels: of hierarchical encoders, features of coarser rows, finest first.
    """

    local: Tensor
    pooled: Tensor
    hidden: list[Tensor] = field(default_factory=list)
    where: Tensor | None = None
    valid: Tensor | None = None
    graph: Graph | None = None
    vectors: Tensor | None = None
    levels: list[Features] = field(default_factory=list)


class Encoder(nn.Module):
    """The network that is kept.

    A subclass takes the :class:`Spec` of its data first and its settings by keyword; these are saved beside the weights, so
    a saved encoder rebuilds itself.

    Attributes:
        reads: what a kind must offer: ``"grid"`` (dense samples), ``"montage"`` (dense ones with mixed channels), ``"series"`` (dense
            ones along time, whichever channels they have), ``"movements"`` (movement elements of series), ``"edges"``, ``"places"`` or
            ``"hierarchy"`` (packed ones).
        supports: of ``"keep"`` (drops tokens), ``"layers"`` (returns hidden layers), ``"tokens"`` (local features on the
            token grid that a mask sampler sees), ``"rows"`` (a local feature a row of packed samples), ``"edges"`` (messages go
            along them), ``"hierarchy"`` (``levels`` of them, and ``hide`` a level), ``"condition"`` (a vector a sample, seen by
            every layer), ``"vectors"``, ``"patches"`` (``embed`` takes their size, of ``sizes``), ``"channels"`` (mixes whichever channels
            a sample has, ``Tokens.mixing`` says how), ``"frames"`` (reads frames of a series, which :meth:`frames` cuts), ``"hide"``
            (``encode`` takes ``hide``, bool ``(B, N)``: dense tokens whose values are not to be seen, but their places are),
            ``"stretches"`` (some neighbouring tokens are read as a sample of their own), ``"spans"`` (tokens have a ``span``, a ``raw`` and
            ``content``), ``"core"`` (tokens have one).
        waits: why its search for neighbours waits for the device, once a pass; empty for an encoder that never waits.
        width: length of a sample's feature vector.
        grows: a sample's vector is a sum over its rows, and so grows with them.
        local_width: length of a token's; ``width`` where nothing else is said.
        content: of the features that :meth:`embed` gives a token, how many, the first ones, come from its values; the others say what sort
            of token it is. For encoders with spans.
        depth: number of layers that ``layers`` may name, for encoders that support it.
        patch_values: number of raw values that a token covers, for encoders that support tokens.
        spec: of the data.
        tiny: settings of a network of a few thousand weights, with which conformance is checked.
        settings: name and settings that build another like it; set by whoever built it.
        kind: reads and views its data; set by the recipe, and by whoever loaded it.
        beside: what else its method kept, by name; set by whoever taught or loaded it.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"grid"})
    supports: ClassVar[frozenset[str]] = frozenset()
    tiny: ClassVar[dict[str, Any]] = {}
    waits: ClassVar[str] = ""
    grows: bool = False
    width: int
    depth: int
    patch_values: int
    content: int
    spec: Spec
    settings: dict[str, Any]
    kind: Any
    beside: Mapping[str, nn.Module] = MappingProxyType({})

    @property
    def local_width(self) -> int:
        return self.width

    def embed(self, batch: Batch) -> Tokens:
        """Samples to tokens, before any mixing between tokens."""
        raise NotImplementedError

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = ()) -> Features:
        """Tokens to features.

        Args:
            tokens: from :meth:`embed`.
            keep: index ``(B, K)`` of the tokens that the network may see; the others are dropped, not hidden.
            layers: blocks (from 0) whose outputs come back in ``hidden``.
        """
        raise NotImplementedError

    def chain(self) -> list[nn.Module]:
        """Its modules with weights from input to output, each after what feeds it, the last one the closing norm: of these a partial
        fine-tuning trains the last ones. Empty where there is no such order."""
        return []

    def units(self) -> list[nn.Module]:
        """Its repeated parts, each called as a module: they are cut into shards and compiled one by one. What is between the first and
        the last of :meth:`chain`."""
        return self.chain()[1:-1]

    def forward(self, batch: Batch, keep: Tensor | None = None, layers: Sequence[int] = ()) -> Features:
        return self.encode(self.embed(batch), keep, layers)


class Step(Protocol):
    """All that a method is told of the outside."""

    progress: float
    index: int

    def view(self, batch: Batch, count: int = 1, *, area: tuple[float, float] = (1.0, 1.0), size: float = 1.0,
             strength: float = 0.0, symmetry: bool = False) -> list[Batch]:
        """Random views of each sample, made by its kind.

        Args:
            batch: samples or views.
            count: how many views of each.
            area: smallest and largest share of the sample that a view covers.
            size: side of the view over the side of the sample; below 1 gives small views.
            strength: of value changes (colour, gain, noise), 0 for none, 1 for the field's usual.
            symmetry: apply the kind's exact symmetries too, such as a mirror image.
        """

    def generator(self, purpose: str) -> Generator:
        """Random numbers for ``purpose`` at this step, the same on every process."""


@dataclass
class Output:
    """What a method says of a batch.

    Attributes:
        loss: what is minimised, a scalar.
        scalars: further figures for the log; they stay on the device until logged.
        shown: detached tensors for monitors and pictures: ``embedding`` and ``projection`` ``(views, B, D)``, ``target``, ``masks``.
    """

    loss: Tensor
    scalars: dict[str, Tensor] = field(default_factory=dict)
    shown: dict[str, Tensor] = field(default_factory=dict)


class Method(nn.Module):
    """What teaches an encoder without labels.

    A subclass takes the encoder first; its keyword-only arguments are its settings, with the published values as defaults.

    Attributes:
        needs: what the encoder must support.
        asks: what a kind must offer beside what the encoder reads: ``"text"`` (a text with each sample).
        twins: settings under which the method must fail, by name: each breaks what the method stands on.
        per_batch: settings whose right value goes with 1 / batch size, and the batch size of their default.
        source: paper and code.
        style: True where the paper's text was not available, so that this is a reconstruction.
        tiny: settings for an encoder of a few thousand weights, with which conformance is checked.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    asks: ClassVar[frozenset[str]] = frozenset()
    twins: ClassVar[dict[str, dict[str, Any]]] = {}
    per_batch: ClassVar[dict[str, int]] = {}
    source: ClassVar[str] = ""
    style: ClassVar[bool] = False
    tiny: ClassVar[dict[str, Any]] = {}

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, batch: Batch, step: Step) -> Output:
        raise NotImplementedError

    def after_step(self, step: Step) -> None:
        """Called after each update of the weights: where a teacher follows."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weights with decay; biases, norms and other vectors without."""
        trained = [p for p in self.parameters() if p.requires_grad]
        return [{"params": [p for p in trained if p.dim() > 1], "decay": True},
                {"params": [p for p in trained if p.dim() <= 1], "decay": False}]

    def units(self) -> list[nn.Module]:
        """Repeated parts of everything in it, teachers included; a part names its own in a method of this name."""
        return [unit for part in self.modules() if part is not self and hasattr(part, "units") for unit in part.units()]

    def kept(self) -> dict[str, nn.Module]:
        """Everything that is saved at the end, by name."""
        return {"encoder": self.encoder}
