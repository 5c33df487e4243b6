"""SSLClassifier: input that must work, frozen and unfrozen, early stopping, presets."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._training.finetuning import split_labelled
from sslgex._training.seeds import Seeds
from sslgex.datasets import make_expression

SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 2, "random_state": 0}
modes = pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
# The ways to a classifier: a head on the frozen embedding, fine-tuning (as long as that pays,
# which may be not at all, or to the end), and from scratch.
UNFROZEN = {"encoder": "scarf", "mode": "unfrozen", "early_stopping": False}
ROUTES = {
    "frozen": {"encoder": "scarf", "mode": "frozen"},
    "frozen-linear": {"encoder": "scarf", "mode": "frozen", "head": "linear"},
    "frozen-sgd": {"encoder": "scarf", "mode": "frozen", "head": "sgd"},
    "unfrozen": {"encoder": "scarf", "mode": "unfrozen"},
    "unfrozen-linear": {**UNFROZEN, "head": "linear"},
    "unfrozen-sgd": {**UNFROZEN, "head": "sgd"},
    "batch-norm": {**UNFROZEN, "head": "linear", "batch_norm": "batch"},
    "scratch": {"encoder": None, "mode": "unfrozen"},
}
routes = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
GRADIENT = {k: how for k, how in ROUTES.items() if k not in ("frozen", "frozen-linear")}
gradient_routes = pytest.mark.parametrize("route", GRADIENT.values(), ids=GRADIENT)
# The pooled head on a pretrained encoder holds no samples out to stop by.
HOLDING_OUT = {
    "frozen-sgd": ROUTES["frozen-sgd"],
    "unfrozen-linear": ROUTES["unfrozen-linear"],
    "unfrozen-sgd": ROUTES["unfrozen-sgd"],
    "batch-norm": ROUTES["batch-norm"],
    "scratch": ROUTES["scratch"],
}
routes_holding_out = pytest.mark.parametrize("route", HOLDING_OUT.values(), ids=HOLDING_OUT)


@pytest.fixture(scope="module")
def data():
    return make_expression(150, 60, n_classes=3, n_informative=4, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def binary(data):
    X, y = data
    return X, np.where(y == y[0], "this", "that")


@pytest.fixture(scope="module")
def scarf(data):
    return ScarfTransformer(**SMALL, projection_sizes=(8,)).fit(data[0])


def make(route, scarf, **params):
    """Return a small classifier that takes ``route``, with ``scarf`` where it has an encoder."""
    how = {**SMALL, **route, **params}
    if how["encoder"] == "scarf":
        how["encoder"] = scarf
    return SSLClassifier(**how)


def pretrainer():
    return ScarfTransformer(**SMALL, projection_sizes=(8,))


def assert_sensible(clf, X, y):
    """Check that predictions are finite, normalised and of the right classes."""
    p = clf.predict_proba(X)
    assert p.shape == (len(X), len(np.unique(y)))
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(clf.classes_, np.unique(y))
    assert np.isfinite(clf.decision_function(X)).all()
    assert np.isfinite(clf.loss_curve_).all()
    assert np.isfinite(clf.transform(X)).all()
    assert clf.n_iter_ == len(clf.loss_curve_) == len(clf.history_)


# ----------------------------------------------------------------------- input that must work


@routes
@pytest.mark.parametrize(
    ("n", "batch_size"),
    [(30, 1000), (33, 32), (33, 16), (3, 2), (2, 32)],
    ids=["batch-beyond-n", "last-batch-of-one", "twice-and-one", "three-by-two", "two-rows"],
)
@pytest.mark.filterwarnings("ignore:Of the L2 penalties")
def test_any_number_of_rows_and_batch_size_fit(data, route, n, batch_size):
    X, y = data
    rows = np.concatenate([np.flatnonzero(y == label)[: n // 2 + 1] for label in np.unique(y)[:2]])
    rows = np.sort(rows)[:n] if n > 3 else rows[np.r_[0, -1, 1][:n]]
    clf = make(route, pretrainer().set_params(batch_size=batch_size), batch_size=batch_size)
    clf.fit(X[rows], y[rows])
    assert_sensible(clf, X[rows], y[rows])


@routes
def test_one_labelled_sample_per_class_is_enough(data, scarf, route):
    X, y = data
    first = np.unique(y, return_index=True)[1]
    clf = make(route, scarf).fit(X[first], y[first])
    assert_sensible(clf, X, y)
    if route["encoder"] is not None and route.get("head") != "sgd":
        np.testing.assert_array_equal(clf.predict(X[first]), y[first])


@routes_holding_out
@pytest.mark.parametrize("rows", ["one-per-class", "ten", "one-rare"])
def test_too_few_labels_to_validate_train_to_the_end_with_one_warning(data, scarf, route, rows):
    X, y = data
    chosen = {
        "one-per-class": np.unique(y, return_index=True)[1],
        "ten": np.arange(10),
        "one-rare": np.r_[np.flatnonzero(y != y[0])[:60], 0],
    }[rows]
    clf = make(route, scarf, early_stopping=True, n_iter_no_change=1, max_epochs=3)
    with pytest.warns(UserWarning, match="Too few labels for early stopping") as caught:
        clf.fit(X[chosen], y[chosen])
    assert len(caught) == 1
    assert clf.n_iter_ == 3
    assert clf.validation_loss_curve_ is None


@routes
def test_forty_classes(route):
    X, y = make_expression(120, 60, n_classes=40, n_informative=40, return_X_y=True, random_state=0)
    clf = make(route, pretrainer()).fit(X, y)
    assert len(clf.classes_) == 40
    assert_sensible(clf, X, y)


def test_batch_norm_beside_the_pooled_head(data):
    X, y = data
    clf = make({**ROUTES["batch-norm"], "head": "pooled"}, pretrainer()).fit(X, y)
    assert_sensible(clf, X, y)


# The pretrainers' own tests have this many genes, and constant ones, with every method.
@modes
def test_sixty_thousand_genes(mode):
    X = np.random.default_rng(0).normal(size=(30, 60_000)).astype(np.float32)
    y = np.arange(30) % 2
    X[y == 1, :50] += 3
    encoder = ScarfTransformer(hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    clf = SSLClassifier(encoder, mode=mode, max_epochs=1, random_state=0).fit(X, y)
    assert_sensible(clf, X, y)


@modes
def test_constant_genes_are_harmless_and_ignored_ever_after(data, mode):
    X, y = data
    X = X.copy()
    X[:, :10], X[:, 10:15] = 0, 7.3
    clf = SSLClassifier(pretrainer(), **SMALL | {"mode": mode}).fit(X, y)
    assert_sensible(clf, X, y)
    later = X.copy()
    later[:, :15] += 100
    np.testing.assert_array_equal(clf.predict_proba(later), clf.predict_proba(X))


# ------------------------------------------------------------------------------ frozen, unfrozen


@pytest.mark.parametrize("head", ["linear", "pooled"])
def test_fine_tuning_starts_from_the_frozen_classifier(data, scarf, head):
    X, y = data
    frozen = make(ROUTES["frozen"], scarf, head=head).fit(X, y)
    barely = make(ROUTES["unfrozen"], scarf, head=head, lr=1e-12, early_stopping=False).fit(X, y)
    assert barely.n_iter_ > 0
    # The pool is weighed by folds that were fitted a second time, to a tolerance.
    atol = 1e-4 if head == "pooled" else 1e-5
    np.testing.assert_allclose(barely.predict_proba(X), frozen.predict_proba(X), atol=atol)
    np.testing.assert_allclose(barely.transform(X), frozen.transform(X), atol=1e-5)


@gradient_routes
def test_training_by_gradient_lowers_the_loss(data, scarf, route):
    clf = make(route, scarf, max_epochs=20, lr=1e-2, early_stopping=False).fit(*data)
    assert clf.n_iter_ == 20
    assert clf.loss_curve_[-1] < 0.8 * clf.loss_curve_[0]
    assert clf.validation_loss_curve_ is None
    assert clf.score(*data) > 0.5


def test_frozen_training_leaves_the_encoder_and_unfrozen_training_moves_it(data, scarf):
    X, y = data
    for name in ("frozen", "frozen-linear", "frozen-sgd"):
        clf = make(ROUTES[name], scarf).fit(X, y)
        np.testing.assert_array_equal(clf.transform(X), scarf.transform(X))
    for name in ("unfrozen", "unfrozen-linear", "unfrozen-sgd"):
        clf = make(ROUTES[name], scarf, lr=1e-2, early_stopping=False).fit(X, y)
        assert not np.allclose(clf.transform(X), scarf.transform(X), atol=1e-2)


@routes
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(data, scarf, route):
    X, y = data[0][:60], data[1][:60]

    def fitted(seed):
        return make(route, scarf, random_state=seed, dropout=0.2).fit(X, y).predict_proba(X)

    first = fitted(0)
    np.testing.assert_array_equal(fitted(0), first)
    if route in GRADIENT.values():
        assert not np.array_equal(fitted(1), first)


# ------------------------------------------------------------------------------ early stopping


@routes_holding_out
def test_early_stopping_restores_the_best_weights(data, scarf, route):
    X, y = data
    how = {"lr": 0.05, "schedule": "constant", "max_epochs": 60, "class_weight": None}
    clf = make(
        {**route, "head": "sgd"}, scarf, early_stopping=True, n_iter_no_change=4,
        validation_fraction=0.2, **how
    ).fit(X, y)  # fmt: skip
    curve = clf.validation_loss_curve_
    assert clf.n_iter_ == len(curve) < 60
    assert int(np.argmin(curve)) == clf.n_iter_ - 1 - 4
    codes = np.unique(y, return_inverse=True)[1]
    _, held_out = split_labelled(codes, 0.2, Seeds(0).integer("split"))
    assert len(held_out) == 30
    loss = log_loss(y[held_out], clf.predict_proba(X[held_out]))
    assert loss == pytest.approx(min(curve), rel=1e-4)
    assert loss < curve[-1]


def test_early_stopping_holds_out_every_class_and_trains_on_the_rest(data):
    codes = np.unique(data[1], return_inverse=True)[1]
    train, held_out = split_labelled(codes, 0.1, 0)
    assert len(held_out) == 15
    assert set(codes[held_out]) == set(codes[train]) == {0, 1, 2}
    np.testing.assert_array_equal(np.sort(np.r_[train, held_out]), np.arange(150))


# --------------------------------------------------------------------------------------- weights


@routes
def test_a_heavier_class_is_predicted_more_often(data, scarf, route):
    X, y = data
    y = np.where(np.random.default_rng(0).random(150) < 0.4, "Basal", y)
    how = {"max_epochs": 20, "lr": 1e-2, "early_stopping": False}
    if route["mode"] == "unfrozen" and route["encoder"] is not None:
        # Less, or every label is learned by heart, and weights are of no account.
        how |= {"max_epochs": 10, "lr": 3e-3}
    light, heavy = (
        make(route, scarf, class_weight={"Basal": weight}, **how).fit(X, y).predict_proba(X)
        for weight in (0.05, 20.0)
    )
    column = list(np.unique(y)).index("Basal")
    assert heavy[:, column].mean() > light[:, column].mean() + 0.2


# "sqrt" is the default of all other tests; a dict and None are in the next.
@routes
def test_balanced_class_weights_fit(binary, scarf, route):
    X, y = binary[0][:60], binary[1][:60]
    assert_sensible(make(route, scarf, class_weight="balanced").fit(X, y), X, y)


@routes
def test_class_weights_are_sample_weights(binary, scarf, route):
    X, y = binary[0][:60], binary[1][:60]
    by_class = make(route, scarf, class_weight={"this": 3.0, "that": 1.0}).fit(X, y)
    by_sample = make(route, scarf, class_weight=None)
    by_sample.fit(X, y, sample_weight=np.where(y == "this", 3.0, 1.0))
    np.testing.assert_allclose(by_class.predict_proba(X), by_sample.predict_proba(X), atol=1e-6)


@routes
def test_a_constant_sample_weight_changes_nothing(data, scarf, route):
    X, y = data[0][:60], data[1][:60]
    plain = make(route, scarf).fit(X, y)
    for weight in (1e-3, 1e3):
        weighted = make(route, scarf).fit(X, y, sample_weight=np.full(len(X), weight))
        np.testing.assert_allclose(weighted.predict_proba(X), plain.predict_proba(X), atol=1e-3)


# --------------------------------------------------------------------------------------- presets


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (cls, name)
        for cls in (SSLClassifier, ByolTransformer, ScarfTransformer, VimeTransformer)
        for name in cls._PRESETS
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_presets_construct_override_clone_and_fit(data, cls, name):
    X, y = data
    preset = cls.from_preset(name, hidden_layer_sizes=(8,), max_epochs=2, random_state=0)
    assert isinstance(preset, cls)
    assert (preset.hidden_layer_sizes, preset.max_epochs) == ((8,), 2)
    assert clone(preset).get_params() == preset.get_params()
    for key, value in cls._PRESETS[name].items():
        if key not in ("hidden_layer_sizes", "max_epochs"):
            assert getattr(preset, key) == value
    preset.fit(X, y)
    assert preset.n_iter_ == 2
    assert np.isfinite(preset.transform(X)).all()


def test_the_papers_fine_tuning_is_a_preset(data, scarf):
    preset = SSLClassifier.from_preset("dradjat2025", encoder=scarf)
    assert preset.encoder is scarf
    assert (preset.batch_size, preset.max_epochs, preset.n_iter_no_change) == (8, 100, 30)
    assert (preset.head, preset.early_stopping, preset.lr) == ("sgd", True, 1e-4)


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ValueError, match=r"no preset 'vime'; it has \['dradjat2025"):
        SSLClassifier.from_preset("vime")


@pytest.mark.parametrize("missing", [None, np.nan])
def test_texts_of_numpys_kind_may_have_gaps(data, scarf, missing):
    X, y = data
    names = np.array([f"class {c}" for c in y])
    mixed = [*names[:25], *[missing] * (len(y) - 25)]
    for labels in (mixed, np.array(mixed, dtype=object)):
        clf = SSLClassifier(scarf, mode="frozen", head="linear").fit(X, labels)
        assert list(clf.classes_) == sorted(set(names[:25]))


def test_numpys_true_holds_samples_out_as_pythons_does(data, scarf):
    X, y = data
    how = {"head": "linear", "max_epochs": 2, "random_state": 0}
    for value in (True, np.True_):
        clf = SSLClassifier(scarf, early_stopping=value, **how).fit(X, y)
        assert clf.validation_loss_curve_ is not None
        with pytest.raises(ValueError, match="holds no samples out"):
            SSLClassifier(scarf, early_stopping=value).fit(X, y)
