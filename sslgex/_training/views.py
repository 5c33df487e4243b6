"""Batches and their corrupted views, drawn on the host."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .corruption import choose, n_corrupted, replaced
from .rows import Rows


class Views(Protocol):
    """One batch, and as many corruptions of it as the method asks for.

    Attributes
    ----------
    clean : Tensor of shape (batch, n_features)
        Standardised values.
    index : ndarray or Tensor of shape (batch,), int
        Which of the rows these are; where the batch was drawn.
    """

    clean: Tensor
    index: np.ndarray | Tensor

    def corrupted(self, rate: float, *, exact: bool = False) -> tuple[Tensor, Tensor]:
        """Replace entries by draws from their genes' empirical marginals.

        An entry (sample i, gene j) that the mask chooses takes the value of gene j in a random
        training row, drawn for that entry alone.

        Parameters
        ----------
        rate : float
            Share of the genes to replace.
        exact : bool, default=False
            Replace exactly ``floor(rate * n_features)`` genes of each row (SCARF); otherwise each
            entry with probability ``rate`` (VIME, BYOL).

        Returns
        -------
        values : Tensor of shape (batch, n_features)
            The corrupted view.
        mask : Tensor of shape (batch, n_features), bool
            Which entries were replaced.
        """
        ...


class BatchSource(Protocol):
    """Where batches come from: from memory, from disk, or from the device itself.

    Attributes
    ----------
    bounds : list of int
        Where the batches of a pass begin, and the end.
    """

    bounds: list[int]

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        ...

    def __iter__(self) -> Iterator[Views]:
        """Pass once over the rows."""
        ...

    def close(self) -> None:
        """Let go of what is being read, or kept on the device."""
        ...


class HostSource(Protocol):
    """What `HostViews` are drawn by.

    Attributes
    ----------
    donors : Rows
        With ``index``, which of them donors are drawn from.
    rng : numpy Generator
        Draws masks and donors.
    device : torch.device
        Where the views go.
    """

    donors: Rows
    index: np.ndarray
    rng: np.random.Generator
    device: torch.device


class HostViews:
    """`Views` that are made on the host, and copied to the device."""

    index: np.ndarray | Tensor

    def __init__(self, source: HostSource, rows: Rows, index: np.ndarray):
        self._source = source
        self._rows = rows
        self._index = self.index = index
        self.clean = torch.from_numpy(rows.take(index)).to(source.device)

    def corrupted(self, rate: float, *, exact: bool = False) -> tuple[Tensor, Tensor]:
        """Replace entries by draws from their genes' empirical marginals; see `Views`."""
        source = self._source
        n, n_features = self.clean.shape
        if exact:
            counts = np.full(n, n_corrupted(rate, n_features))
        else:
            counts = source.rng.binomial(n_features, rate, size=n)
        mask = choose(counts, n_features, source.rng)
        values = replaced(self._rows, self._index, mask, source.donors, source.index, source.rng)
        return (
            torch.from_numpy(values).to(source.device),
            torch.from_numpy(mask).to(source.device),
        )


class MemorySource:
    """Batches of rows in memory.

    Parameters
    ----------
    rows : Rows
        All rows there are.
    index : ndarray of int
        The training rows: what batches are made of and where donors come from.
    batch_size : int
        Rows per batch. A last batch of one row, which BatchNorm cannot use, joins the one before.
    seed : int
        Of the order of the rows and of the corruption. Both are drawn on the host and the same
        whatever the device.
    device : torch.device
        Where the views go.
    held_out : ndarray of int, optional
        Validation rows: batches are made of these, in order, while donors still come from
        ``index``; every pass draws the same views.
    """

    def __init__(
        self,
        rows: Rows,
        index: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        held_out: np.ndarray | None = None,
    ):
        self.rows = self.donors = rows
        self.index = index
        self.seed = seed
        self.rng = new_rng(seed)
        self.device = device
        self.held_out = held_out
        self.bounds = batch_bounds(len(index if held_out is None else held_out), batch_size)

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[HostViews]:
        """Pass once over the rows: shuffled for training, in order and repeatable held out."""
        if self.held_out is None:
            order = self.rng.permutation(self.index)
        else:
            self.rng = new_rng(self.seed)
            order = self.held_out
        for start, stop in zip(self.bounds[:-1], self.bounds[1:], strict=True):
            yield HostViews(self, self.rows, order[start:stop])

    def close(self) -> None:
        """Let go of nothing: the rows are the caller's."""


def batch_bounds(n: int, batch_size: int) -> list[int]:
    """Return where batches begin, and the end; no batch is of one row, if there are two."""
    return [i * batch_size for i in range(n_batches(n, batch_size))] + [n]


def n_batches(n: int, batch_size: int) -> int:
    """Return how many batches that are."""
    whole, rest = divmod(n, batch_size)
    return whole if rest == 0 or (rest == 1 and whole) else whole + 1


def new_rng(seed: int | list[int]) -> np.random.Generator:
    """Return numpy's fastest generator."""
    return np.random.Generator(np.random.SFC64(seed))
