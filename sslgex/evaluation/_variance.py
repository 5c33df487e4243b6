"""How far mean scores may be from what new labels, new test samples, new encoders would give.

A mean score averages over test samples and over draws of labelled subsets, and both are samples
of the population. The two are crossed (every draw of a split is tested on the same samples), so
neither may be taken for the other, as in studies of many readers and many cases, whose moments
[1]_, [2]_ this follows. With ``d[j, i]`` the score of draw j on test sample i,

    Var(mean) = Var(samples) / n_samples + Var(draws) / n_draws
                + Var(interaction) / (n_samples n_draws).

The mean squares over samples and over draws each hold the interaction once; it is subtracted once.
(A bootstrap that resamples both counts it three times.) Two terms more:

- *The pool.* Labelled subsets of n out of N training samples overlap, so however many are drawn,
  they stay within one pool. Were a score linear in the labelled samples, the pool would hold n/N
  of the variance of a new subset; were it quadratic, as the loss of a nearly optimal classifier is
  in its errors, (n/N)^2. Half each is taken, reduced by what the splits' training parts do not
  share. Samples of one group are taken for as much alike as they are among the test samples.
- *The splits.* What they differ by beyond this is the rest: pretraining, on other samples and from
  another seed. It has one degree of freedom less than there are splits.

The degrees of freedom of the sum are Satterthwaite's.

References
----------
.. [1] Gallas (2006). One-shot estimate of MRMC variance: AUC. Academic Radiology 13.
.. [2] Chen, Gallas, Yousef (2012). Classifier variability: accounting for training and testing.
   Pattern Recognition 45.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy import stats

from ._results import CurveResults


class Term(NamedTuple):
    """One source of error: its covariance is the sum over its factors F of F'F.

    Attributes
    ----------
    factors : list of ndarray of shape (n_terms, n_entries, n_sizes)
        Entries and sizes are flattened in F'F.
    dof : float
        Degrees of freedom of the estimate.
    shares : list of ndarray of shape (n_sizes,)
        Per factor, of the mean square that it was estimated from, what is left after the
        interaction is subtracted.
    """

    factors: list[np.ndarray]
    dof: float
    shares: list[np.ndarray]

    def variance(self, weights: np.ndarray) -> float:
        """Return the variance of a weighted sum of the scores."""
        return sum(((F * weights).sum(axis=(1, 2)) ** 2).sum() for F in self.factors)

    def seen(self, weights: np.ndarray) -> float:
        """Return the same before the interaction was subtracted."""
        wide = [weights / np.sqrt(np.maximum(share, 1e-2)) for share in self.shares]
        pairs = zip(self.factors, wide, strict=True)
        return sum(((F * w).sum(axis=(1, 2)) ** 2).sum() for F, w in pairs)


@dataclass(frozen=True)
class Curves:
    """Mean scores of one or two entries, and their error.

    Attributes
    ----------
    mean : ndarray of shape (n_entries, n_sizes)
        NaN where fewer than two draws of any split were fitted by all of them.
    terms : list of Term
        Test samples; draws and pool; splits.
    """

    mean: np.ndarray
    terms: list[Term]

    def contrast(self, weights: np.ndarray) -> tuple[float, float]:
        """Return the variance of a weighted sum of the scores, and its degrees of freedom.

        Parameters
        ----------
        weights : ndarray of shape (n_entries, n_sizes)
            Of the scores.
        """
        parts = np.array([term.variance(weights) for term in self.terms])
        total = parts.sum()
        if total == 0:
            return 0.0, np.inf
        # A difference of mean squares is as uncertain as what it was subtracted from.
        seen = np.array([term.seen(weights) for term in self.terms])
        return total, total**2 / (seen**2 / [term.dof for term in self.terms]).sum()

    def covariance(self, entry_weights: np.ndarray) -> np.ndarray:
        """Return the covariance, over sizes, of a weighted sum of the entries."""
        summed = [
            np.einsum("tek,e->tk", F, entry_weights) for term in self.terms for F in term.factors
        ]
        return sum(F.T @ F for F in summed)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return curves as they might have come out, (n, n_entries, n_sizes)."""
        curves = np.repeat(self.mean[None], n, axis=0)
        for term in self.terms:
            wide = np.sqrt(term.dof / rng.chisquare(term.dof, n))[:, None, None]
            for F in term.factors:
                curves += wide * np.tensordot(rng.standard_normal((n, len(F))), F, 1)
        return curves


