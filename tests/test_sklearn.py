"""The scikit-learn transformer: scikit-learn's own checks, pipelines and searches, saving without pickles, mistakes.

All of scikit-learn's checks apply and none is excluded; the one for other array libraries skips itself where scipy's support is off.
"""

from __future__ import annotations

import numpy as np
import pytest

import unveil
from tiny import SETTINGS, pixels, series

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from unveil.errors import Unusable
from unveil.sklearn import Embedding

QUICK = {"encoder.width": 8, "encoder.stages": 1, "method.hidden": 8, "method.projection": 8, "train.batch": 4}


def quick(**given) -> Embedding:
    return Embedding(**{"encoder": "conv", "steps": 2, "settings": QUICK} | given)


@parametrize_with_checks([quick(steps=1)])
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(("X", "given"), [
    (series()[:, 0], {}), (series(), {"kind": "signal"}), (np.moveaxis(series(), 1, 2), {"kind": "signal", "layout": "tc"}),
    (pixels(), {}), (pixels()[..., 0], {"kind": "image"}), (np.moveaxis(pixels(), -1, 1), {"layout": "chw"})])
def test_series_and_pictures_a_row_each(X, given):
    features = quick(**given).fit_transform(X)
    assert features.shape == (24, 8) and features.dtype == np.float32 and np.isfinite(features).all()


def test_the_same_seed_gives_the_same_and_features_are_those_of_unveil():
    a, b, other = (quick(kind="signal", random_state=seed).fit(series()) for seed in (1, 1, 2))
    assert np.array_equal(a.transform(series()), b.transform(series()))
    assert not np.array_equal(a.transform(series()), other.transform(series()))
    options = unveil.Options(kind="signal", layout="ct")
    assert np.array_equal(a.transform(series()), unveil.embed(a.encoder_, series(), options=options))
    assert a.recipe_.train["steps"] == 2 and a.ending_.step == 2 and list(a.get_feature_names_out()[:2]) == ["embedding0", "embedding1"]


def test_a_search_over_methods_and_settings_finds_a_pipeline():
    labels = np.arange(24) % 2
    chain = make_pipeline(quick(kind="signal"), LogisticRegression())
    search = GridSearchCV(chain, {"embedding__method": ["simclr", "vicreg"], "embedding__steps": [1, 3]}, cv=2, error_score="raise")
    search.fit(series(), labels)
    assert search.best_estimator_["embedding"].recipe_.train["steps"] in (1, 3) and len(search.cv_results_["params"]) == 4
    assert search.score(series(), labels) > 0.5


def test_saved_and_read_again_without_pickles(tmp_path):
    taught = quick(kind="signal").fit(series())
    taught.save(tmp_path / "kept")
    assert {path.suffix for path in (tmp_path / "kept").iterdir()} == {".json", ".safetensors"}
    again = Embedding.from_run(tmp_path / "kept")
    assert np.array_equal(again.transform(series()), taught.transform(series()))
    afresh = clone(again).set_params(steps=1).fit(series())
    assert afresh.recipe_.encoder == taught.recipe_.encoder and afresh.recipe_.method == taught.recipe_.method


def test_from_a_run(tmp_path):
    run = unveil.pretrain(pixels(), kind="image", out=tmp_path, options=unveil.Options(layout="hwc"), settings=SETTINGS)
    again = Embedding.from_run(tmp_path)
    options = unveil.Options(kind="image", layout="hwc")
    assert np.array_equal(again.transform(pixels()), unveil.embed(run.encoder, pixels(), options=options))


def test_mistakes_are_said():
    with pytest.raises(ValueError, match="X is 24x3x64: give kind='signal' for series or kind='image' for pictures"):
        quick().fit(series())
    with pytest.raises(ValueError, match="series of X have 60 values, those that the encoder was taught on 64"):
        quick(kind="signal").fit(series()).transform(series()[..., :60])
    with pytest.raises(Unusable, match="there is no method 'simclir'; did you mean 'simclr'"):
        quick(kind="signal", method="simclir").fit(series())
    with pytest.raises(Unusable, match=r"encoder.widht is no setting of ConvNet; did you mean 'width'"):
        quick(kind="signal", settings={"encoder.widht": 8}).fit(series())
