"""What corruption leaves of the classes that classifiers see, as a picture."""

from typing import Self

import numpy as np

from ..evaluation._entries import check_estimators
from ..evaluation._label_preservation import LabelPreservation, label_preservation
from ._arguments import check_names
from ._curves import MOST_INTERVALS
from ._style import draw_intervals, make_axes, n_curves, require_pyplot, set_legend, style

CHANCE = "chance: all genes replaced"


class LabelPreservationDisplay:
    """Share of predicted classes that corruption preserves, by its rate (the study's Figure S5).

    Make one with `from_results` or `from_estimator`, which draw it too.

    Parameters
    ----------
    results : LabelPreservation
        What `label_preservation` returned.
    entries : list of str, str or None, default=None
        Estimators to draw, in the order of styles; None: all.

    Attributes
    ----------
    results : LabelPreservation
        As given.
    entries : list of str
        Who is drawn.
    ax_ : matplotlib Axes
        Axes of the last `plot`.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of Line2D
        The curve of each of `entries`.
    bands_ : list of PolyCollection or None
        The intervals of each; None with more than 7 entries, whose bands would hide each other.
    chance_lines_ : list of Line2D
        What each preserves where all genes are replaced.

    See Also
    --------
    sslgex.evaluation.label_preservation : The numbers, and what they say.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import label_preservation
    >>> from sslgex.plotting import LabelPreservationDisplay
    >>> X, y = make_expression(n_samples=100, n_genes=20, return_X_y=True, random_state=0)
    >>> results = label_preservation(GaussianNB(), X, y, n_repeats=2, random_state=0)
    >>> display = LabelPreservationDisplay.from_results(results)
    >>> [line.get_label() for line in display.lines_]
    ['GaussianNB']
    """

    def __init__(self, results, *, entries=None):
        if not isinstance(results, LabelPreservation):
            raise TypeError(f"results must be what label_preservation returned, got {results!r}.")
        self.results = results
        self.entries = check_names(entries, results.preserved, "entries")

    @classmethod
    def from_results(cls, results, *, entries=None, ax=None) -> Self:
        """Draw what `label_preservation` returned.

        Parameters
        ----------
        results : LabelPreservation
            What it returned.
        entries : list of str, str or None, default=None
            Estimators to draw, in the order of styles; None: all.
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other curves if there are any; None: in a new figure.

        Returns
        -------
        display : LabelPreservationDisplay
            Drawn.

        Raises
        ------
        ValueError, TypeError
            For unknown names, and for other results.
        ImportError
            Without matplotlib.
        """
        return cls(results, entries=entries).plot(ax)

    @classmethod
    def from_estimator(cls, estimators, X, y=None, *, entries=None, ax=None, **options) -> Self:
        """Run `label_preservation` and draw what it finds, which is kept in `results`.

        Parameters
        ----------
        estimators : estimator, dict of str to estimator, or list of (str, estimator)
            Classifiers or pretrainers, fitted or not.
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows.
        y : array-like of shape (n_samples,), default=None
            Labels; needed unless all estimators are fitted classifiers.
        entries : list of str, str or None, default=None
            Estimators to draw, in the order of styles; None: all.
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other curves if there are any; None: in a new figure.
        **options
            All other arguments of `label_preservation`.

        Returns
        -------
        display : LabelPreservationDisplay
            Drawn.

        Raises
        ------
        ValueError, TypeError
            If an argument is unusable; the message names cause, numbers and cure.
        ImportError
            Without matplotlib.

        Examples
        --------
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sslgex.datasets import make_expression
        >>> from sslgex.plotting import LabelPreservationDisplay
        >>> X, y = make_expression(n_samples=100, n_genes=20, return_X_y=True, random_state=0)
        >>> display = LabelPreservationDisplay.from_estimator(GaussianNB(), X, y, n_repeats=2)
        >>> display.ax_.get_xlabel()
        'corruption rate'
        """
        require_pyplot(cls.__name__)
        check_names(entries, check_estimators(estimators), "entries")
        return cls(label_preservation(estimators, X, y, **options), entries=entries).plot(ax)

    def plot(self, ax=None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other curves if there are any; None: in a new figure.

        Returns
        -------
        display : LabelPreservationDisplay
            This one, with `ax_`, `figure_`, `lines_`, `bands_` and `chance_lines_`.

        Raises
        ------
        ImportError
            Without matplotlib.

        Notes
        -----
        The legend has the entries in the order in which the curves end. It is beside the axes if
        they are wide enough and the figure makes room for it, as
        ``plt.subplots(layout="constrained")`` does.
        """
        found = self.results
        ax = make_axes(ax, type(self).__name__, size=(8.4, 4.8))
        from matplotlib.lines import Line2D

        sure = len(self.entries) <= MOST_INTERVALS
        before = ax.get_legend_handles_labels()
        self.lines_, self.bands_, self.chance_lines_ = [], [], []
        for i, name in enumerate(self.entries, n_curves(ax)):
            mean, *ends = found.preserved[name].T
            look = style(i, len(mean)) | {"linestyle": "-", "linewidth": 1.8, "markersize": 6.5}
            color = look["color"]
            self.chance_lines_.append(ax.axhline(found.chance[name], color=color, lw=1, ls="--"))
            (line,) = ax.plot(found.rates, mean, label=name, **look)
            self.lines_.append(line)
            band = None
            if sure:
                bounds = np.stack(ends, axis=1)
                band = draw_intervals(ax, found.rates, bounds, alpha=0.2, color=color, most_bars=0)
            self.bands_.append(band)
        self.ax_, self.figure_ = ax, ax.figure
        ax.set_xlim(0, 1.02)  # whole markers at 1
        ax.set_xlabel("corruption rate")
        ax.set_ylabel("share of predicted classes preserved")
        ranked = sorted(self.lines_, key=lambda line: line.get_ydata()[-1], reverse=True)
        chance = Line2D([], [], color="0.35", linewidth=1, linestyle="--")
        set_legend(
            ax,
            [*before[0], *ranked, chance],
            [*before[1], *(line.get_label() for line in ranked), CHANCE],
            "beside",
            title=f"mean, {100 * found.level:g} % interval" if sure else "mean",
        )
        return self
