"""Labels that can be read off one number: how well it tells the classes apart on samples that it was not fitted to."""

from __future__ import annotations

import numpy as np


def halves(labels: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Bool ``(n,)``: the half to learn from. Of each class every other unit, such as a subject, or every other sample of its only one."""
    learn = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        unit = np.unique(units[mine], return_inverse=True)[1]
        learn[mine] = (unit if unit.max() else np.arange(len(mine))) % 2 == 0
    return learn


def between(facts: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of each number's variance that lies between classes (eta squared).

    Args:
        facts: ``(n, F)``.
        labels: ``(n,)``.

    Returns:
        ``(F,)``; 0 for a number that never varies.
    """
    x = facts - facts.mean(0)
    total = np.square(x, dtype=np.float64).sum(0)
    sizes = np.bincount(np.unique(labels, return_inverse=True)[1])
    sums = np.stack([x[labels == label].sum(0, dtype=np.float64) for label in np.unique(labels)])
    apart = (np.square(sums) / sizes[:, None]).sum(0)
    return np.where(total > 1e-12 * len(x), apart / np.maximum(total, 1e-300), 0.0)


def readable(fact: np.ndarray, labels: np.ndarray, learn: np.ndarray) -> float:
    """Share of the classes' samples that one number gives right, each class counting alike.

    Args:
        fact: ``(n,)``.
        labels: ``(n,)``.
        learn: bool ``(n,)``: where the mean of each class is taken; the others go to the nearest.
    """
    classes, label = np.unique(labels, return_inverse=True)
    means = np.array([fact[learn & (label == c)].mean() if (learn & (label == c)).any() else np.inf for c in range(len(classes))])
    right = np.abs(fact[~learn, None] - means).argmin(1) == label[~learn]
    return float(np.mean([right[label[~learn] == c].mean() for c in np.unique(label[~learn])])) if right.size else 0.0
