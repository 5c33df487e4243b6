"""compare(): errors that are the true ones, areas, labels saved, verdicts.

Results are made by hand here, so that the truth is known.
"""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.naive_bayes import GaussianNB

from sslgex.evaluation import (
    LabelEfficiencyResults,
    compare,
    label_efficiency_curve,
    mean_scores,
)
from sslgex.evaluation._metrics import Outcome, score
from sslgex.evaluation._variance import estimate, half_width

LOSS = "neg_log_loss"


def results_of(
    outcomes, y, n_test, *, sizes=(2,), n_train=5_000, groups=None, protocol="resample", **fields
):
    """Make results of outcomes per entry and split; test samples are the first of all."""
    ends = np.cumsum([0, *n_test])
    rest = ends[-1] + np.arange(n_train)
    splits = [(rest, np.arange(a, b)) for a, b in pairwise(ends)]
    first = next(iter(outcomes.values()))[0]
    n_draws = first.predicted.shape[1]
    y = np.concatenate([y, np.zeros(n_train, dtype=int)])
    if groups is not None:
        groups = np.concatenate([groups, groups.max() + 1 + np.arange(n_train)])
    return LabelEfficiencyResults(
        **{
            "entries": list(outcomes),
            "label_sizes": np.array(sizes),
            "n_labels": np.tile(np.array(sizes), (len(splits), 1)),
            "n_draws": n_draws,
            "scoring": ("accuracy", LOSS),
            "protocol": protocol,
            "classes": np.arange(2),
            "y": y,
            "groups": groups,
            "splits": splits,
            "subsets": [],
            "outcomes": outcomes,
            "pretrain_seconds": {name: np.zeros(len(splits)) for name in outcomes},
            "fit_seconds": {},
            "loss_curves": {},
            "content": "by hand",
            **fields,
        }
    )


def with_scores(values, y):
    """An outcome whose log likelihoods are ``values``, (n_sizes, n_draws, n_test)."""
    predicted = np.broadcast_to(y, values.shape).astype(np.int16)
    return Outcome(predicted, np.exp(values), np.exp(values))


def with_hits(correct, y):
    """An outcome that is right where ``correct``."""
    predicted = np.where(correct, y, 1 - y).astype(np.int16)
    nothing = np.full(correct.shape, np.nan)
    return Outcome(predicted, nothing, nothing)


def gaussian(rng, n_draws, n_test, samples, draws, rest):
    """Crossed random effects with these standard deviations, (1, n_draws, n_test)."""
    values = draws * rng.normal(size=(n_draws, 1)) + samples * rng.normal(size=n_test)
    return (values + rest * rng.normal(size=(n_draws, n_test)))[None] - 8


def made(rng, model, *, n_test=30, n_draws=10, n_splits=1, split=0.0, **fields):
    """Results of an entry "a", and of "b" which is a constant; and their labels."""
    y = np.zeros(n_test * n_splits, dtype=int)
    parts, constant = [], []
    for _ in range(n_splits):
        values = gaussian(rng, n_draws, n_test, *model) + split * rng.normal()
        parts.append(with_scores(values, y[:n_test]))
        constant.append(with_scores(np.full(values.shape, -8.0), y[:n_test]))
    return results_of({"a": parts, "b": constant}, y, [n_test] * n_splits, **fields)


def check_unbiased(estimates, truth, slack=0.0):
    """The mean estimate is the truth but for its Monte-Carlo error."""
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert error < 0.1 * truth, "too few repetitions to tell anything"
    assert abs(np.mean(estimates) - truth) < 3.5 * error + slack * truth


@pytest.fixture
def hasty(monkeypatch):
    """Compare without much ado about the labels saved, which cost most of the time."""
    monkeypatch.setattr("sslgex.evaluation._comparison.N_SAMPLES", 10)


def raises(*pieces, error=ValueError):
    """Expect ``error`` whose message holds these pieces in this order."""
    return pytest.raises(error, match="(?s)" + ".*".join(map(re.escape, pieces)))


# ------------------------------------------------------------------------------- variance

