"""AdamW, of a network at once or of a wide layer block by block."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    """What the training loop asks of whoever updates weights."""

    param_groups: list[dict]

    def step(self) -> object: ...

    def zero_grad(self) -> object: ...


def adamw(parameters: list, *, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW in one fused kernel where the device has it; Adam when ``weight_decay`` is 0."""
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=fused)


class Blockwise(Protocol):
    """What `BlockAdamW` asks of a layer.

    Attributes
    ----------
    rate : float
        Its learning rate as a share of the network's.
    deferred : list or None
        What ``backward`` leaves to compute gradients from, where an optimiser is there to do it.
    pulls : list
        What it leaves of squared distances: the blocks of an origin, and a scale.
    """

    rate: float
    deferred: list | None
    pulls: list

    def parameters(self) -> Iterator[Tensor]: ...

    def blocks(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Return tensors shaped as the parameters in blocks that are contiguous in memory."""
        ...

    def gradients(self) -> Iterator[list[Tensor]]:
        """Yield what was deferred, block by block; each is overwritten by the next."""
        ...


class BlockAdamW:
    """AdamW of a wide layer, block by block as the layer computes the gradients.

    Parameters
    ----------
    layer : Blockwise
        Whose weights.
    lr, weight_decay : float
        As torch's.
    """

    def __init__(self, layer: Blockwise, *, lr: float, weight_decay: float):
        self.layer = layer
        self.parameters = list(layer.parameters())
        self.blocks = layer.blocks([p.detach() for p in self.parameters])
        # One optimiser a block: torch's kernel runs through memory, and a block stays in the cache.
        self.optimizers = [adamw(block, lr=lr, weight_decay=weight_decay) for block in self.blocks]
        self.param_groups = [o.param_groups[0] for o in self.optimizers]
        for group in self.param_groups:
            group["rate"] = layer.rate
        layer.deferred, layer.pulls = [], []

    def step(self) -> None:
        """Update all weights by the gradients of what has been backpropagated since the last."""
        dense = [p.grad for p in self.parameters if p.grad is not None]  # autograd's own
        rest = self.layer.blocks(dense) if dense else None
        for k, gradients in enumerate(self.layer.gradients()):
            for i, (weights, gradient) in enumerate(zip(self.blocks[k], gradients, strict=True)):
                if rest is not None:
                    gradient += rest[k][i]
                for origin, scale in self.layer.pulls:
                    gradient += scale * (weights - origin[k][i])
                weights.grad = gradient
            self.optimizers[k].step()
            for weights in self.blocks[k]:
                weights.grad = None
        self.zero_grad()

    def zero_grad(self) -> None:
        """Forget what has been backpropagated."""
        assert self.layer.deferred is not None
        self.layer.deferred.clear()
        self.layer.pulls.clear()
        for parameter in self.parameters:
            parameter.grad = None
