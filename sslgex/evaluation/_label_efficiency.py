"""The label-efficiency curve: what every number of labels is worth to every entry."""

import warnings
from collections.abc import Mapping

import numpy as np
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_consistent_length, check_random_state

from .._encoders import is_fitted
from .._labels import check_classes, check_labels
from ..classifier import SSLClassifier
from ._cache import Cache
from ._draws import draw_subsets, resolve_sizes
from ._fits import Data
from ._metrics import METRICS, NEED_PROBABILITIES
from ._profiles import Profiles, check_profiles
from ._results import LabelEfficiencyResults
from ._runner import Runner
from ._splits import check_groups, make_splits
from ._sweep import Sweep

N_DRAWS = {"resample": 20, "dradjat2025": 5}


def label_efficiency_curve(
    estimators,
    X,
    y,
    *,
    label_sizes,
    X_unlabeled=None,
    n_draws="auto",
    groups=None,
    scoring=None,
    cv=5,
    protocol="resample",
    n_jobs=None,
    random_state=None,
    error_score=np.nan,
    cache=None,
):
    """Score classifiers on few labels, drawn many times, with and without pretraining.

    For every split into training and test samples, every number of labels and every draw, a
    subset of the training samples gets its labels, every entry is fitted on that same subset, and
    the test samples are predicted. No fit sees a test sample.

    Parameters
    ----------
    estimators : dict of str to classifier, or list of (str, classifier)
        The entries.

        - An `SSLClassifier` with an unfitted encoder (a pretrainer, or any transformer): the
          encoder is fitted once per split, on all its training samples without labels and on
          `X_unlabeled`, and serves all draws. Entries with equal encoders share it.
        - An `SSLClassifier` with a fitted encoder: used as it is. A warning says that nobody here
          knows whether that has seen the test samples; a `FrozenEstimator` around the encoder
          says that you do.
        - Any other classifier: fitted on the labelled subset alone, with whatever is inside it;
          if its ``fit`` takes ``X_unlabeled``, it gets the samples without labels there.
    X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
        Expression profiles, samples in rows; of an AnnData, its ``X``.
    y : array-like of shape (n_samples,)
        Labels.
    label_sizes : array-like of int or of float
        Labelled samples: counts, or proportions of the training samples in (0, 1]. The study's
        grid is ``np.arange(2, 101) / 100``.
    X_unlabeled : matrix or list of matrices with n_features columns, default=None
        Samples without labels, for pretraining; none of those in `X`.
    n_draws : int or "auto", default="auto"
        Labelled subsets per split and size. "auto": 20, or 5 with ``protocol="dradjat2025"``.
    groups : array-like of shape (n_samples,), default=None
        Patient or study of every sample; never divided between training and test samples, and
        taken for one test sample by `compare`. Nothing is known of the groups of `X_unlabeled`:
        leave out of it other samples of the same patients.
    scoring : str, list of str or None, default=None
        Metrics: "accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss" and
        "neg_calibration_error" (expected calibration error of the predicted class, 15 bins [2]_),
        greater being better. None: those that every entry has.
    cv : int, splitter or iterable of (train, test), default=5
        Splits. A number of folds is stratified and shuffled, and keeps `groups` together.
    protocol : {"resample", "dradjat2025"}, default="resample"
        "resample": labelled subsets are drawn anew for every size and draw, stratified, with one
        sample of each class at least where there are as many labels as classes. "dradjat2025":
        as in [1]_, one fixed subset per split and size, each within the next, and draws that
        differ in the entries' seeds only. Its intervals then tell nothing of the choice of labels.
    n_jobs : int or None, default=None
        Parallel jobs, in whatever backend `joblib.parallel_config` names.
    random_state : int, RandomState instance or None, default=None
        Seed of splits, subsets, and of every entry and encoder without one of its own.
    error_score : "raise" or nan, default=nan
        nan: a fit that fails has NaN scores, with a warning, and the others go on.
    cache : str, path or None, default=None
        Directory that keeps every finished fit, so that an interrupted sweep goes on where it
        stopped, and a longer one computes what is new. Kept by content: other data, parameters,
        seeds, versions or code are other fits; only what a module of your own imports from
        another of your own goes unnoticed. The files are pickles: only load what you wrote.
        Needs an integer `random_state`.

    Returns
    -------
    results : LabelEfficiencyResults
        Predictions for every test sample, scores and seconds; ``to_frame()`` tabulates them.

    Raises
    ------
    ValueError, TypeError
        If an argument is unusable; the message names cause, numbers and cure.

    See Also
    --------
    default_baselines : The entries to beat.
    compare : Does one entry beat another, and how sure is that?

    References
    ----------
    .. [1] Dradjat, Hamidi, Bartet, Hanczar (2025). Self-supervised representation learning on
       gene expression data. Bioinformatics, btaf533.
    .. [2] Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural networks. ICML.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sslgex import SSLClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import label_efficiency_curve
    >>> X, y = make_expression(n_samples=150, n_genes=50, return_X_y=True, random_state=0)
    >>> entries = {
    ...     "PCA": SSLClassifier(PCA(5), mode="frozen", head="linear"),
    ...     "genes": SSLClassifier(StandardScaler(), mode="frozen", head="linear"),
    ... }
    >>> results = label_efficiency_curve(
    ...     entries, X, y, label_sizes=[20, 40], n_draws=3, cv=3, random_state=0
    ... )
    >>> results.to_frame().shape
    (36, 12)
    """
    entries = _check_entries(estimators)
    n_draws = _check_n_draws(n_draws, protocol)
    scoring = _check_scoring(scoring, entries)
    if error_score != "raise" and not (isinstance(error_score, float) and np.isnan(error_score)):
        raise ValueError(
            f"error_score must be 'raise' or nan, got {error_score!r}: predictions are kept, and "
            "a number has none."
        )
    seed = random_state
    if not isinstance(seed, int | np.integer):
        if cache is not None:
            raise ValueError(
                f"cache={str(cache)!r} finds a fit again by its seed: give an integer "
                f"random_state, not {random_state!r}."
            )
        seed = check_random_state(random_state).randint(2**31 - 1)
    keep = Cache(cache)
    profiles, more = check_profiles(X, X_unlabeled)
    classes, codes = _check_y(y, profiles)
    groups = check_groups(groups, codes, classes)
    splits = make_splits(cv, codes, groups, seed=int(seed))
    sizes, n_labels = resolve_sizes(label_sizes, [len(train) for train, _ in splits])
    subsets = draw_subsets(
        codes, classes, splits, sizes, n_labels, n_draws, seed=int(seed), protocol=protocol
    )
    sweep = Sweep(Data(profiles, more, codes, classes, groups), int(seed), splits, sizes, subsets)
    found = sweep.run(entries, Runner(n_jobs, keep, error_score))
    return LabelEfficiencyResults(
        entries=list(entries),
        label_sizes=sizes,
        n_labels=n_labels,
        n_draws=n_draws,
        scoring=scoring,
        protocol=protocol,
        classes=classes,
        y=codes,
        groups=groups,
        splits=splits,
        subsets=subsets,
        **found,
    )