MODELS = {
    "samples matter": (1.0, 0.3, 0.5),
    "draws matter": (0.3, 1.0, 1.0),
    "their interaction matters": (0.2, 0.35, 1.2),
    "all of it": (0.5, 0.5, 1.0),
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


@every_model
@pytest.mark.parametrize("names", [["a"], ["a", "b"]], ids=["a mean", "a difference"])
def test_the_variance_is_that_of_the_crossed_model(model, names):
    rng = np.random.default_rng(0)
    n, m = 30, 10
    samples, draws, rest = np.square(model)
    truth = samples / n + draws / m + rest / (n * m)
    weights = np.array([[1.0], [-1.0]])[: len(names)]
    found = [estimate(made(rng, model), names, LOSS).contrast(weights) for _ in range(250)]
    check_unbiased([variance for variance, _ in found], truth)


@every_model
def test_intervals_cover_the_truth_as_often_as_they_say(model):
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        low, high = compare_one(made(rng, model), 0.9)
        covered.append(low <= 0 <= high)
    # Within three binomial standard errors of 90 %, and of what small samples cost.
    assert 0.84 < np.mean(covered) < 0.97


def compare_one(results, level):
    curves = estimate(results, ["a", "b"], LOSS)
    half = half_width(*curves.contrast(np.array([[1.0], [-1.0]])), level)
    difference = float(curves.mean[0, 0] - curves.mean[1, 0])
    return difference - half, difference + half


def test_without_any_draw_effect_the_variance_is_hardly_too_large():
    rng = np.random.default_rng(2)
    truth = 1 / 30 + 1 / 300
    found = [
        estimate(made(rng, (1.0, 0.0, 1.0)), ["a"], LOSS).contrast(np.ones((1, 1)))[0]
        for _ in range(250)
    ]
    assert 0.95 * truth < np.mean(found) < 1.15 * truth


def hits(rng, n_test, n_draws):
    """Labels, and which samples two classifiers get right in which draws."""
    y = (rng.random(n_test) < 0.35).astype(int)
    hardness, luck = rng.uniform(-0.25, 0.25, n_test), rng.normal(0, 0.1, n_draws)
    correct = [
        rng.random((n_draws, n_test)) < chance + share * luck[:, None] + hardness + 0.1 * y
        for chance, share in ((0.65, 1.0), (0.6, -0.5))
    ]
    return y, correct


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1_macro"])
def test_the_variance_of_scores_of_labels_is_that_of_many_repetitions(metric):
    # p(correct) is a function of the draw and of the sample; truth by repetition.
    rng = np.random.default_rng(3)
    n_test, n_draws = 60, 10
    differences = []
    for _ in range(3000):
        y, (a, b) = hits(rng, n_test, n_draws)
        values = [score(metric, y, with_hits(correct, y))[0].mean() for correct in (a, b)]
        differences.append(values[0] - values[1])
    found = []
    for _ in range(200):
        y, (a, b) = hits(rng, n_test, n_draws)
        results = results_of(
            {"a": [with_hits(a[None], y)], "b": [with_hits(b[None], y)]}, y, [n_test]
        )
        curves = estimate(results, ["a", "b"], metric)
        found.append(curves.contrast(np.array([[1.0], [-1.0]]))[0])
    # The truth has an error too, and influences hold to first order only.
    check_unbiased(found, np.var(differences), slack=0.08)


def test_the_variance_of_cross_validation():
    # Five folds, whose samples and draws are their own, in the mean.
    rng = np.random.default_rng(4)
    model = (0.8, 0.8, 1.0)
    truth = 0.64 / 100 + 0.64 / 25 + 1 / 500
    results = [made(rng, model, n_test=20, n_draws=5, n_splits=5, n_train=2000) for _ in range(250)]
    found = [estimate(r, ["a"], LOSS).contrast(np.ones((1, 1)))[0] for r in results]
    # What splits differ by beyond that cannot be negative, so that its estimate is too large.
    assert 0.97 * truth < np.mean(found) < 1.4 * truth


def test_the_variance_of_pretrainings():
    rng = np.random.default_rng(5)
    model, split = (0.5, 0.5, 0.5), 1.0
    truth = 0.25 / 100 + 0.25 / 25 + 0.25 / 500 + 1 / 5
    results = [
        made(rng, model, n_test=20, n_draws=5, n_splits=5, split=split, n_train=2000)
        for _ in range(250)
    ]
    found = [estimate(r, ["a"], LOSS).contrast(np.ones((1, 1))) for r in results]
    check_unbiased([variance for variance, _ in found], truth, slack=0.03)
    # It is known from five splits only.
    assert 3 < np.median([dof for _, dof in found]) < 8


@pytest.mark.parametrize("n_labels", [[10], [20], [20, 36]], ids=str)
def test_the_variance_of_labels_from_one_pool(n_labels):
    # A draw's score is linear and quadratic in its labelled samples, to equal parts (at the first
    # size), out of a pool of 40: however many draws there are, they tell of that pool only.
    rng = np.random.default_rng(6)
    pool, n_draws, n_test = 40, 8, 50
    quadratic = np.sqrt((n_labels[0] - 1) / 2)

    def score(worth):
        n = len(worth)
        pairs = (worth.sum() ** 2 - (worth**2).sum()) / (n * (n - 1))
        return worth.mean() + quadratic * pairs

    def variance(n):
        return 1 / n + quadratic**2 * 2 / (n * (n - 1))

    truth = variance(pool) + (variance(n_labels[-1]) - variance(pool)) / n_draws
    found, means = [], []
    for _ in range(800):
        worth = rng.choice([-1.0, 1.0], size=pool)
        values = np.array(
            [
                [score(worth[rng.permutation(pool)[:size]]) for _ in range(n_draws)]
                for size in n_labels
            ]
        )
        values = values[..., None] + 1e-6 * rng.normal(size=n_test) - 8
        y = np.zeros(n_test, dtype=int)
        results = results_of(
            {"a": [with_scores(values, y)]}, y, [n_test], sizes=n_labels, n_train=pool
        )
        curves = estimate(results, ["a"], LOSS)
        found.append(curves.contrast(np.eye(len(n_labels))[None, -1])[0])
        means.append(curves.mean[0, -1])
    np.testing.assert_allclose(np.var(means), truth, rtol=0.25)
    check_unbiased(found, truth, slack=0.1)


def test_in_the_papers_protocol_the_pool_adds_nothing():
    # Its draws differ by seeds, whose variance no further labels would take away.
    rng = np.random.default_rng(7)
    params = {"n_train": 10, "sizes": (5,)}
    results = made(rng, (0.1, 1.0, 0.1), protocol="dradjat2025", **params)
    ours = LabelEfficiencyResults(**{**vars(results), "protocol": "resample", "_kept": {}})
    fixed, drawn = (estimate(r, ["a"], LOSS).contrast(np.ones((1, 1)))[0] for r in (results, ours))
    draws = results.scores(LOSS)["a"].var(ddof=1) / results.n_draws
    np.testing.assert_allclose(fixed, draws, rtol=0.05)
    assert drawn > 1.5 * fixed
    assert any("labels were drawn once" in note for note in compare(results, "a", "b").notes)


def test_samples_of_one_group_count_as_one():
    rng = np.random.default_rng(8)
    values = gaussian(rng, 6, 25, 1.0, 0.5, 1.0)
    y = np.zeros(25, dtype=int)
    single = results_of({"a": [with_scores(values, y)]}, y, [25])
    # The same with every sample four times.
    copies = np.repeat(np.arange(25), 4)
    fourfold = {"a": [with_scores(values[..., copies], y[copies])]}
    grouped = results_of(fourfold, y[copies], [100], groups=copies)
    alone = results_of(fourfold, y[copies], [100])
    known, same, fooled = (
        estimate(r, ["a"], LOSS).terms[0].variance(np.ones((1, 1)))
        for r in (single, grouped, alone)
    )
    np.testing.assert_allclose(same, known, rtol=1e-9)
    assert fooled < 0.3 * known


def test_a_pool_of_groups_is_as_small_as_the_test_part_shows():
    # One score per draw, and test samples alike within groups of four, or not at all.
    rng = np.random.default_rng(18)
    y, groups = np.zeros(100, dtype=int), np.repeat(np.arange(25), 4)
    draws = rng.normal(size=(1, 6, 1)) - 8
    pools = []
    for effect in (0.1 * rng.normal(size=25)[groups], 0.1 * rng.normal(size=100)):
        drawn = {"a": [with_scores(draws + effect, y)]}
        by_group, alone = (
            estimate(results_of(drawn, y, [100], groups=g), ["a"], LOSS) for g in (groups, None)
        )
        factors = [curves.terms[1].factors[1] for curves in (by_group, alone)]
        pools.append((factors[0] ** 2).sum() / (factors[1] ** 2).sum())
    np.testing.assert_allclose(pools[0], 4 * (25 / 24) / (100 / 99))
    assert 1 - 1e-9 < pools[1] < 1.8  # 1 is the least it can be, but for rounding


def test_a_pool_shows_in_the_sizes_that_were_fitted():
    rng = np.random.default_rng(19)
    y = np.zeros(20, dtype=int)
    values = rng.normal(size=(3, 8, 1)) - 8 + np.zeros(20)
    params = {"sizes": [10, 40, 80], "n_train": 90}
    pools = []
    for failed in ([], [1]):
        values[failed] = np.nan
        results = results_of({"a": [with_scores(values, y)]}, y, [20], **params)
        factor = estimate(results, ["a"], LOSS).terms[1].factors[1]
        pools.append((factor**2).sum(axis=(0, 1)))
    assert pools[0][2] == pools[0][1] > 0
    assert pools[1][2] == pools[1][0] == pools[0][0]


def test_a_pool_is_as_well_known_as_at_the_size_that_it_was_estimated_at():
    # With 80 of 90 labelled all draws are nearly the same, but for their interaction with the
    # test samples; what is known of the pool is what 40 labels told.
    rng = np.random.default_rng(20)
    y = np.zeros(40, dtype=int)
    values = np.concatenate([gaussian(rng, 8, 40, 0.1, spread, 0.3) for spread in (0.5, 0.0)])
    results = results_of({"a": [with_scores(values, y)]}, y, [40], sizes=[40, 80], n_train=90)
    curves = estimate(results, ["a"], LOSS)
    draws, pool = (share[1] for share in curves.terms[1].shares)
    assert draws < 0.6 < pool
    (_, fewer), (_, most) = (curves.contrast(size[None]) for size in np.eye(2))
    assert 0.9 * fewer < most


def test_one_group_of_test_samples_gives_no_verdict():
    # Its own spread is unknown: the interval would be that of the draws.
    y = np.zeros(30, dtype=int)
    values = np.stack([[np.linspace(-2, -1, 30) + 0.01 * j for j in range(6)]])
    entries = {"a": [with_scores(values, y)], "b": [with_scores(values - 1.0, y)]}
    groups = np.arange(30) % 2
    two, one, none = (
        compare(results_of(entries, y, [30], groups=g), "a", "b", metric=LOSS)
        for g in (groups, np.zeros(30, dtype=int), None)
    )
    assert two.verdict == none.verdict == "helps"
    assert one.verdict == "cannot tell"
    assert "all test samples are of one group" in str(one)


@pytest.mark.parametrize("n_failed", [0, 1, 3])
def test_draws_that_failed_are_told_and_many_leave_no_verdict(n_failed):
    rng = np.random.default_rng(20)
    y = np.zeros(50, dtype=int)
    values = gaussian(rng, 20, 50, 0.1, 0.1, 0.1)
    worse = values - 1.0
    worse[0, :n_failed] = np.nan
    entries = {"a": [with_scores(values, y)], "b": [with_scores(worse, y)]}
    found = compare(results_of(entries, y, [50]), "a", "b", metric=LOSS)
    assert found.verdict == ("cannot tell" if n_failed == 3 else "helps")
    said = {0: "", 1: "5 % of the draws are left out", 3: "failed in 15 % of the draws"}
    assert said[n_failed] in " ".join(found.notes)
    assert bool(found.notes) == bool(n_failed)


def test_no_gain_is_relative_to_nothing():
    y = np.zeros(10, dtype=int)
    right, wrong = np.zeros((1, 3, 10), dtype=np.int16), np.ones((1, 3, 10), dtype=np.int16)
    p = np.full((1, 3, 10), 0.5)
    entries = {"a": [Outcome(right, p, p)], "b": [Outcome(wrong, p, p)]}
    with raises("area under 'b' is 0", "'mean'"):
        compare(results_of(entries, y, [10]), "a", "b", metric="accuracy", area="relative")


def test_groups_of_unequal_size_are_weighed_by_their_samples():
    rng = np.random.default_rng(9)
    sizes = np.array([1, 2, 3, 6] * 6)
    groups = np.repeat(np.arange(24), sizes)
    share = sizes / sizes.sum()
    found, means = [], []
    for _ in range(250):
        effect = rng.normal(size=24)
        values = np.broadcast_to(effect[groups] - 8, (1, 2, len(groups)))
        y = np.zeros(len(groups), dtype=int)
        results = results_of({"a": [with_scores(values, y)]}, y, [len(y)], groups=groups)
        curves = estimate(results, ["a"], LOSS)
        found.append(curves.contrast(np.ones((1, 1)))[0])
        means.append(curves.mean[0, 0])
    check_unbiased(found, (share**2).sum(), slack=0.08)


def test_the_covariance_of_sizes_is_counted_in_the_area():
    # Sizes that share their luck vary more together than sizes that do not.
    rng = np.random.default_rng(10)
    weights = np.full((1, 3), 1 / 3)
    y = np.zeros(30, dtype=int)
    for shared in (True, False):
        found = []
        for _ in range(200):
            values = gaussian(rng, 6, 30, 1.0, 0.0, 0.2)
            several = [values] + [
                values if shared else gaussian(rng, 6, 30, 1.0, 0.0, 0.2) for _ in range(2)
            ]
            outcome = with_scores(np.concatenate(several), y)
            results = results_of({"a": [outcome]}, y, [30], sizes=(2, 3, 4))
            found.append(estimate(results, ["a"], LOSS).contrast(weights)[0])
        truth = (1 / 30 + 0.04 / 180) / (1 if shared else 3)
        check_unbiased(found, truth, slack=0.03)


# ------------------------------------------------------------- means, differences, symmetry


def several_sizes(seed=0, gains=(0.1, 0.5, 1.0), n_splits=2, hardness=1.0):
    """Two entries on three sizes; "a" is better by ``gains``."""
    rng = np.random.default_rng(seed)
    n_test, y = 20, np.zeros(20 * n_splits, dtype=int)
    outcomes = {"a": [], "b": []}
    for _ in range(n_splits):
        common = hardness * rng.normal(size=n_test)
        for name, gain in (("a", gains), ("b", np.zeros(len(gains)))):
            values = 0.6 * rng.normal(size=(len(gains), 5, n_test)) + common
            values += 0.2 * rng.normal(size=(len(gains), 5, 1)) + np.reshape(gain, (-1, 1, 1))
            outcomes[name].append(with_scores(values - 8, y[:n_test]))
    return results_of(
        outcomes, y, [n_test] * n_splits, sizes=(10, 20, 40)[: len(gains)], n_train=200
    )


def test_the_difference_is_that_of_the_mean_scores():
    results = several_sizes()
    c = compare(results, "a", "b", metric=LOSS)
    scores = results.scores(LOSS)
    np.testing.assert_allclose(c.difference, (scores["a"] - scores["b"]).mean(axis=(0, 2)))
    np.testing.assert_allclose(c.interval.mean(axis=1), c.difference)
    np.testing.assert_allclose(c.simultaneous_interval.mean(axis=1), c.difference)
    np.testing.assert_allclose(np.mean(c.gain_interval), c.gain)
    assert (c.a, c.b, c.metric, c.level, c.area) == ("a", "b", LOSS, 0.95, "mean")
    np.testing.assert_array_equal(c.label_sizes, [10, 20, 40])


def test_the_other_way_round_everything_is_the_other_way_round():
    results = several_sizes()
    ab, ba = (compare(results, *pair, metric=LOSS) for pair in (("a", "b"), ("b", "a")))
    np.testing.assert_allclose(ba.difference, -ab.difference)
    np.testing.assert_allclose(ba.interval, -ab.interval[:, ::-1], rtol=1e-6)
    np.testing.assert_allclose(
        ba.simultaneous_interval, -ab.simultaneous_interval[:, ::-1], rtol=1e-6
    )
    np.testing.assert_allclose(ba.gain, -ab.gain)
    np.testing.assert_allclose(ba.gain_interval, [-ab.gain_interval[1], -ab.gain_interval[0]])
    turned = {"helps": "hurts", "hurts": "helps", "cannot tell": "cannot tell"}
    assert ba.verdicts == [turned[v] for v in ab.verdicts]
    assert (ab.verdict, ba.verdict) == ("helps", "hurts")


@pytest.mark.usefixtures("hasty")
def test_simultaneous_intervals_are_wider_and_all_verdicts_are_by_them():
    for seed in range(10):
        c = compare(several_sizes(seed, gains=(0.0, 0.2, 0.4)), "a", "b", metric=LOSS)
        low, high = c.simultaneous_interval.T
        assert (low < c.interval[:, 0]).all()
        assert (high > c.interval[:, 1]).all()
        for verdict, lo, hi in zip(c.verdicts, low, high, strict=True):
            assert verdict == ("helps" if lo > 0 else "hurts" if hi < 0 else "cannot tell")
        lo, hi = c.gain_interval
        assert c.verdict == ("helps" if lo > 0 else "hurts" if hi < 0 else "cannot tell")


@pytest.mark.usefixtures("hasty")
def test_simultaneous_intervals_hold_together_as_often_as_they_say():
    inside, by_itself = [], []
    for seed in range(150):
        c = compare(
            several_sizes(seed, gains=(0, 0, 0), n_splits=1), "a", "b", metric=LOSS, level=0.9
        )
        for kept, interval in ((inside, c.simultaneous_interval), (by_itself, c.interval)):
            kept.append(((interval[:, 0] <= 0) & (interval[:, 1] >= 0)).all())
    assert np.mean(inside) > 0.8
    assert np.mean(by_itself) < np.mean(inside)


def test_one_size_needs_no_allowance_for_others():
    c = compare(several_sizes(gains=(0.5,)), "a", "b", metric=LOSS)
    np.testing.assert_allclose(c.simultaneous_interval, c.interval, rtol=0.05)


def test_a_higher_level_is_a_wider_interval():
    results = several_sizes()
    bounds = []
    for level in (0.5, 0.9, 0.99):
        c = compare(results, "a", "b", metric=LOSS, level=level)
        bounds.append([c.interval[0], c.gain_interval, c.simultaneous_interval[0]])
        bounds[-1].append(c.labels_saved_interval)
    for narrow, wide in pairwise(np.array(bounds)):
        assert (wide[:3, 0] < narrow[:3, 0]).all()
        assert (wide[:3, 1] > narrow[:3, 1]).all()
        # Of labels saved there are not so many values.
        assert wide[3, 0] <= narrow[3, 0]
        assert wide[3, 1] >= narrow[3, 1]


def test_equal_entries_differ_by_nothing():
    results = several_sizes()
    outcomes = {"a": results.outcomes["a"], "b": results.outcomes["a"]}
    results = LabelEfficiencyResults(**{**vars(results), "outcomes": outcomes, "_kept": {}})
    for area in ("mean", "integral", "relative"):
        c = compare(results, "a", "b", metric=LOSS, area=area)
        assert (c.difference == 0).all()
        assert (c.interval == 0).all()
        assert (c.simultaneous_interval == 0).all()
        assert c.gain == 0
        np.testing.assert_allclose(c.gain_interval, 0, atol=1e-12)
        assert c.verdict == "cannot tell"
        assert c.verdicts == ["cannot tell"] * 3
    np.testing.assert_allclose([c.labels_saved, *c.labels_saved_interval], 0, atol=1e-6)


def by_hand(n_test=100, sizes=(10, 20, 40), n_train=100, n_draws=2, **curves):
    """Two entries with these accuracies: right on the first samples, and on the last."""
    y = np.arange(n_test) % 2
    orders = [np.arange(n_test), np.arange(n_test)[::-1]]
    outcomes = {
        name: [with_hits(np.array([[order < round(v * n_test)] * n_draws for v in values]), y)]
        for (name, values), order in zip(curves.items(), orders, strict=True)
    }
    return results_of(outcomes, y, [n_test], sizes=sizes, n_train=n_train)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_size_where_both_predict_the_same_does_not_spoil_the_others(position):
    # Both get everything right with enough labels.
    a, b = [0.9, 0.9, 0.9], [0.5, 0.5, 0.5]
    a[position] = b[position] = 1.0
    c = compare(by_hand(a=a, b=b), "a", "b")
    expected = ["helps"] * 3
    expected[position] = "cannot tell"
    assert c.verdicts == expected
    assert (c.simultaneous_interval[position] == 0).all()
    assert np.isfinite(c.simultaneous_interval).all()


# ------------------------------------------------------------------------------------ areas


def test_the_mean_gain_is_the_area_by_its_width():
    # 10 to 20 labels: 0.15 on average; 20 to 40: 0.3.
    c = compare(by_hand(a=[0.6, 0.8, 1.0], b=[0.5, 0.6, 0.6]), "a", "b")
    np.testing.assert_allclose(c.gain, (10 * 0.15 + 20 * 0.3) / 30)
    assert (c.lo, c.hi) == (10, 40)


def test_the_integral_is_over_proportions_of_the_training_samples():
    results = by_hand(a=[0.6, 0.8, 1.0], b=[0.5, 0.6, 0.6], n_train=200)
    c = compare(results, "a", "b", area="integral")
    np.testing.assert_allclose(c.gain, (10 * 0.15 + 20 * 0.3) / 200)


def test_the_relative_gain_is_by_the_area_under_b():
    results = by_hand(a=[0.6, 0.8, 1.0], b=[0.5, 0.6, 0.6])
    c = compare(results, "a", "b", area="relative")
    np.testing.assert_allclose(c.gain, (10 * 0.15 + 20 * 0.3) / (10 * 0.55 + 20 * 0.6))


def test_proportions_are_areas_over_proportions():
    results = by_hand(a=[0.6, 0.8, 1.0], b=[0.5, 0.6, 0.6])
    fields = {"label_sizes": np.array([0.1, 0.2, 0.4]), "_kept": {}}
    results = LabelEfficiencyResults(**{**vars(results), **fields})
    c = compare(results, "a", "b", area="integral", lo=0.1, hi=0.2)
    np.testing.assert_allclose(c.gain, 0.1 * 0.15)
    assert (c.lo, c.hi) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("lo", "hi", "gain", "found"),
    [
        (10, 20, 0.15, (10, 20)),
        (20, None, 0.3, (20, 40)),
        (None, 39, 0.15, (10, 20)),
        (11, 100, 0.3, (20, 40)),
        (20, 20, 0.2, (20, 20)),
    ],
)
def test_the_range_of_the_gain(lo, hi, gain, found):
    c = compare(by_hand(a=[0.6, 0.8, 1.0], b=[0.5, 0.6, 0.6]), "a", "b", lo=lo, hi=hi)
    np.testing.assert_allclose(c.gain, gain)
    assert (c.lo, c.hi) == found
    # Only the gain has a range.
    np.testing.assert_allclose(c.difference, [0.1, 0.2, 0.4])


