"""Pruned weights are exactly 0 in forward and after each step."""

import numpy as np
import pytest
import torch
from lottery.training.enforcement import masked_step
from torch import nn
from torch.nn import functional as F


class Drifting(torch.optim.SGD):
    """An optimizer that moves every weight, whatever its gradient: noise, decay to a mean, averaging."""

    @torch.no_grad()
    def step(self):
        super().step()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(0.01)


OPTIMIZERS = {
    "drifting": lambda p: Drifting(p, lr=0.1),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True, fused=True
    ),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9, weight_decay=0.1),
}


class Tied(nn.Module):
    """A language model whose embedding is its output layer, with a normalisation."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(12, 8)
        self.norm = nn.LayerNorm(8)
        self.hidden = nn.Linear(8, 8)
        self.output = nn.Linear(8, 12, bias=False)
        self.output.weight = self.embed.weight

    def forward(self, x):
        return self.output(self.hidden(self.norm(self.embed(x))))


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.output = nn.Linear(6 * 4, 12)

    def forward(self, x):
        x = F.one_hot(x, 16).float().view(-1, 1, 4, 4)
        return self.output(self.norm(self.conv(x)).flatten(1))


def mask_of(model, keep, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.random(p.shape) < keep for name, p in model.named_parameters() if "norm" not in name}


def train(model, mask, make, clip=None, precision="float32", steps=6, watch=None):
    step = masked_step(model, mask, make(list(model.parameters())), clip)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        x = torch.randint(0, 12, (32,), generator=generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(model(x).float(), (x * 5 + 1) % 12)
        loss.backward()
        step()
        if watch:
            watch(model)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("build", [Tied, Convolutional])
def test_pruned_weights_are_exactly_zero(build, optimizer, clip, precision):
    torch.manual_seed(0)
    model = build()
    mask = mask_of(model, 0.3)
    seen = []

    def zero(*_):
        parameters = dict(model.named_parameters())
        pruned = [parameters[name].detach().numpy()[~m] for name, m in mask.items()]
        seen.append(all(np.all(values == 0) for values in pruned))

    model.register_forward_pre_hook(zero)
    train(model, mask, OPTIMIZERS[optimizer], clip, precision, watch=zero)
    assert len(seen) == 12 and all(seen)
    moved = [p.detach().numpy()[mask[name]] for name, p in model.named_parameters() if name in mask]
    assert all(np.count_nonzero(values) for values in moved)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_optimizer_keeps_nothing_for_pruned_weights(optimizer):
    model = Convolutional()
    mask, made = mask_of(model, 0.3), []
    train(model, mask, lambda p: made.append(OPTIMIZERS[optimizer](p)) or made[0], clip=0.1)
    for name, parameter in model.named_parameters():
        for value in made[0].state[parameter].values():
            if name in mask and torch.is_tensor(value) and value.shape == parameter.shape:
                assert np.all(value.numpy()[~mask[name]] == 0)


def test_the_clipped_norm_sees_live_gradients_only():
    """A norm over dense gradients gives a pruned network a smaller step."""
    torch.manual_seed(0)
    model = Convolutional()
    mask = mask_of(model, 0.05)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for name, m in mask.items():
        before[name] *= torch.from_numpy(m)
    train(model, mask, lambda p: torch.optim.SGD(p, lr=1.0), clip=1e-3, steps=1)
    moved = torch.cat([(p.detach() - before[name]).ravel() for name, p in model.named_parameters()])
    assert float(moved.norm()) == pytest.approx(1e-3, rel=1e-3)


def test_a_mask_of_ones_changes_nothing():
    def trained(mask):
        torch.manual_seed(0)
        model = Convolutional()
        train(model, mask and mask_of(model, 2.0), OPTIMIZERS["adam"])
        return [p.detach().numpy() for p in model.parameters()]

    assert all(np.array_equal(a, b) for a, b in zip(trained(None), trained(True), strict=True))
