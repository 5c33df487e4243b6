"""What a step brings along: labels, profiles, and parts that are fitted already."""

import functools
import inspect
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from .._encoders import is_fitted, seeded_clone
from .._inputs import column_names, is_anndata
from ..base import BaseSSLTransformer
from ..classifier import SSLClassifier
from ._leakage_labels import labels_in
from ._leakage_rows import close, rows_of
from ._leakage_steps import respond

DEPTH = 3  # of functions that call functions
METHODS = ("fit", "transform", "fit_transform", "predict", "predict_proba")


def variables_of_function(function, depth: int = DEPTH) -> dict:
    """Return what a callable, or a function that it calls, reads from outside, by name.

    What a function reads that is called by another has the names of both, such as "scale.means".
    """
    if isinstance(function, functools.partial):
        given = {f"argument {i} of partial": value for i, value in enumerate(function.args)}
        return {**given, **function.keywords, **variables_of_function(function.func, depth)}
    owner = None
    if inspect.ismethod(function):
        owner, function = function.__self__, function.__func__
    function = inspect.unwrap(function) if callable(function) else None
    if callable(function) and not (inspect.isroutine(function) or isinstance(function, type)):
        owner, function = function, type(function).__call__
    here = {f"self.{name}": value for name, value in getattr(owner, "__dict__", {}).items()}
    if inspect.isfunction(function):
        outside = inspect.getclosurevars(function)
        here |= {**outside.globals, **outside.nonlocals}
    known = {id(value) for value in here.values()}
    found = dict(here)
    for name, value in here.items() if depth else ():
        if callable(value) and not isinstance(value, type):
            inner = variables_of_function(value, depth - 1)
            found |= {f"{name}.{n}": v for n, v in inner.items() if id(v) not in known}
            known |= {id(v) for v in inner.values()}
    return found


def variables_of_estimator(estimator) -> dict:
    """Return what its methods, and functions and dicts among its parameters, hold by name."""
    found = {}
    for method in METHODS:
        found.update(variables_of_function(getattr(type(estimator), method, None)))
    for value in estimator.get_params().values():
        found.update(value if isinstance(value, dict) else variables_of_function(value))
    return found


def that_hold_labels(y, values: dict) -> list[str]:
    """Return the names of the data frames and AnnData among the values that hold the labels."""
    n = len(y)
    frames = {
        name: value
        for name, value in values.items()
        if (is_anndata(value) or column_names(value) is not None) and value.shape[0] == n
    }
    return [name for name, value in frames.items() if labels_in(value, y)]


def equal_to(X, values: dict) -> list[str]:
    """Return the names of the values that equal X, a matrix or labels."""
    return [name for name, value in values.items() if _same(value, X)]


def fitted_parts(step) -> Iterator[BaseEstimator]:
    """Yield the estimators in a step, itself included, that cloning would leave fitted."""
    if isinstance(step, FrozenEstimator):
        yield step.estimator
    elif isinstance(step, dict):
        yield from fitted_parts(list(step.values()))
    elif isinstance(step, list | tuple):
        for value in step:
            yield from fitted_parts(value)
    elif isinstance(step, BaseEstimator):
        # Its parts first: by these alone a FeatureUnion counts as fitted.
        parts = list(fitted_parts(list(step.get_params(deep=False).values())))
        yield from parts
        if not parts and hasattr(step, "fit") and is_fitted(step):
            yield step


def has_seen(part, X, y: np.ndarray, train: np.ndarray, seed: int) -> str | None:
    """Return whether a fitted estimator learned from "all" rows or the "training" rows of X.

    Clones are fitted on both: one of them must give the estimator's output, up to rounding, and the
    other must not. An estimator without a seed never gives the same output again, but some of its
    attributes may be the same. None if that does not tell, or if it would take a pretraining.
    """
    if _pretrains(part):
        return None
    try:
        fits = {
            name: seeded_clone(part, seed).fit(rows_of(X, rows), y[rows])
            for name, rows in (("all", np.arange(len(y))), ("training", train))
        }
        outputs = [respond(fitted, X) for fitted in (part, *fits.values())]
    except Exception:  # it was fitted on something else altogether
        return None
    compared = [outputs]
    if _has_no_seed(part):
        compared += [
            [vars(fitted).get(name) for fitted in (part, *fits.values())] for name in _learned(part)
        ]
    for before, *again in compared:
        same = [name for name, value in zip(fits, again, strict=True) if close(before, value)]
        if len(same) == 1:
            return same[0]
    return None


def _learned(part) -> list[str]:
    """Return the attributes of a fitted estimator that hold several numbers with fractions."""
    return [
        name
        for name, value in vars(part).items()
        if name.endswith("_")
        and isinstance(value, np.ndarray)
        and value.dtype.kind == "f"
        and value.size > 1
    ]


def _has_no_seed(part) -> bool:
    """Tell whether another fit gives another result."""
    return any(
        name.endswith("random_state") and not isinstance(value, int | np.integer)
        for name, value in part.get_params().items()
    )


def _pretrains(part) -> bool:
    """Tell whether fitting an estimator anew would pretrain an encoder."""
    if isinstance(part, BaseSSLTransformer | SSLClassifier):
        return True
    return any(
        isinstance(value, BaseSSLTransformer | SSLClassifier)
        for value in part.get_params().values()
    )


def _same(value, X) -> bool:
    if value is X:
        return True
    if is_anndata(value) or is_anndata(X) or sp.issparse(value) != sp.issparse(X):
        return False
    if sp.issparse(X):
        return value.shape == X.shape and not abs(value - X).max()
    if not hasattr(value, "__array__") and not (
        isinstance(value, list | tuple) and np.ndim(X) == 1
    ):
        return False
    try:
        return np.array_equal(np.asarray(value), np.asarray(X))
    except (TypeError, ValueError):  # a ragged list
        return False
