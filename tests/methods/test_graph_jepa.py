"""What Graph-JEPA asks for, against the formula written out."""

import torch
from torch.nn import functional as F

from hierarchies import random_graphs
from unveil.encoders.hierarchical import HierarchicalNet
from unveil.kinds.graph import Graph
from unveil.methods.graph_jepa import GraphJEPA
from unveil.testing import Cell, learn
from unveil.training.step import TrainStep

STEP = TrainStep(Graph(levels=2), 0, 3, 10)


def silent() -> tuple[GraphJEPA, object]:
    """A method that answers zero, and a batch: the error then says what the aim is."""
    samples = random_graphs([9, 14, 20, 11], levels=2)
    torch.manual_seed(0)
    method = GraphJEPA(HierarchicalNet(samples.spec(), width=16), targets=30, hidden=8)  # all patches but the context
    for weight in method.predict[-1].parameters():
        weight.data.zero_()
    return method, samples.batch(torch.arange(4))


def test_the_aim_is_a_point_of_the_hyperbola_and_the_teacher_attends_to_targets_alone(monkeypatch):
    method, batch = silent()
    shown = []
    patches = GraphJEPA._patches
    monkeypatch.setattr(GraphJEPA, "_patches", lambda self, *given: (shown.append(given[-1]), patches(self, *given))[1])
    loss = method(batch, STEP).loss
    context, asked = shown
    top = batch.graph.coarser
    assert torch.equal(context, ~asked) and torch.equal(torch.bincount(top.sample[context], minlength=4), torch.ones(4, dtype=torch.long))
    top.code = torch.zeros_like(top.code)
    hidden = [torch.zeros_like(batch.graph.sample, dtype=torch.bool), context]
    with torch.no_grad():
        middle = method.teacher.network.encode(method.teacher.network.embed(batch), hide=hidden).levels[-1].local.mean(1)
    aim = torch.stack([middle.cosh(), middle.sinh()], 1)[asked]
    torch.testing.assert_close(loss, F.smooth_l1_loss(torch.zeros_like(aim), aim), rtol=1e-5, atol=1e-6)


def test_the_aim_does_not_hold_where_a_patch_stands_and_the_answer_does():
    method, batch = silent()
    loss = method(batch, STEP).loss
    batch.graph.coarser.code = batch.graph.coarser.code.flip(0)
    assert torch.equal(method(batch, STEP).loss, loss)
    torch.nn.init.ones_(method.predict[-1].weight)
    before = method(batch, STEP).loss
    batch.graph.coarser.code = batch.graph.coarser.code.flip(1)
    assert not torch.equal(method(batch, STEP).loss, before)


def test_the_published_aim_teaches_nothing_in_as_many_steps():
    """0.71 -> 0.73, 0.70 -> 0.66, 0.70 -> 0.68, where the whole vector gains 0.08: what the small recipe's other aim rests on."""
    learned = learn(Cell(GraphJEPA, settings=dict(target="hyperbola")))
    assert not learned.gains and learned.clean, str(learned)
