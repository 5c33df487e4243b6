"""Batches of rows that do not fit into memory.

Batches are made from windows of rows. A window is blocks from all over the source, in an order
that is random anew in every epoch, and its rows are shuffled; meanwhile a background thread reads
the next. So two rows of a batch are from one block with a probability of about a block over a
window, 1/64 where nothing larger is stored together, and else any two blocks of the source are as
likely as any others; a row comes once an epoch. Donors come from rows in memory, drawn uniformly
without replacement: their share of values below any threshold differs from the source's by less
than 0.03 for any gene with a probability of 95 % (Dvoretzky-Kiefer-Wolfowitz, for 2,048 rows).
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch

from .._sources import Source, stack
from .ahead import Ahead
from .rows import BLOCK, Rows
from .statistics import ColumnStatistics, Moments
from .views import HostViews, batch_bounds, new_rng
from .warning import warn_user

# Bytes of rows that are shuffled together, give or take a quarter; two windows are in memory.
WINDOW = 256 * 2**20
BLOCKS = 64  # of which a window is made
FEWEST_BLOCKS = 8  # fewer are worth a warning
DONORS = 256 * 2**20  # bytes of rows to draw donors from
LEAST_DONORS = 2_048  # rows of them at least, however wide
PIECE = 32 * 2**20  # bytes of rows that are read at once where order is no matter
IN_MEMORY = 2 * WINDOW  # bytes: what is no larger had better be in memory whole

Check = Callable[[np.ndarray, int], None]  # of raw rows and the number of the first


class Drawn(Rows):
    """Rows drawn from a source, and the source.

    Parameters
    ----------
    matrix : ndarray
        The rows that were drawn.
    mean, scale : ndarray or None
        As for `Rows`.
    source : Source
        Where they are from.
    held_out : ndarray of int or None
        Rows of the source that are not for training.
    check : callable, optional
        Sees all rows whenever they are read.
    """

    def __init__(
        self,
        matrix,
        mean,
        scale,
        source: Source,
        held_out: np.ndarray | None,
        check: Check | None = None,
    ):
        super().__init__([matrix], mean, scale)
        self.source = source
        self.check = check
        self.train = np.ones(len(source), dtype=bool)
        if held_out is not None:
            self.train[held_out] = False


class StreamSource:
    """Batches of the training rows of a source, with donors from those drawn from it.

    Parameters
    ----------
    drawn : Drawn
        The source, and rows in memory.
    index : ndarray of int
        Which of the rows in memory may be donors.
    batch_size : int
        Rows per batch, as for `MemorySource`.
    seed : int
        Of order and corruption: one seed, one run, however fast the thread reads.
    device : torch.device
        Where the views go.
    """

    def __init__(
        self, drawn: Drawn, index: np.ndarray, *, batch_size: int, seed: int, device: torch.device
    ):
        self.donors: Rows = drawn
        self.train = drawn.train
        self.source = drawn.source
        self.check = drawn.check
        self.index = index
        self.rng = new_rng(seed)
        self.order = new_rng([seed, 1])  # of the thread alone
        self.device = device
        n = int(drawn.train.sum())
        batch_size = min(batch_size, n)
        self.bounds = batch_bounds(n, batch_size)
        self.n_windows = n_windows(self.source, n // batch_size)
        self.blocks = blocks_of(self.source)
        self._reading: Ahead | None = None

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[HostViews]:
        """Pass once over the training rows, in an order of their own every time."""
        self.close()
        self._reading = Ahead(self._windows())
        for rows, batches in self._reading:
            for index in batches:
                yield HostViews(self, rows, index)

    def close(self) -> None:
        """End the thread that reads."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _windows(self) -> Iterator[tuple[Rows, list[np.ndarray]]]:
        """Yield rows to be mixed, and which of them the batches are."""
        blocks = [self.blocks[i] for i in self.order.permutation(len(self.blocks))]
        sizes = np.diff(self.bounds).tolist()[::-1]
        read, left = 0, None  # of the latter there were not enough for a batch
        for i in range(self.n_windows):
            group, n = [], 0 if left is None else left.shape[0]
            while blocks and read < (i + 1) * self.bounds[-1] / self.n_windows:
                start, stop = blocks.pop()
                group.append((start, stop))
                read += int(self.train[start:stop].sum())
                n += int(self.train[start:stop].sum())
            group.sort()  # as they lie on the disk; the rows are shuffled anyway
            window = stack(self._parts(left, group), n, self.source)
            shuffled, at, batches = self.order.permutation(n), 0, []
            while sizes and at + sizes[-1] <= n:
                batches.append(shuffled[at : at + sizes[-1]])
                at += sizes.pop()
            left = window[shuffled[at:]]
            yield Rows([window], self.donors.mean, self.donors.scale), batches
            del window  # before the next is made

    def _parts(self, left, group: list[tuple[int, int]]) -> Iterator:
        if left is not None:
            yield left
        for start, stop in group:
            block, train = self.source.read(start, stop), self.train[start:stop]
            if self.check is not None:
                self.check(block, start)
            yield block if train.all() else block[train]


