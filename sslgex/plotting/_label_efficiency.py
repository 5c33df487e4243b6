"""The label-efficiency curve as a picture."""

from dataclasses import replace

import numpy as np

from ..evaluation import label_efficiency_curve, mean_scores
from ._arguments import check_before_sweep, check_level, check_metric, check_names, join
from ._style import (
    GREY,
    METRICS,
    MOST_BARS,
    draw_intervals,
    make_axes,
    n_curves,
    set_legend,
    set_sizes,
    shift,
    style,
)

# Intervals of more curves hide each other.
MOST_INTERVALS = 7
# Points between the bars of one size, and from the first to the last of them.
STEP, WIDTH = 4.0, 30.0


class LabelEfficiencyDisplay:
    """Mean score of every entry for every number of labels, with its interval.

    Make one with `from_results` or `from_estimator`, which draw it too.

    Parameters
    ----------
    results : LabelEfficiencyResults or list of them
        What `label_efficiency_curve` returned; several if they are of the same data, splits and
        labelled subsets.
    metric : str or None, default=None
        Any of `label_efficiency_curve`'s metrics; None: the first of its `scoring`.
    entries : list of str, str or None, default=None
        What to draw, in the order of styles; None: all.
    level : float in (0, 1), default=0.95
        Confidence level of the intervals, for each entry and size by itself.

    Attributes
    ----------
    results : LabelEfficiencyResults
        As given; joined if they were several.
    metric : str
        What is drawn; greater is better.
    entries : list of str
        Who is drawn.
    level : float
        As given.
    n_labels : ndarray of shape (n_sizes,)
        Labelled samples, on average over splits.
    scores : dict of str to ndarray of shape (n_sizes, 3)
        What `mean_scores` returned: mean, lower and upper end of the interval.
    ax_ : matplotlib Axes
        Axes of the last `plot`.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of Line2D
        The curve of each of `entries`.
    intervals_ : list of Line2D, PolyCollection or None
        The intervals of each: one line with gaps, a band with more than 12 sizes, or None.

    See Also
    --------
    GainDisplay : The difference of two entries, with a verdict.
    sslgex.evaluation.mean_scores : The numbers.

    Notes
    -----
    Two entries whose intervals overlap may yet differ for certain, as they were tested on the same
    samples: that question is `GainDisplay`'s.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import label_efficiency_curve
    >>> from sslgex.plotting import LabelEfficiencyDisplay
    >>> X, y = make_expression(n_samples=100, n_genes=20, return_X_y=True, random_state=0)
    >>> results = label_efficiency_curve(
    ...     {"chance": DummyClassifier()}, X, y, label_sizes=[20, 40], n_draws=2, random_state=0
    ... )
    >>> display = LabelEfficiencyDisplay.from_results(results, metric="balanced_accuracy")
    >>> display.ax_.get_ylabel()
    'balanced accuracy'
    """

    def __init__(self, results, *, metric=None, entries=None, level=0.95):
        check_metric(metric)
        check_level(level)
        self.results = join(results)
        self.metric = self.results.scoring[0] if metric is None else metric
        self.entries = check_names(entries, self.results.entries, "entries")
        if not self.entries:
            raise ValueError("entries is empty: name at least one, or pass None for all.")
        self.level = level
        self.n_labels = self.results.n_labels.mean(axis=0)
        chosen = replace(self.results, entries=self.entries)
        self.scores = mean_scores(chosen, metric=self.metric, level=level)
        if all(np.isnan(score).all() for score in self.scores.values()):
            raise ValueError(
                f"None of {self.entries} has any {self.metric}: their fits failed, or they have "
                "no predict_proba."
            )

    @classmethod
    def from_results(
        cls, results, *, metric=None, entries=None, level=0.95, highlight=None, ax=None
    ):
        """Draw the results of a sweep.

        Parameters
        ----------
        results : LabelEfficiencyResults or list of them
            What `label_efficiency_curve` returned; several if they are of the same data, splits
            and labelled subsets.
        metric : str or None, default=None
            Any of `label_efficiency_curve`'s metrics; None: the first of its `scoring`.
        entries : list of str, str or None, default=None
            What to draw, in the order of styles; None: all.
        level : float in (0, 1), default=0.95
            Confidence level of the intervals.
        highlight : list of str, str or None, default=None
            As in `plot`.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : LabelEfficiencyDisplay
            Drawn.

        Raises
        ------
        ValueError
            For unknown names, metrics and levels, for results with one draw only, and where no
            entry has a score.
        ImportError
            Without matplotlib.
        """
        display = cls(results, metric=metric, entries=entries, level=level)
        return display.plot(ax, highlight=highlight)

    @classmethod
    def from_estimator(
        cls,
        estimators,
        X,
        y,
        *,
        metric=None,
        entries=None,
        level=0.95,
        highlight=None,
        ax=None,
        **sweep,
    ):
        """Run `label_efficiency_curve` and draw what it finds, which is kept in `results`.

        Parameters
        ----------
        estimators : dict of str to classifier, or list of (str, classifier)
            The entries.
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows.
        y : array-like of shape (n_samples,)
            Labels.
        metric : str or None, default=None
            What to draw; None: the first of `scoring`.
        entries : list of str, str or None, default=None
            What to draw, in the order of styles; None: all.
        level : float in (0, 1), default=0.95
            Confidence level of the intervals.
        highlight : list of str, str or None, default=None
            As in `plot`.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: in a new figure.
        **sweep
            ``label_sizes`` and all other arguments of `label_efficiency_curve`.

        Returns
        -------
        display : LabelEfficiencyDisplay
            Drawn.

        Raises
        ------
        ValueError, TypeError
            If an argument is unusable; the message names cause, numbers and cure.
        ImportError
            Without matplotlib.

        Examples
        --------
        >>> from sklearn.dummy import DummyClassifier
        >>> from sslgex.datasets import make_expression
        >>> from sslgex.plotting import LabelEfficiencyDisplay
        >>> X, y = make_expression(n_samples=100, n_genes=20, return_X_y=True, random_state=0)
        >>> display = LabelEfficiencyDisplay.from_estimator(
        ...     {"chance": DummyClassifier()}, X, y, label_sizes=[20, 40], n_draws=2, cv=2
        ... )
        >>> display.ax_.get_xlabel()
        'labelled samples'
        """
        check_before_sweep(
            cls,
            estimators,
            n_draws=sweep.get("n_draws"),
            metric=metric,
            level=level,
            entries=entries,
            highlight=highlight,
        )
        results = label_efficiency_curve(estimators, X, y, **sweep)
        display = cls(results, metric=metric, entries=entries, level=level)
        return display.plot(ax, highlight=highlight)

    def plot(self, ax=None, *, highlight=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None: in a new figure.
        highlight : list of str, str or None, default=None
            Entries drawn in colour and with intervals, the others being thin and grey. None: all
            are in colour, and have intervals if they are no more than 7.

        Returns
        -------
        display : LabelEfficiencyDisplay
            This one, with `ax_`, `figure_`, `lines_` and `intervals_`.

        Raises
        ------
        ValueError
            If `highlight` names what is not drawn.
        ImportError
            Without matplotlib.

        Notes
        -----
        The legend has the entries in the order of their last scores, as the curves end. It is
        beside the axes if they are wide enough and the figure makes room for it, as
        ``plt.subplots(layout="constrained")`` does; ``display.ax_.get_legend().remove()`` leaves
        it out. Bars of one size stand side by side for the eye: their data are at the same place.
        """
        coloured = check_names(highlight, self.entries, "highlight")
        grey = [name for name in self.entries if name not in coloured]
        at_most = len(coloured) if highlight is not None else MOST_INTERVALS
        sure = 0 < len(coloured) <= at_most
        many = len(self.n_labels) > MOST_BARS
        ax = make_axes(ax, type(self).__name__, size=(8.4, 4.8))
        before = ax.get_legend_handles_labels()
        lines: dict = {}
        intervals: dict = dict.fromkeys(self.entries)
        for i, name in enumerate([*coloured, *grey], n_curves(ax)):
            mean, low, high = self.scores[name].T
            look = style(i, len(mean))
            if name in grey:
                look |= {"color": GREY, "linewidth": 0.9, "markersize": 4, "zorder": 1.5}
            else:
                look |= {"linewidth": 1.8, "markersize": 7.5, "zorder": 3}
                look |= {"markeredgecolor": "white", "markeredgewidth": 0.7}
            label = name if np.isfinite(mean).any() else f"{name} (no scores)"
            (lines[name],) = ax.plot(self.n_labels, mean, label=label, **look)
            if sure and name in coloured:
                intervals[name] = draw_intervals(
                    ax,
                    self.n_labels,
                    np.stack([low, high], axis=1),
                    color=look["color"],
                    alpha=0.2,
                    linewidth=1.2,
                )
        if sure and not many:
            step = min(STEP, WIDTH / len(coloured))
            for k, name in enumerate(coloured):
                for artist in (lines[name], intervals[name]):
                    shift(artist, step * (k - (len(coloured) - 1) / 2))
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = [lines[name] for name in self.entries]
        self.intervals_ = list(intervals.values())
        set_sizes(ax, self.n_labels, "labelled samples")
        ax.set_ylabel(METRICS[self.metric])
        ranked = sorted(self.lines_, key=_end, reverse=True)
        set_legend(
            ax,
            [*before[0], *ranked],
            [*before[1], *(line.get_label() for line in ranked)],
            "beside",
            title=self._what() if sure else "mean",
        )
        return self

    def _what(self) -> str:
        """Return what curves and bars are."""
        what = f"mean, {100 * self.level:g} % interval"
        drawn_once = self.results.protocol != "resample"
        return f"{what}\nwith these labelled samples" if drawn_once else what


def _end(line) -> float:
    """Return the last score of a curve."""
    scores = np.asarray(line.get_ydata())
    scores = scores[np.isfinite(scores)]
    return scores[-1] if len(scores) else -np.inf
