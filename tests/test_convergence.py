"""Convergence: the score of every epoch is that of the classifier as it is then."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.naive_bayes import GaussianNB

from sslgex import ScarfTransformer, SSLClassifier
from sslgex._callbacks import SUPPORTED
from sslgex.datasets import make_expression
from sslgex.evaluation import compare, label_efficiency_curve, mean_scores
from sslgex.evaluation._convergence import ConvergenceResults, convergence_curve
from sslgex.plotting._convergence import ConvergenceDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

N_EPOCHS = 4
SWEEP = {"label_size": 20, "n_draws": 2, "cv": 2, "random_state": 0}
ONE_SPLIT = [(np.arange(60), np.arange(60, 90))]
SCARF = ScarfTransformer((8,), projection_sizes=(8,), max_epochs=2, random_state=0)
FAST = {"lr": 3e-2, "random_state": 0}  # to differ from epoch to epoch
TRAINED = {
    "scratch": SSLClassifier(hidden_layer_sizes=(8,), **FAST),
    "linear": SSLClassifier(SCARF, head="linear", **FAST),
    "sgd": SSLClassifier(SCARF, head="sgd", dropout=0.2, **FAST),
    "frozen": SSLClassifier(SCARF, mode="frozen", head="sgd", **FAST),
}


class Fragile(ClassifierMixin, BaseEstimator):
    """A classifier that refuses subsets that hold a certain sample, and counts its fits."""

    n_fits = 0

    def __init__(self, forbidden=None):
        self.forbidden = forbidden

    def fit(self, X, y):
        type(self).n_fits += 1
        if self.forbidden is not None and (np.asarray(X)[:, 0] == self.forbidden).any():
            raise ValueError("not this one")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


class Counted(SSLClassifier):
    """A classifier that counts its fits."""

    n_fits = 0

    def fit(self, X, y, sample_weight=None, *, X_unlabeled=None):
        Counted.n_fits += 1
        return super().fit(X, y, sample_weight, X_unlabeled=X_unlabeled)


@pytest.fixture(scope="module")
def data():
    X, y = make_expression(n_samples=90, n_genes=20, n_classes=3, return_X_y=True, random_state=0)
    return X, np.array(["luminal", "basal", "normal"])[y]


def curve(entries, data, **params):
    return convergence_curve(entries, *data, **{**SWEEP, "max_epochs": N_EPOCHS, **params})


@pytest.fixture(scope="module")
def results(data):
    entries = {
        "scratch": TRAINED["scratch"],
        "linear": TRAINED["linear"],
        "genes": LogisticRegression(max_iter=1000),
    }
    return curve(entries, data)


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    yield
    plt.close("all")


def by_hand(entry, results, data, **params):
    """Fit an entry on the first split's first draw; return it with the test samples."""
    X, y = data
    train, test = results.splits[0]
    labelled = results.subsets[0][0][0]
    model = clone(entry).set_params(early_stopping=False, **params)
    if entry.encoder is not None:
        model.encoder = clone(entry.encoder).fit(X[train])
    return model.fit(X[labelled], y[labelled]), X[test], y[test]


def constructed(results, curves, noise=0.0):
    """Results with the accuracies given (in hundredths of 100 test samples), one row an entry."""
    n_draws, n_test = 4, 100
    rng = np.random.default_rng(0)
    right = {
        name: (100 * np.asarray(scores)[:, None] + noise * rng.normal(size=(1, n_draws))).round()
        for name, scores in curves.items()
    }
    n_epochs = len(next(iter(right.values())))
    outcomes = {}
    for name, n_right in right.items():
        predicted = np.where(np.arange(n_test) < n_right[..., None], 0, 1).astype(np.int16)
        nothing = np.full(predicted.shape, np.nan, dtype=np.float32)
        outcomes[name] = [type(results.outcomes["scratch"][0])(predicted, nothing, nothing)]
    return replace(
        results,
        entries=list(curves),
        epochs=np.arange(1, n_epochs + 1),
        n_draws=n_draws,
        n_labels=np.full((1, n_epochs), 20),
        scoring=("accuracy",),
        y=np.zeros(200, dtype=int),
        splits=[(np.arange(100), np.arange(100, 200))],
        outcomes=outcomes,
        pretrain_seconds=dict.fromkeys(curves, np.zeros(1)),
        _kept={},
    )


