"""Labels as users have them, some of them missing."""

import warnings

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets


def check_labels(y, unlabeled_label=None) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels there are, and which samples have one.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels. In an object array a missing value (None, NaN, NA) means unlabelled.
    unlabeled_label : scalar, optional
        A label that means unlabelled, such as scikit-learn's -1. By default every value is a
        class.

    Returns
    -------
    y : ndarray of shape (n_labelled,)
        The labels of the labelled samples.
    labelled : ndarray of shape (n_samples,), bool
        Which samples have one.
    """
    if y is None:
        raise ValueError(
            "This SSLClassifier estimator requires y to be passed, but the target y is None."
        )
    if hasattr(y, "to_list") and not isinstance(getattr(y, "dtype", None), np.dtype):
        # A series of pandas' own or polars' types, whose missing values numpy would make numbers.
        values = y.tolist() if hasattr(y, "tolist") else y.to_list()
        y = np.array([*values, None], dtype=object)[:-1]
    elif (
        isinstance(y, list | tuple)
        and any(isinstance(v, str) for v in y)
        and any(np.ndim(v) == 0 and is_missing(v) for v in y)
    ):
        # numpy would make "nan" and "None" of what is missing among texts.
        y = np.array([*y, None], dtype=object)[:-1]
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f":
        try:
            assert_all_finite(y, input_name="y")
        except ValueError as error:
            raise ValueError(
                f"{error}\nTo mark samples as unlabelled, pass unlabeled_label=-1 and label them "
                "-1, or give y as objects with None."
            ) from None
    labelled = np.ones(len(y), dtype=bool)
    if y.dtype == object:
        labelled = np.array([not is_missing(label) for label in y], dtype=bool)
    if unlabeled_label is not None:
        labelled &= y != unlabeled_label
    y = y[labelled]
    if y.dtype == object:
        # Numbers that were objects only because some were missing.
        plain = np.array(y.tolist())
        y = plain if plain.dtype.kind in "biuf" else y
    return y, labelled


def is_missing(label) -> bool:
    """Tell whether a label is None, NaN or pandas' NA or NaT."""
    if label is None:
        return True
    try:
        return bool(label != label)
    except TypeError:  # pandas.NA is neither equal nor unequal
        return True


def check_classes(y: np.ndarray, labelled: np.ndarray) -> None:
    """Raise unless the labels (as `check_labels` returns them) are of two or more classes."""
    if not len(y):
        raise ValueError(
            f"y holds no labelled sample: all {len(labelled):,} are unlabelled. Without labels, "
            "fit a pretrainer such as ScarfTransformer."
        )
    kinds = {type(label).__name__ for label in y.tolist()}
    if y.dtype == object and not all(isinstance(label, str) for label in y):
        raise ValueError(
            "Unknown label type: labels must be of one kind, text, integers or booleans; y holds "
            f"{', '.join(sorted(kinds))}."
        )
    with warnings.catch_warnings():
        # Of few samples of many classes scikit-learn suspects a regression.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        check_classification_targets(y)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            "The number of classes has to be greater than one; got 1 class: all "
            f"{len(y):,} labelled samples are {classes.tolist()[0]!r}."
        )
