"""ComBat's parametric empirical Bayes, all genes at once (Johnson, Li and Rabinovic 2007).

Everything follows from the number of samples, means and variances of the batches, so that no
standardised copy of the data is made.
"""

from dataclasses import dataclass

import numpy as np

from .._training.rows import Rows
from .._training.warning import warn_user

TOLERANCE = 1e-4  # largest relative change of an estimate with which ComBat stops
MAX_ITER = 1_000  # real data take about 10; nobody waits for ever


@dataclass(frozen=True)
class Moments:
    """Number of samples of a batch, mean and variance (divided by n) of every gene."""

    n: int
    mean: np.ndarray
    variance: np.ndarray


def moments(X) -> Moments:
    """Return the moments of the rows of X; the variance of a constant gene is exactly 0."""
    statistics = Rows([X]).statistics()
    scale = np.where(np.isinf(statistics.scale), 0, statistics.scale)
    return Moments(X.shape[0], statistics.mean, scale**2)


def pool(batches: list[Moments]) -> tuple[np.ndarray, np.ndarray]:
    """Return the grand mean and the standard deviation within batches, of every gene."""
    weights = np.array([batch.n for batch in batches]) / sum(batch.n for batch in batches)
    # From the first batch on, so that a constant gene has its own value as its mean, to the bit.
    first = batches[0].mean
    mean = first + weights @ [batch.mean - first for batch in batches]
    return mean, np.sqrt(weights @ [batch.variance for batch in batches])


def batch_effect(
    batch: Moments, mean: np.ndarray, scale: np.ndarray, *, mean_only: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much a batch is shifted, and how much wider its variance is.

    Parameters
    ----------
    batch : Moments
        Of two or more samples that differ in some gene, unless `mean_only`.
    mean, scale : ndarray of shape (n_features,)
        Of the reference, as `pool` returns them.
    mean_only : bool
        Whether the variance stays as it is.

    Returns
    -------
    shift : ndarray of shape (n_features,)
        The paper's γ* times `scale`: in the units of X.
    spread : ndarray of shape (n_features,)
        The paper's δ²*, a ratio of variances.
    """
    shift = batch.mean - mean
    spread = np.ones_like(shift)
    # A gene with no variation within batches has no noise that could blur its shift: that is known
    # exactly, and tells nothing of the other genes'.
    varies = scale > 0
    if not varies.any():
        return shift, spread
    scale = scale[varies]
    gamma, delta = shift[varies] / scale, batch.variance[varies] / scale**2
    if mean_only:
        gamma = _shrink_mean(gamma, gamma.mean(), 1, gamma.var())
    else:
        gamma, spread[varies] = _shrink_both(gamma, delta, batch.n)
    shift[varies] = gamma * scale
    return shift, spread


def _shrink_mean(gamma, centre, noise, variance):
    """Return the posterior mean of shifts with a normal prior: the γ* of the paper."""
    return (variance * gamma + noise * centre) / (variance + noise)


def _shrink_both(gamma: np.ndarray, delta: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Iterate the posterior means of shift and spread, each given the other, until they stay."""
    centre, variance = gamma.mean(), gamma.var()
    # The inverse gamma prior of the spreads, its two equations multiplied by their variance: so
    # they hold where all spreads are the same, and the prior is a point.
    m, s2 = delta.mean(), delta.var()
    prior, weight = m * (s2 + m**2), s2 * (n / 2 + 1) + m**2
    # Not 0, of a gene constant in this batch: the first step would divide by it.
    spread = np.maximum(delta, np.finfo(np.float64).eps)
    shift = gamma
    for _ in range(MAX_ITER):
        old = shift, spread
        shift = _shrink_mean(gamma, centre, spread / n, variance)
        spread = (s2 * n * (delta + (gamma - shift) ** 2) / 2 + prior) / weight
        # The change is relative to the signed shift, as in every ComBat: a negative one never
        # keeps the iteration going. So the numbers agree with theirs.
        moving = (np.abs(shift - old[0]) > TOLERANCE * old[0]) & (old[0] >= 0)
        if not moving.any() and (np.abs(spread - old[1]) <= TOLERANCE * old[1]).all():
            return shift, spread
    warn_user(f"The estimates of a batch of {n:,} samples still moved after {MAX_ITER:,} steps.")
    return shift, spread
