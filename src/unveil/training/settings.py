"""How a run is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from unveil.contracts import Count, Fraction, NotNegative, Positive, Range
from unveil.data.order import Order
from unveil.data.samples import Samples
from unveil.training.loggers import needed


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of the loop.

    Args:
        steps: updates of the weights; None makes them of ``epochs``.
        epochs: passes over the data.
        batch: samples an update, over all processes and accumulated parts.
        rows: of samples of unequal size (nodes, atoms) an update, over all of its samples, at most; None bounds their number alone.
        accumulate: parts that a batch is computed in, one after the other.
        optimiser: AdamW, LARS (You et al. 2017, on weights alone) or SGD with momentum 0.9.
        lr: peak learning rate, as it is used (published rules such as lr * batch / 256 are applied in the recipe).
        warmup: share of the run over which lr rises to its peak.
        floor: lr at the end, as a share of the peak.
        decay: weight decay at the start and at the end, along a cosine.
        betas: of AdamW.
        clip: largest norm of the gradient; 0 does not clip.
        precision: ``"auto"`` is bf16 where the device computes in it, and on a CPU where samples have one shape; else float32.
        devices: processes on each machine, one a GPU where there are any; as many as torchrun or Slurm has started, where one has.
        nodes: machines; more than one need torchrun or Slurm.
        strategy: of several processes: ``"ddp"`` keeps all weights on each, ``"fsdp"`` cuts weights, teachers and the optimiser's state
            into shards; ``"auto"`` is ddp.
        compile: ``torch.compile`` of the repeated parts of encoder, teacher and predictor; ``"auto"`` does on a GPU, but not for packed
            samples, each batch of which has another number of rows.
        checkpoint_every: steps between checkpoints; None makes about one a minute.
        snapshots: copies of the kept encoder that are left on the way, evenly spaced, the last at the end; 0 leaves none.
        logger: where figures are also sent, by the package of that name; nothing is sent unless one is named.
        stop_unhealthy: end the run when the diagnosis names a fault.
        memory_share: share of the memory limit that a step may take by its estimate.
    """

    steps: Count | None = None
    epochs: Positive = 100.0
    batch: Count = 256
    rows: Count | None = None
    accumulate: Count = 1
    optimiser: Literal["adamw", "lars", "sgd"] = "adamw"
    lr: Positive = 1e-3
    warmup: Fraction = 0.1
    floor: Fraction = 0.0
    decay: tuple[NotNegative, NotNegative] = (0.05, 0.05)
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    clip: NotNegative = 0.0
    precision: Literal["auto", "32", "bf16"] = "auto"
    devices: Count = 1
    nodes: Count = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    compile: Literal["auto", "yes", "no"] = "no"
    checkpoint_every: Count | None = None
    snapshots: Annotated[int, Range(0)] = 0
    logger: Literal["none", "wandb", "mlflow"] = "none"
    stop_unhealthy: bool = True
    memory_share: Fraction = 0.8

    def __post_init__(self) -> None:
        needed(self.logger)

    @property
    def processes(self) -> int:
        """All that share a batch."""
        return self.devices * self.nodes

    @property
    def parts(self) -> int:
        """What a batch is divided among: processes, and parts one after the other."""
        return self.accumulate * self.processes

    def order(self, samples: Samples, seed: int = 0) -> Order:
        """Batches of a run, each of one accumulated part."""
        return Order(samples, seed, self.batch // self.accumulate, self.rows and self.rows // self.accumulate, self.processes)

    def total(self, count: int) -> int:
        """Steps of a run on ``count`` samples."""
        return self.steps or max(1, round(self.epochs * count / self.batch))

    def snapshot_steps(self, count: int) -> set[int]:
        """Steps of a run on ``count`` samples after which the kept encoder is copied."""
        return {max(1, round(self.total(count) * (k + 1) / self.snapshots)) for k in range(self.snapshots)}
