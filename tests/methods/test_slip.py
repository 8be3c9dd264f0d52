"""SLIP: its two losses against plain sums, what is kept, and what it asks for."""

import json
import math
from dataclasses import replace

import pytest
import torch

from unveil import api
from unveil.data.options import Options
from unveil.errors import Unusable
from unveil.kinds.signal import Signal
from unveil.methods.slip import SLIP
from unveil.parts.sentences import NEEDED, _encoder, available, remembered, sentences
from unveil.recipes.fit import ways
from unveil.recipes.kept import load_encoder, save_encoder
from unveil.recipes.recipe import resolve
from unveil.testing import CONTRACT, Cell, check_learning
from unveil.testing.methods import check_waits

CELL = Cell(SLIP, Signal(window=64, captions="signal"))


def output(size=6, **settings):
    method = CELL.build(**settings).train()
    batch = CELL.batch(size=size)
    features = method.encoder.encode(method.encoder.embed(batch, method.patch(CELL.step())))
    return method, batch, features, method(batch, CELL.step())


def test_the_contrast_is_both_cross_entropies():
    method, batch, features, told = output()
    s, t = method.text.samples(features).detach(), method.text.texts(batch.extras["text"]).detach()
    total = 0.0
    for i in range(6):
        for a, b in ((s, t), (t, s)):
            logits = [float(a[i] @ b[j]) / 0.07 for j in range(6)]
            total -= (logits[i] - math.log(sum(map(math.exp, logits)))) / 12
    assert float(told.scalars["contrast"]) == pytest.approx(total, rel=1e-4)


def test_the_caption_is_said_word_by_word_from_what_stands_before_it():
    method, batch, features, told = output()
    pooled, total, count = method.text.pooled(features), 0.0, 0
    for i, text in enumerate(batch.extras["text"]):
        length = int((text > 0).sum())
        for k in range(1, length):
            before = text[None, :k]
            x, (mask, turn) = method.text.read(before), method.text._order(before)
            for block in method.text.decoder:
                x = block(x, pooled[i:i + 1], mask, turn)
            logits = method.text.norm(x)[0, -1] @ method.text.table.weight.T
            total -= float(logits.detach().log_softmax(-1)[text[k]])
            count += 1
    assert float(told.scalars["caption"]) == pytest.approx(total / count, rel=1e-4)


def test_how_likely_a_text_is_said_is_the_mean_over_its_words():
    method, _, features, _ = output()
    pooled, text = method.text.pooled(features), torch.tensor([[1, 50, 60, 2, 0, 0], [1, 50, 60, 70, 80, 2]])
    likely = method.text.likelihood(pooled, text).detach()
    for j, length in enumerate((3, 5)):
        x, (mask, turn) = method.text.read(text[j:j + 1, :length]), method.text._order(text[j:j + 1, :length])
        for i in range(6):
            y = x
            for block in method.text.decoder:
                y = block(y, pooled[i:i + 1], mask, turn)
            logs = (method.text.norm(y)[0] @ method.text.table.weight.T).log_softmax(-1).detach()
            assert float(likely[i, j]) == pytest.approx(float(logs[range(length - 1), text[j, 1:length]].mean()), rel=1e-4)


def test_the_loss_is_their_weighted_sum():
    _, _, _, told = output()
    assert float(told.loss.detach()) == pytest.approx(float(told.scalars["contrast"] + told.scalars["caption"]), rel=1e-5)
    _, _, _, told = output(contrast=0.5, caption=2.0)
    assert float(told.loss.detach()) == pytest.approx(float(0.5 * told.scalars["contrast"] + 2 * told.scalars["caption"]), rel=1e-5)


def test_the_vector_of_a_text_is_of_its_last_word_and_knows_no_padding():
    method, text = CELL.build(), torch.tensor([[1, 50, 60, 70, 2, 0, 0]])
    longer = torch.nn.functional.pad(text, (0, 9))
    torch.testing.assert_close(method.text.texts(text), method.text.texts(longer))
    state = method.text.of_text(method.text.read(text)[:, 3])
    torch.testing.assert_close(method.text.texts(text), torch.nn.functional.normalize(state, dim=-1))


def test_each_loss_alone():
    method, _, _, told = output(caption=0.0)
    assert set(told.scalars) == {"contrast"} and not len(method.text.decoder)
    method, _, _, told = output(contrast=0.0)
    assert set(told.scalars) == {"caption"} and not method.text.of_sample.weight.requires_grad
    with pytest.raises(ValueError, match="nothing would be taught"):
        CELL.build(contrast=0.0, caption=0.0)


def test_shuffled_pairs_are_those_of_the_next_sample():
    method, batch, _, _ = output(pairs="shuffled")
    assert torch.equal(method.captions(batch), batch.extras["text"].roll(-1, 0))


