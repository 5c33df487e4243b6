"""The heads of SSLClassifier: scikit-learn's classifiers and the linear head's arithmetic."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from sslgex import ScarfTransformer, SSLClassifier
from sslgex._head import GRID, LinearHead
from sslgex.datasets import make_expression

SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    return make_expression(150, 60, n_classes=3, n_informative=4, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def scarf(data):
    return ScarfTransformer(**SMALL, projection_sizes=(8,)).fit(data[0])


# ------------------------------------------------------------------- classifiers as heads


def test_a_head_without_probabilities_offers_none(data, scarf):
    X, y = data
    clf = SSLClassifier(scarf, mode="frozen", head=SVC())
    assert not hasattr(clf, "predict_proba")
    assert hasattr(clf, "decision_function")
    clf.fit(X, y)
    assert not hasattr(clf, "predict_proba")
    Z = scarf.transform(X)
    np.testing.assert_array_equal(clf.predict(X), SVC().fit(Z, y).predict(Z))
    np.testing.assert_array_equal(clf.decision_function(X), SVC().fit(Z, y).decision_function(Z))


def test_a_forest_as_head_offers_no_decision_function(data, scarf):
    X, y = data
    forest = RandomForestClassifier(10, random_state=0)
    clf = SSLClassifier(scarf, mode="frozen", head=forest)
    assert not hasattr(clf, "decision_function")
    clf.fit(X, y)
    assert not hasattr(clf, "decision_function")
    Z = scarf.transform(X)
    np.testing.assert_array_equal(clf.predict_proba(X), forest.fit(Z, y).predict_proba(Z))


def test_the_users_head_stays_unfitted_and_its_parameters_can_be_set(data, scarf):
    X, y = data
    clf = SSLClassifier(scarf, mode="frozen", head=LogisticRegression(max_iter=500))
    clf.set_params(head__C=0.01).fit(X, y)
    assert clf.head_.C == 0.01
    with pytest.raises(NotFittedError):
        clf.head.predict(scarf.transform(X))


def test_a_head_without_a_seed_takes_it_from_the_classifier(data, scarf):
    X, y = data
    clf = SSLClassifier(
        scarf, mode="frozen", head=RandomForestClassifier(5, max_features=1), random_state=0
    )
    first = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clone(clf).fit(X, y).predict_proba(X), first)


def test_a_head_that_takes_no_weights_says_so(data, scarf):
    X, y = data
    clf = SSLClassifier(scarf, mode="frozen", head=KNeighborsClassifier())
    assert clf.fit(X, y).score(X, y) > 0.5
    with pytest.raises(TypeError, match=r"KNeighborsClassifier.*takes none.*head='linear'"):
        clf.fit(X, y, sample_weight=np.ones(len(X)))


def test_a_classifier_as_head_cannot_be_fine_tuned(data, scarf):
    with pytest.raises(ValueError, match=r"cannot be trained together.*mode='frozen'"):
        SSLClassifier(scarf, head=SVC()).fit(*data)


def test_a_pca_gives_what_a_pipeline_with_one_gives(data):
    X, y = data
    clf = SSLClassifier(PCA(5, random_state=0), mode="frozen", random_state=0).fit(X, y)
    Z = PCA(5, random_state=0).fit_transform(X)
    np.testing.assert_allclose(clf.transform(X), Z, atol=1e-4)


# ----------------------------------------------------------------------------------- LinearHead


@pytest.fixture(scope="module")
def wide():
    """More features than samples, so that the head works in the span of the samples."""
    X, y = make_expression(80, 300, n_classes=3, return_X_y=True, random_state=1)
    return X.astype(np.float64), y


def reference(head, X, y, **params):
    """Return scikit-learn's logistic regression with the head's penalty, on the features as are."""
    return LogisticRegression(C=head.C_, max_iter=5000, tol=1e-8, **params).fit(X, y)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("n_features", [20, 300], ids=["narrow", "wide"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_linear_head_is_logistic_regression(wide, class_weight, n_features, n_classes):
    X, y = wide
    X = X[:, :n_features]
    y = y if n_classes == 3 else np.where(y == y[0], "this", "that")
    head = LinearHead(class_weight, random_state=0).fit(X, y)
    model = reference(head, X, y, class_weight=class_weight)
    assert head.coef_.shape == (n_classes, n_features)
    np.testing.assert_allclose(head.predict_proba(X), model.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(head.predict(X), model.predict(X))
    assert head.decision_function(X).shape == model.decision_function(X).shape
    np.testing.assert_allclose(head.decision_function(X), model.decision_function(X), atol=0.05)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "sqrt", "balanced"])
def test_the_penalty_of_the_linear_head_is_that_of_its_layer(wide, class_weight, n_classes):
    X, y = wide
    y = y if n_classes == 3 else np.where(y == y[0], "this", "that")
    head = LinearHead(class_weight, random_state=0).fit(X, y)
    codes = np.unique(y, return_inverse=True)[1]
    counts = np.bincount(codes)
    weight = {"balanced": 1 / counts, "sqrt": counts**-0.5, None: np.ones(n_classes)}[class_weight]
    weight = torch.from_numpy(weight[codes] / weight[codes].sum())
    coef = torch.from_numpy(head.coef_).requires_grad_()
    intercept = torch.from_numpy(head.intercept_).requires_grad_()
    logits = torch.from_numpy(X) @ coef.T + intercept
    losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(codes), reduction="none")
    loss = (weight * losses).sum()
    (loss + head.penalty_ * coef.square().sum()).backward()
    # Both terms pull with the same force where their sum is smallest.
    force = 2 * head.penalty_ * torch.from_numpy(head.coef_).norm()
    assert coef.grad.norm() < 0.1 * force
    assert intercept.grad.norm() < 1e-3


def test_the_layer_gives_the_logits_of_the_head_and_back(wide):
    X, y = wide
    head = LinearHead(random_state=0).fit(X, y)
    layer = head.to_layer()
    logits = layer(torch.from_numpy(X).float()).detach().numpy()
    np.testing.assert_allclose(logits, head.log_odds(X), atol=1e-3)
    back = LinearHead.from_layer(layer, head.classes_)
    np.testing.assert_allclose(back.predict_proba(X), head.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(back.predict(X), head.predict(X))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_chosen_penalty_is_inside_the_grid_whatever_the_scale(data, scale):
    X, y = data
    y = np.where(np.random.default_rng(0).random(len(y)) < 0.2, y[0], y)
    head = LinearHead(random_state=0).fit(X * scale, y)
    relative = head.C_ * (X * scale).var(axis=0).sum()
    assert GRID[0] * 1.01 < relative < GRID[-1] / 1.01
    np.testing.assert_allclose(
        head.predict_proba(X * scale),
        LinearHead(random_state=0).fit(X, y).predict_proba(X),
        atol=0.02,
    )


def test_noise_is_penalised_more_than_signal():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 30)), np.arange(100) % 2
    noise = LinearHead(random_state=0).fit(X, y)
    X[:, 0] += 4 * y
    signal = LinearHead(random_state=0).fit(X, y)
    assert signal.C_ > 10 * noise.C_
    assert abs(noise.predict_proba(X) - 0.5).mean() < 0.25


@pytest.mark.parametrize(
    "counts", [(20, 20, 1), (2, 2, 2), (1, 1, 1), (30, 1, 1), (3, 1), (1, 1)], ids=str
)
def test_classes_that_are_missing_in_folds_do_no_harm(counts):
    y = np.repeat(np.array(["a", "b", "c"])[: len(counts)], counts)
    X = np.random.default_rng(0).normal(size=(len(y), 50))
    X[np.arange(len(y)), np.unique(y, return_inverse=True)[1]] += 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head = LinearHead(random_state=0).fit(X, y)
    p = head.predict_proba(X)
    assert p.shape == (len(y), len(counts))
    assert np.isfinite(p).all()
    assert head.C_ > 0


def test_an_embedding_without_any_variation_gives_the_class_frequencies():
    head = LinearHead(None, random_state=0).fit(np.ones((12, 3)), [0] * 9 + [1] * 3)
    np.testing.assert_allclose(head.predict_proba(np.ones((1, 3))), [[0.75, 0.25]], atol=0.01)