def half_width(variance: float, dof: float, level: float) -> float:
    """Return half the width of a confidence interval."""
    return float(stats.t.ppf((1 + level) / 2, max(dof, 1.0)) * np.sqrt(variance))


def mean_scores(results, *, metric=None, level=0.95):
    """Return the mean score of every entry for every number of labels, with its interval.

    Parameters
    ----------
    results : CurveResults
        What `label_efficiency_curve` returned, with two draws or more.
    metric : str or None, default=None
        Any of its metrics; None: the first of its `scoring`.
    level : float in (0, 1), default=0.95
        Confidence level, for each entry and size by itself. Two entries whose intervals overlap
        may yet differ for certain: they were tested on the same samples; `compare` them.

    Returns
    -------
    scores : dict of str to ndarray of shape (n_sizes, 3)
        Mean, lower and upper end of the interval.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import label_efficiency_curve, mean_scores
    >>> X, y = make_expression(n_samples=100, n_genes=20, return_X_y=True, random_state=0)
    >>> results = label_efficiency_curve(
    ...     {"chance": DummyClassifier()}, X, y, label_sizes=[20, 40], n_draws=2, random_state=0
    ... )
    >>> mean_scores(results)["chance"].shape
    (2, 3)
    """
    metric = results.scoring[0] if metric is None else metric
    found = {}
    for name in results.entries:
        curves = estimate(results, [name], metric)
        sizes = np.eye(curves.mean.shape[1])
        half = [half_width(*curves.contrast(size[None]), level) for size in sizes]
        mean = curves.mean[0]
        found[name] = np.stack([mean, mean - half, mean + half], axis=1)
    return found


def estimate(results: CurveResults, names: list[str], metric: str) -> Curves:
    """Return the mean scores of entries and what is known of their error.

    Parameters
    ----------
    results : CurveResults
        With two draws or more.
    names : list of str
        One entry, or two whose difference matters.
    metric : str
        Of the five.
    """
    if results.n_draws < 2:
        raise ValueError("One draw of labels tells nothing of the next: take n_draws=2 or more.")
    scored = [results._scored(name, metric) for name in names]
    splits = [_Split(results, s, [entry[s] for entry in scored]) for s in range(len(scored[0]))]
    n_draws = np.array([split.n_draws for split in splits])  # splits, sizes
    used = (n_draws > 0).sum(axis=0)
    share = 1 / np.maximum(used, 1)  # of a split in the mean
    mean = np.nansum([split.mean for split in splits], axis=0) * share
    mean = np.where((n_draws > 1).any(axis=0), mean, np.nan)

    ones = np.ones(mean.shape[1])
    rows = np.zeros((1 + max(int(split.units.max()) for split in splits), *mean.shape))
    for split in splits:
        rows[split.units] += split.unit_effects * share
    n_units = sum(len(split.units) - 1 for split in splits)
    draws, left = _draws(splits, n_draws, share)
    likeness = max(float(np.mean([split.likeness for split in splits])), 1.0)
    overlap = likeness * _overlap(results)
    pool, left_of_pool = _pool(results, draws, left, n_draws, share)
    n_free = max(float(np.maximum(n_draws - 1, 0).sum(axis=0).max()), 1.0)
    terms = [
        Term([rows], max(n_units, 1), [ones]),
        Term([draws, pool * np.sqrt(overlap.mean())], n_free, [left, left_of_pool]),
    ]
    if len(splits) > 1:
        apart = len(splits) / (len(splits) - 1) * (np.diag(overlap).mean() - overlap.mean())
        pool = pool * np.sqrt(max(apart, 0.0))
        between = _between(splits, mean, draws, pool, alone=results.axis == "profiles")
        terms.append(Term([between], len(splits) - 1, [ones]))
    return Curves(mean, terms)


