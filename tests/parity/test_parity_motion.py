"""Movement elements, BioPM's, LIMU-BERT's and TS2Vec's networks and losses against the authors' code.

Numbers: ``numbers/README.md``."""

import motion
import numpy as np
import torch
from given import kept, normal
from torch.testing import assert_close

from unveil.kinds.signal.movements import elements
from unveil.parts.losses import mean_over
from unveil.parts.spans import span_masks
from unveil.parts.timestamps import hierarchical_contrast
from unveil.randomness import Generator

THEIRS = kept("motion")


def test_elements():
    ours = elements(motion.body().T[None], None, motion.RATE, None)[0]
    theirs = THEIRS["elements"].numpy()
    assert ours.shape == theirs.shape and len(ours) > 30
    np.testing.assert_allclose(ours[:, :32], theirs[:, :32], atol=2e-4)  # of a size of 300
    np.testing.assert_allclose(ours[:, 32:], theirs[:, 32:], rtol=1e-6)


def test_network_of_movement_elements_and_its_loss():
    method, rows, hidden = motion.biopm(), motion.rows(), motion.hidden()
    batch = motion.batch(torch.zeros(2, 3, motion.RATE * motion.WINDOW), elements=rows, gravity=torch.zeros(2, 3, 8))
    with torch.no_grad():
        tokens = method.encoder.embed(batch)
        features = method.encoder.encode(tokens, hide=hidden)
        answer = method.decode(features.local, tokens.valid)
    assert_close(features.local, THEIRS["local"], rtol=1e-4, atol=2e-5)
    assert_close(answer, THEIRS["answer"], rtol=1e-4, atol=5e-4)  # of a size of 250
    assert_close(features.pooled, THEIRS["pooled"], rtol=1e-4, atol=2e-5)
    error = (answer - tokens.raw).abs().mean(-1).flatten()
    terms = torch.stack([100 * mean_over(error, hidden.flatten()), mean_over(error, ~hidden.flatten())])
    assert_close(terms.double(), THEIRS["terms"], rtol=1e-5, atol=0)
    assert_close(terms.sum(), THEIRS["loss"], rtol=1e-5, atol=0)


def test_network_for_motion_sensors():
    method = motion.limu()
    with torch.no_grad():
        features = method.encoder(motion.batch(normal(21, 2, 120, 6).transpose(1, 2)))
        answer = method.decode(features.local)
    assert_close(features.local, THEIRS["limu_local"], rtol=0, atol=2e-4)  # their norms add 1e-12 to a variance, ours 1e-5
    assert_close(answer, THEIRS["limu_answer"], rtol=0, atol=5e-4)


def test_spans_are_distributed_as_theirs():
    """Number of runs and chance of each value to be hidden, of 4,000 draws each. Their last value is never hidden."""
    ours = span_masks(120, 18, Generator("spans"), torch.arange(4000))
    assert (ours.sum(1) == 18).all()
    runs = (torch.nn.functional.pad(ours, (1, 1)).int().diff(dim=1) == 1).sum(1)
    theirs = torch.arange(19).repeat_interleave(THEIRS["limu_runs"])
    error = float((runs.double().var() / 4000 + theirs.double().var() / 4000).sqrt())
    assert abs(float(runs.double().mean() - theirs.double().mean())) < 3.5 * error + 0.05
    assert abs(float(runs.double().std() - theirs.double().std())) < 0.06
    middle = slice(12, 108)
    assert abs(float(ours.double().mean(0)[middle].mean() - THEIRS["limu_hidden"][middle].mean())) < 0.003
    assert THEIRS["limu_hidden"][-1] == 0 and ours[:, -1].any()


def test_network_of_reaching_convolutions():
    encoder, x = motion.dilated(), normal(31, 2, 50, 3)
    with torch.no_grad():
        tokens = encoder.embed(motion.batch(x.transpose(1, 2)))
        local = encoder.encode(tokens, hide=normal(32, 2, 50) <= 0).local
    size = THEIRS["series"].abs().max()
    assert_close(local / size, THEIRS["series"] / size, rtol=0, atol=2e-6)


def test_hierarchical_contrast_and_its_gradient():
    for alpha, theirs in zip((0.0, 0.5, 1.0), THEIRS["contrast"], strict=True):
        a, b = normal(33, 5, 13, 6).requires_grad_(), normal(34, 5, 13, 6)
        loss = hierarchical_contrast(a, b, alpha)
        assert_close(torch.cat([loss[None], torch.autograd.grad(loss, a)[0].flatten()]), theirs, rtol=1e-5, atol=1e-6)
