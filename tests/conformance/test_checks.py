"""The checks can fail: methods, kinds and encoders that break one thing each are refused for that thing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from unveil.contracts import Output
from unveil.encoders.conv import ConvNet
from unveil.encoders.gin import GIN
from unveil.encoders.transformer import Transformer
from unveil.health.monitor import Monitor
from unveil.kinds.signal import Signal
from unveil.methods.byol import BYOL
from unveil.methods.mae import MAE
from unveil.methods.simclr import SimCLR
from unveil.recipes.check import TABLES
from unveil.testing import (
    Cell,
    check_draws,
    check_encoder,
    check_gradients,
    check_kind,
    check_learning,
    check_method,
    check_output,
    check_resume,
    check_saving,
    check_twin,
    check_waits,
    learn,
)
from unveil.tokens import pool

KIND = Signal(window=32)
FEW = dict(steps=40)


class Constant(MAE):
    """Its loss is the same whatever the encoder does."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        return Output(output.loss * 0 + 1, shown=output.shown)


class Detached(SimCLR):
    """No gradient goes back into the encoder."""

    def __init__(self, encoder, **settings):
        super().__init__(encoder, **settings)
        encoder.register_forward_hook(lambda module, given, features: setattr(features, "pooled", features.pooled.detach()))


class Rolling(MAE):
    """Draws from torch's global generator, which nobody seeded for it."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        return Output(output.loss * (1 + torch.rand(())), shown=output.shown)


class NumpyRolling(MAE):
    """Draws from numpy's."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        return Output(output.loss * (1 + np.random.rand()), shown=output.shown)


class Waiting(MAE):
    """Asks for the value of its loss."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        return Output(output.loss / output.loss.item(), shown=output.shown)


class Picking(MAE):
    """Picks by a mask, so that a size hangs on values."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        x = self.encoder(batch).pooled
        return Output(output.loss + x[x > 0].sum(), shown=output.shown)


class Listing(MAE):
    """Goes through the samples by their ids as Python numbers."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        return Output(output.loss * sum(batch.keys.tolist()), shown=output.shown)


class OneByOne(MAE):
    """Encodes sample after sample."""

    def forward(self, batch, step):
        output = super().forward(batch, step)
        parts = [self.encoder(batch.map(lambda x, i=i: x[i:i + 1])).pooled.sum() for i in range(len(batch))]
        return Output(output.loss + torch.stack(parts).mean(), shown=output.shown)


class Forgetful(MAE):
    """Keeps a running mean that no checkpoint holds."""

    running = 1.0

    def forward(self, batch, step):
        output = super().forward(batch, step)
        self.running = 0.5 * self.running + 0.1 * step.index
        return Output(output.loss * self.running, shown=output.shown)


class Silent(MAE):
    """Shows nothing to the monitor."""

    def forward(self, batch, step):
        return Output(super().forward(batch, step).loss)


class Attached(MAE):
    """Shows tensors that hold on to the graph."""

    def forward(self, batch, step):
        loss = super().forward(batch, step).loss
        return Output(loss, {"loss": loss})


class Partial(MAE):
    """The optimiser is not given the decoder."""

    def parameter_groups(self):
        return [{"params": list(self.encoder.parameters())}]


class Leaky(BYOL):
    """The teacher's side is computed with gradient."""

    def _target(self, views):
        encode, project = self.teacher.network
        return project(encode(views).pooled)


class Soft(SimCLR):
    """Claims that a setting which changes nothing breaks it."""

    twins = {"nothing is broken": {}}


