"""The expression profiles of a sweep, to be handed out in parts."""

import importlib.util

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from .._inputs import check_X, check_X_unlabeled, column_names

BLOCK = 1024


class LabelEfficiency(BaseEstimator):
    """Whose input is checked: the name stands in error messages."""


class Profiles:
    """A matrix of samples in rows, and its gene names if it has any.

    Parameters
    ----------
    values : ndarray or CSR matrix of shape (n_samples, n_features)
        Checked.
    names : ndarray of shape (n_features,) or None
        Names of the genes.
    """

    def __init__(self, values, names=None):
        self.values = values
        # The estimators get names as a data frame; without pandas, or sparse, they get none.
        framed = names is not None and not sp.issparse(values)
        self.names = names if framed and importlib.util.find_spec("pandas") else None

    def __len__(self) -> int:
        return self.values.shape[0]

    def __getitem__(self, rows: np.ndarray | slice):
        """Return some samples, as a data frame if the genes have names."""
        part = self.values[rows]
        if self.names is None:
            return part
        import pandas as pd

        return pd.DataFrame(part, columns=self.names)


def check_profiles(X, X_unlabeled) -> tuple[Profiles, list[Profiles]]:
    """Return the labelled and the unlabelled profiles; raise if they share samples."""
    whose = LabelEfficiency()
    profiles = Profiles(check_X(whose, X, reset=True, gather=True), column_names(X))
    more = [Profiles(values, profiles.names) for values in check_X_unlabeled(whose, X_unlabeled)]
    for i, unlabelled in enumerate(more):
        rows, others = _shared(profiles.values, unlabelled.values)
        if len(rows):
            raise ValueError(
                f"{len(rows):,} samples of X are in X_unlabeled too (first: row {rows[0]} of X is "
                f"row {others[0]} of matrix {i}). Where they are tested, pretraining would have "
                "seen them. Leave them out: the training samples of each split are pretrained on "
                "in any case."
            )
    return profiles, more


def _shared(A, B) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of A that are equal to a row of B in float32, and those rows of B."""
    direction = np.random.default_rng(0).standard_normal(A.shape[1])
    shadow_a, size_a = _project(A, direction)
    shadow_b, size_b = _project(B, direction)
    order = np.argsort(shadow_b)
    # Of a sample saved as float32 every value may be off by 6e-8 of itself.
    slack = 1e-6 * max(size_a.max(), size_b.max())
    start = np.searchsorted(shadow_b[order], shadow_a - slack, "left")
    stop = np.searchsorted(shadow_b[order], shadow_a + slack, "right")
    rows, others = [], []
    for a in np.flatnonzero(stop > start):
        near = order[start[a] : stop[a]]
        equal = (_dense(B[near]) == _dense(A[[a]])).all(axis=1)
        if equal.any():
            rows.append(a)
            others.append(near[equal.argmax()])
    return np.array(rows, dtype=int), np.array(others, dtype=int)


def _project(matrix, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return matrix @ direction and |matrix| @ |direction|, without a copy of the matrix."""
    found, sizes = [], []
    for i in range(0, matrix.shape[0], BLOCK):
        block = matrix[i : i + BLOCK].astype(np.float64)
        found.append(block @ direction)
        sizes.append(abs(block) @ np.abs(direction))
    return np.concatenate(found), np.concatenate(sizes)


def _dense(rows) -> np.ndarray:
    return (rows.toarray() if sp.issparse(rows) else rows).astype(np.float32)
