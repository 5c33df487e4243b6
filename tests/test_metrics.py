"""The five scores are scikit-learn's, and the influences are their derivatives."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

from sslgex.evaluation._metrics import METRICS, N_BINS, NEED_PROBABILITIES, Outcome, score

N, CLASSES = 60, 5
EVERY_METRIC = pytest.mark.parametrize("metric", METRICS)


def fit(rng, n=N, of_classes=None):
    """Random probabilities, in which the likeliest class is predicted."""
    p = rng.dirichlet(np.full(CLASSES, 0.7), size=n)
    if of_classes is not None:  # classes that the fit has not learned
        p[:, np.setdiff1d(np.arange(CLASSES), of_classes)] = 0
        p /= p.sum(axis=1, keepdims=True)
    return p


def outcome_of(p, y):
    predicted = p.argmax(axis=-1)
    rows = np.arange(len(y))
    return Outcome(predicted.astype(np.int16), p[rows, y], p[rows, predicted])


def cases():
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, N)
    yield "all classes", y, fit(rng)
    yield "a class absent from the test samples", np.where(y == 2, 0, y), fit(rng)
    yield "classes absent from the predictions", y, fit(rng, of_classes=[0, 3])
    yield "a class absent from both", np.where(y == 4, 1, y), fit(rng, of_classes=[0, 1, 2, 3])
    yield "classes absent from each", np.where(y < 2, 2, y), fit(rng, of_classes=[0, 1, 2])
    yield "one class tested", np.full(N, 1), fit(rng)


CASES = list(cases())
every_case = pytest.mark.parametrize(("y", "p"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])


def binned(y, predicted, confidence, weight=None):
    """Calibration error as Guo et al. (2017) have it, sample by sample."""
    weight = np.ones(len(y)) if weight is None else weight
    hits, trust, mass = np.zeros(N_BINS), np.zeros(N_BINS), np.zeros(N_BINS)
    for true, guess, c, w in zip(y, predicted, confidence, weight, strict=True):
        # Bin m is the interval ((m - 1) / M, m / M].
        m = next(m for m in range(N_BINS) if c <= (m + 1) / N_BINS)
        hits[m] += w * (true == guess)
        trust[m] += w * c
        mass[m] += w
    full = mass > 0
    gap = np.abs(hits[full] / mass[full] - trust[full] / mass[full])
    return (mass[full] / mass.sum() * gap).sum()


def reference(metric, y, p, weight=None):
    """What scikit-learn says, of samples with weights."""
    predicted = p.argmax(axis=1)
    weighted = {"sample_weight": weight}
    if metric == "accuracy":
        return accuracy_score(y, predicted, **weighted)
    if metric == "balanced_accuracy":
        # scikit-learn warns of predicted classes that are not tested, and leaves them out.
        weight = np.ones(len(y)) if weight is None else weight
        tested = np.unique(y)
        return np.mean(
            [weight[(y == c) & (predicted == c)].sum() / weight[y == c].sum() for c in tested]
        )
    if metric == "f1_macro":
        return f1_score(y, predicted, average="macro", zero_division=0, **weighted)
    if metric == "neg_log_loss":
        return -log_loss(y, p, labels=np.arange(CLASSES), **weighted)
    return -binned(y, predicted, p.max(axis=1), weight)


# ------------------------------------------------------------------------------- values


@EVERY_METRIC
@every_case
def test_a_score_is_the_reference(metric, y, p):
    value, _ = score(metric, y, outcome_of(p, y))
    np.testing.assert_allclose(value, reference(metric, y, p), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true:UserWarning")
@every_case
def test_balanced_accuracy_is_scikit_learns(y, p):
    value, _ = score("balanced_accuracy", y, outcome_of(p, y))
    np.testing.assert_allclose(value, balanced_accuracy_score(y, p.argmax(axis=1)), rtol=1e-12)


@EVERY_METRIC
def test_greater_is_better(metric):
    y = np.arange(40) % 4
    good = np.full((40, 4), 0.01 / 3)
    good[np.arange(40), y] = 0.99
    bad = good[:, [1, 2, 3, 0]]
    assert score(metric, y, outcome_of(good, y))[0] > score(metric, y, outcome_of(bad, y))[0]


def test_probability_zero_of_the_true_class_costs_what_it_costs_in_scikit_learn():
    y = np.array([0, 1, 1, 0])
    p = np.array([[1.0, 0.0], [0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    value, _ = score("neg_log_loss", y, outcome_of(p, y))
    np.testing.assert_allclose(value, -log_loss(y, p), rtol=1e-12)
    assert -10 < value < -9


def test_probabilities_kept_in_float32_lose_nothing_that_matters():
    rng = np.random.default_rng(1)
    y = rng.integers(0, CLASSES, N)
    p = fit(rng)
    predicted, *probabilities = outcome_of(p, y)
    single = Outcome(predicted, *(part.astype(np.float32) for part in probabilities))
    for metric in NEED_PROBABILITIES:
        np.testing.assert_allclose(
            score(metric, y, single)[0], reference(metric, y, p), rtol=1e-5, atol=1e-7
        )


def test_calibration_error_by_hand():
    # Bin (8/15, 9/15]: two samples at 0.55, one right: |0.5 - 0.55| over 2 of 5 samples.
    # Bin (13/15, 14/15]: 0.9, right, and 0.92, wrong: |0.5 - 0.91| over 2 of 5.
    # Bin (14/15, 1]: 1.0, right: 0.
    y = np.array([0, 1, 0, 1, 1])
    predicted = np.array([0, 0, 0, 0, 1])
    confidence = np.array([0.55, 0.55, 0.9, 0.92, 1.0])
    value, _ = score("neg_calibration_error", y, Outcome(predicted, confidence, confidence))
    np.testing.assert_allclose(value, -(2 * 0.05 + 2 * 0.41) / 5, rtol=1e-12)


def test_calibration_bins_are_fifteen_and_closed_above():
    # Within one bin a miss and a hit cancel; across a border they do not.
    y = np.array([0, 0])
    predicted = np.array([0, 1])

    def error(*confidence):
        c = np.array(confidence)
        return -score("neg_calibration_error", y, Outcome(predicted, c, c))[0]

    np.testing.assert_allclose(error(8 / 15 + 1e-4, 9 / 15 - 1e-4), abs(0.5 - 17 / 30), rtol=1e-3)
    np.testing.assert_allclose(error(9 / 15 + 1e-4, 9 / 15 - 1e-4), 0.5, rtol=1e-3)
    # 0.5 is 7.5/15 and 1.0 belongs to the last bin.
    np.testing.assert_allclose(error(1.0, 14 / 15 + 1e-4), abs(0.5 - 29 / 30), rtol=1e-3)


@pytest.mark.parametrize("confidence", [np.float32(1 / 3), np.float32(0.2), np.float32(0.6)])
def test_a_confidence_on_a_border_belongs_below_it(confidence):
    # Shares of few neighbours are such numbers: rounded up, they must not move up a bin.
    y, predicted = np.array([0, 0]), np.array([0, 1])
    c = np.array([confidence, confidence - np.float32(0.01)])
    value, _ = score("neg_calibration_error", y, Outcome(predicted, c, c))
    np.testing.assert_allclose(value, -abs(0.5 - c.mean()), rtol=1e-5)


@EVERY_METRIC
def test_fits_are_scored_one_by_one_however_they_are_stacked(metric):
    rng = np.random.default_rng(2)
    y = rng.integers(0, CLASSES, N)
    # Some of the fits know fewer classes, which must not change the others' scores.
    fits = [outcome_of(fit(rng, of_classes=known), y) for known in ([0, 1], [2, 3, 4], None, [4])]
    stacked = Outcome(*(np.stack(parts).reshape(2, 2, N) for parts in zip(*fits, strict=True)))
    value, influence = score(metric, y, stacked)
    assert value.shape == (2, 2)
    assert influence.shape == (2, 2, N)
    for k, alone in enumerate(fits):
        one, its = score(metric, y, alone)
        np.testing.assert_allclose(value.ravel()[k], one, rtol=1e-12)
        np.testing.assert_allclose(influence.reshape(4, N)[k], its, atol=1e-12)


@EVERY_METRIC
def test_a_failed_fit_is_nan_and_the_others_are_not(metric):
    rng = np.random.default_rng(3)
    y = rng.integers(0, CLASSES, N)
    good = outcome_of(fit(rng), y)
    nothing = np.full(N, np.nan)
    failed = Outcome(np.full(N, -1, dtype=np.int16), nothing, nothing)
    both = Outcome(*(np.stack(parts) for parts in zip(good, failed, strict=True)))
    value, influence = score(metric, y, both)
    np.testing.assert_allclose(value[0], score(metric, y, good)[0], rtol=1e-12)
    assert np.isfinite(influence[0]).all()
    assert np.isnan(value[1])
    assert np.isnan(influence[1]).all()


@pytest.mark.parametrize("metric", NEED_PROBABILITIES)
def test_without_probabilities_there_is_no_score_of_them(metric):
    y = np.array([0, 1, 1])
    nothing = np.full(3, np.nan, dtype=np.float32)
    assert np.isnan(score(metric, y, Outcome(np.array([0, 1, 0]), nothing, nothing))[0])


# --------------------------------------------------------------------------- influences


@EVERY_METRIC
@every_case
def test_influences_have_mean_zero(metric, y, p):
    _, influence = score(metric, y, outcome_of(p, y))
    assert influence.shape == (N,)
    assert abs(influence.mean()) < 1e-12


@EVERY_METRIC
@every_case
def test_an_influence_is_the_derivative_of_the_score(metric, y, p):
    # Shift a little of the weight to sample i: the score moves by that share of its influence.
    _, influence = score(metric, y, outcome_of(p, y))
    eps = 1e-5
    for i in range(0, N, 4):
        moved = []
        for step in (eps, -eps):
            weight = np.full(N, 1 - step)
            weight[i] += step * N
            moved.append(reference(metric, y, p, weight))
        slope = (moved[0] - moved[1]) / (2 * eps)
        np.testing.assert_allclose(influence[i], slope, rtol=1e-5, atol=1e-7)


@EVERY_METRIC
def test_a_repeated_sample_moves_the_score_by_its_influence(metric):
    # The same by our own scores: of 500 copies of all samples and one more of sample i.
    rng = np.random.default_rng(4)
    y, p = rng.integers(0, CLASSES, 20), fit(rng, n=20)
    value, influence = score(metric, y, outcome_of(p, y))
    copies = np.tile(np.arange(20), 500)
    for i in range(0, 20, 3):
        rows = np.append(copies, i)
        moved, _ = score(metric, y[rows], outcome_of(p[rows], y[rows]))
        predicted = influence[i] / len(rows)
        np.testing.assert_allclose(moved - value, predicted, rtol=0.02, atol=1e-8)
