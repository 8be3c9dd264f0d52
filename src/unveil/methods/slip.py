"""SLIP: a sample's vector finds that of its caption among all others, and the caption is said again word by word from the sample."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, NotNegative, Output, Positive, Step
from unveil.parts.distributed import gather, global_mean, rank
from unveil.parts.losses import matched
from unveil.parts.text import PAD, TextPart


class SLIP(Method):
    """Language-informed pre-training for sensors (Chen et al. 2026, arXiv 2603.11950).

    Learned queries pool the encoder's tokens. One causal transformer reads the caption: its first blocks alone, giving the text's vector,
    its last ones beside the pooled tokens, giving the next word. Both losses have the same weight and share one pass over the text. Samples
    are never changed, which keeps captions true.

    The patch size is drawn at each step from those of the encoder and is the same for the whole batch, so shapes are static. The published
    transformer is the pretrained Gemma 3 270M, whose last layers are taught; here one of any size is taught whole, from the beginning, or
    the contrast is with vectors of all-MiniLM-L6-v2, which stays as it is.

    Args:
        encoder: what is taught and kept; its patches may have several sizes.
        contrast: weight of the contrastive loss; 0 for captions alone.
        caption: weight of the caption loss; 0 for the contrast alone, without a decoder.
        hottest: largest factor of cosines, from which it starts.
        width: of text and of pooled tokens.
        depth: blocks that read text alone.
        decoder: blocks that also see the sample.
        heads: attention heads of both, and of the pooling.
        queries: pooled tokens beside the one that is the sample's vector.
        words: numbers that words may have.
        dropout: of cross-attention.
        texts: what reads a caption for the contrast: blocks that are taught here, or a frozen sentence encoder (``unveil[text]``) and a
            linear map. The encoder reads on the CPU and remembers 65,536 captions; a step waits for it.
        pairs: a sample's own caption. As control that of the next sample in the batch, which says nothing of it.
    """

    source = "arXiv 2603.11950; yuc0805/SLIP"
    needs = frozenset({"patches"})
    asks = frozenset({"text"})
    twins = {"captions of other samples": dict(pairs="shuffled")}
    tiny = dict(width=32, depth=1, decoder=1, heads=2, queries=4, words=192, dropout=0.0)

    def __init__(self, encoder: Encoder, *, contrast: NotNegative = 1.0, caption: NotNegative = 1.0, hottest: Positive = 1 / 0.07,
                 width: Count = 640, depth: Count = 12, decoder: Count = 6, heads: Count = 5, queries: Count = 64, words: Count = 256,
                 dropout: Fraction = 0.1, texts: Literal["taught", "frozen"] = "taught", pairs: Literal["own", "shuffled"] = "own"):
        if contrast == caption == 0:
            raise ValueError("contrast and caption are both 0: nothing would be taught")
        super().__init__(encoder)
        kind = getattr(encoder, "kind", None)
        if texts == "frozen" and kind is None:
            raise ValueError("texts is frozen, and the encoder has no kind that spells its captions")
        self.contrast, self.caption, self.pairs = contrast, caption, pairs
        self.text = TextPart(encoder.width, words=words, width=width, depth=depth, decoder=decoder if caption else 0, heads=heads,
                             queries=queries, dropout=dropout, hottest=hottest, contrasted=contrast > 0,
                             spelled=kind.spelled if texts == "frozen" else None)

    def kept(self) -> dict[str, nn.Module]:
        return super().kept() | {"text": self.text}

    def patch(self, step: Step) -> int:
        """The size of this step's patches, the same on every process."""
        sizes = self.encoder.sizes
        return sizes[int(step.generator("patch").number() * len(sizes))]

    def captions(self, batch: Batch) -> Tensor:
        """Token numbers ``(B, L)`` that each sample is paired with."""
        own = batch.extras["text"]
        if self.pairs == "own":
            return own
        everyone = gather(own)
        return everyone[(rank() * len(own) + torch.arange(1, len(own) + 1, device=own.device)) % len(everyone)]

    def forward(self, batch: Batch, step: Step) -> Output:
        view, = step.view(batch)
        features = self.encoder.encode(self.encoder.embed(view, self.patch(step)))
        pooled, text = self.text.pooled(features), self.captions(batch)
        states = self.text.read(text[:, :-1])
        vector, loss, told = self.text.sample_vector(pooled), 0.0, {}
        if self.contrast:
            told["contrast"] = matched(vector, self.text.text_vector(states, text), self.text.scale())
            loss = loss + self.contrast * told["contrast"]
        if self.caption:
            told["caption"] = global_mean(self.text.surprise(states, pooled, text).sum(), (text[:, 1:] != PAD).sum())
            loss = loss + self.caption * told["caption"]
        return Output(loss, {name: x.detach() for name, x in told.items()},
                      {"embedding": features.pooled.detach()[None], "projection": vector.detach()[None]})
