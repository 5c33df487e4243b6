"""The convergence curve: what every epoch of fine-tuning is worth to every entry."""

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from sklearn.frozen import FrozenEstimator

from ..base import BaseSSLTransformer
from ..classifier import SSLClassifier
from ._comparison import N_SAMPLES, reach, rise_to_best
from ._draws import draw_subsets, resolve_sizes
from ._fits import Data, Fit, fit_and_predict, predict
from ._metrics import Outcome
from ._results import CurveResults
from ._runner import Runner
from ._setup import check_entries, check_n_draws, check_scoring, set_up
from ._sweep import Sweep
from ._variance import estimate

MOST_SHOWN = 8  # epochs in a printed table


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class ConvergenceResults(CurveResults):
    """Predictions of every entry for every split, epoch of fine-tuning and draw.

    Attributes
    ----------
    entries : list of str
        Names of the entries, in the order given.
    n_labels : ndarray of shape (n_splits, n_epochs), int
        Labelled samples of every split, the same in all epochs.
    n_draws : int
        Draws per split.
    scoring : tuple of str
        The metrics asked for.
    protocol : str
        How labelled subsets were drawn.
    classes : ndarray of shape (n_classes,)
        The labels.
    y : ndarray of shape (n_samples,), int
        Codes of the samples' labels.
    groups : ndarray of shape (n_samples,), int or None
        Codes of the samples' groups.
    splits : list of (train, test)
        Rows of X.
    subsets : list of list of list of ndarray
        Rows of X that have labels, per split, epoch (the same in all) and draw.
    outcomes : dict of str to list of Outcome
        Per entry and split the arrays ``predicted`` (codes), ``p_true`` and ``confidence``
        (probability of the true and of the predicted class), each of shape
        (n_epochs, n_draws, n_test).
    pretrain_seconds : dict of str to ndarray of shape (n_splits,)
        Seconds of pretraining; 0 for entries without. Entries that share an encoder share these.
    fit_seconds : dict of str to ndarray of shape (n_splits, n_epochs, n_draws)
        Seconds of the whole fit, the same in all epochs, without the predictions of test samples;
        NaN where it failed.
    loss_curves : dict of str to list of list of float
        Per entry and split the pretraining loss of every epoch; empty without.
    content : str
        A hash of `X`, labels, groups, splits and labelled subsets: results can be compared if it
        is equal.
    epochs : ndarray of shape (n_epochs,), int
        1, 2, ..., the number of epochs.
    label_size : int or float
        Labelled samples, as asked for: a count, or a proportion of the training samples.
    levels : list of str
        Entries without epochs, whose scores are the same at all of them.
    """

    title = "Convergence"
    axis = "epochs"

    epochs: np.ndarray
    label_size: float
    levels: list[str]

    @property
    def sizes(self) -> np.ndarray:
        """The epochs."""
        return self.epochs

    @property
    def positions(self) -> np.ndarray:
        """The epochs."""
        return self.epochs

    @property
    def whole(self) -> float:
        """The number of epochs."""
        return float(self.epochs[-1])

    def epochs_to(self, score=None, *, of=None, metric=None, level=0.95):
        """Return how many epochs every entry needs for a score.

        Parameters
        ----------
        score : float or None, default=None
            The mean score to reach; give this or `of`.
        of : str or None, default=None
            Name of an entry whose best mean score is to be reached, such as that of the network
            from scratch. Its error is part of the intervals.
        metric : str or None, default=None
            Any of `label_efficiency_curve`'s metrics; None: the first of `scoring`.
        level : float in (0, 1), default=0.95
            Confidence level of the intervals.

        Returns
        -------
        needed : dict of str to (epochs, low, high)
            Epochs, and the ends of their interval; inf: more than there were. 1 is the least there
            is, also for entries without epochs that have the score. NaN for entries without scores.

        Raises
        ------
        ValueError
            Unless one of `score` and `of` is given, for unknown names, metrics and levels, and for
            results with one draw only.

        Notes
        -----
        Epochs are read from an increasing (isotonic) fit to the mean scores up to the best one,
        as what comes after it (overfitting) takes nothing back; between epochs by straight lines.
        The interval is of the same on 2,000 curves drawn from the estimated error.

        Examples
        --------
        >>> from sslgex import ScarfTransformer, SSLClassifier
        >>> from sslgex.datasets import make_expression
        >>> from sslgex.evaluation import convergence_curve
        >>> X, y = make_expression(n_samples=120, n_genes=30, return_X_y=True, random_state=0)
        >>> scarf = ScarfTransformer((8,), max_epochs=2, random_state=0)
        >>> entries = {
        ...     "scratch": SSLClassifier(hidden_layer_sizes=(8,)),
        ...     "SCARF": SSLClassifier(scarf, head="linear"),
        ... }
        >>> results = convergence_curve(
        ...     entries, X, y, label_size=20, max_epochs=3, n_draws=2, cv=2, random_state=0
        ... )
        >>> epochs, low, high = results.epochs_to(of="scratch")["SCARF"]
        >>> low <= epochs <= high
        True
        """
        if (score is None) == (of is None):
            raise ValueError(
                f"Give a score or the entry whose best it is, one of the two: got score={score!r}, "
                f"of={of!r}."
            )
        if of is not None and of not in self.entries:
            raise ValueError(f"There is no entry {of!r}; there are {self.entries}.")
        if score is not None and not np.isfinite(score):
            raise ValueError(f"score must be a finite number, got {score!r}.")
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level!r}.")
        metric = self.scoring[0] if metric is None else metric
        return {name: self._epochs_to(name, score, of, metric, level) for name in self.entries}

    def _epochs_to(self, name: str, score, of, metric: str, level: float):
        names = [name] if of in (None, name) else [name, of]
        curves = estimate(self, names, metric)
        known = ~np.isnan(curves.mean).any(axis=0)
        if not known.any():
            return np.nan, np.nan, np.nan
        epochs = self.epochs[known]

        def needed(curve: np.ndarray) -> float:
            target = curve[-1].max() if score is None else score
            return float(reach(epochs, rise_to_best(curve[0]), target))

        samples = curves.sample(N_SAMPLES, np.random.default_rng(0))[:, :, known]
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.quantile([needed(s) for s in samples], tails, method="inverted_cdf")
        return needed(curves.mean[:, known]), float(low), float(high)

    @classmethod
    def join(cls, results) -> Self:
        """Return results of several sweeps as one.

        Parameters
        ----------
        results : list of ConvergenceResults
            Of the same data, splits, labelled subsets and epochs, with different entries.

        Returns
        -------
        joined : ConvergenceResults
            All entries.

        Raises
        ------
        ValueError
            If the sweeps differ, or entries have equal names.
        """
        results = list(results)
        lengths = [len(part.epochs) for part in results if isinstance(part, cls)]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"These results are of {lengths} epochs: run all with the same max_epochs."
            )
        levels = [name for part in results if isinstance(part, cls) for name in part.levels]
        return replace(super().join(results), levels=levels)

    def to_frame(self):
        """Return one row per entry, split, epoch and draw.

        Returns
        -------
        frame : pandas.DataFrame
            Columns "entry", "split", "epoch", "n_labels", "draw", one per metric, and the seconds
            of pretraining (the same in all rows of a split) and of the whole fit (the same in all
            epochs).

        Raises
        ------
        ImportError
            Without pandas.
        """
        return super().to_frame().rename(columns={"size": "epoch"})

    def __repr__(self) -> str:
        n = len(self.epochs)
        shown = np.arange(n)
        if n > MOST_SHOWN:  # the early ones, where most happens, densely
            shown = np.unique(np.geomspace(1, n, MOST_SHOWN).round().astype(int)) - 1
        metric = self.scoring[0]
        kept = {(name, metric): s[:, shown] for name, s in self.scores(metric).items()}
        table = CurveResults.__repr__(replace(self, epochs=self.epochs[shown], _kept=kept))
        return f"{table}\nby epoch of fine-tuning, label_size={self.label_size:g}"


