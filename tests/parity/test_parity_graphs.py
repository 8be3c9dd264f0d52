"""Hi-GMAE, GraphCL and InfoGraph against the authors' code: a step with given masks, features of every level, gradients, the recovery
rate and the losses.

Numbers: ``numbers/README.md``."""

import pytest
import torch
from given import Still, fill, kept, normal
from graphs import MASKS, edges, features, walks

from unveil.contracts import Batch, Spec
from unveil.encoders.hierarchical import HierarchicalNet
from unveil.methods import hi_gmae
from unveil.methods.hi_gmae import HiGMAE
from unveil.parts.losses import contrast, jensen_shannon, scaled_cosine
from unveil.parts.schedules import recovered
from unveil.tokens import Graph

THEIRS = kept("graphs")


class Theirs:
    """Our parameters under their names, in whose order they get their values; what has no part in a step is made to be forgotten."""

    def __init__(self, named):
        self.named = named

    def named_parameters(self):
        return self.named.items()


def network(name, layer, closing):
    """A layer of messages; biases before a normalisation change nothing, and we have none."""
    spare, send, mlp = lambda: torch.zeros(12), layer.send, f"{name}.mlp" if closing else name
    named = {f"{mlp}.linears.0.weight": send.inner.weight, f"{mlp}.linears.0.bias": spare(), f"{mlp}.norms.0.weight": send.norm.weight,
             f"{mlp}.norms.0.bias": send.norm.bias, f"{mlp}.activations.0.weight": send.activate.weight,
             f"{mlp}.linears.1.weight": send.outer.weight, f"{mlp}.linears.1.bias": spare() if closing else send.outer.bias}
    if closing:
        named |= {f"{name}.norm.weight": layer.norm.weight, f"{name}.norm.bias": layer.norm.bias,
                  f"{name}.act.weight": layer.activate.weight}
    return named


def built(depth):
    spec = Spec(12, (), (), (), "", (0.0,) * 12, (1.0,) * 12, packed=True, code_channels=4)
    method = HiGMAE(HierarchicalNet(spec, width=12, levels=depth, depth=2, residual=False), power=2.0)
    encoder, mixer = method.encoder, method.encoder.coarse[0]
    encoder.project.weight.data, encoder.project.bias.data = torch.eye(12), torch.zeros(12)  # theirs has no such layer
    named = {"enc_mask_token": method.mask_token.data[None], "encoder_to_decoder.weight": torch.zeros(12, 12),
             "proj.weight": torch.zeros(12, 12), "proj.bias": torch.zeros(12)}
    for number, layer in enumerate(encoder.fine):
        named |= network(f"encoders.0.layers.{number}.nn", layer, True)
    for number, layer in enumerate(encoder.middle, 1):
        named |= network(f"encoders.{number}.layers.0.nn", layer, True)
    for number, layer in enumerate(method.decode):
        named |= network(f"decoders.{number}.layers.0.nn", layer, False)
    pairs = {"self_attention_norm": mixer.block.norm1, "self_attention.output_layer": mixer.block.attention.out,
             "ffn_norm": mixer.block.norm2, "ffn.layer1": mixer.block.inner, "ffn.layer2": mixer.block.outer, "node_add": mixer.enter}
    for part in ("weight", "bias"):
        named |= {f"encoders.{depth - 1}.{name}.{part}": getattr(module, part) for name, module in pairs.items()}
        for name, slice_ in zip("qkv", getattr(mixer.block.attention.qkv, part).data.chunk(3)):
            named[f"encoders.{depth - 1}.self_attention.linear_{name}.{part}"] = slice_
    fill(Theirs(named), 7)
    for norm in (mixer.block.norm1, mixer.block.norm2):
        norm.eps = 1e-5
    for part in method.modules():  # theirs adds every node to itself by an edge
        if hasattr(part, "epsilon"):
            part.epsilon.data.fill_(1.0)
            part.epsilon.requires_grad_(False)
    return method.train()


def given(depth):
    parents, above = MASKS[depth][0], None
    for level in reversed(range(depth)):
        rows = len(parents[level]) if level < depth - 1 else len(walks(depth))
        above = Graph(torch.zeros(rows, dtype=torch.long), 1, rows, edges(depth)[level], parent=parents[level] if above else None,
                      code=None if above else walks(depth), coarser=above, sizes=(rows,))
    one = torch.zeros(1, dtype=torch.long)
    return Batch(features(), one, one, graph=above)


@pytest.mark.parametrize("depth", [2, 3])
def test_a_step_of_hi_gmae(depth, monkeypatch):
    method, (_, hidden, noisy, other) = built(depth), MASKS[depth]
    monkeypatch.setattr(method, "_hidden", lambda *asked: (hidden, noisy))
    monkeypatch.setattr(hi_gmae, "random_row", lambda *asked: other.expand(12))
    codes = []
    encode = method.encoder.encode
    monkeypatch.setattr(method.encoder, "encode", lambda *a, **k: codes.append(encode(*a, **k)) or codes[-1])
    loss = method(given(depth), Still()).loss
    loss.backward()
    close = dict(rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(loss, THEIRS[f"loss {depth}"], **close)
    for level, ours in enumerate([codes[0], *codes[0].levels]):
        torch.testing.assert_close(ours.local, THEIRS[f"level {depth} {level}"], **close)
    torch.testing.assert_close(method.mask_token.grad, THEIRS[f"token {depth}"], **close)
    torch.testing.assert_close(method.encoder.fine[0].send.inner.weight.grad, THEIRS[f"first {depth}"], **close)
    assert THEIRS[f"token {depth}"].abs().max() > 1e-3


def test_the_recovery_rate():
    ours = torch.tensor([recovered(0.8, epoch / 100, epochs=25) for epoch in range(100)], dtype=torch.float64)
    torch.testing.assert_close(ours, THEIRS["rates"], rtol=1e-9, atol=1e-12)


def test_scaled_cosine():
    ours = torch.stack([scaled_cosine(normal(1, 20, 6), normal(2, 20, 6), power, torch.ones(20, dtype=torch.bool)) for power in (1, 2, 3)])
    torch.testing.assert_close(ours, THEIRS["sce"], rtol=1e-5, atol=0)


def test_graphcl():
    torch.testing.assert_close(contrast(normal(3, 10, 6), normal(4, 10, 6), 0.2), THEIRS["graphcl"], rtol=1e-5, atol=0)


def test_infograph():
    own, other = jensen_shannon(normal(5, 10, 6), normal(6, 4, 6), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3]), None)
    torch.testing.assert_close(other - own, THEIRS["infograph"], rtol=1e-5, atol=0)
