"""The dense probe tells textures apart that single tokens show, coordinates cannot, and random answers do not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

import unveil
from tasks.planted import Patches, halves, series
from unveil import api
from unveil.cli import main
from unveil.contracts import Spec
from unveil.data.options import Options
from unveil.encoders.tubelets import Tubelets
from unveil.errors import Unusable
from unveil.kinds.signal import Signal
from unveil.tasks.bench import Bench, Way
from unveil.tasks.dense import Dense, iou, token_labels
from unveil.tasks.local import passed
from unveil.tasks.task import judge


def textures(count: int = 60, side: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Stripes that stand and stripes that lie, cut along a line at a random place: pictures ``(n, side, side)`` and class of each pixel."""
    rng = np.random.default_rng(seed)
    cut, turned = 4 * rng.integers(0, side // 4 + 1, count), rng.integers(0, 2, count)
    across = np.arange(side)[None, None] < cut[:, None, None]
    labels = np.where(np.broadcast_to(across, (count, side, side)), turned[:, None, None], 1 - turned[:, None, None])
    lines = np.arange(side) % 2
    pictures = np.where(labels == 0, lines[None, :, None], lines[None, None])
    return (0.5 + 0.3 * (pictures - 0.5) + 0.1 * rng.normal(size=pictures.shape)).clip(0, 1).astype(np.float32), labels


def bench(values: np.ndarray, dense: np.ndarray, **columns) -> Bench:
    network = Patches(4, 2, 1)
    return Bench(halves(series(values[:, None], dense=dense, **columns)), {"patches": Way.frozen(network)}, budgets=(None,))


def rows(held: Bench) -> dict[tuple[str, str], dict]:
    return {(row["features"], row["metric"]): row for row in judge(held, [Dense()])[0]}


def test_textures_are_told_apart_by_tokens_and_not_by_their_place():
    values, labels = textures()
    found = rows(bench(values, labels))
    assert found["patches", "token accuracy"]["value"] > 0.95 and found["patches", "mean IoU"]["value"] > 0.9
    assert found["position", "token accuracy"]["value"] < 0.7 and found["position", "mean IoU"]["value"] < 0.55
    assert found["patches", "mean IoU"]["low"] <= found["patches", "mean IoU"]["value"] <= found["patches", "mean IoU"]["high"]
    shuffled = labels[np.random.default_rng(1).permutation(60)]
    assert rows(bench(values, shuffled))["patches", "token accuracy"]["value"] < 0.7, "labels of other pictures"


def test_a_place_that_says_the_class_is_shown_by_the_row_position():
    values, _ = textures()
    labels = np.broadcast_to(np.arange(16)[:, None] > 7, (60, 16, 16)).astype(int)
    found = rows(bench(values, labels))
    assert found["position", "token accuracy"]["value"] > 0.99 and found["patches", "token accuracy"]["value"] < 0.7


def test_labels_come_to_tokens_by_majority():
    labels = np.full((1, 8, 8), -1)
    labels[0, :4, :4] = np.array([[3, 3, 3, 3]] * 2 + [[3, 1, 2, 1]] + [[1] * 4])
    labels[0, :4, 4:] = np.array([[5] * 4] * 2 + [[6] * 4] * 2)
    labels[0, 4:, :4] = np.array([[7] * 4] * 3 + [[-1] * 4])
    held = series(np.zeros((1, 1, 8, 8)), dense=labels)
    network = Patches(4, 2, 1)
    at, found = next(passed(network, held, "cpu"))
    assert token_labels(network, held, at, found).tolist() == [[3, -1, 7, -1]], "9 of 16; a tie; 12 of 16; none"
    hidden = series(np.zeros((1, 1, 8, 8)), valid=np.arange(8)[None, :, None].repeat(8, 2) > 3, dense=labels)
    at, found = next(passed(network, hidden, "cpu"))
    assert token_labels(network, hidden, at, found).tolist() == [[-1, -1, 7, -1]], "a token without a value has no label"


def test_unlabelled_places_are_neither_learned_from_nor_scored():
    values, labels = textures()
    partly = labels.copy()
    partly[::3], partly[:, :8] = -1, -1
    row = rows(bench(values, partly))["patches", "token accuracy"]
    assert row["n_train"] == 20 and row["n_test"] == 20 and row["value"] > 0.95 and "160 tokens" in row["protocol"]


def test_mean_iou_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    true, told = rng.integers(0, 4, 500), rng.integers(0, 5, 500)
    counts = np.zeros((1, 5, 5))
    np.add.at(counts, (0, true, told), 1)
    assert iou(counts)[0] == pytest.approx(jaccard_score(true, told, labels=range(4), average="macro"))


def test_folds_hold_whole_groups_or_whole_samples(monkeypatch):
    from unveil.tasks import dense as module
    learn, seen = module.fit, []
    monkeypatch.setattr(module, "fit", lambda x, y, who, *rest: seen.append(who) or learn(x, y, who, *rest))
    values, labels = textures(20)
    rows(bench(values, labels))
    assert (seen[0] == np.repeat(np.arange(10), 16)).all()
    rows(bench(values, labels, groups=np.arange(20) // 2))
    assert (seen[2] == np.repeat(np.arange(10) // 2, 16)).all()


def test_what_a_task_lacks():
    values, labels = textures(8)
    assert "an array called dense" in Dense().lacks(bench(values, labels * 0), "patches")
    assert "not 65535 (below 0 where unlabelled)" in Dense().lacks(bench(values, np.where(labels, 65535, 0)), "patches")
    held = bench(values, labels)
    held.ways = {"plain": Way(lambda batch: batch.values.flatten(1))}
    assert Dense().lacks(held, "plain") == "a network with local features"
    x = np.zeros((20, 2, 40), np.float32)
    framed = Tubelets(Spec(2, (40,), ("t",), (1.0,), "sample", (0.0,) * 2, (1.0,) * 2), frame=16, hop=8, frames=4, patch=(1, 1, 8),
                      width=24, depth=1, heads=2)
    held = Bench(halves(series(x, dense=np.arange(800).reshape(20, 40) % 2)), {"film": Way.frozen(framed)}, budgets=(None,))
    assert "not of frames cut from it" in Dense().lacks(held, "film")


def test_labels_of_places_are_cut_and_scaled_like_the_values():
    values, labels = textures(4, 24)
    wide = np.pad(labels, ((0, 0), (0, 0), (4, 4)), constant_values=9)
    picture = np.pad(values, ((0, 0), (0, 0), (4, 4)))
    _, samples = api.open_data({"x": picture, "dense": wide}, options=Options(kind="image"))
    np.testing.assert_array_equal(samples.dense, labels)
    assert samples.subset([2]).dense.shape == (1, 24, 24)
    _, samples = api.open_data({"x": picture, "dense": wide}, options=Options(kind="image"), settings={"size": 12})
    np.testing.assert_array_equal(samples.dense, labels[:, 1::2, 1::2])
    x = np.tile(np.arange(50, dtype=np.float32), (2, 1, 1))
    held = {"x": x, "dense": np.tile(np.arange(50), (2, 1)), "rate": np.array(50.0)}
    _, samples = api.open_data(held, Signal(window=16, stride=5), Options(layout="ct"))
    np.testing.assert_array_equal(samples.dense, samples.batch(np.arange(len(samples))).values[:, 0])
    _, samples = api.open_data(held, Signal(window=8, rate=25.0), Options(layout="ct"))  # a filter smooths the values before
    np.testing.assert_array_equal(samples.dense, samples.batch(np.arange(len(samples))).values[:, 0].round())


@pytest.mark.parametrize("dense, message", [
    (np.zeros((4, 24, 24)), "it must hold one class number, an integer, for every place of the 4 samples"),
    (np.zeros((3, 24, 24), int), "for every place of the 4 samples"),
    (np.zeros((4, 12, 24), int), "dense holds labels of 12x24 places, the pictures are 24x24: give one label a pixel")])
def test_labels_that_do_not_fit_are_refused(dense, message):
    with pytest.raises(Unusable, match=message):
        api.open_data({"x": textures(4, 24)[0], "dense": dense}, options=Options(kind="image"))
    with pytest.raises(Unusable, match="has 50 values in time, but dense has labels of 40: give one label a value in time"):
        api.open_data({"x": np.zeros((2, 1, 50)), "dense": np.zeros((2, 40), int)}, Signal(window=16), Options(layout="ct"))


def test_from_an_archive_by_command_line(tmp_path, capsys):
    values, labels = textures(40)
    np.savez(tmp_path / "planted.npz", x=values, dense=labels)
    words = ["--encoder", "transformer", "--encoder.patch", "4", "--encoder.width", "32", "--encoder.depth", "1", "--encoder.heads", "2"]

    teach = ["pretrain", str(tmp_path / "planted.npz"), "--kind", "image", "--out", str(tmp_path / "run"), "--frozen", "--json"]
    settings = ["--train.steps", "2", "--train.batch", "8", "--method.hidden", "16", "--method.projection", "8"]
    assert main([*teach, *words, *settings]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(tmp_path / "planted.npz"), "--tasks", "dense", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["rows"]
    assert {row["features"] for row in found} == {"encoder", "random init", "position"}
    assert {row["task"] for row in found} == {"dense"}
    rows = unveil.evaluate(tmp_path / "run", tmp_path / "planted.npz", networks=False)
    assert {row["task"] for row in rows} == {"dense"}, "judged so where nothing else can"
