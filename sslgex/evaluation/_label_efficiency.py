"""The label-efficiency curve: what every number of labels is worth to every entry."""

import numpy as np

from ._draws import draw_subsets, resolve_sizes
from ._entries import check_entries
from ._results import LabelEfficiencyResults
from ._setup import check_n_draws, check_scoring, set_up
from ._sweep import Sweep


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
    estimators : classifier, dict of str to classifier, or list of (str, classifier)
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
    label_sizes : array-like of shape (n_sizes,), int or float
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
    entries = check_entries(estimators)
    n_draws = check_n_draws(n_draws, protocol)
    scoring = check_scoring(scoring, entries)
    data, seed, splits, runner = set_up(
        X,
        y,
        X_unlabeled=X_unlabeled,
        groups=groups,
        cv=cv,
        n_jobs=n_jobs,
        random_state=random_state,
        error_score=error_score,
        cache=cache,
    )
    sizes, n_labels = resolve_sizes(label_sizes, [len(train) for train, _ in splits])
    subsets = draw_subsets(
        data.y, data.classes, splits, sizes, n_labels, n_draws, seed=seed, protocol=protocol
    )
    found = Sweep(data, seed, splits, sizes, subsets).run(entries, runner)
    return LabelEfficiencyResults(
        entries=list(entries),
        label_sizes=sizes,
        n_labels=n_labels,
        n_draws=n_draws,
        scoring=scoring,
        protocol=protocol,
        classes=data.classes,
        y=data.y,
        groups=data.groups,
        splits=splits,
        subsets=subsets,
        **found,
    )
