"""Fitted on training samples, looked at on held-out ones: what diagnoses of encoders share."""

from collections.abc import Callable
from typing import NamedTuple

import joblib
import numpy as np
import scipy.sparse as sp
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .._encoders import is_fitted, seeded_clone
from .._training.warning import warn_user
from ..classifier import SSLClassifier
from ._cache import Cache
from ._entries import check_estimators
from ._fits import Data, Pool, Pretrained, pretrain, wants_unlabeled
from ._profiles import Profiles, check_profiles
from ._runner import Runner
from ._setup import check_seed, check_y
from ._splits import check_groups, make_splits
from ._sweep import hash_of, seed_of


class View(NamedTuple):
    """What a diagnosis looks at.

    Attributes
    ----------
    X : array-like of shape (n_samples, n_features)
        Held-out samples; a data frame if the genes have names.
    donors : array-like of shape (n_donors, n_features)
        The training samples of the split; all of `X` where there are no splits.
    y : ndarray of shape (n_samples,) or None
        Labels of the held-out samples.
    groups : ndarray of shape (n_samples,) or None
        Codes of their groups.
    rows : ndarray of shape (n_samples,)
        Which samples they are.
    seed : int
        Of what is random; the same for all estimators.
    """

    X: object
    donors: object
    y: np.ndarray | None
    groups: np.ndarray | None
    rows: np.ndarray
    seed: int


def look(
    diagnose: Callable,
    estimators,
    X,
    y=None,
    *,
    X_unlabeled=None,
    groups=None,
    cv=5,
    n_jobs=None,
    random_state=None,
    cache=None,
    check: Callable = lambda name, estimator: None,
    **parameters,
) -> dict[str, list]:
    """Return ``diagnose(fitted, view, **parameters)`` of every estimator and split.

    Where all estimators are fitted there is one view: all of `X`. Otherwise those that are not are
    fitted on the training samples of every split (transformers on `X_unlabeled` too, and without
    labels), and all are looked at on its test samples.

    Parameters
    ----------
    diagnose : callable
        A function of a module: its name is part of the cache's key.
    estimators : estimator, dict of str to estimator, or list of (str, estimator)
        Transformers or classifiers, fitted or not.
    check : callable
        Called with every name and estimator; raises for those that cannot be diagnosed.
    **parameters
        Of `diagnose`.
    """
    entries = check_estimators(estimators)
    for name, entry in entries.items():
        check(name, entry)
    seed = check_seed(random_state, cache)
    runner = Runner(n_jobs, Cache(cache), "raise")
    profiles, more = check_profiles(X, X_unlabeled)
    classes, codes = (np.array([]), None) if y is None else check_y(y, profiles)
    everything = np.arange(len(profiles))
    fitted = {name: is_fitted(entry) for name, entry in entries.items()}
    # A class of one group stands in the way of splits only.
    divided = classes[:0] if all(fitted.values()) else classes
    groups = check_groups(groups, everything if codes is None else codes, divided)
    data = Data(profiles, more, codes, classes, groups)
    if all(fitted.values()):
        splits = [(everything[:0], everything)]
        if more:
            warn_user("X_unlabeled is not used: all estimators are fitted.")
    else:
        for name, entry in entries.items():
            if fitted[name] and not isinstance(entry, FrozenEstimator):
                warn_user(
                    f"{name!r} is fitted, used as it is, beside others that are fitted within each "
                    "split: if it has seen the held-out samples, it is not judged as they are. "
                    "Pass it unfitted, clone(estimator), or in a FrozenEstimator if it has seen "
                    "none of them."
                )
        unlabelled = [n for n, e in entries.items() if not fitted[n] and is_classifier(e)]
        if unlabelled and y is None:
            raise ValueError(f"{unlabelled} are classifiers to be fitted: pass y.")
        splits = make_splits(cv, codes, groups, seed=seed, n_samples=len(profiles))
    content = data.content()
    with runner.sharing(data) as shared:
        whole = _fit(entries, fitted, shared, splits, seed, runner, content)
        batches = []
        for name, entry in entries.items():
            key = hash_of(entry, name, runner)
            for s, split in enumerate(splits):
                where = content, key, joblib.hash(split), seed_of(seed, s), joblib.hash(parameters)
                arguments = diagnose, whole[name][s], shared, split, seed_of(seed, s), parameters
                batches.append([((diagnose.__name__, *where), arguments)])
        found = runner.run(_diagnose, batches, "held-out samples")
    n = len(splits)
    return {name: [found[i * n + s][0] for s in range(n)] for i, name in enumerate(entries)}


