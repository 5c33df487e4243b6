"""The steps of a procedure, and how each is run."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from .._encoders import seeded_clone
from ._leakage_rows import rows_of


class Step(NamedTuple):
    """A step of the procedure: an estimator, or a callable on all rows."""

    name: str
    does: Any

    @property
    def is_function(self) -> bool:
        """Whether it is applied to all rows, before the split."""
        return not hasattr(self.does, "fit")


class Data(NamedTuple):
    """All rows as they come to a step, and the split.

    Attributes
    ----------
    X, y : array-like
        Profiles and labels of all rows.
    train, test : ndarray
        Rows of the split.
    n_splits : int
        How many splits there are in all.
    seed : int
        For estimators without a seed.
    """

    X: Any
    y: Any
    train: np.ndarray
    test: np.ndarray
    n_splits: int
    seed: int

    def order(self, rng: np.random.Generator, *parts: np.ndarray) -> np.ndarray:
        """Return the rows, permuted within each of some parts of them."""
        order = np.arange(self.X.shape[0])
        for part in parts:
            order[part] = rng.permutation(part)
        return order


def make_steps(pipeline) -> list[Step]:
    """Return the steps of an estimator, a Pipeline or a list; raise if they cannot be run."""
    if isinstance(pipeline, list | tuple):
        for item in pipeline:
            if not (isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str)):
                raise TypeError(f"A list of steps holds pairs (name, step), got {item!r}.")
        steps = [step for name, does in pipeline for step in _flat(name, does)]
    elif type(pipeline) is Pipeline:
        steps = [step for name, does in pipeline.steps for step in _flat(name, does)]
    else:
        steps = [Step(type(pipeline).__name__, pipeline)]
    if not steps:
        raise ValueError("There is no step to audit.")
    names = [step.name for step in steps]
    if len(set(names)) < len(names):
        raise ValueError(f"Names of steps must be unique, got {names}.")
    for i, step in enumerate(steps):
        _check(step, steps[:i], is_last=i == len(steps) - 1)
    return steps


def apply(step: Step, X, y):
    """Return what a callable makes of all rows."""
    n = X.shape[0]
    everywhere = np.arange(n)
    # Of copies: `X -= X.mean(axis=0)` works in place.
    out = step.does(rows_of(X, everywhere), _safe_indexing(y, everywhere))
    if not hasattr(out, "shape"):
        raise TypeError(f"a callable returns the new X, got {type(out).__name__}")
    if out.shape[0] != n:
        raise ValueError(
            f"it returned {out.shape[0]:,} rows for {n:,}; leave samples out before the audit"
        )
    return out


def unfitted_copy(step: Step, seed: int):
    """Return a clone of an estimator that has a seed; a FrozenEstimator stays as it is."""
    return seeded_clone(step.does, seed)


def fit(step: Step, data: Data):
    """Return a clone of an estimator, fitted on the training rows."""
    estimator = unfitted_copy(step, data.seed)
    return estimator.fit(rows_of(data.X, data.train), _safe_indexing(data.y, data.train))


def respond(estimator, X, *, is_last: bool = True):
    """Return what an estimator makes of X: its predictions if it is the last step and has them."""
    for method in ("predict_proba", "decision_function", "predict") if is_last else ():
        if hasattr(estimator, method):
            return getattr(estimator, method)(X)
    return estimator.transform(X)


def predict(steps: list[Step], data: Data) -> np.ndarray:
    """Return the labels that the whole procedure predicts for the test rows."""
    *first, last = steps
    for step in first:
        with calling(step, "on permuted labels"):
            if step.is_function:
                data = data._replace(X=apply(step, data.X, data.y))
            else:
                data = data._replace(X=respond(fit(step, data), data.X, is_last=False))
    with calling(last, "on permuted labels"):
        return np.asarray(fit(last, data).predict(rows_of(data.X, data.test)))


@contextlib.contextmanager
def calling(step: Step, when: str):
    """Let an error say in which step and on what it was raised."""
    try:
        yield
    except Warning:  # where the user makes errors of them
        raise
    except Exception as error:
        raise ValueError(
            f"Step {step.name!r} raised {type(error).__name__} {when}: {error}"
            + ("\nIt is called as f(X, y) and returns the new X." if step.is_function else "")
        ) from error


def first_that_runs(step: Step, when: str, attempts: Iterable[Callable]):
    """Return what the first of several calls returns that raises nothing."""
    for attempt in attempts:
        try:
            return attempt()
        except Exception as error:
            cause = error
    with calling(step, when):
        raise cause


def _flat(name: str, does) -> list[Step]:
    """Return a step as a list of steps: those of a Pipeline in place of it, without passthrough."""
    if does is None or (isinstance(does, str) and does == "passthrough"):
        return []
    if type(does) is not Pipeline:
        return [Step(name, does)]
    return [step for inner, part in does.steps for step in _flat(f"{name}__{inner}", part)]


def _check(step: Step, before: list[Step], *, is_last: bool) -> None:
    if isinstance(step.does, type):
        raise TypeError(f"Step {step.name!r} is the class {step.does.__name__}; pass an instance.")
    if step.is_function and not callable(step.does):
        raise TypeError(
            f"Step {step.name!r} is a {type(step.does).__name__}: neither an estimator nor a "
            "callable f(X, y) that returns the new X."
        )
    if step.is_function and any(not other.is_function for other in before):
        fitted = [other.name for other in before if not other.is_function]
        raise ValueError(
            f"Step {step.name!r}, a callable on all rows, comes after {fitted[0]!r}, an estimator "
            "fitted on the training rows of a split: there, all rows are no longer together. Move "
            "it before, or wrap it in a FunctionTransformer."
        )
    if not step.is_function and not is_last and not hasattr(step.does, "transform"):
        raise TypeError(
            f"Step {step.name!r}, a {type(step.does).__name__}, has no transform; only the last "
            "step may do without."
        )