# What is found


@pytest.mark.parametrize("name", TRAINED)
def test_the_last_epoch_is_the_classifier_fitted_to_the_end(data, name):
    found = curve({name: TRAINED[name]}, data)
    model, X, y = by_hand(TRAINED[name], found, data, max_epochs=N_EPOCHS)
    assert found.scores("accuracy")[name][0, -1, 0] == accuracy_score(y, model.predict(X))
    loss = log_loss(y, model.predict_proba(X), labels=model.classes_)
    np.testing.assert_allclose(found.scores("neg_log_loss")[name][0, -1, 0], -loss, rtol=1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_with_a_constant_schedule_an_epoch_is_a_training_of_that_length(data, name):
    entry = clone(TRAINED[name]).set_params(schedule="constant")
    found = curve({name: entry}, data)
    scores = found.scores("neg_log_loss")[name][0, :, 0]
    assert len(np.unique(scores)) == N_EPOCHS
    for k, score in enumerate(scores, 1):
        model, X, y = by_hand(entry, found, data, max_epochs=k)
        loss = log_loss(y, model.predict_proba(X), labels=model.classes_)
        np.testing.assert_allclose(score, -loss, rtol=1e-6)


def test_arrays_have_an_axis_of_epochs(results):
    assert results.epochs.tolist() == [1, 2, 3, 4]
    assert results.label_size == 20
    assert (results.n_labels == 20).all()
    assert results.n_labels.shape == (2, N_EPOCHS)
    for name in results.entries:
        assert results.scores("accuracy")[name].shape == (2, N_EPOCHS, 2)
        assert results.fit_seconds[name].shape == (2, N_EPOCHS, 2)
        for (_, test), outcome in zip(results.splits, results.outcomes[name], strict=True):
            assert all(part.shape == (N_EPOCHS, 2, len(test)) for part in outcome)
    assert [len(draws) for split in results.subsets for draws in split] == [2] * 2 * N_EPOCHS


def test_a_classifier_without_epochs_is_level_at_its_label_efficiency(results, data):
    entries = {"genes": LogisticRegression(max_iter=1000)}
    once = label_efficiency_curve(entries, *data, label_sizes=[20], n_draws=2, cv=2, random_state=0)
    expected = once.scores("neg_log_loss")["genes"]
    found = results.scores("neg_log_loss")["genes"]
    np.testing.assert_array_equal(found, np.repeat(expected, N_EPOCHS, axis=1))


def test_a_frozen_classifier_with_a_fitted_head_is_level(data):
    frozen = SSLClassifier(SCARF, mode="frozen", head="linear", random_state=0)
    (scores,) = curve({"frozen": frozen}, data).scores("neg_log_loss").values()
    assert (scores == scores[:, :1]).all()


def test_a_pretrainer_is_taken_for_a_classifier_with_it(data):
    entries = {"bare": SCARF, "inside": SSLClassifier(SCARF)}
    once = {"max_epochs": 2, "n_draws": 1, "cv": ONE_SPLIT}
    bare, inside = curve(entries, data, **once).scores("neg_log_loss").values()
    np.testing.assert_array_equal(bare, inside)
    assert not (bare == bare[:, :1]).all()


def test_folds_are_not_watched(data):
    # A pooled head trains without each of its folds too, before the training that counts.
    found = curve({"SCARF": SCARF}, data, max_epochs=2, n_draws=1, cv=ONE_SPLIT)
    assert found.outcomes["SCARF"][0].predicted.shape[0] == 2


def test_a_pooled_head_is_weighed_anew_after_every_epoch(data):
    X, y = data
    entry = SSLClassifier(SCARF, schedule="constant", **FAST)
    found = curve({"SCARF": entry}, data, max_epochs=2, n_draws=1, cv=ONE_SPLIT)
    ((train, test),), labelled = found.splits, found.subsets[0][0][0]
    others = [X[np.setdiff1d(train, labelled)]]
    for k in (1, 2):
        model = clone(entry).set_params(early_stopping=False, max_epochs=k)
        model.encoder = clone(SCARF).fit(X[train])
        model.fit(X[labelled], y[labelled], X_unlabeled=others)
        p = model.predict_proba(X[test])
        p_true = p[np.arange(len(test)), np.searchsorted(model.classes_, y[test])]
        np.testing.assert_allclose(found.outcomes["SCARF"][0].p_true[k - 1, 0], p_true, atol=1e-6)


def test_genes_with_names_change_nothing(results, data):
    X, y = data
    frame = pd.DataFrame(X, columns=[f"gene {i}" for i in range(X.shape[1])])
    (named,) = curve({"linear": TRAINED["linear"]}, (frame, y)).scores("neg_log_loss").values()
    np.testing.assert_array_equal(named, results.scores("neg_log_loss")["linear"])


def test_early_stopping_is_set_aside_and_the_entries_are_left_alone(data):
    entry = SSLClassifier.from_preset(
        "dradjat2025", hidden_layer_sizes=(8,), max_epochs=2, validation_fraction=0.4
    )
    before = entry.get_params()
    X = data[0].copy()
    found = curve({"scratch": entry}, data)
    assert found.scores("accuracy")["scratch"].shape[1] == N_EPOCHS
    assert entry.get_params() == before
    assert not hasattr(entry, "classes_")
    assert type(entry) is SSLClassifier
    np.testing.assert_array_equal(data[0], X)
    # All labelled samples are trained on: none is held out.
    other = clone(entry).set_params(validation_fraction=0.2)
    np.testing.assert_array_equal(
        curve({"scratch": other}, data).outcomes["scratch"][0].p_true,
        found.outcomes["scratch"][0].p_true,
    )


def test_none_is_the_most_epochs_of_an_entry(data):
    entries = {
        "short": clone(TRAINED["scratch"]).set_params(max_epochs=2),
        "long": clone(TRAINED["scratch"]).set_params(max_epochs=3),
        "level": SSLClassifier(SCARF, mode="frozen", head="linear", max_epochs=50),
    }
    found = curve(entries, data, max_epochs=None)
    assert found.epochs.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(*[found.scores("accuracy")[name] for name in ("short", "long")])


def test_a_proportion_of_labels(data):
    found = curve({"chance": DummyClassifier()}, data, label_size=0.5)
    assert (found.n_labels == 22).all()  # of 45
    assert found.label_size == 0.5


def test_groups_are_not_divided(data):
    groups = np.arange(90) // 3
    found = curve({"scratch": TRAINED["scratch"]}, data, groups=groups)
    for train, test in found.splits:
        assert not set(groups[train]) & set(groups[test])


def test_entries_with_one_encoder_share_its_pretraining(data, monkeypatch):
    fits = []
    fit = ScarfTransformer.fit
    monkeypatch.setattr(
        ScarfTransformer, "fit", lambda self, *a, **k: fits.append(1) or fit(self, *a, **k)
    )
    curve({name: TRAINED[name] for name in ("linear", "sgd")}, data)
    assert len(fits) == 2  # splits


def test_a_fit_that_fails_is_nan_in_all_epochs(data):
    X = data[0]
    entries = {"scratch": TRAINED["scratch"], "fragile": Fragile()}
    first = curve(entries, data).subsets[0][0]
    other = np.setdiff1d(first[0], first[1])[0]
    entries["fragile"] = Fragile(forbidden=X[other, 0])
    with pytest.warns(FitFailedWarning, match="'fragile' failed in .* not this one"):
        found = curve(entries, data)
    scores = found.scores("accuracy")["fragile"]
    assert np.isnan(scores[0, :, 0]).all()
    assert np.isfinite(scores[0, :, 1]).all()
    assert np.isfinite(found.scores("accuracy")["scratch"]).all()
    with pytest.raises(ValueError, match="not this one"):
        curve(entries, data, error_score="raise")


def test_a_training_that_fails_is_nan_in_all_epochs(data):
    entries = {"scratch": clone(TRAINED["scratch"]).set_params(lr=-1.0), "nb": GaussianNB()}
    with pytest.warns(FitFailedWarning, match="'scratch' failed in 4 of 4 fits"):
        found = curve(entries, data)
    assert np.isnan(found.scores("accuracy")["scratch"]).all()
    assert found.outcomes["scratch"][0].p_true.shape == found.outcomes["nb"][0].p_true.shape


def test_the_seed_decides(data):
    entries = {"unseeded": SSLClassifier(hidden_layer_sizes=(8,), lr=3e-2)}
    first, again, other = (
        curve(entries, data, random_state=seed).scores("neg_log_loss")["unseeded"]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not (first == other).any()


def test_parallel_jobs_find_the_same(results, data):
    entries = {"scratch": TRAINED["scratch"], "genes": LogisticRegression(max_iter=1000)}
    found = curve(entries, data, n_jobs=2)
    for name in entries:
        np.testing.assert_array_equal(
            found.scores("neg_log_loss")[name], results.scores("neg_log_loss")[name]
        )


def test_the_cache_keeps_what_does_not_depend_on_the_epochs(data, tmp_path):
    entries = {"trained": Counted(hidden_layer_sizes=(8,), **FAST), "level": Fragile()}
    Counted.n_fits = Fragile.n_fits = 0
    first = curve(entries, data, cache=tmp_path)
    assert (Counted.n_fits, Fragile.n_fits) == (4, 4)
    again = curve(entries, data, cache=tmp_path)
    assert (Counted.n_fits, Fragile.n_fits) == (4, 4)
    for name in entries:
        np.testing.assert_array_equal(
            again.scores("accuracy")[name], first.scores("accuracy")[name]
        )
    longer = curve(entries, data, cache=tmp_path, max_epochs=6)
    assert (Counted.n_fits, Fragile.n_fits) == (8, 4)
    assert longer.scores("accuracy")["level"].shape == (2, 6, 2)


@pytest.mark.skipif(not SUPPORTED, reason="callbacks came with scikit-learn 1.9")
def test_a_training_that_a_callback_ends_keeps_its_last_score(data):
    class Stop:
        max_propagation_depth = None

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch" and context.task_id == 1

    free = curve({"scratch": TRAINED["scratch"]}, data).scores("neg_log_loss")["scratch"]
    entry = clone(TRAINED["scratch"]).set_callbacks(Stop())
    ended = curve({"scratch": entry}, data).scores("neg_log_loss")["scratch"]
    np.testing.assert_array_equal(ended[:, :2], free[:, :2])
    assert (ended[:, 2:] == ended[:, 1:2]).all()


# Bad input


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"label_size": [10, 20]}, r"label_size must be one number, got \[10, 20\]"),
        ({"label_size": 1}, "must be at least 2, got 1"),
        ({"label_size": 80}, "asks for 80 labelled samples, but the training part .* has 45"),
        ({"max_epochs": 0}, "max_epochs must be a positive integer or None, got 0"),
        ({"max_epochs": 2.5}, "max_epochs must be a positive integer or None, got 2.5"),
        ({"max_epochs": True}, "max_epochs must be a positive integer or None, got True"),
        ({"max_epochs": "auto"}, "max_epochs must be a positive integer or None, got 'auto'"),
    ],
)
def test_bad_arguments(data, params, message):
    with pytest.raises(ValueError, match=message):
        curve({"scratch": TRAINED["scratch"]}, data, **params)


