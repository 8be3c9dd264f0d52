"""Outside weights as an encoder, through ``transformers``: ViT, DINOv2, DINOv3, I-JEPA, ConvNeXt and what is built like them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Encoder, Features, Spec
from unveil.errors import Unusable
from unveil.parts.patches import centres, patchify
from unveil.tokens import Tokens, pool, take

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Pretrained(Encoder):
    """A picture network of ``transformers``, as ``--encoder hf:NAME_OR_FOLDER``.

    Plain vision transformers with added positions can drop tokens, so every method can go on from their weights; for others
    the methods that mask are refused.

    Args:
        spec: of the data; one channel is repeated to the three that such networks want.
        source: folder written by ``save_pretrained``, or a name on the Hugging Face hub.
        config: the network's own settings; with these it is built untaught and ``source`` is not read.
        pooled: the class token's vector, or the mean over patches; ``"auto"`` is the class token where there is one.
    """

    def __init__(self, spec: Spec, *, source: str = "", config: dict | None = None, pooled: Literal["auto", "class", "mean"] = "auto"):
        super().__init__()
        if len(spec.shape) != 2 or spec.channels not in (1, 3):
            raise Unusable(f"hf: encoders read pictures of 1 or 3 channels, these data have {spec.channels} channels and axes "
                           f"{', '.join(spec.axes)}")
        self.spec, self.pool = spec, pooled
        self.network, self.matched = _built(config) if config else _loaded(source)
        self.resolved = {"config": self.network.config.to_dict()}
        self.width = getattr(self.network.config, "hidden_size", None) or self.network.config.hidden_sizes[-1]
        for name, p in self.network.named_parameters():
            if "mask_token" in name or "pooler" in name:
                p.requires_grad_(False)
        mean, std = _normalisation(source)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))
        if self.blocks is not None:
            side = self.network.config.patch_size
            self.patch = (side, side) if isinstance(side, int) else tuple(side)
            self.depth, self.patch_values = len(self.blocks), 3 * self.patch[0] * self.patch[1]

    @property
    def blocks(self) -> nn.ModuleList | None:
        return _blocks(self.network)

    def chain(self) -> list[nn.Module]:
        return [] if self.blocks is None else [self.network.embeddings, *self.blocks, self.network.layernorm]

    @property
    def supports(self) -> frozenset[str]:
        return frozenset() if self.blocks is None else frozenset({"tokens", "keep", "layers"})

    def _pixels(self, batch: Batch) -> Tensor:
        pixels = (batch.values.expand(-1, 3, -1, -1) - self.mean) / self.std
        return pixels if batch.valid is None else pixels * batch.valid[:, None]

    def embed(self, batch: Batch) -> Tokens:
        pixels = self._pixels(batch)
        if self.blocks is None:
            return Tokens(pixels, pixels.new_zeros(len(batch), 1, 2))
        grid = tuple(size // side for size, side in zip(pixels.shape[2:], self.patch, strict=True))
        asked = inspect.signature(self.network.embeddings.forward).parameters
        resized = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in asked else {}
        x = self.network.embeddings(pixels, **resized)
        lead = x.shape[1] - grid[0] * grid[1]
        return Tokens(x[:, lead:], centres(batch, grid, self.patch), grid=grid, raw=patchify(pixels, self.patch), lead=x[:, :lead])

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = ()) -> Features:
        if self.blocks is None:
            return self._whole(tokens, keep, layers)
        x, where = tokens.values, tokens.where
        if keep is not None:
            x, where = take(x, keep), take(where, keep)
        lead, hidden = tokens.lead.shape[1], []
        x = torch.cat([tokens.lead, x], 1)
        for number, block in enumerate(self.blocks):
            x = block(x)
            x = x[0] if isinstance(x, tuple) else x
            if number in layers:
                hidden.append(x[:, lead:])
        x = self.network.layernorm(x)
        return Features(x[:, lead:], self._pooled(x, lead), hidden, where)

    def _whole(self, tokens: Tokens, keep: Tensor | None, layers: Sequence[int]) -> Features:
        if keep is not None or layers:
            raise ValueError(f"{self.network.config.model_type} cannot drop tokens or return hidden layers")
        x = self.network(tokens.values).last_hidden_state
        if x.dim() == 4:
            local = x.flatten(2).transpose(1, 2)
            return Features(local, self.network.layernorm(local.mean(1)))
        lead = 1 + getattr(self.network.config, "num_register_tokens", 0)
        return Features(x[:, lead:], self._pooled(x, lead))

    def _pooled(self, x: Tensor, lead: int) -> Tensor:
        return x[:, 0] if lead and self.pool != "mean" else pool(x[:, lead:])


def _transformers():
    try:
        import transformers
    except ImportError as why:
        raise Unusable("outside weights need the package transformers: pip install 'unveil[weights]'") from why
    return transformers


def _built(config: dict) -> tuple[nn.Module, str]:
    """The network untaught."""
    library = _transformers()
    settings = _own(library.AutoConfig.for_model(**config))
    return _bare(library.AutoModel.from_config(settings, trust_remote_code=False)), "untaught"


def _own(settings):
    """Without what names compiled attention of a hub: a network runs in the code of transformers alone."""
    if "/" in str(settings._attn_implementation):
        settings._attn_implementation = None
    return settings


def _loaded(source: str) -> tuple[nn.Module, str]:
    """The network with its weights, and how many tensors matched.

    Raises:
        Unusable: where there is none, or less than half of its tensors are in the file.
    """
    library = _transformers()
    how = dict(local_files_only=Path(source).is_dir(), trust_remote_code=False)
    try:
        settings = _own(library.AutoConfig.from_pretrained(source, **how))
        network, told = library.AutoModel.from_pretrained(source, config=settings, output_loading_info=True, use_safetensors=True, **how)
    except Exception as why:  # anything from the network to a damaged or a hostile file
        raise Unusable(f"cannot load hf:{source}: {(str(why) or type(why).__name__).splitlines()[0]}") from why
    missing = [name for name in told["missing_keys"] if "pooler" not in name]
    expected = len(network.state_dict())
    matched = f"{expected - len(missing)} of {expected} tensors"
    if len(missing) > expected / 2:
        raise Unusable(f"hf:{source} gives {matched}; the first that is missing is {sorted(missing)[0]}: these weights are of "
                       "another architecture")
    return _bare(network), matched


def _bare(network: nn.Module) -> nn.Module:
    """Without the pooling head, which is trained on other tasks."""
    if isinstance(getattr(network, "pooler", None), nn.Module) and network.config.model_type == "vit":
        network.pooler = None
    return network


def _blocks(network: nn.Module) -> nn.ModuleList | None:
    """The list of blocks, where tokens can be taken out between embeddings and blocks; None else."""
    if network.config.model_type not in ("vit", "ijepa", "dinov2", "dinov2_with_registers", "vit_mae"):
        return None
    lists = [part for part in network.modules() if isinstance(part, nn.ModuleList)]
    return next((part for part in lists if len(part) == network.config.num_hidden_layers), None)


def _normalisation(source: str) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and deviation of the channels that the network was taught with; ImageNet's where its folder does not say."""
    file = Path(source) / "preprocessor_config.json"
    if source and file.is_file():
        held = json.loads(file.read_text())
        if "image_mean" in held and "image_std" in held:
            return held["image_mean"], held["image_std"]
    return IMAGENET
