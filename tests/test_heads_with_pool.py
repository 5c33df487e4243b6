"""Heads that learn from unlabelled samples get their embedding: of X_unlabeled and of X's own."""

import pickle

import anndata as ad
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sslgex import ScarfTransformer, SSLClassifier

N, GENES = 40, 6
NAMES = [f"g{j}" for j in range(GENES)]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, GENES)).astype(np.float32)
Y = np.arange(N) % 2
MORE = RNG.normal(size=(15, GENES)).astype(np.float32)
SMALL = {"hidden_layer_sizes": (8,), "projection_sizes": (8,), "max_epochs": 1, "random_state": 0}


class PoolHead(ClassifierMixin, BaseEstimator):
    """Keeps what it is fitted on."""

    def __init__(self, *, random_state=None):
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None, X_unlabeled=None):
        self.Z_, self.y_, self.weight_, self.pool_ = X, y, sample_weight, X_unlabeled
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def classifier(encoder=None, **params):
    encoder = PCA(3, random_state=0) if encoder is None else encoder
    return SSLClassifier(encoder, mode="frozen", head=PoolHead(), random_state=0, **params)


def scarf(**params):
    return ScarfTransformer(**SMALL, **params)


ENCODERS = {
    "PCA": lambda: PCA(3, random_state=0),
    "fitted PCA": lambda: PCA(3, random_state=0).fit(X),
    "ours": scarf,
    "ours, fitted": lambda: scarf().fit(X),
    "ours, frozen": lambda: FrozenEstimator(scarf().fit(X)),
}
every_encoder = pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)


def embedding(clf, samples):
    """What the classifier's encoder makes of samples given as a matrix."""
    return np.asarray(clf.encoder_.transform(samples))


@every_encoder
def test_the_head_gets_the_embedding_of_the_unlabelled_samples(make):
    clf = classifier(make()).fit(X, Y, X_unlabeled=MORE)
    np.testing.assert_allclose(clf.head_.pool_, embedding(clf, MORE), atol=1e-6)
    np.testing.assert_allclose(clf.head_.Z_, embedding(clf, X), atol=1e-6)
    np.testing.assert_array_equal(clf.head_.y_, Y)


@every_encoder
def test_unlabelled_samples_among_the_labelled_belong_to_the_pool(make):
    y = np.where(np.arange(N) % 3 == 0, -1, Y)
    clf = classifier(make(), unlabeled_label=-1).fit(X, y)
    np.testing.assert_allclose(clf.head_.pool_, embedding(clf, X[y == -1]), atol=1e-6)
    np.testing.assert_allclose(clf.head_.Z_, embedding(clf, X[y != -1]), atol=1e-6)
    np.testing.assert_array_equal(clf.head_.y_, Y[y != -1])


def test_both_kinds_of_unlabelled_samples_go_together():
    y = np.array([None if i % 4 == 0 else f"c{label}" for i, label in enumerate(Y)], dtype=object)
    clf = classifier().fit(X, y, X_unlabeled=[MORE[:4], MORE[4:]])
    given, own = np.split(clf.head_.pool_, [len(MORE)])
    np.testing.assert_allclose(given, embedding(clf, MORE), atol=1e-6)
    np.testing.assert_allclose(own, embedding(clf, X[::4]), atol=1e-6)
    # The encoder has seen all of them.
    known = PCA(3, random_state=0).fit(np.vstack([X, MORE]))
    np.testing.assert_allclose(clf.encoder_.components_, known.components_, atol=1e-5)


@every_encoder
def test_without_unlabelled_samples_the_pool_is_empty(make):
    clf = classifier(make()).fit(X, Y)
    assert clf.head_.pool_.shape == (0, clf.head_.Z_.shape[1])
    clf.fit(X, Y, X_unlabeled=[])
    assert clf.head_.pool_.shape == (0, clf.head_.Z_.shape[1])


def test_a_head_that_takes_none_gets_none():
    clf = classifier(PCA(3, random_state=0).fit(X)).set_params(head=GaussianNB())
    with pytest.warns(UserWarning, match="X_unlabeled is not used: the encoder is fitted already"):
        clf.fit(X, Y, X_unlabeled=MORE)
    plain = clone(clf).fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


def test_weights_go_with_the_labelled_samples():
    y = np.where(np.arange(N) < 10, -1, Y)
    weight = np.arange(N) + 1.0
    clf = classifier(unlabeled_label=-1).fit(X, y, sample_weight=weight, X_unlabeled=MORE)
    np.testing.assert_array_equal(clf.head_.weight_, weight[10:])
    assert len(clf.head_.pool_) == 10 + len(MORE)
    assert len(clf.head_.Z_) == N - 10


def test_a_random_encoder_embeds_the_pool_too():
    # There is nothing to pretrain, but the head learns from the unlabelled samples.
    clf = SSLClassifier(
        None, mode="frozen", head=PoolHead(), hidden_layer_sizes=(8,), random_state=0
    )
    clf.fit(X, Y, X_unlabeled=MORE)
    np.testing.assert_allclose(clf.head_.pool_, embedding(clf, MORE), atol=1e-6)


@pytest.mark.parametrize("mode", ["linear", "sgd"])
def test_a_random_encoder_without_such_a_head_still_refuses_a_pool(mode):
    clf = SSLClassifier(None, mode="frozen", head=mode, hidden_layer_sizes=(8,))
    with pytest.raises(ValueError, match="of no use with encoder=None"):
        clf.fit(X, Y, X_unlabeled=MORE)


# ------------------------------------------------------------------------ kinds of matrices


FRAMES = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "AnnData": lambda X: ad.AnnData(X, var=pd.DataFrame(index=NAMES)),
}


