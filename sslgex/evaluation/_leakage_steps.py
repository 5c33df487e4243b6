"""The steps of a procedure, and how each is run."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import get_routing_for_object

from .._encoders import seeded_clone
from ._leakage_labels import labels_in
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
    params : dict
        One value per sample of what steps request beside X and y.
    blamed : bool
        Whether a step has been found to let labels through, which X may hold since.
    """

    X: Any
    y: Any
    train: np.ndarray
    test: np.ndarray
    n_splits: int
    seed: int
    params: dict
    blamed: bool = False

    def columns_of_labels(self) -> list:
        """Return the columns of X that hold the labels, but not what a step before put there."""
        return [] if self.blamed else labels_in(self.X, self.y)

    def params_of(self, rows: np.ndarray) -> dict:
        """Return the params of some rows."""
        return {name: _safe_indexing(values, rows) for name, values in self.params.items()}

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


def seeded(step: Step, seed: int) -> Step:
    """Return a step whose fit has a seed, where it is a method of an estimator without one."""
    method = getattr(step.does, "__name__", "")
    owner = getattr(step.does, "__self__", None)
    if not isinstance(owner, BaseEstimator) or not method.startswith("fit"):
        return step
    return step._replace(does=getattr(seeded_clone(owner, seed), method))


def check_params(params: dict | None, steps: list[Step], n: int) -> tuple[dict, list[str]]:
    """Return params of which each is requested by a step, and notes of requests without params."""
    if not isinstance(params, dict | None):
        raise TypeError(f"params must be a dict of names and values, got {params!r}.")
    params = params or {}
    if params and not sklearn.get_config()["enable_metadata_routing"]:
        raise ValueError(
            f"params={sorted(params)} are handed to the steps by metadata routing, which is off: "
            "call sklearn.set_config(enable_metadata_routing=True)."
        )
    for name, values in params.items():
        if isinstance(values, str) or not hasattr(values, "__len__") or len(values) != n:
            raise ValueError(f"params[{name!r}] must hold one value for each of {n:,} samples.")
    asked = {step.name: _requested(step.does) for step in steps if not step.is_function}
    strange = sorted(set(params) - set().union(*asked.values()))
    if strange:
        raise ValueError(
            f"No step requests {strange[0]!r} of params. Let one do so by set_fit_request("
            f"{strange[0]}=True), and set_transform_request if that needs it too."
        )
    return params, [
        f"Step {step!r} requests {', '.join(missing)}, which params does not hold: it is audited "
        "without."
        for step, names in asked.items()
        if (missing := sorted(names - set(params)))
    ]


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
    X, y = rows_of(data.X, data.train), _safe_indexing(data.y, data.train)
    _call(estimator, "fit", X, y, params=data.params_of(data.train))
    return estimator


def respond(estimator, X, params: dict | None = None, *, is_last: bool = True):
    """Return what an estimator makes of X: its predictions if it is the last step and has them."""
    for method in ("predict_proba", "decision_function", "predict") if is_last else ():
        if hasattr(estimator, method):
            return _call(estimator, method, X, params=params)
    return _call(estimator, "transform", X, params=params)


def predict(steps: list[Step], data: Data) -> np.ndarray:
    """Return the labels that the whole procedure predicts for the test rows."""
    *first, last = steps
    for step in first:
        with calling(step, "on permuted labels"):
            if step.is_function:
                data = data._replace(X=apply(step, data.X, data.y))
            else:
                out = respond(fit(step, data), data.X, data.params, is_last=False)
                data = data._replace(X=out)
    with calling(last, "on permuted labels"):
        X_test, params = rows_of(data.X, data.test), data.params_of(data.test)
        return np.asarray(_call(fit(last, data), "predict", X_test, params=params))


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


def _call(estimator, method: str, *args, params: dict | None):
    """Call a method, with those of the params that it requests."""
    params = params or {}
    wanted = get_routing_for_object(estimator).consumes(method, params)
    if not wanted:
        return getattr(estimator, method)(*args)
    # A Pipeline knows how to hand them on, whatever the step calls them.
    alone = Pipeline([("step", estimator)])
    return getattr(alone, method)(*args, **{name: params[name] for name in wanted})


def _requested(estimator) -> set[str]:
    """Return the names of all that an estimator requests beside X and y."""
    if not sklearn.get_config()["enable_metadata_routing"]:
        return set()
    names: set[str] = set()
    methods = ("fit", "transform", "predict", "predict_proba", "decision_function")
    for part in [estimator, *getattr(estimator, "get_params", dict)().values()]:
        request = get_routing_for_object(part)
        for method in methods:
            requests = getattr(getattr(request, method, None), "requests", {})
            names |= {name for name, alias in requests.items() if alias is True}
            # scikit-learn's marks, such as "$WARN$", are no aliases.
            names |= {x for x in requests.values() if isinstance(x, str) and x.isidentifier()}
    return names


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
