"""Drawings of series: traces, the power at each time and frequency, and the power at each electrode."""

from __future__ import annotations

import base64
import io
import math
from functools import cache

import numpy as np
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.montages import places
from unveil.kinds.signal.describe import spectrum

MOST = 32  # channels that are drawn
WIDTH, LANE, LEAST, TALL = 120, 12.0, 3.0, 120  # a drawing and the lanes of its channels
NAMED = 5.0  # least height of a lane with its name
NEAR = 0.02  # of an electrode's place, in head radii
ROWS = {"Fp": "1 z 2", "AF": "7 3 z 4 8", "F": "9 7 5 3 1 z 2 4 6 8 10", "FT": "9 7 8 10", "FC": "5 3 1 z 2 4 6", "T": "9 7 8 10",
        "C": "5 3 1 z 2 4 6", "TP": "9 7 8 10", "CP": "5 3 1 z 2 4 6", "P": "9 7 5 3 1 z 2 4 6 8 10",
        "PO": "7 3 z 4 8", "O": "1 z 2", "I": "z"}
HEAD = 36.0  # radius of a head, of a drawing of 100 x 100
TINT = (226, 98, 33)


def drawing(sample: Tensor | Batch, names: list[str] | None = None) -> str:
    """Traces over the whole width, a lane a channel, each from its least to its greatest value; no lane for channels that a sample does not
    have. Where a value is missing there is a gap. Mixed channels are named after the electrode whose place they have."""
    values, valid, number = _parts(sample)
    names = names if isinstance(sample, Tensor) or "place" not in sample.extras else _electrodes(sample)
    rows = np.linspace(0, len(values) - 1, min(len(values), MOST)).round().astype(int)
    lane = max(LEAST, min(LANE, TALL / max(len(rows), 1)))
    lines = []
    for row, x in enumerate(values[rows]):
        top = row * lane
        lines += [_trace(x, valid, top, lane, f"trace t{row % 3}")]
        if names and len(names) > number[rows[row]] and names[number[rows[row]]] and lane >= NAMED:
            lines.append(f'<text class="lane" x="0" y="{top + min(lane, 8) / 2 + 1.5:.1f}">{_escaped(names[number[rows[row]]])}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {max(lane * len(rows), LANE):g}" class="sample">{"".join(lines)}</svg>'


@cache
def _known() -> tuple[list[str], np.ndarray]:
    """Electrodes of the 10-10 system with their places."""
    names = [f"{row}{column}" for row, columns in ROWS.items() for column in columns.split()]
    found = places(names)
    there = np.isfinite(found).all(1)
    return [name for name, held in zip(names, there, strict=True) if held], found[there]


def _electrodes(sample: Batch) -> list[str]:
    """Name of each channel of one sample; empty where no electrode is near."""
    names, where = _known()
    away = np.linalg.norm(sample.extras["place"][0].cpu().numpy()[:, None] - where, axis=-1)
    here = (sample.extras["channel"][0].cpu().numpy() == 0) & (away.min(1) < NEAR)
    return [names[at] if held else "" for at, held in zip(away.argmin(1), here, strict=True)]


def _parts(sample: Tensor | Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values ``(C, T)`` of the channels that are there, which times are measured ``(T,)``, and the numbers of these channels."""
    if isinstance(sample, Tensor):
        return sample.numpy(), np.ones(sample.shape[-1], bool), np.arange(len(sample))
    values = sample.values[0].float().cpu().numpy()
    there = sample.extras["channel"][0].cpu().numpy() >= 0 if "channel" in sample.extras else np.ones(len(values), bool)
    valid = np.ones(values.shape[1], bool) if sample.valid is None else sample.valid[0].cpu().numpy()
    return values[there], valid, np.flatnonzero(there)


def _trace(x: np.ndarray, valid: np.ndarray, top: float, lane: float, kind: str) -> str:
    here = valid & np.isfinite(x)
    low, high = (float(x[here].min()), float(x[here].max())) if here.any() else (0.0, 0.0)
    y = top + lane * (11 - 10 * ((x - low) / (high - low) if high > low else np.full(len(x), 0.5))) / 12
    step = WIDTH / max(len(x) - 1, 1)
    ends = np.flatnonzero(np.diff(np.r_[False, here, False].astype(int)))
    runs = [" ".join(f"{i * step:.1f},{y[i]:.1f}" for i in range(first, last)) for first, last in zip(ends[::2], ends[1::2], strict=True)]
    return "".join(f'<polyline class="{kind}" points="{points}"/>' for points in runs)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def spectrogram(sample: Tensor | Batch) -> str:
    """Log power by time (across) and frequency (up), mean over the channels that are there, as a picture; empty for too short a sample.

    Hann-tapered stretches of about a sixth of the sample that overlap by three quarters. White is a thousandth of the strongest or less.
    """
    import torch
    from PIL import Image
    values, valid, _ = _parts(sample)
    length = min(256, 2 ** round(math.log2(max(values.shape[-1] / 6, 1))))
    if length < 8 or not len(values):
        return ""
    x = torch.as_tensor(np.where(valid, values - values[:, valid].mean(1, keepdims=True), 0) if valid.any() else values)
    power = spectrum(x.unfold(-1, length, length // 4)).mean(0).numpy()[:, 1:]
    level = 10 * np.log10(np.maximum(power / max(power.max(), 1e-30), 1e-3)) / 30 + 1
    picture = np.empty((*level.T.shape, 4), np.uint8)
    picture[..., :3], picture[..., 3] = TINT, np.round(255 * level.T[::-1])
    held = io.BytesIO()
    Image.fromarray(picture).save(held, "PNG", optimize=True)
    return f'<img class="sample spectrogram" alt="" src="data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}">'


def head(sample: Tensor | Batch) -> str:
    """Power at each electrode on an outline of the head seen from above, nose up; empty where no place is known.

    Electrodes lie where their way from the top along the head brings them, the ears on the circle. An area goes with the power.
    """
    if isinstance(sample, Tensor) or "place" not in sample.extras:
        return ""
    channel, place = sample.extras["channel"][0].cpu().numpy(), sample.extras["place"][0].cpu().double().numpy()
    known = (channel == 0) & (np.abs(place).sum(1) > 0)
    if not known.any():
        return ""
    right, front, up = place[known].T
    way = np.arctan2(np.hypot(right, front), up) / (math.pi / 2)  # 1 at the height of the ears
    turn = np.arctan2(right, front)
    x, y = 50 + HEAD * way * np.sin(turn), 54 - HEAD * way * np.cos(turn)
    deviation = sample.values[0].double().cpu().numpy()[known].std(1)
    size = 0.8 + 5.7 * deviation / max(deviation.max(), 1e-30)
    outline = (f'<circle class="skull" cx="50" cy="54" r="{HEAD:g}"/><path class="skull" d="M44 18.6L50 11L56 18.6"/>'
               '<path class="skull" d="M14.3 48q-5 -1 -4 6q1 7 4 6M85.7 48q5 -1 4 6q-1 7 -4 6"/>')
    dots = "".join(f'<circle class="electrode" cx="{a:.1f}" cy="{b:.1f}" r="{r:.1f}"/>' for a, b, r in zip(x, y, size, strict=True))
    return f'<svg viewBox="0 0 100 100" class="sample head">{outline}{dots}</svg>'
