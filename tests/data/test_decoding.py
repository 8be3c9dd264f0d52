"""Decoding near the size that is used gives the plain numbers; what was decoded is kept within bounds; reading ahead keeps the order."""

import io
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from unveil.api.pretraining import definition_of
from unveil.data.feed import AHEAD, Feed
from unveil.data.order import Order
from unveil.data.readers.pictures import decode, walk
from unveil.data.samples import Files, Samples
from unveil.kinds.image import Image
from unveil.kinds.image.read import fitted
from unveil.randomness import Generator
from unveil.recipes.recipe import resolve


def photo(width: int, height: int, mode: str = "RGB", form: str = "JPEG") -> io.BytesIO:
    """Detail of all sizes, as photographs have: waves whose strength falls with their number, and edges."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    draw = np.random.default_rng(0)
    planes = []
    for _ in mode:
        waves = sum(np.cos(2 * np.pi * (a * x + b * y + c)) / np.hypot(a, b) for a, b, c in draw.normal(0, 30, (40, 3)))
        planes.append(waves + 2 * ((x - 0.5) ** 2 + (y - 0.4) ** 2 < 0.05))
    values = np.stack(planes, -1)
    values = (255 * (values - values.min()) / np.ptp(values)).astype(np.uint8)
    held = io.BytesIO()
    Picture.fromarray(values.squeeze()).save(held, form, **({"quality": 95} if form == "JPEG" else {}))
    return held


@pytest.mark.parametrize("width, height, side", [(256, 256, 64), (1000, 667, 64), (667, 1000, 96), (300, 250, 224), (517, 411, 28)])
def test_a_reduced_picture_is_the_whole_one_brought_to_size(width, height, side):
    content = photo(width, height)
    plain = fitted(decode(content), side, 3, False, 8).astype(float)
    near = decode(content, side)
    assert min(near.shape[:2]) == side
    difference = np.abs(fitted(near, side, 3, False, 8) - plain) / 255
    assert difference.mean() < 0.01 and np.quantile(difference, 0.99) < 0.05


@pytest.mark.parametrize("mode, form", [("L", "JPEG"), ("RGB", "PNG"), ("L", "PNG"), ("RGBA", "PNG")])
def test_other_pictures_are_resized_as_before(mode, form):
    content = photo(300, 200, mode, form)
    plain = fitted(decode(content), 50, len(mode), False, 8).astype(float)
    difference = np.abs(fitted(decode(content, 50), 50, len(mode), False, 8) - plain)
    assert difference.max() <= (1 if form == "PNG" else 12) and difference.mean() < 0.75


def test_a_picture_is_never_enlarged_while_it_is_decoded():
    for form in ("JPEG", "PNG"):
        content = photo(40, 30, form=form)
        np.testing.assert_array_equal(decode(content, 64), decode(content))


def test_pictures_of_eight_bits_among_those_of_more_are_on_one_scale():
    files = Files(lambda i: np.full((1, 2, 2), 255, np.uint8) if i else np.full((1, 2, 2), 0.5, np.float32), 3, str, {})
    torch.testing.assert_close(files(torch.arange(3))[0][:, 0, 0, 0], torch.tensor([0.5, 1.0, 1.0]))


def counted(count: int, room: int, size: int = 8) -> tuple[Files, list[int]]:
    asked: list[int] = []

    def one(i: int) -> np.ndarray:
        asked.append(i)
        return np.full((3, size, size), i % 256, np.uint8)
    files = Files(one, count, str, {})
    files.room = room
    return files, asked


def test_a_set_larger_than_the_cache_keeps_a_part_of_it_in_every_epoch():
    each, kept, count = 3 * 8 * 8, 30, 100
    files, asked = counted(count, kept * each + each // 2)
    for epoch in range(4):
        before = len(asked)
        for ids in torch.randperm(count, generator=torch.Generator().manual_seed(epoch)).split(16):
            values, _ = files(ids)
            torch.testing.assert_close(values[:, 0, 0, 0] * 255, ids.float())
        assert len(asked) - before == (count if epoch == 0 else count - kept)
        assert sum(values.nbytes for values in files.cache.values()) == kept * each


def test_the_cache_takes_its_share_of_the_memory_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr("unveil.data.samples.memory_limit", lambda: 4000)
    files = Files(lambda i: np.zeros(100, np.uint8), 40, str, {}, 0.5)
    files(torch.arange(40))
    assert len(files.cache) == 20
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    shared = Files(lambda i: np.zeros(100, np.uint8), 40, str, {}, 0.5)
    shared(torch.arange(40))
    assert len(shared.cache) == 5


def test_the_size_of_the_cache_does_not_make_another_run():
    recipes = [resolve("simclr", "image", given={"kind.cache": share}) for share in (0.1, 0.9)]
    samples = Image(size=8).planted(8, Generator("t"))
    assert definition_of(recipes[0], samples) == definition_of(recipes[1], samples)
    other = resolve("simclr", "image", given={"kind.solarise": 0.9})
    assert definition_of(other, samples) != definition_of(recipes[0], samples)


def slow(count: int) -> tuple[Samples, list[int]]:
    asked: list[int] = []
    lock = threading.Lock()

    def fetch(ids):
        time.sleep(0.005)
        with lock:
            asked.append(int(ids[0]))
        return ids[:, None, None].float(), None
    return Samples(fetch, count, shape=(1,), channels=1, axes=("t",), spacing=(1.0,), unit="s", in_memory=False), asked


def test_batches_come_in_order_and_none_beyond_the_last_is_read():
    samples, asked = slow(64)
    feed = Feed(samples, Order(samples, 3, 4), steps=10)
    straight = [Feed(samples, Order(samples, 3, 4))._read(step).ids.tolist() for step in range(10)]
    asked.clear()
    assert [feed(step).ids.tolist() for step in range(10)] == straight
    assert asked == [ids[0] for ids in straight], "each batch was read once, in order"


def test_more_than_one_batch_is_read_ahead():
    samples, asked = slow(64)
    Feed(samples, Order(samples, 0, 4))(0)
    time.sleep(0.2)
    assert len(asked) == 1 + AHEAD and AHEAD > 1


def test_a_folder_nested_deeper_than_python_may_call_is_walked(tmp_path, monkeypatch):
    import sys
    deep = tmp_path.joinpath(*["d"] * 60)
    deep.mkdir(parents=True)
    (deep / "a.JPG").touch()
    (tmp_path / "jpg").touch()
    limit, depth = sys.getrecursionlimit(), len(__import__("inspect").stack())
    sys.setrecursionlimit(depth + 50)
    try:
        found = list(walk(tmp_path, {".jpg"}))
    finally:
        sys.setrecursionlimit(limit)
    assert found == [str(deep / "a.JPG")]
