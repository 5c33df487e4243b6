"""What a sweep found, as plain data."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from .._docs import fill
from ._metrics import METRICS, Outcome, score

SHARED = """\
entries : list of str
    Names of the entries, in the order given.
n_labels : ndarray of shape (n_splits, n_sizes), int
    Labelled samples of every split and size.
n_draws : int
    Draws of labelled samples per split and size.
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
subsets : list of list of list of ndarray of shape (n_labels,), int
    Rows of X that have labels, per split, size and draw.
outcomes : dict of str to list of Outcome
    Per entry and split the arrays ``predicted`` (codes), ``p_true`` and ``confidence``
    (probability of the true and of the predicted class), each of shape
    (n_sizes, n_draws, n_test).
pretrain_seconds : dict of str to ndarray of shape (n_splits,)
    Seconds of pretraining; 0 for entries without. Entries that share an encoder share these.
fit_seconds : dict of str to ndarray of shape (n_splits, n_sizes, n_draws)
    Seconds of fitting; NaN where that failed.
<loss curves>
content : str
    A hash of all that results must have in common to be compared: `X`, labels, groups, splits
    and labelled subsets."""

LOSS_CURVES = """\
loss_curves : dict of str to list of list of float
    Per entry and split the pretraining loss of every epoch; empty without."""


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class CurveResults:
    """Predictions of every entry for every split, size and draw.

    The sizes are numbers of labels, or whatever else a curve goes along: see the subclasses.

    Attributes
    ----------
    title : str
        What was measured.
    axis : str
        What the sizes are, in a word.
    sizes : ndarray of shape (n_sizes,)
        As asked for.
    positions : ndarray of shape (n_sizes,)
        What they come to, on average over the splits.
    whole : float
        The largest position there could be: what an integral takes for 1.
    """

    title: ClassVar[str]
    axis: ClassVar[str]
    _about_loss_curves: ClassVar[str] = LOSS_CURVES

    entries: list[str]
    n_labels: np.ndarray
    n_draws: int
    scoring: tuple[str, ...]
    protocol: str
    classes: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None
    splits: list[tuple[np.ndarray, np.ndarray]]
    subsets: list[list[list[np.ndarray]]]
    outcomes: dict[str, list[Outcome]]
    pretrain_seconds: dict[str, np.ndarray]
    fit_seconds: dict[str, np.ndarray]
    loss_curves: dict[str, list[list[float]]]
    content: str
    _kept: dict = field(default_factory=dict)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        fill(cls, {"<shared attributes>": SHARED, "<loss curves>": cls._about_loss_curves})

    @property
    def sizes(self) -> np.ndarray:
        raise NotImplementedError

    @property
    def positions(self) -> np.ndarray:
        raise NotImplementedError

    @property
    def whole(self) -> float:
        raise NotImplementedError

    def scores(self, metric: str) -> dict[str, np.ndarray]:
        """Return the scores of every entry.

        Parameters
        ----------
        metric : str
            Any of the five metrics; those of probabilities are NaN for entries without.

        Returns
        -------
        scores : dict of str to ndarray of shape (n_splits, n_sizes, n_draws)
            Of the test samples; NaN where a fit failed.
        """
        return {name: self._scores(name, metric) for name in self.entries}

    def best(self, names=None, *, metric=None) -> str:
        """Return the entry with the highest mean score over the range of sizes.

        That is the area under its curve, as in the mean gain of `compare`: a size counts for the
        stretch of the axis that it stands for.

        Parameters
        ----------
        names : sequence of str or None, default=None
            Entries to choose from; None: all.
        metric : str or None, default=None
            None: the first of `scoring`.

        Returns
        -------
        name : str
            Chosen by the test samples: as an opponent it is stronger than it is.
        """
        scores = self.scores(self.scoring[0] if metric is None else metric)
        means = {}
        for name in names or self.entries:
            curve = _mean(scores[name], (0, 2))
            known = ~np.isnan(curve)
            weights = area_weights(self.positions, known)
            means[name] = curve[known] @ weights[known] if known.any() else -np.inf
        return max(means, key=lambda name: means[name])

    @classmethod
    def join(cls, results) -> Self:
        """Return results of several sweeps as one.

        Parameters
        ----------
        results : list of results of this class
            Of the same data, splits and labelled subsets, with different entries.

        Returns
        -------
        joined : results of this class
            All entries.

        Raises
        ------
        ValueError
            If the sweeps differ, or entries have equal names.
        """
        results = list(results)
        if not results or not all(isinstance(part, cls) for part in results):
            kinds = [type(part).__name__ for part in results]
            raise TypeError(f"{cls.__name__} are needed, all of one kind, got {kinds}.")
        first = results[0]
        for other in results[1:]:
            if other.content != first.content:
                raise ValueError(
                    "These results are of different sweeps: other data, splits or labelled "
                    "subsets, so that their differences are not paired. Run both with the same X, "
                    "y, groups, cv, numbers of labels, n_draws, protocol and random_state."
                )
        names = [name for part in results for name in part.entries]
        if len(set(names)) < len(names):
            raise ValueError(f"Entries of different sweeps have equal names: {names}.")
        merged = {
            key: {name: value for part in results for name, value in getattr(part, key).items()}
            for key in ("outcomes", "pretrain_seconds", "fit_seconds", "loss_curves")
        }
        scoring = tuple(m for m in first.scoring if all(m in part.scoring for part in results))
        return replace(first, entries=names, scoring=scoring, **merged, _kept={})

    def to_frame(self):
        """Return one row per entry, split, number of labels and draw.

        Returns
        -------
        frame : pandas.DataFrame
            Columns "entry", "split", "size", "n_labels", "draw", one per metric, and the seconds
            of pretraining (the same in all rows of a split) and of fitting.

        Raises
        ------
        ImportError
            Without pandas.
        """
        pd = require_pandas("to_frame")
        index = pd.MultiIndex.from_product(
            [self.entries, *map(range, (len(self.splits), len(self.sizes), self.n_draws))],
            names=["entry", "split", "size", "draw"],
        )
        frame = index.to_frame(index=False)
        split, size = frame["split"].to_numpy(), frame["size"].to_numpy()
        frame["size"] = self.sizes[size]
        frame.insert(3, "n_labels", self.n_labels[split, size])
        for metric in self.scoring:
            frame[metric] = np.concatenate([s.ravel() for s in self.scores(metric).values()])
        per_split = np.concatenate([self.pretrain_seconds[name] for name in self.entries])
        per_entry = len(self.sizes) * self.n_draws
        frame["pretrain_seconds"] = np.repeat(per_split, per_entry)
        frame["fit_seconds"] = np.concatenate(
            [self.fit_seconds[name].ravel() for name in self.entries]
        )
        return frame

    def _scored(self, name: str, metric: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return, per split, the scores and the influence of every test sample on them."""
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {list(METRICS)}, got {metric!r}.")
        if name not in self.outcomes:
            raise ValueError(f"There is no entry {name!r}; there are {self.entries}.")
        return [
            score(metric, self.y[test], outcome)
            for (_, test), outcome in zip(self.splits, self.outcomes[name], strict=True)
        ]

    def _scores(self, name: str, metric: str) -> np.ndarray:
        if (name, metric) not in self._kept:
            # Without the influences, which are as large as all predictions.
            self._kept[name, metric] = np.stack([v for v, _ in self._scored(name, metric)])
        return self._kept[name, metric]

    def __repr__(self) -> str:
        metric = self.scoring[0]
        width = max(map(len, [*self.entries, metric]))
        head = "".join(f"{size:>9g}" for size in self.sizes)
        lines = [
            f"{self.title}: {len(self.splits)} split{'s' * (len(self.splits) > 1)}, "
            f"{self.n_draws} draws each, "
            f"{len(np.unique(np.concatenate([test for _, test in self.splits]))):,} test samples",
            f"{metric:<{width}}{head}",
        ]
        for name, scores in self.scores(metric).items():
            means = "".join(f"{mean:9.3f}" for mean in _mean(scores, (0, 2)))
            lines.append(f"{name:<{width}}{means}")
        return "\n".join(lines)


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class LabelEfficiencyResults(CurveResults):
    """Predictions of every entry for every split, number of labels and draw.

    Attributes
    ----------
    <shared attributes>
    label_sizes : ndarray of shape (n_sizes,)
        Labelled samples, ascending: counts, or proportions of the training samples.
    """

    title = "Label efficiency"
    axis = "labels"

    label_sizes: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """ndarray of shape (n_sizes,) : The sizes as asked for, `label_sizes`."""
        return self.label_sizes

    @property
    def positions(self) -> np.ndarray:
        """ndarray of shape (n_sizes,) : Labelled samples, on average over the splits."""
        return self.n_labels.mean(axis=0)

    @property
    def whole(self) -> float:
        """float : Training samples, on average over the splits."""
        return float(np.mean([len(train) for train, _ in self.splits]))


