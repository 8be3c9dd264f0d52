"""Samples that are there twice, and those of them that lie on both sides of the split."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.api.looking import Finding, Looked, many, ticker
from unveil.api.opening import Say
from unveil.health.duplicates import clusters, difference, most_alike

NEAR = 0.01  # a near copy leaves at most this share of a sample unexplained, as noise of a tenth of its deviation does,
USUAL = 4  # and this many times less than the eighth most alike sample does in the middle of the set: so sets of look-alikes have none
LEAST = 0.9  # cosine of outlines from which pairs are compared by value: less than a picture of 20 pixels keeps when it is cut 1 pixel off
MOST = 100_000  # samples that are compared with each other
TRIED = 4  # most alike samples that each is compared with by value


def copies(looked: Looked, say: Say) -> tuple[dict[str, Any], list[Finding]]:
    """How copies were looked for, and findings on exact copies, near copies and those across the split.

    Samples of one source, such as overlapping windows of a recording, are never compared.
    """
    same = _exact(looked)
    compared, near = _near(looked, say)
    found = []
    nearly = f"the same but for at most {compared['unexplained']:.2%} of their variance, after a small shift, a gain and an offset"
    if looked.samples.packed:
        nearly = "the same rows, values and edges in another order, as far as refining the colours of rows tells"
    for topic, pairs, how in (("exact copies", same, "equal to the last bit"), ("near copies", near, nearly)):
        if len(pairs):
            found += _told(looked, topic, pairs, how)
    if looked.parts and len(both := torch.cat([same, near])):
        found += _across(looked, both)
    return compared, found


def _exact(looked: Looked) -> Tensor:
    """Pairs ``(P, 2)`` of samples of different sources with equal values, each with the first of its kind; blank ones are no copies."""
    return _alike(looked, np.flatnonzero(~looked.blank), looked.digest)


def _alike(looked: Looked, full: np.ndarray, column: np.ndarray) -> Tensor:
    """Pairs of samples ``full`` of different sources that are equal in a column, each with the first of its kind."""
    full = np.asarray(full)
    _, first, place = np.unique(column[full], return_index=True, return_inverse=True)
    pairs = np.stack([full[first[place]], full], 1)
    return torch.from_numpy(pairs[looked.sources[pairs[:, 0]] != looked.sources[pairs[:, 1]]])


def _near(looked: Looked, say: Say) -> tuple[dict[str, Any], Tensor]:
    """How pairs that are alike by value but not equal were looked for, and these ``(P, 2)``, the most alike first."""
    full = torch.from_numpy(np.flatnonzero(~looked.blank))
    full = full[torch.linspace(0, len(full) - 1, min(MOST, len(full))).long().unique()] if len(full) else full
    if looked.samples.packed:
        same = _alike(looked, full, looked.outline.numpy())
        return {"samples": len(full), "unexplained": 0.0}, same[torch.from_numpy(looked.digest[same[:, 0]] != looked.digest[same[:, 1]])]
    sources = torch.from_numpy(looked.sources)[full]
    how = {"samples": len(full), "unexplained": NEAR}
    if len(sources.unique()) < 2:
        return how, torch.empty(0, 2, dtype=torch.int64)
    usual = _usual(looked, full, sources)
    how |= {"usual": usual, "unexplained": min(NEAR, usual / USUAL)}
    cosine, at = most_alike(looked.outline[full], sources, TRIED, tick=ticker(say, "compared"))
    row, column = (cosine >= LEAST).nonzero().unbind(1)
    pairs = torch.stack([full[row], full[at[row, column]]], 1).sort(1).values.unique(dim=0)
    first, second = (looked.digest[side] for side in pairs.numpy().T)
    pairs = pairs[torch.from_numpy(first != second)]
    left = _differences(looked, pairs, say)
    order = left.argsort()
    return how, pairs[order][left[order] <= how["unexplained"]]


def _usual(looked: Looked, full: Tensor, sources: Tensor) -> float:
    """What of a sample its eighth most alike one leaves unexplained: the median over up to 500 samples."""
    rows = torch.linspace(0, len(full) - 1, min(500, len(full))).long().unique()
    cosine, at = most_alike(looked.outline[full], sources, 8, rows=rows)
    last = (cosine > -1).sum(1) - 1
    pairs = torch.stack([full[rows], full[at.gather(1, last.clamp_min(0)[:, None])[:, 0]]], 1)[last >= 0]
    return float(_differences(looked, pairs).median())


def _differences(looked: Looked, pairs: Tensor, say: Say = lambda text: None) -> Tensor:
    found, tick = [torch.empty(0)], ticker(say, "compared by value the most alike of")
    for part in pairs.split(1024) if len(pairs) else ():
        (a, there), (b, also) = (looked.standardised(side) for side in part.unbind(1))
        found.append(difference(a, b, None if there is None else (there, also)))
        tick(sum(map(len, found)), len(pairs))
    return torch.cat(found)


def _told(looked: Looked, topic: str, pairs: Tensor, how: str) -> list[Finding]:
    groups = clusters(pairs, len(looked.names))
    spare = sum(map(len, groups)) - len(groups)
    found = [Finding("warning", topic, f"{many(spare, 'sample')} too many, in {many(len(groups), 'set')} of samples that are {how}.",
                     "Copies count double in training and in figures: keep one of each, or give them one group.", evidence(looked, pairs))]
    label = looked.samples.labels
    if label is not None:
        other = pairs[torch.from_numpy((label[pairs[:, 0]] != label[pairs[:, 1]]) & (label[pairs] >= 0).all(1))]
        if len(other):
            found.append(Finding("warning", "contradicting labels", f"Labels differ within {many(len(other), 'pair')} of {topic}.",
                                 "One of each pair is wrong, or the label cannot be told from the sample.", evidence(looked, other)))
    return found


def _across(looked: Looked, pairs: Tensor) -> list[Finding]:
    """Copies with one side in what is learned from and one in what is scored on."""
    test = np.isin(looked.samples.index.numpy(), looked.parts.test.index.numpy())
    mixed = [group for group in clusters(pairs, len(test)) if 0 < test[group].sum() < len(group)]
    if not mixed:
        return []
    leaked = sum(int(test[group].sum()) for group in mixed)
    inside = np.isin(pairs.numpy(), np.concatenate(mixed)).all(1)
    share = leaked / test.sum()
    return [Finding("serious" if share >= 0.01 else "warning", "leak across the split",
                    f"There are copies of {many(leaked, 'test sample')} ({share:.2%}) among those to learn from ({looked.parts.name}).",
                    "Scores on them count memory, not understanding: remove them from one side, or give copies one group.",
                    evidence(looked, pairs[torch.from_numpy(inside)], test))]


def evidence(looked: Looked, pairs: Tensor, test: np.ndarray | None = None) -> list[str]:
    """``a = b`` by name, the sources with most pairs first; of pairs across the split where ``test`` is given, the test sample first."""
    pairs = pairs.numpy()
    if test is not None:
        straight = pairs[test[pairs[:, 0]] != test[pairs[:, 1]]]
        pairs = np.where(test[straight[:, :1]], straight, straight[:, ::-1])
    held = Counter(zip(looked.names[pairs[:, 0]].tolist(), looked.names[pairs[:, 1]].tolist(), strict=True))
    return [f"{a} = {b}" + (f" ({times} times)" if times > 1 else "") for (a, b), times in held.most_common()]