def test_without_any_epochs_their_number_must_be_given(data):
    entries = {"genes": GaussianNB()}
    with pytest.raises(ValueError, match=r"None of \['genes'\] is trained by gradient"):
        curve(entries, data, max_epochs=None)
    assert curve(entries, data).scores("accuracy")["genes"].shape == (2, N_EPOCHS, 2)


@pytest.mark.parametrize(
    ("estimators", "error", "message"),
    [
        ({}, ValueError, "estimators is empty"),
        ("scratch", TypeError, "must be an estimator, a dict of names"),
        ({"class": ScarfTransformer}, TypeError, "is the class ScarfTransformer"),
        ([("a", SCARF), ("a", SCARF)], ValueError, "Names must be unique"),
    ],
)
def test_bad_entries(data, estimators, error, message):
    with pytest.raises(error, match=message):
        curve(estimators, data)


# What becomes of it


def test_results_can_be_compared(results):
    found = compare(results, "linear", "scratch")
    assert found.axis == "epochs"
    np.testing.assert_array_equal(found.label_sizes, [1, 2, 3, 4])
    means = mean_scores(results)
    np.testing.assert_allclose(
        found.difference, means["linear"][:, 0] - means["scratch"][:, 0], atol=1e-12
    )
    assert "epochs saved" in repr(found)
    assert results.best() in results.entries