class _Split:
    """The scores of one split, taken apart.

    Attributes
    ----------
    n_draws : ndarray of shape (n_sizes,)
        Draws that all entries have fitted.
    mean : ndarray of shape (n_entries, n_sizes)
        Mean score over the draws; NaN without any.
    units : ndarray of shape (n_units,)
        The test samples, or their groups.
    unit_effects : ndarray of shape (n_units, n_entries, n_sizes)
        What each adds to the mean.
    draw_effects : ndarray of shape (n_draws, n_entries, n_sizes)
        Deviations of the draws from their mean.
    likeness : float
        How many times more than independent samples those of the same group vary together.
    noise : ndarray of shape (n_sizes,)
        The part of a draw's variance (of the difference of two entries) that the choice of test
        samples adds.
    """

    def __init__(self, results: CurveResults, s: int, scored: list[tuple]):
        value = np.stack([v for v, _ in scored])  # entries, sizes, draws
        influence = np.stack([i for _, i in scored])  # entries, sizes, draws, samples
        fitted = ~np.isnan(value).any(axis=0)
        value = np.where(fitted, value, 0.0)
        influence = np.where(fitted[..., None], influence, 0.0)
        self.n_draws = fitted.sum(axis=-1)
        n = np.maximum(self.n_draws, 1)
        test = results.splits[s][1]
        effects = influence / len(test)  # entries, sizes, draws, units
        self.units = test
        if results.groups is not None:
            self.units, codes = np.unique(results.groups[test], return_inverse=True)
            belongs = sp.csr_array((np.ones(len(test)), (np.arange(len(test)), codes)))
            shape = *effects.shape[:-1], len(self.units)
            effects = (effects.reshape(-1, len(test)) @ belongs).reshape(shape)
        few = len(self.units) / max(len(self.units) - 1, 1)
        mean = value.sum(axis=-1) / n
        deviation = np.where(fitted, value - mean[..., None], 0.0)
        self.mean = np.where(self.n_draws > 0, mean, np.nan)
        self.unit_effects = np.sqrt(few) * np.moveaxis(effects.sum(axis=2) / n[:, None], -1, 0)
        self.draw_effects = np.moveaxis(deviation, -1, 0)
        both = np.einsum("ekju,e->kju", effects, _sign(len(value)))
        single = np.einsum("ekji,e->ki", influence, _sign(len(value))) / len(test)
        alone = (single**2).sum() * len(test) / max(len(test) - 1, 1)
        self.likeness = few * (both.sum(axis=1) ** 2).sum() / alone if alone > 0 else 1.0
        rest = both - both.sum(axis=1, keepdims=True) / n[:, None, None]
        rest = np.where(fitted[..., None], rest, 0.0)
        self.noise = few * (rest**2).sum(axis=(1, 2)) / np.maximum(self.n_draws - 1, 1)


def _sign(n_entries: int) -> np.ndarray:
    """Return the weights of one entry, or of the difference of two."""
    return np.array([1.0, -1.0])[:n_entries]


