"""Gains by depth and width of the encoder as a picture."""

import numpy as np

from ..evaluation._architecture import ArchitectureResults, architecture_sweep
from ..evaluation._comparison import AREAS
from ._arguments import check_before_sweep, check_level, check_metric, check_names
from ._style import (
    COLORS,
    LINES,
    MARKERS,
    METRICS,
    draw_intervals,
    make_axes,
    n_curves,
    set_legend,
    shift,
)

# Points between the bars of one depth, and from the first to the last of them.
STEP, WIDTH = 5.0, 30.0


class ArchitectureDisplay:
    """Gain of pretraining by depth of the encoder, a curve per method and width.

    Make one with `from_results` or `from_estimator`, which draw it too.

    Parameters
    ----------
    results : ArchitectureResults
        What `architecture_sweep` returned.
    metric : str or None, default=None
        Any of `label_efficiency_curve`'s metrics; None: the first of `scoring`.
    methods : list of str, str or None, default=None
        What to draw, in the order of styles; None: all.
    widths : list of int, int or None, default=None
        What to draw; None: all.
    area : {"mean", "integral", "relative"}, default="mean"
        The gain, as in `compare`.
    level : float in (0, 1), default=0.95
        Confidence level of the intervals, for each architecture by itself.

    Attributes
    ----------
    results : ArchitectureResults
        As given.
    metric : str
        What the gain is of; greater is better.
    methods : list of str
        Who is drawn.
    widths : list of int
        As drawn.
    area : str
        As given.
    level : float
        As given.
    gains : dict of str to ndarray of shape (n_depths, n_widths, 3)
        Of each method the gain, lower and upper end of its interval.
    ax_ : matplotlib Axes
        Axes of the last `plot`.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : dict of (str, int) to Line2D
        The curve of each method and width.
    intervals_ : dict of (str, int) to Line2D
        Its intervals, one line with gaps.
    zero_line_ : Line2D
        Where pretraining gains nothing.

    See Also
    --------
    GainDisplay : The gain of one architecture, by numbers of labels.

    Notes
    -----
    The highest point is the best by the test samples and looks better than it is: what a user could
    have chosen is in `architecture_sweep` with ``select="validation"``.

    Examples
    --------
    >>> from sslgex import ScarfTransformer, SSLClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import architecture_sweep
    >>> from sslgex.plotting import ArchitectureDisplay
    >>> X, y = make_expression(n_samples=60, n_genes=20, return_X_y=True, random_state=0)
    >>> scarf = ScarfTransformer(architecture="mlp", projection_sizes=(8,), max_epochs=1)
    >>> methods = {"SCARF": SSLClassifier(scarf, mode="frozen", head="linear")}
    >>> found = architecture_sweep(
    ...     methods, X, y, depths=[1, 2], widths=[8], label_sizes=[12], n_draws=2, cv=2
    ... )
    >>> display = ArchitectureDisplay.from_results(found)
    >>> display.ax_.get_ylabel()
    'gain in accuracy'
    """

    def __init__(self, results, *, metric=None, methods=None, widths=None, area="mean", level=0.95):
        if not isinstance(results, ArchitectureResults):
            raise TypeError(f"results must be what architecture_sweep returned, got {results!r}.")
        check_metric(metric)
        check_level(level)
        _check_area(area)
        self.results = results
        self.metric = results.results.scoring[0] if metric is None else metric
        self.methods = check_names(methods, results.methods, "methods")
        self.widths = _check_widths(widths, results.widths)
        self.area = area
        self.level = level
        columns = [results.widths.index(width) for width in self.widths]
        self.gains = {
            method: results.gain(method, metric=self.metric, area=area, level=level)[:, columns]
            for method in self.methods
        }

    @classmethod
    def from_results(
        cls,
        results,
        *,
        metric=None,
        methods=None,
        widths=None,
        area="mean",
        level=0.95,
        ax=None,
    ):
        """Draw the results of a sweep.

        Parameters
        ----------
        results : ArchitectureResults
            What `architecture_sweep` returned.
        metric : str or None, default=None
            Any of `label_efficiency_curve`'s metrics; None: the first of `scoring`.
        methods : list of str, str or None, default=None
            What to draw, in the order of styles; None: all.
        widths : list of int, int or None, default=None
            What to draw; None: all.
        area : {"mean", "integral", "relative"}, default="mean"
            The gain, as in `compare`.
        level : float in (0, 1), default=0.95
            Confidence level of the intervals.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : ArchitectureDisplay
            Drawn.

        Raises
        ------
        ValueError, TypeError
            For unknown names, widths, metrics and levels, and for what no sweep returned.
        ImportError
            Without matplotlib.
        """
        display = cls(
            results, metric=metric, methods=methods, widths=widths, area=area, level=level
        )
        return display.plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimators,
        X,
        y,
        *,
        metric=None,
        area="mean",
        level=0.95,
        ax=None,
        **sweep,
    ):
        """Run `architecture_sweep` and draw what it finds, which is kept in `results`.

        Parameters
        ----------
        estimators : SSLClassifier or pretrainer, dict of str to such, or list of such pairs
            The methods.
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows.
        y : array-like of shape (n_samples,)
            Labels.
        metric : str or None, default=None
            What to draw; None: the first of `scoring`.
        area : {"mean", "integral", "relative"}, default="mean"
            The gain, as in `compare`.
        level : float in (0, 1), default=0.95
            Confidence level of the intervals.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: in a new figure.
        **sweep
            ``label_sizes`` and all other arguments of `architecture_sweep`.

        Returns
        -------
        display : ArchitectureDisplay
            Drawn.

        Raises
        ------
        ValueError, TypeError
            If an argument is unusable; the message names cause, numbers and cure.
        ImportError
            Without matplotlib.

        Examples
        --------
        >>> from sslgex import ScarfTransformer, SSLClassifier
        >>> from sslgex.datasets import make_expression
        >>> from sslgex.plotting import ArchitectureDisplay
        >>> X, y = make_expression(n_samples=60, n_genes=20, return_X_y=True, random_state=0)
        >>> scarf = ScarfTransformer(architecture="mlp", projection_sizes=(8,), max_epochs=1)
        >>> methods = {"SCARF": SSLClassifier(scarf, mode="frozen", head="linear")}
        >>> display = ArchitectureDisplay.from_estimator(
        ...     methods, X, y, depths=[1, 2], widths=[8], label_sizes=[12], n_draws=2, cv=2
        ... )
        >>> display.ax_.get_xlabel()
        'blocks of the encoder'
        """
        check_before_sweep(
            cls, estimators, n_draws=sweep.get("n_draws"), metric=metric, level=level
        )
        _check_area(area)
        results = architecture_sweep(estimators, X, y, **sweep)
        return cls.from_results(results, metric=metric, area=area, level=level, ax=ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other gains if there are any; None: in a new figure.

        Returns
        -------
        display : ArchitectureDisplay
            This one, with `ax_`, `figure_` and the artists.

        Raises
        ------
        ImportError
            Without matplotlib.

        Notes
        -----
        Methods differ in colour and marker, widths in line and filling. Curves of one depth stand
        side by side for the eye: their data are at the same place. The legend is beside the axes if
        they are wide enough and the figure makes room for it.
        """
        ax = make_axes(ax, type(self).__name__, size=(8.4, 4.8))
        depths, before = np.array(self.results.depths), n_curves(ax)
        self.zero_line_ = ax.axhline(0.0, color="0.5", linewidth=0.8, zorder=1)
        self.lines_, self.intervals_ = {}, {}
        curves = [(i, j) for i in range(len(self.methods)) for j in range(len(self.widths))]
        step = min(STEP, WIDTH / len(curves))
        for k, (i, j) in enumerate(curves):
            method, width = key = self.methods[i], self.widths[j]
            gain, low, high = self.gains[method][:, j].T
            color = COLORS[(before + i) % len(COLORS)]
            label = f"{method}, width {width}"
            (self.lines_[key],) = ax.plot(
                depths,
                gain,
                color=color,
                linestyle=LINES[j % len(LINES)],
                linewidth=1.5,
                marker=MARKERS[(before + i) % len(MARKERS)],
                markersize=6.5,
                # As many fillings as there are widths would be too many: the smallest is hollow.
                markerfacecolor="white" if j == 0 and len(self.widths) > 1 else color,
                label=label if np.isfinite(gain).any() else f"{label} (no scores)",
                zorder=3,
            )
            self.intervals_[key] = draw_intervals(
                ax,
                depths,
                np.stack([low, high], axis=1),
                color=color,
                alpha=0.2,
                most_bars=len(depths),
                linewidth=1.1,
            )
            for artist in (self.lines_[key], self.intervals_[key]):
                shift(artist, step * (k - (len(curves) - 1) / 2))
        self.ax_, self.figure_ = ax, ax.figure
        ax.set_xticks(depths)
        ax.margins(x=0.08)  # for what is shifted at the ends
        ax.set_xlabel("blocks of the encoder")
        ax.set_ylabel(f"gain in {METRICS[self.metric]}")
        handles, labels = ax.get_legend_handles_labels()
        sizes = self.results.results.sizes
        title = f"{AREAS[self.area]}, {sizes[0]:g} to {sizes[-1]:g} labels,\n"
        title += f"{100 * self.level:g} % interval of each"
        set_legend(ax, handles, labels, "beside", title=title)
        return self


def _check_area(area) -> None:
    if area not in AREAS:
        raise ValueError(f"area must be one of {list(AREAS)}, got {area!r}.")


def _check_widths(asked, there: list[int]) -> list[int]:
    """Return widths, each once; None: all there are."""
    if asked is None:
        return list(there)
    widths = list(dict.fromkeys(np.atleast_1d(asked).tolist()))
    missing = [width for width in widths if width not in there]
    if missing:
        raise ValueError(f"widths has {missing}, but there are only {there}.")
    return widths