def test_the_frame_has_a_row_per_epoch(results):
    frame = results.to_frame()
    assert list(frame.columns[:5]) == ["entry", "split", "epoch", "n_labels", "draw"]
    assert len(frame) == 3 * 2 * N_EPOCHS * 2
    row = frame.query("entry == 'linear' and split == 1 and epoch == 3 and draw == 0")
    assert row["accuracy"].item() == results.scores("accuracy")["linear"][1, 2, 0]


def test_sweeps_with_other_entries_are_joined(results, data):
    other = curve({"nb": GaussianNB()}, data)
    joined = ConvergenceResults.join([results, other])
    assert joined.entries == ["scratch", "linear", "genes", "nb"]
    with pytest.raises(ValueError, match=r"of \[4, 3\] epochs: run all with the same max_epochs"):
        ConvergenceResults.join([results, curve({"nb": GaussianNB()}, data, max_epochs=3)])
    with pytest.raises(ValueError, match="different sweeps"):
        ConvergenceResults.join([results, curve({"nb": GaussianNB()}, data, random_state=1)])


def test_the_table_shows_some_of_many_epochs(results):
    lines = repr(results).splitlines()
    assert lines[0].startswith("Convergence: 2 splits, 2 draws each")
    assert lines[1].split() == ["accuracy", "1", "2", "3", "4"]
    assert lines[-1] == "by epoch of fine-tuning, label_size=20"
    scores = 0.2 + 0.005 * np.arange(100)
    many = constructed(results, {"a": scores})
    lines = repr(many).splitlines()
    shown = [int(epoch) for epoch in lines[1].split()[1:]]
    assert (shown[0], shown[-1]) == (1, 100)
    assert len(shown) <= 8
    assert max(map(len, lines)) <= 100
    means = many.scores("accuracy")["a"].mean(axis=(0, 2))
    assert lines[2].split()[1:] == [f"{means[epoch - 1]:.3f}" for epoch in shown]


