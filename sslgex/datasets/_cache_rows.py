"""Matrices on disk whose samples are not in rows, or not read well by rows."""

from collections.abc import Iterator
from itertools import chain, pairwise

import numpy as np
import scipy.sparse as sp

from .._npy import write_npy
from .._on_disk import find_source, refuse_own_file
from .._sources import SamplesFirst, Source

BLOCK = 64 * 2**20  # bytes that are read at once, or what is stored together


def samples_first(dataset) -> Source:
    """Turn a matrix on disk of genes x samples round, without reading it.

    Parameters
    ----------
    dataset : h5py.Dataset, zarr.Array or memmap of shape (n_genes, n_samples)
        Such as ``data/expression`` in a file of ARCHS4. Its file must stay open.

    Returns
    -------
    X : Source of shape (n_samples, n_genes)
        For `fit` and `transform` of the pretrainers and for `cache_rows`. It is read in blocks of
        samples; where many samples are stored together, `cache_rows` pays.

    Raises
    ------
    TypeError
        If the dataset is no matrix on disk.

    See Also
    --------
    cache_rows : Write the samples row by row, once.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import h5py
    >>> from sslgex.datasets import samples_first
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(Path(folder, "human_gene.h5"), "w") as file:
    ...         file["data/expression"] = [[5, 0, 7], [0, 2, 9]]
    ...         samples_first(file["data/expression"]).shape
    (3, 2)
    """
    return SamplesFirst(dataset)


def cache_rows(X, path, *, samples=None, transform=None, dtype=None) -> np.memmap:
    """Write a matrix to a .npy file row by row, so that any samples are read fast.

    For files that store many samples together, compressed, or genes x samples, as ARCHS4's are:
    they are read once instead of once per epoch.

    Parameters
    ----------
    X : matrix of shape (n_samples, n_genes)
        On disk, as for `fit` of the pretrainers; genes x samples as `samples_first` makes of them.
    path : path
        The file to write, not that of X. It appears complete or not at all.
    samples : array-like of shape (n_written,), int, or (n_samples,), bool, default=None
        Which samples to write, in the order of X; all by default.
    transform : callable, default=None
        Called with some samples, an array of shape (some, n_genes), returns what to write of them:
        `transform` of a fitted `preprocessing.LogCounts`, for instance. It must treat every sample
        by itself.
    dtype : dtype, default=None
        Of the file. By default that of X, or of what ``transform`` returns. Values are rounded to a
        floating type; one that is too large for it, or that an integer type does not hold exactly,
        is an error.

    Returns
    -------
    rows : memmap of shape (n_written, n_columns)
        The file, opened for reading: for `fit` and `transform` of the pretrainers. To keep the
        names of the genes, put it into an AnnData.

    Raises
    ------
    TypeError
        If X is no matrix on disk.
    ValueError
        If no sample is left, or one of ``samples`` is not there; if a value does not fit into
        ``dtype``; if ``path`` is the file of X.
    OSError
        If X cannot be read or the file cannot be written.

    See Also
    --------
    samples_first : Turn genes x samples round.
    build_archs4 : Read labelled samples of ARCHS4 into memory.

    Notes
    -----
    Memory: 64 MB of samples or as many as are stored together, and as much again for what
    ``transform`` returns.

    Examples
    --------
    Counts of genes x samples become logs in rows:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import h5py
    >>> from sslgex.datasets import cache_rows, samples_first
    >>> from sslgex.preprocessing import LogCounts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(Path(folder, "human_gene.h5"), "w") as file:
    ...         counts = file.create_dataset("data/expression", data=[[5, 0, 7], [5, 2, 0]])
    ...         logs = LogCounts(target_sum=6).fit(counts[:].T)
    ...         rows = cache_rows(
    ...             samples_first(counts), Path(folder, "rows.npy"), transform=logs.transform
    ...         )
    ...     rows.shape, rows[0].tolist()
    ((3, 2), [2.0, 2.0])
    """
    source = find_source(X, None)
    if source is None:
        raise TypeError(
            f"cache_rows takes a matrix on disk, got {type(X).__name__}. Pass an h5py or zarr "
            "dataset, a memmap, a backed AnnData, a list of parquet files, or samples_first of a "
            "dataset. np.save writes an array."
        )
    refuse_own_file(source, path)
    wanted = _wanted(samples, len(source))
    blocks = _blocks(source, wanted, transform)
    first = next(blocks)
    dtype = first.dtype if dtype is None else np.dtype(dtype)
    if dtype.kind not in "biuf":
        raise TypeError(f"dtype={dtype.str!r} is of no real numbers; name one such as 'float32'.")
    n_columns = first.shape[1]
    cast = (_cast(block, dtype, n_columns) for block in chain([first], blocks))
    return write_npy(path, cast, (int(wanted.sum()), n_columns), dtype)


def _wanted(samples, n: int) -> np.ndarray:
    """Return which of ``n`` samples are to be written."""
    wanted = np.ones(n, dtype=bool)
    if samples is not None:
        samples = np.asarray(samples)
        if samples.size and samples.dtype.kind not in "biu":
            raise TypeError(
                f"samples are numbers of rows, int, or a mask, bool; got dtype {samples.dtype}."
            )
        if samples.dtype == bool and samples.shape != (n,):
            raise ValueError(f"samples has shape {samples.shape}, but X has {n:,} samples.")
        if samples.dtype != bool and samples.size and not 0 <= samples.min() <= samples.max() < n:
            raise ValueError(f"Samples are 0 to {n - 1:,}, got {samples.min()} to {samples.max()}.")
        wanted = np.zeros(n, dtype=bool)
        wanted[samples if samples.size else []] = True
    if not wanted.any():
        raise ValueError(f"No sample of {n:,} is to be written. Choose some, or samples=None.")
    return wanted


def _blocks(source: Source, wanted: np.ndarray, transform) -> Iterator[np.ndarray]:
    for start, stop in pairwise(source.bounds(BLOCK)):
        here = wanted[start:stop]
        if not here.any():
            continue
        block = source.read(start, stop)
        block = block if here.all() else block[here]
        if transform is not None:
            block = _transformed(transform, block, start, stop)
        yield block


def _transformed(transform, block: np.ndarray, start: int, stop: int) -> np.ndarray:
    try:
        out = transform(block)
    except Exception as error:
        error.add_note(f"That is of samples {start:,} to {stop - 1:,}, {len(block):,} of them.")
        raise
    out = out.toarray() if sp.issparse(out) else np.asarray(out)
    if out.ndim != 2 or len(out) != len(block):
        raise ValueError(
            f"transform made shape {out.shape} of {block.shape}; it must return as many samples."
        )
    return out


def _cast(block: np.ndarray, dtype: np.dtype, n_columns: int) -> np.ndarray:
    """Return a block in the file's type; numpy itself would let values wrap or overflow."""
    if block.shape[1] != n_columns:
        raise ValueError(
            f"transform made {n_columns:,} columns of the first samples and {block.shape[1]:,} of "
            "later ones; it must make the same of all."
        )
    if np.can_cast(block.dtype, dtype, "safe"):
        return block
    with np.errstate(over="ignore", invalid="ignore"):
        cast = block.astype(dtype)
    lost = np.isfinite(block) & ~np.isfinite(cast) if dtype.kind == "f" else cast != block
    if lost.any():
        raise ValueError(
            f"{block[lost][0]} would become {cast[lost][0]} as {dtype}. Choose another dtype, or a "
            "transform that makes values it holds, such as logs in floats."
        )
    return cast
