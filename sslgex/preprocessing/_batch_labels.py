"""To which batch each sample belongs, and whether batches and classes can be told apart."""

import warnings
from typing import Any

import numpy as np
from scipy.stats.contingency import association, crosstab
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import type_of_target

from .._inputs import is_anndata
from .._labels import is_missing
from .._training.warning import warn_user

CONFOUNDED = 0.8  # Cramér's V, from where on batch and class are all but the same thing


def batch_labels(X, batch, column: str | None) -> np.ndarray | None:
    """Return the batch of every sample, None if none is named.

    Parameters
    ----------
    X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
        As the user passed it.
    batch : array-like of shape (n_samples,) or None
        What the user passed beside it. Goes before `column`.
    column : str or None
        The column of AnnData's `obs` that holds the batches.
    """
    if batch is None:
        if column is None:
            return None
        batch = _column_of_obs(X, column)
    elif isinstance(batch, str):
        raise TypeError(
            f"batch={batch!r} is one text; here it is one value per sample. A column of AnnData's "
            f"obs is named in the constructor: BatchCorrector(batch={batch!r})."
        )
    values = np.asarray(batch, dtype=object)
    if values.ndim != 1:
        raise ValueError(
            f"batch must have one dimension, one value per sample; got the shape {values.shape} "
            f"of a {type(batch).__name__}. Pass one column of it."
        )
    n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
    if len(values) != n_samples:
        raise ValueError(
            f"batch has {len(values):,} values, but X has {n_samples:,} samples. Pass one value "
            "per sample, in the order of the rows."
        )
    _refuse_other_order(X, batch)
    missing = np.flatnonzero([is_missing(value) or value == "" for value in values])
    if len(missing):
        raise ValueError(
            f"batch is missing for {len(missing):,} of {n_samples:,} samples (first: row "
            f"{missing[0]}). Give those a batch, or leave them out."
        )
    kinds = {isinstance(value, str) for value in values}
    if len(kinds) > 1:
        raise ValueError("batch mixes text and other values. Make all of them text.")
    return np.array(values.tolist())


def warn_if_confounded(batch: np.ndarray, y) -> None:
    """Warn where a batch effect and a difference of classes are the same thing."""
    check_consistent_length(batch, y)
    y = np.asarray(y, dtype=object)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        return
    labelled = np.array([not is_missing(label) for label in y])
    y, batch = np.array(y[labelled].tolist()), batch[labelled]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # many classes are no matter here
        if not len(y) or type_of_target(y) not in ("binary", "multiclass"):
            return
    (classes, batches), table = crosstab(y, batch)
    if min(table.shape) < 2:
        return
    found = []
    if alone := _alone(table, classes, batches):
        n, name, count, where = alone
        found.append(
            f"{n:,} of {len(classes):,} classes occur in one batch only (the largest: {name!r}, "
            f"all {count:,} samples in {where!r})"
        )
    if alone := _alone(table.T, batches, classes):
        n, name, count, what = alone
        found.append(
            f"{n:,} of {len(batches):,} batches hold one class only (the largest: {name!r}, "
            f"{count:,} samples of {what!r})"
        )
    strength = association(table, method="cramer")
    if found or strength >= CONFOUNDED:
        found.append(f"Cramér's V of batch and class is {strength:.2f}")
        warn_user(
            f"Batches and classes are confounded: {'; '.join(found)}. What sets such classes apart "
            "is taken for a batch effect and removed with it; no estimate can part the two. "
            "Compare with the result without the correction."
        )


def _alone(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple | None:
    """Return how many rows of a table have one column only; the largest, its count, its column."""
    alone = np.flatnonzero((table > 0).sum(axis=1) == 1)
    if not len(alone):
        return None
    largest = alone[table[alone].sum(axis=1).argmax()]
    column = table[largest].argmax()
    return len(alone), rows.tolist()[largest], table[largest, column], columns.tolist()[column]


def _column_of_obs(X, column: str):
    """Return a column of AnnData's obs."""
    if not is_anndata(X):
        raise ValueError(
            f"batch={column!r} names a column of AnnData's obs, but X is a {type(X).__name__}. "
            "Pass the AnnData (in a Pipeline only the first step gets it), or the values "
            "themselves: fit(X, batch=...)."
        )
    if column not in X.obs:
        raise ValueError(
            f"AnnData has no column {column!r} in obs; it has {[str(name) for name in X.obs]}."
        )
    return X.obs[column]


def _refuse_other_order(X, batch) -> None:
    """Raise for a series that names the samples of X in another order: it is read by position."""
    samples: Any = X.obs_names if is_anndata(X) else getattr(X, "index", None)
    named: Any = getattr(batch, "index", None)
    if not (hasattr(samples, "symmetric_difference") and hasattr(named, "equals")):
        return  # a list has an index too, a method
    if not named.equals(samples) and named.symmetric_difference(samples).empty:
        raise ValueError(
            "batch has the sample names of X in another order, and is read by position. Pass "
            "batch.loc[X.index] (of an AnnData, batch.loc[adata.obs_names])."
        )
