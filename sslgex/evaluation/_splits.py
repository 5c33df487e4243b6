"""Splits into training and test samples that never divide a group."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)

from .._labels import is_missing


def make_splits(
    cv, y: np.ndarray | None, groups, *, seed: int, n_samples: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (training, test) samples of every split.

    Parameters
    ----------
    cv : int, splitter or iterable
        As in scikit-learn; a number of folds is stratified, shuffled and keeps groups together.
    y : ndarray of shape (n_samples,) or None
        Labels; without any the folds are not stratified.
    groups : ndarray of shape (n_samples,) or None
        Patient, study.
    seed : int
        Of the shuffling.
    n_samples : int
        Needed without labels.
    """
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        if cv < 2:
            raise ValueError(f"cv={cv} folds: at least 2 are needed.")
        kinds = (KFold, GroupKFold) if y is None else (StratifiedKFold, StratifiedGroupKFold)
        cv = kinds[groups is not None](int(cv), shuffle=True, random_state=seed)
    n = n_samples if y is None else len(y)
    splits = [
        (_positions(train, n), _positions(test, n))
        for train, test in check_cv(cv, y, classifier=True).split(np.zeros((n, 1)), y, groups)
    ]
    for i, (train, test) in enumerate(splits):
        _check_split(i, train, test, y, groups)
    return splits


def check_groups(groups, y: np.ndarray, classes: np.ndarray) -> np.ndarray | None:
    """Return codes of the groups; raise if one holds a whole class."""
    if groups is None:
        return None
    groups = np.asarray(groups)
    missing = sum(map(is_missing, groups.ravel().tolist()))
    if missing:
        raise ValueError(
            f"groups is missing for {missing:,} of {len(y):,} samples. Give each of them a group "
            "of its own if they are of different patients."
        )
    if groups.shape != y.shape:
        raise ValueError(
            f"groups has shape {groups.shape}; one group for each of the {len(y):,} samples of X "
            "is needed."
        )
    names, codes = np.unique(groups.astype(str), return_inverse=True)
    for c, label in enumerate(classes):
        members = codes[y == c]
        if (members == members[0]).all():
            raise ValueError(
                f"All {len(members):,} samples of class {str(label)!r} are in group "
                f"{str(names[members[0]])!r}. Groups are never split, so that class cannot be both "
                "learned and tested. Leave it out, or give finer groups."
            )
    return codes


def _positions(rows, n: int) -> np.ndarray:
    """Return rows of cv as positions from 0, each once."""
    rows = np.asarray(rows)
    if rows.dtype == bool:
        if rows.shape != (n,):
            raise ValueError(f"A mask of cv has shape {rows.shape}; X has {n:,} samples.")
        rows = np.flatnonzero(rows)
    wrong = rows[(rows < -n) | (rows >= n)]
    if len(wrong):
        raise ValueError(f"cv has row {wrong[0]}, but X has {n:,} samples.")
    unique, counts = np.unique(rows % n, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"A split of cv has {int((counts > 1).sum()):,} samples more than once in one part "
            f"(first: row {unique[counts > 1][0]})."
        )
    return unique


def _check_split(i: int, train, test, y, groups) -> None:
    if not len(train) or not len(test):
        raise ValueError(f"Split {i} of cv has {len(train)} training and {len(test)} test samples.")
    both = np.intersect1d(train, test)
    if len(both):
        raise ValueError(
            f"Split {i} of cv has {len(both):,} samples in both parts (first: row {both[0]}): "
            "they would be trained and tested on."
        )
    if y is not None and len(np.unique(y[train])) < 2:
        raise ValueError(f"The training part of split {i} of cv has one class only.")
    if groups is not None:
        torn = np.intersect1d(groups[train], groups[test])
        if len(torn):
            raise ValueError(
                f"Split {i} of cv divides {len(torn):,} groups between training and test samples. "
                "Give a splitter that keeps groups together, such as StratifiedGroupKFold, or "
                "cv=5, which does."
            )
