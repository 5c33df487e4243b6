"""Curves of mean scores: what displays have in common, whatever their curves go along."""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np

from ..evaluation import mean_scores
from ..evaluation._results import CurveResults
from ._arguments import check_before_sweep, check_level, check_metric, check_names, join
from ._style import (
    GREY,
    METRICS,
    MOST_BARS,
    draw_intervals,
    make_axes,
    n_curves,
    set_legend,
    shift,
    style,
)

# Intervals of more curves hide each other.
MOST_INTERVALS = 7
# Points between the bars of one size, and from the first to the last of them.
STEP, WIDTH = 4.0, 30.0


class CurveDisplay:
    """Mean score of every entry along an axis, with its interval.

    Subclasses name the results that they draw and the sweep that makes them, and set the axis.
    """

    _kind: ClassVar[type[CurveResults]]
    _sweep: ClassVar[Callable]
    _most_bars: ClassVar[int] = MOST_BARS  # with more positions a band takes their place

    def __init__(self, results, *, metric=None, entries=None, level=0.95):
        check_metric(metric)
        check_level(level)
        self.results = join(results, self._kind, self._sweep)
        self.metric = self.results.scoring[0] if metric is None else metric
        self.entries = check_names(entries, self.results.entries, "entries")
        self.level = level
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
    ) -> Self:
        """Draw the results of a sweep.

        Parameters
        ----------
        results : results or list of them
            What the sweep returned; several if they are of the same data, splits and labelled
            subsets.
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
        display : display of this class
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
    ) -> Self:
        """Run the sweep and draw what it finds, which is kept in `results`.

        Parameters
        ----------
        estimators : estimator, dict of str to estimator, or list of (str, estimator)
            The entries, as the sweep takes them.
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
            All other arguments of the sweep, such as ``label_sizes`` or ``label_size``.

        Returns
        -------
        display : display of this class
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
        results = cls._sweep(estimators, X, y, **sweep)
        display = cls(results, metric=metric, entries=entries, level=level)
        return display.plot(ax, highlight=highlight)

    def plot(self, ax=None, *, highlight=None) -> Self:
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
        display : display of this class
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
        x = self.results.positions
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
            if self._is_level(name):
                look["marker"] = ""
            label = name if np.isfinite(mean).any() else f"{name} (no scores)"
            (lines[name],) = ax.plot(x, mean, label=label, **look)
            if sure and name in coloured:
                intervals[name] = draw_intervals(
                    ax,
                    x,
                    np.stack([low, high], axis=1),
                    color=look["color"],
                    alpha=0.2,
                    most_bars=self._most_bars,
                    linewidth=1.2,
                )
        if sure and len(x) <= self._most_bars:
            step = min(STEP, WIDTH / len(coloured))
            for k, name in enumerate(coloured):
                for artist in (lines[name], intervals[name]):
                    shift(artist, step * (k - (len(coloured) - 1) / 2))
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = [lines[name] for name in self.entries]
        self.intervals_ = list(intervals.values())
        self._set_axis(ax)
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

    def _set_axis(self, ax) -> None:
        """Set ticks and label of the x axis, whose data are drawn."""
        raise NotImplementedError

    def _is_level(self, name: str) -> bool:
        """Tell whether an entry has nothing to do with the axis, so that its curve is level."""
        return False

    def _what(self) -> str:
        """Return what curves and intervals are."""
        what = f"mean, {100 * self.level:g} % interval"
        drawn_once = self.results.protocol != "resample"
        return f"{what}\nwith these labelled samples" if drawn_once else what


def _end(line) -> float:
    """Return the last score of a curve."""
    scores = np.asarray(line.get_ydata())
    scores = scores[np.isfinite(scores)]
    return scores[-1] if len(scores) else -np.inf