def check_embeds(name: str, estimator) -> None:
    """Raise for an estimator that has no embedding."""
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else None
    if hasattr(estimator, "transform") or (last is not None and len(estimator.steps) > 1):
        return
    raise TypeError(
        f"{name!r} is a {type(estimator).__name__}, which has no transform and so no embedding: "
        "pass a transformer, an SSLClassifier, or a Pipeline of a transformer and a classifier."
    )


def embed(fitted, X) -> np.ndarray:
    """Return the embedding of samples as float64; of a Pipeline that of its last transformer."""
    encoder = fitted if hasattr(fitted, "transform") else fitted[:-1]
    Z = encoder.transform(as_fitted(encoder, X))
    Z = np.asarray(Z.toarray() if sp.issparse(Z) else Z, dtype=np.float64)
    if not np.isfinite(Z).all():
        raise ValueError(
            f"{type(fitted).__name__} gave embeddings with NaN or infinity for "
            f"{np.sum(~np.isfinite(Z).all(axis=1)):,} of {len(Z):,} held-out samples: its training "
            "has diverged, or a step divides by zero."
        )
    return Z


def as_fitted(estimator, X):
    """Return samples without gene names for an estimator that was fitted without, and would warn.

    One that keeps no account of its features, such as a user's own, gets what there is.
    """
    nameless = hasattr(estimator, "n_features_in_") and not hasattr(estimator, "feature_names_in_")
    return X.to_numpy() if nameless and hasattr(X, "columns") else X


def _fit(entries, fitted, data, splits, seed, runner, content) -> dict[str, list]:
    """Return every estimator fitted on the training samples of every split."""
    found = {name: [entry] * len(splits) for name, entry in entries.items()}
    for function in (pretrain, fit_classifier):
        batches, places = [], []
        for name, entry in entries.items():
            if fitted[name] or is_classifier(entry) != (function is fit_classifier):
                continue
            key = hash_of(entry, name, runner)
            for s, (train, _) in enumerate(splits):
                # Keys as a sweep has them, so that the encoders of a curve are found in its cache.
                pool, fit_seed = Pool(train), seed_of(seed, s)
                what = content, key, joblib.hash(pool), fit_seed
                batches.append([(what, (entry, data, pool, fit_seed))])
                places.append((name, s))
        done = runner.run(function, batches, "fits") if batches else []
        for (name, s), (result,) in zip(places, done, strict=True):
            found[name][s] = result.encoder
    return found


def fit_classifier(entry, data: Data, pool: Pool, seed: int) -> Pretrained:
    """Fit a classifier on all training samples with their labels."""
    train = pool.train
    model = seeded_clone(entry, seed)
    more = {}
    if data.more and takes_pool(model):
        more["X_unlabeled"] = [part[:] for part in data.more]
    return Pretrained(model.fit(data.profiles[train], data.classes[data.y[train]], **more), 0.0)


def takes_pool(model) -> bool:
    """Tell whether samples without labels are of use to a classifier's fit."""
    pretrains = isinstance(model, SSLClassifier) and model.encoder is not None
    return wants_unlabeled(model) or (pretrains and not is_fitted(model.encoder))


def _diagnose(diagnose, fitted, data: Data, split: tuple, seed: int, parameters: dict):
    train, test = split
    profiles: Profiles = data.profiles
    y = None if data.y is None else data.classes[data.y[test]]
    groups = None if data.groups is None else data.groups[test]
    donors = profiles.values[train if len(train) else test]
    return diagnose(fitted, View(profiles[test], donors, y, groups, test, seed), **parameters)


def collect(found: dict[str, list], attribute: str) -> dict[str, np.ndarray]:
    """Return an attribute of what was found, per estimator an array over the splits."""
    return {
        name: np.array([getattr(result, attribute) for result in results])
        for name, results in found.items()
    }


def samples_of(n_samples: np.ndarray) -> str:
    """Return how many samples were looked at, in words."""
    if len(n_samples) == 1:
        return f"{n_samples[0]:,} held-out samples"
    few, many = n_samples.min(), n_samples.max()
    each = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    return f"{len(n_samples)} splits, {each} held-out samples each"


def mean_and_range(values: np.ndarray, spec: str) -> str:
    """Return the mean of finite values and, where they differ, from what to what they go."""
    values = values[np.isfinite(values)]
    if not len(values):
        return "nan"
    low, mean, high = (f"{v:{spec}}" for v in (values.min(), values.mean(), values.max()))
    return mean if low == high else f"{mean} ({low} to {high})"


def table(rows: list[list[str]]) -> list[str]:
    """Return the lines of a table, whose first column is flush left and the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [
        [f"{first:<{widths[0]}}", *map(str.rjust, others, widths[1:])] for first, *others in rows
    ]
    return ["  ".join(cells) for cells in aligned]
