"""The default baselines: what they choose from, what they fall back on, what they weigh."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_class_weight

from sslgex import SSLClassifier
from sslgex._head import FALLBACK_C, GRID
from sslgex.evaluation import default_baselines, label_efficiency_curve
from sslgex.evaluation._baselines import PrincipalComponents
from sslgex.evaluation._tuned import (
    TEMPERATURES,
    Centroids,
    LeadingComponents,
    Spreading,
    Tuned,
    TunedWithPool,
)

NAMES = [
    "logistic regression",
    "PCA + logistic regression",
    "label spreading",
    "nearest centroid",
    "nearest neighbours",
    "random forest",
    "network from scratch",
    "network from scratch (ours)",
    "random encoder",
]
every_baseline = pytest.mark.parametrize("name", NAMES)
# The study's network says in every fit that it has too few labels to stop early.
pytestmark = pytest.mark.filterwarnings("ignore:Too few labels for early stopping:UserWarning")

N, GENES = 60, 40
RNG = np.random.default_rng(0)
CODES = np.arange(N) % 3
LABELS = np.array(["skin", "lung", "liver"])[CODES]
X = np.maximum(RNG.normal(1, 1, size=(N, GENES)) + 1.5 * np.eye(3, GENES)[CODES], 0)
X[:, :12] += np.repeat(np.eye(3), 4, axis=1)[CODES]
POOL = np.arange(24, N)


def few(per_class):
    """Rows with so many labels of each class."""
    return np.arange(3 * per_class)


def baseline(name, **params):
    """One of them, small enough for a test."""
    entry = default_baselines(**{"random_state": 0, **params})[name]
    if name == "random forest":
        return entry.set_params(estimator__n_estimators=10)
    if name.startswith("network"):
        return entry.set_params(hidden_layer_sizes=(8, 8), max_epochs=5)
    if name == "random encoder":
        return entry.set_params(encoder__hidden_layer_sizes=(16, 16))
    return entry


def fit(entry, rows, values=X, labels=LABELS, pool=POOL):
    """Fit the encoder, if there is one, on all samples, the classifier on the labelled ones."""
    more = {}
    if isinstance(entry, SSLClassifier) and entry.encoder is not None and len(pool):
        more["X_unlabeled"] = values[pool]
    return clone(entry).fit(values[rows], labels[rows], **more)


def head_of(fitted):
    return getattr(fitted, "head_", fitted)


def test_there_are_nine_of_them_all_unfitted_and_all_new():
    one, other = default_baselines(), default_baselines()
    assert list(one) == NAMES
    for name in NAMES:
        assert one[name] is not other[name]
        assert not hasattr(one[name], "classes_")


@every_baseline
@pytest.mark.parametrize("per_class", [1, 2])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix], ids=["dense", "sparse"])
def test_few_labels_are_enough(name, per_class, make):
    fitted = fit(baseline(name), few(per_class), make(X))
    np.testing.assert_array_equal(fitted.classes_, ["liver", "lung", "skin"])
    p = fitted.predict_proba(make(X))
    assert p.shape == (N, 3)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(fitted.predict(make(X)), fitted.classes_[p.argmax(axis=1)])


@every_baseline
def test_sparse_and_dense_matrices_give_the_same(name):
    dense, sparse = (
        fit(baseline(name), few(2), make(X)).predict_proba(make(X))
        for make in (np.asarray, sp.csr_matrix)
    )
    np.testing.assert_allclose(sparse, dense, atol=1e-3)


@every_baseline
def test_equal_seeds_give_equal_results(name):
    one, other = (fit(baseline(name), few(4)).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["random forest", "network from scratch (ours)", "random encoder"])
def test_other_seeds_give_other_results(name):
    one, other = (
        fit(baseline(name, random_state=seed), few(4)).predict_proba(X) for seed in (0, 1)
    )
    assert np.abs(one - other).max() > 1e-3


@every_baseline
def test_every_baseline_learns(name):
    entry = baseline(name)
    if name.startswith("network"):
        entry = entry.set_params(hidden_layer_sizes=(64,), max_epochs=60, lr=1e-3)
    rows = few(8)
    accuracy = (fit(entry, rows).predict(X[POOL]) == LABELS[POOL]).mean()
    assert accuracy > (0.45 if name == "random encoder" else 0.6)


@pytest.mark.parametrize("n", [4, 6, 12])
@every_baseline
def test_pools_of_any_size_will_do(name, n):
    # Fewer samples than components, than neighbours: two classes, two labels each.
    rows = np.arange(n)
    two = np.array(["a", "b"])[rows % 2]
    fitted = fit(baseline(name), rows[:4], X[:n], two, pool=rows[4:])
    assert np.isfinite(fitted.predict_proba(X)).all()


def test_in_a_sweep_all_of_them_are_fitted_and_seeded():
    entries = {
        name: clone(baseline(name)).set_params(random_state=None)
        for name in NAMES
        if name not in ("network from scratch", "random forest")
    }
    params = {"label_sizes": [3, 9], "n_draws": 1, "cv": 2, "random_state": 0}
    one, other = (
        label_efficiency_curve(entries, X, LABELS, error_score="raise", **params) for _ in range(2)
    )
    for name in entries:
        assert np.isfinite(one.scores("neg_log_loss")[name]).all()
        np.testing.assert_array_equal(
            one.scores("neg_log_loss")[name], other.scores("neg_log_loss")[name]
        )


def test_gene_names_are_no_reason_to_warn():
    frame = pd.DataFrame(X, columns=[f"g{j}" for j in range(GENES)])
    entries = {name: baseline(name) for name in NAMES if name != "network from scratch"}
    params = {"label_sizes": [6], "n_draws": 1, "cv": 2, "random_state": 0}
    named, plain = (
        label_efficiency_curve(entries, data, LABELS, error_score="raise", **params)
        for data in (frame, X)
    )
    for name in entries:
        np.testing.assert_array_equal(
            named.outcomes[name][0].predicted, plain.outcomes[name][0].predicted
        )


def test_a_sweep_of_few_labels_is_no_reason_to_warn_of_the_studys_network():
    # With fewer than ten labels per class it never can stop early, which is as published.
    entries = {"network": baseline("network from scratch")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        label_efficiency_curve(entries, X, LABELS, label_sizes=[6], n_draws=1, cv=2, random_state=0)


# ------------------------------------------------------------------- what they choose from

CHOICES = {
    "label spreading": {"n_components": [64, 16], "n_neighbors": [10, 5, 20]},
    "nearest centroid": {"shrink_threshold": [None, 0.5, 1.0, 2.0]},
    "nearest neighbours": {"n_neighbors": [1, 3, 5, 10]},
    "random forest": {"min_samples_leaf": [1, 3]},
}
every_choice = pytest.mark.parametrize(("name", "grid"), CHOICES.items(), ids=CHOICES)


@every_choice
def test_parameters_come_from_the_grid_that_is_stated(name, grid):
    head = head_of(fit(baseline(name), few(6)))
    assert set(head.best_params_) == set(grid)
    for parameter, value in head.best_params_.items():
        assert value in grid[parameter]
        assert getattr(head.estimator_, parameter) == value
    assert head.temperature_ in TEMPERATURES


@every_choice
def test_with_one_label_per_class_the_first_of_each_grid_is_taken(name, grid):
    head = head_of(fit(baseline(name), few(1)))
    assert head.best_params_ == {parameter: values[0] for parameter, values in grid.items()}
    assert head.temperature_ == 1


def penalty(fitted):
    """The inverse penalty in the grid's unit."""
    head = getattr(head_of(fitted), "head_", head_of(fitted))
    return head.C_ * fitted.scale_


