"""Matrices that stay on disk, and how their rows are read."""

import json
import math
import os
from bisect import bisect_right
from collections.abc import Sequence
from importlib import import_module
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

PAGE = 4096  # bytes that a mapped file is read by
PARQUET = (".parquet", ".parq", ".pq")


class Source:
    """Rows of a matrix that is not in memory; the kinds define `_read`.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, n_features).
    dtype : numpy.dtype
        Of the values.
    sparse : bool
        Whether rows come as a CSR matrix.
    nbytes : int
        What all rows take in memory.
    step : int
        How many rows are stored together: fewer cost as much to read.
    where : str
        What the source is called in errors.
    header : data frame without rows, or None
        Names of the genes.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    sparse: bool = False
    nbytes: int
    step: int = 1
    where: str
    header: Any = None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> float:
        """What a row takes in memory, on average; 1 at least."""
        return max(1.0, self.nbytes / max(1, self.shape[0]))

    def bounds(self, n_bytes: int) -> list[int]:
        """Return where blocks of about ``n_bytes`` begin, that are stored together, and the end.

        A block is larger where more than that is stored together.
        """
        size = math.ceil(max(1, n_bytes // self.row_bytes) / self.step) * self.step
        return [*range(0, self.shape[0], size), self.shape[0]]

    def read(self, start: int, stop: int):
        """Return rows ``start`` to ``stop``, as an ndarray or a CSR matrix.

        Raises
        ------
        OSError
            If they cannot be read, naming them.
        """
        try:
            block = self._read(start, stop)
            if block.shape != (stop - start, self.shape[1]):
                raise OSError(f"got a block of shape {block.shape}")
        except MemoryError:
            raise
        except Exception as error:  # of h5py, zarr, pyarrow: many kinds, one meaning
            raise OSError(
                f"Rows {start:,} to {stop - 1:,} of {self.where} cannot be read "
                f"({type(error).__name__}: {error}). The file was closed, or it is damaged or cut: "
                "keep it open until fit or transform is done, or fetch it again."
            ) from error
        return block

    def load(self):
        """Return all rows, not copied where they are mapped into memory."""
        return self.read(0, self.shape[0])

    def _read(self, start: int, stop: int):
        raise NotImplementedError


class Sliced(Source):
    """Rows of what can be sliced: a memmap, a dataset, a matrix in memory."""

    def __init__(self, X, where: str, *, step: int = 1, nbytes: int | None = None, header=None):
        self.X = X
        self.shape = (int(X.shape[0]), int(X.shape[1]))
        self.dtype = np.dtype(X.dtype)
        self.sparse = nbytes is not None or sp.issparse(X)
        if nbytes is None:
            nbytes = X.data.nbytes + X.indices.nbytes if sp.issparse(X) else self._dense_bytes()
        self.nbytes = nbytes
        self.step = step
        self.where = where
        self.header = header

    def _dense_bytes(self) -> int:
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def _read(self, start: int, stop: int):
        return self.X[start:stop]


class SamplesFirst(Source):
    """Samples in rows of a dataset that holds genes x samples."""

    def __init__(self, X):
        if len(getattr(X, "shape", ())) != 2 or not hasattr(X, "dtype"):
            raise TypeError(
                f"samples_first takes a matrix of genes x samples on disk, got {type(X).__name__}. "
                "Pass an h5py or zarr dataset or a memmap, such as file['data/expression']."
            )
        self.X = X
        self.shape = (int(X.shape[1]), int(X.shape[0]))
        self.dtype = np.dtype(X.dtype)
        self.nbytes = self.shape[0] * self.shape[1] * self.dtype.itemsize
        chunks = _chunks(X)
        self.step = chunks[1] if chunks else max(1, PAGE // self.dtype.itemsize)
        self.where = f"{_where(X)}, samples first"

    def _read(self, start: int, stop: int):
        return np.ascontiguousarray(self.X[:, start:stop].T)


class Parquet(Source):
    """Rows of a parquet file, its columns being the genes."""

    def __init__(self, path):
        self.where = os.fspath(path)
        parquet = _pyarrow(self.where)
        try:
            self._file = parquet.ParquetFile(path, memory_map=True)
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no file {self.where!r}.") from None
        except Exception as error:  # pyarrow's many kinds, one meaning
            raise OSError(
                f"{self.where} cannot be read as parquet ({error}). The file is damaged or cut, or "
                "of another format: fetch it again, or pass what it holds."
            ) from error
        schema = self._file.schema_arrow
        described = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        index = [name for name in described.get("index_columns", ()) if isinstance(name, str)]
        self.genes = [name for name in schema.names if name not in index]
        kinds = [_dtype(schema.field(name)) for name in self.genes]
        wrong = [name for name, kind in zip(self.genes, kinds, strict=True) if kind is None]
        if wrong:
            raise ValueError(
                f"X must hold numbers only, but {len(wrong):,} of {len(self.genes):,} columns of "
                f"{self.where} do not (first: {wrong[0]!r}). Write the genes without them, or "
                "names of samples as the index of a pandas data frame."
            )
        self.dtype = np.result_type(*kinds) if kinds else np.dtype(np.float32)
        groups = range(self._file.metadata.num_row_groups)
        sizes = [self._file.metadata.row_group(i).num_rows for i in groups]
        self._starts = list(accumulate(sizes, initial=0))
        self.shape = (self._starts[-1], len(self.genes))
        self.nbytes = self.shape[0] * self.shape[1] * self.dtype.itemsize
        self.step = max(sizes, default=1)
        # Not schema.empty_table(): that has the index among its columns.
        self.header = import_module("pyarrow").table({name: [] for name in self.genes})

    def bounds(self, n_bytes: int) -> list[int]:
        """Return where blocks of whole row groups begin, and the end."""
        size = max(1, n_bytes // self.row_bytes)
        bounds = [0]
        for end, following in pairwise([*self._starts[1:], math.inf]):
            if end > bounds[-1] and following - bounds[-1] > size:
                bounds.append(end)
        return bounds

    def _read(self, start: int, stop: int) -> np.ndarray:
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, stop - 1)
        table = self._file.read_row_groups(list(range(first, last)), self.genes, use_threads=False)
        table = table.slice(start - self._starts[first], stop - start)
        block = np.empty((table.num_columns, table.num_rows), dtype=self.dtype)
        for j, column in enumerate(table.columns):
            if column.null_count and self.dtype.kind != "f":
                raise ValueError(f"column {self.genes[j]!r} has {column.null_count} missing values")
            block[j] = column.to_numpy()
        return np.ascontiguousarray(block.T)


class Chain(Source):
    """Sources of the same genes, one behind the other."""

    def __init__(self, sources: Sequence[Source]):
        self.sources = list(sources)
        self._starts = list(accumulate(map(len, self.sources), initial=0))
        self.shape = (self._starts[-1], self.sources[0].shape[1])
        self.dtype = np.result_type(*(source.dtype for source in self.sources))
        self.sparse = all(source.sparse for source in self.sources)
        self.nbytes = self.shape[0] * self.shape[1] * self.dtype.itemsize
        if self.sparse:
            self.nbytes = sum(source.nbytes for source in self.sources)
        self.step = max(source.step for source in self.sources)
        self.where = self.sources[0].where
        self.header = self.sources[0].header

    def bounds(self, n_bytes: int) -> list[int]:
        """Return where the sources' blocks begin, and the end."""
        size = n_bytes / self.row_bytes  # rows, whatever a source's own are
        bounds = []
        for start, source in zip(self._starts, self.sources, strict=False):
            own = source.bounds(math.ceil(size * source.row_bytes))
            bounds += [start + bound for bound in own[:-1]]
        return [*bounds, self.shape[0]]

    def _read(self, start: int, stop: int):
        parts = []
        for i in range(bisect_right(self._starts, start) - 1, len(self.sources)):
            low = self._starts[i]
            if low >= stop:
                break
            here = max(start - low, 0), min(stop - low, len(self.sources[i]))
            parts.append(self.sources[i].read(*here))
        return stack(parts, stop - start, self)


