"""Between torch modules and optimizers and the engine's plain arrays."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..weights import Network

NORMALISATION = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def to_network(model: nn.Module, *outputs: str) -> Network:
    """Copy a model's tensors out and tell what each is; a tied parameter counts once.

    outputs: names of the modules that are the output layer
    """
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    roles = {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix, recurse=False):
            if isinstance(module, NORMALISATION):
                roles[name] = "norm"
            elif isinstance(module, nn.Embedding):
                roles[name] = "embedding"
            else:
                roles[name] = "weight" if parameter.ndim > 1 else "bias"
    return Network(
        tensors={name: to_array(tensor) for name, tensor in (parameters | buffers).items()},
        roles={name: roles[name] for name in parameters} | dict.fromkeys(buffers, "buffer"),
        output=tuple(name for name in parameters if name.startswith(tuple(f"{o}." for o in outputs))),
    )


@torch.no_grad()
def load_network(model: nn.Module, network: Network) -> None:
    """Copy a network's tensors into a model of the same names and shapes."""
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    if tensors.keys() != network.tensors.keys():
        raise ValueError(f"the network holds {sorted(network.tensors)}, the model {sorted(tensors)}")
    for name, tensor in tensors.items():
        tensor.copy_(torch.from_numpy(network.tensors[name]))


def to_array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()


def optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    """The optimizer's tensors, named `parameter:key`."""
    return {
        f"{name}:{key}": to_array(value)
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state[parameter].items()
        if isinstance(value, Tensor)
    }


def load_optimizer(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, np.ndarray],
    mask: Mapping[str, np.ndarray],
) -> None:
    """Set the optimizer's tensors; what belongs to a pruned weight is set to 0."""
    parameters = dict(model.named_parameters())
    for name, array in state.items():
        parameter, key = name.rsplit(":", 1)
        if parameter in mask and array.shape == mask[parameter].shape:
            array = np.where(mask[parameter], array, 0).astype(array.dtype)
        value = torch.from_numpy(array.copy()).to(parameters[parameter].device)
        if value.shape == parameters[parameter].shape:  # fused steps take it for granted that both lie alike
            value = torch.empty_like(parameters[parameter]).copy_(value)
        optimizer.state[parameters[parameter]][key] = value
