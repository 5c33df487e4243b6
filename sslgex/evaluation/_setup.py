"""What every sweep is asked: samples, splits, seeds, metrics; checked before anything runs."""

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_consistent_length, check_random_state

from .._labels import check_classes, check_labels
from ._cache import Cache
from ._fits import Data
from ._metrics import METRICS, NEED_PROBABILITIES
from ._profiles import Profiles, check_profiles
from ._runner import Runner
from ._splits import check_groups, make_splits

N_DRAWS = {"resample": 20, "dradjat2025": 5}


class Setup(NamedTuple):
    """Checked samples, how they are divided, and who runs the tasks.

    Attributes
    ----------
    data : Data
        The samples.
    seed : int
        Of everything random.
    splits : list of (train, test)
        Rows of the samples.
    runner : Runner
        Runs tasks in parallel and keeps what is done.
    """

    data: Data
    seed: int
    splits: list[tuple[np.ndarray, np.ndarray]]
    runner: Runner


def set_up(X, y, *, X_unlabeled, groups, cv, n_jobs, random_state, error_score, cache) -> Setup:
    """Check what every sweep takes."""
    if error_score != "raise" and not (isinstance(error_score, float) and np.isnan(error_score)):
        raise ValueError(
            f"error_score must be 'raise' or nan, got {error_score!r}: predictions are kept, and "
            "a number has none."
        )
    seed = check_seed(random_state, cache)
    runner = Runner(n_jobs, Cache(cache), error_score)
    profiles, more = check_profiles(X, X_unlabeled)
    classes, codes = check_y(y, profiles)
    groups = check_groups(groups, codes, classes)
    splits = make_splits(cv, codes, groups, seed=seed)
    return Setup(Data(profiles, more, codes, classes, groups), seed, splits, runner)


def check_seed(random_state, cache) -> int:
    """Return an integer seed; raise where the cache could not find it again."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    if cache is not None:
        raise ValueError(
            f"cache={str(cache)!r} finds a fit again by its seed: give an integer random_state, "
            f"not {random_state!r}."
        )
    return int(check_random_state(random_state).randint(2**31 - 1))


def check_n_draws(n_draws, protocol: str) -> int:
    """Return the number of draws per split and size."""
    if protocol not in N_DRAWS:
        raise ValueError(f"protocol must be one of {list(N_DRAWS)}, got {protocol!r}.")
    if isinstance(n_draws, str) and n_draws == "auto":
        return N_DRAWS[protocol]
    if isinstance(n_draws, bool) or not isinstance(n_draws, int | np.integer) or n_draws < 1:
        raise ValueError(f"n_draws must be a positive integer or 'auto', got {n_draws!r}.")
    return int(n_draws)


def check_scoring(scoring, entries: dict) -> tuple[str, ...]:
    """Return the metrics; raise for those that an entry cannot have."""
    without = [name for name, entry in entries.items() if not hasattr(entry, "predict_proba")]
    if scoring is None:
        return tuple(name for name in METRICS if not without or name not in NEED_PROBABILITIES)
    asked = [scoring] if isinstance(scoring, str) else list(scoring)
    for metric in asked:
        if metric not in METRICS:
            raise ValueError(f"scoring must be of {list(METRICS)}, got {metric!r}.")
        if metric in NEED_PROBABILITIES and without:
            raise ValueError(
                f"{metric} needs probabilities, but {without} have no predict_proba. Leave "
                f"{metric} out of scoring, or put them into a CalibratedClassifierCV."
            )
    if not asked:
        raise ValueError("scoring is empty: name a metric, or pass None.")
    return tuple(dict.fromkeys(asked))


def check_y(y, profiles: Profiles) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, and the code of every sample's; raise if labels are missing."""
    y, labelled = check_labels(y)
    check_consistent_length(profiles.values, labelled)
    if not labelled.all():
        raise ValueError(
            f"{np.sum(~labelled):,} of {len(labelled):,} labels in y are missing: pass those "
            "samples as X_unlabeled."
        )
    check_classes(y, labelled)
    return np.unique(y, return_inverse=True)
