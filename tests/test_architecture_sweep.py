"""The architecture sweep: its gains, and how an architecture is chosen without test samples."""

import re
from itertools import product

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.naive_bayes import GaussianNB

from sslgex import ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.evaluation import LabelEfficiencyResults, compare, label_efficiency_curve
from sslgex.evaluation._architecture import ArchitectureResults, architecture_sweep
from sslgex.evaluation._shapes import check_methods, generate
from sslgex.plotting._architecture import ArchitectureDisplay

N, GENES = 72, 8
Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], N // 3))
X = np.random.default_rng(1).normal(size=(N, GENES)) + 1.5 * np.eye(3, GENES)[Y]
GROUPS = np.arange(N) // 3
DEPTHS, WIDTHS, SIZES = [1, 2], [3, 5], [9, 15]
HOW = {"label_sizes": SIZES, "n_draws": 2, "cv": 3, "random_state": 0}
SHAPES = list(product(DEPTHS, WIDTHS))

FITS: list[int] = []


class Head(GaussianNB):
    """Counts its fits, and refuses embeddings of some width."""

    def __init__(self, refused=None):
        super().__init__()
        self.refused = refused

    def fit(self, X, y):
        FITS.append(X.shape[1])
        if X.shape[1] == self.refused:
            raise ValueError(f"{self.refused} features are refused")
        return super().fit(X, y)


@pytest.fixture(autouse=True)
def fits():
    FITS.clear()
    yield FITS
    FITS.clear()


def scarf(sizes=(4,), **params):
    how = {"architecture": "mlp", "embedding": "last", "projection_sizes": (4,), "max_epochs": 1}
    return ScarfTransformer(sizes, **how | params)


def frozen(encoder, head=None, **params):
    return SSLClassifier(encoder, mode="frozen", head=Head() if head is None else head, **params)


def vime(sizes=(4,)):
    return VimeTransformer(sizes, architecture="mlp", embedding="last", max_epochs=1)


def sweep(methods, **params):
    how = {"depths": DEPTHS, "widths": WIDTHS} | HOW | params
    return architecture_sweep(methods, X, Y, **how)


@pytest.fixture(scope="module")
def plain():
    return sweep({"SCARF": frozen(scarf()), "VIME": frozen(vime())})


@pytest.fixture(scope="module")
def selecting():
    methods = {"SCARF": frozen(scarf()), "VIME": frozen(vime())}
    return sweep(methods, select="validation", groups=GROUPS, validation_fraction=0.25)


def entries_by_hand():
    entries = {}
    for method, make in (("SCARF", scarf), ("VIME", vime), ("baseline", None)):
        for depth, width in SHAPES:
            sizes = (width,) * depth
            entry = frozen(make(sizes)) if make else frozen(None, hidden_layer_sizes=sizes)
            entries[f"{method}, {depth} x {width}"] = entry
    return entries


def assert_same_predictions(one, other, names=None):
    for name in names or one.entries:
        for a, b in zip(one.outcomes[name], other.outcomes[name], strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)


def raises(*pieces, error=ValueError):
    """Expect ``error`` whose message holds these pieces in this order."""
    return pytest.raises(error, match="(?s)" + ".*".join(map(re.escape, pieces)))


# -------------------------------------------------------------------------- gains


def test_gains_are_those_of_a_label_efficiency_curve_by_hand(plain):
    by_hand = label_efficiency_curve(entries_by_hand(), X, Y, **HOW)
    assert plain.results.entries == by_hand.entries
    assert_same_predictions(plain.results, by_hand)
    assert plain.results.content == by_hand.content
    for method in ("SCARF", "VIME"):
        gains = plain.gain(method)
        assert gains.shape == (2, 2, 3)
        for (i, depth), (j, width) in product(enumerate(DEPTHS), enumerate(WIDTHS)):
            names = f"{method}, {depth} x {width}", f"baseline, {depth} x {width}"
            found = compare(by_hand, *names)
            np.testing.assert_array_equal(gains[i, j], [found.gain, *found.gain_interval])


