"""The convergence curve: what every epoch of fine-tuning is worth to every entry."""

import copy
import time
from dataclasses import dataclass

import numpy as np

from ..classifier import SSLClassifier
from ._convergence_results import ConvergenceResults
from ._draws import draw_subsets, resolve_sizes
from ._entries import check_entries
from ._fits import Data, Fit, Pool, fit_and_predict, predict
from ._metrics import Outcome
from ._runner import Runner
from ._setup import check_n_draws, check_scoring, set_up
from ._sweep import Sweep


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
    estimators : classifier or pretrainer, dict of str to such, or list of such pairs
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
    entries = check_entries(estimators, wrap=True)
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


def fit_by_epoch(entry, encoder, data: Data, pool: Pool, labelled, test, seed: int) -> Fit:
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
    fit = fit_and_predict(entry, encoder, data, pool, labelled, test, seed, watch)
    epochs = seen or [fit.outcome]
    epochs += [epochs[-1]] * (n_epochs - len(epochs))
    outcome = Outcome(*(np.stack(part) for part in zip(*epochs, strict=True)))
    return Fit(outcome, fit.seconds - seconds)


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