@pytest.mark.parametrize("name", ["logistic regression", "PCA + logistic regression"])
@pytest.mark.parametrize("per_class", [1, 6])
def test_penalties_come_from_the_grid_or_are_ten(name, per_class):
    rows = few(per_class)
    fitted = fit(baseline(name), rows)
    Z = np.asarray(fitted.encoder_.transform(X[rows]))
    if name.startswith("PCA"):
        Z = Z[:, : fitted.head_.n_components_]
    fitted.scale_ = ((Z - Z.mean(axis=0)) ** 2).sum() / len(Z)
    C = penalty(fitted)
    if per_class == 1:
        np.testing.assert_allclose(C, FALLBACK_C, rtol=1e-4)
    else:
        assert np.isclose(C, GRID, rtol=1e-4).any()


def test_components_come_from_the_grid_or_are_as_near_to_64_as_can_be():
    rng = np.random.default_rng(1)
    many = rng.normal(size=(200, 150))
    labels = np.array(["a", "b"])[np.arange(200) % 2]
    entry, pool = baseline("PCA + logistic regression"), np.arange(40, 200)
    assert fit(entry, np.arange(2), many, labels, pool).head_.n_components_ == 64
    assert fit(entry, np.arange(40), many, labels, pool).head_.n_components_ in (
        4,
        8,
        16,
        32,
        64,
        128,
    )
    # A pool of 20 samples has 19 components.
    assert fit(entry, np.arange(2), many, labels, np.arange(2, 20)).head_.n_components_ == 19


