"""What reads recordings with channels of their own: nothing hangs on the order of channels, or on those that are not there."""

from dataclasses import replace

import pytest
import torch

from unveil.api.example import example
from unveil.api.exporting import export
from unveil.contracts import Batch, Spec
from unveil.encoders.montage import Montage
from unveil.errors import Unusable
from unveil.kinds.signal import Signal
from unveil.parts.mixer import ChannelDecoder, Mixer, waves
from unveil.randomness import Generator
from unveil.recipes.recipe import build_encoder

SPEC = Spec(7, (40,), ("t",), (0.01,), "s", (0.0,) * 7, (1.0,) * 7, mixed=True)
FAR = {torch.float32: 1e-5, torch.float64: 1e-10}


def network(dtype=torch.float32) -> Montage:
    encoder = build_encoder({"name": "montage", **Montage.tiny}, SPEC, 0).eval()
    for number, p in enumerate(encoder.parameters()):
        p.data = p.data + 0.1 * Generator("weights", number).normal(*p.shape).view(p.shape)
    return encoder.to(dtype)


def recordings(dtype=torch.float32) -> Batch:
    batch = example(Signal(window=40, montage="mixed"), SPEC, 7)
    return batch.map(lambda x: x.to(dtype) if x.is_floating_point() else x)


def channels_at(batch: Batch, order: torch.Tensor) -> Batch:
    return replace(batch, values=batch.values[:, order], extras={name: x[:, order] for name, x in batch.extras.items()})


@pytest.mark.parametrize("dtype", FAR)
def test_the_order_of_channels_means_nothing(dtype):
    encoder, batch = network(dtype), recordings(dtype)
    with torch.no_grad():
        one, other = (encoder(part) for part in (batch, channels_at(batch, torch.tensor([3, 6, 0, 5, 1, 4, 2]))))
    assert one.pooled.std() > 0.1 and (one.pooled - other.pooled).abs().max() <= FAR[dtype] and \
        (one.local - other.local).abs().max() <= FAR[dtype]


@pytest.mark.parametrize("dtype", FAR)
def test_channels_that_are_not_there_mean_nothing(dtype):
    encoder, batch = network(dtype), recordings(dtype)
    more = replace(batch, values=torch.cat([batch.values, torch.full_like(batch.values[:, :3], 5.0)], 1),
                   extras={"channel": torch.nn.functional.pad(batch.extras["channel"], (0, 3), value=-1),
                           "place": torch.nn.functional.pad(batch.extras["place"], (0, 0, 0, 3), value=0.3)})
    with torch.no_grad():
        assert (encoder(batch).pooled - encoder(more).pooled).abs().max() <= FAR[dtype]
        fewer = channels_at(batch.map(lambda x: x[:2]), torch.arange(2))
        assert (encoder(batch).pooled[:2] - encoder(fewer).pooled).abs().max() <= FAR[dtype]


def test_a_sample_without_channels_is_finite_and_spoils_no_gradient():
    encoder, batch = network(), recordings()
    none = {"channel": torch.full_like(batch.extras["channel"], -1), "place": torch.zeros_like(batch.extras["place"])}
    features = encoder(replace(batch, values=torch.zeros_like(batch.values), extras=none))
    features.pooled.sum().backward()
    assert features.pooled.isfinite().all() and all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


def test_places_and_names_tell_channels_apart():
    encoder, batch = network(), recordings().map(lambda x: x[6:])
    here = encoder(batch).pooled
    moved = dict(batch.extras, place=batch.extras["place"].flip(-1))
    renamed = dict(batch.extras, channel=torch.where(batch.extras["channel"] > 0, 200, batch.extras["channel"]))
    assert all((here - encoder(replace(batch, extras=extras)).pooled).abs().max() > 1e-3 for extras in (moved, renamed))


def test_a_query_looks_at_channels_that_are_there():
    batch = recordings()
    mixing = network().embed(batch).mixing
    assert mixing.shape == (7, 10, 4, 7)
    torch.testing.assert_close(mixing.sum(-1), torch.ones(7, 10, 4))
    assert not mixing.masked_select((batch.extras["channel"] < 0)[:, None, None].expand_as(mixing)).any()


def test_mixer_against_sums_written_out():
    mixer, x, there = Mixer(6, 3, 2), Generator("mixed").normal(2, 4, 5, 6), torch.tensor([[1, 1, 1, 0, 1], [0, 1, 0, 0, 0]]).bool()
    found, mixing = mixer(x, there)
    norm = lambda part, layer: torch.nn.functional.layer_norm(part, (6,), layer.weight, layer.bias)
    for sample in range(2):
        for moment in range(4):
            seen = norm(x[sample, moment, there[sample]], mixer.of_channels)
            keys, values = mixer.told(seen).split(6, -1)
            asked, heads, weights = mixer.ask(norm(mixer.queries, mixer.of_queries)), [], []
            for part in (slice(0, 3), slice(3, 6)):
                weight = (asked[:, part] @ keys[:, part].T / 3**0.5).softmax(-1)
                heads.append(weight @ values[:, part])
                weights.append(weight)
            held = mixer.out(torch.cat(heads, -1))
            held = held + mixer.outer(torch.nn.functional.gelu(mixer.inner(norm(held, mixer.inside))))
            torch.testing.assert_close(found[sample, moment], held, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(mixing[sample, moment][:, there[sample]], (weights[0] + weights[1]) / 2, rtol=1e-4, atol=1e-6)


def test_waves_by_hand():
    place = torch.tensor([0.25, -0.5, 1.0])
    made = waves(place, 14)
    by_hand = [f(2 * torch.pi * turns * x) for x in place for f in (torch.sin, torch.cos) for turns in (0.5, 8.0)]
    torch.testing.assert_close(made, torch.stack([*by_hand, torch.tensor(0.0), torch.tensor(0.0)]))


def test_a_decoder_says_the_same_of_a_channel_wherever_it_stands():
    decoder, batch, order = ChannelDecoder(8, 5), recordings(), torch.tensor([6, 2, 4, 0, 1, 3, 5])
    moments = Generator("moments").normal(7, 3, 8)
    torch.testing.assert_close(decoder(moments, batch)[:, :, order], decoder(moments, channels_at(batch, order)))


def test_it_leaves_as_onnx_with_its_channels_and_no_other_library_takes_it(tmp_path):
    encoder = network()
    encoder.kind = Signal(window=40, montage="mixed")
    held = export(encoder, "onnx", tmp_path / "onnx")
    assert held["difference"] <= 1e-4 and held["inputs"] == ["values", "channel", "place"]
    assert export(encoder, "safetensors", tmp_path / "own")["difference"] == 0
    for other in ("transformers", "timm"):
        with pytest.raises(Unusable, match="have no form in"):
            export(encoder, other, tmp_path / other)