@pytest.mark.parametrize("area", ["mean", "relative"])
def test_sizes_that_come_to_as_many_labels_are_weighed_alike(area):
    # Of 100 samples 20.1 % and 20.2 % are 20.
    results = by_hand(sizes=(20, 20), a=[0.6, 0.8], b=[0.5, 0.5])
    fields = {"label_sizes": np.array([0.201, 0.202]), "_kept": {}}
    results = LabelEfficiencyResults(**{**vars(results), **fields})
    c = compare(results, "a", "b", area=area)
    np.testing.assert_allclose(c.gain, 0.2 if area == "mean" else 0.4)


def test_the_gain_of_equal_weights_has_the_interval_of_its_difference():
    results = several_sizes(gains=(0.5,))
    c = compare(results, "a", "b", metric=LOSS)
    np.testing.assert_allclose(c.gain_interval, c.interval[0])


def test_an_integral_is_a_mean_by_another_unit():
    results = several_sizes()
    mean = compare(results, "a", "b", metric=LOSS)
    integral = compare(results, "a", "b", metric=LOSS, area="integral")
    np.testing.assert_allclose(integral.gain_interval, np.multiply(mean.gain_interval, 30 / 200))
    assert integral.verdict == mean.verdict


@pytest.mark.parametrize("area", ["mean", "integral", "relative"])
@pytest.mark.parametrize("metric", ["accuracy", LOSS])
def test_a_better_entry_helps_in_every_unit(area, metric):
    # The log likelihood is negative; dividing by it must not turn the sign.
    y = np.zeros(50, dtype=int)
    rng = np.random.default_rng(0)
    outcomes = {}
    for name, p in (("a", 0.9), ("b", 0.5)):
        share = np.clip(p + 0.02 * rng.normal(size=(3, 10, 50)), 0.01, 0.99)
        predicted = np.where(rng.random(share.shape) < share, 0, 1).astype(np.int16)
        outcomes[name] = [Outcome(predicted, share, share)]
    results = results_of(outcomes, y, [50], sizes=(10, 20, 40))
    c = compare(results, "a", "b", metric=metric, area=area)
    assert c.verdict == "helps"
    assert c.gain_interval[0] > 0
    assert compare(results, "b", "a", metric=metric, area=area).verdict == "hurts"