@pytest.mark.parametrize("method, check, says", [
    (Constant, check_gradients, "no gradient reaches"), (Detached, check_gradients, "no gradient reaches encoder"),
    (Rolling, check_draws, "state of a global generator"), (NumpyRolling, check_draws, "state of a global generator"),
    (Waiting, check_waits, r"by .item\(\) at .*test_checks.py"), (Picking, check_waits, "a boolean index at .*test_checks.py"),
    (Listing, check_waits, r"by .tolist\(\) at .*test_checks.py"), (OneByOne, check_waits, "one by one"),
    (Forgetful, check_resume, "a resumed run ends otherwise"), (Silent, check_output, "shown must hold"),
    (Attached, check_output, "must be a detached tensor"), (Partial, check_gradients, "leaves out decoder"),
    (Leaky, check_gradients, "gradient reaches teacher"),
], ids=lambda x: getattr(x, "__name__", ""))
def test_a_method_that_breaks_one_thing_is_refused_for_it(method, check, says):
    with pytest.raises(AssertionError, match=says):
        check(Cell(method, KIND))
    with pytest.raises(AssertionError):
        check_method(method, KIND, learning=False)


@pytest.mark.parametrize("method", [Constant, Detached])
def test_what_teaches_nothing_does_not_pass_for_learning(method):
    with pytest.raises(AssertionError, match="does not beat its initial encoder"):
        check_learning(Cell(method, KIND, training=FEW))


def test_a_twin_that_learns_is_told():
    with pytest.raises(AssertionError, match="the twin was to fail, but learns"):
        check_twin(Cell(Soft, Signal(window=64), training=dict(steps=100)), "nothing is broken")


def test_a_named_fault_spoils_what_gains(monkeypatch):
    class Alarmed(Monitor):
        def judge(self, done, row):
            self.findings = [type("Finding", (), {"fault": "collapse", "part": "embedding"})]
            return {}, []

    monkeypatch.setattr("unveil.testing.learning.Monitor", Alarmed)
    with pytest.raises(AssertionError, match="names a fault"):
        check_learning(Cell(SimCLR, Signal(window=64), training=dict(steps=100)))


def test_the_standard_error_is_that_of_the_docstring(monkeypatch):
    right = {seed: [torch.tensor([0.0, 1, 0, 1]).double(), torch.tensor([1.0, 1, 0, 1 - seed]).double()] for seed in (0, 1)}
    answers = iter([x for seed in (0, 1) for x in right[seed]])
    monkeypatch.setattr("unveil.testing.learning._right", lambda *given: next(answers))
    learned = learn(Cell(SimCLR, KIND, training=dict(steps=1)), seeds=(0, 1))
    gains = [float((b - a).mean()) for a, b in right.values()]
    between = np.var(gains, ddof=1) / 2
    within = np.mean([float((b - a).var()) / 4 for a, b in right.values()]) / 2
    assert learned.gain == np.mean(gains) and learned.error == pytest.approx((between + within) ** 0.5)


class Waves(Signal):
    """Its views come from torch's global generator."""

    def view(self, batch, count, **asked):
        return [view if asked["strength"] == 0 else batch.map(lambda x: x + torch.randn(()) if x.is_floating_point() else x)
                for view in super().view(batch, count, **asked)]


class Unkeyed(Signal):
    """Its draws hang on the place in the batch."""

    def view(self, batch, count, *, generator, **asked):
        batch.keys[:] = torch.arange(len(batch)) if asked["strength"] else batch.keys
        return super().view(batch, count, generator=generator, **asked)


class Mixed(Signal):
    """Its statistics look at the other samples."""

    def statistics(self, batch):
        return super().statistics(batch) - super().statistics(batch).mean(0)


@pytest.mark.parametrize("kind, says", [(Waves, "global generator"), (Unkeyed, "keys"), (Mixed, "depend on its batch")])
def test_a_kind_that_breaks_one_thing_is_refused_for_it(kind, says):
    with pytest.raises(AssertionError, match=says):
        check_kind(kind, window=32)


class BatchMixing(ConvNet):
    """Subtracts the batch's mean, also in evaluation."""

    def encode(self, tokens, keep=None, layers=()):
        features = super().encode(tokens, keep, layers)
        features.pooled = features.pooled - features.pooled.mean(0)
        return features


class Hiding(Transformer):
    """Sets dropped tokens to zero instead of dropping them."""

    def encode(self, tokens, keep=None, layers=()):
        return super().encode(tokens, None, layers)


class Spare(Transformer):
    """Has a weight that nothing uses."""

    def __init__(self, spec, **settings):
        super().__init__(spec, **settings)
        self.spare = nn.Parameter(torch.zeros(3))


