"""A mask enforced while training: mask gradients, clip, step, mask weights in place.

With this order pruned weights are exactly 0 in every forward pass and in the file, whatever the
optimizer keeps (momentum, weight decay, moments), and a clipped norm sees live gradients only.

Plain SGD and Adam leave a weight of 0 as it is while its gradient and what they keep of it are 0: a second
pass over all weights, 4 % of a step of a large language model on a CPU, would change nothing.
"""

from collections.abc import Callable

import torch
from torch import nn

from ..masks import Mask

KEEP_ZEROS = (
    torch.optim.SGD,
    torch.optim.Adam,
)  # w -= lr * f(gradient, weight decay * w, state): f(0, 0, 0) is 0


def masked_step(
    model: nn.Module,
    mask: Mask | None,
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None,
    scaler: torch.amp.GradScaler | None = None,
) -> Callable[[], None]:
    """Mask the model's weights now, and return the function to call after each `backward`.

    mask:   tensor name -> bool array of its shape; a tied parameter is named once. None: nothing is pruned.
    scaler: what the loss was scaled by; a step in which a gradient is not finite is left out
    """
    parameters = dict(model.named_parameters())
    pruned = [parameters[name] for name in mask or {}]
    masks = [
        torch.from_numpy(m).to(p.device, p.dtype) for m, p in zip((mask or {}).values(), pruned, strict=True)
    ]

    @torch.no_grad()
    def apply(tensors: list[torch.Tensor]) -> None:
        if tensors:
            torch._foreach_mul_(tensors, masks)

    def step() -> None:
        if scaler:
            scaler.unscale_(optimizer)
        apply([p.grad for p in pruned if p.grad is not None])
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters.values(), clip_norm)
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
        if type(optimizer) not in KEEP_ZEROS:
            apply([p.data for p in pruned])
        optimizer.zero_grad(set_to_none=True)

    apply([p.data for p in pruned])
    return step
