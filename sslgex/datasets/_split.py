"""The study's split: train, validation and test, stratified, groups kept together."""

import math
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d

from .._labels import check_labels, is_missing
from .._training.warning import warn_user

# Each part of a split holds at least one sample, or group, of each class.
_PARTS = 3


def paper_split(y, groups=None, *, test_size=0.11, validation_size=0.11, random_state=None):
    """Split samples into train, validation and test as the study did, classes in proportion.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Classes, e.g. ``adata.obs["label"]``.
    groups : array-like of shape (n_samples,), default=None
        What must not be divided: patients, series. The study did not keep them together, so that
        its test samples have relatives in training.
    test_size : int or float, default=0.11
        How many samples, or which share of all, rounded up. The study had 1,029 of 9,349 for TCGA
        (11 %) and 1,142 of 53,282 for ARCHS4 (``test_size=1142``).
    validation_size : int or float, default=0.11
        Likewise.
    random_state : int, RandomState instance or None, default=None
        Determines the split. Pass an int for reproducible output.

    Returns
    -------
    train : ndarray of shape (n_train,), int
        Positions of samples, ascending. Sizes are exact without groups, near with them.
    validation : ndarray of shape (n_validation,), int
        Likewise.
    test : ndarray of shape (n_test,), int
        Likewise.

    Raises
    ------
    ValueError
        If a size or a label is wrong, a class has fewer than three samples (or groups that hold
        it), groups are too few for the sizes, or with groups a part is more than half.

    Warns
    -----
    UserWarning
        If, with groups, a part lacks a class or is further than a fifth off its size.

    See Also
    --------
    build_tcga, build_archs4 : The study's sets, with labels and groups.
    sklearn.model_selection.train_test_split : Splits without groups.
    sklearn.model_selection.StratifiedGroupKFold : Splits with groups: a test set is one fold.

    Examples
    --------
    The sizes of the study:

    >>> import numpy as np
    >>> from sslgex.datasets import paper_split
    >>> y = np.arange(9349) % 19
    >>> train, validation, test = paper_split(y, random_state=0)
    >>> len(train), len(validation), len(test)
    (7291, 1029, 1029)

    Patients of two samples each stay together:

    >>> patients = np.arange(9349) // 2
    >>> train, validation, test = paper_split(y, patients, random_state=0)
    >>> np.intersect1d(patients[train], patients[test]).size
    0
    """
    n_labels = len(y)
    y, labelled = check_labels(y)
    if not labelled.all():
        raise ValueError(
            f"Input y contains missing values: {n_labels - len(y):,} of {n_labels:,} samples have "
            "no label. Drop them before the split."
        )
    n_test = _count(test_size, n_labels, "test_size")
    n_validation = _count(validation_size, n_labels, "validation_size")
    if n_test + n_validation >= n_labels:
        raise ValueError(
            f"test_size={test_size} and validation_size={validation_size} of {n_labels:,} samples "
            f"leave {n_labels - n_test - n_validation:,} for training. Lower them."
        )
    if groups is not None:
        groups = _check_groups(groups, y)
    _check_classes(y, groups)
    random_state = check_random_state(random_state)  # two draws, of one generator
    rest, test = _part(np.arange(n_labels), n_test, y, groups, random_state)
    train, validation = _part(rest, n_validation, y, groups, random_state)
    if groups is not None:
        _warn_of_unlike_parts(y, train, (validation, n_validation), (test, n_test))
    return train, validation, test


def _part(rows, n, y, groups, random_state):
    """Return the rows without a part of about `n` of them, and the part."""
    try:
        if groups is None:
            rest, part = train_test_split(
                rows, test_size=n, stratify=y[rows], random_state=random_state
            )
        else:
            rest, part = _fold(rows, n, y[rows], groups[rows], random_state)
    except ValueError as error:
        raise ValueError(
            f"{error} Asked for were {n:,} of {len(rows):,} samples: choose another size, or "
            "leave out small classes."
        ) from None
    return np.sort(rest), np.sort(part)


def _fold(rows, n, y, groups, random_state):
    """Return the rows without the fold whose size is nearest to `n`, and the fold."""
    if 2 * n > len(rows):
        raise ValueError("With groups a part is a fold, which is half of the samples at most.")
    n_folds = max(2, round(len(rows) / n))
    n_groups = len(np.unique(groups))
    if n_groups < n_folds:
        raise ValueError(
            f"Cannot have number of splits n_splits={n_folds} greater than the number of groups: "
            f"{n_groups}."
        )
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)
    with warnings.catch_warnings():
        # Of classes smaller than the number of folds we tell once the parts are known.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splits = list(folds.split(rows, y, groups))
    rest, part = min(splits, key=lambda split: abs(len(split[1]) - n))
    return rows[rest], rows[part]


def _count(size, n: int, name: str) -> int:
    """Return a size as a number of samples."""
    if isinstance(size, Integral) and not isinstance(size, bool):
        if 1 <= int(size) < n:
            return int(size)
    elif isinstance(size, Real) and 0 < float(size) < 1:
        return math.ceil(float(size) * n)  # as train_test_split rounds
    raise ValueError(
        f"{name}={size!r} should be an int between 1 and {n - 1:,}, the number of samples less "
        "one, or a float between 0 and 1."
    )


def _check_groups(groups, y) -> np.ndarray:
    """Return the groups as integers."""
    check_consistent_length(y, groups)
    groups = column_or_1d(groups)
    missing = sum(map(is_missing, groups.tolist()))
    if missing:
        raise ValueError(
            f"Input groups contains missing values: {missing:,} of {len(groups):,} samples have "
            "no group. Give each of them one of its own, or drop them."
        )
    return np.unique(groups.astype(str), return_inverse=True)[1]


def _check_classes(y, groups) -> None:
    """Raise unless there is a sample, or group, of each class for each part."""
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        n = len(members) if groups is None else len(np.unique(groups[members]))
        if n < _PARTS:
            what = "samples" if groups is None else "groups"
            raise ValueError(
                f"Class {str(label)!r} has {n} {what}, but train, validation and test need one "
                "each. Leave the class out."
            )


def _warn_of_unlike_parts(y, train, *sized) -> None:
    """Warn of parts that groups made lack a class, or much smaller or larger than asked for."""
    (validation, _), (test, _) = sized
    for name, part in {"train": train, "validation": validation, "test": test}.items():
        lacking = np.setdiff1d(y, y[part])
        if len(lacking):
            warn_user(
                f"The {name} part lacks {len(lacking)} classes (first: {str(lacking[0])!r}): their "
                "groups are too few or too large. Leave such classes out, or try another seed."
            )
    for name, (part, n) in zip(("validation", "test"), sized, strict=True):
        if abs(len(part) - n) > 0.2 * n:
            warn_user(
                f"The {name} part has {len(part):,} samples instead of {n:,}, since groups are "
                "not divided."
            )
