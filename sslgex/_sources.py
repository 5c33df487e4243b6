"""Matrices that stay on disk, and how their rows are read."""

import math
import mmap
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import scipy.sparse as sp

PAGE = 4096  # bytes that a mapped file is read by


class Source:
    """Rows of a matrix that is not in memory; the kinds define `_read`.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, n_features).
    dtype : numpy.dtype
        Of the values.
    nbytes : int
        What all rows take in memory, loaded.
    step : int
        How many rows are stored together: fewer cost as much to read.
    where : str
        What the source is called in errors.
    header : data frame without rows, or None
        Names of the genes.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    nbytes: int
    step: int = 1
    where: str
    header: Any = None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def files(self) -> list[str]:
        """Return the files that rows are read from, as far as they are known."""
        return []

    @property
    def row_bytes(self) -> float:
        """What a row takes in memory, read; 1 at least."""
        return max(1.0, self.shape[1] * self.dtype.itemsize)

    def bounds(self, n_bytes: int) -> list[int]:
        """Return where blocks of about ``n_bytes`` begin, that are stored together, and the end.

        A block is larger where more than that is stored together.
        """
        size = math.ceil(max(1, n_bytes // self.row_bytes) / self.step) * self.step
        return [*range(0, self.shape[0], size), self.shape[0]]

    def read(self, start: int, stop: int):
        """Return rows ``start`` to ``stop`` as an ndarray.

        Of a sparse matrix, too: batches, donors and statistics are made of dense rows, and a gene
        of a dense donor is found at once.

        Raises
        ------
        OSError
            If they cannot be read, naming them.
        """
        block = self._stored(start, stop)
        return block.toarray() if sp.issparse(block) else block

    def load(self):
        """Return all rows as an ndarray or, if they are stored so, a CSR matrix.

        They are not copied where they are mapped into memory.
        """
        return self._stored(0, self.shape[0])

    def _stored(self, start: int, stop: int):
        try:
            self._refuse_cut()
            block = self._read(start, stop)
            if block.shape != (stop - start, self.shape[1]):
                raise OSError(f"got a block of shape {block.shape}")
            if sp.issparse(block):
                block.check_format()  # or columns that are not there would be written to
        except MemoryError:
            raise
        except Exception as error:  # of h5py, zarr, pyarrow: many kinds, one meaning
            raise OSError(
                f"Rows {start:,} to {stop - 1:,} of {self.where} cannot be read "
                f"({type(error).__name__}: {error}). The file was closed, or it is damaged or cut: "
                "keep it open until fit or transform is done, or fetch it again."
            ) from error
        return block

    def _read(self, start: int, stop: int):
        raise NotImplementedError

    def _refuse_cut(self) -> None:
        """Raise if the file is cut: a map of it would end the process, HDF5 would give zeros."""


class Sliced(Source):
    """Rows of what can be sliced: a memmap, a dataset, a matrix in memory."""

    def __init__(self, X, where: str, *, step: int = 1, nbytes: int | None = None, header=None):
        self.X = X
        self.shape = (int(X.shape[0]), int(X.shape[1]))
        self.dtype = np.dtype(X.dtype)
        self.nbytes = self._dense_bytes() if nbytes is None else nbytes
        self.step = step
        self.where = where
        self.header = header

    @property
    def files(self) -> list[str]:
        """Return the file of the memmap or the dataset."""
        return files_of(self.X)

    def _dense_bytes(self) -> int:
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def _refuse_cut(self) -> None:
        _refuse_cut(self.X)

    def _read(self, start: int, stop: int):
        return self.X[start:stop]


class SamplesFirst(Source):
    """Samples in rows of a dataset that holds genes x samples."""

    def __init__(self, X):
        package = type(X).__module__.partition(".")[0]
        on_disk = isinstance(X, np.memmap) or package in ("h5py", "zarr")
        if not on_disk or len(getattr(X, "shape", ())) != 2:
            raise TypeError(
                f"samples_first takes a matrix of genes x samples on disk, got {type(X).__name__}. "
                "Pass an h5py or zarr dataset or a memmap, such as file['data/expression']."
            )
        self.X = X
        self.shape = (int(X.shape[1]), int(X.shape[0]))
        self.dtype = np.dtype(X.dtype)
        self.nbytes = self.shape[0] * self.shape[1] * self.dtype.itemsize
        chunks = chunks_of(X)
        self.step = chunks[1] if chunks else max(1, PAGE // self.dtype.itemsize)
        self.where = f"{where_of(X)}, samples first"

    @property
    def files(self) -> list[str]:
        """Return the file of the memmap or the dataset."""
        return files_of(self.X)

    def _refuse_cut(self) -> None:
        _refuse_cut(self.X)

    def _read(self, start: int, stop: int):
        return np.ascontiguousarray(self.X[:, start:stop].T)


class Chain(Source):
    """Sources of the same genes, one behind the other."""

    def __init__(self, sources: Sequence[Source]):
        self.sources = list(sources)
        self._starts = list(accumulate(map(len, self.sources), initial=0))
        self.shape = (self._starts[-1], self.sources[0].shape[1])
        self.dtype = np.result_type(*(source.dtype for source in self.sources))
        self.nbytes = self.shape[0] * self.shape[1] * self.dtype.itemsize
        self.step = max(source.step for source in self.sources)
        self.where = self.sources[0].where
        self.header = self.sources[0].header

    @property
    def files(self) -> list[str]:
        """Return the files of all sources."""
        return [name for source in self.sources for name in source.files]

    def bounds(self, n_bytes: int) -> list[int]:
        """Return where the sources' blocks begin, and the end."""
        size = n_bytes / self.row_bytes  # rows, whatever a source's own are
        bounds = []
        for start, source in zip(self._starts, self.sources, strict=False):
            own = source.bounds(math.ceil(size * source.row_bytes))
            bounds += [start + bound for bound in own[:-1]]
        return [*bounds, self.shape[0]]

    def _read(self, start: int, stop: int) -> np.ndarray:
        parts = []
        for i in range(bisect_right(self._starts, start) - 1, len(self.sources)):
            low = self._starts[i]
            if low >= stop:
                break
            here = max(start - low, 0), min(stop - low, len(self.sources[i]))
            parts.append(self.sources[i].read(*here))
        return stack(parts, stop - start, self)


