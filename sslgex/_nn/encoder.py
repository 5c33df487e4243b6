"""Encoders: from standardised genes to an embedding."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .init import Dropout, linear
from .wide import WideInput


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm whose output before the affine map can be had on its own."""

    momentum: float
    running_mean: Tensor
    running_var: Tensor

    def standardise(self, h: Tensor) -> Tensor:
        """Return ``h`` with mean 0 and variance 1, by the batch in training, else as stored."""
        return F.batch_norm(
            h,
            self.running_mean,
            self.running_var,
            None,
            None,
            self.training,
            self.momentum,
            self.eps,
        )

    def scale(self, z: Tensor) -> Tensor:
        """Apply the affine map to a standardised ``z``."""
        return torch.addcmul(self.bias, z, self.weight)

    def forward(self, h: Tensor) -> Tensor:
        """Standardise and apply the affine map."""
        return self.scale(self.standardise(h))


class Encoder(nn.Module):
    """What all encoders share.

    Called on standardised genes, (n_samples, n_features), an encoder returns the embedding.

    Attributes
    ----------
    input : WideInput
        The first layer.
    dropout : Dropout
        Of hidden units.
    n_representation : int
        Width of what the pretext heads read.
    n_embedding : int
        Width of the embedding.
    """

    input: WideInput
    dropout: Dropout
    n_representation: int
    n_embedding: int

    def forward(self, x: Tensor) -> Tensor:
        """Embed standardised genes."""
        (h,) = self.input([x])
        return self.embed(h)

    def embed(self, h: Tensor) -> Tensor:
        """Embed the outputs of the first layer."""
        raise NotImplementedError

    def represent(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Return what the pretext heads read of every view, each normalised by itself."""
        raise NotImplementedError

    def reestimate(self, h: Tensor) -> None:
        """Set the BatchNorm statistics to those of clean rows, block after block.

        Training leaves running averages over corrupted and clean views and over weights that
        have since moved on.

        Parameters
        ----------
        h : Tensor of shape (n_samples, n_hidden)
            Outputs of the first layer for the rows.
        """
        raise NotImplementedError


class MLPEncoder(Encoder):
    """Blocks of Linear - BatchNorm - ReLU - Dropout.

    Parameters
    ----------
    n_features : int
        Number of genes.
    hidden_layer_sizes : sequence of int
        Width of each block.
    embedding : {"all", "last"}
        "all": the standardised pre-activations of every block side by side;
        "last": the last block's output, as published.
    dropout : float
        Probability of a hidden unit to be dropped in training.
    generator : torch.Generator
        Draws the initial weights.
    """

    linears: Sequence[nn.Linear]
    norms: Sequence[BatchNorm]

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int],
        *,
        embedding: str,
        dropout: float,
        generator: torch.Generator,
    ):
        super().__init__()
        sizes = list(hidden_layer_sizes)
        self.embedding = embedding
        self.input = WideInput(n_features, sizes[0], generator)
        self.linears = nn.ModuleList(  # type: ignore[assignment]
            linear(n_in, n_out, generator, bias=False) for n_in, n_out in pairwise(sizes)
        )
        self.norms = nn.ModuleList(BatchNorm(size) for size in sizes)  # type: ignore[assignment]
        self.dropout = Dropout(dropout)

    @property
    def n_representation(self) -> int:  # type: ignore[override]
        """Width of the last block's output."""
        return self.norms[-1].num_features

    @property
    def n_embedding(self) -> int:  # type: ignore[override]
        """Width of the embedding."""
        norms = self.norms if self.embedding == "all" else self.norms[-1:]
        return sum(norm.num_features for norm in norms)

    def embed(self, h: Tensor) -> Tensor:
        """Embed the outputs of the first layer."""
        blocks = list(self._blocks(h))
        if self.embedding == "all":
            return torch.cat([standardised for standardised, _ in blocks], dim=1)
        return blocks[-1][1]

    def represent(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Return the last block's output for every view, each normalised by itself."""
        return [list(self._blocks(h))[-1][1] for h in self.input(views)]

    def _blocks(self, h: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each block's standardised pre-activation and its output."""
        for i, norm in enumerate(self.norms):
            standardised = norm.standardise(h)
            output = self.dropout(torch.relu(norm.scale(standardised)))
            yield standardised, output
            if i < len(self.linears):
                h = self.linears[i](output)

    @torch.no_grad()
    def reestimate(self, h: Tensor) -> None:
        """Set the BatchNorm statistics to those of clean rows, block after block."""
        for i, norm in enumerate(self.norms):
            variance, mean = torch.var_mean(h, dim=0, correction=0)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            if i < len(self.linears):
                normalised = F.batch_norm(
                    h, mean, variance, norm.weight, norm.bias, False, 0.0, norm.eps
                )
                h = self.linears[i](torch.relu(normalised))