def _check_entries(estimators) -> dict:
    try:
        pairs = list(estimators.items() if isinstance(estimators, Mapping) else estimators)
        entries = {str(name): estimator for name, estimator in pairs}
    except (TypeError, ValueError):
        raise TypeError(
            "estimators must be a dict of names and classifiers or a list of such pairs, got "
            f"{estimators!r}."
        ) from None
    if not entries:
        raise ValueError("estimators is empty: name at least one classifier.")
    if len(entries) < len(pairs):
        raise ValueError(f"Names must be unique, got {[name for name, _ in pairs]}.")
    for name, entry in entries.items():
        if isinstance(entry, type):
            raise TypeError(f"{name!r} is the class {entry.__name__}; pass an instance of it.")
        if not (hasattr(entry, "get_params") and is_classifier(entry)):
            raise TypeError(
                f"{name!r} is {entry!r}, which is no scikit-learn classifier. A pretrainer goes "
                "into one: SSLClassifier(ScarfTransformer(), mode='frozen')."
            )
        _check_encoders(name, entry)
    return entries


def _check_encoders(name: str, entry) -> None:
    """Warn of encoders that may have seen test samples, or that nobody pretrains on the pool."""
    inside = [entry, *entry.get_params(deep=True).values()]
    for part in [part for part in inside if isinstance(part, SSLClassifier)]:
        if part.encoder is None or isinstance(part.encoder, FrozenEstimator):
            continue
        if is_fitted(part.encoder):
            warnings.warn(
                f"{name!r} has a fitted encoder, used as it is: if that was pretrained on samples "
                "that are tested here, its scores are too good. Pass it unfitted, clone(encoder), "
                "to have it fitted within each split, or in a FrozenEstimator if it has seen none "
                "of them.",
                UserWarning,
                stacklevel=4,
            )
        elif part is not entry:
            warnings.warn(
                f"{name!r} has its SSLClassifier inside a {type(entry).__name__}: its encoder is "
                "pretrained on the labelled samples alone, anew for every fit. To use all training "
                "samples make the SSLClassifier the entry, and put what comes before the encoder "
                "into it: SSLClassifier(make_pipeline(scaler, encoder)).",
                UserWarning,
                stacklevel=4,
            )


def _check_n_draws(n_draws, protocol: str) -> int:
    if protocol not in N_DRAWS:
        raise ValueError(f"protocol must be one of {list(N_DRAWS)}, got {protocol!r}.")
    if isinstance(n_draws, str) and n_draws == "auto":
        return N_DRAWS[protocol]
    if isinstance(n_draws, bool) or not isinstance(n_draws, int | np.integer) or n_draws < 1:
        raise ValueError(f"n_draws must be a positive integer or 'auto', got {n_draws!r}.")
    return int(n_draws)


def _check_scoring(scoring, entries: dict) -> tuple[str, ...]:
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


def _check_y(y, profiles: Profiles) -> tuple[np.ndarray, np.ndarray]:
    y, labelled = check_labels(y)
    check_consistent_length(profiles.values, labelled)
    if not labelled.all():
        raise ValueError(
            f"{np.sum(~labelled):,} of {len(labelled):,} labels in y are missing: pass those "
            "samples as X_unlabeled."
        )
    check_classes(y, labelled)
    return np.unique(y, return_inverse=True)
