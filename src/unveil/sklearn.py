"""An encoder as a transformer of scikit-learn: ``fit`` teaches it without labels, ``transform`` gives features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unveil import api
from unveil.data.options import Options
from unveil.errors import Unusable
from unveil.progress import progress
from unveil.recipes.check import find, settings_of
from unveil.recipes.kept import home, load_encoder, save_encoder

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as why:
    raise Unusable("unveil.sklearn needs scikit-learn 1.6 or newer: pip install 'unveil[sklearn]'") from why


class Embedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Teaches an encoder on an array without labels; its pooled features are what comes out.

    A row of a two-dimensional ``X (n, T)`` is a series of one channel, in order of time: columns without an order are not what an encoder
    is for. ``X (n, C, T)`` are series, ``X (n, H, W)`` and ``(n, H, W, C)`` pictures. A row is one sample, whole.

    Args:
        method: name of what teaches.
        kind: ``"signal"`` or ``"image"``; must be given for three axes, where it is not certain.
        layout: axes of a sample, such as ``"tc"``; None is ``ct`` and ``hwc``.
        encoder: name of the network; None takes the recipe's.
        steps: updates of the weights; None leaves them to ``scale``.
        scale: ``"auto"``, ``"small"`` or ``"published"``.
        settings: any other setting by its dotted name, such as ``{"encoder.width": 64}``.
        random_state: seed of everything random, a whole number.
        verbose: show progress.

    Attributes:
        encoder_: what was taught.
        recipe_: all that it was taught with, resolved.
        ending_: how training ended, with findings of the diagnosis.
    """

    def __init__(self, method: str = "simclr", *, kind: str | None = None, layout: str | None = None, encoder: str | None = None,
                 steps: int | None = None, scale: str = "auto", settings: Mapping[str, Any] | None = None, random_state: int = 0,
                 verbose: bool = False):
        self.method, self.kind, self.layout, self.encoder, self.steps = method, kind, layout, encoder, steps
        self.scale, self.settings, self.random_state, self.verbose = scale, settings, random_state, verbose

    def fit(self, X, y=None) -> Embedding:
        """Teaches on ``X``; ``y`` is not looked at.

        Raises:
            Unusable: for a wrong setting.
            ValueError: for an ``X`` that cannot be learned from.
        """
        X = self._checked(X, reset=True)
        settings = dict(self.settings or {})
        if self.steps is not None:
            settings["train.steps"] = self.steps
        options = self._options(X)
        whole = {"window": _length(X, options)} if _series(options) else {}
        kind, samples = api.open_data(X, options=options, settings=whole)
        seed = int(self.random_state or 0)
        self.recipe_ = api.settle(samples, kind, self.method, encoder=self.encoder, scale=self.scale, seed=seed, settings=settings)
        with progress(silent=not self.verbose) as show:
            self.encoder_, self.ending_ = api.train(self.recipe_, kind, samples, None, show=show)
        return self

    def transform(self, X) -> np.ndarray:
        """Features ``(n, width)`` float32 of every row."""
        check_is_fitted(self, "encoder_")
        X = self._checked(X, reset=False)
        options, taught = self._options(X), self.encoder_.spec.shape
        if _series(options) and _length(X, options) != taught[0]:
            raise ValueError(f"series of X have {_length(X, options)} values, those that the encoder was taught on {taught[0]}")
        return api.embed(self.encoder_, X, options=options)

    def save(self, folder: str | Path) -> None:
        """Writes the encoder as safetensors and JSON; :meth:`from_run` and :func:`unveil.load` read it, and nothing is unpickled."""
        check_is_fitted(self, "encoder_")
        save_encoder(Path(folder), self.encoder_, self.recipe_, self.encoder_.beside)

    @classmethod
    def from_run(cls, folder: str | Path) -> Embedding:
        """The fitted estimator of a run or of a folder that :meth:`save` wrote. A clone of it teaches the same network with the same
        method; how long is then the recipe's choice."""
        encoder = load_encoder(folder)
        facts = json.loads((home(folder) / "config.json").read_text())
        parts = {section: dict(facts[section]) for section in ("method", "encoder")}
        names = {section: held.pop("name") for section, held in parts.items()}
        made = cls(**names, kind=facts["kind"]["name"], random_state=facts["seed"],
                   settings={f"{section}.{name}": value for section, held in parts.items() for name, value in held.items()})
        made.encoder_ = encoder
        return made

    @property
    def _n_features_out(self) -> int:
        return self.encoder_.width

    def _options(self, X: np.ndarray) -> Options:
        kind = self.kind or {2: "signal", 4: "image"}[X.ndim]
        return Options(kind=kind, layout=self.layout or {(True, 3): "ct", (False, 4): "hwc"}.get((_series(Options(kind=kind)), X.ndim)))

    def _checked(self, X, reset: bool) -> np.ndarray:
        X = validate_data(self, X, reset=reset, allow_nd=True, dtype="numeric", ensure_min_samples=2 if reset else 1,
                          ensure_min_features=2 if reset else 1)
        if X.ndim > 4 or (self.kind is None and X.ndim == 3):
            raise ValueError(f"X is {'x'.join(map(str, X.shape))}: " + ("it has more axes than series or pictures have" if X.ndim > 4 else
                             "give kind='signal' for series or kind='image' for pictures"))
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _series(options: Options) -> bool:
    """Whether samples are windows of series, whose length can be chosen."""
    return "window" in settings_of(find("kind", options.kind))


def _length(X: np.ndarray, options: Options) -> int:
    """Values of a series."""
    return X.shape[1 if options.layout == "tc" else -1]
