"""Building blocks whose randomness comes from a given generator.

torch's own constructors and ``F.dropout`` draw from the global generator, which ``fit`` must
leave alone.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Linear):
    """Linear layer that, in evaluation, gives a row the same bits wherever it stands in a batch.

    Matrix libraries compute narrow outputs (fewer than 12 columns, on an AMD processor) by kernels
    that sum in another order for the last rows; so evaluation widens the output to whole tiles.
    """

    TILE = 64

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to the rows of ``x``."""
        missing = -self.out_features % self.TILE
        if self.training or not missing:
            return super().forward(x)
        y = F.linear(x, F.pad(self.weight, (0, 0, 0, missing)))[:, : self.out_features]
        return y if self.bias is None else y + self.bias


def linear(n_in: int, n_out: int, generator: torch.Generator, *, bias: bool = True) -> Linear:
    """Return a linear layer with torch's default initialisation, drawn from ``generator``."""
    layer = Linear(n_in, n_out, bias=bias, device="meta")
    bound = 1 / math.sqrt(n_in)
    for name, parameter in list(layer.named_parameters()):
        values = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
        setattr(layer, name, nn.Parameter(values))
    return layer


class Dropout(nn.Module):
    """Dropout whose masks come from ``generator``, which the training loop lends it.

    Attributes
    ----------
    p : float
        Probability of an element to be zeroed.
    generator : torch.Generator or None
        None outside of training; masks are drawn where it is, and then go where they are needed.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Zero each element with probability ``p`` in training and rescale the others."""
        if not self.training or self.p == 0:
            return x
        place = None if self.generator is None else self.generator.device
        kept = torch.rand(x.shape, generator=self.generator, device=place) >= self.p
        return x * kept.to(x.device, x.dtype) / (1 - self.p)


def lend_generator(module: nn.Module, generator: torch.Generator | None) -> None:
    """Give ``generator`` to every dropout layer of ``module``; None takes it back."""
    for part in module.modules():
        if isinstance(part, Dropout):
            part.generator = generator