def join(results) -> CurveResults:
    """Return the results of several sweeps of one kind as one."""
    results = list(results)
    kind = type(results[0]) if results and isinstance(results[0], CurveResults) else None
    return (kind or LabelEfficiencyResults).join(results)


def area_weights(positions: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the weights of the sizes in the mean height of a curve of straight lines.

    Parameters
    ----------
    positions : ndarray of shape (n_sizes,)
        Increasing.
    inside : ndarray of shape (n_sizes,), bool
        Those that count.
    """
    weights = np.zeros(len(positions))
    widths = np.diff(positions[inside])
    if not widths.any():
        weights[inside] = 1 / max(inside.sum(), 1)
        return weights
    weights[np.flatnonzero(inside)[:-1]] += widths / 2
    weights[np.flatnonzero(inside)[1:]] += widths / 2
    return weights / widths.sum()


def _mean(scores: np.ndarray, axis):
    """Return means over the fits that there are; NaN without any."""
    there = ~np.isnan(scores)
    total = np.where(there, scores, 0.0).sum(axis=axis)
    return np.divide(
        total, there.sum(axis=axis), out=np.full_like(total, np.nan), where=there.any(axis=axis)
    )


def require_pandas(what: str):
    """Return pandas, or raise naming the extra."""
    try:
        import pandas
    except ImportError:
        raise ImportError(
            f"{what} needs pandas, which is not installed: pip install 'sslgex[pandas]'."
        ) from None
    return pandas