@pytest.mark.usefixtures("hasty")
def test_the_relative_gains_interval_is_that_of_a_ratio():
    # Simulated: the variance of (a - b) / b, from the spread of many repetitions.
    rng = np.random.default_rng(11)
    y = np.zeros(40, dtype=int)
    gains, widths = [], []
    for _ in range(150):
        outcomes = {
            name: [with_hits(rng.random((1, 6, 40)) < p + 0.1 * rng.normal(size=(1, 6, 1)), y)]
            for name, p in (("a", 0.8), ("b", 0.6))
        }
        c = compare(results_of(outcomes, y, [40]), "a", "b", area="relative", level=0.68)
        gains.append(c.gain)
        widths.append(np.diff(c.gain_interval)[0] / 2)
    np.testing.assert_allclose(np.mean(gains), 0.8 / 0.6 - 1, atol=0.05)
    np.testing.assert_allclose(np.mean(widths), np.std(gains), rtol=0.25)


# ----------------------------------------------------------------------------- labels saved


@pytest.mark.parametrize(
    ("a", "b", "saved"),
    [
        # b's best, 0.7, needs 40 labels; a has it at 20.
        ([0.6, 0.7, 0.9], [0.5, 0.6, 0.7], 1 - 20 / 40),
        # a has it halfway from 10 to 20.
        ([0.6, 0.8, 0.9], [0.5, 0.6, 0.7], 1 - 15 / 40),
        # a quarter of the way from 20 to 40
        ([0.5, 0.65, 0.85], [0.5, 0.6, 0.7], 1 - 25 / 40),
        # a has it from the start.
        ([0.7, 0.7, 0.7], [0.5, 0.6, 0.7], 1 - 10 / 40),
        # Both have it from the start.
        ([0.7, 0.8, 0.9], [0.7, 0.7, 0.7], 0.0),
        # b needs less for its best: half as many.
        ([0.5, 0.6, 0.7], [0.5, 0.7, 0.7], 1 - 40 / 20),
        # a's curve falls: 0.8 and 0.6 count as 0.7 twice, b's best.
        ([0.6, 0.8, 0.6], [0.5, 0.6, 0.7], 1 - 20 / 40),
        # b's curve falls: its best is 0.7, which it has with 20 labels.
        ([0.6, 0.8, 0.8], [0.5, 0.8, 0.6], 1 - 15 / 20),
    ],
)
def test_labels_saved(a, b, saved):
    c = compare(by_hand(n_test=1000, a=a, b=b), "a", "b")
    np.testing.assert_allclose(c.labels_saved, saved, atol=1e-9)
    low, high = c.labels_saved_interval
    assert low <= c.labels_saved <= high
    assert f"labels saved: {100 * c.labels_saved:.0f} %" in repr(c)


