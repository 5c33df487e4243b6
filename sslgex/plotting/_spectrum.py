"""The spectrum of embeddings as a picture."""

from typing import Self

import numpy as np

from ..evaluation._entries import check_estimators
from ..evaluation._spectrum import EmbeddingSpectrum, embedding_spectrum
from ._arguments import check_names
from ._style import make_axes, n_curves, require_pyplot, set_legend, style

LOWEST = 1e-16  # of the largest singular value, where tol=0 says nothing


class SpectrumDisplay:
    """Singular values of the covariance of embeddings, from the largest to the smallest.

    Make one with `from_results` or `from_estimator`, which draw it too.

    Parameters
    ----------
    results : EmbeddingSpectrum
        What `embedding_spectrum` returned.
    relative : bool, default=True
        Divide by the largest of each split; otherwise in squared units of the embedding.
    entries : list of str, str or None, default=None
        What to draw, in the order of styles; None: all.

    Attributes
    ----------
    results : EmbeddingSpectrum
        As given.
    relative : bool
        As given.
    entries : list of str
        Who is drawn.
    spectra : dict of str to list of ndarray of shape (n_measurable,)
        What the thin lines show, one per split. Values below a hundredth of `tol` (times the
        largest), zeros among them, are set to that: they have collapsed in any case.
    means : dict of str to ndarray of shape (n_common,)
        Their geometric means over the splits, of the ranks that all splits have.
    ax_ : matplotlib Axes
        Axes of the last `plot`.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of Line2D
        The mean of each of `entries`.
    split_lines_ : list of Line2D
        The thin ones; none where there is one split only.
    tol_line_ : Line2D or None
        Dashed, at `tol`; None if ``relative=False`` or ``tol=0``.

    See Also
    --------
    sslgex.evaluation.embedding_spectrum : The numbers.

    Notes
    -----
    A line that ends before the last dimension of its embedding does not say that the others have
    collapsed: n samples show n - 1 dimensions. The legend says how many are shown.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import embedding_spectrum
    >>> from sslgex.plotting import SpectrumDisplay
    >>> X = make_expression(n_samples=100, n_genes=30, random_state=0).data
    >>> spectrum = embedding_spectrum({"PCA": PCA(5)}, X, random_state=0)
    >>> display = SpectrumDisplay.from_results(spectrum)
    >>> display.ax_.get_ylabel()
    'singular value / largest'
    """

    def __init__(self, results, *, relative=True, entries=None):
        if not isinstance(results, EmbeddingSpectrum):
            raise TypeError(f"results must be what embedding_spectrum returned, got {results!r}.")
        self.results = results
        self.relative = relative
        self.entries = check_names(entries, results.entries, "entries")
        floor = results.tol / 100 or LOWEST
        self.spectra = {
            name: [_floored(values, floor, relative) for values in results.singular_values[name]]
            for name in self.entries
        }
        self.means = {}
        for name, spectra in self.spectra.items():
            shared = min(map(len, spectra))
            self.means[name] = np.exp(np.mean([np.log(v[:shared]) for v in spectra], axis=0))

    @classmethod
    def from_results(cls, results, *, relative=True, entries=None, ax=None) -> Self:
        """Draw spectra.

        Parameters
        ----------
        results : EmbeddingSpectrum
            What `embedding_spectrum` returned.
        relative : bool, default=True
            Divide by the largest of each split; otherwise in squared units of the embedding.
        entries : list of str, str or None, default=None
            What to draw, in the order of styles; None: all.
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other spectra if there are any; None: in a new figure.

        Returns
        -------
        display : SpectrumDisplay
            Drawn.

        Raises
        ------
        TypeError, ValueError
            For other results, and for unknown names.
        ImportError
            Without matplotlib.
        """
        return cls(results, relative=relative, entries=entries).plot(ax)

    @classmethod
    def from_estimator(
        cls, estimators, X, y=None, *, relative=True, entries=None, ax=None, **sweep
    ) -> Self:
        """Run `embedding_spectrum` and draw what it finds, which is kept in `results`.

        Parameters
        ----------
        estimators : estimator, dict of str to estimator, or list of (str, estimator)
            Transformers or classifiers, fitted or not.
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows.
        y : array-like of shape (n_samples,), default=None
            Labels.
        relative : bool, default=True
            Divide by the largest of each split; otherwise in squared units of the embedding.
        entries : list of str, str or None, default=None
            What to draw, in the order of styles; None: all.
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other spectra if there are any; None: in a new figure.
        **sweep
            All other arguments of `embedding_spectrum`.

        Returns
        -------
        display : SpectrumDisplay
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
        results = embedding_spectrum(estimators, X, y, **sweep)
        return cls.from_results(results, relative=relative, entries=entries, ax=ax)

    def plot(self, ax=None) -> Self:
        """Draw the spectra.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other spectra if there are any; None: in a new figure.

        Returns
        -------
        display : SpectrumDisplay
            This one, with `ax_`, `figure_` and the lines.

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        ax = make_axes(ax, type(self).__name__, size=(7.2, 4.4))
        from matplotlib.ticker import MaxNLocator

        first = n_curves(ax)
        self.lines_, self.split_lines_, self.tol_line_ = [], [], None
        for i, name in enumerate(self.entries, first):
            mean, spectra = self.means[name], self.spectra[name]
            look = style(i, len(mean))
            for values in spectra if len(spectra) > 1 else []:
                (line,) = ax.plot(
                    np.arange(1, len(values) + 1),
                    values,
                    color=look["color"],
                    linewidth=0.6,
                    alpha=0.45,
                    zorder=1.5,
                )
                self.split_lines_.append(line)
            (line,) = ax.plot(
                np.arange(1, len(mean) + 1),
                mean,
                **look,
                label=self._summary(name),
                linewidth=1.8,
                markersize=5,
                markeredgecolor="white",
                markeredgewidth=0.5,
            )
            self.lines_.append(line)
        tol = self.results.tol
        if self.relative and tol > 0:
            self.tol_line_ = ax.axhline(tol, color="0.4", linewidth=0.8, linestyle=(0, (6, 4)))
        self.ax_, self.figure_ = ax, ax.figure
        ax.set_yscale("log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlim(left=0.5, auto=True)  # there is no rank 0
        ax.set_xlabel("rank of the singular value")
        ax.set_ylabel("singular value / largest" if self.relative else "singular value")
        handles, labels = ax.get_legend_handles_labels()
        if self.tol_line_ is not None:
            floor = tol / 100
            cut = any(v[-1] == floor for spectra in self.spectra.values() for v in spectra)
            handles.append(self.tol_line_)
            labels.append(f"collapsed: below {tol:g}" + f"\n(drawn at {floor:g} or above)" * cut)
        set_legend(ax, handles, labels, "beside")
        return self

    def _summary(self, name: str) -> str:
        """Return what the legend says of an estimator."""
        found = self.results
        rank = found.effective_rank[name].mean()
        shown, there = found.n_measurable[name].min(), found.n_dimensions[name].max()
        hidden = f"\n(shown: {shown} of {there} dimensions)" if shown < there else ""
        return f"{name}: effective rank {rank:.1f}{hidden}"


def _floored(values: np.ndarray, floor: float, relative: bool) -> np.ndarray:
    """Return singular values that have a logarithm."""
    largest = values[0] if values[0] > 0 else 1.0
    shown = np.maximum(values / largest, floor)
    return shown if relative else shown * largest
