"""Text beside features: words as numbers, and one causal transformer that reads them alone first and then beside what features say."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Features
from unveil.parts.gated import Cross, Gate, GatedBlock, xavier
from unveil.parts.positions import rotary
from unveil.parts.precision import wide
from unveil.parts.sentences import WIDTH as SENTENCE
from unveil.parts.sentences import remembered

PAD, START, END = 0, 1, 2
SPELLED = 3  # stands before a word that is given letter by letter
CLASS = "class"  # what the property is called whose values are classes


class Tokeniser:
    """Known words as one number each, others letter by letter.

    Args:
        phrases: from whose words the vocabulary is made, in the order of the alphabet.
    """

    def __init__(self, phrases: Iterable[str]):
        letters = [f"'{letter}" for letter in string.ascii_lowercase + string.digits + ".-"]
        self.names = ["", "<", ">", "~", *letters, *sorted({word for phrase in phrases for word in self.split(phrase)})]
        self.ids = {name: number for number, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    @staticmethod
    def split(text: str) -> list[str]:
        return re.findall(r"[a-z]+|\d+(?:\.\d+)?|[.-]", text.lower())

    def encode(self, text: str) -> list[int]:
        """Numbers of a text, without start and end."""
        found = []
        for word in self.split(text):
            found += [self.ids[word]] if word in self.ids else [SPELLED, *(self.ids[f"'{letter}"] for letter in word)]
        return found

    def sentence(self, text: str, length: int) -> Tensor:
        """``(length,)`` int64: start, the text, end, and padding; a longer text loses what is before its end."""
        found = [START, *self.encode(text)[:length - 2], END]
        return torch.tensor(found + [PAD] * (length - len(found)))

    def decode(self, ids: Iterable[int]) -> str:
        """The text again, up to its end."""
        said = ""
        for number in ids:
            if number in (PAD, END):
                break
            name = self.names[number]
            said += name[1:] if name.startswith("'") else " " if number in (START, SPELLED) else f" {name}"
        return " ".join(said.split())


class Pooler(nn.Module):
    """Learned queries, one cross-attention, a gated network, and a norm: ``(B, N, context)`` -> ``(B, queries, width)``."""

    def __init__(self, queries: int, width: int, context: int, heads: int, dropout: float):
        super().__init__()
        self.queries = nn.Parameter(torch.empty(queries, width))
        nn.init.xavier_uniform_(self.queries)
        self.cross, self.network = Cross(width, heads, context, dropout), Gate(width, 4 * width)
        self.norm, self.last = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        x = self.cross(self.queries.expand(len(x), -1, -1), x, None if valid is None else valid[:, None, None])
        return self.last(x + self.network(self.norm(x)))


class Beside(nn.Module):
    """A block of the decoder: a text block, then what cross-attention adds."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.block, self.cross = GatedBlock(width, heads), Cross(width, heads, width, dropout)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = self.block(x, mask, turn)
        return x + self.cross(x, context)