def test_a_score_that_is_not_reached_saves_no_labels():
    c = compare(by_hand(n_test=1000, a=[0.5, 0.55, 0.6], b=[0.5, 0.6, 0.9]), "a", "b")
    assert np.isnan(c.labels_saved)
    assert c.labels_saved_interval == (-np.inf, -np.inf)
    assert "labels saved: not reached [not reached, not reached]" in repr(c)


def test_a_score_that_is_hardly_reached_may_save_no_labels():
    c = compare(by_hand(a=[0.5, 0.7, 0.85], b=[0.5, 0.6, 0.84]), "a", "b")
    assert 0 < c.labels_saved < 0.1
    low, high = c.labels_saved_interval
    assert low == -np.inf
    assert high > 0.1


def test_labels_saved_are_counted_in_labels_when_sizes_are_proportions():
    results = by_hand(n_test=1000, a=[0.6, 0.8, 0.9], b=[0.5, 0.6, 0.7])
    fields = {"label_sizes": np.array([0.1, 0.2, 0.4]), "_kept": {}}
    results = LabelEfficiencyResults(**{**vars(results), **fields})
    np.testing.assert_allclose(compare(results, "a", "b").labels_saved, 1 - 15 / 40)


# ------------------------------------------------------------------------------ failed fits


def without(results, name, cells):
    """The same results, with some fits of an entry failed."""
    outcomes = dict(results.outcomes)
    outcomes[name] = []
    for s, outcome in enumerate(results.outcomes[name]):
        parts = [part.copy() for part in outcome]
        for split, k, draw in cells:
            if split == s:
                parts[0][k, draw] = -1
                parts[1][k, draw] = parts[2][k, draw] = np.nan
        outcomes[name].append(Outcome(*parts))
    return LabelEfficiencyResults(**{**vars(results), "outcomes": outcomes, "_kept": {}})


