"""The convergence curve as a picture."""

from ..evaluation._convergence import ConvergenceResults, convergence_curve
from ._curves import CurveDisplay
from ._style import size_name


class ConvergenceDisplay(CurveDisplay):
    """Mean score of every entry after every epoch of fine-tuning, with its interval.

    Make one with `from_results` or `from_estimator`, which draw it too.

    Parameters
    ----------
    results : ConvergenceResults or list of them
        What `convergence_curve` returned; several if they are of the same data, splits, labelled
        subsets and epochs.
    metric : str or None, default=None
        Any of `convergence_curve`'s metrics; None: the first of its `scoring`.
    entries : list of str, str or None, default=None
        What to draw, in the order of styles; None: all.
    level : float in (0, 1), default=0.95
        Confidence level of the intervals, for each entry and epoch by itself.

    Attributes
    ----------
    results : ConvergenceResults
        As given; joined if they were several.
    metric : str
        What is drawn; greater is better.
    entries : list of str
        Who is drawn.
    level : float
        As given.
    epochs : ndarray of shape (n_epochs,)
        1, 2, ...
    scores : dict of str to ndarray of shape (n_epochs, 3)
        What `mean_scores` returned: mean, lower and upper end of the interval.
    ax_ : matplotlib Axes
        Axes of the last `plot`.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of Line2D
        The curve of each of `entries`; without markers for those that have no epochs.
    intervals_ : list of PolyCollection, Line2D or None
        The intervals of each: a band (a bar, of one epoch) or None.

    See Also
    --------
    sslgex.evaluation.ConvergenceResults.epochs_to : The epochs that a score needs.
    LossCurveDisplay : The training losses of one fit.

    Notes
    -----
    The curves are of test samples: no epoch may be chosen by them.

    Examples
    --------
    >>> from sslgex import ScarfTransformer, SSLClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import convergence_curve
    >>> from sslgex.plotting import ConvergenceDisplay
    >>> X, y = make_expression(n_samples=120, n_genes=30, return_X_y=True, random_state=0)
    >>> scarf = ScarfTransformer((8,), max_epochs=2, random_state=0)
    >>> entries = {
    ...     "scratch": SSLClassifier(hidden_layer_sizes=(8,)),
    ...     "SCARF": SSLClassifier(scarf, head="linear"),
    ... }
    >>> results = convergence_curve(
    ...     entries, X, y, label_size=20, max_epochs=3, n_draws=2, cv=2, random_state=0
    ... )
    >>> display = ConvergenceDisplay.from_results(results, metric="balanced_accuracy")
    >>> display.ax_.get_ylabel()
    'balanced accuracy'
    """

    _kind = ConvergenceResults
    _sweep = staticmethod(convergence_curve)
    _most_bars = 1

    def __init__(self, results, *, metric=None, entries=None, level=0.95):
        super().__init__(results, metric=metric, entries=entries, level=level)
        self.epochs = self.results.epochs

    def _set_axis(self, ax) -> None:
        from matplotlib.ticker import MaxNLocator

        last = self.epochs[-1]
        ticks = MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]).tick_values(1, last)
        ax.set_xticks([1, *(tick for tick in ticks if 1 < tick <= last)])
        ax.margins(x=0.02)
        ax.set_xlabel("epoch of fine-tuning")

    def _is_level(self, name: str) -> bool:
        if len(self.epochs) == 1:
            return False  # a point without a marker could not be seen
        return name in self.results.levels

    def _what(self) -> str:
        n = size_name(round(float(self.results.n_labels.mean())))
        return f"{n} labelled samples\n{super()._what()}"
