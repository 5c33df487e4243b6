"""Ranks within a sample."""

import numpy as np
from scipy.special import ndtri
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils._param_validation import StrOptions

from ._base import Preprocessor
from ._quantile import by_rank


class RankNormalizer(OneToOneFeatureMixin, Preprocessor):
    r"""Replace values by their ranks within the sample.

    The gene with rank :math:`r` among :math:`p` genes gets :math:`r / (p + 1)`, or with
    ``output="normal"`` the normal quantile of that, :math:`\Phi^{-1}(r / (p + 1))` (van der
    Waerden's scores). Equal values share the mean of their ranks. Whatever changes a sample
    without changing the order of its genes, such as its depth or logs, has no effect any more.

    Parameters
    ----------
    output : {"uniform", "normal"}, default="uniform"
        Whether ranks are spread evenly over (0, 1), or like a standard normal variable.
    layer : str or None, default=None
        The layer of an AnnData to read; its ``X`` by default.

    Attributes
    ----------
    n_features_in_ : int
        Number of genes seen in `fit`; nothing else is learned.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names; only if X had them.

    See Also
    --------
    QuantileNormalizer : The same order, on the scale of the training samples.

    Notes
    -----
    The result is dense: the many zeros of a sparse sample share one rank that is not zero.

    Examples
    --------
    >>> import numpy as np
    >>> from sslgex.preprocessing import RankNormalizer
    >>> X = np.array([[0.0, 9.0, 3.0], [7.0, 7.0, 1.0]])
    >>> rank = RankNormalizer()
    >>> rank.fit_transform(X)
    array([[0.25 , 0.75 , 0.5  ],
           [0.625, 0.625, 0.25 ]])
    """

    _min_samples = 1
    _parameter_constraints: dict = {
        **Preprocessor._parameter_constraints,
        "output": [StrOptions({"uniform", "normal"})],
    }
    _keeps_zeros = False

    def __init__(self, *, output="uniform", layer=None):
        self.output = output
        self.layer = layer

    def _apply(self, block: np.ndarray, start: int) -> np.ndarray:
        n = block.shape[1]
        # scipy's rankdata gives the same ranks in three times the time.
        ranks = by_rank(block, np.arange(1.0, n + 1)) / (n + 1)
        return ndtri(ranks) if self.output == "normal" else ranks
