"""At which step test rows of a cross-validation get into what is fitted."""

import warnings

import numpy as np
import scipy.sparse as sp
from scipy.stats import random_table
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, check_consistent_length, check_scalar

from .._encoders import _integer_seed
from .._labels import is_missing
from ._leakage_checks import audit_estimator, audit_function
from ._leakage_labels import relabelled
from ._leakage_report import Finding, LeakageReport
from ._leakage_rows import codes_of_rows, reordered
from ._leakage_steps import Data, Step, check_params, make_steps, predict, seeded
from ._splits import _positions

N_DRAWS = 1_999  # of what chance does to the accuracy; the smallest p-value is one in 2,000
ALARMS = 0.001  # share of false alarms


def audit_leakage(
    pipeline, X, y, groups=None, *, cv=None, params=None, n_permutations=5, random_state=0
) -> LeakageReport:
    """Look for test rows and test labels in what a cross-validation fits, step by step.

    Every step is run again on input that differs in the test rows only. What it makes of the
    training rows must be the same, bit for bit, and its output must not change with the labels of
    the test rows. Each step is perturbed at its own input, so none is blamed for one before it.

    Parameters
    ----------
    pipeline : estimator, or list of (str, estimator or callable)
        - An estimator or `Pipeline`: fitted on the training rows of a split, as `cross_val_score`
          does. A `Pipeline` is audited step by step, any other estimator as one.
        - A list of named steps, as in a script. A callable ``f(X, y)``, which returns the new `X`,
          is applied to all rows and labels at once, before the split: ``PCA(50).fit_transform`` is
          one. Estimators come after the callables and are fitted on the training rows.
    X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
        Profiles, samples in rows. Not changed.
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Labels, one per sample.
    groups : array-like of shape (n_samples,), default=None
        Patient, or whatever else must not be on both sides of a split.
    cv : int, splitter or iterable, default=None
        The one of your `cross_val_score`, which by default ignores groups. The steps are audited on
        its first split; groups and identical rows are looked for on all.
    params : dict, default=None
        What estimators request beside `X` and `y`, by name, one value per sample, such as the batch
        of a `BatchCorrector`: as in `cross_validate`, by metadata routing.
    n_permutations : int, default=5
        How often all is fitted with permuted labels, to see whether the test rows are predicted
        better than by chance; only if the last step is a classifier. 0 leaves that out.
    random_state : int, RandomState instance or None, default=0
        Seed of the perturbations, and of estimators that have none.

    Returns
    -------
    report : LeakageReport
        ``report.clean``, ``report.findings`` with the step, the numbers and the cure of each leak,
        ``report.unaudited`` steps, and ``report.notes`` of what could not be told. `print` it.

    Raises
    ------
    ValueError, TypeError
        If the steps cannot be run, or raise; the message names the step. If samples have several
        labels or groups, or no step requests what is in `params`.

    See Also
    --------
    label_efficiency_curve : Fits everything on training rows, for you.

    Notes
    -----
    What is looked for:

    - values or labels of test rows that reach the training rows, labels that reach the test rows,
      also from a column of `X` or AnnData's ``obs`` that holds the labels too;
    - a test row whose output depends on the other test rows;
    - parts fitted before (`FrozenEstimator`, an `SSLClassifier` around a fitted encoder). Clones
      fitted on all rows and on the training rows show whether they have seen test rows. No
      pretraining is repeated for that: a note says that it cannot be told;
    - groups and identical rows on both sides of a split;
    - accuracy on permuted labels, permuted within the training and within the test rows. Were
      nothing amiss, every order of the test labels would be as likely: a test with a share of false
      alarms of at most 0.001. The other checks compare outputs, and chance has no part in them;
      but a column of `X` that happens to be sorted as the labels are counts as holding them.

    A report is clean if there is no finding and every step could be audited. It is about what was
    handed in. Not seen are choices made before, by looking at the
    scores of the same rows or on `X` itself; unlabelled profiles handed to an encoder elsewhere;
    and what a callable reads from files. An `SSLClassifier` that is given test rows as
    ``X_unlabeled`` does so by design: say it when you report the score.

    Examples
    --------
    Genes chosen by their labels on all rows, then cross-validation:

    >>> from sklearn.feature_selection import SelectKBest
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import audit_leakage
    >>> X, y = make_expression(80, 1000, n_silent=0, class_sep=0, return_X_y=True, random_state=0)
    >>> script = [("genes", SelectKBest(k=10).fit_transform), ("clf", GaussianNB())]
    >>> report = audit_leakage(script, X, y, groups=range(80))
    >>> print(report)
    LeakageReport: 3 leaks, 0 notes
    80 samples, 5 splits; steps: genes, clf
    genes      values of the test rows change the training rows
               rows changed: 64; of: 64; by up to: ...
               Cure: Fit it on the training rows: as an estimator with fit and transform in
               a Pipeline, cross-validated as a whole.
    genes      labels of the test rows change its output
               training rows changed: 64; test rows changed: 16; by up to: ...
               Cure: Fit it on the training rows: as an estimator with fit and transform in
               a Pipeline, cross-validated as a whole.
    all steps  permuted labels of the test rows are predicted
               accuracy: ...; by chance: 0.25...; at most: ...
               Cure: That of the steps above; where there is none, a step gets labels from
               elsewhere.

    The same in a Pipeline, fitted on the training rows of each split:

    >>> from sklearn.pipeline import make_pipeline
    >>> pipeline = make_pipeline(SelectKBest(k=10), GaussianNB())
    >>> print(audit_leakage(pipeline, X, y, groups=range(80)))
    LeakageReport: clean, 0 notes
    80 samples, 5 splits; steps: selectkbest, gaussiannb
    """
    check_scalar(n_permutations, "n_permutations", int, min_val=0)
    steps = make_steps(pipeline)
    if isinstance(X, list | tuple):
        X = np.asarray(X)
    elif sp.issparse(X):
        X = X.tocsr()
    if len(getattr(X, "shape", ())) != 2:
        raise ValueError(
            f"X must have two dimensions, samples in rows; got a {type(X).__name__} of shape "
            f"{getattr(X, 'shape', None)}."
        )
    y = _one_label_per_sample(y)
    _check_groups(groups)
    check_consistent_length(X, y, groups)
    params, notes = check_params(params, steps, X.shape[0])
    last = steps[-1]
    splits = _splits(cv, X, y, groups, classifier=last.is_function or is_classifier(last.does))
    findings = _groups_on_both_sides(groups, splits) + _doubles_on_both_sides(X, splits)
    if groups is None:
        notes.append("No groups were given: a patient on both sides of a split would not be seen.")

    seed = _integer_seed(random_state)
    rng = np.random.default_rng(seed)
    steps = [seeded(step, seed) for step in steps]
    first = data = Data(X, y, *splits[0], len(splits), seed, params)
    unaudited = []
    for step in steps:
        if step.is_function:
            audited = audit_function(step, data, rng)
        else:
            audited = audit_estimator(step, data, rng, is_last=step is steps[-1])
        blamed = data.blamed or any("labels" in finding.what for finding in audited.findings)
        data = data._replace(X=audited.X, blamed=blamed)
        findings += audited.findings
        notes += audited.notes + audited.blind
        if audited.blind:
            unaudited.append(step.name)
    if n_permutations and not last.is_function and is_classifier(last.does):
        findings += _better_than_chance(steps, first, n_permutations, rng)
    names = [step.name for step in steps]
    return LeakageReport(names, X.shape[0], len(splits), findings, notes, unaudited)


