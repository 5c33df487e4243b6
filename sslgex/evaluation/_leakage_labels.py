"""Labels that X brings along: in one of its columns, or in AnnData's obs."""

from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp

from .._inputs import column_names, is_anndata
from .._labels import is_missing
from ._leakage_rows import reordered


def labels_in(X, y) -> list:
    """Return the columns that hold the labels: their numbers, or the names of AnnData's obs.

    Classes may be called otherwise there, such as 0 and 1 for "normal" and "tumour".
    """
    labels = np.asarray(y).tolist()
    if is_anndata(X):
        return [name for name in X.obs if _same_labels(X.obs[name], labels)]
    if sp.issparse(X):
        return []
    return [j for j, column in enumerate(np.asarray(X).T) if _same_labels(column, labels)]


def relabelled(X, columns: list, order: np.ndarray):
    """Return a copy of X with some of its columns, those of the labels, in another order."""
    if not columns:
        return X
    if hasattr(X, "with_columns"):  # polars
        names = [X.columns[j] for j in columns]
        return X.with_columns([X[name][order] for name in names])
    new = X.copy()
    for column in columns:
        if is_anndata(X):
            new.obs[column] = reordered(X.obs[column], order)
        elif hasattr(X, "iloc"):
            new.isetitem(column, reordered(X.iloc[:, column], order))
        else:
            new[:, column] = X[order, column]
    return new


def spell(X, columns: list) -> str:
    """Name columns for a message."""
    if is_anndata(X):
        return ", ".join(f"obs[{name!r}]" for name in columns)
    names = column_names(X)
    return ", ".join(f"column {j if names is None else repr(names[j])} of X" for j in columns)


def _same_labels(column: Iterable, labels: list) -> bool:
    """Tell whether a column sorts the samples into the same classes."""
    n_classes = len(set(labels))
    if n_classes < 2:
        return False
    if n_classes > len(labels) / 2:  # hardly classes: any two columns of numbers would do
        return all(
            not is_missing(v) and v == label for v, label in zip(column, labels, strict=True)
        )
    label_of: dict = {}
    value_of: dict = {}
    try:
        for value, label in zip(column, labels, strict=True):
            # Of most columns the first rows tell.
            if is_missing(value) or label_of.setdefault(value, label) != label:
                return False
            if value_of.setdefault(label, value) != value:
                return False
    except TypeError:  # values that cannot be looked up
        return False
    return True
