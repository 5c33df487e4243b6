"""The residual encoder: principal components, and what the pretext task adds to them."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from .encoder import BatchNorm, Encoder
from .init import Dropout, linear
from .wide import WideInput

STEM_RATE = 0.1  # of the learning rate: the stem starts where it is good already


class ResidualEncoder(Encoder):
    """A linear stem of principal components, then residual blocks.

    Each block adds Linear(BatchNorm(ReLU(Linear(BatchNorm(h))))) to its input h, its last layer
    starting at zero, so that before training the embedding is the principal components but for
    one common factor.

    Parameters
    ----------
    axes : ndarray of shape (n_components, n_features)
        Orthonormal.
    scale : float
        What the components are divided by.
    hidden_layer_sizes : sequence of int
        Width inside each block.
    dropout : float
        Probability of a hidden unit to be dropped in training.
    generator : torch.Generator
        Draws the initial weights.
    """

    inward: Sequence[nn.Linear]
    outward: Sequence[nn.Linear]
    norms: Sequence[BatchNorm]

    def __init__(
        self,
        axes,
        scale: float,
        hidden_layer_sizes: Sequence[int],
        *,
        dropout: float,
        generator: torch.Generator,
    ):
        super().__init__()
        width, n_features = axes.shape
        self.input = WideInput(n_features, width, generator, rate=STEM_RATE)
        self.inward = nn.ModuleList(  # type: ignore[assignment]
            linear(width, size, generator, bias=False) for size in hidden_layer_sizes
        )
        self.outward = nn.ModuleList(  # type: ignore[assignment]
            linear(size, width, generator) for size in hidden_layer_sizes
        )
        self.norms = nn.ModuleList(  # type: ignore[assignment]
            BatchNorm(n) for size in hidden_layer_sizes for n in (width, size)
        )
        self.dropout = Dropout(dropout)
        self.n_representation = self.n_embedding = width
        with torch.no_grad():
            self.input.linear.weight.copy_(torch.as_tensor(axes) / scale)
            for layer in self.outward:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def embed(self, h: Tensor) -> Tensor:
        """Embed the outputs of the stem."""
        for block in self._blocks():
            h = h + self._added(h, block)
        return h

    def represent(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Return the embedding of every view, each normalised by itself."""
        return [self.embed(h) for h in self.input(views)]

    def _blocks(self) -> Iterator[tuple]:
        yield from zip(self.norms[::2], self.inward, self.norms[1::2], self.outward, strict=True)

    def _added(self, h: Tensor, block: tuple) -> Tensor:
        before, inward, after, outward = block
        return outward(self.dropout(after(torch.relu(inward(before(h))))))

    @torch.no_grad()
    def reestimate(self, h: Tensor) -> None:
        """Set the BatchNorm statistics to those of clean rows, block after block."""
        self.eval()
        for before, inward, after, outward in self._blocks():
            _set_statistics(before, h)
            hidden = torch.relu(inward(before(h)))
            _set_statistics(after, hidden)
            h = h + outward(after(hidden))
        # Heads that begin with BatchNorm leave the offset to rounding; components have none.
        self.outward[-1].bias.sub_(h.mean(dim=0))


def _set_statistics(norm: BatchNorm, h: Tensor) -> None:
    variance, mean = torch.var_mean(h, dim=0, correction=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