def convergence_curve(
    estimators,
    X,
    y,
    *,
    label_size,
    max_epochs=None,
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
    """Score classifiers after every epoch of fine-tuning, with and without pretraining.

    For every split into training and test samples and every draw, a subset of the training samples
    gets its labels, every entry is fitted on that same subset, and the test samples are predicted
    after every epoch. No fit sees a test sample. This is the study's question whether a pretrained
    network needs fewer epochs [1]_.

    Parameters
    ----------
    estimators : dict of str to classifier or pretrainer, or list of such pairs
        The entries, as in `label_efficiency_curve`.

        - An `SSLClassifier` that is trained by gradient (``mode="unfrozen"`` or ``head="sgd"``):
          on all labelled samples, with ``early_stopping=False``, for `max_epochs` epochs.
        - A pretrainer: taken as ``SSLClassifier(pretrainer)``.
        - Any other classifier, one with an `SSLClassifier` inside it among them: it has no epochs.
          It is fitted once, and its curve is level.
    X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
        Expression profiles, samples in rows; of an AnnData, its ``X``.
    y : array-like of shape (n_samples,)
        Labels.
    label_size : int or float
        Labelled samples: a count, or a proportion of the training samples in (0, 1].
    max_epochs : int or None, default=None
        Epochs of every entry that has any. None: the most that one of them has by itself.
    X_unlabeled : matrix or list of matrices with n_features columns, default=None
        Samples without labels, for pretraining; none of those in `X`.
    n_draws : int or "auto", default="auto"
        Labelled subsets per split. "auto": 20, or 5 with ``protocol="dradjat2025"``.
    groups : array-like of shape (n_samples,), default=None
        Patient or study of every sample; never divided between training and test samples, and
        taken for one test sample by `compare`.
    scoring : str, list of str or None, default=None
        Metrics, as in `label_efficiency_curve`. None: those that every entry has.
    cv : int, splitter or iterable of (train, test), default=5
        Splits. A number of folds is stratified and shuffled, and keeps `groups` together.
    protocol : {"resample", "dradjat2025"}, default="resample"
        "resample": labelled subsets are drawn anew for every draw. "dradjat2025": one subset per
        split, and draws that differ in the entries' seeds only.
    n_jobs : int or None, default=None
        Parallel jobs, in whatever backend `joblib.parallel_config` names.
    random_state : int, RandomState instance or None, default=None
        Seed of splits, subsets, and of every entry and encoder without one of its own.
    error_score : "raise" or nan, default=nan
        nan: a fit that fails has NaN scores in all epochs, with a warning, and the others go on.
    cache : str, path or None, default=None
        Directory that keeps every finished fit, as in `label_efficiency_curve`. Needs an integer
        `random_state`.

    Returns
    -------
    results : ConvergenceResults
        Predictions for every test sample after every epoch, scores and seconds. `compare`,
        `mean_scores` and its ``epochs_to`` read them.

    Raises
    ------
    ValueError, TypeError
        If an argument is unusable; the message names cause, numbers and cure.

    See Also
    --------
    label_efficiency_curve : The same over numbers of labels, every entry stopping as it does.

    Notes
    -----
    The scores are of test samples: they tell how fast entries learn, and no epoch may be chosen by
    them. `SSLClassifier` chooses its own by labelled samples (``early_stopping``).

    With ``schedule="one-cycle"``, the default, the learning rate rises and falls over all of
    `max_epochs`: the score after 10 of 100 epochs is not that of a training of 10. With
    ``schedule="constant"``, the study's, it is.

    A training that one of scikit-learn's callbacks ends early keeps its last score to the end.

    References
    ----------
    .. [1] Dradjat, Hamidi, Bartet, Hanczar (2025). Self-supervised representation learning on
       gene expression data. Bioinformatics, btaf533.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sslgex import ScarfTransformer, SSLClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import convergence_curve
    >>> X, y = make_expression(n_samples=120, n_genes=30, return_X_y=True, random_state=0)
    >>> scarf = ScarfTransformer((8,), max_epochs=2, random_state=0)
    >>> entries = {
    ...     "scratch": SSLClassifier(hidden_layer_sizes=(8,)),
    ...     "SCARF": SSLClassifier(scarf, head="linear"),
    ...     "genes": GaussianNB(),
    ... }
    >>> results = convergence_curve(
    ...     entries, X, y, label_size=20, max_epochs=3, n_draws=2, cv=2, random_state=0
    ... )
    >>> results.scores("accuracy")["SCARF"].shape
    (2, 3, 2)
    """
    entries = check_entries(_classifiers(estimators))
    entries, n_epochs = _to_the_end(entries, max_epochs)
    if np.ndim(label_size) != 0:
        raise ValueError(
            f"label_size must be one number, got {label_size!r}: the curve goes along epochs. Run "
            "one for each number of labels."
        )
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
    sizes, n_labels = resolve_sizes(label_size, [len(train) for train, _ in splits], "label_size")
    subsets = draw_subsets(
        data.y, data.classes, splits, sizes, n_labels, n_draws, seed=seed, protocol=protocol
    )
    sweep = EpochSweep(data, seed, splits, sizes, subsets, fit_by_epoch, n_epochs=n_epochs)
    found = sweep.run(entries, runner)
    return ConvergenceResults(
        entries=list(entries),
        epochs=np.arange(1, n_epochs + 1),
        label_size=sizes[0],
        levels=[name for name, entry in entries.items() if not _has_epochs(entry)],
        n_labels=np.repeat(n_labels, n_epochs, axis=1),
        n_draws=n_draws,
        scoring=scoring,
        protocol=protocol,
        classes=data.classes,
        y=data.y,
        groups=data.groups,
        splits=splits,
        subsets=[split * n_epochs for split in subsets],
        **found,
    )


@dataclass(frozen=True, kw_only=True)
class EpochSweep(Sweep):
    """A sweep whose fits predict after every epoch, at one number of labels.

    Attributes
    ----------
    n_epochs : int
        Epochs of the entries that have any.
    """

    n_epochs: int

    def run(self, entries: dict, runner: Runner) -> dict:
        """Make the fits; return fields of `ConvergenceResults`."""
        found = super().run(entries, runner)
        seconds = found["fit_seconds"].items()
        found["fit_seconds"] = {name: np.repeat(s, self.n_epochs, axis=1) for name, s in seconds}
        return found

    def _outcomes(self, fits: list[list[list]]) -> list[Outcome]:
        """Return per split the outcomes of its fits as arrays (n_epochs, n_draws, n_test)."""
        stacked = []
        for (_, test), (draws,) in zip(self.splits, fits, strict=True):
            shape = self.n_epochs, len(test)
            nothing = np.full(shape, np.nan, dtype=np.float32)
            failed = Outcome(np.full(shape, -1, dtype=np.int16), nothing, nothing)
            outcome = [
                np.stack([np.broadcast_to(part, shape) for part in parts], axis=1)
                for parts in zip(*(getattr(fit, "outcome", failed) for fit in draws), strict=True)
            ]
            # As in other sweeps, also in memory: the last bit of a mean depends on it.
            stacked.append(Outcome(*map(np.ascontiguousarray, outcome)))
        return stacked


def fit_by_epoch(entry, encoder, data: Data, train, labelled, test, seed: int) -> Fit:
    """Fit an entry as `fit_and_predict` does, and predict the test samples after every epoch.

    The arrays of the outcome have shape (max_epochs, n_test), or (1, n_test) without epochs.
    """
    seen: list[Outcome] = []
    seconds = 0.0

    def watch(model, state: dict) -> None:
        nonlocal seconds
        start = time.perf_counter()
        fitted = copy.copy(model)
        vars(fitted).update(state)
        seen.append(predict(fitted, data.profiles[test], data.y[test], data.classes))
        seconds += time.perf_counter() - start

    n_epochs = entry.max_epochs if _has_epochs(entry) else 1
    fit = fit_and_predict(entry, encoder, data, train, labelled, test, seed, watch)
    epochs = seen or [fit.outcome]
    epochs += [epochs[-1]] * (n_epochs - len(epochs))
    outcome = Outcome(*(np.stack(part) for part in zip(*epochs, strict=True)))
    return Fit(outcome, fit.seconds - seconds)


def _classifiers(estimators):
    """Return the entries with pretrainers as classifiers; what is no entry, as it is."""
    try:
        pairs = estimators.items() if isinstance(estimators, Mapping) else estimators
        return [(name, _classifier(estimator)) for name, estimator in pairs]
    except (TypeError, ValueError):
        return estimators


def _classifier(estimator):
    inside = estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
    return SSLClassifier(estimator) if isinstance(inside, BaseSSLTransformer) else estimator


def _has_epochs(entry) -> bool:
    """Tell whether an entry is trained by gradient."""
    trains = isinstance(entry, SSLClassifier)
    return trains and (entry.mode == "unfrozen" or entry.head == "sgd")


def _to_the_end(entries: dict, max_epochs) -> tuple[dict, int]:
    """Return the entries, those with epochs training to the same end, and how many epochs."""
    by_itself = [entry.max_epochs for entry in entries.values() if _has_epochs(entry)]
    if max_epochs is None:
        if not by_itself:
            raise ValueError(
                f"None of {list(entries)} is trained by gradient, so that there are no epochs: "
                "add an SSLClassifier with mode='unfrozen', or give max_epochs for level curves."
            )
        max_epochs = max(by_itself)
    whole = isinstance(max_epochs, int | np.integer) and not isinstance(max_epochs, bool)
    if not whole or max_epochs < 1:
        raise ValueError(f"max_epochs must be a positive integer or None, got {max_epochs!r}.")
    n_epochs = int(max_epochs)
    changed = dict(entries)
    for name, entry in entries.items():
        if _has_epochs(entry):
            # A shallow copy, not a clone: entries with the same encoder go on sharing it.
            changed[name] = copy.copy(entry).set_params(early_stopping=False, max_epochs=n_epochs)
    return changed, n_epochs