class Unfaithful(Transformer):
    """Is not rebuilt as it was."""

    def __init__(self, spec, **settings):
        super().__init__(spec, **settings)
        self.scale = nn.Parameter(torch.tensor(float(len(list(self.parameters())))))
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def encode(self, tokens, keep=None, layers=()):
        features = super().encode(tokens, keep, layers)
        self.calls += self.training
        features.pooled = features.pooled * self.scale + self.calls
        return features


@pytest.mark.parametrize("encoder, says", [(BatchMixing, "depend on its batch"), (Hiding, "kept tokens"),
                                           (Spare, "no gradient reaches spare")])
def test_an_encoder_that_breaks_one_thing_is_refused_for_it(encoder, says):
    with pytest.raises(AssertionError, match=says):
        check_encoder(encoder, KIND)


def changed(change):
    """Message passing whose features of rows are changed before they are pooled."""
    class Changed(GIN):
        """Changed."""

        def encode(self, tokens, keep=None, layers=()):
            features = super().encode(tokens, keep, layers)
            local = change(features, tokens)
            pooled = pool(local, features.valid, tokens.graph.sample, tokens.graph.count)
            return replace(features, local=local, pooled=pooled)
    return Changed


def _degrees(features, tokens):
    """Edges that a view took away are counted, too."""
    edges = tokens.graph.edges
    return features.local + features.local.new_zeros(len(features.local), 1).index_add_(0, edges[1], torch.ones(len(edges[0]), 1).to(
        features.local))


@pytest.mark.parametrize("change, says", [
    (lambda f, t: f.local - f.local.mean(0), "depend on its batch"),
    (lambda f, t: f.local + t.graph.place[:, None], "order of a sample's rows"),
    (_degrees, "edges that are not valid still change"),
    (lambda f, t: f.local / torch.zeros(t.graph.count, 1).to(f.local).index_add_(0, t.graph.sample, torch.ones_like(f.local[:, :1]))[
        t.graph.sample], "rows and edges that are not valid")], ids=["batch", "order", "edges", "sizes"])
def test_an_encoder_of_packed_samples_that_breaks_one_thing_is_refused_for_it(change, says):
    with pytest.raises(AssertionError, match=says):
        check_encoder(changed(change))


class Peeking(GIN):
    """Asks for the value of a sum."""

    def encode(self, tokens, keep=None, layers=()):
        features = super().encode(tokens, keep, layers)
        return replace(features, pooled=features.pooled * (1 + 0 * features.pooled.sum().item()))


@pytest.mark.parametrize("why", ["", "it says that it waits"])
def test_a_wait_outside_the_search_for_neighbours_is_told_whatever_an_encoder_says(why, monkeypatch):
    monkeypatch.setattr(Peeking, "waits", why)
    with pytest.raises(AssertionError, match=r"waits for the device, by \.item"):
        check_encoder(Peeking)


def test_kind_and_encoder_are_those_that_go_together():
    class Rows(SimCLR):
        needs = frozenset({"rows"})

    class Impossible(SimCLR):
        needs = frozenset({"tokens", "rows"})

    assert "grid" in Cell(SimCLR).kind.offers and "rows" in Cell(Rows).encoder.supports
    assert Cell(SimCLR, encoder=GIN).kind.offers >= GIN.reads and Cell(SimCLR, KIND).encoder is Transformer
    with pytest.raises(AssertionError, match="no kind has samples for an encoder that supports"):
        Cell(Impossible)
    with pytest.raises(AssertionError, match=r"for GIN that reads .'edges'.: signal offers .'grid', 'series'."):
        Cell(SimCLR, KIND, GIN)


def test_an_encoder_that_does_not_reload_is_told():
    with pytest.raises(AssertionError, match="gives other features"):
        check_saving(Cell(MAE, KIND, Unfaithful))


def test_a_class_of_no_table_and_no_module_is_checked_like_any_other():
    class Inner(MAE):
        pass

    before = {section: dict(table) for section, table in TABLES.items()}
    assert check_method(Inner, KIND, learning=False) == [] and before == TABLES
