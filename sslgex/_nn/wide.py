"""The two layers as wide as the genome: where the arithmetic and the memory of a step are.

Methods meet them only through ``forward``, the training loop through ``optimizer``. Outside of
training they are plain layers. In training on a CPU they compute their own weights' gradients, a
block of genes at a time, and update the block while it is in the cache: the gradient of 15 million
weights never exists as a whole, and nobody asks for a gradient of the genes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .init import linear
from .product import linear as product

BLOCK = 4096  # genes at a time


class Optimizer(Protocol):
    """What the training loop asks of whoever updates weights."""

    param_groups: list[dict]

    def step(self) -> object: ...

    def zero_grad(self) -> object: ...


def adamw(parameters: list, *, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW in one fused kernel where the device has it; Adam when ``weight_decay`` is 0."""
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=fused)


class BlockAdamW:
    """AdamW of a wide layer, block by block as the layer computes the gradients.

    Parameters
    ----------
    layer : Wide
        Whose weights.
    rate : float
        Its learning rate as a share of the network's.
    """

    def __init__(self, layer: "Wide", *, lr: float, weight_decay: float):
        self.layer = layer
        self.blocks = layer.blocks()
        self.optimizers = [adamw(block, lr=lr, weight_decay=weight_decay) for block in self.blocks]
        self.param_groups = [o.param_groups[0] for o in self.optimizers]
        for group in self.param_groups:
            group["rate"] = layer.rate
        layer.deferred = []

    def step(self) -> None:
        """Update all weights by the gradients of what has been backpropagated since the last."""
        for block, optimizer, gradients in zip(
            self.blocks, self.optimizers, self.layer.gradients(), strict=True
        ):
            for weights, gradient in zip(block, gradients, strict=True):
                weights.grad = gradient
            optimizer.step()
            optimizer.zero_grad()
        self.layer.deferred.clear()

    def zero_grad(self) -> None:
        """Forget what has been backpropagated."""
        self.layer.deferred.clear()
        self.layer.zero_grad()


class Wide(nn.Module):
    """A layer that owns the update of its weights.

    Attributes
    ----------
    rate : float
        Its learning rate as a share of the network's.
    deferred : list or None
        In training by `BlockAdamW`, what ``backward`` has left to compute the gradients from.
    """

    rate = 1.0
    deferred: list | None = None

    def optimizer(self, *, lr: float, weight_decay: float) -> Optimizer:
        """Return the optimiser of this layer's weights."""
        if next(self.parameters()).device.type == "cpu":
            return BlockAdamW(self, lr=lr, weight_decay=weight_decay)
        optimizer = adamw(list(self.parameters()), lr=lr, weight_decay=weight_decay)
        optimizer.param_groups[0]["rate"] = self.rate
        return optimizer

    def blocks(self) -> list[list[Tensor]]:
        """Return the weights, in blocks of genes that are contiguous in memory."""
        raise NotImplementedError

    def gradients(self) -> Iterator[list[Tensor]]:
        """Yield the gradients of every block; each is gone when the next one comes."""
        raise NotImplementedError


