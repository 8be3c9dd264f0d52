"""How a run is laid out: compiled or not, and over several processes as whole copies (DDP) or in shards (FSDP2)."""

from __future__ import annotations

import copy

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.strategies import ModelParallelStrategy
from torch import nn
from torch.utils import _pytree

from unveil.contracts import Method, Output
from unveil.errors import Unusable
from unveil.parts.distributed import whole
from unveil.parts.precision import bfloat16_pays
from unveil.training import optimiser
from unveil.training.settings import Training


def sharded(settings: Training) -> bool:
    """Weights are cut over processes."""
    return settings.strategy == "fsdp" and settings.processes > 1


def compiled(settings: Training, device: torch.device, packed: bool = False) -> bool:
    """Repeated parts are compiled; of packed samples only where that is asked for, since each batch has another number of rows."""
    return settings.compile == "yes" or (settings.compile == "auto" and device.type == "cuda" and not packed)


def fabric(settings: Training, packed: bool = False, network: nn.Module | None = None) -> Fabric:
    """Of as many processes as the settings say, not launched yet, in a precision that is right for ``network``.

    Raises:
        Unusable: where they cannot be had here.
    """
    strategy = "ddp" if settings.processes > 1 else "auto"
    if sharded(settings):
        if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7):
            raise Unusable(f"--train.strategy fsdp needs torch 2.7 or newer; this is {torch.__version__}")
        strategy = ModelParallelStrategy(shard, data_parallel_size=settings.processes, tensor_parallel_size=1)
    try:
        return Fabric(accelerator="auto", devices=settings.devices, num_nodes=settings.nodes, strategy=strategy,
                      plugins=precision(settings, packed, network))
    except (ValueError, RuntimeError) as why:
        raise Unusable(f"cannot run {settings.devices} processes on {settings.nodes} machines: {why}") from why


def precision(settings: Training, packed: bool = False, network: nn.Module | None = None) -> Precision:
    """That of the settings; ``"auto"`` is bfloat16 where it pays."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    mixed = settings.precision == "bf16" or (settings.precision == "auto" and bfloat16_pays(device, packed, network))
    return _Bfloat16("bf16-mixed", device) if mixed else Precision()


class _Bfloat16(MixedPrecision):
    """Mixed precision of the network alone: values and places of samples, which bfloat16 would round, stay as they are."""

    def convert_input(self, data):
        return data


def shard(method: Method, mesh) -> Method:
    """Cuts the weights of ``method`` over the ``data_parallel`` axis of a device mesh: each unit is put together when it is called, the
    rest for the whole of a step. Done in place."""
    from torch.distributed.fsdp import fully_shard
    if Output not in _pytree.SUPPORTED_NODES:  # so that the loss is found in it, from which the backward pass begins
        _pytree.register_pytree_node(Output, lambda output: (list(vars(output).values()), None), lambda held, _: Output(*held))
    for unit in dict.fromkeys(method.units()):
        fully_shard(unit, mesh=mesh["data_parallel"])
    return fully_shard(method, mesh=mesh["data_parallel"])


def set_up(fabric: Fabric, method: Method, settings: Training, packed: bool = False) -> tuple[nn.Module, torch.optim.Optimizer]:
    """What a step calls instead of the method, and the optimiser."""
    method.to(fabric.device)
    if compiled(settings, fabric.device, packed):
        # The same code serves encoder, teacher and predictor, at every number of tokens.
        torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
        for unit in method.units():
            unit.compile()
    if sharded(settings):  # the optimiser must see the shards
        module = fabric.setup_module(method)
        return module, fabric.setup_optimizers(optimiser.build(method, settings, fabric.device))
    return fabric.setup(method, optimiser.build(method, settings, fabric.device))


def blueprint(method: Method) -> Method:
    """The same modules with weights that take no memory."""
    memo = {id(p): nn.Parameter(p.detach().to("meta"), p.requires_grad) for p in method.parameters()}
    return copy.deepcopy(method, memo | {id(x): x.to("meta") for x in method.buffers()})


def restored(plain: Method, method: Method) -> Method:
    """The blueprint ``plain`` with the weights of the trained ``method``: no shards, nothing compiled. Every process must call this."""
    plain.load_state_dict({name: whole(x.detach()) for name, x in method.state_dict().items()}, assign=True)
    return plain.eval()
