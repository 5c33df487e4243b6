"""The pooled head: its experts, their weights, and the pool's neighbourhoods."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import check_grad
from scipy.special import softmax
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

import sslgex
from sslgex import ScarfTransformer, SSLClassifier
from sslgex import _pooled as pooled
from sslgex._linear_path import Features, LinearPath
from sslgex._pooled import TRUST, PooledHead, opinion_weights
from sslgex._propagation import Neighbourhoods, soft_regression
from sslgex._training.components import principal_components
from sslgex._training.rows import Rows
from sslgex.datasets import make_expression

SMALL = {"hidden_layer_sizes": (8, 8), "projection_sizes": (8,), "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    return make_expression(260, 60, n_classes=3, n_informative=6, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def scarf(data):
    return ScarfTransformer(**SMALL).fit(data[0][:200])


@pytest.fixture(scope="module")
def fitted(data, scarf):
    X, y = data
    clf = SSLClassifier(scarf, mode="frozen", head="pooled", random_state=0)
    return clf.fit(X[:40], y[:40], X_unlabeled=X[40:200])


def features(rng, n, centres, codes):
    """Features of samples around their class's centre."""
    genes = centres[codes] + rng.normal(size=(n, centres.shape[1]))
    return Features(genes, genes[:, :3], genes[:, :2] ** 2)


# Components


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_the_components_are_those_of_pca(container):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 8)) * 2.0 ** -np.arange(8) @ rng.normal(size=(8, 40)) + 3.0
    known = PCA(5).fit(X).components_
    found = principal_components(Rows([container(X[:700]), container(X[700:])]), 5, seed=0)[0]
    np.testing.assert_allclose(np.abs((known * found).sum(axis=1)), 1, atol=1e-4)
    np.testing.assert_allclose(found @ found.T, np.eye(5), atol=1e-5)
    assert (found[np.arange(5), np.abs(found).argmax(axis=1)] > 0).all()


def test_there_are_no_more_components_than_the_rows_have():
    rng = np.random.default_rng(0)
    few = rng.normal(size=(4, 30))
    assert principal_components(Rows([few]), 10, seed=0)[0].shape == (3, 30)
    flat = rng.normal(size=(50, 2)) @ rng.normal(size=(2, 30))
    assert principal_components(Rows([flat]), 10, seed=0)[0].shape == (2, 30)
    same = np.repeat(rng.normal(8, 2, size=(1, 300)), 50, axis=0)
    assert principal_components(Rows([same]), 10, seed=0)[0].shape == (0, 300)


@pytest.mark.parametrize("mean", [0, 8, 500])
def test_all_components_are_exact_where_there_are_few(mean):
    rng = np.random.default_rng(0)
    X = rng.normal(mean, 2, size=(70, 300))
    X[:, :5] = 1.0
    X[60:] = X[:10]
    found, deviations = principal_components(Rows([X]), 128, seed=0)
    _, known, axes = np.linalg.svd(X - X.mean(axis=0))
    assert len(found) == 59
    np.testing.assert_allclose(deviations, known[:59] / np.sqrt(70), rtol=1e-4)
    np.testing.assert_allclose(np.abs((found * axes[:59]).sum(axis=1)), 1, atol=1e-3)


