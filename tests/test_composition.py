"""The estimators inside scikit-learn's: searches, pipelines, routing, jobs, caches, labels."""

import os
from unittest import mock

import joblib
import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from old_versions import routes_to_score
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_info, threadpool_limits

import sslgex.base
from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._training import threads
from sslgex._training.engine import Engine
from sslgex.datasets import make_expression

SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 2, "batch_size": 32, "random_state": 0}
METHODS = {
    "byol": ByolTransformer(**SMALL, projection_sizes=(8, 4), prediction_sizes=(8, 4)),
    "scarf": ScarfTransformer(**SMALL, projection_sizes=(8,)),
    "vime": VimeTransformer(**SMALL, decoder_sizes=(8,)),
}
methods = pytest.mark.parametrize("ssl", METHODS.values(), ids=METHODS)
GENES = 12
WIDTH = 12  # of the embedding: all components


@pytest.fixture(scope="module")
def data():
    # Classes that overlap: a penalty at the edge of its grid is worth a warning.
    return make_expression(
        60, GENES, n_classes=3, n_informative=4, class_sep=3, return_X_y=True, random_state=0
    )


@pytest.fixture(scope="module")
def scarf(data):
    return clone(METHODS["scarf"]).fit(data[0])


@pytest.fixture
def pretrainings(monkeypatch):
    """Count the pretrainings."""
    sizes = []
    original = sslgex.base.BaseSSLTransformer._pretrain

    def recorded(self, encoder, rows, *args, **kwargs):
        sizes.append(len(rows))
        return original(self, encoder, rows, *args, **kwargs)

    monkeypatch.setattr(sslgex.base.BaseSSLTransformer, "_pretrain", recorded)
    return sizes


def pipeline(ssl, **params):
    return Pipeline([("ssl", clone(ssl)), ("clf", LogisticRegression(max_iter=500))], **params)


def classifier(encoder=METHODS["scarf"], **params):
    return SSLClassifier(encoder, **{"max_epochs": 2, "random_state": 0, **params})


def fast(encoder=METHODS["scarf"], **params):
    """Return a classifier for what the head has no say in: its layer has nothing to tune."""
    return classifier(encoder, head="sgd", **params)


@pytest.fixture(scope="module")
def fitted(data, scarf):
    return classifier(scarf).fit(*data)


# ------------------------------------------------------------------------------- compositions


@methods
def test_in_a_pipeline(data, ssl):
    X, y = data
    pipe = pipeline(ssl).fit(X, y)
    Z = clone(ssl).fit(X).transform(X)
    np.testing.assert_array_equal(pipe[:-1].transform(X), Z)
    np.testing.assert_array_equal(pipe.predict(X), clone(pipe[-1]).fit(Z, y).predict(Z))
    assert list(pipe[:-1].get_feature_names_out()) == list(pipe[0].get_feature_names_out())


def test_a_classifier_is_a_transformer_in_a_pipeline(data):
    X, y = data
    pipe = Pipeline([("ssl", fast()), ("clf", LogisticRegression(max_iter=500))]).fit(X, y)
    np.testing.assert_array_equal(pipe[:-1].transform(X), fast().fit(X, y).transform(X))


@methods
def test_in_a_feature_union(data, ssl):
    X, _ = data
    union = FeatureUnion([("ssl", clone(ssl)), ("pca", PCA(2, random_state=0))])
    Z = union.fit_transform(X)
    assert Z.shape == (60, WIDTH + 2)
    np.testing.assert_array_equal(Z[:, :WIDTH], clone(ssl).fit(X).transform(X))
    name = type(ssl).__name__.lower()
    assert union.get_feature_names_out()[0] == f"ssl__{name}0"


@methods
def test_in_a_column_transformer(data, ssl):
    pd = pytest.importorskip("pandas")
    X, _ = data
    genes = [f"g{i}" for i in range(GENES)]
    frame = pd.DataFrame(X, columns=genes, index=[f"s{i}" for i in range(60)])
    frame["age"] = np.arange(60.0)
    columns = ColumnTransformer([("ssl", clone(ssl), genes), ("clinic", "passthrough", ["age"])])
    Z = columns.set_output(transform="pandas").fit_transform(frame)
    assert list(Z.index) == list(frame.index)
    last = f"ssl__{type(ssl).__name__.lower()}{WIDTH - 1}"
    assert list(Z.columns[-2:]) == [last, "clinic__age"]
    np.testing.assert_array_equal(columns.named_transformers_["ssl"].feature_names_in_, genes)
    np.testing.assert_allclose(Z.to_numpy()[:, :WIDTH], clone(ssl).fit(X).transform(X))