def test_the_scalers_and_components_learn_from_the_pool():
    for name in NAMES[:5]:
        entry = baseline(name)
        assert isinstance(entry, SSLClassifier)
        assert entry.mode == "frozen"
    components = fit(baseline("PCA + logistic regression"), few(2)).encoder_
    known = PrincipalComponents(random_state=0).fit(X[[*few(2), *POOL]])
    np.testing.assert_allclose(components.transform(X), known.transform(X), atol=1e-6)


@pytest.mark.parametrize(
    ("n", "genes", "k"), [(60, 40, 39), (20, 40, 19), (200, 150, 128), (2, 5, 1), (5, 1, 1)]
)
def test_there_are_no_more_components_than_there_can_be(n, genes, k):
    values = np.random.default_rng(0).normal(size=(n, genes))
    fitted = PrincipalComponents(random_state=0).fit(values)
    assert fitted.transform(values).shape == (n, k)
    assert len(fitted.get_feature_names_out()) == k


def test_the_network_from_scratch_is_the_studys():
    entry = default_baselines()["network from scratch"]
    assert entry.encoder is None
    assert entry.get_params() == SSLClassifier.from_preset("dradjat2025").get_params()


# ----------------------------------------------------------------------------------- Tuned


class Recorder(ClassifierMixin, BaseEstimator):
    """Gives every sample the same probabilities; writes down the weights of its fits."""

    weights: list = []

    def __init__(self, p=0.9):
        self.p = p

    def fit(self, X, y, sample_weight=None):
        self.weights.append((np.asarray(y), sample_weight))
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        rest = (1 - self.p) / max(len(self.classes_) - 1, 1)
        p = np.full((len(X), len(self.classes_)), rest)
        p[:, 0] = self.p
        return p


class WithoutWeights(Recorder):
    def fit(self, X, y):
        return super().fit(X, y)


UNEQUAL = np.repeat(["a", "b"], [18, 2])


@pytest.mark.parametrize(
    ("class_weight", "expected"),
    [
        ("sqrt", np.sqrt([20 / 36, 20 / 4])),
        ("balanced", np.array([20 / 36, 20 / 4])),
        ({"a": 1.0, "b": 7.0}, np.array([1.0, 7.0])),
        (None, np.ones(2)),
    ],
    ids=["sqrt", "balanced", "dict", "None"],
)
def test_classes_are_weighed(class_weight, expected):
    Recorder.weights.clear()
    Tuned(Recorder(), {"p": [0.9]}, class_weight=class_weight).fit(np.zeros((20, 1)), UNEQUAL)
    assert len(Recorder.weights) > 1
    for y, weight in Recorder.weights:
        np.testing.assert_allclose(weight, expected[y])