@pytest.mark.parametrize("mean", [0, 1e4])
def test_the_first_of_many_components_are_exact(mean):
    """The spectrum of expression data falls slowly."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(n, 500)))[0] for n in (1000, 600))
    X = left * np.arange(1, 501) ** -0.6 @ right.T
    X -= X.mean(axis=0)
    found, _ = principal_components(Rows([X / X.std() + mean]), 128, seed=0)
    known = np.linalg.svd(X)[2][:128]
    assert ((found[:64] @ known[:64].T) ** 2).sum() / 64 > 0.999
    share = ((X @ found.T) ** 2).sum() / ((X @ known.T) ** 2).sum()
    assert share > 0.99


def test_an_encoder_lends_its_components_of_the_whole_pool(data, scarf, fitted):
    X, _ = data
    assert fitted.linear_path_.components_ is scarf.components_
    standardised = (X[:200] - scarf.mean_) / scarf.scale_
    spread = (standardised @ scarf.components_.T).var(axis=0)
    assert (np.diff(spread) < 1e-6).all()
    np.testing.assert_allclose(spread[0], PCA(1).fit(standardised).explained_variance_, rtol=0.02)


def test_components_of_another_encoder_are_those_of_all_samples_at_hand(data):
    X, y = data
    clf = SSLClassifier(PCA(4), mode="frozen", head="pooled", random_state=0)
    clf.fit(X[:40], y[:40], X_unlabeled=[X[40:100], X[100:200]])
    path = LinearPath.of(None, [X[:200]], seed=1)
    np.testing.assert_allclose(clf.linear_path_.mean_, path.mean_)
    cosines = (clf.linear_path_.components_[:3] * path.components_[:3]).sum(axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)
    assert clf.score(X[200:], y[200:]) > 0.6


# The pool of opinions


def test_probabilities_are_the_weighted_geometric_mean_of_the_experts(data, fitted):
    X, _ = data
    head, x = fitted.head_, X[200:]
    seen = fitted.linear_path_.features(x, fitted.transform(x))
    views = {
        "genes": seen.genes,
        "components": seen.components[:, : head.n_components_],
        "embedding": np.hstack(
            [seen.components[:, :64] / head.block_sizes_[0], seen.embedding / head.block_sizes_[1]]
        ),
        "propagated": seen.components[:, :64],
    }
    assert list(head.experts_) == list(head.weights_) == list(views)
    mean = sum(
        head.weights_[name] * np.log(head.experts_[name].predict_proba(view))
        for name, view in views.items()
    )
    p = softmax(mean, axis=1)
    np.testing.assert_allclose(fitted.predict_proba(x), p, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(fitted.predict(x), fitted.classes_[p.argmax(axis=1)])
    np.testing.assert_allclose(sum(head.weights_.values()), 1)


def test_weights_go_to_the_expert_that_predicts():
    rng = np.random.default_rng(0)
    codes = np.arange(60) % 3
    good = np.log(0.1 + 0.7 * np.eye(3)[codes])
    noise = np.log(rng.dirichlet(np.ones(3), 60))
    weights = opinion_weights(np.stack([noise, good]), codes, np.ones(60), np.ones(2))
    assert weights[1] > 0.9
    # A sample of weight 0 says nothing.
    ignored = opinion_weights(np.stack([noise, good]), codes, np.zeros(60), np.array([1.0, 3.0]))
    np.testing.assert_allclose(ignored, [0.25, 0.75], atol=1e-4)


def test_the_slope_of_the_weights_is_exact(monkeypatch):
    rng = np.random.default_rng(0)
    log_p = np.log(rng.dirichlet(np.ones(4), (3, 20)))
    codes, weight = rng.integers(4, size=20), rng.uniform(size=20)
    asked = []

    def minimize(loss, start, **_):
        for _ in range(3):
            at = rng.normal(size=len(start))
            asked.append(check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], at))
        return type("Found", (), {"x": start})

    monkeypatch.setattr(pooled, "minimize", minimize)
    opinion_weights(log_p, codes, weight, np.array([0.5, 1.0, 1.5]))
    assert max(asked) < 1e-5


def test_out_of_fold_probabilities_choose(data, fitted):
    # The labelled samples' own predictions would say that the genes are never wrong.
    X, y = data
    head = fitted.head_
    genes = head.experts_["genes"]
    judged = genes.out_of_fold[~np.isnan(genes.out_of_fold).any(axis=1)]
    assert len(judged) == 40
    own = fitted.linear_path_.features(X[:40], fitted.transform(X[:40])).genes
    right = np.searchsorted(fitted.classes_, y[:40])
    out, within = (
        np.mean(p[np.arange(40), right]) for p in (np.exp(judged), genes.predict_proba(own))
    )
    assert out < within


# Few labels, and odd ones


@pytest.mark.parametrize("n_classes", [2, 40])
def test_one_label_per_class_is_enough(n_classes):
    rng = np.random.default_rng(0)
    centres = 4.0 * rng.normal(size=(n_classes, 12))
    codes = np.arange(n_classes)
    head = PooledHead(random_state=0).fit(features(rng, n_classes, centres, codes), codes)
    trust = {name: TRUST[name] for name in ("genes", "components", "embedding")}
    assert head.weights_ == {name: t / sum(trust.values()) for name, t in trust.items()}
    test = rng.integers(n_classes, size=200)
    p = head.predict_proba(features(rng, 200, centres, test))
    assert p.shape == (200, n_classes)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p.argmax(axis=1) == test).mean() > 0.6
    scores = head.decision_function(features(rng, 200, centres, test))
    assert scores.shape == ((200,) if n_classes == 2 else (200, n_classes))


def test_a_class_of_one_sample_lacks_in_a_fold_and_stays_a_class():
    rng = np.random.default_rng(1)
    codes = np.array([0] * 10 + [1] * 10 + [2])
    centres = 4.0 * rng.normal(size=(3, 12))
    train, pool = (features(rng, len(c), centres, c) for c in (codes, np.arange(90) % 3))
    head = PooledHead(random_state=0).fit(train, codes, X_unlabeled=pool)
    assert np.isfinite(list(head.weights_.values())).all()
    assert (head.predict(pool) == np.arange(90) % 3).mean() > 0.9


def test_a_fold_that_lacks_a_class_learns_from_the_pool_all_the_same(data):
    X, y = data
    y = y[:101].copy()
    y[:101] = np.where(y == 2, 0, y)
    y[100] = 2  # its only sample
    near = Neighbourhoods(X[:101], X[101:])
    train = np.arange(100)
    prior = np.array([5.0, 5.0, 30.0])  # enough to overflow over no mass
    with_it = near._distil(train, y[train], prior, np.ones(100))
    without = near._distil(train, y[train], np.array([5.0, 5.0, 0.0]), np.ones(100))
    np.testing.assert_array_equal(with_it.coef_, without.coef_)
    assert (with_it.coef_[2] < 1e-2).all()


def test_sample_weights_reach_the_experts(data, scarf):
    X, y = data
    weight = np.where(y[:60] == y[0], 1e-6, 1.0)
    clf = SSLClassifier(scarf, mode="frozen", head="pooled", random_state=0)
    plain, weighted = (
        (clone(clf).fit(X[:60], y[:60], sample_weight=w).predict(X[60:]) == y[0]).mean()
        for w in (None, weight)
    )
    assert weighted < 0.5 * plain


# Neighbourhoods


def rings(rng, n):
    """Two rings in the plane of which each is one class, as angles in four dimensions."""
    codes = rng.integers(2, size=n)
    turn = rng.uniform(0, 2 * np.pi, n)
    X = np.stack([np.cos(turn), np.sin(turn), codes * 1.5, 1 - codes], axis=1)
    return X + 0.02 * rng.normal(size=X.shape), codes


def test_labels_spread_to_neighbours_and_no_further():
    rng = np.random.default_rng(2)
    X, codes = rings(rng, 300)
    labelled = np.array([np.flatnonzero(codes == c)[0] for c in (0, 1)])
    pool = np.setdiff1d(np.arange(300), labelled)
    near = Neighbourhoods(X[labelled], X[pool])
    head = near.distil([], np.array([0, 1]), np.ones(2), np.ones(2))
    alone = LogisticRegression().fit(X[labelled], [0, 1])
    assert (head.predict(X[pool]) == codes[pool]).mean() > 0.95 > alone.score(X[pool], codes[pool])


def test_where_no_label_comes_nothing_is_learned():
    rng = np.random.default_rng(3)
    far = rng.normal(size=(40, 4))
    far[:, 3] += 60
    X = np.concatenate([rings(rng, 100)[0], far])
    near = Neighbourhoods(X[:2], X[2:])
    p = near._spread(np.arange(2), np.array([0, 1]), 2)
    assert (p[-40:] == 0).all()
    assert np.isfinite(near.distil([], np.array([0, 1]), np.ones(2), np.ones(2)).coef_).all()


def test_soft_regression_of_certain_labels_is_logistic_regression():
    rng = np.random.default_rng(4)
    X, codes = rng.normal(size=(80, 5)), rng.integers(3, size=80)
    X[:, 0] += codes
    weight = rng.uniform(0.5, 2.0, size=80)
    found = soft_regression(X, np.eye(3)[codes], weight)
    scaled = X - X.mean(axis=0)
    scaled /= np.sqrt((scaled**2).sum() / 80)
    known = LogisticRegression(C=100.0, tol=1e-8, max_iter=1000)
    known.fit(scaled, codes, weight / weight.mean())
    np.testing.assert_allclose(found.predict_proba(X), known.predict_proba(scaled), atol=2e-4)


def test_the_propagated_expert_is_judged_by_samples_whose_labels_it_had_not():
    rng = np.random.default_rng(5)
    X, codes = rings(rng, 120)
    near = Neighbourhoods(X[:20], X[20:])
    folds = [(np.arange(10, 20), np.arange(10)), (np.arange(10), np.arange(10, 20))]
    log_p = near.distil(folds, codes[:20], np.ones(2), np.ones(20)).out_of_fold
    assert np.isfinite(log_p).all()
    turned = codes[:20].copy()
    turned[:10] = 1 - turned[:10]  # the first fold's test samples are in the second's training
    other = near.distil(folds, turned, np.ones(2), np.ones(20)).out_of_fold
    np.testing.assert_allclose(other[:10], log_p[:10])
    assert not np.allclose(other[10:], log_p[10:])


# In the classifier


def test_the_pool_makes_an_expert_and_none_makes_none(data, scarf, fitted):
    X, y = data
    assert "propagated" in fitted.head_.weights_
    alone = SSLClassifier(scarf, mode="frozen", head="pooled", random_state=0).fit(X[:40], y[:40])
    assert list(alone.head_.weights_) == ["genes", "components", "embedding"]
    marked = np.where(np.arange(200) < 40, y[:200], -1)
    mixed = SSLClassifier(
        scarf, mode="frozen", head="pooled", unlabeled_label=-1, random_state=0
    ).fit(X[:200], marked)
    np.testing.assert_allclose(
        mixed.predict_proba(X[200:]), fitted.predict_proba(X[200:]), rtol=1e-5
    )


def test_it_is_saved_and_loaded(fitted, data, tmp_path):
    sslgex.save(fitted, tmp_path / "clf.safetensors")
    loaded = sslgex.load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(
        loaded.predict_proba(data[0][200:]), fitted.predict_proba(data[0][200:])
    )
    assert loaded.head_.weights_ == fitted.head_.weights_


def test_sparse_and_dense_samples_are_the_same(data, scarf, fitted):
    X, y = data
    clf = clone(fitted).fit(sp.csr_array(X[:40]), y[:40], X_unlabeled=[sp.csr_array(X[40:200])])
    np.testing.assert_allclose(
        clf.predict_proba(sp.csr_array(X[200:])), fitted.predict_proba(X[200:]), rtol=1e-4
    )


def test_samples_are_predicted_in_blocks_as_at_once(fitted, data, monkeypatch):
    X, _ = data
    whole = fitted.predict_proba(X)
    monkeypatch.setattr("sslgex.classifier.ROWS", 7)
    np.testing.assert_allclose(fitted.predict_proba(X), whole, rtol=1e-5)


def test_it_goes_through_cross_validation(data, scarf):
    X, y = data
    clf = SSLClassifier(scarf, mode="frozen", head="pooled", random_state=0)
    assert cross_val_score(clf, X[:90], y[:90], cv=3).mean() > 0.6


def test_another_head_leaves_no_path_behind(data, scarf):
    X, y = data
    clf = SSLClassifier(scarf, mode="frozen", head="pooled", random_state=0).fit(X[:40], y[:40])
    assert clf.set_params(head="linear").fit(X[:40], y[:40]).linear_path_ is None


def test_penalties_at_the_edge_of_their_grid_are_warned_of_once(data, scarf):
    X, y = data
    shuffled = np.random.default_rng(0).permutation(y[:60])
    for head in ("linear", "pooled"):
        with pytest.warns(
            UserWarning, match="strongest is best out of fold: .*Are X and y in the same"
        ) as told:
            SSLClassifier(scarf, mode="frozen", head=head, random_state=0).fit(X[:60], shuffled)
        assert len(told) == 1
        assert told[0].filename == __file__


def test_an_expert_can_be_left_out_and_an_embedding_exchanged(data, scarf):
    X, y = data
    encoder = PCA(6).fit(X)
    path = LinearPath.of(scarf, [], seed=0)
    labelled, pool = (
        [path.features(x, e.transform(x).astype(float)) for e in (scarf, encoder)]
        for x in (X[:60], X[60:200])
    )
    head, other = (
        PooledHead(random_state=0).fit(seen, y[:60], X_unlabeled=rest)
        for seen, rest in zip(labelled, pool, strict=True)
    )
    exchanged = head.with_embedding(labelled[1], y[:60], X_unlabeled=pool[1])
    assert exchanged.weights_ == other.weights_
    test = path.features(X[200:], encoder.transform(X[200:]))
    np.testing.assert_array_equal(exchanged.predict_proba(test), other.predict_proba(test))
    alone = head.without("propagated")
    plain = PooledHead(random_state=0).fit(labelled[0], y[:60])
    np.testing.assert_allclose(
        list(alone.weights_.values()), list(plain.weights_.values()), atol=0.02
    )
    assert list(head.weights_) == ["genes", "components", "embedding", "propagated"]


# Weights


def test_a_labelled_sample_of_no_weight_is_as_good_as_absent(data, scarf):
    X, y = data
    wrong = np.where(np.arange(60) < 40, y[:60], (y[:60] + 1) % 3)
    weight = np.where(np.arange(60) < 40, 2.0, 0.0)
    for encoder in (scarf, ScarfTransformer(**SMALL)):
        clf = SSLClassifier(encoder, mode="frozen", random_state=0)
        with_them = clone(clf).fit(X[:60], wrong, weight, X_unlabeled=X[60:200])
        if encoder is scarf:
            without = clone(clf).fit(X[:40], y[:40], X_unlabeled=X[60:200])
            np.testing.assert_allclose(
                with_them.predict_proba(X[200:]), without.predict_proba(X[200:]), rtol=1e-9
            )
        assert list(with_them.head_.experts_)[-1] == "propagated"


def test_labels_of_no_weight_leave_their_class_out(data, scarf):
    X, y = data
    clf = SSLClassifier(scarf, mode="frozen", random_state=0)
    clf.fit(X[:40], y[:40], (y[:40] != 2).astype(float))
    assert list(clf.classes_) == [0, 1]
    with pytest.raises(ValueError, match="weight above 0"):
        clf.fit(X[:40], y[:40], (y[:40] == 2).astype(float))
    # In the words of scikit-learn 1.9, or in ours.
    with pytest.raises(ValueError, match=r"at least one non-zero|weight above 0"):
        clf.fit(X[:40], y[:40], np.zeros(40))


def test_weights_reach_what_spreads_to_the_neighbours():
    rng = np.random.default_rng(0)
    pool = np.concatenate([rng.normal(size=(20, 2)) + centre for centre in ([9, 0], [0, 9])])
    labelled = np.array([[9.0, 0.0], [8.5, 0.5], [0.0, 9.0], [0.5, 8.5]])
    codes, prior = np.array([0, 1, 1, 1]), np.ones(2)
    near = Neighbourhoods(labelled, pool)
    odds = []
    for wrong in (0.01, 0.1, 1.0):
        head = near.distil([], codes, prior, np.array([1.0, wrong, 1.0, 1.0]))
        odds.append(np.subtract(*head.log_odds(pool[:20]).mean(axis=0)))
    assert odds[0] > odds[1] > odds[2]


def test_a_class_of_no_weight_is_left_out(data, scarf):
    X, y = data
    clf = SSLClassifier(scarf, class_weight={0: 1, 1: 1, 2: 0}, max_epochs=2, random_state=0)
    clf.fit(X[:40], y[:40], X_unlabeled=X[40:200])
    known = y[:40] != 2
    other = clone(clf).set_params(class_weight={0: 1, 1: 1})
    other.fit(X[:40][known], y[:40][known], X_unlabeled=X[40:200])
    np.testing.assert_array_equal(clf.predict_proba(X[200:]), other.predict_proba(X[200:]))
    assert list(clf.classes_) == [0, 1]
    with pytest.raises(ValueError, match=r"weight above 0, class weights included.*1 class"):
        clf.set_params(class_weight={0: 1, 1: 0, 2: 0}).fit(X[:40], y[:40])
    with pytest.raises(ValueError, match="not in class_weight"):
        clf.set_params(class_weight={7: 1}).fit(X[:40], y[:40])


def test_a_sample_far_out_leaves_the_experts_to_be_weighed():
    X, y = make_expression(200, 80, n_classes=2, return_X_y=True, random_state=0)
    X[5, :40] *= 300
    scarf = ScarfTransformer(**SMALL).fit(X)
    clf = SSLClassifier(scarf, mode="frozen", random_state=0).fit(X[:60], y[:60])
    prior = {name: TRUST[name] / 3 for name in clf.head_.weights_}
    assert clf.head_.weights_ != pytest.approx(prior, abs=1e-3)
    for expert in clf.head_.experts_.values():
        assert np.isfinite(expert.out_of_fold).all()


# A pool that says little


@pytest.mark.parametrize("copies", [1, 3])
def test_a_pool_without_variation_says_nothing_of_sizes(copies, data, scarf):
    X, y = data
    clf = SSLClassifier(scarf, mode="frozen", random_state=0)
    alone = clone(clf).fit(X[:40], y[:40]).head_.block_sizes_
    pool = np.repeat(X[40:41], copies, axis=0)
    found = clf.fit(X[:40], y[:40], X_unlabeled=pool).head_.block_sizes_
    np.testing.assert_allclose(found, alone)
    more = clone(clf).fit(X[:40], y[:40], X_unlabeled=np.repeat(X[40:41], 50, axis=0))
    assert min(more.head_.block_sizes_) > 1e-3


def test_a_huge_value_in_a_pool_is_named(data, scarf):
    X, y = data
    bad = X[40:100].copy()
    bad[3, 7] = 1e30
    for encoder in (PCA(4), scarf, None):
        clf = SSLClassifier(encoder, mode="frozen", head="pooled", random_state=0)
        with pytest.raises(ValueError, match=r"gene 7 (?s:.*)matrix 1 of X_unlabeled"):
            clf.fit(X[:40], y[:40], X_unlabeled=[X[100:200], bad])


# What a pickle holds


def test_what_judged_the_experts_is_not_saved(fitted):
    again = pickle.loads(pickle.dumps(fitted.head_))
    assert {name for name in vars(again) if not name.endswith("_")} == set(again.get_params())
    for expert in again.experts_.values():
        assert {name for name in vars(expert) if not name.endswith("_")} == set(expert.get_params())
    with pytest.raises(AttributeError, match="neither saved"):
        again.without("genes")
    assert fitted.head_.without("genes").weights_.keys() == {
        "components",
        "embedding",
        "propagated",
    }


def test_the_pooled_head_tells_who_asks_it_with_an_embedding(fitted, data):
    with pytest.raises(TypeError, match="ask the classifier"):
        fitted.head_.predict(fitted.transform(data[0][200:]))
