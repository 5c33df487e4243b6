"""Unlabelled samples: beside the labelled ones, and among them."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import sslgex.base
from sslgex import ScarfTransformer, SSLClassifier
from sslgex.datasets import make_expression

SMALL = {
    "hidden_layer_sizes": (8, 8),
    "projection_sizes": (8,),
    "max_epochs": 2,
    "batch_size": 32,
    "random_state": 0,
}
TUNING = {"max_epochs": 2, "early_stopping": False, "random_state": 0}
N, N_POOL, GENES = 48, 31, 12


@pytest.fixture(scope="module")
def data():
    # Classes that overlap: a penalty at the edge of its grid is worth a warning.
    how = {"n_classes": 3, "n_informative": 4, "class_sep": 3, "random_state": 0}
    X, y = make_expression(N + 80, GENES, return_X_y=True, **how)
    return X[:N], y[:N], X[N:]


@pytest.fixture
def pretrained_on(monkeypatch):
    """Record the number of rows of every pretraining."""
    rows_seen = []
    original = sslgex.base.BaseSSLTransformer._pretrain

    def recorded(self, encoder, rows, *args, **kwargs):
        rows_seen.append(len(rows))
        return original(self, encoder, rows, *args, **kwargs)

    monkeypatch.setattr(sslgex.base.BaseSSLTransformer, "_pretrain", recorded)
    return rows_seen


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def classifier(**params):
    how = {"mode": "frozen", "random_state": 0, **params}
    return SSLClassifier(ScarfTransformer(**SMALL), **how)


def fast(**params):
    """Return a classifier for what the head has no say in: its layer has nothing to tune."""
    return classifier(head="sgd", max_epochs=2, **params)


def requesting():
    return fast().set_fit_request(X_unlabeled=True)


# Every form in which N_POOL further profiles may come.
FORMS = {
    "matrix": lambda pool: pool[:N_POOL],
    "list": lambda pool: [pool[:20], pool[20:N_POOL]],
    "tuple": lambda pool: (pool[:20], pool[20:N_POOL]),
    "list of one": lambda pool: [pool[:N_POOL]],
    "sparse": lambda pool: sp.csr_array(pool[:N_POOL]),
    "mixed": lambda pool: [sp.csr_matrix(pool[:20]), pool[20:N_POOL].astype(np.float32)],
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


# -------------------------------------------------------------------------------- X_unlabeled


@forms
def test_the_pool_reaches_pretraining(data, pretrained_on, form):
    X, y, pool = data
    without = fast().fit(X, y).transform(X)
    with_pool = fast().fit(X, y, X_unlabeled=form(pool)).transform(X)
    assert pretrained_on == [N, N + N_POOL]
    assert not np.allclose(without, with_pool, atol=1e-3)
    alone = ScarfTransformer(**SMALL).fit(X, X_unlabeled=form(pool)).transform(X)
    np.testing.assert_array_equal(with_pool, alone)


def test_all_forms_of_the_pool_pretrain_alike(data):
    X, _, pool = data
    together = ScarfTransformer(**SMALL).fit(np.vstack([X, pool[:N_POOL]]))
    for name, form in FORMS.items():
        encoder = ScarfTransformer(**SMALL).fit(X, X_unlabeled=form(pool))
        np.testing.assert_allclose(
            encoder.transform(X), together.transform(X), atol=1e-3, err_msg=name
        )


@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
@pytest.mark.parametrize("head", ["linear", "pooled"])
def test_the_pool_reaches_the_pooled_head_and_not_the_linear_one(data, head, mode):
    X, y, pool = data
    how = {"mode": mode, "head": head, **TUNING}
    clf = SSLClassifier(ScarfTransformer(**SMALL), **how).fit(X, y, X_unlabeled=pool)
    encoder = ScarfTransformer(**SMALL).fit(X, X_unlabeled=pool)
    without = SSLClassifier(encoder, **how).fit(X, y)
    if head == "linear":
        np.testing.assert_array_equal(clf.transform(X), without.transform(X))
        np.testing.assert_array_equal(clf.predict_proba(X), without.predict_proba(X))
        return
    assert "propagated" in clf.head_.weights_
    assert "propagated" not in without.head_.weights_
    assert not np.allclose(clf.predict_proba(X), without.predict_proba(X), atol=1e-3)
    same = SSLClassifier(encoder, **how).fit(X, y, X_unlabeled=pool)
    np.testing.assert_array_equal(clf.transform(X), same.transform(X))
    np.testing.assert_array_equal(clf.predict_proba(X), same.predict_proba(X))


@pytest.mark.usefixtures("routing")
@forms
def test_cross_validate_hands_the_whole_pool_to_every_fold(data, pretrained_on, form):
    X, y, pool = data
    params = {"X_unlabeled": form(pool)}
    cross_validate(requesting(), X, y, cv=3, params=params, error_score="raise")
    assert pretrained_on == [N * 2 // 3 + N_POOL] * 3


@pytest.mark.usefixtures("routing")
def test_a_splitter_cuts_a_pool_as_long_as_X_but_not_one_in_a_list(data, pretrained_on):
    X, y, pool = data
    for form in (pool[:N], [pool[:N]]):
        params = {"X_unlabeled": form}
        cross_validate(requesting(), X, y, cv=3, params=params, error_score="raise")
    assert pretrained_on == [2 * (N * 2 // 3)] * 3 + [N * 2 // 3 + N] * 3


@pytest.mark.usefixtures("routing")
@forms
def test_a_grid_search_hands_the_whole_pool_to_every_fit(data, pretrained_on, form):
    X, y, pool = data
    search = GridSearchCV(requesting(), {"class_weight": [None]}, cv=2, error_score="raise")
    search.fit(X, y, X_unlabeled=form(pool))
    assert pretrained_on == [N // 2 + N_POOL] * 2 + [N + N_POOL]


# scikit-learn's Pipeline transforms the members of a tuple, and takes a list for a matrix.
@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("form", [FORMS["matrix"], FORMS["tuple"]], ids=["matrix", "tuple"])
def test_a_pipeline_transforms_the_pool(data, pretrained_on, form):
    X, y, pool = data
    X, pool = X * 3 + 1, form(pool * 3 + 1)
    pipe = Pipeline(
        [("scale", StandardScaler()), ("clf", requesting())], transform_input=["X_unlabeled"]
    )
    Z = pipe.fit(X, y, X_unlabeled=pool)[-1].transform(pipe[0].transform(X))
    scaler = StandardScaler().fit(X)
    scaled = (
        tuple(map(scaler.transform, pool)) if isinstance(pool, tuple) else scaler.transform(pool)
    )
    alone = fast().fit(scaler.transform(X), y, X_unlabeled=scaled)
    np.testing.assert_array_equal(Z, alone.transform(scaler.transform(X)))
    pretrained_on.clear()
    cross_validate(pipe, X, y, cv=3, params={"X_unlabeled": pool}, error_score="raise")
    grid = GridSearchCV(pipe, {"clf__class_weight": [None]}, cv=3, error_score="raise")
    grid.fit(X, y, X_unlabeled=pool)
    fold = N * 2 // 3 + N_POOL
    assert pretrained_on == [fold] * 6 + [N + N_POOL]


@pytest.mark.usefixtures("routing")
def test_a_pretrainer_within_a_pipeline_takes_the_pool(data, pretrained_on):
    X, y, pool = data
    pipe = Pipeline(
        [
            ("scale", StandardScaler()),
            ("ssl", ScarfTransformer(**SMALL).set_fit_request(X_unlabeled=True)),
            ("clf", LogisticRegression(max_iter=500)),
        ],
        transform_input=["X_unlabeled"],
    )
    pipe.fit(X, y, X_unlabeled=pool[:N_POOL])
    assert pretrained_on == [N + N_POOL]
    assert pipe.score(X, y) > 0.5


@pytest.mark.usefixtures("routing")
def test_a_pool_that_was_not_requested_is_refused(data):
    X, y, pool = data
    with pytest.raises(ValueError, match="X_unlabeled"):
        cross_validate(classifier(), X, y, params={"X_unlabeled": pool}, error_score="raise")


@pytest.mark.parametrize("wrap", [lambda e: e, FrozenEstimator], ids=["bare", "FrozenEstimator"])
def test_a_pool_for_a_fitted_encoder_warns_that_it_is_not_used(data, pretrained_on, wrap):
    X, y, pool = data
    encoder = ScarfTransformer(**SMALL).fit(X)
    clf = SSLClassifier(wrap(encoder), mode="frozen", head="sgd", max_epochs=2)
    with pytest.warns(UserWarning, match="X_unlabeled is not used") as caught:
        clf.fit(X, y, X_unlabeled=pool)
    assert len(caught) == 1
    assert pretrained_on == [N]


@pytest.mark.parametrize("wrap", [lambda e: e, FrozenEstimator], ids=["bare", "FrozenEstimator"])
def test_a_pool_for_a_fitted_encoder_is_used_by_the_pooled_head(data, pretrained_on, wrap):
    X, y, pool = data
    encoder = ScarfTransformer(**SMALL).fit(X)
    clf = SSLClassifier(wrap(encoder), mode="frozen", random_state=0)
    clf.fit(X, y, X_unlabeled=pool)
    assert "propagated" in clf.head_.weights_
    assert pretrained_on == [N]


@pytest.mark.parametrize("bad", [lambda p: p[:, :-1], lambda p: [p, p[:, :-1]]])
def test_a_pool_over_other_genes_is_refused(data, bad):
    X, y, pool = data
    for encoder in (ScarfTransformer(**SMALL), PCA(2)):
        clf = SSLClassifier(encoder, mode="frozen")
        with pytest.raises(ValueError, match=r"has 11 features, but .* is expecting 12 features"):
            clf.fit(X, y, X_unlabeled=bad(pool))


# ------------------------------------------------------------- transformers of scikit-learn


@forms
def test_a_foreign_encoder_is_fitted_on_all_rows(data, form):
    X, y, pool = data
    how = {"mode": "frozen", "head": "sgd", "max_epochs": 2}
    clf = SSLClassifier(TruncatedSVD(3, random_state=0), **how)
    clf.fit(X, y, X_unlabeled=form(pool))
    svd = TruncatedSVD(3, random_state=0).fit(np.vstack([X, pool[:N_POOL]]))
    np.testing.assert_allclose(abs(clf.transform(X)), abs(svd.transform(X)), atol=1e-3, rtol=1e-3)


def test_a_foreign_encoder_refuses_a_pool_with_the_genes_in_another_order(data):
    pd = pytest.importorskip("pandas")
    X, y, pool = data
    genes = [f"g{i}" for i in range(X.shape[1])]
    X, pool = pd.DataFrame(X, columns=genes), pd.DataFrame(pool, columns=genes)
    assert SSLClassifier(PCA(2), mode="frozen").fit(X, y, X_unlabeled=pool).n_features_in_ == GENES
    for encoder in (ScarfTransformer(**SMALL), PCA(2)):
        with pytest.raises(ValueError, match="same order"):
            SSLClassifier(encoder, mode="frozen").fit(X, y, X_unlabeled=pool[genes[::-1]])


# ------------------------------------------------------------------------- unlabelled among y


def test_by_default_every_value_is_a_class(data):
    X, y, _ = data
    labels = np.unique(y, return_inverse=True)[1] - 1
    clf = fast().fit(X, labels)
    np.testing.assert_array_equal(clf.classes_, [-1, 0, 1])
    assert clf.score(X, labels) == np.mean(clf.predict(X) == labels)


MARKS = [(-1, -1), ("unknown", "unknown"), (None, None), (np.nan, None), ("pandas.NA", None)]


# Which marks there are is found out before modes and heads come in.
@pytest.mark.parametrize(
    ("mode", "mark", "unlabeled_label"),
    [*(("frozen", *mark) for mark in MARKS), ("unfrozen", *MARKS[0])],
)
def test_unlabelled_rows_serve_pretraining_only_if_the_head_is_linear(
    data, pretrained_on, mode, mark, unlabeled_label
):
    X, _, _ = data
    y, labels, labelled, classes = partly_labelled(data, mark)
    how = {"mode": mode, "head": "linear", "unlabeled_label": unlabeled_label, **TUNING}
    clf = SSLClassifier(ScarfTransformer(**SMALL), **how).fit(X, y)
    assert pretrained_on == [N]
    np.testing.assert_array_equal(clf.classes_, classes)
    encoder = ScarfTransformer(**SMALL).fit(X)
    same = SSLClassifier(encoder, **how).fit(X[labelled], labels[labelled])
    np.testing.assert_array_equal(clf.predict_proba(X), same.predict_proba(X))
    np.testing.assert_array_equal(clf.predict(X), same.predict(X))


@pytest.mark.parametrize(
    ("mode", "mark", "unlabeled_label"),
    [("frozen", *MARKS[0]), ("frozen", *MARKS[-1]), ("unfrozen", *MARKS[0])],
)
def test_unlabelled_rows_are_a_pool_for_the_pooled_head(
    data, pretrained_on, mode, mark, unlabeled_label
):
    X, _, _ = data
    y, labels, labelled, classes = partly_labelled(data, mark)
    how = {"mode": mode, "head": "pooled", "unlabeled_label": unlabeled_label, **TUNING}
    clf = SSLClassifier(ScarfTransformer(**SMALL), **how).fit(X, y)
    assert pretrained_on == [N]
    np.testing.assert_array_equal(clf.classes_, classes)
    encoder = ScarfTransformer(**SMALL).fit(X)
    same = SSLClassifier(encoder, **how)
    same.fit(X[labelled], labels[labelled], X_unlabeled=X[~labelled])
    assert "propagated" in same.head_.weights_
    np.testing.assert_array_equal(clf.predict_proba(X), same.predict_proba(X))
    np.testing.assert_array_equal(clf.predict(X), same.predict(X))


def partly_labelled(data, mark):
    """Return labels of which half are ``mark``, all of them, which are known, the classes."""
    codes = np.unique(data[1], return_inverse=True)[1]
    classes = [0, 1, 2] if mark == -1 else ["a", "b", "c"]
    labels = np.array(classes, dtype=int if mark == -1 else object)[codes]
    labelled = np.arange(N) % 2 != 0
    y = labels.copy()
    y[~labelled] = pytest.importorskip("pandas").NA if mark == "pandas.NA" else mark
    return y, labels, labelled, classes


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([0, 1, None], [0, 1]), ([True, False, None], [False, True]), ([-1, 1, np.nan], [-1, 1])],
    ids=["integers", "booleans", "signs"],
)
def test_objects_that_hold_numbers_may_miss_some(data, labels, classes):
    X, y, _ = data
    y = np.array([labels[c] for c in np.unique(y, return_inverse=True)[1]], dtype=object)
    clf = fast().fit(X, y)
    np.testing.assert_array_equal(clf.classes_, classes)
    assert set(clf.predict(X)) <= set(classes)
    assert 0 <= clf.score(X, y) <= 1


@pytest.mark.parametrize("dtype", ["object", "category", "string", "Int64"])
def test_pandas_labels_may_miss_some(data, dtype):
    pd = pytest.importorskip("pandas")
    X, y, _ = data
    names = [0, 1, None] if dtype == "Int64" else ["Basal", "LumA", None]
    y = pd.Series([names[c] for c in np.unique(y, return_inverse=True)[1]], dtype=dtype)
    clf = fast().fit(X, y)
    np.testing.assert_array_equal(clf.classes_, names[:2])


@pytest.mark.parametrize("head", ["linear", "pooled"])
def test_sample_weights_stay_with_their_samples(data, head):
    X, y, _ = data
    y = np.unique(y, return_inverse=True)[1]
    weight = np.linspace(0.1, 3, N)
    labelled = np.arange(N) % 2 != 0
    clf = classifier(unlabeled_label=-1, head=head)
    clf.fit(X, np.where(labelled, y, -1), sample_weight=weight)
    same = SSLClassifier(ScarfTransformer(**SMALL).fit(X), mode="frozen", head=head, random_state=0)
    pool = {"X_unlabeled": X[~labelled]} if head == "pooled" else {}
    same.fit(X[labelled], y[labelled], sample_weight=weight[labelled], **pool)
    np.testing.assert_array_equal(clf.predict_proba(X), same.predict_proba(X))
    unweighted = clone(same).fit(X[labelled], y[labelled], **pool)
    assert not np.allclose(clf.predict_proba(X), unweighted.predict_proba(X), atol=1e-3)


def test_unlabelled_rows_and_a_pool_go_together(data, pretrained_on):
    X, y, pool = data
    y = np.unique(y, return_inverse=True)[1]
    y[::4] = -1
    clf = classifier(unlabeled_label=-1).fit(X, y, X_unlabeled=pool[:N_POOL])
    assert pretrained_on == [N + N_POOL]
    np.testing.assert_array_equal(clf.classes_, [0, 1, 2])


def test_score_ignores_unlabelled_rows(data):
    X, y, _ = data
    codes = np.unique(y, return_inverse=True)[1]
    clf = fast(unlabeled_label=-1).fit(X, codes)
    labelled = np.arange(N) % 3 != 0
    mixed = np.where(labelled, codes, -1)
    weight = np.linspace(0.1, 3, N)
    assert clf.score(X, mixed) == clf.score(X[labelled], codes[labelled])
    assert clf.score(X, mixed, sample_weight=weight) == pytest.approx(
        clf.score(X[labelled], codes[labelled], sample_weight=weight[labelled])
    )
    with pytest.raises(ValueError, match="all 48 are unlabelled"):
        clf.score(X, np.full(N, -1))


def test_cross_validation_of_a_mixed_table_scores_labelled_rows(data):
    X, y, _ = data
    y = np.unique(y, return_inverse=True)[1]
    y[::4] = -1
    clf = classifier(unlabeled_label=-1, head="linear")
    scores = cross_validate(clf, X, y, cv=2, error_score="raise")
    assert np.all(scores["test_score"] > 0.3)


# ------------------------------------------------------------------------------------- errors


def test_all_rows_unlabelled_is_an_error(data):
    X, _, pool = data
    match = "no labelled sample: all 48 are unlabelled.*fit a pretrainer"
    with pytest.raises(ValueError, match=match):
        classifier(unlabeled_label=-1).fit(X, np.full(N, -1), X_unlabeled=pool)
    with pytest.raises(ValueError, match=match):
        classifier().fit(X, np.full(N, None))


def test_one_class_beside_unlabelled_rows_is_an_error(data):
    X, _, _ = data
    with pytest.raises(ValueError, match="got 1 class"):
        classifier(unlabeled_label=-1).fit(X, np.where(np.arange(N) % 2, 1, -1))


@pytest.mark.parametrize(
    ("mode", "head"), [("frozen", "linear"), ("unfrozen", "linear"), ("unfrozen", "pooled")]
)
def test_unlabelled_rows_without_an_encoder_are_an_error_where_no_head_takes_them(data, mode, head):
    X, y, pool = data
    match = "of no use with encoder=None.*encoder=ScarfTransformer"
    clf = SSLClassifier(mode=mode, head=head, unlabeled_label=-1)
    with pytest.raises(ValueError, match=match):
        clf.fit(X, y, X_unlabeled=pool)
    y = np.unique(y, return_inverse=True)[1]
    y[::4] = -1
    with pytest.raises(ValueError, match=match):
        clf.fit(X, y)


def test_without_an_encoder_the_pooled_head_takes_unlabelled_rows(data):
    X, y, pool = data
    y = np.unique(y, return_inverse=True)[1]
    y[::4] = -1
    how = {"hidden_layer_sizes": (8,), "mode": "frozen", "unlabeled_label": -1, "random_state": 0}
    clf = SSLClassifier(**how).fit(X, y)
    assert "propagated" in clf.head_.weights_
    np.testing.assert_array_equal(clf.classes_, [0, 1, 2])
    both = SSLClassifier(**how).fit(X, y, X_unlabeled=pool)
    assert not np.allclose(both.predict_proba(X), clf.predict_proba(X), atol=1e-3)


def test_missing_values_among_floats_are_an_error_with_a_cure(data):
    X, _, _ = data
    y = np.where(np.arange(N) % 3, np.arange(N) % 2, np.nan)
    with pytest.raises(ValueError, match=r"(?s)y contains NaN.*unlabeled_label=-1"):
        classifier().fit(X, y)
