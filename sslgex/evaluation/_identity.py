"""What tells one estimator from another, for the cache."""

import functools
import importlib.util
import inspect
import sysconfig
from importlib.metadata import packages_distributions, version
from pathlib import Path
from pickle import PicklingError

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

from .._fitting import KEPT

PACKAGE = Path(__file__).resolve().parents[1]
# The seconds that pretraining took are never the same again; where a training is kept, and how
# often, makes no other one; an encoder is the same with its heads or without them.
NO_MATTER = {"history_", "checkpoint", "checkpoint_every", *KEPT}
INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))


def identity(thing) -> str:
    """Return a hash of an estimator: its parameters, what it has learned, and its code.

    Of installed packages the code is known by their version, of this one and of the user's own
    modules and notebooks by its source, without the modules that those import in turn.
    """
    versions = [version(name) for name in ("scikit-learn", "torch", "numpy")]
    return joblib.hash([_content(thing), sorted(_code(thing, set())), _own_source(), versions])


def _content(thing):
    """Return what a hash can be taken of: equal for equal things, also in another process."""
    if isinstance(thing, nn.Module):
        state = {name: tensor.cpu().numpy() for name, tensor in thing.state_dict().items()}
        return [_name(type(thing)), repr(thing), state]
    if isinstance(thing, BaseEstimator):
        known = {k: v for k, v in sorted(vars(thing).items()) if k not in NO_MATTER}
        return [_name(type(thing)), {k: _content(v) for k, v in known.items()}]
    if isinstance(thing, dict):
        return {str(k): _content(v) for k, v in thing.items()}
    if isinstance(thing, list | tuple):
        return [type(thing).__name__, *map(_content, thing)]
    if inspect.isroutine(thing) or isinstance(thing, type):
        return _name(thing)
    return thing


def _code(thing, seen: set[int]) -> set[str]:
    """Return the code that an estimator and its parts run."""
    if id(thing) in seen or isinstance(thing, str | bytes | np.ndarray):
        return set()
    seen.add(id(thing))
    if isinstance(thing, dict):
        parts = list(thing.values())
    elif isinstance(thing, list | tuple):
        parts = list(thing)
    elif isinstance(thing, BaseEstimator):
        parts = [type(thing), *vars(thing).values()]
    elif inspect.isroutine(thing) or isinstance(thing, type):
        return {_source(thing)}
    else:
        return set()
    return set().union(*(_code(part, seen) for part in parts))


def _source(thing) -> str:
    """Return the code of a class or function, or the versions of the packages it is from."""
    line = [c for c in thing.__mro__ if c is not object] if isinstance(thing, type) else [thing]
    return " ".join(_source_of_one(part) for part in line)


def _source_of_one(thing) -> str:
    top = (getattr(thing, "__module__", None) or "builtins").split(".")[0]
    try:
        origin = getattr(importlib.util.find_spec(top), "origin", None)
    except ValueError:  # of modules that were never imported
        origin = None
    if origin in ("built-in", "frozen") or str(origin).startswith(INSTALLED):
        return " ".join([top, *(version(name) for name in _distributions().get(top, []))])
    try:
        # All of its module, with the functions and constants that it may use; of a notebook the
        # cell.
        return joblib.hash(Path(inspect.getsourcefile(thing) or "").read_bytes())
    except (OSError, TypeError):
        pass
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):  # typed into a console
        codes = [getattr(v, "__code__", None) for v in [thing, *vars(thing).values()]]
        return joblib.hash([(c.co_code, repr(c.co_consts)) for c in codes if c is not None])


def _name(thing) -> str:
    name = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', thing)}"
    if "<" in name:
        # Its source does not tell what it has closed over.
        raise PicklingError(f"{name} has no name of its own")
    return name


@functools.cache
def _own_source() -> str:
    return joblib.hash([path.read_bytes() for path in sorted(PACKAGE.rglob("*.py"))])


@functools.cache
def _distributions():
    return packages_distributions()
