"""Quantile normalisation that does not look at the test samples."""

import numpy as np
from sklearn.base import OneToOneFeatureMixin

from ._base import Preprocessor, blocks


class QuantileNormalizer(OneToOneFeatureMixin, Preprocessor):
    """Give every sample the distribution of the training samples.

    The reference is the mean of the sorted training samples [1]_: its first value the mean of
    their smallest, and so on. The smallest value of a sample becomes the smallest of the reference,
    the second smallest the second, up to the largest. Equal values become the mean of the quantiles
    they share.

    Commonly all samples, those for testing included, are normalised together. Here the reference
    is learned in `fit` and stays, so that nothing leaks, and a new sample can come alone.

    Parameters
    ----------
    layer : str or None, default=None
        The layer of an AnnData to read; its ``X`` by default.

    Attributes
    ----------
    reference_ : ndarray of shape (`n_features_in_`,), float64
        The quantiles, ascending, in the unit of X.
    n_features_in_ : int
        Number of genes seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names; only if X had them.

    See Also
    --------
    RankNormalizer : Ranks within the sample: the same order, on a scale that needs no training.
    sklearn.preprocessing.QuantileTransformer : Works gene by gene, not sample by sample.

    Notes
    -----
    The result is dense: the zeros of a sparse sample become the mean of the lowest quantiles.

    References
    ----------
    .. [1] B. M. Bolstad, R. A. Irizarry, M. Astrand, T. P. Speed, "A comparison of normalization
       methods for high density oligonucleotide array data based on variance and bias",
       Bioinformatics 19 (2003), 185-193.

    Examples
    --------
    >>> import numpy as np
    >>> from sslgex.preprocessing import QuantileNormalizer
    >>> X = np.array([[5.0, 2.0, 3.0], [4.0, 1.0, 4.0]])
    >>> normalizer = QuantileNormalizer().fit(X)
    >>> normalizer.reference_
    array([1.5, 3.5, 4.5])
    >>> normalizer.transform([[40.0, 10.0, 40.0]])
    array([[4. , 1.5, 4. ]])
    """

    _keeps_zeros = False

    def __init__(self, *, layer=None):
        self.layer = layer

    def _learn(self, X) -> None:
        total = np.zeros(X.shape[1])
        for _, block in blocks(X):
            block.sort(axis=1)
            total += block.sum(axis=0)
        self.reference_ = total / X.shape[0]

    def _apply(self, block: np.ndarray, start: int) -> np.ndarray:
        return by_rank(block, self.reference_)


def by_rank(block: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Put in place of every sample's values, in their order, the quantiles; equal ones get a mean.

    ``block`` is overwritten.
    """
    for sample in block:
        order = sample.argsort()
        ascending = sample[order]
        starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
        lengths = np.diff(np.r_[starts, len(sample)])
        sample[order] = np.repeat(np.add.reduceat(quantiles, starts) / lengths, lengths)
    return block