@pytest.mark.parametrize("class_weight", ["sqrt", "balanced", None])
def test_without_sample_weights_probabilities_are_weighed(class_weight):
    # One temperature only: with one sample per class there is nothing to choose by.
    tuned = Tuned(WithoutWeights(), {"p": [0.6]}, class_weight=class_weight, n_folds=1)
    p = tuned.fit(np.zeros((20, 1)), UNEQUAL).predict_proba(np.zeros((3, 1)))
    assert tuned.temperature_ == 1
    factor = np.ones(2)
    if class_weight is not None:
        factor = compute_class_weight("balanced", classes=np.array(["a", "b"]), y=UNEQUAL)
        factor = np.sqrt(factor) if class_weight == "sqrt" else factor
    plain = np.array([0.6, 0.4]) * factor
    # A share of one in 21 is spread over the classes.
    expected = 20 / 21 * plain / plain.sum() + 1 / 21 / 2
    np.testing.assert_allclose(p, np.tile(expected, (3, 1)), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_class_weight_reaches_every_baseline_but_the_studys(name):
    rng = np.random.default_rng(3)
    # Much overlap and two rare classes: weights are seen in the predictions.
    rows = np.arange(48)
    labels = np.array(["a", "b", "c"])[np.repeat([0, 1, 2], [36, 8, 4])]
    values = rng.normal(size=(60, GENES))
    values[:48, :3] += 0.8 * np.eye(3)[np.repeat([0, 1, 2], [36, 8, 4])]
    shares = {}
    for class_weight in (None, "sqrt", "balanced"):
        entry = baseline(name, class_weight=class_weight)
        fitted = fit(entry, rows, values, labels, pool=np.arange(48, 60))
        shares[class_weight] = fitted.predict_proba(rng.normal(size=(1, GENES)) * 0 + 0.2)[0, 0]
    if name == "network from scratch":
        assert len(set(shares.values())) == 1
    else:
        assert shares[None] > shares["sqrt"] > shares["balanced"]


def by_hand(estimator, candidates, X, codes, weight, folds):
    """Mean weighted log likelihood of every candidate at every temperature, by plain loops."""
    n, k = len(codes), codes.max() + 1
    scores = {}
    for c, params in enumerate(candidates):
        for t in TEMPERATURES:
            total = 0.0
            for train, test in folds:
                model = clone(estimator).set_params(**params).fit(X[train], codes[train])
                for i in test:
                    p = np.zeros(k)
                    p[model.classes_] = model.predict_proba(X[[i]])[0]
                    p = (p * weight) ** (1 / t)
                    p = n / (n + 1) * p / p.sum() + 1 / (n + 1) / k
                    total += weight[codes[i]] * np.log(p[codes[i]])
            scores[c, t] = total
    return scores


def test_what_is_chosen_has_the_best_out_of_fold_log_loss():
    from sslgex._head import inner_folds

    rng = np.random.default_rng(4)
    codes = np.repeat([0, 1, 2], [12, 8, 4])
    values = rng.normal(size=(24, 3)) + np.eye(3)[codes]
    candidates = [{"n_neighbors": k} for k in (1, 3, 5, 7)]
    tuned = Tuned(KNeighborsClassifier(), {"n_neighbors": [1, 3, 5, 7]}, random_state=0)
    tuned.fit(values, codes)
    weight = np.sqrt(compute_class_weight("balanced", classes=np.arange(3), y=codes))
    scores = by_hand(tuned.estimator, candidates, values, codes, weight, inner_folds(codes, 5, 0))
    best, temperature = max(scores, key=scores.get)
    assert tuned.best_params_ == candidates[best]
    assert tuned.temperature_ == temperature


@pytest.mark.parametrize(
    ("noise", "chosen"), [(False, 1), (True, 15)], ids=["small clusters", "noise"]
)
def test_what_is_chosen_depends_on_the_data(noise, chosen):
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 2, 120)
    values = rng.normal(size=(120, 2)) + codes[:, None]
    if not noise:
        # Clusters of six, so that only the nearest samples tell the class.
        clusters = np.repeat(np.arange(20), 6)
        codes = clusters % 2
        values = np.stack([5.0 * clusters, 0 * clusters], axis=1) + 0.1 * rng.normal(size=(120, 2))
    tuned = Tuned(KNeighborsClassifier(), {"n_neighbors": [1, 15]}, random_state=0)
    assert tuned.fit(values, codes).best_params_ == {"n_neighbors": chosen}


