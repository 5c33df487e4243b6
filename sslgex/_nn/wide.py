"""The two layers as wide as the genome: where the arithmetic and the memory of a step are.

Methods meet them only through ``forward``, the training loop through ``optimizer``. Outside of
training they are plain layers. In training on a CPU they compute their own weights' gradients, a
block of genes at a time, and update the block while it is in the cache: the gradient of 15 million
weights never exists as a whole, and nobody asks for a gradient of the genes.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .init import linear
from .product import linear as product
from .update import BlockAdamW, Optimizer, adamw

BLOCK = 4096  # genes at a time


class Wide(nn.Module):
    """A layer that owns the update of its weights; see `Blockwise`."""

    rate = 1.0
    deferred: list | None = None
    pulls: list

    def __getstate__(self) -> dict:
        # A copy made in the midst of training has no optimiser that would ask for gradients.
        state = self.__dict__ | {"deferred": None}
        state.pop("pulls", None)
        return state

    def optimizer(self, *, lr: float, weight_decay: float) -> Optimizer:
        """Return the optimiser of this layer's weights."""
        blocks = self.blocks([p.detach() for p in self.parameters()])
        # A copy from elsewhere may lie otherwise, and torch's kernel is wrong on strided blocks.
        contiguous = all(tensor.is_contiguous() for block in blocks for tensor in block)
        if contiguous and blocks[0][0].device.type == "cpu":
            return BlockAdamW(self, lr=lr, weight_decay=weight_decay)
        optimizer = adamw(list(self.parameters()), lr=lr, weight_decay=weight_decay)
        optimizer.param_groups[0]["rate"] = self.rate
        return optimizer

    def blocks(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Return tensors shaped as the parameters in blocks of genes, contiguous in memory."""
        raise NotImplementedError

    def gradients(self) -> Iterator[list[Tensor]]:
        """Yield the deferred gradients of every block; each is overwritten by the next."""
        raise NotImplementedError


def squared_distance(module: nn.Module, origin: nn.Module) -> Tensor:
    """Return the squared distance of a network's parameters from those of a copy."""
    if isinstance(module, Wide) and module.deferred is not None and torch.is_grad_enabled():
        return _Distance.apply(module, list(origin.parameters()), *module.parameters())
    pairs = zip(module.parameters(recurse=False), origin.parameters(recurse=False), strict=True)
    children = zip(module.children(), origin.children(), strict=True)
    own = [(now - then).square().sum() for now, then in pairs]
    return sum(own + [squared_distance(*pair) for pair in children], torch.zeros(()))


class _Distance(torch.autograd.Function):
    """The squared distance of a wide layer, whose gradient is left to the optimiser."""

    @staticmethod
    def forward(ctx, layer: Wide, origin: list[Tensor], *weights: Tensor) -> Tensor:
        ctx.layer, ctx.origin = layer, layer.blocks([then.detach() for then in origin])
        total = weights[0].new_zeros(())
        for now, then in zip(layer.blocks([w.detach() for w in weights]), ctx.origin, strict=True):
            for one, other in zip(now, then, strict=True):
                way = (one - other).view(-1)
                total += torch.dot(way, way)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, scale: Tensor) -> tuple:
        ctx.layer.pulls.append((ctx.origin, 2 * scale))
        return (None,) * len(ctx.needs_input_grad)


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
        if self.deferred is None or not torch.is_grad_enabled():
            if self.training and not torch.is_grad_enabled():  # the copy that BYOL predicts
                return _products(self.linear.weight, views)
            # With oneDNN the bits of an embedding would depend on the number of threads.
            return [self.linear(view) for view in views]
        return list(_Input.apply(self.linear.weight, self.deferred, *views))

    def blocks(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        (weight,) = tensors
        return [[block] for block in weight.t().split(BLOCK)]

    def gradients(self) -> Iterator[list[Tensor]]:
        n_features, n_hidden = self.linear.in_features, self.linear.out_features
        buffer = self.linear.weight.new_empty(min(BLOCK, n_features), n_hidden)
        assert self.deferred is not None
        (first, *others), plain = self.deferred, self.linear.weight.dtype
        for start in range(0, n_features, BLOCK):
            genes, gradient = slice(start, start + BLOCK), buffer[: n_features - start]
            x, dh = first
            if x.dtype == plain:
                torch.mm(x[:, genes].t(), dh, out=gradient)
                for x, dh in others:
                    gradient.addmm_(x[:, genes].t(), dh)
            else:  # lower precision, summed in full
                gradient.copy_(x[:, genes].t() @ dh)
                for x, dh in others:
                    gradient += x[:, genes].t() @ dh
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


def _bce(logits: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    wanted = target.to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction=reduction)


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

    LOSSES: dict[str, Callable[..., Tensor]] = {"bce": _bce, "mse": F.mse_loss}

    def __init__(self, n_hidden: int, n_features: int, generator: torch.Generator):
        super().__init__()
        self.linear = linear(n_hidden, n_features, generator)

    def forward(self, hidden: Tensor, target: Tensor, loss: str) -> Tensor:
        """Return the mean loss over all entries of ``target``.

        "bce" is of logits and a boolean target, "mse" of values.
        """
        if not torch.is_grad_enabled():
            total = target.new_zeros((), dtype=torch.float32)
            blocks = self.blocks(list(self.parameters()))
            for (weight, bias), wanted in zip(blocks, target.split(BLOCK, dim=1), strict=True):
                output = F.linear(hidden, weight, bias)
                total += self.LOSSES[loss](output, wanted, reduction="sum")
            return total / target.numel()
        if self.deferred is None:
            return self.LOSSES[loss](self.linear(hidden), target)
        return _Output.apply(hidden, self.linear.weight, self.linear.bias, target, loss, self)

    def blocks(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        return [list(pair) for pair in zip(*(t.split(BLOCK) for t in tensors), strict=True)]

    def gradients(self) -> Iterator[list[Tensor]]:
        assert self.deferred is not None
        ((errors, hidden, scale),) = self.deferred
        hidden = hidden * scale.to(hidden.dtype)
        for error in errors:
            bias = error.sum(dim=0, dtype=torch.float32)
            yield [(error.t() @ hidden).float(), bias * scale]


class _Output(torch.autograd.Function):
    """Output and loss, by blocks of genes; the weights' gradients are left to the optimiser.

    Of the outputs only what they are wrong by is kept, in place of themselves.
    """

    @staticmethod
    def forward(ctx, hidden, weight, bias, target, loss: str, layer: WideOutput) -> Tensor:
        dtype, blocks = _precision(weight), layer.blocks([weight.detach(), bias.detach()])
        hidden = hidden.to(dtype)
        total, errors = hidden.new_zeros((), dtype=torch.float32), []
        # One piece of memory: many of a few megabytes would leave holes in it, step by step.
        kept = iter(torch.empty_like(target, dtype=dtype).view(-1).split(len(target) * BLOCK))
        back = torch.zeros_like(hidden, dtype=torch.float32)
        for (weight, bias), wanted in zip(blocks, target.split(BLOCK, dim=1), strict=True):
            weight = weight.to(dtype)
            output = product(hidden, weight, bias.to(dtype)).float()
            if loss == "bce":
                total += _bce(output, wanted, reduction="sum")
                error = output.sigmoid_().sub_(wanted.to(output.dtype))
            else:
                error = output.sub_(wanted)
                total += torch.dot(error.view(-1), error.view(-1))
                error *= 2
            error = next(kept).view_as(error).copy_(error.div_(target.numel()))
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
        return (back * scale).to(hidden.dtype), None, None, None, None, None


def _precision(weight: Tensor) -> torch.dtype:
    """Return what matrix products with these weights are to be computed in here."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
