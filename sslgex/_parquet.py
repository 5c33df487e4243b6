"""Parquet files as a matrix on disk: genes in columns, samples in row groups."""

import json
import math
import os
from bisect import bisect_right
from collections.abc import Sequence
from importlib import import_module
from itertools import accumulate, pairwise

import numpy as np

from ._sources import Chain, Source

ENDINGS = (".parquet", ".parq", ".pq")
# Bytes of metadata of files that stay open; unpacked, in memory, they are many times that.
METADATA = 8 * 2**20
# That are read at a time: Arrow takes a piece of memory for each, and of 20,000 pieces the holes
# are as large as what they hold.
COLUMNS = 8_192


def are_parts(X) -> bool:
    """Tell whether X lists files: those named like parquet or given as path objects."""
    if not isinstance(X, list | tuple) or not X:
        return False
    return all(
        isinstance(part, os.PathLike) or (isinstance(part, str) and part.endswith(ENDINGS))
        for part in X
    )


def parquet_source(paths: Sequence) -> Source:
    """Return how to read parquet files, one below the other.

    Raises
    ------
    ValueError
        If their genes differ or a column holds no numbers.
    OSError
        If one cannot be read.
    ImportError
        Without pyarrow.
    """
    files = Files()
    sources = [Parquet(path, files) for path in paths]
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
        source.genes = sources[0].genes  # once in memory
    return sources[0] if len(sources) == 1 else Chain(sources)


class Files:
    """Parquet files that are open: as many as their metadata allow, one at least."""

    def __init__(self) -> None:
        self._open: dict[str, tuple] = {}

    def get(self, path: str):
        """Return an open file."""
        if path not in self._open:
            self._open[path] = _opened(path)
        while len(self._open) > 1 and sum(size for _, size in self._open.values()) > METADATA:
            self._open.pop(next(name for name in self._open if name != path))
        return self._open[path][0]


class Parquet(Source):
    """Rows of a parquet file, its columns being the genes."""

    def __init__(self, path, files: Files):
        self.where = os.fspath(path)
        self._files = files
        file = files.get(self.where)
        self._bytes = os.path.getsize(path)
        schema = file.schema_arrow
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
        groups = range(file.metadata.num_row_groups)
        sizes = [file.metadata.row_group(i).num_rows for i in groups]
        self._starts = list(accumulate(sizes, initial=0))
        self.shape = (self._starts[-1], len(self.genes))
        self.nbytes = self.shape[0] * self.shape[1] * self.dtype.itemsize
        self.step = max(sizes, default=1)

    @property
    def files(self) -> list[str]:
        """Return the file."""
        return [self.where]

    @property
    def header(self):
        """Return a table without rows; not the schema's own, which has the index as well."""
        return import_module("pyarrow").table({name: [] for name in self.genes})

    def bounds(self, n_bytes: int) -> list[int]:
        """Return where blocks of whole row groups begin, and the end."""
        size = max(1, n_bytes // self.row_bytes)
        bounds = [0]
        for end, following in pairwise([*self._starts[1:], math.inf]):
            if end > bounds[-1] and following - bounds[-1] > size:
                bounds.append(end)
        return bounds

    def _refuse_cut(self) -> None:
        now = os.path.getsize(self.where)
        if now < self._bytes:
            raise OSError(f"the file had {self._bytes:,} bytes and has {now:,}")

    def _read(self, start: int, stop: int) -> np.ndarray:
        if start == stop:  # a file without rows has no row group
            return np.empty((0, len(self.genes)), dtype=self.dtype)
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, stop - 1)
        file, groups = self._files.get(self.where), list(range(first, last))
        offset = start - self._starts[first]
        block = np.empty((stop - start, len(self.genes)), dtype=self.dtype)
        for at in range(0, len(self.genes), COLUMNS):
            genes = self.genes[at : at + COLUMNS]
            table = file.read_row_groups(groups, genes, use_threads=False)
            block[:, at : at + COLUMNS] = self._values(table.slice(offset, stop - start))
        return block

    def _values(self, table) -> np.ndarray:
        """Return a table's values, all columns at once: one by one they would take much longer."""
        arrow = import_module("pyarrow")
        if arrow.bool_() in table.schema.types:  # of which there are no tensors
            kinds = [arrow.uint8() if k == arrow.bool_() else k for k in table.schema.types]
            table = table.cast(arrow.schema(list(zip(table.schema.names, kinds, strict=True))))
        (batch,) = table.combine_chunks().to_batches()
        if self.dtype.kind != "f":
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if column.null_count:
                    raise ValueError(f"column {name!r} has {column.null_count} missing values")
        return batch.to_tensor(null_to_nan=True, row_major=True).to_numpy()


def _opened(path: str) -> tuple:
    """Return an open file and the size of its metadata."""
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError(
            f'Reading {path} requires pyarrow. Install it with: pip install "sslgex[parquet]"'
        ) from error
    try:
        file = parquet.ParquetFile(path, memory_map=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path!r}.") from None
    except Exception as error:  # pyarrow's many kinds, one meaning
        if "bad_alloc" in str(error):
            raise MemoryError(
                f"The metadata of {path} do not fit into memory: every row group has an entry for "
                "every gene. Write fewer genes or larger row groups into a file."
            ) from error
        raise OSError(
            f"{path} cannot be read as parquet ({error}). The file is damaged or cut, or of "
            "another format: fetch it again, or pass what it holds."
        ) from error
    return file, file.metadata.serialized_size


def _dtype(field) -> np.dtype | None:
    """Return the numpy dtype of a column of numbers, None for one of anything else."""
    try:
        dtype = np.dtype(field.type.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        return None
    return dtype if dtype.kind in "biuf" else None
