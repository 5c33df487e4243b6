"""How far mean scores may be from what new labels, new test samples, new encoders would give.

A mean score averages over test samples and over draws of labelled subsets, and both are samples
of the population. The two are crossed (every draw of a split is tested on the same samples), so
neither may be taken for the other, as in studies of many readers and many cases, whose unbiased
moments [1]_, [2]_ this follows. With ``d[j, i]`` the score of draw j on test sample i,

    Var(mean) = Var(samples) / n_samples + Var(draws) / n_draws
                + Var(interaction) / (n_samples n_draws).

The mean squares over samples and over draws each hold the interaction once; it is subtracted once.
(A bootstrap that resamples both counts it three times.) Two terms more:

- *The pool.* Labelled subsets of n out of N training samples overlap, so their spread is that of
  new samples times 1 - n/N, and however many are drawn, they stay within one pool. To first order
  in the labelled samples the missing variance is that of a new subset times n/N, reduced by what
  the splits' training parts do not share.
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

import numpy as np
from scipy import stats

from ._results import LabelEfficiencyResults


@dataclass(frozen=True)
class Curves:
    """Mean scores of one or two entries, and their covariance as a sum of squares.

    Attributes
    ----------
    mean : ndarray of shape (n_entries, n_sizes)
        NaN where no draw was fitted by all of them.
    factors : list of ndarray of shape (n_terms, n_entries, n_sizes)
        The covariance is the sum over factors F of F'F, entries and sizes flattened.
    dof : list of int
        Degrees of freedom of each.
    """

    mean: np.ndarray
    factors: list[np.ndarray]
    dof: list[int]

    def contrast(self, weights: np.ndarray) -> tuple[float, float]:
        """Return the variance of a weighted sum of the scores, and its degrees of freedom.

        Parameters
        ----------
        weights : ndarray of shape (n_entries, n_sizes)
            Of the scores.
        """
        parts = np.array([((F * weights).sum(axis=(1, 2)) ** 2).sum() for F in self.factors])
        total = parts.sum()
        if total == 0:
            return 0.0, np.inf
        return total, total**2 / (parts**2 / self.dof).sum()

    def covariance(self, entry_weights: np.ndarray) -> np.ndarray:
        """Return the covariance, over sizes, of a weighted sum of the entries."""
        summed = [np.einsum("tek,e->tk", F, entry_weights) for F in self.factors]
        return sum(F.T @ F for F in summed)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return curves as they might have come out, (n, n_entries, n_sizes)."""
        noise = [np.tensordot(rng.standard_normal((n, len(F))), F, 1) for F in self.factors]
        return self.mean + np.sum(noise, axis=0)


def half_width(variance: float, dof: float, level: float) -> float:
    """Return half the width of a confidence interval."""
    return float(stats.t.ppf((1 + level) / 2, dof) * np.sqrt(variance))


