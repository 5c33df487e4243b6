"""scikit-learn's callbacks from outside and inside, and Ctrl-C."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._callbacks import SUPPORTED
from sslgex._training.engine import Engine
from sslgex.datasets import make_expression

SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 2, "batch_size": 32, "random_state": 0}
METHODS = {
    "byol": ByolTransformer(**SMALL, projection_sizes=(8, 4), prediction_sizes=(8, 4)),
    "scarf": ScarfTransformer(**SMALL, projection_sizes=(8,)),
    "vime": VimeTransformer(**SMALL, decoder_sizes=(8,)),
}
methods = pytest.mark.parametrize("ssl", METHODS.values(), ids=METHODS)
WIDTH = 38  # of the embedding: the components of 40 genes of which two are constant
needs_callbacks = pytest.mark.skipif(not SUPPORTED, reason="callbacks came with scikit-learn 1.9")


@pytest.fixture(scope="module")
def data():
    return make_expression(60, 40, n_classes=3, n_informative=4, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def scarf(data):
    return clone(METHODS["scarf"]).fit(data[0])


def pipeline(ssl, **params):
    return Pipeline([("ssl", clone(ssl)), ("clf", LogisticRegression(max_iter=500))], **params)


def classifier(encoder=METHODS["scarf"], **params):
    return SSLClassifier(encoder, **{"max_epochs": 2, "random_state": 0, **params})


class Recorder:
    """Follow the tree of tasks; stop training or raise where asked to."""

    max_propagation_depth = None

    def __init__(self, stop_at=None, error_at=None):
        self.stop_at = stop_at
        self.error_at = error_at
        self.began, self.ended, self.torn_down = [], [], 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        self.torn_down += 1

    def on_fit_task_begin(self, estimator, context):
        self.began.append(path(context))

    def on_fit_task_end(self, estimator, context):
        self.ended.append(path(context))
        if context.task_name == "epoch":
            if context.task_id + 1 == self.error_at:
                raise KeyboardInterrupt
            return context.task_id + 1 == self.stop_at
        return None


def path(context):
    """Return (estimator, task, number) of a task and of all above it, the outermost first."""
    here = (context.estimator_name, context.task_name, context.task_id)
    return (*path(context.parent), here) if context.parent is not None else (here,)


def epochs(recorder):
    return [p for p in recorder.ended if p[-1][1] == "epoch"]


@needs_callbacks
def test_a_callback_sees_epochs_under_folds_under_the_grid(data):
    X, y = data
    recorder = Recorder()
    search = GridSearchCV(pipeline(METHODS["byol"]), {"clf__C": [0.1, 1.0]}, cv=2)
    search.set_callbacks(recorder).fit(X, y)
    seen = epochs(recorder)
    # 2 values x 2 folds, and the refit.
    assert len(seen) == (2 * 2 + 1) * 2
    assert all(p[0] == ("GridSearchCV", "fit", 0) for p in seen)
    assert all(p[-1][0] == p[-2][0] == "ByolTransformer" for p in seen)
    assert [p[-1][2] for p in seen] == [0, 1] * 5
    assert len({p[:-1] for p in seen}) == 5
    folds = [p for p in seen if p[1][:2] == ("GridSearchCV", "search")]
    assert len({p[2] for p in folds}) == 4
    assert all(p[2][:2] == ("Pipeline", "fit") for p in folds)
    assert all(p[1][:2] == ("Pipeline", "fit") for p in seen if p not in folds)
    assert sorted(recorder.began) == sorted(recorder.ended)
    assert recorder.torn_down == 1


@needs_callbacks
@pytest.mark.parametrize("head", ["linear", "pooled", "sgd"])
@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_a_callback_sees_pretraining_and_fine_tuning_of_a_classifier(data, mode, head):
    X, y = data
    recorder = Recorder()
    clf = classifier(mode=mode, head=head, max_epochs=3, lr=3e-3).set_callbacks(recorder)
    clf.fit(X[:30], y[:30], X_unlabeled=X[30:])
    seen = epochs(recorder)
    assert all(p[0] == ("SSLClassifier", "fit", 0) for p in seen)
    # The epochs that were kept, and none of those that were tried on samples held out.
    owners = [p[-1][0] for p in seen]
    assert owners == ["ScarfTransformer"] * 2 + ["SSLClassifier"] * clf.n_iter_
    assert (clf.n_iter_ > 0) == (mode == "unfrozen" or head == "sgd")
    assert sorted(recorder.began) == sorted(recorder.ended)


@needs_callbacks
@pytest.mark.parametrize("encoder", ["fitted", "pca", None])
@pytest.mark.parametrize("head", ["linear", "pooled", "sgd"])
def test_every_task_that_begins_ends(data, scarf, encoder, head):
    X, y = data
    recorder = Recorder()
    encoder = {"fitted": scarf, "pca": PCA(2), None: None}[encoder]
    clf = classifier(encoder, mode="frozen", head=head, hidden_layer_sizes=(8,))
    clf.set_callbacks(recorder).fit(X, y)
    assert recorder.began[0] == recorder.ended[-1] == (("SSLClassifier", "fit", 0),)
    assert sorted(recorder.began) == sorted(recorder.ended)
    assert len(epochs(recorder)) == (2 if head == "sgd" else 0)


@needs_callbacks
@methods
def test_a_callback_that_returns_true_stops_pretraining(data, ssl):
    ssl = clone(ssl).set_params(max_epochs=10).set_callbacks(Recorder(stop_at=3))
    assert ssl.fit(data[0]).n_iter_ == 3
    assert len(ssl.loss_curve_) == 3
    assert ssl.transform(data[0]).shape == (60, WIDTH)


@needs_callbacks
@pytest.mark.parametrize("head", ["linear", "pooled", "sgd"])
def test_a_callback_that_returns_true_stops_fine_tuning(data, scarf, head):
    X, y = data
    clf = classifier(scarf, head=head, max_epochs=10, lr=3e-3)
    free = clone(clf).fit(X[:30], y[:30])
    assert free.n_iter_ > 3
    clf.set_callbacks(Recorder(stop_at=3)).fit(X[:30], y[:30])
    assert clf.n_iter_ == len(clf.loss_curve_) == 3
    assert clf.loss_curve_ == free.loss_curve_[:3]


@needs_callbacks
@methods
def test_a_callback_gets_an_estimator_that_can_transform(data, ssl):
    X, _ = data
    embeddings = []

    class Embed(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if context.task_name == "epoch":
                embeddings.append(fitted_estimator.transform(X))

    watched = clone(ssl).set_callbacks(Embed()).fit(X)
    assert len(embeddings) == 2
    assert all(np.isfinite(Z).all() and Z.shape == (60, WIDTH) for Z in embeddings)
    assert not np.allclose(*embeddings)
    np.testing.assert_array_equal(watched.transform(X), clone(ssl).fit(X).transform(X))


@needs_callbacks
@pytest.mark.parametrize("head", ["linear", "pooled", "sgd"])
def test_a_callback_gets_a_classifier_that_can_predict(data, scarf, head):
    X, y = data
    probabilities = []

    class Predict(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if context.task_name == "epoch":
                probabilities.append(fitted_estimator.predict_proba(X))

    clf = classifier(scarf, head=head, max_epochs=3, lr=3e-3, schedule="constant")
    plain = clone(clf).fit(X[:30], y[:30])
    clf.set_callbacks(Predict()).fit(X[:30], y[:30])
    assert len(probabilities) == clf.n_iter_ > 0
    assert all(p.shape == (60, 3) for p in probabilities)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    if head != "pooled":  # whose experts are weighed anew after the last epoch
        np.testing.assert_allclose(probabilities[-1], clf.predict_proba(X), atol=1e-6)


@needs_callbacks
def test_scikit_learns_progress_bar_shows_every_level(data, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    search = GridSearchCV(pipeline(METHODS["byol"]), {"clf__C": [1.0]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(*data)
    out = capsys.readouterr().out
    assert "GridSearchCV - fit" in out
    assert "ByolTransformer - fit" in out
    classifier(head="sgd").set_callbacks(ProgressBar()).fit(*data)
    out = capsys.readouterr().out
    assert "ScarfTransformer - fit" in out
    assert "SSLClassifier - fine-tune" in out
    assert "100%" in out


@needs_callbacks
def test_scikit_learns_scoring_monitor_scores_every_epoch(data):
    from sklearn.callback import ScoringMonitor

    X, y = data

    def probe(estimator, X, y):
        Z = estimator.transform(X)
        return {"probe": LogisticRegression(max_iter=500).fit(Z, y).score(Z, y)}

    monitor = ScoringMonitor(scoring=probe)
    clone(METHODS["scarf"]).set_callbacks(monitor).fit(X, y)
    scores = [row["probe"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == 2
    assert all(0 <= score <= 1 for score in scores)


@needs_callbacks
def test_callbacks_leave_nothing_behind_in_the_fitted_estimator(data):
    clf = classifier(head="linear").set_callbacks(Recorder()).fit(*data)
    plain = classifier(head="linear").fit(*data)
    assert set(vars(clf)) == set(vars(plain)) | {"_skl_callbacks"}
    assert set(vars(clf.encoder_)) == set(vars(plain.encoder_))


# -------------------------------------------------------------------------------------- Ctrl-C


@pytest.mark.parametrize("where", ["pretraining", "fine-tuning", "memory"])
def test_ctrl_c_stops_a_grid_search(data, scarf, monkeypatch, tmp_path, where):
    X, y = data
    batches = []

    def interrupted(self, *args, **kwargs):
        batches.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "train_batch", interrupted)
    memory = str(tmp_path) if where == "memory" else None
    if where == "fine-tuning":
        search = GridSearchCV(classifier(scarf, head="sgd"), {"lr": [0.1, 0.2]}, cv=2)
    else:
        search = GridSearchCV(pipeline(METHODS["byol"], memory=memory), {"clf__C": [1, 2]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert len(batches) == 1


@needs_callbacks
def test_ctrl_c_stops_a_grid_search_with_callbacks(data):
    recorder = Recorder(error_at=2)
    search = GridSearchCV(pipeline(METHODS["byol"]), {"clf__C": [0.1, 1.0]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.set_callbacks(recorder).fit(*data)
    assert len(epochs(recorder)) == 2
    assert recorder.torn_down == 1