def test_sizes_of_patches_are_drawn_step_by_step():
    method = CELL.build()
    drawn = [method.patch(CELL.step(index)) for index in range(40)]
    assert set(drawn) == set(method.encoder.sizes) and drawn == [method.patch(CELL.step(index)) for index in range(40)]


def test_it_is_taught_where_there_are_captions_alone():
    assert ways("signal", "slip") == [("flex", {"captions": "signal"})]
    assert not any(ways(kind, "slip") for kind in ("image", "graph", "atoms"))
    recipe = resolve("slip", "signal", given={"kind.captions": "none", "kind.window": 64})
    encoder = CELL.build_encoder()
    with pytest.raises(Unusable, match=r"slip asks for text.*--kind\.captions signal"):
        recipe.build_method(encoder)


def test_the_text_part_comes_back_from_a_saved_run(tmp_path):
    """Taught, judged in words, saved and loaded: texts and samples have the same vectors, bit for bit."""
    series = CELL.samples()[0].batch(torch.arange(48)).values.numpy()
    small = {f"encoder.{name}": value for name, value in CELL.encoder.tiny.items()} | {f"method.{name}": x for name, x in SLIP.tiny.items()}
    run = api.pretrain(series, method="slip", kind="signal", out=tmp_path / "run", networks=False,
                       settings=small | {"kind.window": 64, "train.steps": 4, "train.batch": 8},
                       options=Options(layout="ct"))
    loaded = api.load(tmp_path / "run")
    text = torch.tensor([[1, 50, 60, 2]])
    assert set(loaded.beside) == {"text"} and not loaded.beside["text"].training
    assert torch.equal(loaded.beside["text"].texts(text), run.encoder.beside["text"].texts(text))
    batch = CELL.batch(size=4)
    assert torch.equal(loaded.beside["text"].samples(loaded(batch)), run.encoder.beside["text"].samples(run.encoder(batch)))
    config = tmp_path / "run" / "encoder" / "config.json"
    said = config.read_text()
    config.write_text(said.replace(json.loads(said)["words"], "of another version"))
    assert not api.load(tmp_path / "run").beside, "words that had other numbers are read"
    config.write_text(said)
    (tmp_path / "run" / "encoder" / "text.safetensors").unlink()
    with pytest.raises(Unusable, match=r"text\.safetensors"):
        api.load(tmp_path / "run")


frozen = pytest.mark.skipif(not available(), reason=f"{NEEDED} is not installed")


@frozen
def test_frozen_texts_are_read_by_a_sentence_encoder_and_their_blocks_serve_the_captions_alone():
    method, batch, _, told = output(texts="frozen")
    words = CELL.kind.spelled(batch.extras["text"])
    assert words[0].split()[-1].isalnum() and len(set(words)) > 1
    known = torch.stack([sentences([text])[0] for text in words]) @ method.text.of_text.weight.detach().T
    known = known / known.norm(dim=1, keepdim=True)
    assert torch.allclose(method.text.texts(batch.extras["text"]).detach(), known, atol=1e-5)
    method.text.zero_grad()
    told.loss.backward()
    assert all(x.grad is not None for x in method.text.parameters())
    alone = output(texts="frozen", caption=0.0)[0]
    assert (len(method.text.reader), len(alone.text.reader)) == (1, 0) and not alone.text.table.weight.requires_grad


@frozen
def test_frozen_texts_keep_the_contract_but_wait_for_their_encoder():
    made = replace(CELL, settings=dict(texts="frozen"))
    for check in CONTRACT:
        if check is not check_waits:
            check(made)


@frozen
@pytest.mark.slow
def test_frozen_texts_teach():
    check_learning(replace(CELL, settings=dict(texts="frozen")))


@frozen
def test_an_encoder_taught_beside_frozen_texts_needs_their_encoder_for_texts_alone(tmp_path, monkeypatch):
    made = replace(CELL, settings=dict(texts="frozen"))
    method = made.build()
    with made.named() as names:
        save_encoder(tmp_path, method.encoder, made.recipe(names), {"text": method.text})
        monkeypatch.setattr("unveil.parts.sentences.find_spec", lambda name: None)
        remembered.cache_clear(), _encoder.cache_clear()
        loaded = load_encoder(tmp_path)
    batch = CELL.batch(size=2)
    assert loaded.beside["text"].samples(loaded(batch)).shape == (2, 32)
    with pytest.raises(Unusable, match="pip install 'unveil\\[text\\]'"):
        loaded.beside["text"].texts(batch.extras["text"])


def test_what_frozen_texts_cost_is_planned():
    settings = {"method.texts": "frozen", "kind.captions": "signal", "train.steps": 10}
    assert api.plan("slip", kind="signal", scale="small", channels=2, gpus=1, settings=settings)