class WideInput(Wide):
    """The encoder's first layer, from genes to hidden units.

    Parameters
    ----------
    n_features, n_hidden : int
        Numbers of genes and of hidden units.
    generator : torch.Generator
        Draws the initial weights.
    rate : float
        Its learning rate as a share of the network's.
    """

    def __init__(
        self, n_features: int, n_hidden: int, generator: torch.Generator, rate: float = 1.0
    ):
        super().__init__()
        self.rate = rate
        # No bias: the BatchNorm behind it would subtract it again.
        self.linear = linear(n_features, n_hidden, generator, bias=False)
        # Gene by gene in memory, so that a block of genes is contiguous.
        self.linear.weight = nn.Parameter(self.linear.weight.detach().t().contiguous().t())

    def forward(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Map every view, (batch, n_features), to its hidden layer, (batch, n_hidden)."""
        if not torch.is_grad_enabled():
            return _products(self.linear.weight, views)
        if self.deferred is None:
            return [self.linear(view) for view in views]
        return list(_Input.apply(self.linear.weight, self.deferred, *views))

    def blocks(self) -> list[list[Tensor]]:
        return [[block] for block in self.linear.weight.detach().t().split(BLOCK)]

    def gradients(self) -> Iterator[list[Tensor]]:
        rest = self.linear.weight.grad  # of other terms of the loss
        for start in range(0, self.linear.in_features, BLOCK):
            genes = slice(start, start + BLOCK)
            gradient = None if rest is None else rest[:, genes].t()
            for x, dh in self.deferred:
                if gradient is not None and x.dtype == torch.float32:
                    gradient = torch.addmm(gradient, x[:, genes].t(), dh)
                else:
                    more = (x[:, genes].t() @ dh).float()
                    gradient = more if gradient is None else gradient.add_(more)
            yield [gradient]


class _Input(torch.autograd.Function):
    """The products with the weights, whose gradient is left to the optimiser."""

    @staticmethod
    def forward(ctx, weight: Tensor, deferred: list, *views: Tensor) -> tuple[Tensor, ...]:
        dtype = _precision(weight)
        views = tuple(view.to(dtype) for view in views)
        ctx.save_for_backward(*views)
        ctx.deferred = deferred
        return tuple(_products(weight, views))

    @staticmethod
    @once_differentiable
    def backward(ctx, *errors: Tensor) -> tuple:
        ctx.deferred.extend(zip(ctx.saved_tensors, errors, strict=True))
        return (None, None, *(None for _ in errors))


def _products(weight: Tensor, views: Sequence[Tensor]) -> list[Tensor]:
    """Return the product of every view with the weights, cast once."""
    dtype = _precision(weight)
    weight = weight.to(dtype)
    return [product(view.to(dtype), weight) for view in views]


class WideOutput(Wide):
    """A decoder's last layer, from hidden units to one output per gene, with its loss.

    Output and loss are one call so that an implementation need not hold the
    (batch, n_features) outputs.

    Parameters
    ----------
    n_hidden, n_features : int
        Numbers of hidden units and of genes.
    generator : torch.Generator
        Draws the initial weights.
    """

    LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "bce": F.binary_cross_entropy_with_logits,
        "mse": F.mse_loss,
    }

    def __init__(self, n_hidden: int, n_features: int, generator: torch.Generator):
        super().__init__()
        self.linear = linear(n_hidden, n_features, generator)

    def forward(self, hidden: Tensor, target: Tensor, loss: str) -> Tensor:
        """Return the mean loss ("bce" on logits or "mse") over all entries of ``target``."""
        if self.deferred is None or not torch.is_grad_enabled():
            return self.LOSSES[loss](self.linear(hidden), target)
        return _Output.apply(hidden, self.linear.weight, target, loss, self)

    def blocks(self) -> list[list[Tensor]]:
        weight, bias = self.linear.weight.detach(), self.linear.bias.detach()
        return [list(pair) for pair in zip(weight.split(BLOCK), bias.split(BLOCK), strict=True)]

    def gradients(self) -> Iterator[list[Tensor]]:
        ((errors, hidden, scale),) = self.deferred
        hidden = hidden * scale.to(hidden.dtype)
        for error in errors:
            bias = error.sum(dim=0, dtype=torch.float32)
            yield [(error.t() @ hidden).float(), bias * scale]


class _Output(torch.autograd.Function):
    """Output and loss, a block of genes at a time; the weights' gradients are left to the optimiser.

    Of the outputs only what they are wrong by is kept, in place of themselves.
    """

    @staticmethod
    def forward(ctx, hidden, weight, target, loss: str, layer: WideOutput) -> Tensor:
        dtype = _precision(weight)
        hidden = hidden.to(dtype)
        total, errors = hidden.new_zeros((), dtype=torch.float32), []
        back = torch.zeros_like(hidden, dtype=torch.float32)
        for (weight, bias), wanted in zip(layer.blocks(), target.split(BLOCK, dim=1), strict=True):
            weight = weight.to(dtype)
            output = product(hidden, weight, bias.to(dtype)).float()
            if loss == "bce":
                total += F.binary_cross_entropy_with_logits(output, wanted, reduction="sum")
                error = output.sigmoid_().sub_(wanted)
            else:
                error = output.sub_(wanted)
                total += torch.dot(error.view(-1), error.view(-1))
                error *= 2
            error = error.div_(target.numel()).to(dtype)
            back += product(error, weight.t())
            errors.append(error)
        ctx.save_for_backward(hidden, back)
        ctx.errors, ctx.layer = errors, layer
        return total / target.numel()

    @staticmethod
    @once_differentiable
    def backward(ctx, scale: Tensor) -> tuple:
        hidden, back = ctx.saved_tensors
        ctx.layer.deferred.append((ctx.errors, hidden, scale))
        return (back * scale).to(hidden.dtype), None, None, None, None


def _precision(weight: Tensor) -> torch.dtype:
    """Return what matrix products with these weights are to be computed in here."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
