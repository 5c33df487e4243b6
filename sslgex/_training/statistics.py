"""Statistics of every gene, in one pass."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ColumnStatistics:
    """Statistics of every gene over all rows.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,), float64
        Mean and standard deviation. The scale of a constant gene is infinite: standardised, it is
        0 whatever its value, in later samples too.
    largest : ndarray of shape (n_features,), float64
        Largest absolute value.
    """

    mean: np.ndarray
    scale: np.ndarray
    largest: np.ndarray


class Moments:
    """What the statistics are computed from, block after block.

    Deviations from the first row: exact for constant genes, and no cancellation where the mean is
    large beside the spread. The same blocks give the same bits, wherever they come from.
    """

    def __init__(self, n_features: int):
        self.n = 0
        self.first = np.zeros(n_features)
        self.total = np.zeros(n_features)
        self.squares = np.zeros(n_features)
        self.largest = np.zeros(n_features)

    def add(self, rows: np.ndarray) -> None:
        """Take a block of raw rows into account."""
        block = rows.astype(np.float64)
        if self.n == 0:
            self.first[:] = block[0]
        self.n += len(block)
        with np.errstate(over="ignore", invalid="ignore"):
            np.maximum(self.largest, np.abs(block).max(axis=0), out=self.largest)
            block -= self.first
            self.total += block.sum(axis=0)
            self.squares += np.einsum("ij,ij->j", block, block)

    def statistics(self) -> ColumnStatistics:
        """Return the statistics of all rows so far."""
        n = self.n
        with np.errstate(over="ignore", invalid="ignore"):
            shift = (self.total / n) ** 2
            variance = np.maximum(self.squares / n - shift, 0)
            # A spread lost in rounding would turn noise into the gene with the largest values.
            lost = variance <= n * np.finfo(np.float64).eps * shift
            # Nor may it vanish in float32, in which most samples are standardised.
            lost |= np.sqrt(variance) < np.finfo(np.float32).tiny
        scale = np.where((self.squares == 0) | lost, np.inf, np.sqrt(variance))
        return ColumnStatistics(self.first + self.total / n, scale, self.largest)
