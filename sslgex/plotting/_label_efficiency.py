"""The label-efficiency curve as a picture."""

from ..evaluation import LabelEfficiencyResults, label_efficiency_curve
from ._curves import CurveDisplay
from ._style import set_sizes


class LabelEfficiencyDisplay(CurveDisplay):
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

    _kind = LabelEfficiencyResults
    _sweep = staticmethod(label_efficiency_curve)

    def __init__(self, results, *, metric=None, entries=None, level=0.95):
        super().__init__(results, metric=metric, entries=entries, level=level)
        self.n_labels = self.results.positions

    def _set_axis(self, ax) -> None:
        set_sizes(ax, self.n_labels, "labelled samples")