def test_draws_that_one_of_them_failed_are_left_out_of_both():
    results = several_sizes(n_splits=1)
    some = without(without(results, "a", [(0, 1, 0)]), "b", [(0, 1, 3)])
    scores = results.scores(LOSS)
    c = compare(some, "a", "b", metric=LOSS)
    paired = (scores["a"] - scores["b"])[0]
    np.testing.assert_allclose(c.difference[1], paired[1, [1, 2, 4]].mean())
    np.testing.assert_allclose(c.difference[[0, 2]], paired[[0, 2]].mean(axis=1))
    assert np.isfinite(c.interval).all()
    assert np.isfinite(c.gain_interval).all()
    whole = compare(results, "a", "b", metric=LOSS)
    np.testing.assert_allclose(c.interval[0], whole.interval[0], rtol=0.2)


def test_a_split_that_failed_leaves_the_others():
    results = several_sizes()
    lost = without(results, "a", [(0, k, draw) for k in range(3) for draw in range(5)])
    c = compare(lost, "a", "b", metric=LOSS)
    scores = results.scores(LOSS)
    np.testing.assert_allclose(c.difference, (scores["a"] - scores["b"])[1].mean(axis=1))
    assert np.isfinite(c.interval).all()


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("area", ["mean", "relative"])
def test_a_size_that_failed_leaves_the_others(k, area):
    results = several_sizes()
    lost = without(results, "b", [(s, k, draw) for s in range(2) for draw in range(5)])
    c = compare(lost, "a", "b", metric=LOSS, area=area)
    whole = compare(results, "a", "b", metric=LOSS, area=area)
    others = [i for i in range(3) if i != k]
    assert np.isnan(c.difference[k])
    assert np.isnan(c.interval[k]).all()
    assert c.verdicts[k] == "cannot tell"
    np.testing.assert_allclose(c.difference[others], whole.difference[others])
    np.testing.assert_allclose(c.interval[others], whole.interval[others], atol=0.1)
    assert np.isfinite(c.simultaneous_interval[others]).all()
    # The gain is that of the sizes that are left.
    assert np.isfinite([c.gain, *c.gain_interval]).all()
    assert (
        min(whole.difference[others]) <= c.gain <= max(whole.difference[others]) or area != "mean"
    )
    assert np.isfinite(c.labels_saved)
    assert "nan" in repr(c)


