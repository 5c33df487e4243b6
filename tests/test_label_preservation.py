"""Label preservation: shares known by construction, who is shown what, and how sure it is."""

import re
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from joblib import parallel_config
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sslgex import ScarfTransformer, SSLClassifier
from sslgex.datasets import make_expression
from sslgex.evaluation._label_preservation import clustered_means, label_preservation
from sslgex.plotting._label_preservation import LabelPreservationDisplay

GENES = 10
# What the spies did: (what, ids of the samples that the values are of).
LOG: list[tuple[str, set]] = []


@pytest.fixture(autouse=True)
def clean_log():
    LOG.clear()
    yield
    LOG.clear()


class OneGene(ClassifierMixin, BaseEstimator):
    """Sees whether the first gene is positive."""

    def fit(self, X, y=None):
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, X):
        first = X[:, [0]].toarray() if sp.issparse(X) else X[:, [0]]
        return self.classes_[(first[:, 0] > 0).astype(int)]


class Spy(OneGene):
    """Writes down whose values it is shown: those of sample i are i and a fraction."""

    def fit(self, X, y):
        LOG.append(("fit", set(np.floor(X).ravel())))
        return super().fit(X)

    def predict(self, X):
        LOG.append(("predict", set(np.floor(X).ravel())))
        return super().predict(X)


class Named(ClassifierMixin, BaseEstimator):
    """Wants the genes by their names."""

    def fit(self, X, y):
        self.classes_, self.names_ = np.unique(y), list(X.columns)
        return self

    def predict(self, X):
        assert list(X.columns) == self.names_ == [f"gene {j}" for j in range(GENES)]
        return self.classes_[(X["gene 0"] > 0).astype(int)]


