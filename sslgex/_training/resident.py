"""Rows that are kept on the device that trains, and batches that are drawn there.

Batches, masks and donors are distributed as those of `MemorySource`; they are other draws. No step
waits for the device or copies anything to it.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from .device import free_memory
from .rows import Rows
from .tensor_corruption import corrupt
from .views import batch_bounds

SHARE = 0.5  # of the device's free memory that rows may take; the network needs some, too
BLOCK = 2**25  # bytes of rows that are standardised on the host at a time


def fits(n: int, n_features: int, device: torch.device) -> bool:
    """Tell whether a device has room for so many rows in float32."""
    return 4 * n * n_features <= SHARE * free_memory(device)


class ResidentRows:
    """Standardised rows on a device.

    Parameters
    ----------
    rows : Rows
        Where they are from.
    train : ndarray of int
        Which of these to train on.
    held_out : ndarray of int or None
        Which to validate on.
    device : torch.device
        Where they are kept.

    Attributes
    ----------
    values : Tensor of shape (n, n_features), float32
        The rows to train on, and those to validate on behind them.
    numbers : Tensor of shape (n,), int64
        Which of ``rows`` they are.
    n_train : int
        How many there are to train on.
    """

    def __init__(
        self, rows: Rows, train: np.ndarray, held_out: np.ndarray | None, device: torch.device
    ):
        index = train if held_out is None else np.concatenate([train, held_out])
        self.n_train = len(train)
        self.numbers = torch.from_numpy(index).to(device)
        self.values = torch.empty((len(index), rows.n_features), device=device)
        size = max(1, BLOCK // (4 * rows.n_features))
        for start in range(0, len(index), size):
            block = rows.take(index[start : start + size])
            self.values[start : start + size] = torch.from_numpy(block)

    def close(self) -> None:
        """Free the device's memory, whoever still holds on to this."""
        self.values = self.values.new_empty(0)


class ResidentViews:
    """`Views` that are made on the device."""

    index: np.ndarray | Tensor

    def __init__(self, source: "ResidentSource", places: Tensor, index: Tensor):
        self._source = source
        self._places = places
        self.index = index
        self.clean = source.rows.values.index_select(0, places)

    def corrupted(self, rate: float, *, exact: bool = False) -> tuple[Tensor, Tensor]:
        """Replace entries by draws from their genes' empirical marginals; see `Views`."""
        rows, generator = self._source.rows, self._source.generator
        return corrupt(
            rows.values, self._places, rate, exact=exact, n_donors=rows.n_train, generator=generator
        )


class ResidentSource:
    """Batches of rows on a device.

    Parameters
    ----------
    rows : ResidentRows
        What batches are made of and where donors come from, which are rows to train on.
    batch_size : int
        Rows per batch, as for `MemorySource`.
    seed : int
        Of order and corruption: on a device of one kind one seed is one run.
    held_out : bool, default=False
        Whether batches are of the rows held out: in order, with the same views in every pass.
    """

    def __init__(self, rows: ResidentRows, *, batch_size: int, seed: int, held_out: bool = False):
        self.rows = rows
        self.seed = seed
        self.held_out = held_out
        self.generator = torch.Generator(rows.values.device).manual_seed(seed)
        n = len(rows.numbers) - rows.n_train if held_out else rows.n_train
        self.bounds = batch_bounds(n, batch_size)

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[ResidentViews]:
        """Pass once over the rows: shuffled for training, in order and repeatable held out."""
        n, device = self.rows.n_train, self.rows.values.device
        if self.held_out:
            self.generator.manual_seed(self.seed)
            places = torch.arange(n, len(self.rows.numbers), device=device)
        else:
            places = torch.randperm(n, generator=self.generator, device=device)
        numbers = self.rows.numbers[places]
        for start, stop in pairwise(self.bounds):
            yield ResidentViews(self, places[start:stop], numbers[start:stop])

    def close(self) -> None:
        """Free the device's memory."""
        self.rows.close()
