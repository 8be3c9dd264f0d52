"""Label-free criteria: which of several encoders a figure of :mod:`unveil.health.panel` would pick.

Which way each points is that of its paper, never of results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Criterion:
    """A figure of the encoder's features as a judge.

    Attributes:
        figure: of :func:`unveil.health.panel.panel`, without the part's name.
        heading: for tables.
        wanted: ``"high"``, ``"low"`` or ``"near 1"``.
        source: who proposed it.
    """

    figure: str
    heading: str
    wanted: str
    source: str

    def score(self, figures: Mapping[str, float]) -> float:
        """The higher the better; NaN where there is no such figure, or it is not finite."""
        value = figures.get(f"embedding/{self.figure}", math.nan)
        return {"high": value, "low": -value, "near 1": -abs(value - 1)}[self.wanted] if math.isfinite(value) else math.nan


CRITERIA = {
    "rankme": Criterion("rankme", "RankMe", "high", "Garrido et al. 2023"),
    "effective-rank": Criterion("effective_rank", "eff. rank", "high", "Roy and Vetterli 2007"),
    "alpha-req": Criterion("alpha_req", "alpha", "near 1", "Agrawal et al. 2022"),
    "redundancy": Criterion("redundancy", "redundancy", "low", "Zbontar et al. 2021"),
    "uniformity": Criterion("uniformity", "uniform.", "low", "Wang and Isola 2020"),
    "alignment": Criterion("alignment", "align.", "low", "Wang and Isola 2020"),
    "lidar": Criterion("lidar", "LiDAR", "high", "Thilak et al. 2024"),
}
