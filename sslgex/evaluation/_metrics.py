"""Scores of predictions, and how much each test sample moves them.

Every score is a mean over test samples or a smooth function of such means, so beside its value it
has an *influence*: what sample i contributes, on average zero, such that to first order

    score(new samples) = score + mean of the influences of the new samples.

A variance over samples is then the variance of a mean, for every score alike.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Equal bins of the calibration error, as Guo et al. (2017) have it.
N_BINS = 15
EPS = np.finfo(np.float64).eps


class Outcome(NamedTuple):
    """Predictions for the same test samples by one or more fits (leading axes).

    Attributes
    ----------
    predicted : ndarray of shape (..., n_samples), int
        Codes of the predicted classes; -1 where the fit failed.
    p_true : ndarray of shape (..., n_samples)
        Probability given to the true class; NaN without probabilities.
    confidence : ndarray of shape (..., n_samples)
        Probability given to the predicted class; NaN without probabilities.
    """

    predicted: np.ndarray
    p_true: np.ndarray
    confidence: np.ndarray


def score(metric: str, y: np.ndarray, outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of every fit, and the influence of every sample on it.

    Parameters
    ----------
    metric : str
        One of `METRICS`; greater is better.
    y : ndarray of shape (n_samples,), int
        Codes of the true classes.
    outcome : Outcome
        The predictions.

    Returns
    -------
    value : ndarray of shape (...)
        NaN where the fit failed.
    influence : ndarray of shape (..., n_samples)
        Mean zero over the samples.
    """
    value, influence = METRICS[metric](y, outcome)
    failed = np.asarray((outcome.predicted < 0).any(axis=-1))
    return np.where(failed, np.nan, value), np.where(failed[..., None], np.nan, influence)


def _mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value = values.mean(axis=-1)
    return value, values - value[..., None]


def _accuracy(y, outcome):
    return _mean((outcome.predicted == y).astype(np.float64))


def _log_likelihood(y, outcome):
    return _mean(np.log(np.clip(outcome.p_true.astype(np.float64), EPS, 1)))


def _balanced_accuracy(y, outcome):
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    correct = np.equal(outcome.predicted, y).astype(np.float64)
    recall = correct @ (np.eye(len(classes))[codes] / counts[codes, None])
    influence = (correct - recall[..., codes]) * (len(y) / (len(classes) * counts[codes]))
    return recall.mean(axis=-1), influence


def _f1_macro(y, outcome):
    predicted = outcome.predicted
    value = np.zeros(predicted.shape[:-1])
    influence = np.zeros(predicted.shape)
    n_classes = np.zeros(predicted.shape[:-1])
    # F1 = 2 TP / (P + Q) of a class with P true and Q predicted samples, over the classes that
    # occur among either, as in scikit-learn.
    for c in np.union1d(y, predicted):
        true, guess = y == c, predicted == c
        both = np.add(true, guess, dtype=np.float64)
        size = both.mean(axis=-1)
        present = size > 0
        size = np.where(present, size, 1.0)
        f1 = 2 * (true & guess).mean(axis=-1) / size
        value += f1
        influence += (2 * (true & guess) - f1[..., None] * both) / size[..., None]
        n_classes += present
    return value / n_classes, influence / n_classes[..., None]


def _calibration(y, outcome):
    gap = (outcome.predicted == y) - outcome.confidence.astype(np.float64)
    bins = np.clip(np.ceil(np.nan_to_num(outcome.confidence) * N_BINS).astype(int) - 1, 0, None)
    sign = np.zeros(gap.shape)
    for b in range(N_BINS):
        here = bins == b
        total = np.where(here, gap, 0.0).sum(axis=-1, keepdims=True)
        sign += here * np.sign(total)
    return _mean(-sign * gap)


METRICS: dict[str, Callable] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1_macro": _f1_macro,
    "neg_log_loss": _log_likelihood,
    "neg_calibration_error": _calibration,
}
# These cannot be had from predicted labels alone.
NEED_PROBABILITIES = ("neg_log_loss", "neg_calibration_error")
