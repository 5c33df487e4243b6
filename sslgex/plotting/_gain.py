"""The verdict as a picture: the difference of two entries."""

import numpy as np

from ..evaluation import compare, label_efficiency_curve
from ..evaluation._comparison import AREAS
from ._arguments import check_before_sweep, check_level, check_metric, join
from ._style import (
    METRICS,
    MOST_BARS,
    draw_intervals,
    make_axes,
    n_curves,
    set_legend,
    set_sizes,
    shift,
    size_name,
    style,
)

STEP = 7.0  # points between displays in the same axes
THICK, THIN = 3.5, 1.0  # bars
DARK, LIGHT = 0.45, 0.15  # bands


class GainDisplay:
    """Mean score of one entry minus that of another, with intervals and the verdict.

    Every size has its interval, thick, and the interval that holds together with all other sizes',
    thin. Its marker is filled where the thin one leaves out 0: there `a` helps, or hurts. It is
    hollow where nobody can tell. The legend has the overall verdict.

    Make one with `from_results` or `from_estimator`, which draw it too.

    Parameters
    ----------
    comparison : Comparison
        What `compare` returned.
    n_labels : array-like of shape (n_sizes,), default=None
        Labelled samples that proportions come to; None: the sizes as they are in `comparison`.

    Attributes
    ----------
    comparison : Comparison
        As given.
    n_labels : ndarray of shape (n_sizes,) or None
        As given.
    results : LabelEfficiencyResults or None
        What was compared, as far as `from_results` and `from_estimator` know it.
    ax_ : matplotlib Axes
        Axes of the last `plot`.
    figure_ : matplotlib Figure
        Their figure.
    line_ : Line2D
        The differences.
    markers_ : PathCollection
        Their markers, filled or hollow.
    interval_, simultaneous_interval_ : Line2D or PolyCollection
        Thick and thin bars, each one line with gaps, or two bands with more than 12 sizes.
    zero_line_ : Line2D
        No difference.

    See Also
    --------
    LabelEfficiencyDisplay : The scores themselves.
    sslgex.evaluation.compare : The numbers.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.dummy import DummyClassifier
    >>> from sslgex import SSLClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import compare, label_efficiency_curve
    >>> from sslgex.plotting import GainDisplay
    >>> X, y = make_expression(n_samples=150, n_genes=50, return_X_y=True, random_state=0)
    >>> pca = SSLClassifier(PCA(5), mode="frozen", head="linear")
    >>> entries = {"PCA": pca, "chance": DummyClassifier()}
    >>> results = label_efficiency_curve(
    ...     entries, X, y, label_sizes=[20, 40], n_draws=3, cv=3, random_state=0
    ... )
    >>> display = GainDisplay.from_results(results, "PCA", "chance")
    >>> display.comparison.verdict
    'helps'

    Any comparison can be drawn, and several in the same axes:

    >>> GainDisplay(compare(results, "chance", "PCA")).plot(display.ax_).ax_ is display.ax_
    True
    """

    def __init__(self, comparison, *, n_labels=None):
        self.comparison, self.results = comparison, None
        self.n_labels = n_labels
        if n_labels is not None:
            self.n_labels = np.asarray(n_labels)
            if self.n_labels.shape != comparison.difference.shape:
                raise ValueError(
                    f"n_labels has shape {self.n_labels.shape}; one number for each of the "
                    f"{len(comparison.difference)} sizes of the comparison is needed."
                )

    @classmethod
    def from_results(
        cls, results, a, b, *, metric=None, level=0.95, lo=None, hi=None, area="mean", ax=None
    ):
        """Compare two entries of a sweep and draw the difference.

        Parameters
        ----------
        results : LabelEfficiencyResults or list of them
            What `label_efficiency_curve` returned; several if they are of the same data, splits
            and labelled subsets.
        a, b : str
            Names of the entries; the question is whether `a` is better.
        metric : str or None, default=None
            Any of `label_efficiency_curve`'s metrics; None: the first of its `scoring`.
        level : float in (0, 1), default=0.95
            Confidence level of the intervals.
        lo, hi : int, float or None, default=None
            Range of the gain in the legend, in the unit of `label_sizes`; None: all of it.
        area : {"mean", "integral", "relative"}, default="mean"
            Which gain: see `compare`.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : GainDisplay
            Drawn.

        Raises
        ------
        ValueError
            For entries, metrics, levels and ranges that cannot be compared.
        ImportError
            Without matplotlib.
        """
        check_metric(metric)
        check_level(level)
        joined = join(results)
        comparison = compare(joined, a, b, metric=metric, level=level, lo=lo, hi=hi, area=area)
        display = cls(comparison, n_labels=joined.n_labels.mean(axis=0))
        display.results = joined
        return display.plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimators,
        X,
        y,
        a,
        b,
        *,
        metric=None,
        level=0.95,
        ax=None,
        **sweep,
    ):
        """Run `label_efficiency_curve`, compare two entries, draw the difference.

        Parameters
        ----------
        estimators : classifier, dict of str to classifier, or list of (str, classifier)
            The entries.
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows.
        y : array-like of shape (n_samples,)
            Labels.
        a, b : str
            Names of the entries; the question is whether `a` is better.
        metric : str or None, default=None
            What to compare; None: the first of `scoring`.
        level : float in (0, 1), default=0.95
            Confidence level of the intervals.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: in a new figure.
        **sweep
            ``label_sizes`` and all other arguments of `label_efficiency_curve`.

        Returns
        -------
        display : GainDisplay
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
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> from sslgex.datasets import make_expression
        >>> from sslgex.plotting import GainDisplay
        >>> X, y = make_expression(n_samples=100, n_genes=20, return_X_y=True, random_state=0)
        >>> entries = {"genes": KNeighborsClassifier(), "chance": DummyClassifier()}
        >>> display = GainDisplay.from_estimator(
        ...     entries, X, y, "genes", "chance", label_sizes=[20, 40], n_draws=2, cv=2
        ... )
        >>> display.ax_.get_ylabel()
        'difference in accuracy'
        """
        check_before_sweep(
            cls, estimators, n_draws=sweep.get("n_draws"), metric=metric, level=level, a=a, b=b
        )
        results = label_efficiency_curve(estimators, X, y, **sweep)
        return cls.from_results(results, a, b, metric=metric, level=level, ax=ax)

    def plot(self, ax=None):
        """Draw the difference.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other gains if there are any; None: in a new figure.

        Returns
        -------
        display : GainDisplay
            This one, with `ax_`, `figure_` and the artists.

        Raises
        ------
        ImportError
            Without matplotlib.

        Notes
        -----
        The legend is above the axes if they are wide enough and the figure makes room for it, as
        ``plt.subplots(layout="constrained")`` does.
        """
        found = self.comparison
        x = found.label_sizes if self.n_labels is None else self.n_labels
        ax = make_axes(ax, type(self).__name__)
        i = n_curves(ax)
        look = style(i)
        color, size = look["color"], 6.5 if len(x) <= MOST_BARS else 4.0
        self.zero_line_ = ax.axhline(0.0, color="0.5", linewidth=0.8, zorder=1)
        self.simultaneous_interval_, self.interval_ = (
            draw_intervals(ax, x, bounds, color=color, alpha=alpha, linewidth=width)
            for bounds, alpha, width in (
                (found.simultaneous_interval, LIGHT, THIN),
                (found.interval, DARK, THICK),
            )
        )
        undecided = found.verdict == "cannot tell"
        (self.line_,) = ax.plot(
            x,
            found.difference,
            **look,
            markersize=size,
            markerfacecolor="white" if undecided else color,
            linewidth=0.9,
            label=self._summary(x),
        )
        self.markers_ = ax.scatter(
            x,
            found.difference,
            s=size**2,
            marker=look["marker"],
            c=["white" if verdict == "cannot tell" else color for verdict in found.verdicts],
            edgecolors=color,
            linewidths=1.3 if len(x) <= MOST_BARS else 0.8,
            zorder=3,
        )
        if i and len(x) <= MOST_BARS:
            # To the right and to the left in turn.
            points = STEP * ((i + 1) // 2) * (1 if i % 2 else -1)
            both = self.simultaneous_interval_, self.interval_
            for artist in (*both, self.line_, self.markers_):
                shift(artist, points)
        self.ax_, self.figure_ = ax, ax.figure
        share = self.n_labels is None and found.label_sizes.dtype.kind == "f"
        set_sizes(ax, x, "labelled share of training samples" if share else "labelled samples")
        ax.set_ylabel(f"difference in {METRICS[found.metric]}")
        _explain(ax, found.level, bars=len(x) <= MOST_BARS)
        return self

    def _summary(self, x: np.ndarray) -> str:
        """Return what the legend says of the comparison."""
        found = self.comparison
        head = f"{found.a} against {found.b}: {found.verdict}"
        lo, hi = (x[found.label_sizes == bound][0] for bound in (found.lo, found.hi))
        where = f"from {size_name(lo)} to {size_name(hi)}" if lo < hi else f"at {size_name(lo)}"
        gain, low, high = (
            f"{value:+.3f}".replace("-", "−") for value in (found.gain, *found.gain_interval)
        )
        area = f"{AREAS[found.area]} {where}: {gain} [{low}, {high}]"
        return "\n".join([head, area, *found.notes])


def _explain(ax, level: float, *, bars: bool) -> None:
    """Draw the legend: every gain there is, and how to read markers and intervals."""
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    grey: dict = {"color": "0.35", "marker": "o", "markersize": 6.5, "linestyle": ""}
    markers = Line2D([], [], **grey), Line2D([], [], **grey, markerfacecolor="white")
    intervals: tuple
    if bars:
        how = "thick for each size, thin for all together"
        widths = THICK, THIN
        intervals = tuple(Line2D([], [], color="0.35", linewidth=width) for width in widths)
    else:
        how = "dark for each size, light for all together"
        intervals = tuple(Patch(color="0.35", alpha=alpha, linewidth=0) for alpha in (DARK, LIGHT))
    handles, labels = ax.get_legend_handles_labels()
    keys = [
        "filled: helps or hurts at this size; hollow: cannot tell",
        f"{100 * level:g} % interval: {how}",
    ]
    set_legend(
        ax,
        [*handles, markers, intervals],
        [*labels, *keys],
        "above",
        handler_map={tuple: HandlerTuple(ndivide=None)},
    )
