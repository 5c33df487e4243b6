"""Alignment and uniformity of embeddings as a picture."""

from typing import Self

import numpy as np

from ..evaluation._alignment import AlignmentUniformity, alignment_uniformity
from ..evaluation._entries import check_estimators
from ._arguments import check_names
from ._style import make_axes, n_curves, require_pyplot, set_legend, style


class AlignmentUniformityDisplay:
    """Alignment of embeddings against their uniformity: a point per estimator.

    Make one with `from_results` or `from_estimator`, which draw it too.

    Parameters
    ----------
    results : AlignmentUniformity
        What `alignment_uniformity` returned.
    entries : list of str, str or None, default=None
        What to draw, in the order of styles; None: all.

    Attributes
    ----------
    results : AlignmentUniformity
        As given.
    entries : list of str
        Who is drawn.
    points : dict of str to ndarray of shape (n_splits, 2)
        Uniformity and alignment, the mean over the repeats, of every split.
    ax_ : matplotlib Axes
        Axes of the last `plot`.
    figure_ : matplotlib Figure
        Their figure.
    markers_ : list of Line2D
        The mean of each of `entries`, over the splits that have both numbers.
    split_markers_ : list of Line2D
        The splits of each, small; none where there is one split only.

    See Also
    --------
    sslgex.evaluation.alignment_uniformity : The numbers.

    Notes
    -----
    Lower is better on both axes, and neither alone says anything: an embedding that is the same
    for all samples is at the upper end of uniformity and the lower end of alignment.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import alignment_uniformity
    >>> from sslgex.plotting import AlignmentUniformityDisplay
    >>> X = make_expression(n_samples=100, n_genes=30, random_state=0).data
    >>> found = alignment_uniformity({"PCA": PCA(5)}, X, random_state=0)
    >>> display = AlignmentUniformityDisplay.from_results(found)
    >>> len(display.markers_)
    1
    """

    def __init__(self, results, *, entries=None):
        if not isinstance(results, AlignmentUniformity):
            raise TypeError(f"results must be what alignment_uniformity returned, got {results!r}.")
        self.results = results
        self.entries = check_names(entries, results.entries, "entries")
        self.points = {
            name: np.column_stack([results.uniformity[name], results.alignment[name].mean(axis=1)])
            for name in self.entries
        }
        for name, points in self.points.items():
            if np.isnan(points).any(axis=1).all():
                raise ValueError(
                    f"{name!r} has no split with both alignment and uniformity: its embeddings "
                    "are zero, or every split tests samples of one group. Leave it out of entries."
                )

    @classmethod
    def from_results(cls, results, *, entries=None, ax=None) -> Self:
        """Draw alignment and uniformity.

        Parameters
        ----------
        results : AlignmentUniformity
            What `alignment_uniformity` returned.
        entries : list of str, str or None, default=None
            What to draw, in the order of styles; None: all.
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other points if there are any; None: in a new figure.

        Returns
        -------
        display : AlignmentUniformityDisplay
            Drawn.

        Raises
        ------
        TypeError, ValueError
            For other results, for unknown names, and for an estimator without both numbers.
        ImportError
            Without matplotlib.
        """
        return cls(results, entries=entries).plot(ax)

    @classmethod
    def from_estimator(cls, estimators, X, y=None, *, entries=None, ax=None, **sweep) -> Self:
        """Run `alignment_uniformity` and draw what it finds, which is kept in `results`.

        Parameters
        ----------
        estimators : estimator, dict of str to estimator, or list of (str, estimator)
            Transformers or classifiers, fitted or not.
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows.
        y : array-like of shape (n_samples,), default=None
            Labels.
        entries : list of str, str or None, default=None
            What to draw, in the order of styles; None: all.
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other points if there are any; None: in a new figure.
        **sweep
            All other arguments of `alignment_uniformity`.

        Returns
        -------
        display : AlignmentUniformityDisplay
            Drawn.

        Raises
        ------
        ValueError, TypeError
            If an argument is unusable; the message names cause, numbers and cure.
        ImportError
            Without matplotlib.
        """
        require_pyplot(cls.__name__)
        check_names(entries, check_estimators(estimators), "entries")
        results = alignment_uniformity(estimators, X, y, **sweep)
        return cls.from_results(results, entries=entries, ax=ax)

    def plot(self, ax=None) -> Self:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other points if there are any; None: in a new figure.

        Returns
        -------
        display : AlignmentUniformityDisplay
            This one, with `ax_`, `figure_`, `markers_` and `split_markers_`.

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        ax = make_axes(ax, type(self).__name__, size=(6.4, 4.4))
        first = n_curves(ax)
        self.markers_, self.split_markers_ = [], []
        for i, name in enumerate(self.entries, first):
            points = self.points[name]
            points = points[np.isfinite(points).all(axis=1)]
            look = style(i) | {"linestyle": "", "markeredgecolor": "white"}
            if len(points) > 1:
                small = {"markersize": 4.5, "alpha": 0.55, "markeredgewidth": 0.3, "zorder": 2}
                self.split_markers_ += ax.plot(*points.T, **look, **small)
            large = {"markersize": 10, "markeredgewidth": 1.0, "zorder": 3}
            self.markers_ += ax.plot(*points.mean(axis=0), label=name, **look, **large)
        self.ax_, self.figure_ = ax, ax.figure
        ax.margins(0.08)
        ax.set_xlabel("uniformity (lower is better)")
        ax.set_ylabel("alignment (lower is better)")
        handles, labels = ax.get_legend_handles_labels()
        split = len(self.split_markers_) > 0
        set_legend(ax, handles, labels, "beside", title="mean; small: splits" if split else None)
        return self