def test_gains_are_of_the_metric_area_range_and_level_asked_for(plain):
    gain = plain.gain("VIME", metric="neg_log_loss", area="integral", lo=9, hi=15, level=0.5)
    found = compare(
        plain.results, "VIME, 2 x 3", "baseline, 2 x 3", metric="neg_log_loss", area="integral",
        level=0.5,
    )  # fmt: skip
    np.testing.assert_array_equal(gain[1, 0], [found.gain, *found.gain_interval])
    small = plain.gain("VIME", hi=9)[1, 0, 0]
    scores = plain.results.scores("accuracy")
    by_hand = (scores["VIME, 2 x 3"] - scores["baseline, 2 x 3"])[:, 0].mean()
    assert small == pytest.approx(by_hand)


def test_gains_given_away_cannot_be_spoiled(plain):
    first = plain.gain("SCARF")
    plain.gain("SCARF")[:] = 7
    np.testing.assert_array_equal(plain.gain("SCARF"), first)


def test_an_unknown_method_has_no_gain(plain):
    with raises("no method 'BYOL'; there are ['SCARF', 'VIME']"):
        plain.gain("BYOL")


def test_without_selection_there_is_nothing_selected(plain):
    assert plain.validation is None
    assert plain.selected is None
    assert not [name for name in plain.results.entries if "selected" in name]


def test_methods_of_equal_settings_share_a_baseline_and_others_have_their_own():
    a, b = frozen(scarf()), frozen(vime(), LogisticRegression())
    same = frozen(scarf(max_epochs=2))
    small = {"depths": [1], "widths": [3], "label_sizes": [9], "cv": 2}
    found = sweep({"A": a, "same": same, "B": b}, **small)
    names = {"A": "baseline of A", "same": "baseline of A", "B": "baseline of B"}
    assert found.baselines == names
    methods = [f"{name}, 1 x 3" for name in ("A", "same", "B", "baseline of A", "baseline of B")]
    assert found.results.entries == methods
    expected = compare(found.results, "B, 1 x 3", "baseline of B, 1 x 3")
    assert found.gain("B")[0, 0, 0] == expected.gain


def test_the_table_has_a_row_per_method_and_architecture(plain, selecting):
    frame = plain.to_frame()
    assert list(frame.columns) == ["method", "depth", "width", "gain", "low", "high"]
    assert len(frame) == 2 * 4
    row = frame[frame["method"].eq("VIME") & frame["depth"].eq(2) & frame["width"].eq(3)]
    np.testing.assert_array_equal(
        row[["gain", "low", "high"]].to_numpy()[0], plain.gain("VIME")[1, 0]
    )
    chosen = selecting.to_frame()
    assert chosen.groupby("method")["n_selected"].sum().tolist() == [3, 3]
    for depth, width in selecting.selected["SCARF"]:
        cell = chosen.query("method == 'SCARF'").set_index(["depth", "width"]).loc[depth, width]
        assert cell["n_selected"] == selecting.selected["SCARF"].count((depth, width))


def test_printed_it_is_a_table_of_gains_that_says_how_they_were_chosen(plain, selecting):
    text = repr(plain)
    assert text.startswith("Architecture sweep: 3 splits, 2 draws each, 72 test samples\naccuracy")
    gains = plain.gain("VIME")[:, 1, 0]
    assert f"\n{'VIME, width 5':<14}{gains[0]:+9.3f}{gains[1]:+9.3f}\n" in text
    assert text.endswith("select='validation' chooses without them.")
    found = compare(selecting.results, "VIME, selected", "baseline, selected")
    low, high = found.gain_interval
    assert repr(selecting).endswith(
        f"{found.gain:+9.3f} [{low:+.3f}, {high:+.3f}], {found.verdict}"
    )
    assert "select='validation'" not in repr(selecting)


# ---------------------------------------------------------------------- selection


def test_validation_samples_are_held_out_of_the_training_samples_of_their_split(selecting):
    whole = label_efficiency_curve({"alone": GaussianNB()}, X, Y, groups=GROUPS, **HOW)
    tests, held = selecting.results.splits, selecting.validation.splits
    for (train, test), (same, validation), (all_train, all_test) in zip(
        tests, held, whole.splits, strict=True
    ):
        np.testing.assert_array_equal(train, same)
        np.testing.assert_array_equal(test, all_test)
        assert not set(validation) & {*train, *test}
        assert sorted([*train, *validation]) == all_train.tolist()
        assert len(validation) == pytest.approx(len(all_train) / 4, abs=3)
    for split, (train, _) in zip(selecting.results.subsets, tests, strict=True):
        assert all(set(labelled) <= set(train) for draws in split for labelled in draws)


