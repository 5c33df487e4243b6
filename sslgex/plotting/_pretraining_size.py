"""The curve over pretraining sizes as a picture."""

from ..evaluation._pretraining_size import PretrainingSizeResults, pretraining_size_curve
from ._curves import CurveDisplay
from ._style import set_sizes


class PretrainingSizeDisplay(CurveDisplay):
    """Mean score of every entry by the profiles it was pretrained on, with its interval.

    Make one with `from_results` or `from_estimator`, which draw it too.

    Parameters
    ----------
    results : PretrainingSizeResults or list of them
        What `pretraining_size_curve` returned; several if they are of the same data, splits,
        labelled subsets and sizes.
    metric : str or None, default=None
        Any of `label_efficiency_curve`'s metrics; None: the first of its `scoring`.
    entries : list of str, str or None, default=None
        What to draw, in the order of styles; None: all.
    level : float in (0, 1), default=0.95
        Confidence level of the intervals, for each entry and size by itself.

    Attributes
    ----------
    results : PretrainingSizeResults
        As given; joined if they were several.
    metric : str
        What is drawn; greater is better.
    entries : list of str
        Who is drawn.
    level : float
        As given.
    n_pretrain : ndarray of shape (n_sizes,)
        Profiles pretrained on, on average over splits.
    scores : dict of str to ndarray of shape (n_sizes, 3)
        What `mean_scores` returned: mean, lower and upper end of the interval.
    ax_ : matplotlib Axes
        Axes of the last `plot`.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of Line2D
        The curve of each of `entries`; without markers where it is level, as the entry learns
        nothing without labels.
    intervals_ : list of Line2D, PolyCollection or None
        The intervals of each: one line with gaps, a band with more than 12 sizes, or None.

    See Also
    --------
    LabelEfficiencyDisplay : The same over numbers of labels.
    sslgex.evaluation.compare : The difference of two entries, with a verdict.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sslgex import SSLClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import pretraining_size_curve
    >>> from sslgex.plotting import PretrainingSizeDisplay
    >>> X, y = make_expression(n_samples=100, n_genes=20, return_X_y=True, random_state=0)
    >>> entries = {"PCA": SSLClassifier(PCA(3), mode="frozen", head="linear")}
    >>> results = pretraining_size_curve(
    ...     entries, X, y, label_size=20, pretrain_sizes=[10, 80], n_draws=2, random_state=0
    ... )
    >>> display = PretrainingSizeDisplay.from_results(results)
    >>> display.ax_.get_xlabel()
    'profiles pretrained on'
    """

    _kind = PretrainingSizeResults
    _sweep = staticmethod(pretraining_size_curve)

    def __init__(self, results, *, metric=None, entries=None, level=0.95):
        super().__init__(results, metric=metric, entries=entries, level=level)
        self.n_pretrain = self.results.positions

    def _set_axis(self, ax) -> None:
        set_sizes(ax, self.n_pretrain, "profiles pretrained on")

    def _is_level(self, name: str) -> bool:
        return name in self.results.levels