def _one_label_per_sample(y):
    """Return labels in one dimension; raise for several labels of a sample."""
    if y is None:
        raise ValueError("y is None: the audit permutes labels, so it needs them.")
    y = np.asarray(y) if isinstance(y, list | tuple) else y
    shape: tuple = getattr(y, "shape", (len(y),))
    if len(shape) == 1:
        return y
    if len(shape) == 2 and shape[1] == 1:
        return _safe_indexing(y, 0, axis=1)
    raise ValueError(
        f"y must be one label per sample, got shape {shape}. Of several labels audit one at a time."
    )


def _check_groups(groups) -> None:
    """Raise for several values of a sample, before a splitter does without a word of the cause."""
    if groups is None or not len(groups):
        return
    rows = groups if isinstance(groups, list | tuple) else np.asarray(groups)
    if np.ndim(rows[0]) or getattr(rows, "ndim", 1) != 1:
        raise ValueError(
            f"groups must be one value per sample, got shape {np.array(rows, dtype=object).shape}. "
            "Join tuples to text, such as '-'.join(group); of a data frame pass one column."
        )


def _splits(cv, X, y, groups, *, classifier: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the splits that `cross_val_score` would make."""
    n = X.shape[0]
    with warnings.catch_warnings():
        # That groups are ignored is told here by their numbers.
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        parts = list(check_cv(cv, y, classifier=classifier).split(X, y, groups))
    if not parts:
        raise ValueError("cv makes no split.")
    return [(_positions(train, n), _positions(test, n)) for train, test in parts]


def _groups_on_both_sides(groups, splits: list) -> list[Finding]:
    if groups is None:
        return []
    groups = np.asarray(groups)
    missing = sum(map(is_missing, groups.tolist()))
    if missing:
        raise ValueError(
            f"groups is missing for {missing:,} of {len(groups):,} samples. Give each of them a "
            "group of its own if they are of different patients."
        )
    codes = np.unique(groups.astype(str), return_inverse=True)[1]
    evidence = _torn(codes, splits, "groups")
    cure = "cv=StratifiedGroupKFold(5), with groups given to the cross-validation too."
    what = "groups are in the training and in the test rows"
    return [Finding("cv", what, evidence, cure)] if evidence else []


def _doubles_on_both_sides(X, splits: list) -> list[Finding]:
    evidence = _torn(codes_of_rows(X), splits, "profiles")
    cure = "Keep one of each, or give copies one group and take cv=StratifiedGroupKFold(5)."
    what = "identical rows are in the training and in the test rows"
    return [Finding("cv", what, evidence, cure)] if evidence else []


def _torn(codes: np.ndarray, splits: list, what: str) -> dict[str, float]:
    """Return how many codes are on both sides of a split, and of how many splits; empty if none."""
    both = [np.intersect1d(codes[train], codes[test]) for train, test in splits]
    torn = np.unique(np.concatenate(both))
    if not len(torn):
        return {}
    n_splits = sum(len(shared) > 0 for shared in both)
    return {what: len(torn), "of": len(np.unique(codes)), "splits": n_splits}


def _better_than_chance(steps: list[Step], data: Data, n: int, rng) -> list[Finding]:
    """Return a finding if permuted labels of the test rows are predicted too well."""
    hits, by_chance = 0, np.zeros(N_DRAWS)
    columns = data.columns_of_labels()
    for _ in range(n):
        order = data.order(rng, data.train, data.test)
        X = relabelled(data.X, columns, order)
        permuted = data._replace(X=X, y=reordered(data.y, order))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predicted = predict(steps, permuted)
        truth = np.asarray(permuted.y)[data.test]
        hits += (predicted == truth).sum()
        # The table of predicted and true labels, were the latter in any order.
        codes = np.unique([predicted, truth], return_inverse=True)[1].reshape(2, -1)
        margins = [np.bincount(row, minlength=codes.max() + 1) for row in codes]
        tables = random_table(*margins).rvs(N_DRAWS, random_state=rng)
        by_chance += np.trace(tables, axis1=1, axis2=2)
    if (1 + (by_chance >= hits).sum()) / (1 + N_DRAWS) > ALARMS:
        return []
    total = n * len(data.test)
    evidence = {
        "accuracy": hits / total,
        "by chance": by_chance.mean() / total,
        "at most": np.quantile(by_chance, 1 - ALARMS) / total,
    }
    what = "permuted labels of the test rows are predicted"
    cure = "That of the steps above; where there is none, a step gets labels from elsewhere."
    return [Finding("all steps", what, evidence, cure)]