def test_validation_samples_are_of_other_groups(selecting):
    for (train, validation), (_, test) in zip(
        selecting.validation.splits, selecting.results.splits, strict=True
    ):
        parts = [set(GROUPS[rows]) for rows in (train, validation, test)]
        assert not parts[0] & parts[1]
        assert not parts[2] & (parts[0] | parts[1])


def test_without_groups_validation_samples_are_stratified():
    small = {"depths": [1], "widths": [3], "label_sizes": [9], "cv": 2}
    found = sweep(
        {"SCARF": frozen(scarf())}, select="validation", validation_fraction=1 / 6, **small
    )
    for _, validation in found.validation.splits:
        assert np.bincount(Y[validation]).tolist() == [2, 2, 2]


@pytest.mark.parametrize("which", ["results", "validation"])
def test_both_parts_are_predicted_by_fits_on_the_other_samples_alone(selecting, which):
    # Of the same splits the label-efficiency curve gives the same, pretraining included.
    found = getattr(selecting, which)
    entries = entries_by_hand()
    names = ["SCARF, 1 x 3", "VIME, 2 x 5", "baseline, 2 x 3"]
    by_hand = label_efficiency_curve(
        {name: entries[name] for name in names}, X, Y, groups=GROUPS, **HOW | {"cv": found.splits}
    )
    assert_same_predictions(by_hand, found, names)
    assert found.content == by_hand.content


def test_the_architecture_of_the_best_validation_score_is_selected(selecting):
    validation = selecting.validation
    assert list(selecting.selected) == ["SCARF", "VIME", "baseline"]
    for name, chosen in selecting.selected.items():
        for s, (_, held) in enumerate(validation.splits):
            means = []
            for depth, width in SHAPES:
                predicted = validation.outcomes[f"{name}, {depth} x {width}"][s].predicted
                # Two sizes: the mean over the range is that of the ends.
                scores = [accuracy_score(Y[held], p) for draws in predicted for p in draws]
                means.append(np.mean(scores))
            assert means[SHAPES.index(chosen[s])] == pytest.approx(max(means))


def test_a_selected_entry_is_the_chosen_one_in_every_split(selecting):
    results = selecting.results
    for name, chosen in selecting.selected.items():
        entry = f"{name}, selected"
        for s, (depth, width) in enumerate(chosen):
            one = f"{name}, {depth} x {width}"
            for mine, its in zip(results.outcomes[entry][s], results.outcomes[one][s], strict=True):
                np.testing.assert_array_equal(mine, its)
            assert results.pretrain_seconds[entry][s] == results.pretrain_seconds[one][s]
            np.testing.assert_array_equal(
                results.fit_seconds[entry][s], results.fit_seconds[one][s]
            )
            assert results.loss_curves[entry][s] == results.loss_curves[one][s]
    assert results.entries[-3:] == ["SCARF, selected", "VIME, selected", "baseline, selected"]
    assert not [name for name in selecting.validation.entries if "selected" in name]


def test_labels_may_be_fewer_than_half_by_proportion_of_what_is_left():
    small = {"depths": [1], "widths": [3], "cv": 2, "label_sizes": [0.5]}
    found = sweep({"SCARF": frozen(scarf())}, select="validation", validation_fraction=0.5, **small)
    assert found.results.n_labels.tolist() == [[9], [9]]


# ------------------------------------------------------------ failures and bad input


def test_failed_architectures_have_no_gain_and_are_not_selected():
    entry = frozen(scarf(), Head(refused=5))
    with pytest.warns(FitFailedWarning, match="1 x 5' failed in 8 of 8 fits"):
        found = sweep(
            {"SCARF": entry}, select="validation", depths=[1], cv=2, validation_fraction=0.3
        )
    assert np.isnan(found.gain("SCARF")[0, 1]).all()
    assert np.isfinite(found.gain("SCARF")[0, 0]).all()
    assert found.selected == {"SCARF": [(1, 3)] * 2, "baseline": [(1, 3)] * 2}
    assert "nan" in repr(found)


def test_fitted_encoders_are_refused():
    fitted = scarf().fit(X)
    given = [fitted, SSLClassifier(fitted), SSLClassifier(FrozenEstimator(fitted))]
    for entry in (*given, FrozenEstimator(fitted)):
        with raises("'it' has a fitted encoder, whose depth and width", "clone(encoder)"):
            sweep({"it": entry})


