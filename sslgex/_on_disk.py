"""Matrices that a user passes as X and that stay on disk."""

import numpy as np
import scipy.sparse as sp

from ._anndata import header_of_anndata, is_anndata, values_of_anndata
from ._sources import Source, source_of


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


def stand_in(source: Source) -> np.ndarray:
    """Return an array that the checks of shape and type say the same of."""
    return np.zeros((min(len(source), 2), source.shape[1]), source.dtype)


def check_finite(estimator, block, start: int) -> None:
    """Raise unless rows of a matrix on disk, of which the first is number ``start``, are finite."""
    if np.isfinite(block.data if sp.issparse(block) else block).all():
        return
    block = block.toarray() if sp.issparse(block) else block
    finite = np.isfinite(block)
    row, column = np.argwhere(~finite)[0]
    is_nan = np.isnan(block[row, column])
    what = "NaN" if is_nan else f"infinity or a value too large for {block.dtype!r}"
    names = getattr(estimator, "feature_names_in_", None)
    which = f"column {column}" if names is None else f"gene {names[column]!r}"
    raise ValueError(
        f"Input X contains {what}.\nThe first value that is not finite is in row {start + row}, "
        f"{which}. Impute such values or drop those genes or samples."
    )