@pytest.fixture(scope="module")
def tumours():
    """400 samples, 30 % of which have the first gene above 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, GENES))
    X[:, 0] = np.abs(X[:, 0]) * np.where(np.arange(400) < 120, 1, -1)
    return X


@pytest.fixture(scope="module")
def data():
    return make_expression(n_samples=120, n_genes=30, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def entries():
    return {"genes": GaussianNB(), "constant": DummyClassifier()}


@pytest.fixture(scope="module")
def found(data, entries):
    return label_preservation(entries, *data, cv=3, random_state=0)


def one_gene(X, y=None, **options):
    options = {"rates": [0.3, 0.6], "random_state": 0} | options
    return label_preservation({"one": OneGene().fit(X)}, X, y, **options)


# Known answers


def test_of_one_gene_the_class_is_lost_where_a_donor_of_the_other_class_replaces_it(tumours):
    found = one_gene(tumours, n_repeats=40)
    other = 2 * 0.3 * 0.7
    # 16,000 corruptions: standard errors of 0.004 at most.
    np.testing.assert_allclose(
        found.preserved["one"][:, 0], [1 - 0.3 * other, 1 - 0.6 * other], atol=0.02
    )
    assert found.chance["one"] == pytest.approx(1 - other, abs=0.02)
    rare = found.per_sample["one"][:, :120].mean(axis=1)
    np.testing.assert_allclose(rare, [1 - 0.3 * 0.7, 1 - 0.6 * 0.7], atol=0.03)


def test_a_constant_classifier_preserves_everything_and_so_does_chance(found):
    np.testing.assert_array_equal(found.preserved["constant"], 1)
    assert found.chance["constant"] == 1
    assert found.rate_kept(1)["constant"] == 1


def test_more_corruption_preserves_less():
    X, y = make_expression(n_samples=400, n_genes=40, return_X_y=True, random_state=0)
    mean = label_preservation(GaussianNB(), X, y, random_state=0).preserved["GaussianNB"][:, 0]
    # A step has a standard error below 0.016.
    assert (np.diff(mean) < 0.05).all()
    assert mean[0] - mean[-1] > 0.3


def test_a_rate_of_1_is_chance(tumours):
    found = one_gene(tumours, rates=[0.5, 1])
    assert found.preserved["one"][1, 0] == found.chance["one"]


def test_labels_tell_what_stays_right_and_what_becomes_right(tumours):
    y = np.random.default_rng(1).integers(2, size=len(tumours))
    found = one_gene(tumours, y)
    clean = OneGene().fit(tumours).predict(tumours)
    same, right = found.per_sample["one"], clean == y
    assert found.clean_accuracy["one"][0] == accuracy_score(y, clean)
    np.testing.assert_allclose(found.still_right["one"][:, 0], same[:, right].mean(axis=1))
    # Of two classes the one that is not kept is the other.
    expected = np.where(right, same, 1 - same).mean(axis=1)
    np.testing.assert_allclose(found.accuracy["one"][:, 0], expected)


def test_what_is_never_right_cannot_stay_right(tumours):
    y = 1 - OneGene().fit(tumours).predict(tumours)
    found = one_gene(tumours, y)
    assert np.isnan(found.still_right["one"]).all()
    assert found.clean_accuracy["one"].tolist() == [0, 0, 0]


def test_without_labels_there_is_nothing_to_be_right(tumours):
    found = one_gene(tumours)
    assert found.still_right == found.accuracy == found.clean_accuracy == {}
    assert "accuracy" not in found.to_frame()


# Who sees what


def spied(samples=20):
    X = np.arange(samples)[:, None] + np.linspace(0.1, 0.9, GENES)
    return X, np.arange(samples) % 2


def test_values_come_from_the_training_samples_and_predictions_are_of_the_others():
    X, y = spied()
    label_preservation(Spy(), X, y, rates=[0.5], n_repeats=1, cv=4, random_state=0)
    trained = [ids for what, ids in LOG if what == "fit"]
    seen = [ids for what, ids in LOG if what == "predict"]
    assert len(trained) == 4
    for split, train in enumerate(trained):
        clean, half, all_replaced = seen[3 * split : 3 * split + 3]
        assert clean == set(range(20)) - train
        assert half & train
        assert all_replaced <= train


def test_a_fitted_classifier_is_not_fitted_again_and_gets_values_of_the_samples_themselves():
    X, y = spied()
    model = Spy().fit(X + 100, y)
    LOG.clear()
    label_preservation(model, X, rates=[0.5], n_repeats=1, random_state=0)
    assert [what for what, _ in LOG] == ["predict"] * 3
    assert all(ids <= set(range(20)) for _, ids in LOG)


def test_all_estimators_are_asked_of_the_same_corrupted_samples(data):
    twice = {"one": GaussianNB(), "two": GaussianNB()}
    found = label_preservation(twice, *data, rates=[0.5], cv=2)  # without a seed
    np.testing.assert_array_equal(found.per_sample["one"], found.per_sample["two"])


def test_the_seed_decides_how_samples_are_corrupted(tumours):
    first, same, other = (one_gene(tumours, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.per_sample["one"], same.per_sample["one"])
    assert (first.per_sample["one"] != other.per_sample["one"]).any()


def test_one_seed_one_result_of_fits_too(data, entries, found):
    again = label_preservation(entries, *data, cv=3, random_state=0)
    np.testing.assert_array_equal(found.per_sample["genes"], again.per_sample["genes"])


def test_classifiers_that_know_genes_by_name_get_the_names(tumours):
    frame = pd.DataFrame(tumours[:, :GENES], columns=[f"gene {j}" for j in range(GENES)])
    y = (tumours[:, 0] > 0).astype(int)
    found = label_preservation(Named(), frame, y, rates=[0.3], random_state=0)
    plain = label_preservation(OneGene(), tumours, y, rates=[0.3], random_state=0)
    np.testing.assert_array_equal(found.per_sample["Named"], plain.per_sample["OneGene"])


def test_sparse_samples_are_corrupted_as_dense_ones(tumours):
    counts = np.where(tumours > -0.5, tumours, 0)
    dense, sparse = (one_gene(X) for X in (counts, sp.csr_array(counts)))
    np.testing.assert_array_equal(dense.per_sample["one"], sparse.per_sample["one"])
    assert len(np.unique(sparse.units)) == len(np.unique(dense.units))


def test_a_pretrainer_gets_a_linear_head(data):
    scarf = ScarfTransformer((8,), max_epochs=2)
    head = SSLClassifier(scarf, mode="frozen", head="linear")
    asked = {"bare": scarf, "with head": head, "PCA": PCA(3)}
    found = label_preservation(asked, *data, rates=[0.5], n_repeats=2, cv=2, random_state=0)
    np.testing.assert_array_equal(found.per_sample["bare"], found.per_sample["with head"])
    assert found.clean_accuracy["PCA"][0] > 0.5
    with pytest.raises(NotFittedError):
        check_is_fitted(scarf)


def test_a_fitted_pretrainer_stays_as_it_is_with_a_warning(data):
    X, y = data
    options = {"rates": [0.5], "n_repeats": 2, "cv": 2, "random_state": 0}
    pca = PCA(3, random_state=0).fit(X[:40])
    with pytest.warns(UserWarning, match="'PCA' has a fitted encoder, used as it is"):
        found = label_preservation(pca, X, y, **options)
    # Its head reads the old components, which those of all training samples are not.
    frozen = label_preservation({"PCA": FrozenEstimator(pca)}, X, y, **options)
    anew = label_preservation({"PCA": PCA(3, random_state=0)}, X, y, **options)
    np.testing.assert_array_equal(found.per_sample["PCA"], frozen.per_sample["PCA"])
    assert (found.per_sample["PCA"] != anew.per_sample["PCA"]).any()


def test_an_encoder_inside_a_pipeline_is_warned_of_if_it_is_fitted_and_only_then(data):
    options = {"rates": [0.5], "n_repeats": 1, "cv": 2, "random_state": 0}
    for pca, warns in ((PCA(3), False), (PCA(3).fit(data[0]), True)):
        inside = SSLClassifier(pca, mode="frozen", head="linear")
        model = make_pipeline(StandardScaler(), inside)
        with pytest.warns(UserWarning, match="fitted encoder") if warns else nullcontext():
            label_preservation(model, *data, **options)


def test_of_a_fitted_classifier_the_encoder_is_nobodys_business(data):
    X, y = data
    inside = PCA(3, random_state=0).fit(X[:60])
    model = SSLClassifier(inside, mode="frozen", head="linear").fit(X[:60], y[:60])
    found = label_preservation(model, X[60:], rates=[0.5], random_state=0)  # without a warning
    assert len(found.units) == 60


def test_nothing_that_was_given_is_changed(data, entries):
    X, y = data[0].copy(), data[1].copy()
    label_preservation(entries, X, y, rates=[0.5], n_repeats=1, cv=2, random_state=0)
    np.testing.assert_array_equal(X, data[0])
    np.testing.assert_array_equal(y, data[1])
    assert not hasattr(entries["genes"], "classes_")


# How sure


def test_samples_are_the_units_after_their_repeats_were_averaged(found):
    mean, low, high = found.preserved["genes"].T
    shares = found.per_sample["genes"]
    n = shares.shape[1]
    half = stats.t.ppf(0.975, n - 1) * shares.std(axis=1, ddof=1) / np.sqrt(n)
    np.testing.assert_allclose(mean, shares.mean(axis=1))
    np.testing.assert_allclose(high, np.minimum(mean + half, 1))
    np.testing.assert_allclose(low, mean - half)


def test_groups_of_equal_samples_count_as_one_sample_each():
    of_groups = np.array([[0.1, 0.4, 0.5, 0.9]])
    units = np.repeat([3, 0, 2, 1], 5)
    found = clustered_means(np.repeat(of_groups, 5, axis=1), units, 0.9)
    np.testing.assert_allclose(found, clustered_means(of_groups, np.arange(4), 0.9))
    half = stats.t.ppf(0.95, 3) * of_groups.std(ddof=1) / 2
    np.testing.assert_allclose(found, [[0.475, 0.475 - half, 0.475 + half]])


def test_groups_of_different_sizes_have_the_variance_of_a_ratio(data, entries):
    groups = np.random.default_rng(0).integers(15, size=len(data[1]))
    options = {"rates": [0.3], "cv": 2, "random_state": 0}
    found = label_preservation(entries, *data, groups=groups, **options)
    (shares,), codes = found.per_sample["genes"], found.units
    mean = shares.mean()
    assert len(set(codes)) == 15
    total = sum((shares[codes == g] - mean).sum() ** 2 for g in range(15))
    half = stats.t.ppf(0.975, 14) * np.sqrt(15 / 14 * total) / len(shares)
    np.testing.assert_allclose(found.preserved["genes"], [[mean, mean - half, mean + half]])


def test_intervals_of_another_level_are_narrower_and_end_at_0_and_1():
    shares, units = np.array([[0.0, 1.0, 1.0], [0.2, 0.3, 0.25]]), np.arange(3)
    wide, narrow = (clustered_means(shares, units, level) for level in (0.95, 0.5))
    assert wide[0, 1:].tolist() == [0, 1]
    assert (np.diff(narrow[:, 1:]) < np.diff(wide[:, 1:])).all()


def test_one_unit_tells_nothing_of_the_next():
    found = clustered_means(np.array([[0.2, 0.6]]), np.array([7, 7]), 0.95)
    np.testing.assert_allclose(found, [[0.4, np.nan, np.nan]])


def test_a_sample_tested_in_several_splits_is_one_unit(data):
    cv = RepeatedStratifiedKFold(n_splits=2, n_repeats=3, random_state=0)
    found = label_preservation(GaussianNB(), *data, rates=[0.5], cv=cv, random_state=0)
    assert found.per_sample["GaussianNB"].shape == (1, 3 * 120)
    np.testing.assert_array_equal(np.bincount(found.units), np.full(120, 3))


# How strong the corruption may be


def curve(found, rates, shares, chance):
    """Results whose one curve is given."""
    kept = np.repeat(np.array(shares)[:, None], 3, axis=1)
    return replace(
        found, rates=np.array(rates), preserved={"it": kept}, chance={"it": chance}
    ).rate_kept


@pytest.mark.parametrize(
    ("shares", "share", "expected"),
    [
        ([0.99, 0.97, 0.90], 0.95, 0.2 + 0.2 * 2 / 7),  # between two rates
        ([0.80, 0.60, 0.50], 0.95, 0.1 * 0.05 / 0.2),  # below the first, from (0, 1)
        ([0.99, 0.97, 0.96], 0.95, 0.4 + 0.6 * 0.01 / 0.46),  # above the last, to (1, chance)
        ([1.00, 1.00, 0.90], 1.00, 0.2),  # the end of a level part
        ([0.99, 0.97, 0.90], 0.50, 1.0),  # chance is enough
    ],
)
def test_the_rate_that_keeps_a_share_is_read_from_straight_lines(found, shares, share, expected):
    kept = curve(found, [0.1, 0.2, 0.4], shares, 0.5)
    assert kept(share)["it"] == pytest.approx(expected)


def test_a_curve_that_rises_by_chance_is_smoothed_first(found):
    rates, shares = [0.2, 0.4, 0.6, 1.0], [0.95, 0.80, 0.90, 0.30]
    fit = IsotonicRegression(increasing=False).fit([0, *rates], [1, *shares])
    there = curve(found, rates, shares, 0.3)(0.87)["it"]
    assert 0.2 < there < 0.4
    assert fit.predict([there])[0] == pytest.approx(0.87)


# Arguments


def test_default_rates_are_those_that_replace_a_gene(tumours):
    np.testing.assert_array_equal(one_gene(tumours, rates=None).rates, np.arange(1, 10) / 10)
    few = one_gene(tumours[:, :4], rates=None)
    np.testing.assert_array_equal(few.rates, np.arange(3, 10) / 10)


def test_rates_are_sorted_and_may_be_one_number(tumours):
    assert one_gene(tumours, rates=[0.6, 0.3, 0.6]).rates.tolist() == [0.3, 0.6]
    assert one_gene(tumours, rates=0.3).rates.tolist() == [0.3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rates": [0.0, 0.5]}, "must be a number above 0 and at most 1, got 0.0"),
        ({"rates": 1.1}, "must be a number above 0 and at most 1, got 1.1"),
        ({"rates": [0.05]}, "0.05 of 10 genes is less than one gene"),
        ({"rates": []}, "rates is empty"),
        ({"n_repeats": 0}, "n_repeats must be a positive integer, got 0"),
        ({"n_repeats": True}, "n_repeats must be a positive integer, got True"),
        ({"level": 95}, "level must be between 0 and 1, such as 0.95, got 95"),
        ({"y": ["a", "b"] * 200}, "None of the labels in y, such as 'a', is a class of this"),
    ],
)
def test_bad_arguments_are_named(tumours, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        one_gene(tumours, **options)


def test_an_X_that_is_no_matrix_is_an_error(tumours):
    with pytest.raises(ValueError, match="2D"):
        label_preservation(OneGene().fit(tumours), tumours[:, 0])


def test_what_sees_no_classes_is_an_error(data):
    with pytest.raises(TypeError, match="'it' is a LinearRegression, which sees no classes"):
        label_preservation({"it": LinearRegression()}, *data)


def test_a_classifier_to_be_fitted_needs_labels(data):
    with pytest.raises(ValueError, match=r"\['it'\] are classifiers to be fitted: pass y"):
        label_preservation({"it": GaussianNB()}, data[0])


@pytest.mark.parametrize("share", [0, 1.5])
def test_a_share_is_above_0_and_at_most_1(found, share):
    with pytest.raises(ValueError, match="share must be above 0 and at most 1"):
        found.rate_kept(share)


# Runs


def test_what_is_done_is_not_done_again(tmp_path):
    X, y = spied()
    options = {"rates": [0.5], "n_repeats": 1, "cv": 2, "random_state": 0, "cache": tmp_path}
    first = label_preservation(Spy(), X, y, **options)
    n_done = len(LOG)
    second = label_preservation(Spy(), X, y, **options)
    assert len(LOG) == n_done
    np.testing.assert_array_equal(first.per_sample["Spy"], second.per_sample["Spy"])
    label_preservation(Spy(), X, y, **options | {"rates": [0.7]})
    assert [what for what, _ in LOG[n_done:]] == ["predict"] * 6  # the fits are those of before


def test_parallel_runs_find_the_same(data, entries, found):
    with parallel_config("threading"):
        parallel = label_preservation(entries, *data, cv=3, n_jobs=2, random_state=0)
    np.testing.assert_array_equal(parallel.per_sample["genes"], found.per_sample["genes"])


def test_the_table_has_all_shares(found):
    frame = found.to_frame()
    assert list(frame.columns) == [
        "entry",
        "rate",
        *(f"preserved{end}" for end in ("", "_low", "_high")),
        *(f"still_right{end}" for end in ("", "_low", "_high")),
        *(f"accuracy{end}" for end in ("", "_low", "_high")),
        "chance",
    ]
    row = frame.query("entry == 'genes' and rate == 0.4")
    assert row.preserved_low.item() == found.preserved["genes"][3, 1]
    assert row.accuracy_high.item() == found.accuracy["genes"][3, 2]
    assert row.chance.item() == found.chance["genes"]


def test_printed_it_is_a_table_by_rates(found):
    head, rates, genes, constant = repr(found).split("\n")
    assert head == "Share of predicted classes preserved: 120 held-out samples, 5 repeats"
    assert rates.split()[2:11] == [f"0.{k}" for k in range(1, 10)]
    assert genes.split()[1] == f"{found.preserved['genes'][0, 0]:.3f}"
    assert constant.split()[-2:] == ["1.000", "1.00"]
    assert len({len(line) for line in (rates, genes, constant)}) == 1


# The picture


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_curves_bands_and_chance_are_what_was_found(plt, found):
    display = LabelPreservationDisplay.from_results(found)
    for i, name in enumerate(found.preserved):
        line, chance = display.lines_[i], display.chance_lines_[i]
        np.testing.assert_array_equal(line.get_xdata(), found.rates)
        np.testing.assert_array_equal(line.get_ydata(), found.preserved[name][:, 0])
        np.testing.assert_array_equal(chance.get_ydata(), found.chance[name])
        assert chance.get_color() == line.get_color()
        assert (line.get_linestyle(), chance.get_linestyle()) == ("-", "--")
        corners = display.bands_[i].get_paths()[0].vertices
        low, high = found.preserved[name][:, 1:].T
        assert {tuple(point) for point in zip(found.rates, low, strict=True)} <= {
            tuple(point) for point in corners
        }
        assert corners[:, 1].max() == high.max()
    assert display.ax_.get_xlabel() == "corruption rate"
    assert display.ax_.get_ylabel() == "share of predicted classes preserved"
    assert display.ax_.get_legend().get_title().get_text() == "mean, 95 % interval"


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_the_legend_has_the_order_in_which_the_curves_end_and_explains_chance(plt, found):
    display = LabelPreservationDisplay.from_results(found)
    assert legend(display) == ["constant", "genes", "chance: all genes replaced"]


def test_several_draws_into_one_axes_share_a_legend_and_no_style(plt, found):
    _, ax = plt.subplots()
    first = LabelPreservationDisplay.from_results(found, entries="genes", ax=ax)
    second = LabelPreservationDisplay.from_results(found, entries=["constant"], ax=ax)
    assert first.ax_ is second.ax_ is ax
    assert first.lines_[0].get_color() != second.lines_[0].get_color()
    assert legend(second) == ["genes", "constant", "chance: all genes replaced"]
    assert len(plt.get_fignums()) == 1


def test_markers_at_a_rate_of_1_are_drawn_whole(plt, tumours):
    display = LabelPreservationDisplay.from_results(one_gene(tumours, rates=[0.5, 1]))
    display.figure_.canvas.draw()
    line = display.lines_[0]
    right = line.get_transform().transform(line.get_xydata())[-1, 0]
    radius = line.get_markersize() / 2 * display.figure_.dpi / 72
    assert right + radius < display.ax_.bbox.x1


def test_many_curves_have_no_bands(plt, found):
    many = {f"{k}": found.preserved["genes"] for k in range(8)}
    chance = dict.fromkeys(many, 0.2)
    display = LabelPreservationDisplay.from_results(replace(found, preserved=many, chance=chance))
    assert display.bands_ == [None] * 8
    assert display.ax_.get_legend().get_title().get_text() == "mean"


def test_it_can_be_drawn_from_estimators(plt, data, entries, found):
    display = LabelPreservationDisplay.from_estimator(
        entries, *data, entries="genes", cv=3, random_state=0
    )
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), found.preserved["genes"][:, 0])
    assert list(display.results.preserved) == ["genes", "constant"]


def test_unknown_names_are_an_error_before_anything_is_fitted(plt):
    X, y = spied()
    with pytest.raises(ValueError, match="entries has \\['two'\\]"):
        LabelPreservationDisplay.from_estimator({"one": Spy()}, X, y, entries="two")
    assert not LOG


def test_other_results_are_an_error(plt, found):
    with pytest.raises(TypeError, match="results must be what label_preservation returned"):
        LabelPreservationDisplay.from_results(found.preserved)
    with pytest.raises(ValueError, match="entries is empty"):
        LabelPreservationDisplay.from_results(found, entries=[])