def stack(parts, n_rows: int, source: Source) -> np.ndarray:
    """Return blocks of ``source`` that have ``n_rows`` rows, one below the other."""
    whole = np.empty((n_rows, source.shape[1]), dtype=source.dtype)
    at = 0
    for part in parts:
        whole[at : at + part.shape[0]] = part
        at += part.shape[0]
    return whole


def _refuse_cut(X) -> None:
    """Raise if the open file of a memmap or an h5py dataset ends before the values do."""
    if hasattr(X, "group"):  # of anndata, sparse
        for name in ("data", "indices"):
            _refuse_cut(X.group[name])
        return
    needed = there = 0
    if isinstance(X, np.memmap):
        mapped = X._mmap  # type: ignore[attr-defined]
        if mapped is not None:
            needed = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY + len(mapped)
            there = mapped.size()
    elif hasattr(X, "id") and X.file.driver == "sec2":  # one file of the system's
        # Of what is stored in chunks HDF5 notices itself.
        first = X.id.get_offset()
        if first is not None:
            if X.file.mode != "r":
                X.file.flush()  # what has just been written may not be there yet
            needed = first + X.id.get_storage_size()
            there = os.fstat(X.file.id.get_vfd_handle()).st_size
    if there < needed:
        raise OSError(f"the file had {needed:,} bytes or more and has {there:,}")


def chunks_of(X) -> tuple[int, ...] | None:
    """Return the shape of what is stored together, None where rows or columns simply follow."""
    return getattr(X, "shards", None) or getattr(X, "chunks", None)


def where_of(X) -> str:
    """Name a dataset or memmap for an error message."""
    if isinstance(X, np.memmap):
        return "the memmap" if X.filename is None else f"the memmap of {os.fspath(X.filename)}"
    file = getattr(X, "file", None)  # of h5py
    return getattr(file, "filename", None) or str(getattr(X, "store_path", type(X).__name__))


def files_of(X) -> list[str]:
    """Return the file that a memmap or a dataset of HDF5 is read from; zarr's is a folder."""
    X = getattr(X, "group", X)  # of anndata, sparse
    name = (
        X.filename
        if isinstance(X, np.memmap)
        else getattr(getattr(X, "file", None), "filename", "")
    )
    return [os.fspath(name)] if name else []