@pytest.mark.parametrize(
    ("entry", "error", "pieces"),
    [
        (SSLClassifier(), ValueError, ["'it' has encoder=None", "baseline of every method"]),
        (GaussianNB(), TypeError, ["'it' is GaussianNB()", "nobody can set"]),
        (SSLClassifier(PCA(2), mode="frozen"), TypeError, ["'it' has PCA", "nobody can set"]),
    ],
    ids=["no encoder", "no SSLClassifier", "no pretrainer"],
)
def test_what_has_no_depth_is_refused(entry, error, pieces):
    with raises(*pieces, error=error):
        sweep({"it": entry})


@pytest.mark.parametrize(
    ("params", "pieces"),
    [
        ({"depths": [0, 1]}, ["depths must hold positive integers, got [0, 1]"]),
        ({"widths": [1.5]}, ["widths must hold positive integers, got [1.5]"]),
        ({"widths": []}, ["widths must hold positive integers, got []"]),
        ({"depths": True}, ["depths must hold positive integers"]),
        ({"select": "test"}, ["select must be 'validation' or None, got 'test'"]),
        ({"n_draws": 1}, ["one draw of labels", "n_draws=2 or more"]),
        (
            {"select": "validation", "validation_fraction": 0.7},
            ["validation_fraction must be in (0, 0.5], got 0.7"],
        ),
        (
            {"select": "validation", "validation_fraction": 0.01},
            ["validation_fraction=0.01 takes one of 100 folds of the 48 training samples"],
        ),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_fitted(params, pieces):
    with raises(*pieces):
        sweep({"SCARF": frozen(scarf())}, **params)
    assert FITS == []


def test_a_method_may_not_be_called_as_the_baseline_is():
    with raises("'baseline' is what the network without pretraining is called"):
        sweep({"baseline": frozen(scarf())})


def test_what_is_no_dict_is_refused():
    with raises("estimators must be an estimator, a dict", error=TypeError):
        sweep(5)


# --------------------------------------------------------------------- entries


def test_a_bare_pretrainer_is_a_classifier_with_it():
    encoder = scarf()
    ((name, entry),) = check_methods({"SCARF": encoder}).items()
    assert name == "SCARF"
    assert str(entry) == str(SSLClassifier(encoder))


def test_depth_and_width_are_blocks_and_units_of_residual_encoders_too():
    encoder = scarf(architecture="residual", embedding="all")
    entries = generate({"it": frozen(encoder)}, {"it": "baseline"}, [2], [5])
    fitted = clone(entries["it, 2 x 5"].encoder).fit(X).encoder_
    assert [layer.out_features for layer in fitted.inward] == [5, 5]
    assert fitted.n_embedding == GENES  # of as many components
    assert entries["baseline, 2 x 5"].hidden_layer_sizes == (5, 5)
    assert entries["baseline, 2 x 5"].encoder is None


def test_entries_keep_their_settings_and_stay_as_they_are():
    method = frozen(scarf(corruption_rate=0.4), random_state=3)
    before = str(method)
    entries = generate({"it": method}, {"it": "baseline"}, [1, 2], [3])
    assert str(method) == before
    for name, entry in entries.items():
        assert entry.random_state == 3
        if name.startswith("it"):
            assert entry.encoder.corruption_rate == 0.4
    assert entries["it, 2 x 3"].encoder.hidden_layer_sizes == (3, 3)


def test_depths_and_widths_are_swept_once_and_ascending():
    found = sweep({"S": frozen(scarf())}, depths=(2, 1, 2), widths=3, label_sizes=[9], cv=2)
    assert (found.depths, found.widths) == ([1, 2], [3])
    assert isinstance(found, ArchitectureResults)
    assert isinstance(found.results, LabelEfficiencyResults)


# ------------------------------------------------------- the same again, and kept


def test_workers_and_the_same_seed_give_the_same_and_finished_work_is_kept(tmp_path):
    small = {"depths": [1], "select": "validation", "validation_fraction": 0.3, "cv": 2}
    methods = {"SCARF": frozen(scarf())}
    one = sweep(methods, cache=tmp_path, **small)
    assert len(FITS) == 2 * 2 * 2 * 2 * 2
    FITS.clear()
    again = sweep(methods, cache=tmp_path, **small)
    assert FITS == []
    with parallel_config(backend="threading"):
        two = sweep(methods, n_jobs=2, **small)
    for other in (again, two):
        assert_same_predictions(one.results, other.results)
        assert other.selected == one.selected
        np.testing.assert_array_equal(one.gain("SCARF"), other.gain("SCARF"))


# ------------------------------------------------------------------- the picture


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_curves_and_bars_are_the_gains(plain, plt):
    display = ArchitectureDisplay.from_results(plain, metric="f1_macro", level=0.9)
    assert list(display.lines_) == list(product(["SCARF", "VIME"], WIDTHS))
    for (method, width), line in display.lines_.items():
        gains = plain.gain(method, metric="f1_macro", level=0.9)[:, WIDTHS.index(width)]
        np.testing.assert_array_equal(line.get_xdata(), DEPTHS)
        np.testing.assert_array_equal(line.get_ydata(), gains[:, 0])
        bars = display.intervals_[method, width].get_ydata().reshape(-1, 3)[:, :2]
        np.testing.assert_array_equal(bars, gains[:, 1:])
    ax = display.ax_
    assert ax.get_xlabel() == "blocks of the encoder"
    assert ax.get_ylabel() == "gain in F1 score, mean over classes"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2"]
    assert set(display.zero_line_.get_ydata()) == {0.0}


def test_the_legend_names_methods_and_widths_and_what_is_drawn(plain, plt):
    legend = ArchitectureDisplay.from_results(plain).ax_.get_legend()
    names = [f"{method}, width {width}" for method, width in product(["SCARF", "VIME"], WIDTHS)]
    assert [text.get_text() for text in legend.get_texts()] == names
    title = legend.get_title().get_text()
    assert title == "mean gain, 9 to 15 labels,\n95 % interval of each"


def test_no_two_curves_look_alike_in_grey(plain, plt):
    lines = ArchitectureDisplay.from_results(plain).lines_.values()
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 4
    assert {line.get_markerfacecolor() == "white" for line in lines} == {True, False}


def test_a_width_or_a_method_may_be_drawn_alone_and_several_in_given_axes(plain, plt):
    _, (left, right) = plt.subplots(1, 2)
    one = ArchitectureDisplay.from_results(plain, widths=5, ax=left)
    assert one.ax_ is left
    assert list(one.lines_) == [("SCARF", 5), ("VIME", 5)]
    np.testing.assert_array_equal(one.lines_["VIME", 5].get_ydata(), plain.gain("VIME")[:, 1, 0])
    drawn = [ArchitectureDisplay.from_results(plain, methods=m, ax=right) for m in plain.methods]
    assert len(right.get_legend().get_texts()) == 4
    lines = [line for display in drawn for line in display.lines_.values()]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 4
    assert len(plt.get_fignums()) == 1


def test_from_estimator_draws_the_sweep_that_it_runs(plt):
    small = HOW | {"depths": [1, 2], "widths": [3], "label_sizes": [9], "cv": 2}
    methods = {"SCARF": frozen(scarf())}
    display = ArchitectureDisplay.from_estimator(methods, X, Y, **small)
    again = architecture_sweep(methods, X, Y, **small)
    np.testing.assert_array_equal(display.gains["SCARF"], again.gain("SCARF"))


def test_bad_arguments_of_a_picture_are_refused(plain, plt):
    for bad, message in [
        ({"methods": "BYOL"}, "methods has ['BYOL'], but there are only ['SCARF', 'VIME']"),
        ({"widths": [3, 4]}, "widths has [4], but there are only [3, 5]"),
        ({"metric": "auc"}, "metric must be one of"),
        ({"level": 2}, "level must be between 0 and 1"),
        ({"area": "sum"}, "area must be one of ['mean', 'integral', 'relative'], got 'sum'"),
    ]:
        with raises(message):
            ArchitectureDisplay.from_results(plain, **bad)
    with raises("results must be what architecture_sweep returned", error=TypeError):
        ArchitectureDisplay.from_results(plain.results)
    for bad, message in [({"area": "sum"}, "area must be"), ({"n_draws": 1}, "One draw of labels")]:
        with raises(message):
            ArchitectureDisplay.from_estimator({"SCARF": frozen(scarf())}, X, Y, **HOW | bad)
    assert FITS == []
    assert plt.get_fignums() == []
