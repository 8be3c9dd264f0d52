"""A small residual convolutional network for grids of one, two or three axes (He et al. 2016, pre-activation)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Spec
from unveil.parts.norms import BatchNorm, Standardise
from unveil.parts.patches import centres
from unveil.tokens import Tokens, pool

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class Residual(nn.Module):
    """Two convolutions beside a shortcut; the first may halve the grid."""

    def __init__(self, axes: int, a: int, b: int, stride: int, kernel: int):
        super().__init__()
        conv = _CONV[axes]
        self.norm1, self.norm2 = BatchNorm(a), BatchNorm(b)
        self.conv1 = conv(a, b, kernel, stride, kernel // 2, bias=False)
        self.conv2 = conv(b, b, kernel, 1, kernel // 2, bias=False)
        self.shortcut = conv(a, b, 1, stride, bias=False) if a != b or stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(x))
        short = x if self.shortcut is None else self.shortcut(y)
        return short + self.conv2(F.relu(self.norm2(self.conv1(y))))


class ConvNet(Encoder):
    """Stem and residual stages; each stage after the first halves the grid and doubles the channels.

    The pooled feature is the mean over the last grid. Tokens cannot be dropped from a convolution, so methods that mask
    need another encoder.

    Args:
        spec: of the data.
        width: D, channels of the last stage.
        stages: number of stages.
        blocks: residual blocks a stage.
        kernel: side of the convolutions, odd.
        stride: of the stem.
    """

    tiny = dict(width=32, stages=2)

    def __init__(self, spec: Spec, *, width: Count = 256, stages: Count = 3, blocks: Count = 1, kernel: Count = 3,
                 stride: Count = 1):
        super().__init__()
        axes = len(spec.shape)
        self.spec, self.width = spec, width
        widths = [max(8, width >> (stages - 1 - stage)) for stage in range(stages)]
        self.standardise = Standardise(spec)
        self.stem = _CONV[axes](spec.channels, widths[0], 2 * stride + kernel - 2, stride, (2 * stride + kernel - 2) // 2,
                                bias=False)
        self.stages = nn.ModuleList()
        for stage, out in enumerate(widths):
            into = widths[max(stage - 1, 0)]
            first = Residual(axes, into, out, 2 if stage else 1, kernel)
            self.stages.append(nn.Sequential(first, *(Residual(axes, out, out, 1, kernel) for _ in range(blocks - 1))))
        self.norm = BatchNorm(width)

    def chain(self) -> list[nn.Module]:
        return [self.stem, *(block for stage in self.stages for block in stage), self.norm]

    def embed(self, batch: Batch) -> Tokens:
        x = self.stem(self.standardise(batch))
        grid = tuple(x.shape[2:])
        side = tuple(whole // cells for whole, cells in zip(batch.values.shape[2:], grid, strict=True))
        return Tokens(x.flatten(2).transpose(1, 2), centres(batch, grid, side), grid=grid)

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = ()) -> Features:
        if keep is not None or layers:
            raise ValueError("a convolutional network cannot drop tokens or return hidden layers: use --encoder transformer")
        x = tokens.values.transpose(1, 2).unflatten(2, tokens.grid)
        for stage in self.stages:
            x = stage(x)
        local = F.relu(self.norm(x)).flatten(2).transpose(1, 2)
        return Features(local, pool(local))