def _draws(splits, n_draws, share) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor of the draws, and the share of their spread that is not interaction."""
    effects = np.stack([split.draw_effects for split in splits])  # splits, draws, entries, sizes
    sign = _sign(effects.shape[2])
    squares = (np.einsum("sjek,e->sjk", effects, sign) ** 2).sum(axis=(0, 1))
    free = np.maximum(n_draws - 1, 0).sum(axis=0)
    total = squares / np.maximum(free, 1)
    several = n_draws > 1
    noise = np.where(several, [split.noise for split in splits], 0.0).sum(axis=0)
    noise /= np.maximum(several.sum(axis=0), 1)
    left = np.divide(np.maximum(total - noise, 0), total, out=np.zeros(len(total)), where=total > 0)
    # The variance of a draw times the sum over splits of share^2 / draws.
    pieces = np.where(n_draws > 0, share**2 / np.maximum(n_draws, 1), 0.0).sum(axis=0)
    scale = np.sqrt(left * pieces / np.maximum(free, 1))
    return effects.reshape(-1, *effects.shape[2:]) * scale, left


def _overlap(results) -> np.ndarray:
    """Return the covariance of the training parts' means, of samples with variance 1."""
    parts = np.zeros((len(results.splits), len(results.y)))
    for part, (train, _) in zip(parts, results.splits, strict=True):
        part[train] = 1 / len(train)
    return parts @ parts.T


def _pool(results, draws, left, n_draws, share) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor of the pool, for an overlap of 1: of a pool of one sample.

    What all draws have in common by coming from one pool; a symmetric root, so that the sizes share
    the pool's luck. With it the share of the draws' spread that is not interaction, of the sizes
    that the factor was estimated at.
    """
    n_entries, n_sizes = draws.shape[1:]
    factor = np.zeros((n_entries, n_entries, n_sizes))
    left = left.copy()
    if results.protocol != "resample":
        return factor, left  # the draws differ in seeds, not in labels
    n = results.n_labels.mean(axis=0)
    fraction = (results.n_labels / [[len(train)] for train, _ in results.splits]).mean(axis=0)
    # Of the variance of a new subset: what shows within one pool, and N times what does not.
    within = 1 - fraction * (1 + fraction) / 2
    hidden = n * (1 + fraction) / 2
    # What a pool hides is the same for all sizes, but where nearly all samples are labelled the
    # draws hardly differ: there it is that of the largest size that leaves half of them out.
    seen = np.flatnonzero((n_draws > 1).any(axis=0) & (fraction < 1))
    if not len(seen):
        return factor, left
    half = seen[fraction[seen] <= 0.5]
    last = half[-1] if len(half) else seen[0]
    pieces = np.where(n_draws > 0, share**2 / np.maximum(n_draws, 1), 0.0).sum(axis=0)
    for k in range(n_sizes):
        at = last if fraction[k] > fraction[last] else k
        left[k] = left[at]
        F = draws[:, :, at]
        variance = F.T @ F / max(pieces[at], 1e-300) / within[at] * hidden[at]
        values, vectors = np.linalg.eigh(variance)
        factor[:, :, k] = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return factor, left


def _between(splits, mean, draws, pool, *, alone: bool) -> np.ndarray:
    """Return the factor of what the splits differ by beyond their samples, draws and pools.

    By the mean over the sizes, which share an encoder, or, where each has one of its own
    (``alone``), whose luck that mean would average away, by all sizes one by one.
    """
    n, n_sizes = len(splits), mean.shape[1]
    weights = np.eye(n_sizes) if alone else np.full((n_sizes, 1), 1 / n_sizes)

    def of_entries(factor: np.ndarray) -> np.ndarray:
        return np.einsum("...ek,e->...k", factor, _sign(len(mean)))

    def summed(factor: np.ndarray) -> np.ndarray:
        return of_entries(factor) @ weights

    effects = np.nan_to_num(np.stack([split.mean - mean for split in splits]))
    seen = (summed(effects) ** 2).sum() / (n - 1)
    # Test samples that the splits share do not set them apart.
    n_units = 1 + max(int(split.units.max()) for split in splits)
    units = np.zeros((n, n_units, weights.shape[1]))
    for row, split in zip(units, splits, strict=True):
        row[split.units] = summed(split.unit_effects)
    expected = ((units - units.mean(axis=0)) ** 2).sum() / (n - 1)
    expected += n * (of_entries(draws) ** 2 @ weights**2).sum()  # another draw at every size
    expected += (summed(pool) ** 2).sum()
    more = max(0.0, 1 - expected / seen) if seen > 0 else 0.0
    return effects * np.sqrt(more / (n * (n - 1)))
