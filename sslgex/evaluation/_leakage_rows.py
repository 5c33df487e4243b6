"""Rows of any kind of matrix: perturbed, compared, and told from their doubles."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import _safe_indexing

from .._inputs import is_anndata
from .._labels import is_missing


def rows_of(X, rows: np.ndarray):
    """Return a copy of some rows, in the container of X."""
    return X[rows].copy() if is_anndata(X) else _safe_indexing(X, rows)


def reordered(y, order: np.ndarray):
    """Return the labels in another order, under the row names of the old one."""
    new = _safe_indexing(y, order)
    return new.set_axis(y.index) if hasattr(y, "iloc") else new


def perturb(X, rows: np.ndarray, factor: int, rng: np.random.Generator):
    """Return a copy of X whose ``rows`` hold the values of other rows, times ``factor``.

    No value turns negative or fractional by that. Another row's values change what is relative
    within a row, the factor changes what is summed over it. Row names stay where they are. Columns
    of a data frame that are no numbers are not multiplied, and polars frames not at all.
    """
    n = X.shape[0]
    source, scale = np.arange(n), np.ones(n, dtype=int)
    if len(rows):
        source[rows] = (rows + rng.integers(1, n, len(rows))) % n
        scale[rows] = factor
    if not is_anndata(X):
        return _taken(X, source, scale)
    new = X.copy()
    if X.X is not None:
        new.X = _taken(X.X, source, scale)
    for name in X.layers:
        new.layers[name] = _taken(X.layers[name], source, scale)
    return new


def unperturbed(X):
    """Return a copy of X laid out in memory like a perturbed one: sums then round alike."""
    return perturb(X, np.arange(0), 1, np.random.default_rng(0))


def difference(a, b, rows: np.ndarray) -> dict[str, float]:
    """Return how many of the rows differ between two outputs and by how much; empty if none.

    Compared bit for bit, but missing values are equal. Of outputs with different numbers of columns
    all rows differ.
    """
    for one, other in zip(_matrices(a), _matrices(b), strict=True):
        one, other = one[rows], other[rows]
        if one.shape != other.shape:
            changed = {"columns before": one.shape[1], "columns after": other.shape[1]}
            return {"rows changed": len(rows), "of": len(rows), **changed}
        differs, largest = _differs(one, other)
        if differs.any():
            changed = {"rows changed": int(differs.sum()), "of": len(rows)}
            return changed if largest is None else {**changed, "by up to": largest}
    return {}


def close(a, b) -> bool:
    """Tell whether two outputs are equal up to rounding."""
    for one, other in zip(_matrices(a), _matrices(b), strict=True):
        if one.shape != other.shape:
            return False
        if one.dtype.kind not in "biufc":
            return not _differs(one, other)[0].any()
        if 0 not in one.shape and not abs(one - other).max() <= 1e-6 * abs(one).max():
            return False
    return True


def codes_of_rows(X) -> np.ndarray:
    """Return for every row the number of the first row that equals it."""
    first: dict = {}
    matrix = _matrices(X)[0]
    # Equal rows may be stored in several ways.
    if sp.issparse(matrix):
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    elif matrix.dtype.kind == "f":
        matrix = matrix + 0.0  # of -0.0 makes 0.0
    return np.array([first.setdefault(_content(matrix, i), i) for i in range(matrix.shape[0])])


def _taken(X, source: np.ndarray, scale: np.ndarray):
    """Return the rows ``source`` of a matrix, each times its scale, in the dtypes of X."""
    if hasattr(X, "iloc"):
        new = X.iloc[source].set_axis(X.index)
        numbers = new.select_dtypes("number")
        if not numbers.empty:
            new[numbers.columns] = numbers.mul(scale, axis=0).astype(numbers.dtypes)
        return new
    if sp.issparse(X):
        new = X.tocsr()[source]
        return new.multiply(scale[:, None]).tocsr().astype(X.dtype)
    if isinstance(X, np.ndarray) and X.dtype.kind in "biuf":
        return (X[source] * scale[:, None]).astype(X.dtype)
    return _safe_indexing(X, source)


def _matrices(X) -> list:
    """Return an output as matrices: of an AnnData X and the layers."""
    if is_anndata(X):
        found = [] if X.X is None else [X.X]
        return [_matrix(part) for part in (*found, *(X.layers[k] for k in sorted(X.layers)))]
    return [_matrix(X)]


def _matrix(X):
    if sp.issparse(X):
        return sp.csr_array(X)
    values = np.asarray(X)
    if values.dtype == object:
        # NaN is unequal to itself, and pandas' NA is neither equal nor unequal.
        values = values.copy()
        values[np.frompyfunc(is_missing, 1, 1)(values).astype(bool)] = None
    return values[:, None] if values.ndim == 1 else values


def _differs(a, b) -> tuple[np.ndarray, float | None]:
    """Return which rows differ, and the largest difference if they hold numbers."""
    if sp.issparse(a) or sp.issparse(b):
        gap = abs(sp.csr_array(a) - sp.csr_array(b))
        largest = gap.max(axis=1).toarray().ravel()
        return largest != 0, float(largest.max())
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
        return (a != b).any(axis=1), None
    differs = (a != b) & ~(np.isnan(a) & np.isnan(b))
    gap = np.abs(a.astype(float) - b.astype(float))[differs]
    return differs.any(axis=1), float(np.nanmax(gap)) if np.isfinite(gap).any() else None


def _content(matrix, i: int):
    """Return what tells a row from others."""
    if not sp.issparse(matrix):
        return matrix[i].tobytes() if matrix.dtype != object else tuple(matrix[i])
    part = slice(*matrix.indptr[i : i + 2])
    return matrix.indices[part].tobytes(), matrix.data[part].tobytes()
