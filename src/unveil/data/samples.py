"""Samples: what a kind makes of records. Indexed by the batch, lazily decoded, with what went wrong set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch, Spec
from unveil.data.machine import memory_limit, processes, processors
from unveil.data.packed import Packed
from unveil.data.records import Unreadable
from unveil.errors import Unusable
from unveil.wording import printable


class Samples:
    """A data set of one kind.

    Args:
        fetch: int64 indices ``(B,)`` -> ``values (B, C, *shape)`` float32 and ``valid (B, *shape)`` or None, and where there are any, the
            extras of the batch; of packed samples a batch.
        count: number of samples.
        shape: grid of a sample, without channels.
        channels: number of channels.
        axes: names of the grid's axes.
        spacing: distance between grid neighbours, one an axis.
        unit: of ``spacing``.
        labels: int64 ``(count,)``, -1 for none; None where there are no labels.
        classes: names of the labels.
        targets: float64 ``(count,)``, a number to predict, NaN where it is missing; None where there are none.
        dense: class number of every place, integers ``(count, *shape)`` below 0 where unlabelled; None where there are none.
        groups: int64 ``(count,)``: subject or recording, for honest splits; None where unknown.
        group_names: what the groups are called.
        test: bool ``(count,)``: the source's own held-out part; None where it has none.
        name: sample index -> name for messages.
        faults: what was set aside, name -> reason; grows while files are read.
        in_memory: nothing is decoded when a batch is asked for.
        notes: sentences about the source that a person should see; grows while files are read.
        cut: int64 ``(count, 2)``, which recording each sample is cut from and where in it the sample begins, in places along the first
            axis, counted from anywhere; None where samples are no parts of something longer.
        doubts: why no claim can be tested on these samples, sentences that a study's verdict gives; empty where there is no reason.
        mixed: samples have channels of unequal number and place, see :class:`unveil.contracts.Batch`.
        text: token numbers of the text among the extras of each sample; 0 where there is none.
        forces: of packed samples float32 ``(rows of the whole, axes)`` in eV/angstrom, NaN on all rows where they are unknown;
            None where none are known. They are labels: no batch holds them.

    Attributes:
        index: ids of the samples, int64; those of a subset are a part of the whole's.
        whole: number of samples of the whole.
        target: what the targets are called.
        ordered: what the groups are in order of, such as ``"mean degree"``; empty where their order says nothing.
        extensive: the targets grow with the rows of a sample, as an energy does.
        described: class name -> a sentence that says what it is; empty where nobody has said it.
        apart: what belongs together is kept together by a split; else single samples are held out, as the user asked.
    """

    def __init__(self, fetch: Callable[[Tensor], tuple[Tensor, Tensor | None] | Batch], count: int, *, shape: tuple[int, ...],
                 channels: int, axes: tuple[str, ...], spacing: tuple[float, ...], unit: str, labels: np.ndarray | None = None,
                 classes: list[str] | None = None, targets: np.ndarray | None = None, dense: np.ndarray | None = None,
                 groups: np.ndarray | None = None, group_names: Sequence[str] = (), test: np.ndarray | None = None,
                 name: Callable[[int], str] = str, faults: dict[str, str] | None = None, in_memory: bool = True,
                 notes: list[str] | None = None, cut: np.ndarray | None = None, doubts: Sequence[str] = (), mixed: bool = False,
                 text: int = 0, forces: Tensor | None = None):
        self.fetch, self.shape, self.channels, self.axes = fetch, shape, channels, axes
        self.spacing, self.unit, self.name, self.in_memory = spacing, unit, name, in_memory
        self.labels, self.classes, self.groups, self.test = labels, classes or [], groups, test
        self.group_names = list(group_names)
        self.targets, self.dense, self.target, self.extensive, self.forces = targets, dense, "target", False, forces
        self.described: dict[str, str] = {}
        self.faults = {} if faults is None else faults
        self.notes = [] if notes is None else notes
        self.mixed, self.text, self.apart, self.cut, self.doubts, self.ordered = mixed, text, True, cut, list(doubts), ""
        self.index, self.whole = torch.arange(count), count

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, at: Tensor, keys: Tensor | None = None) -> Batch:
        """Samples at positions ``at (B,)``. ``keys`` are their places in the stream of a run; by default their ids."""
        ids = self.index[at]
        keys = ids if keys is None else keys
        if self.packed:
            return replace(self.fetch(ids), ids=ids, keys=keys)
        values, valid, *more = self.fetch(ids)
        corner = values.new_tensor(values.shape[2:]) * values.new_tensor(self.spacing)
        box = torch.stack([torch.zeros_like(corner), corner]).expand(len(ids), -1, -1)
        return Batch(values, ids, keys, valid, box, extras=more[0] if more else {})

    @property
    def packed(self) -> bool:
        """Whether samples have rows of unequal number, such as atoms, instead of a grid."""
        return isinstance(self.fetch, Packed)

    @property
    def sizes(self) -> Tensor:
        """Rows of each packed sample, int64 ``(n,)``."""
        return self.fetch.sizes[self.index]

    @property
    def forced(self) -> np.ndarray:
        """Bool ``(n,)``: whether the forces on a sample are known."""
        if self.forces is None:
            return np.zeros(len(self), dtype=bool)
        return self.forces[self.fetch.start[self.index], 0].isfinite().numpy()

    def forces_on(self, at: Tensor) -> Tensor:
        """Forces ``(sum N, axes)`` on the rows of the samples at positions ``at (B,)``, as :meth:`batch` lays them end to end."""
        return self.forces[self.fetch.rows(self.index[at])]

    @property
    def looks(self) -> str:
        """What a sample looks like, in a few words."""
        if self.packed:
            sizes = self.sizes
            return f"{int(sizes.min())} to {int(sizes.max())} rows (mean {float(sizes.double().mean()):.1f}) with {self.channels} values"
        return f"{'x'.join(map(str, self.shape))} with {'up to ' * self.mixed}{self.channels} channel{'s' * (self.channels != 1)}"

    def subset(self, at: np.ndarray | Tensor) -> Samples:
        """The samples at ``at`` (positions or a bool mask), sharing the data. Ids stay those of the whole."""
        at = np.asarray(at)
        at = np.flatnonzero(at) if at.dtype == bool else at
        part = object.__new__(Samples)
        part.__dict__.update(self.__dict__)
        part.index = self.index[torch.as_tensor(at)]
        for column in ("labels", "targets", "dense", "groups", "test", "cut"):
            if getattr(self, column) is not None:
                setattr(part, column, getattr(self, column)[at])
        return part

    def without_labels(self) -> Samples:
        """The same samples, their classes unknown."""
        bare = self.subset(np.arange(len(self)))
        bare.labels, bare.classes = None, []
        return bare

    @property
    def answered(self) -> bool:
        """Whether anything is known of the samples that an encoder can be judged by."""
        return not all(column is None for column in (self.labels, self.targets, self.dense, self.forces))

    def readable(self) -> np.ndarray:
        """Reads every sample once and says as :meth:`sound` does."""
        for ids in () if self.in_memory else self.index.split(256):
            self.fetch(ids)
        return self.sound()

    def sound(self) -> np.ndarray:
        """Bool ``(n,)``: False for a sample that was found unreadable, in whose place another stood."""
        if self.in_memory or not self.faults:
            return np.ones(len(self), dtype=bool)
        return np.array([self.name(i) not in self.faults for i in self.index.tolist()], dtype=bool)

    def some(self) -> Tensor:
        """Positions of up to 2,048 evenly spaced samples; of 512 where each has to be decoded."""
        most = min(2048 if self.in_memory else 512, len(self))
        return torch.linspace(0, len(self) - 1, most).long().unique()

    def spec(self) -> Spec:
        """What a sample looks like, with channel statistics of :meth:`some` of them."""
        if not len(self):
            raise Unusable("there are no samples to learn from")
        if self.mixed:
            nothing, one = (0.0,) * self.channels, (1.0,) * self.channels
            return Spec(self.channels, self.shape, self.axes, self.spacing, self.unit, nothing, one, mixed=True, text=self.text)
        at = self.some()
        count, total, square = 0.0, 0.0, 0.0
        for part in at.split(256):
            batch = self.batch(part)
            values = batch.values.double().transpose(0, 1).flatten(1)  # packed rows are (sum N, C) already
            weight = torch.ones_like(values[:1]) if batch.valid is None else batch.valid.double().flatten()[None]
            count = count + weight.sum()
            total, square = total + (values * weight).sum(1), square + (values.square() * weight).sum(1)
        mean = total / count
        std = (square / count - mean.square()).clamp_min(0).sqrt()
        std = torch.where(std > 1e-8 * (1 + mean.abs()), std, torch.ones_like(std))
        more = dict(packed=True, edge_channels=self.fetch.edge_channels, code_channels=self.fetch.code_channels) if self.packed else {}
        statistics = tuple(mean.tolist()), tuple(std.tolist())
        return Spec(self.channels, self.shape, self.axes, self.spacing, self.unit, *statistics, text=self.text, **more)


def in_memory(values: Tensor, scale: float = 1.0) -> Callable[[Tensor], tuple[Tensor, None]]:
    """Fetch from one tensor ``(n, C, *shape)`` of any number type."""
    return lambda ids: ((values[ids] * scale).float(), None)


class Files:
    """Fetch by decoding records in threads, each at most once while the cache has room.

    A record that cannot be read is named in ``faults`` and the next readable one stands in for it, so batches keep their size.
    What was decoded first is kept to the end: an epoch asks for every record once, so a cache that drops the oldest would always have
    dropped what comes next, while a fixed part is found again in every epoch.

    Args:
        decode: record index -> ``uint8`` or ``float32`` array ``(C, *shape)``; raises :class:`Unreadable`, or
            :class:`Unusable` where what it means is not certain.
        count: number of records.
        name: record index -> name.
        faults: where to write what was set aside.
        share: of the memory that this process may use, for decoded samples; several processes divide it.
    """

    def __init__(self, decode: Callable[[int], np.ndarray], count: int, name: Callable[[int], str], faults: dict[str, str],
                 share: float = 0.25):
        self.decode, self.count, self.name, self.faults = decode, count, name, faults
        self.room, self.spent, self.cache = int(share * memory_limit()), 0, {}
        self.keeping, self.pool = Lock(), ThreadPoolExecutor(max(2, processors()), thread_name_prefix="decode")

    def _one(self, index: int) -> np.ndarray:
        for tried in range(self.count):
            at = (index + tried) % self.count
            if at in self.cache:
                return self.cache[at]
            if self.name(at) in self.faults:
                continue
            try:
                values = self.decode(at)
            except (Unreadable, Unusable) as why:
                self.faults[self.name(at)] = str(why)
                continue
            except Exception as why:
                raise RuntimeError(f"reading {self.name(at)} failed in an unforeseen way ({type(why).__name__}: {why})") from why
            self._keep(at, values)
            return values
        raise Unusable(f"none of the {self.count} samples can be read; {': '.join(next(iter(self.faults.items())))}")

    def _keep(self, at: int, values: np.ndarray) -> None:
        with self.keeping:
            if self.spent + values.nbytes <= self.room // processes() and at not in self.cache:
                self.spent += values.nbytes
                self.cache[at] = values

    def __call__(self, ids: Tensor) -> tuple[Tensor, None]:
        held = [self.cache.get(i) for i in ids.tolist()]
        missing = list(dict.fromkeys(i for i, values in zip(ids.tolist(), held, strict=True) if values is None))
        read = dict(zip(missing, self.pool.map(self._one, missing), strict=True))
        held = [read[i] if values is None else values for i, values in zip(ids.tolist(), held, strict=True)]
        if len({values.dtype for values in held}) > 1:
            held = [values / np.float32(255) if values.dtype == np.uint8 else values for values in held]
        values = torch.from_numpy(np.stack(held))
        return values / 255 if values.dtype == torch.uint8 else values.float(), None


def encode_labels(names: np.ndarray | None) -> tuple[np.ndarray | None, list[str]]:
    """Class names to numbers in sorted order; ``""`` becomes -1."""
    if names is None:
        return None, []
    names = names.tolist() if names.dtype.kind == "U" else list(map(str, names))
    shown = {name: printable(name) for name in set(names)}
    classes = sorted(set(shown.values()) - {""}, key=lambda text: (len(text), text) if text.isdigit() else (0, text))
    place = {name: number for number, name in enumerate(classes)}
    return np.array([place.get(shown[name], -1) for name in names], dtype=np.int64), classes