def test_candidates_that_cannot_be_fitted_are_passed_over():
    # In four fifths of 10 samples nobody has 9 neighbours.
    rng = np.random.default_rng(6)
    codes = np.arange(10) % 2
    tuned = Tuned(KNeighborsClassifier(), {"n_neighbors": [9, 1]}, random_state=0)
    tuned.fit(rng.normal(size=(10, 2)) + 5 * codes[:, None], codes)
    assert tuned.best_params_ == {"n_neighbors": 1}


def test_temperatures_tame_what_is_too_sure():
    # The classifier is sure of the first class, which half of the samples have.
    tuned = Tuned(Recorder(0.999), {"p": [0.999]}, random_state=0)
    tuned.fit(np.zeros((40, 1)), np.arange(40) % 2)
    assert tuned.temperature_ == TEMPERATURES[-1]
    np.testing.assert_allclose(tuned.predict_proba(np.zeros((1, 1))), 0.5, atol=0.01)


def test_no_class_that_was_shown_is_impossible():
    tuned = Tuned(KNeighborsClassifier(1), {"n_neighbors": [1]}, random_state=0)
    values = np.arange(6.0)[:, None]
    p = tuned.fit(values, np.array(list("aabbcc"))).predict_proba(values)
    assert (p > 0).all()


def test_rare_classes_are_no_reason_to_warn_and_are_predicted():
    labels = np.array(["a"] * 12 + ["b"] * 2 + ["c"])
    rng = np.random.default_rng(7)
    values = rng.normal(size=(15, 5)) + 6 * np.eye(3, 5)[np.unique(labels, return_inverse=True)[1]]
    for estimator in (GaussianNB(), KNeighborsClassifier(1), RandomForestClassifier(5)):
        tuned = Tuned(estimator, {}, random_state=0).fit(values, labels)
        assert tuned.predict_proba(values).shape == (15, 3)
        assert tuned.predict(values)[-1] in ("a", "b", "c")
    heads = LeadingComponents((2, 4), random_state=0).fit(values, labels)
    assert heads.n_components_ in (2, 4)
    np.testing.assert_array_equal(heads.predict(values), labels)


def test_leading_components_have_the_best_likelihood_of_all():
    from sslgex._head import LinearHead

    rng = np.random.default_rng(8)
    codes = np.arange(60) % 2
    # The class shows in the third component, and the ones behind are noise.
    values = rng.normal(size=(60, 40))
    values[:, 2] += 3 * codes
    heads = LeadingComponents((1, 4, 40), random_state=0).fit(values, codes)
    likelihood = {
        k: LinearHead(random_state=0).fit(values[:, :k], codes).log_likelihood_ for k in (1, 4, 40)
    }
    assert heads.n_components_ == max(likelihood, key=likelihood.get) == 4
    np.testing.assert_allclose(
        heads.predict_proba(values),
        LinearHead(random_state=0).fit(values[:, :4], codes).predict_proba(values[:, :4]),
    )


# ------------------------------------------------------------------- the new classifiers


def test_label_spreading_needs_one_label_per_class_where_clusters_are_far_apart():
    rng = np.random.default_rng(9)
    codes = np.arange(150) % 3
    # Long clusters, whose far ends the nearest labelled sample is no guide to.
    values = np.concatenate([rng.uniform(0, 30, (150, 1)), 6.0 * codes[:, None]], axis=1)
    values[:3, 0] = [0, 15, 30]
    values[:, 1] += 0.1 * rng.normal(size=150)
    head = Spreading(n_components=3, n_neighbors=8)
    lifted = np.concatenate([values + 40, np.full((150, 1), 40.0)], axis=1)
    head.fit(lifted[:3], codes[:3], lifted[3:])
    accuracy = (head.predict(lifted[3:]) == codes[3:]).mean()
    assert accuracy > 0.9
    nearest = KNeighborsClassifier(1).fit(values[:3], codes[:3])
    assert accuracy > (nearest.predict(values[3:]) == codes[3:]).mean() + 0.1


