"""Matrices that a user passes as X and that stay on disk."""

import os
from contextlib import suppress

import numpy as np

from ._anndata import header_of_anndata, is_anndata, values_of_anndata
from ._parquet import are_parts, parquet_source
from ._sources import PAGE, Sliced, Source, chunks_of, where_of


def find_source(X, layer: str | None) -> Source | None:
    """Return how to read X if it is on disk."""
    if not is_anndata(X):
        return source_of(X)
    if not getattr(X, "isbacked", False):
        return source_of(values_of_anndata(X, layer), header_of_anndata(X))
    if layer is not None:  # anndata has read it
        return None
    if X.is_view:
        raise TypeError(
            f"This AnnData is a view of one that is backed by the file {X.filename}, which cannot "
            "be read by rows. Write it to a file of its own, adata.copy(filename=...), or read it: "
            "adata.to_memory()."
        )
    return source_of(X.X, header_of_anndata(X))


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
    if are_parts(X):
        return parquet_source(X)
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
    chunks, step = chunks_of(X), 1
    if chunks:
        step = chunks[0]
    elif isinstance(X, np.memmap) and X.flags.f_contiguous and not X.flags.c_contiguous:
        step = max(1, PAGE // X.dtype.itemsize)  # a page holds so many rows of one gene
    return Sliced(X, where_of(X), step=step, header=header)


def refuse_unopened(X) -> None:
    """Raise for the path of a file, and for a file of which no matrix has been chosen."""
    if isinstance(X, str | os.PathLike):
        raise TypeError(
            f"X is the path {os.fspath(X)!r}; pass what the file holds: "
            "np.load(path, mmap_mode='r'), h5py.File(path)['X'], zarr.open_array(path, mode='r'), "
            "anndata.read_h5ad(path, backed='r'), of parquet a list of paths, or read it: "
            "sslgex.datasets.read_expression(path)."
        )
    package = type(X).__module__.partition(".")[0]
    if package in ("h5py", "zarr") and hasattr(X, "keys") and not hasattr(X, "shape"):
        raise TypeError(
            f"X is a {type(X).__name__} of {package}, not a matrix; pass one of what it holds "
            f"({sorted(X.keys()) or 'nothing'}), such as X['X']. Of an h5ad file pass "
            "anndata.read_h5ad(path, backed='r')."
        )


def refuse_own_file(source: Source | None, path) -> None:
    """Raise if ``path``, about to be written, is a file that the source is read from."""
    for name in source.files if source is not None else ():
        same = False
        with suppress(OSError, ValueError):  # one of them is not there, or is no file
            same = os.path.samefile(name, path)
        if same:
            raise ValueError(
                f"{os.fspath(path)!r} is the file that X is read from, and would be replaced. Name "
                "another one."
            )


def stand_in(source: Source) -> np.ndarray:
    """Return an array that the checks of shape and type say the same of."""
    return np.zeros((min(len(source), 2), source.shape[1]), source.dtype)


def check_finite(estimator, block: np.ndarray, start: int) -> None:
    """Raise unless rows of a matrix on disk, of which the first is number ``start``, are finite."""
    finite = np.isfinite(block)
    if finite.all():
        return
    row, column = np.argwhere(~finite)[0]
    is_nan = np.isnan(block[row, column])
    what = "NaN" if is_nan else f"infinity or a value too large for {block.dtype!r}"
    names = getattr(estimator, "feature_names_in_", None)
    which = f"column {column}" if names is None else f"gene {names[column]!r}"
    raise ValueError(
        f"Input X contains {what}.\nThe first value that is not finite is in row {start + row}, "
        f"{which}. Impute such values or drop those genes or samples."
    )


def _sparse(X, header) -> Source:
    where = f"the sparse matrix {X.group.name!r} of {where_of(X.group)}"
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
