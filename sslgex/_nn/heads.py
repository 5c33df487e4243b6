"""Heads that pretraining puts on the encoder and throws away afterwards."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .init import linear
from .wide import WideOutput


def mlp(
    n_in: int, sizes: Sequence[int], generator: torch.Generator, *, batch_norm: bool
) -> nn.Sequential:
    """Linear layers with (BatchNorm and) ReLU between them and none behind the last."""
    layers: list[nn.Module] = []
    for i, size in enumerate(sizes):
        layers.append(linear(n_in, size, generator))
        if i < len(sizes) - 1:
            layers += [nn.BatchNorm1d(size), nn.ReLU()] if batch_norm else [nn.ReLU()]
        n_in = size
    return nn.Sequential(*layers)


class Decoder(nn.Module):
    """Blocks of Linear - BatchNorm - ReLU, then one output per gene with its loss.

    Parameters
    ----------
    n_in : int
        Width of the representation.
    sizes : sequence of int
        Width of each hidden block; may be empty.
    n_features : int
        Number of genes.
    generator : torch.Generator
        Draws the initial weights.
    """

    def __init__(
        self, n_in: int, sizes: Sequence[int], n_features: int, generator: torch.Generator
    ):
        super().__init__()
        layers: list[nn.Module] = []
        for size in sizes:
            layers += [linear(n_in, size, generator), nn.BatchNorm1d(size), nn.ReLU()]
            n_in = size
        self.body = nn.Sequential(*layers)
        self.output = WideOutput(n_in, n_features, generator)

    def forward(self, representation: Tensor, target: Tensor, loss: str) -> Tensor:
        """Return the mean loss of the decoded representation against ``target``."""
        return self.output(self.body(representation), target, loss)
