"""Rows of all calls of a training that goes on, and batches whose donors are drawn from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from .rows import Rows
from .stream import draw
from .views import HostViews, batch_bounds, new_rng

MOST_ROWS = 10**9 - 1  # that numpy's hypergeometric distribution takes


@dataclass(frozen=True)
class Reservoir:
    """Rows drawn uniformly and without replacement from all rows that have been seen.

    Rows are never written into: a training that fails leaves the reservoir that there was.

    Attributes
    ----------
    matrix : ndarray or CSR matrix, or None
        The rows, raw; None before the first.
    n_seen : int
        From how many they were drawn.
    capacity : int or None
        The most that they may be; None before the first.
    """

    matrix: Any = None
    n_seen: int = 0
    capacity: int | None = None

    def draw(self, n_new: int, capacity: int, seed: int) -> "Draw":
        """Draw what stays and what comes when ``n_new`` rows more have been seen.

        Every set of ``capacity`` of all rows is as likely as any other, as after Vitter's
        algorithm R [1]_; how many of them are old is drawn at once, not row by row. A capacity
        that is smaller than before holds from then on.

        References
        ----------
        .. [1] Vitter (1985). Random sampling with a reservoir. ACM TOMS 11(1).
        """
        capacity = capacity if self.capacity is None else min(capacity, self.capacity)
        n_old, kept = min(self.n_seen, MOST_ROWS - n_new), np.arange(0)
        size = min(capacity, n_old + n_new)
        if n_old:
            rng = new_rng([seed, 1])
            n_kept = rng.hypergeometric(n_old, n_new, size)
            kept = rng.choice(self.matrix.shape[0], n_kept, replace=False, shuffle=False)
        new = draw(np.arange(n_new), size - len(kept), seed)
        return Draw(self, np.sort(kept), new, n_new, capacity)


@dataclass(frozen=True)
class Draw:
    """Which rows a reservoir is to hold next.

    Attributes
    ----------
    before : Reservoir
        As it is.
    kept : ndarray of int
        Which of its rows stay.
    new : ndarray of int, ascending
        Which of the new rows come.
    n_new : int
        How many new rows there are.
    capacity : int
        The most rows that the next may hold.
    """

    before: Reservoir
    kept: np.ndarray
    new: np.ndarray
    n_new: int
    capacity: int

    def filled(self, rows) -> Reservoir:
        """Return the next reservoir; ``rows`` are the new ones that come, and its own."""
        matrix = rows
        if self.before.matrix is not None:
            matrix = _join(self.before.matrix[self.kept], rows)
        return Reservoir(matrix, self.before.n_seen + self.n_new, self.capacity)


class ChunkSource:
    """Batches of rows in memory, with donors from others.

    Parameters
    ----------
    rows : Rows
        What batches are made of.
    donors : Rows
        What donors are drawn from.
    batch_size : int
        Rows per batch, as for `MemorySource`.
    seed : int
        Of order and corruption.
    device : torch.device
        Where the views go.
    """

    def __init__(
        self, rows: Rows, donors: Rows, *, batch_size: int, seed: int, device: torch.device
    ):
        self.rows, self.donors = rows, donors
        self.index = np.arange(len(donors))
        self.rng = new_rng(seed)
        self.device = device
        self.bounds = batch_bounds(len(rows), batch_size)

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[HostViews]:
        """Pass once over the rows, shuffled."""
        order = self.rng.permutation(len(self.rows))
        for start, stop in zip(self.bounds[:-1], self.bounds[1:], strict=True):
            yield HostViews(self, self.rows, order[start:stop])

    def close(self) -> None:
        """Let go of nothing: the rows are the caller's."""


def _join(old, new):
    """Return rows below each other, in a dtype that holds both; sparse if both are."""
    if sp.issparse(old) and sp.issparse(new):
        return sp.vstack([old, new], format="csr")
    both = [part.toarray() if sp.issparse(part) else part for part in (old, new)]
    return np.concatenate(both)