def test_one_draw_that_is_left_is_not_taken_for_certain():
    # Of one draw nobody knows how far the next is.
    rng = np.random.default_rng(12)
    y = np.zeros(50, dtype=int)
    values = np.concatenate([gaussian(rng, 6, 50, 0.1, 1.0, 0.1) for _ in range(2)])
    outcomes = {"a": [with_scores(values, y)], "b": [with_scores(0 * values - 8, y)]}
    results = results_of(outcomes, y, [50], sizes=(10, 20))
    c = compare(
        without(results, "a", [(0, 1, draw) for draw in range(1, 6)]), "a", "b", metric=LOSS
    )
    six, one = np.diff(c.interval, axis=1).ravel()
    assert six > 0.5
    assert np.isnan(one) or one > six
    assert c.verdicts[1] == "cannot tell"


def test_failures_of_all_fits_are_refused():
    results = several_sizes()
    lost = without(results, "a", [(s, k, d) for s in range(2) for k in range(3) for d in range(5)])
    with raises("'a' has no neg_log_loss", "fits failed"):
        compare(lost, "a", "b", metric=LOSS)


# --------------------------------------------------------------------- results that go together

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = RNG.normal(size=(60, 4)) + 2 * np.eye(3, 4)[Y]
NB, CHANCE = {"nb": GaussianNB()}, {"chance": DummyClassifier()}


def curve(entries, X=X, y=Y, **params):
    params = {"label_sizes": [6, 12], "n_draws": 2, "cv": 2, "random_state": 0, **params}
    return label_efficiency_curve(entries, X, y, **params)


def test_results_of_the_same_sweep_are_joined():
    both = compare(curve(NB | CHANCE), "nb", "chance")
    joined = compare([curve(NB), curve(CHANCE)], "nb", "chance")
    assert both.verdict == "helps"
    assert repr(both) == repr(joined)
    np.testing.assert_array_equal(both.simultaneous_interval, joined.simultaneous_interval)


def test_joined_results_have_all_entries_and_the_metrics_that_all_have():
    joined = LabelEfficiencyResults.join(
        [curve(NB, scoring=["f1_macro", "accuracy"]), curve(CHANCE, scoring=["accuracy"])]
    )
    assert joined.entries == ["nb", "chance"]
    assert joined.scoring == ("accuracy",)
    frame = joined.to_frame()
    pd.testing.assert_frame_equal(
        frame.drop(columns=["fit_seconds"]),
        curve(NB | CHANCE, scoring="accuracy").to_frame().drop(columns=["fit_seconds"]),
    )


OTHER = {
    "X": {"X": X + 1},
    "y": {"y": (Y + 1) % 3},
    "the seed": {"random_state": 1},
    "cv": {"cv": 3},
    "label_sizes": {"label_sizes": [6, 13]},
    "n_draws": {"n_draws": 3},
    "protocol": {"protocol": "dradjat2025"},
}


@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER.keys())
def test_results_of_different_sweeps_are_refused(other):
    with raises("different sweeps", "not paired", "Run both with the same X"):
        compare([curve(NB), curve(CHANCE, **other)], "nb", "chance")