def far_apart(seed):
    """Three clusters of 50 samples, which their nearest neighbours tell without a mistake."""
    rng = np.random.default_rng(seed)
    codes = np.arange(150) % 3
    values = rng.normal(size=(150, 60)) + 3 * np.repeat(np.eye(3), 20, axis=1)[codes]
    return values, np.array(["a", "b", "c"])[codes]


@pytest.mark.parametrize("seed", range(10, 14))
def test_the_default_label_spreading_beats_chance_with_one_label_per_class(seed):
    values, labels = far_apart(seed)
    fitted = fit(baseline("label spreading"), np.arange(3), values, labels, np.arange(3, 150))
    assert (fitted.predict(values[3:]) == labels[3:]).mean() > 0.6


def test_a_label_spreads_from_a_sample_that_is_nobodys_neighbour():
    # Among many genes some samples are far from all others of their class. The graph must know
    # their neighbours from both sides, or a whole class stays without its label.
    values, labels = far_apart(10)
    fitted = fit(baseline("label spreading"), np.arange(3), values, labels, np.arange(3, 150))
    assert (fitted.predict(values[3:]) == labels[3:]).mean() > 0.95


def test_where_no_label_has_come_near_all_classes_are_as_likely():
    # Two islands, of which one has no label.
    rng = np.random.default_rng(11)
    island = np.concatenate([np.zeros(20), np.full(20, 1.5)])
    values = np.stack([np.cos(island), np.sin(island)], axis=1) + 0.01 * rng.normal(size=(40, 2))
    head = Spreading(n_neighbors=5).fit(values[[0, 1]], np.array([0, 1]), values[2:])
    p = head.predict_proba(values[30:])
    np.testing.assert_allclose(p, 0.5)
    assert np.isfinite(head.predict_proba(values)).all()


@pytest.mark.parametrize("per_class", [1, 2])
def test_label_spreading_without_a_pool(per_class):
    # A graph of fewer samples than neighbours is asked for.
    head = TunedWithPool(
        Spreading(), {"n_components": [64, 16], "n_neighbors": [10, 5, 20]}, random_state=0
    )
    rows = few(per_class)
    head.fit(X[rows], LABELS[rows])
    assert np.isfinite(head.predict_proba(X)).all()


def test_centroids_of_one_sample_each_are_the_nearest_of_them():
    rng = np.random.default_rng(12)
    centres = rng.normal(size=(3, 10))
    found = Centroids(priors="empirical").fit(centres, np.arange(3))
    values = rng.normal(size=(50, 10))
    nearest = ((values[:, None] - centres) ** 2).sum(axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(found.predict_proba(values).argmax(axis=1), nearest)


def test_centroids_are_not_ruled_by_a_gene_that_happens_to_agree():
    # Gene 0 has hardly a spread within the classes of the few samples, and tells no class.
    rng = np.random.default_rng(13)
    codes = np.repeat([0, 1], 3)
    values = rng.normal(size=(6, 30)) + np.where(codes == 1, 2.0, 0.0)[:, None]
    values[:, 0] = 1e-3 * codes + 1e-6 * rng.normal(size=6)
    found = Centroids(priors="empirical").fit(values, codes)
    test = rng.normal(size=(40, 30)) + np.where(np.arange(40) % 2 == 1, 2.0, 0.0)[:, None]
    test[:, 0] = 1e-3 * rng.normal(size=40)
    predicted = found.predict_proba(test).argmax(axis=1)
    assert (predicted == np.arange(40) % 2).mean() > 0.95


def test_tuned_leaves_what_it_was_given():
    estimator = LogisticRegression()
    tuned = Tuned(estimator, {"C": [0.1, 1.0]}, random_state=0)
    tuned.fit(StandardScaler().fit_transform(X), LABELS)
    assert not hasattr(estimator, "coef_")
    assert estimator.C == 1.0
    assert not hasattr(clone(tuned), "estimator_")
