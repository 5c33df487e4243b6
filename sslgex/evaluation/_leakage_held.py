"""What a step brings along: labels, profiles, and parts that are fitted already."""

import functools
import inspect
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from .._encoders import is_fitted, seeded_clone
from .._inputs import is_anndata
from ..base import BaseSSLTransformer
from ..classifier import SSLClassifier
from ._leakage_rows import close, rows_of
from ._leakage_steps import respond

METHODS = ("fit", "transform", "fit_transform", "predict", "predict_proba")


def variables_of_function(function) -> dict:
    """Return what a callable reads from outside its arguments, by name."""
    if isinstance(function, functools.partial):
        given = {f"argument {i} of partial": value for i, value in enumerate(function.args)}
        return {**given, **function.keywords, **variables_of_function(function.func)}
    function = inspect.unwrap(function) if callable(function) else None
    if not inspect.isfunction(function):
        return {}
    found = inspect.getclosurevars(function)
    return {**found.globals, **found.nonlocals}


def variables_of_estimator(estimator) -> dict:
    """Return what its methods, and functions and dicts among its parameters, hold by name."""
    found = {}
    for method in METHODS:
        found.update(variables_of_function(getattr(type(estimator), method, None)))
    for value in estimator.get_params().values():
        found.update(value if isinstance(value, dict) else variables_of_function(value))
    return found


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
    other must not. None if that does not tell, or if it would take a pretraining.
    """
    if _pretrains(part):
        return None
    equal = {}
    try:
        output = respond(part, X)
        for name, rows in (("all", np.arange(len(y))), ("training", train)):
            again = seeded_clone(part, seed).fit(rows_of(X, rows), y[rows])
            equal[name] = close(output, respond(again, X))
    except Exception:  # it was fitted on something else altogether
        return None
    same = [name for name, is_equal in equal.items() if is_equal]
    return same[0] if len(same) == 1 else None


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