def test_results_with_other_groups_are_refused():
    # Groups are what intervals count by.
    cv = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    with raises("different sweeps", "groups"):
        compare([curve(NB, cv=cv), curve(CHANCE, cv=cv, groups=np.arange(60) // 3)], "nb", "chance")


def test_the_same_name_in_two_sweeps_is_refused():
    with raises("equal names", "['nb', 'nb']"):
        compare([curve(NB), curve(NB)], "nb", "nb")


@pytest.mark.parametrize("results", [[], ["results"], 3 * [None]], ids=["none", "text", "None"])
def test_what_are_no_results_is_refused(results):
    with raises("LabelEfficiencyResults are needed", error=TypeError):
        compare(results, "a", "b")


# --------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("names", "params", "pieces"),
    [
        (("a", "c"), {}, ["There is no entry 'c'; there are ['a', 'b']"]),
        (("c", "b"), {}, ["There is no entry 'c'"]),
        (("a", "a"), {}, ["a and b are the same entry, 'a'"]),
        (("a", "b"), {"metric": "auc"}, ["metric must be one of", "got 'auc'"]),
        (("a", "b"), {"metric": LOSS}, ["'a' has no neg_log_loss", "no predict_proba"]),
        (("a", "b"), {"level": 95}, ["level must be between 0 and 1", "got 95"]),
        (("a", "b"), {"level": 0}, ["level must be between 0 and 1"]),
        (("a", "b"), {"area": "auc"}, ["area must be one of ['mean', 'integral', 'rel", "'auc'"]),
        (("a", "b"), {"lo": 21, "hi": 39}, ["No size is between lo=21 and hi=39", "[10, 20, 40]"]),
        (("a", "b"), {"lo": 40, "hi": 10}, ["No size is between lo=40 and hi=10"]),
        (("a", "b"), {"lo": 20, "hi": 20, "area": "integral"}, ["area needs two sizes"]),
    ],
)
def test_arguments_that_cannot_be_are_refused(names, params, pieces):
    with raises(*pieces):
        compare(by_hand(a=[0.6, 0.8, 1.0], b=[0.5, 0.6, 0.6]), *names, **params)


def test_one_draw_tells_nothing():
    results = by_hand(a=[0.6, 0.8, 1.0], b=[0.5, 0.6, 0.6], n_draws=1)
    with raises("One draw of labels", "n_draws=2"):
        compare(results, "a", "b")
    with raises("One draw of labels", "n_draws=2"):
        mean_scores(results)


def test_the_metric_is_the_first_of_scoring_unless_another_is_asked_for():
    results = several_sizes()
    assert compare(results, "a", "b").metric == "accuracy"
    assert compare(results, "a", "b").verdict == "cannot tell"  # all are right
    results = curve(NB | CHANCE, scoring=["f1_macro", "accuracy"])
    assert compare(results, "nb", "chance").metric == "f1_macro"
    # One that was not asked for can be had as well.
    assert compare(results, "nb", "chance", metric="balanced_accuracy").verdict == "helps"


def test_a_comparison_is_a_frame_and_a_text():
    c = compare(several_sizes(), "a", "b", metric=LOSS)
    frame = c.to_frame()
    assert list(frame) == [
        *("size", "difference", "low", "high", "simultaneous_low", "simultaneous_high"),
        "verdict",
    ]
    np.testing.assert_array_equal(frame["size"], [10, 20, 40])
    np.testing.assert_array_equal(frame[["low", "high"]], c.interval)
    np.testing.assert_array_equal(
        frame[["simultaneous_low", "simultaneous_high"]], c.simultaneous_interval
    )
    assert frame["verdict"].tolist() == c.verdicts
    text = repr(c)
    assert text.startswith("a against b: helps")
    assert f"{c.difference[2]:+.3f}" in text
    assert f"mean gain from 10 to 40: {c.gain:+.3f}" in text


def pretrained(results, *names):
    """The same results, of entries that were pretrained."""
    seconds = {n: np.full(len(results.splits), float(n in names)) for n in results.entries}
    return LabelEfficiencyResults(**{**vars(results), "pretrain_seconds": seconds, "_kept": {}})


@pytest.mark.parametrize("name", ["a", "b"])
def test_one_pretraining_gives_no_verdict(name):
    # The next pretraining may turn out otherwise, and one split knows nothing of that.
    one = several_sizes(n_splits=1, gains=(2.0, 2.0, 2.0))
    known = compare(one, "a", "b", metric=LOSS)
    assert known.verdict == "helps"
    assert known.verdicts == ["helps"] * 3
    assert known.notes == []
    c = compare(pretrained(one, name), "a", "b", metric=LOSS)
    assert c.verdict == "cannot tell"
    assert c.verdicts == ["cannot tell"] * 3
    assert len(c.notes) == 1
    assert "one split has one pretraining" in c.notes[0]
    assert c.notes[0] in repr(c)
    np.testing.assert_array_equal(c.interval, known.interval)
    two = pretrained(several_sizes(gains=(2.0, 2.0, 2.0)), name)
    assert compare(two, "a", "b", metric=LOSS).verdict == "helps"


def test_the_calibration_error_gives_no_verdict():
    c = compare(several_sizes(), "a", "b", metric="neg_calibration_error")
    assert c.verdict == "cannot tell"
    assert any("calibration error comes out too large" in note for note in c.notes)


# ------------------------------------------------------------------------------- mean_scores


def test_mean_scores_are_means_with_intervals():
    results = several_sizes()
    found = mean_scores(results, metric=LOSS)
    assert list(found) == ["a", "b"]
    for name, table in found.items():
        assert table.shape == (3, 3)
        np.testing.assert_allclose(table[:, 0], results.scores(LOSS)[name].mean(axis=(0, 2)))
        np.testing.assert_allclose(table[:, 1:].mean(axis=1), table[:, 0])
        variance, dof = estimate(results, [name], LOSS).contrast(np.eye(3)[None, 1])
        np.testing.assert_allclose(
            np.diff(table[1, 1:])[0] / 2, half_width(variance, dof, 0.95), rtol=1e-9
        )
    wide = mean_scores(results, metric=LOSS, level=0.99)["a"]
    assert (wide[:, 1] < found["a"][:, 1]).all()
    assert (wide[:, 2] > found["a"][:, 2]).all()


def test_mean_scores_of_a_metric_that_does_not_exist_are_refused():
    with raises("metric must be one of", "got 'auc'"):
        mean_scores(several_sizes(), metric="auc")


def test_pairing_makes_a_difference_surer_than_its_parts():
    # Both are tested on the same samples, which are most of the variance here.
    results = several_sizes(hardness=2.0)
    parts = mean_scores(results, metric=LOSS)
    c = compare(results, "a", "b", metric=LOSS)
    widths = [np.diff(parts[name][:, 1:], axis=1) for name in "ab"]
    assert (np.diff(c.interval, axis=1) < np.minimum(*widths)).all()


def test_the_best_entry_is_that_with_the_largest_area():
    # "early" has the higher mean of the three scores, "late" the higher curve over most labels.
    y = np.zeros(10, dtype=int)
    curves = {"early": [-1.0, -4.0, -4.0], "late": [-5.0, -3.0, -3.0]}
    entries = {
        name: [with_scores(np.array(curve)[:, None, None] + np.zeros((3, 2, 10)), y)]
        for name, curve in curves.items()
    }
    results = results_of(entries, y, [10], sizes=[10, 20, 200])
    assert results.best(metric=LOSS) == "late"
    assert compare(results, "late", "early", metric=LOSS).gain > 0
    entries["late"][0].p_true[1:] = np.nan
    assert results_of(entries, y, [10], sizes=[10, 20, 200]).best(metric=LOSS) == "early"
