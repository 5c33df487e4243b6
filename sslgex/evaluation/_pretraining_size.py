"""The curve over pretraining sizes: how many profiles without labels pretraining needs."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ._draws import draw_subsets, resolve_sizes
from ._entries import check_entries
from ._fits import to_pretrain, wants_unlabeled
from ._pools import check_smallest, nested_pools, resolve_shares
from ._results import CurveResults
from ._setup import check_n_draws, check_scoring, set_up
from ._sweep import Sweep, hash_of, seed_of

LOSS_CURVES = """\
loss_curves : dict of str to list of list of list of float
    Per entry, split and size the pretraining loss of every epoch; empty without."""
ORDER = 1  # sets the seed of the order of profiles apart from those of labelled subsets


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class PretrainingSizeResults(CurveResults):
    """Predictions of every entry for every split, pretraining size and draw.

    Attributes
    ----------
    <shared attributes>
    pretrain_sizes : ndarray of shape (n_sizes,)
        As asked for, ascending: counts, or shares of the profiles there are.
    n_pretrain : ndarray of shape (n_splits, n_sizes), int
        Profiles pretrained on in every split.
    n_profiles : ndarray of shape (n_splits,), int
        Profiles there are to pretrain on: training samples and `X_unlabeled`.
    label_size : int or float
        Labelled samples, as asked for: a count, or a proportion of the training samples.
    levels : list of str
        Entries that learn nothing without labels: fitted once, shown at every size.

    Notes
    -----
    A size is a number of profiles pretrained on; the labelled samples are the same at all of them.
    The seconds of pretraining are those of all sizes together, and `content` is of the profiles
    pretrained on too.
    """

    title = "Pretraining size"
    axis = "profiles"
    _about_loss_curves = LOSS_CURVES

    pretrain_sizes: np.ndarray
    n_pretrain: np.ndarray
    n_profiles: np.ndarray
    label_size: float
    levels: list[str]

    @property
    def sizes(self) -> np.ndarray:
        """ndarray of shape (n_sizes,) : The sizes as asked for, `pretrain_sizes`."""
        return self.pretrain_sizes

    @property
    def positions(self) -> np.ndarray:
        """ndarray of shape (n_sizes,) : Profiles pretrained on, on average over the splits."""
        return self.n_pretrain.mean(axis=0)

    @property
    def whole(self) -> float:
        """float : Profiles there are to pretrain on, on average over the splits."""
        return float(self.n_profiles.mean())

    @classmethod
    def join(cls, results) -> Self:
        """Return results of several sweeps as one.

        Parameters
        ----------
        results : list of PretrainingSizeResults
            Of the same data, splits, labelled subsets and sizes, with different entries.

        Returns
        -------
        joined : PretrainingSizeResults
            All entries.

        Raises
        ------
        ValueError
            If the sweeps differ, or entries have equal names.
        """
        results = list(results)
        ours = [part for part in results if isinstance(part, cls)]
        for other in ours[1:]:
            if not np.array_equal(other.n_pretrain, ours[0].n_pretrain):
                raise ValueError(
                    f"These results are of pretraining on {_listed(ours[0].positions)} and on "
                    f"{_listed(other.positions)} profiles: run all with the same pretrain_sizes "
                    "and X_unlabeled."
                )
        levels = [name for part in ours for name in part.levels]
        return replace(super().join(results), levels=levels)

    def to_frame(self):
        """Return one row per entry, split, pretraining size and draw.

        Returns
        -------
        frame : pandas.DataFrame
            Columns "entry", "split", "size", "n_pretrain", "n_labels", "draw", one per metric, and
            the seconds of pretraining (of all sizes together, the same in all rows of a split) and
            of fitting.

        Raises
        ------
        ImportError
            Without pandas.
        """
        frame = super().to_frame()
        per_row = np.tile(np.repeat(self.n_pretrain.ravel(), self.n_draws), len(self.entries))
        frame.insert(3, "n_pretrain", per_row)
        return frame

    def __repr__(self) -> str:
        table = super().__repr__()
        return f"{table}\nby profiles pretrained on, label_size={self.label_size:g}"


def pretraining_size_curve(
    estimators,
    X,
    y,
    *,
    label_size,
    pretrain_sizes=None,
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
    """Score classifiers on few labels by how many profiles their encoders were pretrained on.

    In every split the profiles there are to pretrain on, its training samples and `X_unlabeled`,
    are put into one random order, of which every size takes the beginning, so that each holds the
    next smaller one. Encoders are pretrained once per split and size, and then every draw of
    labelled training samples is fitted and tested as in `label_efficiency_curve`. That is the
    study's question how large a pretraining set must be [1]_. No fit sees a test sample.

    Parameters
    ----------
    estimators : classifier or pretrainer, dict of str to such, or list of such pairs
        The entries.

        - An `SSLClassifier` with an unfitted encoder (a pretrainer, or any transformer), or a bare
          pretrainer, taken as ``SSLClassifier(pretrainer)``: pretrained on every size.
        - Any other classifier: fitted once per draw, as sizes are nothing to it, and shown at all
          of them; a level to compare with.

        What learns from samples without labels beside the encoder, such as a pooled head or a
        classifier whose ``fit`` takes ``X_unlabeled``, gets those of the size that have no label,
        and no others: at a size of 0.1 a tenth of the profiles is all there is.
    X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
        Expression profiles, samples in rows; of an AnnData, its ``X``.
    y : array-like of shape (n_samples,)
        Labels.
    label_size : int or float
        Labelled samples: a count, or a proportion of the training samples in (0, 1].
    pretrain_sizes : array-like of shape (n_sizes,), int or float, default=None
        Profiles to pretrain on: counts, or shares in (0, 1] of those there are. None: the study's
        grid, 0.01 to 0.05 by 0.01, then 0.1 to 1 by 0.05.
    X_unlabeled : matrix or list of matrices with n_features columns, default=None
        Samples without labels, for pretraining; none of those in `X`.
    n_draws : int or "auto", default="auto"
        Labelled subsets per split, the same at all sizes. "auto": 20, or 5 with
        ``protocol="dradjat2025"``.
    groups : array-like of shape (n_samples,), default=None
        Patient or study of every sample; never divided between training and test samples, and
        taken for one test sample by `compare`. Which profiles a size takes has nothing to do with
        groups: no group of a training sample is tested, so a divided one gives nothing away.
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
        Seed of splits, subsets, the order of the profiles, and of every entry and encoder without
        one of its own. Encoders of a split start from the same seed at all sizes.
    error_score : "raise" or nan, default=nan
        nan: a fit that fails has NaN scores, with a warning, and the others go on.
    cache : str, path or None, default=None
        Directory that keeps every finished pretraining and fit, as in `label_efficiency_curve`.
        Needs an integer `random_state`.

    Returns
    -------
    results : PretrainingSizeResults
        Predictions for every test sample, scores and seconds; ``to_frame()`` tabulates them.

    Raises
    ------
    ValueError, TypeError
        If an argument is unusable, a fitted encoder or a size too small to pretrain on among
        them; the message names cause, numbers and cure.

    See Also
    --------
    label_efficiency_curve : The curve over numbers of labels, pretrained on all profiles.
    compare : Does one entry beat another, and how sure is that?

    Notes
    -----
    A size of 1 is `label_efficiency_curve` at that number of labels, to the last prediction.
    Pretrainers with ``max_epochs="auto"`` take more epochs of fewer profiles; a fixed number of
    epochs takes fewer steps of fewer profiles, as in the study.

    References
    ----------
    .. [1] Dradjat, Hamidi, Bartet, Hanczar (2025). Self-supervised representation learning on
       gene expression data. Bioinformatics, btaf533.

    Examples
    --------
    >>> from sslgex import ScarfTransformer, SSLClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import pretraining_size_curve
    >>> X, y = make_expression(n_samples=120, n_genes=30, return_X_y=True, random_state=0)
    >>> scarf = ScarfTransformer((8,), max_epochs=2, random_state=0)
    >>> entries = {
    ...     "SCARF": SSLClassifier(scarf, mode="frozen", head="linear"),
    ...     "random": SSLClassifier(mode="frozen", head="linear", hidden_layer_sizes=(8,)),
    ... }
    >>> results = pretraining_size_curve(
    ...     entries, X, y, label_size=20, pretrain_sizes=[0.1, 1.0], n_draws=2, cv=2, random_state=0
    ... )
    >>> results.n_pretrain.tolist()
    [[6, 60], [6, 60]]
    """
    entries = check_entries(estimators, wrap=True, unfitted="which cannot be pretrained on less")
    if np.ndim(label_size) != 0:
        raise ValueError(
            f"label_size must be one number, got {label_size!r}: the curve goes along profiles to "
            "pretrain on. Run one for each number of labels."
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
    labels, n_labels = resolve_sizes(label_size, [len(train) for train, _ in splits], "label_size")
    subsets = draw_subsets(
        data.y, data.classes, splits, labels, n_labels, n_draws, seed=seed, protocol=protocol
    )
    n_profiles = np.array([len(train) + sum(map(len, data.more)) for train, _ in splits])
    sizes, n_pretrain = resolve_shares(pretrain_sizes, n_profiles)
    pools = [
        nested_pools(train, data.more, n_pretrain[s], np.random.default_rng([seed, s, ORDER]))
        for s, (train, _) in enumerate(splits)
    ]
    s = int(n_pretrain[:, 0].argmin())
    unfitted = {name: to_pretrain(entry) for name, entry in entries.items()}
    alike = {hash_of(e, name, runner): name for name, e in unfitted.items() if e is not None}
    for name in alike.values():
        check_smallest(name, unfitted[name], data, pools[s][0], sizes[0], seed_of(seed, s))
    subsets = [split * len(sizes) for split in subsets]
    sweep = Sweep(data, seed, splits, sizes, subsets, pools=pools, label_size=labels[0])
    return PretrainingSizeResults(
        entries=list(entries),
        pretrain_sizes=sizes,
        n_pretrain=n_pretrain,
        n_profiles=n_profiles,
        label_size=labels[0],
        levels=[n for n, e in entries.items() if unfitted[n] is None and not wants_unlabeled(e)],
        n_labels=np.repeat(n_labels, len(sizes), axis=1),
        n_draws=n_draws,
        scoring=scoring,
        protocol=protocol,
        classes=data.classes,
        y=data.y,
        groups=data.groups,
        splits=splits,
        subsets=subsets,
        **sweep.run(entries, runner),
    )


def _listed(positions: np.ndarray) -> str:
    shown = [f"{n:,.0f}" for n in positions]
    return ", ".join(shown if len(shown) < 5 else [*shown[:2], "...", shown[-1]])