@methods
def test_in_a_grid_search(data, ssl):
    X, y = data
    grid = {"ssl__corruption_rate": [0.2, 0.6], "clf__C": [0.1, 1.0]}
    search = GridSearchCV(pipeline(ssl), grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_[0]
    assert best.corruption_rate == search.best_params_["ssl__corruption_rate"]


def test_in_a_halving_search_over_samples_and_over_epochs(data):
    X, y = data
    search = HalvingGridSearchCV(
        pipeline(METHODS["scarf"]),
        {"clf__C": [0.1, 1.0, 10.0]},
        cv=2,
        min_resources=24,
        factor=2,
        random_state=0,
        error_score="raise",
    ).fit(X, y)
    assert search.n_resources_ == [24, 48]
    search = HalvingGridSearchCV(
        fast(mode="unfrozen", early_stopping=False),
        {"lr": [1e-4, 1e-3]},
        resource="max_epochs",
        max_resources=4,
        min_resources=2,
        factor=2,
        cv=2,
        random_state=0,
        error_score="raise",
    ).fit(X, y)
    assert search.best_estimator_.n_iter_ == 4


@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_in_cross_validate(data, mode):
    X, y = data
    scoring = ["accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc_ovr"]
    clf = classifier(mode=mode, head="pooled" if mode == "frozen" else "linear")
    result = cross_validate(clf, X, y, cv=2, scoring=scoring, error_score="raise")
    for name in scoring:
        assert np.isfinite(result[f"test_{name}"]).all()


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_in_calibration(data, scarf, fitted, method):
    X, y = data
    for clf in (fast(scarf, mode="frozen"), FrozenEstimator(fitted)):
        p = CalibratedClassifierCV(clf, method=method, cv=2).fit(X, y).predict_proba(X)
        np.testing.assert_allclose(p.sum(axis=1), 1)
        assert p.shape == (60, 3)


def test_frozen_in_a_pipeline_is_used_as_it_is(data, scarf, pretrainings):
    X, y = data
    pipe = Pipeline([("ssl", FrozenEstimator(scarf)), ("clf", LogisticRegression(max_iter=500))])
    search = GridSearchCV(pipe, {"clf__C": [0.1, 1]}, cv=2, error_score="raise").fit(X, y)
    assert pretrainings == []
    np.testing.assert_array_equal(search.best_estimator_[:-1].transform(X), scarf.transform(X))


@methods
def test_a_clone_is_unfitted_and_equal(data, ssl):
    fitted = clone(ssl).fit(data[0])
    cloned = clone(fitted)
    assert cloned.get_params() == fitted.get_params()
    assert set(vars(cloned)) == set(cloned.get_params())


# ------------------------------------------------------------------------------ pandas output


def test_gene_names_reach_the_encoder_behind_a_scaler_that_keeps_them(data):
    pd = pytest.importorskip("pandas")
    X, y = data
    frame = pd.DataFrame(X, columns=[f"g{i}" for i in range(GENES)], index=np.arange(100, 160))
    pipe = Pipeline([("scale", StandardScaler()), ("ssl", clone(METHODS["scarf"]))])
    Z = pipe.set_output(transform="pandas").fit_transform(frame, y)
    assert list(pipe[-1].feature_names_in_) == list(frame.columns)
    assert list(Z.index) == list(frame.index)
    assert list(Z.columns) == [f"scarftransformer{i}" for i in range(WIDTH)]
    clf = fast().set_output(transform="pandas").fit(frame, y)
    assert list(clf.feature_names_in_) == list(clf.encoder_.feature_names_in_)
    assert list(clf.transform(frame).columns) == [f"sslclassifier{i}" for i in range(WIDTH)]
    assert isinstance(clf.predict(frame), np.ndarray)
    assert isinstance(clf.predict_proba(frame), np.ndarray)


@pytest.mark.parametrize(
    ("encoder", "mode", "head"),
    [
        (METHODS["scarf"], "frozen", "pooled"),
        (METHODS["scarf"], "unfrozen", "linear"),
        (PCA(2), "frozen", "pooled"),
        (None, "frozen", "linear"),
        (None, "unfrozen", "linear"),
    ],
    ids=["scarf-frozen", "scarf-unfrozen", "pca-frozen", "scratch-frozen", "scratch-unfrozen"],
)
def test_a_global_pandas_output_changes_no_prediction(data, encoder, mode, head):
    pd = pytest.importorskip("pandas")
    X, y = data
    frame = pd.DataFrame(X, columns=[f"g{i}" for i in range(GENES)])
    how = {"hidden_layer_sizes": (8,), "mode": mode, "head": head}
    with config_context(transform_output="pandas"):
        p = classifier(encoder, **how).fit(frame, y).predict_proba(frame)
    np.testing.assert_array_equal(p, classifier(encoder, **how).fit(X, y).predict_proba(X))


# -------------------------------------------------------------------------- metadata routing


@routes_to_score
def test_sample_weights_are_routed(data):
    X, y = data
    weight = np.where(y == y[0], 20.0, 1.0)
    clf = fast(mode="frozen", class_weight=None)
    with config_context(enable_metadata_routing=True):
        routed = clone(clf).set_fit_request(sample_weight=True)
        routed.set_score_request(sample_weight=True)
        pipe = Pipeline([("scale", StandardScaler()), ("clf", routed)])
        pipe[0].set_fit_request(sample_weight=False)
        params = {"sample_weight": weight}
        result = cross_validate(
            pipe, X, y, cv=2, params=params, return_estimator=True, return_indices=True
        )
        search = GridSearchCV(routed, {"class_weight": [None]}, cv=2).fit(X, y, **params)
    same = clone(clf).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(search.predict_proba(X), same.predict_proba(X))
    for i, fitted in enumerate(result["estimator"]):
        train, test = result["indices"]["train"][i], result["indices"]["test"][i]
        scaler = StandardScaler().fit(X[train])
        Z, Z_test = scaler.transform(X[train]), scaler.transform(X[test])
        alone = clone(clf).fit(Z, y[train], sample_weight=weight[train])
        np.testing.assert_array_equal(fitted[-1].predict(Z_test), alone.predict(Z_test))
        score = alone.score(Z_test, y[test], sample_weight=weight[test])
        assert result["test_score"][i] == pytest.approx(score)


# -------------------------------------------------------------------------------- parallelism


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_two_jobs_give_what_one_gives(data, scarf, backend):
    from joblib import parallel_config

    X, y = data
    state = {k: v.clone() for k, v in scarf.encoder_.state_dict().items()}
    for estimator in (pipeline(METHODS["scarf"]), fast(scarf, lr=1e-3)):
        alone = cross_val_score(estimator, X, y, cv=2, error_score="raise")
        with parallel_config(backend=backend):
            scores = cross_val_score(estimator, X, y, cv=2, n_jobs=2, error_score="raise")
        np.testing.assert_allclose(scores, alone, atol=0.04)
    assert all(state[k].equal(v) for k, v in scarf.encoder_.state_dict().items())


def threads_after_a_fit(X):
    """Return how many threads torch has in the process of a fit."""
    clone(METHODS["scarf"]).fit(X)
    return torch.get_num_threads()


def test_jobs_share_the_processors(data, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # joblib hands it on as it is
    found = Parallel(2)(delayed(threads_after_a_fit)(data[0]) for _ in range(2))
    assert found == [max(1, joblib.cpu_count() // 2)] * 2


def threads_in_training(X, shared=True):
    """Return how many threads torch and the libraries have within a fit, and torch after it."""
    switch = mock.patch.dict(os.environ, {threads.SWITCH: str(int(shared))})
    seen = []
    original = Engine.run

    def run(engine):
        seen.append(max(pool["num_threads"] for pool in threadpool_info()))
        seen.append(torch.get_num_threads())
        return original(engine)

    with switch, mock.patch.object(Engine, "run", run):
        clone(METHODS["scarf"]).fit(X)
    return *seen, torch.get_num_threads()


def test_jobs_told_to_take_all_processors_take_their_share(data):
    # Two workers of two threads each on two processors took 6.6 times as long as of one.
    told, share = max(2, joblib.cpu_count()), max(1, joblib.cpu_count() // 2)

    def threads_where_only_blas_has_more_than_its_share(X):
        torch.set_num_threads(1)
        with threadpool_limits(told):
            return threads_in_training(X)[0]

    def in_both(function, *args):
        return Parallel()(delayed(function)(data[0], *args) for _ in range(2))

    # The same workers for all: each imports torch.
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=told):
        assert in_both(threads_in_training) == [(share, share, told)] * 2
        assert in_both(threads_in_training, False) == [(told, told, told)] * 2
        # Nothing was limited where torch had its share already.
        assert in_both(threads_where_only_blas_has_more_than_its_share) == [share] * 2
    get_reusable_executor().shutdown()  # its workers have this test's environment


def test_the_first_process_keeps_its_threads():
    assert threads.share() == joblib.cpu_count()


def test_a_fitted_estimator_embeds_from_several_threads_at_once(data, scarf):
    X, _ = data
    Z = scarf.transform(X)
    for result in Parallel(2, backend="threading")(delayed(scarf.transform)(X) for _ in range(8)):
        np.testing.assert_array_equal(result, Z)


# ------------------------------------------------------------------------------------ caching


def test_a_cached_pipeline_pretrains_once_per_fold(data, pretrainings, tmp_path):
    X, y = data
    grid = {"clf__C": [0.01, 0.1, 1.0]}
    cached = GridSearchCV(pipeline(METHODS["byol"], memory=str(tmp_path)), grid, cv=2).fit(X, y)
    assert pretrainings == [30, 30, 60]
    plain = GridSearchCV(pipeline(METHODS["byol"]), grid, cv=2).fit(X, y)
    np.testing.assert_array_equal(
        cached.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(cached.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_a_cached_classifier_pretrains_once_per_fold(data, pretrainings, tmp_path, mode):
    X, y = data
    grid = {"class_weight": [None, "sqrt", "balanced"]}
    encoder = clone(METHODS["scarf"]).set_params(random_state=None)
    clf = fast(encoder, mode=mode, memory=str(tmp_path))
    cached = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(X, y)
    assert pretrainings == [30, 30, 60]
    again = clone(cached.best_estimator_).fit(X, y)
    assert pretrainings == [30, 30, 60]
    plain = clone(cached.best_estimator_).set_params(memory=None).fit(X, y)
    for other in (again, plain):
        np.testing.assert_array_equal(other.predict_proba(X), cached.predict_proba(X))


# ------------------------------------------------------------------------------------- labels

LABELS = {
    "signs": [-1, 1],
    "signs and zero": [-1, 0, 1],
    "strings": ["Basal", "Her2", "LumA"],
    "objects": np.array(["Basal", "Her2", "LumA"], dtype=object),
    "booleans": [False, True],
    "floats": [0.0, 1.0, 2.0],
    "large": [7, 10**12],
    "unsigned": np.array([3, 200], dtype=np.uint8),
}


@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_any_labels_are_ordinary_classes(data, scarf, labels, mode):
    X, codes = data[0], np.unique(data[1], return_inverse=True)[1]
    labels = np.asarray(labels)
    y = labels[codes % len(labels)]
    clf = classifier(scarf, mode=mode, head="pooled" if mode == "frozen" else "linear").fit(X, y)
    np.testing.assert_array_equal(clf.classes_, labels)
    predicted = clf.predict(X)
    assert predicted.dtype == y.dtype
    p = clf.predict_proba(X)
    np.testing.assert_array_equal(predicted, labels[p.argmax(axis=1)])
    scores = clf.decision_function(X)
    if len(labels) == 2:
        np.testing.assert_array_equal(predicted, labels[(scores > 0).astype(int)])
    else:
        np.testing.assert_array_equal(predicted, labels[scores.argmax(axis=1)])
    assert clf.score(X, y) == np.mean(predicted == y)
    scores = cross_val_score(clf.set_params(head="sgd"), X, y, cv=2, error_score="raise")
    assert np.isfinite(scores).all()