def n_windows(source: Source, n_batches: int) -> int:
    """Return how many windows a pass of so many whole batches takes."""
    # Of one size, or the last batches of an epoch would be of few blocks.
    return max(1, min(round(len(source) * source.row_bytes / WINDOW), n_batches))


def blocks_of(source: Source) -> list[tuple[int, int]]:
    """Return the rows of each block: where they start, and where they stop."""
    return list(pairwise(source.bounds(WINDOW // BLOCKS)))


def check_blocks(source: Source) -> None:
    """See that batches can be mixed from blocks.

    Raises
    ------
    ValueError
        If rows that are stored together are more than a window.

    Warns
    -----
    UserWarning
        If a window is of few blocks.
    """
    size = max(stop - start for start, stop in blocks_of(source))
    window = WINDOW / source.row_bytes  # rows
    cure = "Write the rows one by one, once: sslgex.datasets.cache_rows(X, path)."
    if size > window:
        raise ValueError(
            f"{size:,} rows of {source.where} are stored together, "
            f"{size * source.row_bytes / 2**20:,.0f} MB; batches are mixed from "
            f"{WINDOW / 2**20:.0f} MB. {cure} A parquet file: write it with smaller row groups."
        )
    if window < min(FEWEST_BLOCKS * size, len(source)):
        warn_user(
            f"{size:,} rows of {source.where} are stored together, so a batch is mixed from "
            f"{window / size:.1f} places of the source, not from {FEWEST_BLOCKS} or more. If its "
            f"rows are in no random order, batches are less random. {cure}"
        )


def survey(source: Source, wanted: np.ndarray, check: Check) -> tuple[ColumnStatistics, np.ndarray]:
    """Read a source once.

    Parameters
    ----------
    source : Source
        Read in order.
    wanted : ndarray of int, ascending
        Rows to keep.
    check : callable
        Sees all rows.

    Returns
    -------
    statistics : ColumnStatistics
        The bits are those of the same rows in memory.
    kept : ndarray of shape (len(wanted), n_features)
        As they are in the source.
    """
    moments = Moments(source.shape[1])
    with Ahead(pieces(source)) as found:
        kept = stack(_kept(found, wanted, moments, check), len(wanted), source)
    return moments.statistics(), kept


def n_drawn(source: Source) -> int:
    """Return how many rows of a source are kept in memory to draw donors from."""
    return max(LEAST_DONORS, int(DONORS / source.row_bytes))


def draw(rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw ``n`` of the rows without replacement, or take all if there are no more."""
    if n >= len(rows):
        return rows
    return np.sort(new_rng(seed).choice(rows, n, replace=False, shuffle=False))


def pieces(source: Source) -> Iterator[tuple[int, np.ndarray]]:
    """Yield all rows in order, in pieces of whole blocks: the number of the first, and the rows."""
    for start, stop in pairwise(source.bounds(PIECE)):
        yield start, source.read(start, stop)


def _kept(found, wanted: np.ndarray, moments: Moments, check: Check) -> Iterator:
    """Yield the wanted rows of every piece, having looked at all of them."""
    waiting = np.empty((BLOCK, len(moments.first)))  # as many rows at a time as in memory
    n = 0
    for start, piece in found:
        for at in range(0, piece.shape[0], BLOCK):
            block = piece[at : at + BLOCK]
            check(block, start + at)
            if n == 0 and len(block) == BLOCK:
                moments.add(block)
                continue
            while len(block):
                some = block[: BLOCK - n]
                waiting[n : n + len(some)] = some
                n, block = n + len(some), block[len(some) :]
                if n == BLOCK:
                    moments.add(waiting)
                    n = 0
        low, high = np.searchsorted(wanted, [start, start + piece.shape[0]])
        yield piece[wanted[low:high] - start]
    if n:
        moments.add(waiting[:n])