def stack(parts, n_rows: int, source: Source):
    """Return blocks of ``source`` that have ``n_rows`` rows, one below the other."""
    if source.sparse:
        return sp.vstack(list(parts), format="csr")
    whole = np.empty((n_rows, source.shape[1]), dtype=source.dtype)
    at = 0
    for part in parts:
        whole[at : at + part.shape[0]] = part.toarray() if sp.issparse(part) else part
        at += part.shape[0]
    return whole


def source_of(X, header=None) -> Source | None:
    """Return how to read X if it is a matrix on disk, None for anything else.

    Parameters
    ----------
    X : object
        A Source, np.memmap, h5py.Dataset, zarr.Array, sparse dataset of anndata or list of paths
        of parquet files: told by what they are, without importing their packages.
    header : data frame without rows, optional
        Names of the genes.

    Raises
    ------
    TypeError, ValueError, OSError
        If it is one that cannot be read by rows, with the cure.
    """
    if isinstance(X, Source):
        return X
    if _are_parts(X):
        return _parts(X)
    package = type(X).__module__.partition(".")[0]
    if package == "anndata" and hasattr(X, "group") and getattr(X, "format", "") in ("csr", "csc"):
        return _sparse(X, header)
    if not isinstance(X, np.memmap):
        if package not in ("h5py", "zarr") or not hasattr(type(X), "chunks"):
            return None
        if package == "h5py" and not X:
            raise OSError(
                "X is a dataset of an HDF5 file that is closed. Call fit and transform within the "
                "file's with block."
            )
    if len(X.shape) != 2:
        return None
    _refuse_archs4(X)
    chunks, step = _chunks(X), 1
    if chunks:
        step = chunks[0]
    elif isinstance(X, np.memmap) and X.flags.f_contiguous and not X.flags.c_contiguous:
        step = max(1, PAGE // X.dtype.itemsize)  # a page holds so many rows of one gene
    return Sliced(X, _where(X), step=step, header=header)


def _are_parts(X) -> bool:
    """Tell whether X lists files: those named like parquet or given as path objects."""
    if not isinstance(X, list | tuple) or not X:
        return False
    return all(
        isinstance(part, os.PathLike) or (isinstance(part, str) and part.endswith(PARQUET))
        for part in X
    )


def _parts(paths) -> Source:
    sources = [Parquet(path) for path in paths]
    for source in sources[1:]:
        if source.genes != sources[0].genes:
            both = zip(sources[0].genes, source.genes, strict=False)
            where = next((i for i, (one, other) in enumerate(both) if one != other), None)
            said = (
                f"{len(source.genes):,} genes, not {len(sources[0].genes):,}"
                if where is None
                else f"column {where} is {source.genes[where]!r}, not {sources[0].genes[where]!r}"
            )
            raise ValueError(
                f"The parts must have the same genes in the same order, but those of "
                f"{source.where} differ from those of {sources[0].where}: {said}."
            )
    return sources[0] if len(sources) == 1 else Chain(sources)


def _sparse(X, header) -> Source:
    where = f"the sparse matrix {X.group.name!r} of {_where(X.group)}"
    if X.format == "csc":
        raise TypeError(
            f"{where} is stored by columns (CSC), so every row is spread over the whole of it. "
            "Read it, adata.to_memory(), or write it by rows: adata.X = adata.X.tocsr() before "
            "write_h5ad."
        )
    values, indices = X.group["data"], X.group["indices"]
    n_bytes = values.shape[0] * (values.dtype.itemsize + indices.dtype.itemsize)
    return Sliced(X, where, nbytes=n_bytes, header=header)


def _refuse_archs4(X) -> None:
    """Raise for ARCHS4's matrix of genes x samples."""
    file = getattr(X, "file", None)
    accessions = None
    if file is not None and X.name == "/data/expression":
        accessions = file.get("meta/samples/geo_accession", file.get("meta/Sample_geo_accession"))
    if accessions is not None and X.shape[1] == accessions.shape[0] != X.shape[0]:
        raise ValueError(
            f"X is ARCHS4's matrix of {X.shape[0]:,} genes x {X.shape[1]:,} samples, but samples "
            "must be rows: pass sslgex.datasets.samples_first(X), or write the rows once with "
            "sslgex.datasets.cache_rows."
        )


def _chunks(X) -> tuple[int, ...] | None:
    """Return the shape of what is stored together, None where rows or columns simply follow."""
    return getattr(X, "shards", None) or getattr(X, "chunks", None)


def _where(X) -> str:
    """Name a dataset or memmap for an error message."""
    if isinstance(X, np.memmap):
        return "the memmap" if X.filename is None else f"the memmap of {os.fspath(X.filename)}"
    file = getattr(X, "file", None)  # of h5py
    return getattr(file, "filename", None) or str(getattr(X, "store_path", type(X).__name__))


def _dtype(field) -> np.dtype | None:
    """Return the numpy dtype of a column of numbers, None for one of anything else."""
    try:
        dtype = np.dtype(field.type.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        return None
    return dtype if dtype.kind in "biuf" else None


def _pyarrow(where: str):
    try:
        return import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError(
            f'Reading {where} requires pyarrow. Install it with: pip install "sslgex[parquet]"'
        ) from error