@pytest.mark.parametrize("make", [ENCODERS["PCA"], ENCODERS["ours"]], ids=["PCA", "ours"])
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_gene_names_go_along_without_a_word(make, frame):
    plain = classifier(make()).fit(X, Y, X_unlabeled=MORE).head_.pool_
    for pool in (frame(MORE), [frame(MORE[:4]), frame(MORE[4:])]):
        named = classifier(make()).fit(frame(X), Y, X_unlabeled=pool)
        np.testing.assert_allclose(named.head_.pool_, plain, atol=1e-5)


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_names_of_unlabelled_samples_among_the_labelled_go_along_too(frame):
    y = np.where(np.arange(N) < 10, -1, Y)
    for encoder in (PCA(3, random_state=0), scarf()):
        clf = classifier(encoder, unlabeled_label=-1).fit(frame(X), y)
        plain = classifier(encoder, unlabeled_label=-1).fit(X, y)
        np.testing.assert_allclose(clf.head_.pool_, plain.head_.pool_, atol=1e-5)


def test_a_fitted_encoder_gets_the_names_that_it_was_fitted_with():
    frame = FRAMES["pandas"]
    for encoder in (StandardScaler(), scarf()):
        encoder.fit(frame(X))
        clf = classifier(FrozenEstimator(encoder))
        clf.fit(frame(X), Y, X_unlabeled=[frame(MORE)])
        np.testing.assert_allclose(clf.head_.pool_, encoder.transform(frame(MORE)), atol=1e-6)


@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_the_pool_is_read_from_the_encoders_layer(fitted):
    def adata(values):
        return ad.AnnData(values + 5, var=pd.DataFrame(index=NAMES), layers={"log": values})

    encoder = scarf(layer="log")
    if fitted:
        encoder.fit(adata(X))
    y = np.where(np.arange(N) < 10, -1, Y)
    clf = classifier(encoder, unlabeled_label=-1)
    clf.fit(adata(X), y, X_unlabeled=[adata(MORE)])
    known = clf.encoder_.transform(adata(np.vstack([MORE, X[:10]])))
    np.testing.assert_allclose(clf.head_.pool_, known, atol=1e-6)


@every_encoder
def test_sparse_and_dense_samples_go_together(make):
    dense = classifier(make()).fit(X, Y, X_unlabeled=MORE)
    mixed = classifier(make()).fit(
        sp.csr_matrix(X), Y, X_unlabeled=[MORE[:7], sp.csr_matrix(MORE[7:])]
    )
    assert isinstance(mixed.head_.pool_, np.ndarray)
    np.testing.assert_allclose(np.abs(mixed.head_.pool_), np.abs(dense.head_.pool_), atol=1e-3)


def test_an_encoder_with_sparse_output_gives_a_dense_pool():
    encoder = FunctionTransformer(sp.csr_matrix)
    clf = classifier(encoder).fit(X, Y, X_unlabeled=MORE)
    assert isinstance(clf.head_.pool_, np.ndarray)
    np.testing.assert_array_equal(clf.head_.pool_, MORE)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, int])
def test_the_pool_is_of_a_floating_type(dtype):
    clf = classifier(StandardScaler()).fit(
        (4 * X).astype(dtype), Y, X_unlabeled=(4 * MORE).astype(dtype)
    )
    expected = np.float64 if dtype == np.float64 else np.float32
    assert clf.head_.pool_.dtype == clf.head_.Z_.dtype == expected


# -------------------------------------------------------------------------------- bad input


def test_unlabelled_samples_of_other_genes_are_refused():
    with pytest.raises(ValueError, match=r"(?s)6 features.*matrix 1 of X_unlabeled"):
        classifier().fit(X, Y, X_unlabeled=[MORE, MORE[:, :4]])
    frame = FRAMES["pandas"]
    with pytest.raises(ValueError, match=r"(?s)feature names.*matrix 0 of X_unlabeled"):
        classifier().fit(frame(X), Y, X_unlabeled=frame(MORE)[NAMES[::-1]])
    with pytest.raises(ValueError, match=r"(?s)NaN.*matrix 0 of X_unlabeled"):
        classifier().fit(X, Y, X_unlabeled=np.full((3, GENES), np.nan))


def test_a_failed_fit_leaves_the_classifier_as_it_was():
    clf = classifier().fit(X, Y, X_unlabeled=MORE)
    before = clf.head_
    with pytest.raises(ValueError, match="matrix 0 of X_unlabeled"):
        clf.fit(X, Y, X_unlabeled=MORE[:, :4])
    assert clf.head_ is before


def test_a_head_with_a_pool_only_goes_with_a_frozen_encoder():
    clf = SSLClassifier(scarf(), head=PoolHead())
    with pytest.raises(ValueError, match="cannot be trained together with the encoder"):
        clf.fit(X, Y, X_unlabeled=MORE)


# ------------------------------------------------------------------------ like any estimator


def test_such_a_classifier_is_cloned_pickled_and_cross_validated():
    clf = classifier(scarf())
    pool = clone(clf).fit(X, Y, X_unlabeled=MORE).head_.pool_
    again = pickle.loads(pickle.dumps(clone(clf).fit(X, Y, X_unlabeled=MORE)))
    np.testing.assert_array_equal(again.head_.pool_, pool)
    assert (cross_val_score(clf, X, Y, cv=2, params={"X_unlabeled": [MORE]}) == 0.5).all()


def test_the_users_head_stays_unfitted_and_takes_its_seed_from_the_classifier():
    clf = classifier().fit(X, Y, X_unlabeled=MORE)
    assert not hasattr(clf.head, "pool_")
    assert clf.head_.random_state == 0
