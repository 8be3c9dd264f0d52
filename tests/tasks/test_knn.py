"""kNN: scikit-learn's own on the same features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benches import blobs
from sklearn.neighbors import KNeighborsClassifier

from unveil.tasks.knn import knn_predict


@pytest.mark.parametrize("k", [1, 5, 20, 500])
def test_votes_are_those_of_scikit_learn(k):
    x, y = blobs(900, apart=1.5)
    train, test = x[:300].astype(np.float32), x[300:].astype(np.float32)
    theirs = KNeighborsClassifier(min(k, 300), metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07))
    theirs.fit(train - train.mean(0), y[:300])
    ours = knn_predict(torch.as_tensor(train), torch.as_tensor(y[:300]), torch.as_tensor(test), 4, k).numpy()
    assert (ours == theirs.predict(test - train.mean(0))).mean() >= 0.995
