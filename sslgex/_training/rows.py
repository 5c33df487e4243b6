"""Standardised rows of matrices in memory, gathered when needed and never copied whole."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from .statistics import ColumnStatistics, Moments

# Rows that pass through the encoder together outside of training. Always the same shape, so that
# a row's result cannot depend on its neighbours or on how many there are.
BLOCK = 128
CHUNK = 65_536  # values at a time: temporaries stay in the cache


class Rows:
    """The rows of one or several matrices, one behind the other.

    Parameters
    ----------
    matrices : sequence of ndarray or CSR matrix of shape (n_samples_i, n_features)
        Of any real dtype; only the rows asked for are cast.
    mean, scale : ndarray of shape (n_features,), optional
        Subtracted from and divided into every value.
    """

    def __init__(
        self,
        matrices: Sequence,
        mean: np.ndarray | None = None,
        scale: np.ndarray | None = None,
    ):
        self.matrices = list(matrices)
        self.mean = mean
        self.scale = scale
        self.starts = np.cumsum([0, *(m.shape[0] for m in self.matrices)])
        self.n_features: int = self.matrices[0].shape[1]

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def dtype(self) -> type:
        """Return what values are standardised in.

        float64 where a matrix is float64: a large mean would eat the digits of a small spread.
        """
        return np.float64 if any(m.dtype == np.float64 for m in self.matrices) else np.float32

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the rows ``index`` as a float32 array of shape (len(index), n_features)."""
        out = np.empty((len(index), self.n_features), dtype=np.float32)
        size = max(1, CHUNK // self.n_features)
        for start in range(0, len(index), size):
            some = slice(start, start + size)
            self.standardise(self.raw(index[some]), out[some])
        return out

    def raw(self, index: np.ndarray) -> np.ndarray:
        """Return a copy of the rows ``index`` as they are, in `dtype`."""
        if len(self.matrices) == 1:
            return self._cast(self.matrices[0][index])
        out: np.ndarray = np.empty((len(index), self.n_features), dtype=self.dtype)
        for part, here, local in self._locate(index):
            out[here] = self._cast(self.matrices[part][local])
        return out

    def raw_entries(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the values at (rows[i], columns[i]) as they are, in `dtype`."""
        out: np.ndarray = np.empty(len(rows), dtype=self.dtype)
        for part, here, local in self._locate(rows):
            matrix, genes, flat = self.matrices[part], columns[here], self._flat[part]
            if flat is not None:
                out[here] = flat.take(local * self.n_features + genes, mode="clip")
            elif sp.issparse(matrix) and matrix.has_canonical_format and matrix.nnz:
                out[here] = _entries(matrix, local, genes)
            else:
                out[here] = np.asarray(matrix[local, genes]).reshape(-1)
        return out

    def standardise(self, raw: np.ndarray, out: np.ndarray) -> None:
        """Write the standardised values of whole rows, and overwrite ``raw`` on the way."""
        # What float32 cannot hold becomes infinite; whoever calls says so in words.
        with np.errstate(over="ignore"):
            if self.mean is None:
                out[...] = raw
            else:
                raw -= self._moments[0]
                np.divide(raw, self._moments[1], out=out, casting="same_kind")

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """Yield all rows in order, ``size`` at a time, the last block filled with zeros."""
        for start in range(0, len(self), size):
            block = self.take(np.arange(start, min(start + size, len(self))))
            if len(block) < size:
                block = np.concatenate(
                    [block, np.zeros((size - len(block), self.n_features), dtype=np.float32)]
                )
            yield block

    def statistics(self) -> ColumnStatistics:
        """Compute the statistics of every gene in one pass over the raw values."""
        moments = Moments(self.n_features)
        for part, matrix in enumerate(self.matrices):
            for start in range(0, matrix.shape[0], BLOCK):
                moments.add(self._dense(part, start, start + BLOCK))  # sparse: to the same bits
        return moments.statistics()

    def _dense(self, part: int, start: int, stop: int) -> np.ndarray:
        block = self.matrices[part][start:stop]
        return block.toarray() if sp.issparse(block) else np.asarray(block)

    def _locate(self, index: np.ndarray) -> Iterator[tuple[int, slice | np.ndarray, np.ndarray]]:
        """Yield (matrix, positions within ``index``, rows of that matrix)."""
        if len(self.matrices) == 1:
            yield 0, slice(None), index
            return
        parts = np.searchsorted(self.starts, index, side="right") - 1
        for part in np.unique(parts):
            here = np.flatnonzero(parts == part)
            yield int(part), here, index[here] - self.starts[part]

    def _cast(self, values) -> np.ndarray:
        values = values.toarray() if sp.issparse(values) else values
        with np.errstate(over="ignore"):
            return values.astype(self.dtype, copy=False)

    @cached_property
    def _flat(self) -> list[np.ndarray | None]:
        """Dense matrices as flat views: `take` is several times faster than fancy indexing."""
        return [
            m.reshape(-1) if isinstance(m, np.ndarray) and m.flags.c_contiguous else None
            for m in self.matrices
        ]

    @cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.mean, self.dtype), np.asarray(self.scale, self.dtype)


def _entries(matrix, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the values at (rows[i], columns[i]) of a canonical CSR matrix, found by bisection.

    scipy scans the whole row for each of them, unless more are asked for than a row has.
    """
    low, end = matrix.indptr[rows], matrix.indptr[rows + 1]
    high = end
    while (low < high).any():
        middle = low + (high - low) // 2
        right = (low < high) & (matrix.indices.take(middle, mode="clip") < columns)
        low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
    found = (low < end) & (matrix.indices.take(low, mode="clip") == columns)
    return np.where(found, matrix.data.take(low, mode="clip"), matrix.dtype.type(0))
