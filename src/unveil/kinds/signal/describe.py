"""The field's plain features of series, without a network."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Batch
from unveil.data.montages import TEN_TWENTY, places

BANDS = {"delta": (0.5, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0), "gamma": (30.0, 100.0)}  # Hz, as for EEG
OCTAVES = 5  # bands where those do not fit: the upper half of all frequencies, the half below it, ... and what is left
BINS = 10  # of the histogram
QUANTILES = (0.1, 0.5, 0.9)  # over the channels of a sample
MOMENTS = ("mean", "deviation", "least", "greatest", "mean difference")
AROUND = places(TEN_TWENTY)  # head radii
NEAR = 0.3  # head radii over which an electrode counts for a place
SHAPES = ("skewness", "kurtosis", "reversal", "entropy", "crossings", "longest above", "first zero", "first minimum", "centroid")


def bands(length: int, rate: float | None) -> list[tuple[float, float]]:
    """Lower and upper ends, upper not included, in periods a value (Nyquist is 0.5): those of EEG where ``rate`` values a second reach into
    gamma and windows are long enough for delta; else octaves."""
    if rate and rate > 2 * BANDS["gamma"][0] and length >= rate / 2:
        return [(low / rate, high / rate) for low, high in BANDS.values()]
    ends = [2.0**-k for k in range(OCTAVES)]
    return [(0.5 * low, 0.5 * high if high < 1 else math.inf) for low, high in zip([*ends[1:], 0.0], ends, strict=True)]


def statistics(batch: Batch, rate: float | None) -> Tensor:
    """Of the values that are there: moments, then shapes, then log power in :func:`bands`, each of every channel in turn ``(B, F * C)``.

    Of samples with mixed channels, whose places in the batch mean nothing: mean, deviation and quantiles of each over the channels that
    a sample has, then the powers about each place of the 10-20 system ``(B, F * 5 + bands * 19)``. Samples that say their own rate have
    the bands of EEG, those above Nyquist empty.
    """
    x, length = batch.values, batch.values.shape[-1]
    here = torch.ones_like(x[:, 0], dtype=torch.bool) if batch.valid is None else batch.valid
    channel = batch.extras.get("channel")
    there = torch.ones_like(x[..., 0], dtype=torch.bool) if channel is None else channel >= 0
    native = batch.extras.get("rate")
    ends = bands(length, rate) if native is None else [tuple(end / native[:, None, None] for end in band) for band in BANDS.values()]
    powers = _powers(x, here, there, ends)
    found = torch.stack([*_moments(x, here), *_shapes(x, here), *powers], 1)
    if channel is None:
        return found.flatten(1)
    return torch.cat([over_channels(found, there).flatten(1), about(torch.stack(powers, 1), batch.extras["place"], channel == 0)], 1)


def about(found: Tensor, place: Tensor, placed: Tensor) -> Tensor:
    """Figures of channels about each of :data:`AROUND`: their mean, weighted by how near electrodes are (a Gaussian of :data:`NEAR`), so
    that recordings of unlike montages say the same of a place; 0 where a sample has no electrode whose place is known.

    Args:
        found: ``(B, F, C)``.
        place: of the electrodes in head radii ``(B, C, 3)``.
        placed: which channels have one, bool ``(B, C)``.

    Returns:
        ``(B, F * 19)``.
    """
    centres = torch.as_tensor(AROUND, dtype=place.dtype, device=place.device).expand(len(place), -1, -1)
    near = (-0.5 * (torch.cdist(centres, place) / NEAR).square()).exp() * placed[:, None]
    return (found @ (near / near.sum(-1, keepdim=True).clamp_min(1e-12)).mT).flatten(1)


def over_channels(found: Tensor, there: Tensor) -> Tensor:
    """Mean, deviation and :data:`QUANTILES` over the channels that are there: ``(B, F, C)``, bool ``(B, C)`` -> ``(B, F, 5)``; 0 where a
    sample has none."""
    weight = there[:, None].to(found)
    count = weight.sum(-1, keepdim=True).clamp_min(1)
    mean = (found * weight).sum(-1, keepdim=True) / count
    std = (((found - mean).square() * weight).sum(-1, keepdim=True) / count).sqrt()
    ordered = torch.where(there[:, None], found, math.inf).sort(-1).values.nan_to_num(posinf=0.0)
    at = found.new_tensor(QUANTILES) * (count - 1)
    low = at.floor()
    pick = lambda place: ordered.gather(-1, place.long().expand(*found.shape[:2], -1))
    return torch.cat([mean, std, pick(low) + (at - low) * (pick(torch.minimum(low + 1, count - 1)) - pick(low))], -1)


def _moments(x: Tensor, here: Tensor) -> list[Tensor]:
    """:data:`MOMENTS`, each ``(B, C)``."""
    weight, pair = here[:, None].to(x), (here[:, 1:] & here[:, :-1])[:, None].to(x)
    count = weight.sum(-1)
    mean = (x * weight).sum(-1) / count.clamp_min(1)
    std = ((((x - mean[..., None]) * weight).square().sum(-1)) / (count - 1).clamp_min(1)).sqrt()
    least, greatest = (torch.where(here[:, None], x, fill) for fill in (math.inf, -math.inf))
    ends = [end.nan_to_num(posinf=0.0, neginf=0.0) for end in (least.amin(-1), greatest.amax(-1))]
    return [mean, std, *ends, (x.diff(dim=-1).abs() * pair).sum(-1) / pair.sum(-1).clamp_min(1)]


def standard(x: Tensor, here: Tensor) -> Tensor:
    """Each channel less its mean, over its deviation, both over what is there; 0 where a value is missing or a channel stands still."""
    weight = here[:, None].to(x)
    count = weight.sum(-1, keepdim=True).clamp_min(1)
    mean = (x * weight).sum(-1, keepdim=True) / count
    x = (x - mean) * weight
    std = (x.square().sum(-1, keepdim=True) / count).sqrt()
    moves = std > 1e-6 * mean.abs()
    return torch.where(moves, x / torch.where(moves, std, 1), 0)


def _shapes(x: Tensor, here: Tensor) -> list[Tensor]:
    """:data:`SHAPES`, each ``(B, C)``: what does not change with the scale and the level of a channel, after the ideas of catch22 (Lubba et
    al. 2019). Missing values count as the mean where neighbours in time are compared over more than one step."""
    z, length = standard(x, here), x.shape[-1]
    weight, pair = here[:, None].to(x), (here[:, 1:] & here[:, :-1])[:, None]
    mean = lambda values, of: (values * of).sum(-1) / of.sum(-1).clamp_min(1)
    above = (z > 0) & here[:, None]
    crossings = mean(((z[..., 1:] > 0) != (z[..., :-1] > 0)).to(x), pair.to(x))
    return [mean(z**3, weight), mean(z**4, weight), mean(z.diff(dim=-1) ** 3, pair.to(x)), _entropy(z, weight), crossings,
            _longest(above) / length, *_lags(z), _centroid(z)]


def _entropy(z: Tensor, weight: Tensor) -> Tensor:
    """Of a histogram of :data:`BINS` equal bins between the least and the greatest value, in nats."""
    gone = weight == 0
    low, high = z.masked_fill(gone, math.inf).amin(-1, keepdim=True), z.masked_fill(gone, -math.inf).amax(-1, keepdim=True)
    place = ((z - low) / (high - low).clamp_min(1e-12) * BINS).nan_to_num(0).long().clamp(0, BINS - 1)
    share = torch.zeros(*z.shape[:2], BINS, device=z.device).scatter_add_(-1, place, weight.expand_as(z).float())
    share = share / share.sum(-1, keepdim=True).clamp_min(1)
    return -torch.special.xlogy(share, share).sum(-1).to(z)


def _longest(flag: Tensor) -> Tensor:
    """Length of the longest stretch of True: ``(B, C, T)`` -> ``(B, C)``."""
    at = torch.arange(1, flag.shape[-1] + 1, device=flag.device)
    return (at - torch.where(flag, 0, at).cummax(-1).values).amax(-1).float()


def _lags(z: Tensor) -> list[Tensor]:
    """First lag at which the autocorrelation is not above 0, and first at which it has a minimum, as shares of the length; 1 where there is
    none."""
    length = z.shape[-1]
    power = torch.fft.rfft(z, 2 * length).abs().square()
    auto = torch.fft.irfft(power, 2 * length)[..., :length]
    auto = auto if length > 2 else F.pad(auto, (0, 3 - length))
    level = 1e-5 * auto[..., :1]
    low = auto[..., 1:-1] < torch.minimum(auto[..., :-2], auto[..., 2:]) - level
    first = lambda flag: torch.where(flag.any(-1), flag.to(torch.uint8).argmax(-1).float() + 1, length) / length
    return [first(auto[..., 1:] <= level), first(low)]


def spectrum(x: Tensor) -> Tensor:
    """Power at each frequency of Hann-tapered series ``(B, C, T)``: ``(B, C, T // 2 + 1)``, which sums to about their mean square."""
    length = x.shape[-1]
    taper = torch.hann_window(length, periodic=False, device=x.device) if length > 2 else torch.ones(length, device=x.device)
    power = torch.fft.rfft(x * taper).abs().square() / (length * taper.square().sum())
    twice = torch.full((power.shape[-1],), 2.0, device=x.device)
    twice[0] = 1.0
    if length % 2 == 0:
        twice[-1] = 1.0
    return power * twice


def _centroid(z: Tensor) -> Tensor:
    """Mean frequency by power, as a share of Nyquist."""
    power = spectrum(z)
    at = torch.fft.rfftfreq(z.shape[-1], 0.5, device=z.device)
    return (power * at).sum(-1) / power.sum(-1).clamp_min(1e-12)


def _powers(x: Tensor, here: Tensor, there: Tensor, ends: list[tuple[float, float]]) -> list[Tensor]:
    """Log power in each band ``(B, C)`` of what is left after the mean. Not below a millionth of the channel's and 1e-8 of the strongest
    channel's power, so that one that stands still has a figure that is no more than low."""
    weight = here[:, None].to(x)
    share = weight.mean(-1).clamp_min(1e-6)
    mean = (x * weight).mean(-1, keepdim=True) / share[..., None]
    power = spectrum((x - mean) * weight) / share[..., None]
    at = torch.fft.rfftfreq(x.shape[-1], device=x.device) + 1e-6  # so that rounding parts no frequency from its band
    total = power.sum(-1)
    floor = 1e-6 * total + 1e-8 * (total * there).amax(-1, keepdim=True) + 1e-30
    return [((power * ((at >= low) & (at < high))).sum(-1) + floor).log() for low, high in ends]
