"""Which genes are worth keeping."""

from numbers import Integral, Real

import numpy as np
from sklearn.feature_selection import SelectorMixin
from sklearn.utils._param_validation import Interval, RealNotInt
from sklearn.utils.validation import check_is_fitted

from .._parameters import COUNT
from .._training.rows import Rows
from ._base import Preprocessor, blocks


class GeneFilter(SelectorMixin, Preprocessor):
    """Keep the genes that are expressed, and of them the most variable.

    Parameters
    ----------
    min_value : float, default=0.0
        A gene is expressed in a sample where its value is above this, in the unit of X.
    min_samples : int or float, default=1
        In how many training samples a gene must be expressed. An int is a number of samples, a
        float a share of them: 1 is one sample, 1.0 is all of them.
    n_top_genes : int or None, default=None
        How many of the expressed genes to keep, those with the largest variance over the training
        samples; of equally variable ones the first. All of them if there are fewer, or if None.
    layer : str or None, default=None
        The layer of an AnnData to read; its ``X`` by default.

    Attributes
    ----------
    n_expressed_ : ndarray of shape (`n_features_in_`,), int
        In how many training samples each gene was expressed.
    support_ : ndarray of shape (`n_features_in_`,), bool
        Which genes are kept.
    variances_ : ndarray of shape (`n_features_in_`,), float64
        Variance of each gene over the training samples.
    n_features_in_ : int
        Number of genes seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names; only if X had them.

    Raises
    ------
    ValueError
        In `fit`: if no gene is expressed in enough samples.

    See Also
    --------
    sklearn.feature_selection.VarianceThreshold : A threshold on the variance.

    Notes
    -----
    The variance is that of the values as they come. Of counts it mostly tells how large they are,
    so take logs first.

    Examples
    --------
    >>> import numpy as np
    >>> from sslgex.preprocessing import GeneFilter
    >>> X = np.array([[0.0, 5.0, 1.0, 2.0], [0.0, 9.0, 1.0, 3.0]])
    >>> gene_filter = GeneFilter(n_top_genes=2).fit(X)
    >>> gene_filter.get_support()
    array([False,  True, False,  True])
    >>> gene_filter.transform(X)
    array([[5., 2.],
           [9., 3.]])
    """

    _parameter_constraints: dict = {
        **Preprocessor._parameter_constraints,
        "min_value": [Interval(Real, None, None, closed="neither")],
        "min_samples": [
            Interval(Integral, 0, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="both"),
        ],
        "n_top_genes": [COUNT, None],
    }

    def __init__(self, *, min_value=0.0, min_samples=1, n_top_genes=None, layer=None):
        self.min_value = min_value
        self.min_samples = min_samples
        self.n_top_genes = n_top_genes
        self.layer = layer

    # SelectorMixin's own knows neither AnnData nor our types.
    transform = Preprocessor.transform

    def _learn(self, X) -> None:
        n_samples = X.shape[0]
        self.n_expressed_ = sum((block > self.min_value).sum(axis=0) for _, block in blocks(X))
        scale = Rows([X]).statistics().scale  # infinite for a constant gene
        self.variances_ = np.where(np.isinf(scale), 0.0, scale**2)
        needed = self.min_samples
        if not isinstance(needed, Integral):
            # 0.07 * 100 is 7.000000000000001: that is 7 samples and not 8.
            needed = int(np.ceil(round(needed * n_samples, 6)))
        self.support_ = self.n_expressed_ >= needed
        if not self.support_.any():
            raise ValueError(
                f"No gene is left: none of {X.shape[1]:,} is above min_value={self.min_value} in "
                f"{needed:,} of {n_samples:,} samples (min_samples={self.min_samples}); the best "
                f"is in {self.n_expressed_.max():,}. Lower min_value or min_samples."
            )
        if self.n_top_genes is not None:
            expressed = np.flatnonzero(self.support_)
            by_variance = expressed[np.argsort(-self.variances_[expressed], kind="stable")]
            self.support_ = np.zeros(X.shape[1], dtype=bool)
            self.support_[by_variance[: self.n_top_genes]] = True

    def _apply(self, block: np.ndarray, start: int) -> np.ndarray:
        return block.take(np.flatnonzero(self.support_), axis=1)

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self.support_
