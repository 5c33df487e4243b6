"""Label preservation: whether corruption changes the class that a classifier sees."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier

from .._encoders import is_fitted
from .._training.corruption import n_corrupted
from ..classifier import SSLClassifier
from ._corrupted import check_rate, corrupted
from ._entries import check_entries, check_estimators
from ._held_out import View, as_fitted, look
from ._label_preservation_results import LabelPreservation
from ._sweep import seed_of
from ._variance import half_width

RATES = np.arange(1, 10) / 10


class Kept(NamedTuple):
    """What corruption left of the predictions for some samples.

    Attributes
    ----------
    same : ndarray of shape (n_rates, n_samples)
        Share of the repeats in which a sample has its clean class.
    right : ndarray of shape (n_rates, n_samples) or None
        Share of the repeats in which it has its true class; None without labels.
    was_right : ndarray of shape (n_samples,), bool, or None
        Whether it has that when clean.
    units : ndarray of shape (n_samples,)
        Its group or, without groups, its row.
    """

    same: np.ndarray
    right: Any
    was_right: Any
    units: np.ndarray


def label_preservation(
    estimators,
    X,
    y=None,
    *,
    rates=None,
    n_repeats=5,
    level=0.95,
    X_unlabeled=None,
    groups=None,
    cv=5,
    n_jobs=None,
    random_state=None,
    cache=None,
):
    r"""Tell at which corruption rates classifiers still see the class of the clean sample.

    Contrastive pretraining takes a sample and its corrupted self for the same. That is right as
    long as the corruption leaves the class as it was (the study's Figure S5 [1]_). Held-out samples
    are corrupted here as in pretraining: of every sample exactly ``floor(rate * n_genes)`` genes
    get the values that the same genes have in random training samples. With :math:`f` the
    classifier and :math:`\tilde{x}_{ir}` the corruption `r` of `R` of sample :math:`x_i`, of `n`,

    .. math:: \text{preserved} = \frac{1}{n R} \sum_i \sum_r [f(\tilde{x}_{ir}) = f(x_i)] .

    Parameters
    ----------
    estimators : estimator, dict of str to estimator, or list of (str, estimator)
        Who is asked; the same corrupted samples for all.

        - A classifier that is not fitted: fitted on all training samples of every split with
          their labels, an `SSLClassifier` also on `X_unlabeled` where that is of use to it.
        - A fitted classifier: used as it is. `X` must be samples that it has not seen.
        - A pretrainer, or any transformer: asked through
          ``SSLClassifier(pretrainer, mode="frozen", head="linear")``. If it is fitted it stays as
          it is, and only the head is fitted here; as in `label_efficiency_curve` a warning says
          that it must not have seen the held-out samples, and a `FrozenEstimator` around it that
          it has not.
    X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
        Expression profiles, samples in rows.
    y : array-like of shape (n_samples,), default=None
        Labels. Needed unless all estimators are fitted classifiers, for which they add
        `still_right` and `accuracy`.
    rates : float or array-like of shape (n_rates,), default=None
        Corruption rates in (0, 1]. None: 0.1, 0.2, ..., 0.9. A rate of 0 is left out, as it
        preserves all by definition; a rate of 1 is always computed, as `chance`.
    n_repeats : int, default=5
        Corruptions of every sample at every rate.
    level : float in (0, 1), default=0.95
        Confidence level of the intervals.
    X_unlabeled : matrix or list of matrices with n_features columns, default=None
        Samples without labels, for pretraining; none of those in `X`.
    groups : array-like of shape (n_samples,), default=None
        Patient or study of every sample; never divided between training and held-out samples, and
        taken for one unit by the intervals.
    cv : int, splitter or iterable of (train, test), default=5
        Splits. A number of folds is shuffled, stratified if there are labels, and keeps `groups`
        together. Without effect where all estimators are fitted classifiers: then all of `X` is
        held out, and is its own donor of values.
    n_jobs : int or None, default=None
        Parallel jobs, in whatever backend `joblib.parallel_config` names.
    random_state : int, RandomState instance or None, default=None
        Seed of splits, corruptions, and of every estimator without one of its own.
    cache : str, path or None, default=None
        Directory that keeps finished fits and predictions, as in `label_efficiency_curve`. Needs
        an integer `random_state`.

    Returns
    -------
    found : LabelPreservation
        Shares with intervals; printed, a table by rates. ``rate_kept(0.95)`` is the largest rate
        at which 95 % of the samples keep their class.

    Raises
    ------
    ValueError, TypeError
        If an argument is unusable; the message names cause, numbers and cure.

    See Also
    --------
    sslgex.plotting.LabelPreservationDisplay : The same as a picture.

    Notes
    -----
    What is preserved is this classifier's evidence, not biology: one that reads few genes, or is
    often wrong, may keep or lose its class where a pathologist would not. One that always says
    the same preserves everything. So compare with `chance`, the share preserved at a rate of 1:
    all genes come from other samples there, and what agrees does so by chance. That is where the
    curve itself ends, unlike the agreement of two clean samples, :math:`\sum_c p_c^2` with
    :math:`p_c` the share of class `c` among the predictions: a classifier may see one class in
    all samples that are mixed from many. `still_right` and `accuracy` take the labels for truth.

    The methods' defaults of ``corruption_rate`` are 0.6 (`ScarfTransformer`), 0.5
    (`VimeTransformer`) and 0.8 (`ByolTransformer`); the study has 0.3, as in
    ``from_preset("dradjat2025")``. A rate that changes many classes may still be the better
    one to pretrain with: this diagnosis explains a result, `label_efficiency_curve` decides.

    The intervals are Student's t over units, which are samples or, if given, groups (a ratio
    estimate if these differ in size), clipped to [0, 1]. Repeats of a sample are averaged first.
    Samples are pooled over splits; one that is tested in several, or has an equal among the
    others, is one unit. The intervals cover new samples of the same population, seen by
    classifiers such as these on average. They do not cover a new training, as with another seed or
    other training samples. Where no unit differs they have no width, which is no proof with few
    units; with one unit they are NaN.

    References
    ----------
    .. [1] Dradjat, Hamidi, Bartet, Hanczar (2025). Self-supervised representation learning on
       gene expression data. Bioinformatics, btaf533.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import label_preservation
    >>> X, y = make_expression(n_samples=150, n_genes=50, return_X_y=True, random_state=0)
    >>> entries = {"naive Bayes": GaussianNB(), "constant": DummyClassifier()}
    >>> found = label_preservation(entries, X, y, rates=[0.2, 0.5, 0.8], cv=3, random_state=0)
    >>> found.preserved["constant"][:, 0]
    array([1., 1., 1.])
    >>> low, middle, high = found.preserved["naive Bayes"][:, 0]
    >>> bool(low > middle > high > found.chance["naive Bayes"])
    True
    """
    entries = {
        name: _as_classifier(name, estimator)
        for name, estimator in check_estimators(estimators).items()
    }
    _warn_of_fitted_encoders(entries)
    rates = check_rates(rates, np.shape(X))
    if isinstance(n_repeats, bool) or not isinstance(n_repeats, int | np.integer) or n_repeats < 1:
        raise ValueError(f"n_repeats must be a positive integer, got {n_repeats!r}.")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level!r}.")
    found = look(
        kept_predictions,
        entries,
        X,
        y,
        X_unlabeled=X_unlabeled,
        groups=groups,
        cv=cv,
        n_jobs=n_jobs,
        random_state=random_state,
        cache=cache,
        rates=tuple(np.union1d(rates, 1.0).tolist()),
        n_repeats=int(n_repeats),
    )
    kept = {name: _join(parts) for name, parts in found.items()}
    units = np.unique(next(iter(kept.values())).units, return_inverse=True)[1]
    n = len(rates)

    def means(shares, of=slice(None)) -> np.ndarray:
        return clustered_means(shares[:n, of], units[of], level)

    judged = {} if y is None else kept
    return LabelPreservation(
        entries=list(kept),
        rates=rates,
        preserved={k: means(v.same) for k, v in kept.items()},
        still_right={k: means(v.same, v.was_right) for k, v in judged.items()},
        accuracy={k: means(v.right) for k, v in judged.items()},
        clean_accuracy={k: means(v.was_right[None])[0] for k, v in judged.items()},
        chance={k: float(v.same[-1].mean()) for k, v in kept.items()},
        per_sample={k: v.same[:n] for k, v in kept.items()},
        units=units,
        n_repeats=int(n_repeats),
        level=level,
    )


def check_rates(rates, shape: tuple) -> np.ndarray:
    """Return corruption rates, ascending, each once; raise for those that corrupt nothing."""
    n_genes = shape[1] if len(shape) == 2 else None  # `look` says what is wrong with such an X
    if rates is None:
        return RATES[[n_genes is None or n_corrupted(rate, n_genes) > 0 for rate in RATES]]
    asked = [rates] if np.ndim(rates) == 0 else list(rates)
    if not asked:
        raise ValueError("rates is empty: give at least one, such as 0.3, or None for 0.1 to 0.9.")
    return np.unique([check_rate("rates", r, n_genes or 10**9) for r in asked])


def kept_predictions(fitted, view: View, *, rates: tuple, n_repeats: int) -> Kept:
    """Predict the classes of held-out samples, clean and corrupted."""
    y, classes = view.y, np.ravel(getattr(fitted, "classes_", []))
    if y is not None and len(classes) and not set(y.tolist()) & set(classes.tolist()):
        raise ValueError(
            f"None of the labels in y, such as {y.tolist()[0]!r}, is a class of this "
            f"{type(fitted).__name__}, such as {classes.tolist()[0]!r}: pass y as it was fitted "
            "with."
        )
    X = as_fitted(fitted, view.X)
    clean = np.asarray(fitted.predict(X))
    same, right = np.zeros((2, len(rates), len(clean)))
    for k, rate in enumerate(rates):
        for repeat in range(n_repeats):
            seed = seed_of(view.seed, rate, repeat)
            seen = np.asarray(fitted.predict(corrupted(X, view.donors, rate, seed)))
            same[k] += seen == clean
            if y is not None:
                right[k] += seen == y
    same, right = same / n_repeats, right / n_repeats
    units = view.rows if view.groups is None else view.groups
    if y is None:
        return Kept(same, None, None, units)
    return Kept(same, right, clean == y, units)


def clustered_means(shares: np.ndarray, units: np.ndarray, level: float) -> np.ndarray:
    """Return means and their intervals, what is of one unit being dependent.

    Parameters
    ----------
    shares : ndarray of shape (n_rates, n)
        From 0 to 1.
    units : ndarray of shape (n,)
        Whose they are.
    level : float
        Of the intervals.

    Returns
    -------
    means : ndarray of shape (n_rates, 3)
        Mean, lower and upper end; NaN where there is nothing to estimate them from.
    """
    codes = np.unique(units, return_inverse=True)[1]
    sizes = np.bincount(codes)
    if not len(sizes):
        return np.full((len(shares), 3), np.nan)
    totals = np.zeros((len(sizes), len(shares)))
    np.add.at(totals, codes, shares.T)
    mean = shares.mean(axis=1)
    squares = ((totals - np.outer(sizes, mean)) ** 2).sum(axis=0)
    dof = len(sizes) - 1
    if not dof:
        return np.column_stack([mean, np.full((len(shares), 2), np.nan)])
    variance = squares * len(sizes) / dof / len(codes) ** 2
    half = np.array([half_width(v, dof, level) for v in variance])
    return np.column_stack([mean, (mean - half).clip(min=0), (mean + half).clip(max=1)])


def _as_classifier(name: str, estimator):
    """Return what can be asked for classes."""
    if is_classifier(estimator):
        return estimator
    if hasattr(estimator, "transform"):
        return SSLClassifier(estimator, mode="frozen", head="linear")
    raise TypeError(
        f"{name!r} is a {type(estimator).__name__}, which sees no classes: pass a classifier, or a "
        "pretrainer, which gets a linear head here."
    )


def _warn_of_fitted_encoders(entries: dict) -> None:
    """Warn of encoders that may have seen the samples that their classifier is to be asked of."""
    inside = {
        name: part
        for name, entry in entries.items()
        if not is_fitted(entry)
        for part in (entry, *entry.get_params().values())
        if isinstance(part, SSLClassifier)
    }
    if inside:
        check_entries(inside)


def _join(parts: list[Kept]) -> Kept:
    """Return the samples of all splits together."""
    same, right, was_right, units = zip(*parts, strict=True)
    return Kept(
        np.concatenate(same, axis=1),
        None if right[0] is None else np.concatenate(right, axis=1),
        None if was_right[0] is None else np.concatenate(was_right),
        np.concatenate(units),
    )
