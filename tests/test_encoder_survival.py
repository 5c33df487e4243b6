"""A fitted encoder survives cloning and fine-tuning; an unfitted one is never fitted itself."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

import sslgex._embedding
from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.datasets import make_expression

SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 2, "batch_size": 32}
# Two epochs, whether they pay or not; and so wild a rate that none does.
TUNING = {"max_epochs": 2, "lr": 1e-3, "early_stopping": False, "random_state": 0}
LINEAR = {"head": "linear"}
# For what the head has no say in: a layer without anything to tune, fitted fast.
SGD = {"head": "sgd", "max_epochs": 2}
IN_VAIN = {"max_epochs": 2, "lr": 3.0, "early_stopping": "auto", "random_state": 0}


@pytest.fixture(scope="module")
def data():
    # Classes that overlap: a penalty at the edge of its grid is worth a warning.
    return make_expression(
        60, 12, n_classes=3, n_informative=4, class_sep=3, return_X_y=True, random_state=0
    )


def unfitted(**params):
    return ScarfTransformer(**{**SMALL, "projection_sizes": (8,), **params})


@pytest.fixture
def scarf(data):
    return unfitted(random_state=0).fit(data[0])


@pytest.fixture
def calls(monkeypatch, scarf):
    """Count the fits of encoders, from here on."""
    counts = {"fit": 0, "fit_transform": 0, "partial_fit": 0}

    def counted(name, original):
        def method(self, *args, **kwargs):
            counts[name] += 1
            return original(self, *args, **kwargs)

        return method

    for name in counts:
        original = getattr(ScarfTransformer, name, None)
        monkeypatch.setattr(ScarfTransformer, name, counted(name, original), raising=False)
    return counts


def bits(transformer):
    """Return everything that a fitted pretrainer has learned."""
    state = {k: v.numpy().copy() for k, v in transformer.encoder_.state_dict().items()}
    arrays = ("mean_", "scale_", "components_")
    return {**state, **{name: getattr(transformer, name).copy() for name in arrays}}


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def differ(a, b):
    return any(not np.array_equal(a[name], b[name]) for name in a)


# ------------------------------------------------------------------------------------- cloning


@pytest.mark.parametrize("wrap", [lambda e: e, FrozenEstimator], ids=["bare", "FrozenEstimator"])
@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_a_grid_search_never_fits_a_fitted_encoder(data, scarf, calls, wrap, mode):
    X, y = data
    before = bits(scarf)
    params = vars(scarf).copy()
    grid = {"class_weight": [None, "balanced"]}
    head = "sgd" if mode == "frozen" else "linear"
    clf = SSLClassifier(wrap(scarf), mode=mode, head=head, **TUNING)
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(X, y)
    assert calls == {"fit": 0, "fit_transform": 0, "partial_fit": 0}
    if mode == "frozen":
        np.testing.assert_array_equal(search.best_estimator_.transform(X), scarf.transform(X))
    assert_same_bits(bits(scarf), before)
    assert vars(scarf) == params


def test_a_fitted_encoder_survives_in_a_pipeline(data, scarf, calls):
    X, y = data
    Z = StandardScaler().fit_transform(X)
    clf = SSLClassifier(scarf, mode="frozen", **SGD)
    pipe = Pipeline([("scale", StandardScaler()), ("clf", clf)])
    grid = {"clf__class_weight": [None, "sqrt"]}
    search = GridSearchCV(pipe, grid, cv=3, error_score="raise").fit(X, y)
    assert sum(calls.values()) == 0
    embedding = search.best_estimator_[-1].transform(Z)
    np.testing.assert_array_equal(embedding, scarf.transform(Z))


def test_a_grid_over_frozen_encoders_fits_none_of_them(data, scarf, calls):
    X, y = data
    grid = {"encoder": [FrozenEstimator(scarf), FrozenEstimator(scarf)]}
    clf = SSLClassifier(mode="frozen", **SGD)
    search = GridSearchCV(clf, grid, cv=3, error_score="raise").fit(X, y)
    assert sum(calls.values()) == 0
    np.testing.assert_array_equal(search.best_estimator_.transform(X), scarf.transform(X))


def test_clone_keeps_a_fitted_encoder_and_copies_an_unfitted_one(scarf):
    assert clone(SSLClassifier(scarf)).encoder is scarf
    assert clone(clone(SSLClassifier(scarf))).encoder is scarf
    assert clone(Pipeline([("clf", SSLClassifier(scarf))]))[-1].encoder is scarf
    encoder = unfitted()
    cloned = clone(SSLClassifier(encoder)).encoder
    assert cloned is not encoder
    assert cloned.get_params() == encoder.get_params()


def test_clone_keeps_what_scikit_learn_keeps_beside_a_fitted_encoder(scarf):
    clf = SSLClassifier(scarf, lr=0.5).set_output(transform="pandas")
    cloned = clone(clf)
    assert cloned is not clf
    assert cloned.lr == 0.5
    assert cloned._sklearn_output_config == {"transform": "pandas"}
    assert not hasattr(cloned, "encoder_")


def test_a_fitted_transformer_of_scikit_learn_survives_too(data):
    X, y = data
    pca = PCA(3, random_state=0).fit(X[:20])
    components = pca.components_.copy()
    clf = SSLClassifier(pca, mode="frozen", **SGD)
    search = GridSearchCV(clf, {"class_weight": [None]}, cv=3, error_score="raise").fit(X, y)
    np.testing.assert_array_equal(search.best_estimator_.encoder_.components_, components)
    np.testing.assert_array_equal(pca.components_, components)


# ---------------------------------------------------------------------------------- set_params


@pytest.mark.parametrize("wrap", [lambda e: e, FrozenEstimator], ids=["bare", "FrozenEstimator"])
def test_a_grid_over_parameters_of_a_fitted_encoder_raises(data, scarf, wrap):
    X, y = data
    before, params = bits(scarf), scarf.get_params()
    clf = SSLClassifier(wrap(scarf), mode="frozen")
    with pytest.raises(ValueError, match=r"encoder__corruption_rate cannot be set.*fitted"):
        GridSearchCV(clf, {"encoder__corruption_rate": [0.1, 0.9]}, cv=3).fit(X, y)
    assert scarf.get_params() == params
    assert_same_bits(bits(scarf), before)


def test_set_params_of_a_fitted_encoder_changes_nothing_at_all(scarf):
    clf = SSLClassifier(scarf, lr=0.25)
    pipe = Pipeline([("clf", clf)])
    before = clf.get_params()
    with pytest.raises(ValueError, match="encoder__temperature cannot be set"):
        clf.set_params(lr=0.5, encoder__temperature=9.0, mode="frozen", encoder=scarf)
    with pytest.raises(ValueError, match="encoder__temperature cannot be set"):
        pipe.set_params(clf__lr=0.5, clf__encoder__temperature=9.0)
    assert clf.get_params() == before


def test_parameters_of_an_unfitted_encoder_can_be_searched(data, calls):
    X, y = data
    clf = SSLClassifier(unfitted(), mode="frozen", **SGD, random_state=0)
    default = clf.encoder.corruption_rate
    grid = {"encoder__corruption_rate": [default / 2, default / 3]}
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(X, y)
    assert calls["fit"] == 2 * 2 + 1
    best = search.best_estimator_
    assert best.encoder_.corruption_rate == search.best_params_["encoder__corruption_rate"]
    assert clf.encoder.corruption_rate == default


def test_a_fitted_encoder_can_be_replaced_by_an_unfitted_one_and_its_parameters(scarf):
    clf = SSLClassifier(scarf)
    clf.set_params(encoder=unfitted(), encoder__temperature=0.1)
    assert clf.encoder.temperature == 0.1
    assert scarf.temperature == 1.0
    with pytest.raises(ValueError, match="cannot be set"):
        SSLClassifier(unfitted()).set_params(encoder=scarf, encoder__temperature=0.1)
    assert scarf.temperature == 1.0


# --------------------------------------------------------------------------------- fine-tuning


@pytest.mark.parametrize("head", ["linear", "pooled"])
def test_fine_tuning_in_a_fold_changes_no_other_fold_and_not_the_users_encoder(data, scarf, head):
    X, y = data
    before = bits(scarf)
    clf = SSLClassifier(scarf, head=head, **TUNING)
    cv = StratifiedKFold(2)
    folds = cross_validate(clf, X, y, cv=cv, return_estimator=True, error_score="raise")
    assert_same_bits(bits(scarf), before)
    for (train, _), tuned in zip(cv.split(X, y), folds["estimator"], strict=True):
        assert differ(bits(tuned.encoder_), before)
        alone = clone(clf).fit(X[train], y[train])
        assert_same_bits(bits(alone.encoder_), bits(tuned.encoder_))
    assert differ(bits(folds["estimator"][0].encoder_), bits(folds["estimator"][1].encoder_))


@pytest.mark.parametrize("architecture", ["residual", "mlp"])
@pytest.mark.parametrize("cls", [ByolTransformer, ScarfTransformer, VimeTransformer])
def test_the_fine_tuned_network_shares_no_weights_with_the_users(data, cls, architecture):
    X, y = data
    encoder = cls(**SMALL, architecture=architecture, random_state=0).fit(X)
    clf = SSLClassifier(encoder, **LINEAR, **TUNING).fit(X, y)
    assert clf.n_iter_ == 2
    theirs = {p.data_ptr() for p in encoder.encoder_.parameters()}
    ours = {p.data_ptr() for p in clf.encoder_.encoder_.parameters()}
    assert not theirs & ours


@pytest.mark.parametrize("head", ["linear", "pooled"])
def test_where_no_epoch_pays_the_users_encoder_stays_as_it_is(data, scarf, head):
    X, y = data
    before = bits(scarf)
    clf = SSLClassifier(scarf, head=head, **IN_VAIN).fit(X, y)
    assert clf.n_iter_ == 0
    assert clf.encoder_ is not scarf
    assert_same_bits(bits(scarf), before)
    assert_same_bits(bits(clf.encoder_), before)


def test_no_gradient_and_no_training_mode_remain_after_fit(data, scarf):
    tuned = SSLClassifier(scarf, **LINEAR, **TUNING).fit(*data).encoder_
    in_vain = SSLClassifier(scarf, **LINEAR, **IN_VAIN).fit(*data).encoder_
    scratch = SSLClassifier(hidden_layer_sizes=(8, 8), mode="frozen", **SGD).fit(*data).encoder_
    for transformer in (scarf, tuned, in_vain, scratch):
        assert not any(module.training for module in transformer.encoder_.modules())
        assert all(p.grad is None for p in transformer.encoder_.parameters())


def test_refitting_the_users_encoder_changes_no_fitted_classifier(data, scarf):
    X, y = data
    fitted = [
        SSLClassifier(scarf, mode="frozen").fit(X, y),
        SSLClassifier(FrozenEstimator(scarf), mode="frozen", **SGD).fit(X, y),
        SSLClassifier(scarf, **LINEAR, **TUNING).fit(X, y),
        SSLClassifier(scarf, **LINEAR, **IN_VAIN).fit(X, y),
    ]
    before = [(clf.transform(X), clf.predict_proba(X)) for clf in fitted]
    scarf.set_params(random_state=5, hidden_layer_sizes=(4,)).fit(X[::-1][:30] * 2)
    for clf, (Z, p) in zip(fitted, before, strict=True):
        np.testing.assert_array_equal(clf.transform(X), Z)
        np.testing.assert_array_equal(clf.predict_proba(X), p)


# ---------------------------------------------------------------------------- unfitted encoders


@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_a_second_fit_pretrains_again_and_gives_the_same_bits(data, calls, mode):
    X, y = data
    head = "pooled" if mode == "frozen" else "linear"
    clf = SSLClassifier(unfitted(), mode=mode, head=head, **TUNING)
    first = clf.fit(X, y).predict_proba(X)
    state = bits(clf.encoder_)
    assert calls["fit"] == 1
    second = clf.fit(X, y).predict_proba(X)
    assert calls["fit"] == 2
    np.testing.assert_array_equal(first, second)
    assert_same_bits(bits(clf.encoder_), state)


@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_the_users_unfitted_encoder_stays_unfitted(data, mode):
    X, y = data
    encoder = unfitted()
    before = vars(encoder).copy()
    SSLClassifier(encoder, mode=mode, **LINEAR, **TUNING).fit(X, y)
    assert vars(encoder) == before
    with pytest.raises(NotFittedError):
        check_is_fitted(encoder)


def test_an_encoder_without_a_seed_takes_it_from_the_classifier(data):
    X, y = data
    clf = SSLClassifier(unfitted(), mode="frozen", **SGD)
    a, b, c = (
        clone(clf).set_params(random_state=seed).fit(X, y).transform(X) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)


def test_an_encoder_keeps_a_seed_of_its_own(data):
    X, y = data
    clf = SSLClassifier(unfitted(random_state=7), mode="frozen", **SGD, random_state=0).fit(X, y)
    np.testing.assert_array_equal(clf.transform(X), unfitted(random_state=7).fit(X).transform(X))


# -------------------------------------------------------------------------------- embedding once


@pytest.mark.parametrize("head", ["linear", "sgd", RandomForestClassifier(5, random_state=0)])
def test_frozen_mode_embeds_once(data, scarf, monkeypatch, head):
    X, y = data
    embedded = []
    original = sslgex._embedding.embed

    def counted(encoder, rows, *args):
        embedded.append(len(rows))
        return original(encoder, rows, *args)

    monkeypatch.setattr(sslgex._embedding, "embed", counted)
    clf = SSLClassifier(scarf, mode="frozen", head=head, max_epochs=5, random_state=0).fit(X, y)
    assert embedded == [len(X)]
    clf.predict_proba(X[:7])
    assert embedded == [len(X), 7]