class TextPart(nn.Module):
    """All of SLIP that is not the encoder of signals: it is kept beside it, so that texts can be asked for later.

    Args:
        features: width of the encoder's features.
        words: numbers that tokens may have.
        width: of text and of pooled features.
        depth: blocks that read text alone, whose last state is the text's vector.
        decoder: blocks after them that say the next word; 0 for none.
        heads: of each attention.
        queries: that the decoder sees beside the one that becomes the sample's vector.
        dropout: of cross-attention, in training.
        hottest: logits of the contrast are at most so many times a cosine; it starts there.
        contrasted: the two projections are taught.
        spelled: texts ``(B, L)`` of token numbers to words: a text's vector is then made of that of a frozen sentence encoder, and the
            blocks that read text serve the decoder alone; without one there are none.
    """

    def __init__(self, features: int, *, words: int, width: int, depth: int, decoder: int, heads: int, queries: int, dropout: float,
                 hottest: float, contrasted: bool, spelled: Callable[[Tensor], list[str]] | None = None):
        super().__init__()
        self.width, self.heads, self.contrasted, self.spelled = width, heads, contrasted, spelled
        self.pool = Pooler(queries + 1, width, features, heads, dropout)
        self.table = nn.Embedding(words, width)
        self.reader = nn.ModuleList(GatedBlock(width, heads) for _ in range(depth if decoder or not spelled else 0))
        self.decoder = nn.ModuleList(Beside(width, heads, dropout) for _ in range(decoder))
        self.norm = nn.LayerNorm(width) if decoder else None
        self.of_sample, self.of_text = (nn.Linear(a, width, bias=False) for a in (width, SENTENCE if spelled else width))
        self.limit = math.log(hottest)
        self.heat = nn.Parameter(torch.tensor([self.limit]))  # weights in shards have an axis
        xavier(self)
        nn.init.normal_(self.table.weight, std=width ** -0.5)
        for part in (self.of_sample, self.of_text):
            part.requires_grad_(contrasted)
        self.heat.requires_grad_(contrasted)
        self.table.requires_grad_(decoder > 0 or not spelled)

    def units(self) -> list[nn.Module]:
        """See :meth:`unveil.contracts.Encoder.units`."""
        return [*self.reader, *self.decoder]

    def pooled(self, features: Features) -> Tensor:
        """What each query found in the features ``(B, 1 + queries, width)``; the first is the sample's own."""
        return self.pool(features.local, features.valid)

    def _order(self, text: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Who may see whom ``(L, L)``, and the turns of positions: padding comes last, so nobody before it sees it."""
        place = torch.arange(text.shape[1], device=text.device)
        return place[:, None] >= place, rotary(place[:, None].float(), self.width // self.heads, 10000.0)

    def read(self, text: Tensor) -> Tensor:
        """States after the blocks that read text alone ``(B, L, width)``; ``text (B, L)`` int64."""
        x, (mask, turn) = self.table(text) * self.width ** 0.5, self._order(text)
        for block in self.reader:
            x = block(x, mask, turn)
        return x

    def sample_vector(self, pooled: Tensor) -> Tensor:
        """Unit vectors ``(B, width)`` of samples."""
        return F.normalize(wide(self.of_sample(pooled[:, 0])), dim=-1)

    def text_vector(self, states: Tensor | None, text: Tensor) -> Tensor:
        """Unit vectors ``(B, width)`` of texts whose end is not among ``states``: of the last word of each, or of a frozen encoder's."""
        if self.spelled:
            known = text.new_empty(len(text), SENTENCE) if text.is_meta else torch.stack([remembered(of) for of in self.spelled(text)])
            return F.normalize(wide(self.of_text(known.to(self.of_text.weight))), dim=-1)
        last = (text[:, 1:] != PAD).sum(1) - 1
        state = states.gather(1, last.clamp_min(0)[:, None, None].expand(-1, 1, states.shape[-1]))[:, 0]
        return F.normalize(wide(self.of_text(state)), dim=-1)

    def scale(self) -> Tensor:
        """What cosines are multiplied by."""
        return self.heat.clamp(max=self.limit).exp()

    def surprise(self, states: Tensor, pooled: Tensor, text: Tensor) -> Tensor:
        """``-log P`` of every next word ``(B, L - 1)``, 0 where there is none; ``states`` are of the text without its last column."""
        x, (mask, turn) = states, self._order(text[:, :-1])
        for block in self.decoder:
            x = block(x, pooled, mask, turn)
        logits = wide(F.linear(self.norm(x), self.table.weight))
        return F.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten(), ignore_index=PAD, reduction="none").view(len(text), -1)

    def likelihood(self, pooled: Tensor, text: Tensor) -> Tensor:
        """Mean of ``log P`` over the words of texts ``(P, L)``, less their end, said of samples ``(B, 1 + queries, width)``: ``(B, P)``."""
        text = text.masked_fill(text == END, PAD)
        said = [self.surprise(states.expand(len(pooled), -1, -1), pooled, one.expand(len(pooled), -1)).sum(1) / (one[1:] != PAD).sum()
                for one, states in zip(text, self.read(text[:, :-1]), strict=True)]
        return -torch.stack(said, 1)

    def samples(self, features: Features) -> Tensor:
        """Unit vectors of samples, from an encoder's features."""
        return self.sample_vector(self.pooled(features))

    def texts(self, text: Tensor) -> Tensor:
        """Unit vectors of texts ``(B, L)``."""
        return self.text_vector(None if self.spelled else self.read(text[:, :-1]), text)
