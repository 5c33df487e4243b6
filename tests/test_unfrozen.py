"""Fine-tuning from a fitted head stops where samples held out say so."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

import sslgex
from sslgex import ScarfTransformer, SSLClassifier, _unfrozen
from sslgex._callbacks import SUPPORTED
from sslgex._head import LinearHead
from sslgex._nn.encoder import MLPEncoder
from sslgex._training.finetuning import FineTuning
from sslgex.datasets import make_expression


@pytest.fixture(scope="module")
def data():
    return make_expression(n_samples=300, n_genes=60, n_classes=3, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def scarf(data):
    how = {"architecture": "mlp", "max_epochs": 3, "batch_size": 64, "random_state": 0}
    return ScarfTransformer((16, 16), **how).fit(data[0])


def classifier(encoder, head, **kw):
    return SSLClassifier(encoder, head=head, random_state=0, **{"max_epochs": 8, "lr": 3e-3, **kw})


each_head = pytest.mark.parametrize("head", ["linear", "pooled"])


@pytest.fixture(scope="module", params=["linear", "pooled"])
def tuned(request, data, scarf):
    X, y = data
    return classifier(scarf, request.param).fit(X[:90], y[:90])


def test_it_trains_for_as_many_epochs_as_are_best_out_of_fold(data, scarf, tuned):
    X, y = data
    clf = tuned
    curve = clf.out_of_fold_curve_
    assert len(curve) == 9
    assert clf.n_iter_ == len(clf.history_) == int(np.argmax(curve)) > 0
    assert max(curve) > curve[0]
    assert not np.array_equal(clf.transform(X), scarf.transform(X))
    assert clf.validation_loss_curve_ is None
    assert clf.score(X[90:], y[90:]) > 0.5


@each_head
def test_where_no_epoch_pays_it_is_the_frozen_classifier(data, scarf, head):
    X, y = data
    wild = classifier(scarf, head, lr=3.0).fit(X[:90], y[:90])
    assert wild.n_iter_ == 0
    assert int(np.argmax(wild.out_of_fold_curve_)) == 0
    frozen = classifier(scarf, head, mode="frozen").fit(X[:90], y[:90])
    np.testing.assert_array_equal(wild.predict_proba(X), frozen.predict_proba(X))
    np.testing.assert_array_equal(wild.transform(X), scarf.transform(X))
    assert frozen.out_of_fold_curve_ is None


@each_head
def test_with_one_label_per_class_there_is_nothing_to_judge_by(data, scarf, head):
    X, y = data
    rows = [int(np.flatnonzero(y == c)[0]) for c in np.unique(y)]
    clf = classifier(scarf, head).fit(X[rows], y[rows])
    frozen = classifier(scarf, head, mode="frozen").fit(X[rows], y[rows])
    assert clf.out_of_fold_curve_ == []
    assert clf.n_iter_ == 0
    np.testing.assert_array_equal(clf.predict_proba(X), frozen.predict_proba(X))


def test_the_curve_begins_with_the_frozen_head_without_the_fold(data, scarf):
    X, y = data
    clf = classifier(scarf, "linear", class_weight=None).fit(X[:90], y[:90])
    Z = scarf.transform(X[:90]).astype(float)
    head = LinearHead(None, random_state=clf.head_.random_state)
    frozen = classifier(scarf, "linear", mode="frozen", class_weight=None).fit(X[:90], y[:90])
    size = np.square(Z - Z.mean(axis=0)).sum() / 90
    log_p = []
    for train, test in frozen.head_.folds:
        z = Z[train] - Z[train].mean(axis=0)
        z /= (scale := np.sqrt(np.square(z).sum() / len(z)))
        model = LogisticRegression(C=frozen.head_.C_ * size, tol=1e-8, max_iter=5000)
        p = model.fit(z, y[train]).predict_log_proba((Z[test] - Z[train].mean(axis=0)) / scale)
        log_p += list(p[np.arange(len(test)), np.searchsorted(model.classes_, y[test])])
    np.testing.assert_allclose(clf.out_of_fold_curve_[0], np.mean(log_p), rtol=1e-3)
    assert head.random_state is None  # a trained layer, not a fitted head


def test_a_fold_never_trains_on_the_samples_it_judges(data, scarf, monkeypatch):
    X, y = data
    trained, judged = [], []
    fine_tune, look = _unfrozen.fine_tune, _unfrozen._log_probabilities

    def spy(objective, rows, split, *args, **kw):
        trained.append(set(split[0].tolist()))
        return fine_tune(objective, rows, split, *args, **kw)

    def spy_on_judge(objective, values, rows):
        judged.append((len(trained) - 1, set(rows.tolist())))
        return look(objective, values, rows)

    monkeypatch.setattr(_unfrozen, "fine_tune", spy)
    monkeypatch.setattr(_unfrozen, "_log_probabilities", spy_on_judge)
    classifier(scarf, "linear").fit(X[:90], y[:90])
    assert all(not trained[i] & rows for i, rows in judged)
    assert set().union(*(rows for _, rows in judged)) == set(range(90))
    assert trained[-1] == set(range(90))


def test_a_class_of_one_sample_stays_a_class(data, scarf):
    X, y = data
    rows = np.r_[
        np.flatnonzero(y == 0)[:15], np.flatnonzero(y == 1)[:15], np.flatnonzero(y == 2)[:1]
    ]
    clf = classifier(scarf, "pooled").fit(X[rows], y[rows])
    assert np.isfinite(clf.out_of_fold_curve_).all()
    assert clf.predict_proba(X).shape == (300, 3)


def test_the_anchor_pulls_the_encoder_back():
    generator = torch.Generator().manual_seed(0)
    net = MLPEncoder(20, (6, 5), embedding="all", dropout=0.0, generator=generator)
    codes = np.arange(40) % 2
    how = {"penalty": 0.0, "batch_statistics": False}
    objective = FineTuning(net, torch.nn.Linear(11, 2), codes, np.ones(40), anchor=0.5, **how)
    free = FineTuning(net, objective.head, codes, np.ones(40), **how)

    class Batch:
        clean, index = torch.randn(40, 20, generator=generator), np.arange(40)

    assert objective.loss(Batch) == free.loss(Batch)
    with torch.no_grad():
        net.norms[0].bias += 2.0
    np.testing.assert_allclose(
        (objective.loss(Batch) - free.loss(Batch)).item(), 0.5 * 6 * 2.0**2, rtol=1e-5
    )


def test_the_pool_is_weighed_by_what_the_tuned_expert_says_out_of_fold(data, scarf):
    X, y = data
    frozen = classifier(scarf, "pooled", mode="frozen").fit(X[:90], y[:90], X_unlabeled=[X[90:]])
    clf = classifier(scarf, "pooled").fit(X[:90], y[:90], X_unlabeled=[X[90:]])
    assert clf.n_iter_ > 0
    assert clf.head_.weights_ != frozen.head_.weights_
    for name in ("genes", "components", "propagated"):
        np.testing.assert_array_equal(
            clf.head_.experts_[name].coef_, frozen.head_.experts_[name].coef_
        )


def test_it_is_saved_and_loaded(data, tuned, tmp_path):
    X, _ = data
    sslgex.save(tuned, tmp_path / "clf.safetensors")
    loaded = sslgex.load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), tuned.predict_proba(X))
    assert loaded.out_of_fold_curve_ == tuned.out_of_fold_curve_


def test_two_fits_are_the_same(data, tuned):
    X, y = data
    other = clone(tuned).fit(X[:90], y[:90])
    np.testing.assert_array_equal(tuned.predict_proba(X), other.predict_proba(X))


def test_the_pool_is_trained_to_the_end_where_that_is_asked_for(data, scarf):
    X, y = data
    clf = classifier(scarf, "pooled", early_stopping=False, max_epochs=3).fit(X[:90], y[:90])
    assert clf.n_iter_ == 3
    assert len(clf.out_of_fold_curve_) == 4
    rows = [int(np.flatnonzero(y == c)[0]) for c in np.unique(y)]
    few = classifier(scarf, "pooled", early_stopping=False, max_epochs=3).fit(X[rows], y[rows])
    assert few.n_iter_ == 3
    assert few.out_of_fold_curve_ == []
    assert not np.array_equal(few.transform(X), scarf.transform(X))


def test_the_pool_holds_nothing_out(data, scarf):
    with pytest.raises(ValueError, match=r"holds no samples out.*early_stopping='auto'"):
        classifier(scarf, "pooled", early_stopping=True).fit(*data)


def test_the_folds_are_told_of_too(data, scarf, capsys):
    X, y = data
    clf = classifier(scarf, "linear", verbose=1).fit(X[:90], y[:90])
    lines = capsys.readouterr().out.splitlines()
    folds = [line for line in lines if "fold" in line]
    assert [line.split()[:3] for line in folds] == [
        ["SSLClassifier", "fold", f"{i}/5"] for i in range(1, 6)
    ]
    assert len(lines) == 5 + clf.n_iter_


class StopAfterOneEpoch:
    """A callback of scikit-learn's."""

    max_propagation_depth = None

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch"


@pytest.mark.skipif(not SUPPORTED, reason="callbacks came with scikit-learn 1.9")
def test_stopped_by_a_callback_the_pool_is_weighed_by_the_epochs_there_were(data, scarf):
    X, y = data
    how = {"schedule": "constant", "early_stopping": False}
    stopped = classifier(scarf, "pooled", **how).set_callbacks(StopAfterOneEpoch())
    stopped.fit(X[:90], y[:90])
    short = classifier(scarf, "pooled", max_epochs=1, **how).fit(X[:90], y[:90])
    assert stopped.n_iter_ == 1
    assert stopped.head_.weights_ == short.head_.weights_
