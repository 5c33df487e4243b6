"""The columns and rows of a matrix by name."""

import numpy as np
from sklearn.utils import _safe_indexing

from .._anndata import is_anndata, values_of_anndata
from .._inputs import column_names
from ._alignment import first_names


def gene_names(X) -> np.ndarray | None:
    """Return the names of the columns, None if they are only numbered; raise if they are no text.

    What is no text matches no gene. By its position it must not be matched either: what has names
    may have any order.
    """
    columns = column_names(X)
    if columns is None or not len(columns):
        return None
    if all(isinstance(name, str) for name in columns):
        return columns
    if all(isinstance(name, int) for name in columns) and [*columns] == [*range(len(columns))]:
        return None
    # numpy makes more dimensions of tuples.
    names = [tuple(name) if columns.ndim > 1 else name for name in columns]
    raise ValueError(f"The columns of X are named by {_kind_and_cure(names)}")


def row_names(X) -> np.ndarray | None:
    """Return the names of the samples, where X has some."""
    names = X.obs_names if is_anndata(X) else X.index if hasattr(X, "iloc") else None
    return None if names is None else np.array([str(name) for name in names], dtype=object)


def take_columns(X, columns: np.ndarray):
    """Return some columns of a data frame or AnnData, with their names."""
    if len(columns) == X.shape[1]:
        return X
    return X[:, columns] if is_anndata(X) else _safe_indexing(X, columns, axis=1)


def without_names(X, layer: str | None):
    """Return the values of an AnnData, or a view of a pandas data frame with numbered columns."""
    if is_anndata(X):
        return values_of_anndata(X, layer)
    numbered = X.copy(deep=False)
    numbered.columns = range(X.shape[1])
    return numbered


def _kind_and_cure(columns: list) -> str:
    """Say what names are that are no text, and how to make them text."""
    strange = [name for name in columns if not isinstance(name, str)]
    if len(strange) < len(columns):
        return (
            f"text and other things: {len(strange):,} of {len(columns):,} names are no text "
            f"(first: {strange[0]!r}). Name these columns by text, or leave them out."
        )
    cures = {
        bytes: ("bytes", "str.decode('utf-8')"),
        tuple: ("tuples", "get_level_values(0), the level that holds the genes"),
        int: ("numbers", "astype(str)"),
        float: ("numbers", "astype(int).astype(str)"),  # 3852.0 is the gene 3852
    }
    kind = next((kind for kind in cures if all(isinstance(x, kind) for x in columns)), int)
    what, how = cures[kind]
    return (
        f"{what} (first: {first_names(columns)}), which are no names to scikit-learn. If they are "
        f"gene ids, write them as text: X.columns = X.columns.{how}."
    )