# Epochs to a score


def test_epochs_to_a_score_are_read_between_epochs(results):
    found = constructed(results, {"slow": [0.2, 0.4, 0.6, 0.8], "level": [0.7] * 4})
    needed = found.epochs_to(0.5)
    assert needed["slow"][0] == pytest.approx(2.5)
    assert needed["level"][0] == 1
    assert found.epochs_to(0.75)["level"][0] == np.inf
    assert found.epochs_to(0.9)["slow"][0] == np.inf


def test_what_comes_after_the_best_epoch_takes_nothing_back(results):
    found = constructed(results, {"early": [0.6, 0.8, 0.3, 0.2], "late": [0.1, 0.2, 0.3, 0.7]})
    needed = found.epochs_to(of="late")
    assert needed["early"][0] == pytest.approx(1.5)
    assert needed["late"][0] == 4


def test_a_dip_on_the_way_is_smoothed_out(results):
    found = constructed(results, {"dip": [0.2, 0.6, 0.4, 0.8]})
    assert found.epochs_to(0.5)["dip"][0] == pytest.approx(2.0)
    assert found.epochs_to(0.65)["dip"][0] == pytest.approx(3.5)


def test_intervals_of_epochs_hold_the_epochs_and_widen_with_the_level(results):
    rising = np.linspace(0.1, 0.9, 30)
    found = constructed(results, {"a": rising, "b": rising - 0.05}, noise=3.0)
    wide, narrow = (found.epochs_to(0.5, level=level)["a"] for level in (0.95, 0.5))
    assert wide[0] == narrow[0]
    assert 1 < wide[1] < narrow[1] < wide[0] < narrow[2] < wide[2] < 30


