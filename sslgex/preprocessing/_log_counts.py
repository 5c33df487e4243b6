"""Counts to logs of counts per million."""

from numbers import Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils._param_validation import Interval, StrOptions

from .._inputs import gene
from .._parameters import POSITIVE
from ._base import Preprocessor, blocks

# The largest log2 there is of a count is about 30: a count of a thousand million.
LARGEST_LOG = 30


class LogCounts(OneToOneFeatureMixin, Preprocessor):
    r"""Scale every sample to the same total, and take logs.

    A value :math:`x_{ij}` of sample :math:`i` becomes

    .. math:: \log_b \left(1 + t \, x_{ij} / \sum_k x_{ik} \right),

    with the target sum :math:`t` and the base :math:`b`; by default log2(1 + counts per million).
    Zeros stay zeros, and a sparse matrix stays sparse.

    Parameters
    ----------
    target_sum : float or "median", default=1e6
        What every sample is scaled to. "median" is the median total of the training samples, as
        is usual for single cells.
    base : float or None, default=2
        Base of the logarithm, above 1; None is the natural one.
    check_counts : bool, default=True
        Whether `fit` refuses values that look like logs: with fractions, and none above 30.
        `transform` does not look: a sample of low depth would pass in company and fail alone.
    layer : str or None, default=None
        The layer of an AnnData to read; its ``X`` by default.

    Attributes
    ----------
    target_sum_ : float
        What samples are scaled to.
    n_features_in_ : int
        Number of genes seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names; only if X had them.

    Raises
    ------
    ValueError
        In `fit` and `transform`: for negative values and for a sample without a single count. In
        `fit`: for values that look like logs.

    See Also
    --------
    QuantileNormalizer : Gives all samples the same distribution, not only the same total.
    RankNormalizer : Ranks within the sample, which need neither a total nor logs.

    Notes
    -----
    Transcript lengths play no part: for TPM, or for the factors of TMM, put a step of the package
    rnanorm first and take logs of what it returns.

    Examples
    --------
    >>> import numpy as np
    >>> from sslgex.preprocessing import LogCounts
    >>> counts = np.array([[0, 1, 3], [30, 10, 0]])
    >>> log = LogCounts(target_sum=4)
    >>> log.fit_transform(counts)
    array([[0., 1., 2.],
           [2., 1., 0.]], dtype=float32)
    """

    _min_samples = 1
    _parameter_constraints: dict = {
        **Preprocessor._parameter_constraints,
        "target_sum": [POSITIVE, StrOptions({"median"})],
        "base": [Interval(Real, 1, None, closed="neither"), None],
        "check_counts": ["boolean"],
    }

    def __init__(self, *, target_sum=1e6, base=2, check_counts=True, layer=None):
        self.target_sum = target_sum
        self.base = base
        self.check_counts = check_counts
        self.layer = layer

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _check(self, X, *, reset: bool):
        X = super()._check(X, reset=reset)
        values = X.data if sp.issparse(X) else X
        if values.size and values.min() < 0:
            self._refuse_negative(X)
        if self.check_counts and reset:
            _refuse_logs(values)
        return X

    def _learn(self, X) -> None:
        totals = np.concatenate([_totals(block, start) for start, block in blocks(X)])
        median = self.target_sum == "median"
        self.target_sum_ = float(np.median(totals) if median else self.target_sum)

    def _apply(self, block: np.ndarray, start: int) -> np.ndarray:
        block *= (self.target_sum_ / _totals(block, start))[:, None]
        np.log1p(block, out=block)
        if self.base is not None:
            block /= np.log(self.base)
        return block

    def _refuse_negative(self, X) -> None:
        """Raise, naming the first negative value."""
        start, block = next((i, block) for i, block in blocks(X) if (block < 0).any())
        row, column = np.argwhere(block < 0)[0]
        n = int(((X.data if sp.issparse(X) else X) < 0).sum())
        # scikit-learn's sentence first
        raise ValueError(
            f"Negative values in data passed to {type(self).__name__}: {n:,} of them, the first "
            f"{block[row, column]:.4g} in row {start + row}, "
            f"{gene(self, int(column))}. Counts are never negative: "
            "these may be standardised or logged values, which need no LogCounts."
        )


def _totals(block: np.ndarray, start: int) -> np.ndarray:
    """Return the sum of every sample; raise for one without counts."""
    totals = block.sum(axis=1)
    if not totals.all():
        empty = np.flatnonzero(totals == 0)
        raise ValueError(
            f"Sample {start + empty[0]} (row number, from 0) has no counts: all its "
            f"{block.shape[1]:,} values are 0, which no factor scales to a total. Drop such "
            "samples first: X = X[X.sum(axis=1) > 0]."
        )
    return totals


def _refuse_logs(values: np.ndarray) -> None:
    """Raise for values that are logs rather than counts."""
    if values.dtype.kind != "f" or not values.size or values.max() > LARGEST_LOG:
        return
    n_fractions = int((values != np.floor(values)).sum())
    if n_fractions:
        raise ValueError(
            f"X does not look like counts: {n_fractions:,} of {values.size:,} values have "
            f"fractions, and the largest is {float(values.max()):.4g}. Logs of logs mean nothing: "
            "leave LogCounts out if these are logs. If they are counts, set check_counts=False."
        )
