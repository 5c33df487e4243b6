"""What may stand as the encoder of a classifier, and how it comes to be fitted."""

import copy

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, check_memory

from ._callbacks import Task
from ._inputs import column_names, frame_of_anndata, is_anndata
from ._untrained import UntrainedTransformer
from .base import BaseSSLTransformer


def is_fitted(encoder) -> bool:
    """Tell whether ``encoder`` has learned something that a clone would lose."""
    if encoder is None or not get_tags(encoder).requires_fit:
        return False
    if isinstance(encoder, Pipeline):
        # Its own answer is that of the last step, which may have nothing to learn.
        return any(is_fitted(step) for _, step in encoder.steps if hasattr(step, "fit"))
    try:
        check_is_fitted(encoder)
    except NotFittedError:
        return False
    return True


def check_encoder(encoder, mode: str) -> None:
    """Raise unless ``encoder`` can serve in ``mode``."""
    if isinstance(encoder, type):
        raise TypeError(f"encoder is the class {encoder.__name__}; pass an instance of it.")
    if not hasattr(encoder, "get_params") or not hasattr(encoder, "__sklearn_tags__"):
        raise TypeError(
            f"encoder is a {type(encoder).__name__}, which is no scikit-learn estimator: derive it "
            "from sklearn.base.BaseEstimator and TransformerMixin."
        )
    if isinstance(encoder, FrozenEstimator):
        if not is_fitted(encoder.estimator):
            raise NotFittedError(
                f"encoder is a FrozenEstimator around a {type(encoder.estimator).__name__} that is "
                "not fitted. Fit it first, or pass it without FrozenEstimator to be fitted here."
            )
        encoder = encoder.estimator
    if get_tags(encoder).target_tags.required and not is_fitted(encoder):
        raise TypeError(
            f"encoder is a {type(encoder).__name__}, which needs labels; an encoder is fitted on "
            "all samples without labels. Pass it fitted, or put it into head."
        )
    if mode == "unfrozen" and not isinstance(encoder, BaseSSLTransformer):
        raise TypeError(
            f"mode='unfrozen' trains the encoder along, which a {type(encoder).__name__} does not "
            "allow: pass one of sslgex's pretrainers, or mode='frozen'."
        )


def fit_encoder(encoder, X, matrix, X_unlabeled, *, memory, random_state, task: Task):
    """Return a private fitted encoder.

    Parameters
    ----------
    encoder : transformer
        Fitted (by itself or in a `FrozenEstimator`): copied. Unfitted: a clone is fitted.
    X, matrix : array-like
        The samples as the user gave them and as a checked matrix.
    X_unlabeled : matrix, list of matrices or None
        More samples; for a foreign encoder a list of checked matrices.
    memory : str, joblib.Memory or None
        Cache of the fit.
    random_state : int, RandomState or None
        For an unfitted encoder without a seed.
    task : Task
        Of which the fit becomes a part.
    """
    if isinstance(encoder, FrozenEstimator):
        encoder = encoder.estimator
    if is_fitted(encoder):
        # Our `fit` replaces what it has learned and never writes into it: a shallow copy will do.
        ours = isinstance(encoder, BaseSSLTransformer)
        return copy.copy(encoder) if ours else copy.deepcopy(encoder)
    encoder = seeded_clone(encoder, random_state)
    if isinstance(encoder, UntrainedTransformer):
        return encoder.fit(X, X_unlabeled=X_unlabeled)
    # The task is not part of the result: hashing it would break every cache hit.
    cached = check_memory(memory).cache(_fit_encoder, ignore=["task"])
    return cached(encoder, X, matrix, X_unlabeled, task)


def _fit_encoder(encoder, X, matrix, X_unlabeled, task):
    with task.delegate("pretrain", encoder):
        if isinstance(encoder, BaseSSLTransformer):
            return encoder.fit(X, X_unlabeled=X_unlabeled)
        if X_unlabeled:
            parts = [matrix, *X_unlabeled]
            matrix = (sp.vstack if any(map(sp.issparse, parts)) else np.vstack)(parts)
        return encoder.fit(matrix)


def seeded_clone(estimator, random_state):
    """Return a clone, whose parts without a seed take one from ``random_state``."""
    estimator = clone(estimator)
    params = estimator.get_params()
    seeds = {}
    for name, value in params.items():
        owner, _, parameter = name.rpartition("__")
        # What is fitted after cloning was meant to stay as it is.
        if parameter == "random_state" and value is None and not is_fitted(params.get(owner)):
            seeds[name] = _integer_seed(random_state)
    estimator.set_params(**seeds)  # a FrozenEstimator's returns None
    return estimator


def transform(encoder, X, matrix) -> np.ndarray:
    """Embed samples, given as by the user and as a checked matrix."""
    if isinstance(encoder, BaseSSLTransformer):
        return encoder._embed(matrix)
    named = matrix
    if hasattr(encoder, "feature_names_in_") and column_names(X) is not None:
        named = frame_of_anndata(X, matrix) if is_anndata(X) else X
    Z = encoder.transform(named)
    Z = Z.toarray() if sp.issparse(Z) else np.asarray(Z)
    return Z.astype(np.float64 if matrix.dtype == np.float64 else np.float32, copy=False)


def _integer_seed(random_state) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