def test_entries_without_scores_need_nan_epochs(results):
    found = constructed(results, {"a": [0.2, 0.4]})
    assert np.isnan(found.epochs_to(-1.0, metric="neg_log_loss")["a"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give a score or the entry whose best it is"),
        ({"score": 0.5, "of": "genes"}, "one of the two: got score=0.5, of='genes'"),
        ({"of": "PCA"}, "There is no entry 'PCA'; there are"),
        ({"score": np.nan}, "score must be a finite number, got nan"),
        ({"score": 0.5, "level": 95}, "level must be between 0 and 1"),
        ({"score": 0.5, "metric": "auc"}, "metric must be one of"),
    ],
)
def test_bad_questions_about_epochs(results, arguments, message):
    with pytest.raises(ValueError, match=message):
        results.epochs_to(**arguments)


# The display


def test_curves_and_bands_are_the_mean_scores(results):
    display = ConvergenceDisplay.from_results(results, level=0.9, metric="balanced_accuracy")
    scores = mean_scores(results, level=0.9, metric="balanced_accuracy")
    for name, line, band in zip(results.entries, display.lines_, display.intervals_, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
        np.testing.assert_array_equal(line.get_ydata(), scores[name][:, 0])
        (path,) = band.get_paths()
        low, high = path.vertices[:, 1].min(), path.vertices[:, 1].max()
        assert (low, high) == (scores[name][:, 1].min(), scores[name][:, 2].max())
    np.testing.assert_array_equal(display.epochs, [1, 2, 3, 4])
    assert display.ax_.get_xlabel() == "epoch of fine-tuning"
    assert display.ax_.get_ylabel() == "balanced accuracy"
    title = display.ax_.get_legend().get_title().get_text()
    assert title == "20 labelled samples\nmean, 90 % interval"
    assert display.ax_.get_xscale() == "linear"


def test_only_entries_with_epochs_have_markers(results):
    scratch, linear, genes = ConvergenceDisplay.from_results(results).lines_
    assert scratch.get_marker() != linear.get_marker()
    assert genes.get_marker() == ""
    assert len(np.unique(genes.get_ydata())) == 1


@pytest.mark.parametrize(
    ("n_epochs", "ticks"), [(1, [1]), (4, [1, 2, 3, 4]), (100, [1, 20, 40, 60, 80, 100])]
)
def test_ticks_are_epochs_that_there_are(results, n_epochs, ticks):
    found = constructed(results, {"a": np.linspace(0.2, 0.8, n_epochs), "b": [0.5] * n_epochs})
    display = ConvergenceDisplay.from_results(found)
    display.figure_.canvas.draw()
    assert display.ax_.get_xticks().tolist() == ticks
    if n_epochs == 1:  # which no line would show
        assert all(line.get_marker() not in ("", None) for line in display.lines_)


def test_axes_given_are_used(results):
    _, axes = plt.subplots(1, 2)
    display = ConvergenceDisplay.from_results(results, ax=axes[1], highlight="linear")
    assert display.ax_ is axes[1]
    assert not axes[0].has_data()
    assert [band is None for band in display.intervals_] == [True, False, True]
    assert len(plt.get_fignums()) == 1


def test_from_estimator_is_from_results(results, data):
    entries = {"scratch": TRAINED["scratch"], "genes": LogisticRegression(max_iter=1000)}
    display = ConvergenceDisplay.from_estimator(
        entries, *data, **SWEEP, max_epochs=N_EPOCHS, entries="genes"
    )
    assert isinstance(display.results, ConvergenceResults)
    same = ConvergenceDisplay.from_results(results, entries="genes")
    np.testing.assert_array_equal(display.lines_[0].get_xydata(), same.lines_[0].get_xydata())


def test_a_display_wants_results_of_its_kind(results, data):
    labels = label_efficiency_curve(
        {"nb": GaussianNB()}, *data, label_sizes=[20], n_draws=2, cv=2, random_state=0
    )
    with pytest.raises(TypeError, match="results must be what convergence_curve returned"):
        ConvergenceDisplay.from_results(labels)
    other = curve({"nb": GaussianNB()}, data)
    assert ConvergenceDisplay.from_results([results, other]).entries[-1] == "nb"


def test_entries_without_probabilities_have_no_log_loss(data):
    found = curve({"ridge": RidgeClassifier()}, data)
    assert "neg_log_loss" not in found.scoring
    with pytest.raises(ValueError, match=r"None of \['ridge'\] has any neg_log_loss"):
        ConvergenceDisplay.from_results(found, metric="neg_log_loss")