def mean_scores(results, *, metric=None, level=0.95):
    """Return the mean score of every entry for every number of labels, with its interval.

    Parameters
    ----------
    results : LabelEfficiencyResults
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


def estimate(results: LabelEfficiencyResults, names: list[str], metric: str) -> Curves:
    """Return the mean scores of entries and what is known of their error.

    Parameters
    ----------
    results : LabelEfficiencyResults
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
    used = np.sum([split.n_draws > 0 for split in splits], axis=0)  # of the splits, per size
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum([split.mean for split in splits], axis=0) / used
    share = 1 / np.maximum(used, 1)  # of a split in the mean

    n_units = 1 + max(int(split.units.max()) for split in splits)
    rows = np.zeros((n_units, *mean.shape))
    for split in splits:
        rows[split.units] += split.unit_effects * share
    tested = len(np.unique(np.concatenate([split.units for split in splits])))
    rows *= np.sqrt(tested / max(tested - 1, 1))

    pure, own = _draws(results, splits, share)
    draws = np.concatenate([split.draw_effects * share * own for split in splits])
    n_draw_dof = max(sum(int(split.n_draws.max(initial=1)) - 1 for split in splits), 1)
    pool = _pool(results, splits, share, pure)
    factors, dof = [rows, draws, pool], [max(tested - 1, 1), n_draw_dof, n_draw_dof]
    if len(splits) > 1:
        factors.append(_between(splits, mean, share, own))
        dof.append(len(splits) - 1)
    return Curves(mean, factors, dof)


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
        Deviations of the draws, scaled to the standard error of their mean.
    draw_variance, noise : ndarray of shape (n_sizes,)
        Variance of a draw's score (of the difference of two entries), and the part of it that the
        choice of test samples adds.
    """

    def __init__(self, results: LabelEfficiencyResults, s: int, scored: list[tuple]):
        value = np.stack([v for v, _ in scored])  # entries, sizes, draws
        influence = np.stack([i for _, i in scored])  # entries, sizes, draws, samples
        fitted = ~np.isnan(value).any(axis=0)
        value = np.where(fitted, value, 0.0)
        influence = np.where(fitted[..., None], influence, 0.0)
        self.n_draws = n = fitted.sum(axis=-1)
        n_test = influence.shape[-1]
        test = results.splits[s][1]
        labels = test if results.groups is None else results.groups[test]
        self.units, codes = np.unique(labels, return_inverse=True)
        membership = np.eye(len(self.units))[codes] / n_test
        effects = influence @ membership  # entries, sizes, draws, units
        mean = value.sum(axis=-1) / np.maximum(n, 1)
        deviation = np.where(fitted, value - mean[..., None], 0.0)
        self.mean = np.where(n > 0, mean, np.nan)
        self.unit_effects = np.moveaxis(effects.sum(axis=2) / np.maximum(n, 1)[:, None], -1, 0)
        scale = 1 / np.sqrt(np.maximum(n * (n - 1), 1))
        self.draw_effects = np.moveaxis(deviation * scale[:, None], -1, 0)
        # The interaction, of the difference where there are two entries.
        sign = np.array([1.0, -1.0])[: len(value)]
        both = np.einsum("ekju,e->kju", effects, sign)
        rest = np.where(
            fitted[..., None],
            both - both.sum(axis=1, keepdims=True) / np.maximum(n, 1)[:, None, None],
            0.0,
        )
        few = len(self.units) / max(len(self.units) - 1, 1)
        self.noise = few * (rest**2).sum(axis=(1, 2)) / np.maximum(n - 1, 1)
        self.draw_variance = (np.einsum("ekj,e->kj", deviation, sign) ** 2).sum(axis=1)
        self.draw_variance /= np.maximum(n - 1, 1)


def _draws(results, splits, share) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance that a draw has on endless test samples, and the scale of its effects."""
    total = np.mean([split.draw_variance for split in splits], axis=0)
    noise = np.mean([split.noise for split in splits], axis=0)
    pure = np.maximum(total - noise, 0.0)
    own = np.sqrt(np.divide(pure, total, out=np.zeros_like(total), where=total > 0))
    return pure, own


def _pool(results, splits, share, pure) -> np.ndarray:
    """Return the factor of the pool: what all draws have in common by coming from it."""
    trains = [train for train, _ in results.splits]
    overlap = np.mean(
        [
            [len(np.intersect1d(p, q, assume_unique=True)) / (len(p) * len(q)) for q in trains]
            for p in trains
        ]
    )
    n = results.n_labels.mean(axis=0)
    fraction = (results.n_labels / [[len(train)] for train in trains]).mean(axis=0)
    # Of the variance per labelled sample little can be seen where nearly all are labelled.
    per_label = np.divide(pure * n, 1 - fraction, out=np.zeros_like(n), where=fraction < 1)
    seen = np.flatnonzero(fraction <= 0.5)
    last = seen[-1] if len(seen) else 0
    per_label[last + 1 :] = per_label[last]
    factor = np.zeros((splits[0].mean.shape[0], *splits[0].mean.shape))
    if results.protocol != "resample":
        return factor  # the draws differ in seeds, not in labels
    for k, variance in enumerate(per_label * overlap):
        effects = np.concatenate([split.draw_effects[:, :, k] for split in splits])
        covariance = effects.T @ effects
        contrast = np.array([1.0, -1.0])[: len(covariance)]
        size = contrast @ covariance @ contrast
        if size > 0:
            # A symmetric root, so that the sizes share the pool's luck.
            values, vectors = np.linalg.eigh(covariance * (variance / size))
            factor[:, :, k] = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return factor


def _between(splits, mean, share, own) -> np.ndarray:
    """Return the factor of what the splits differ by beyond their samples and draws."""
    n = len(splits)
    weights = np.ones_like(mean) / mean.shape[1]
    weights[1:] *= -1
    effects = np.nan_to_num(np.stack([split.mean - mean for split in splits]))
    contrast = (effects * weights).sum(axis=(1, 2))
    seen = (contrast**2).sum() / (n - 1)
    expected = np.mean(
        [
            ((split.unit_effects * weights).sum(axis=(1, 2)) ** 2).sum()
            + ((split.draw_effects * own * weights).sum(axis=1) ** 2).sum()
            for split in splits
        ]
    )
    more = max(0.0, 1 - expected / seen) if seen > 0 else 0.0
    return effects * np.sqrt(more / (n * (n - 1)))
