"""The two layers as wide as the genome: where the arithmetic and the memory of a step are.

Methods meet them only through ``forward`` and ``optimizer``: what is computed is fixed here, how
it is computed (one product or several, whole gradients or blocks of genes) is each
implementation's own business, the update of the weights included.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .init import linear


class Optimizer(Protocol):
    """What the training loop asks of whoever updates weights."""

    param_groups: list[dict]

    def step(self) -> object: ...

    def zero_grad(self) -> object: ...


def adamw(parameters: list[nn.Parameter], *, lr: float, weight_decay: float) -> Optimizer:
    """AdamW in one fused kernel where the device has it; Adam when ``weight_decay`` is 0."""
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=fused)


class Wide(nn.Module):
    """A layer that owns the update of its weights.

    Attributes
    ----------
    rate : float
        Its learning rate as a share of the network's.
    """

    rate = 1.0

    def optimizer(self, *, lr: float, weight_decay: float) -> Optimizer:
        """Return the optimiser of this layer's weights."""
        optimizer = adamw(list(self.parameters()), lr=lr, weight_decay=weight_decay)
        optimizer.param_groups[0]["rate"] = self.rate
        return optimizer


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

    def forward(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Map every view, (batch, n_features), to its hidden layer, (batch, n_hidden)."""
        return [self.linear(view) for view in views]


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
        return self.LOSSES[loss](self.linear(hidden), target)
