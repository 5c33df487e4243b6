"""The displays: what they draw is what was found, and it can be read."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from sslgex import ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.datasets import make_expression
from sslgex.evaluation import compare, label_efficiency_curve, mean_scores
from sslgex.plotting import GainDisplay, LabelEfficiencyDisplay, LossCurveDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import same_color, to_rgb  # noqa: E402

SIZES = [20, 40, 60, 100]
SWEEP = {"label_sizes": SIZES, "n_draws": 2, "cv": 3, "random_state": 0}


class Picky(ClassifierMixin, BaseEstimator):
    """A classifier that refuses fewer samples than it wants."""

    def __init__(self, n_wanted=30):
        self.n_wanted = n_wanted

    def fit(self, X, y):
        if len(X) < self.n_wanted:
            raise ValueError(f"{len(X)} samples are not enough")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.fixture(scope="module")
def data():
    return make_expression(n_samples=150, n_genes=30, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def entries():
    return {"genes": GaussianNB(), "nearest": KNeighborsClassifier(), "chance": DummyClassifier()}


@pytest.fixture(scope="module")
def results(data, entries):
    return label_efficiency_curve(entries, *data, **SWEEP)


@pytest.fixture(scope="module")
def pretrained(data):
    """Two methods, one of them in two entries, and one entry without any pretraining."""
    scarf = ScarfTransformer((8,), max_epochs=4, random_state=0)
    vime = VimeTransformer((8,), max_epochs=3, random_state=0)
    entries = {
        "SCARF": SSLClassifier(scarf, mode="frozen", head=GaussianNB()),
        "PCA": SSLClassifier(PCA(3), mode="frozen", head=GaussianNB()),
        "SCARF again": SSLClassifier(scarf, mode="frozen", head=KNeighborsClassifier()),
        "VIME": SSLClassifier(vime, mode="frozen", head=GaussianNB()),
    }
    return label_efficiency_curve(entries, *data, **SWEEP | {"label_sizes": [30], "cv": 2})


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    yield
    plt.close("all")


def drawn(display):
    """Draw the display, as saving it does, and return the texts of its legend."""
    display.figure_.canvas.draw()
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def ends(intervals):
    """Return the (low, high) of bars drawn as one line with gaps."""
    return intervals.get_ydata().reshape(-1, 3)[:, :2]


def tick_labels(ax):
    return [text.get_text() for text in ax.get_xticklabels()]


# The curves


def test_curves_and_bars_are_the_mean_scores(results):
    display = LabelEfficiencyDisplay.from_results(results, level=0.9)
    scores = mean_scores(results, level=0.9)
    assert len(display.lines_) == len(display.intervals_) == 3
    for name, line, bars in zip(results.entries, display.lines_, display.intervals_, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), SIZES)
        np.testing.assert_array_equal(line.get_ydata(), scores[name][:, 0])
        np.testing.assert_array_equal(ends(bars), scores[name][:, 1:])
        low, high = ends(bars).T
        assert (low <= line.get_ydata()).all()
        assert (line.get_ydata() <= high).all()
    assert display.ax_.get_xlabel() == "labelled samples"
    assert display.ax_.get_ylabel() == "accuracy"
    assert display.ax_.get_legend().get_title().get_text() == "mean, 90 % interval"


def test_everything_drawn_is_inside_the_axes(results):
    display = LabelEfficiencyDisplay.from_results(results)
    display.figure_.canvas.draw()
    for artist in (*display.lines_, *display.intervals_):
        points = artist.get_transform().transform(artist.get_xydata())
        box = display.ax_.bbox
        inside = points[np.isfinite(points).all(axis=1)]
        assert ((inside > box.min) & (inside < box.max)).all()


def test_bars_of_one_size_stand_side_by_side_and_not_in_each_others_place(results):
    display = LabelEfficiencyDisplay.from_results(results)
    display.figure_.canvas.draw()
    places = [line.get_transform().transform(line.get_xydata())[:, 0] for line in display.lines_]
    steps = np.diff(places, axis=0) * 72 / display.figure_.dpi
    np.testing.assert_allclose(steps, 4.0, atol=1e-6)  # points, at every size
    for line, bars in zip(display.lines_, display.intervals_, strict=True):
        assert line.get_transform() == bars.get_transform()


@pytest.mark.parametrize(
    ("metric", "label"),
    [
        ("balanced_accuracy", "balanced accuracy"),
        ("neg_log_loss", "log loss\n(negated, higher is better)"),
        ("neg_calibration_error", "calibration error\n(negated, higher is better)"),
        ("f1_macro", "F1 score, mean over classes"),
    ],
)
def test_metrics_have_names_for_people(results, metric, label):
    display = LabelEfficiencyDisplay.from_results(results, metric=metric, entries="genes")
    assert display.ax_.get_ylabel() == label
    np.testing.assert_array_equal(
        display.lines_[0].get_ydata(), mean_scores(results, metric=metric)["genes"][:, 0]
    )
    gain = GainDisplay.from_results(results, "genes", "chance", metric=metric)
    assert gain.ax_.get_ylabel() == f"difference in {label}"


def test_every_metric_of_a_sweep_has_a_name(results):
    for metric in results.scoring:
        assert (
            "_" not in LabelEfficiencyDisplay.from_results(results, metric=metric).ax_.get_ylabel()
        )


def test_sizes_that_span_much_are_on_a_logarithmic_axis(results):
    ax = LabelEfficiencyDisplay.from_results(results).ax_
    assert ax.get_xscale() == "log"
    assert tick_labels(ax) == ["20", "40", "60", "100"]
    assert len(ax.get_xticks(minor=True)) == 0


def test_sizes_that_span_little_are_not(data, entries):
    few = label_efficiency_curve(entries, *data, **SWEEP | {"label_sizes": [30, 60, 90]})
    ax = LabelEfficiencyDisplay.from_results(few).ax_
    assert ax.get_xscale() == "linear"
    assert tick_labels(ax) == ["30", "60", "90"]


def test_entries_are_drawn_in_the_order_asked_for(results):
    display = LabelEfficiencyDisplay.from_results(results, entries=["chance", "genes"])
    assert display.entries == ["chance", "genes"]
    assert [line.get_label() for line in display.lines_] == ["chance", "genes"]


def test_the_legend_has_the_order_in_which_the_curves_end(results):
    display = LabelEfficiencyDisplay.from_results(results, entries=["chance", "nearest", "genes"])
    last = {name: score[-1, 0] for name, score in display.scores.items()}
    assert drawn(display) == sorted(last, key=last.get, reverse=True)
    assert drawn(display)[-1] == "chance"


def test_highlighted_entries_alone_have_colour_and_intervals(results):
    display = LabelEfficiencyDisplay.from_results(results, highlight=["chance"])
    thin, also_thin, thick = display.lines_
    assert display.intervals_[:2] == [None, None]
    assert display.intervals_[2] is not None
    for line in (thin, also_thin):
        assert same_color(line.get_color(), "0.6")
        assert line.get_linewidth() < thick.get_linewidth()
    assert len(set(to_rgb(thick.get_color()))) > 1
    assert set(drawn(display)) == {"genes", "nearest", "chance"}
    display.plot(highlight=[])
    assert display.intervals_ == [None] * 3
    assert display.ax_.get_legend().get_title().get_text() == "mean"


def test_many_entries_differ_in_two_ways_and_have_no_bars_unless_highlighted(results):
    names = [f"entry {i}" for i in range(15)]
    many = replace(
        results,
        entries=names,
        outcomes=dict.fromkeys(names, results.outcomes["genes"]),
        _kept={},
    )
    display = LabelEfficiencyDisplay.from_results(many)
    assert display.intervals_ == [None] * 15
    assert display.ax_.get_legend().get_title().get_text() == "mean"
    looks = [(x.get_color(), x.get_linestyle(), x.get_marker()) for x in display.lines_]
    for i, look in enumerate(looks):
        for other in looks[:i]:
            assert sum(a != b for a, b in zip(look, other, strict=True)) >= 2
    display = display.plot(highlight=names[3:6])
    assert sum(bars is not None for bars in display.intervals_) == 3


def test_neighbouring_colours_differ_in_grey_too(results):
    display = LabelEfficiencyDisplay.from_results(results)
    grey = [np.dot(to_rgb(line.get_color()), [0.299, 0.587, 0.114]) for line in display.lines_]
    assert np.abs(np.diff(grey)).min() > 0.2


@pytest.mark.parametrize("display", [LabelEfficiencyDisplay, GainDisplay])
def test_one_size_is_enough(data, entries, display):
    one = label_efficiency_curve(entries, *data, **SWEEP | {"label_sizes": [40]})
    pair = ["genes", "chance"] if display is GainDisplay else []
    shown = display.from_results(one, *pair)
    drawn(shown)
    assert tick_labels(shown.ax_) == ["40"]


def test_ninety_nine_proportions(data):
    entries = {"a": DummyClassifier(), "b": DummyClassifier(strategy="uniform", random_state=0)}
    X, y = data
    results = label_efficiency_curve(
        entries, X, y == y[0], label_sizes=np.arange(2, 101) / 100, n_draws=2, cv=2, random_state=0
    )
    display = LabelEfficiencyDisplay.from_results(results)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), results.n_labels.mean(axis=0))
    ticks = tick_labels(display.ax_)
    assert ticks[0] == "2"
    assert ticks[-1] == "75"
    assert 4 <= len(ticks) <= 12
    drawn(display)
    boxes = [text.get_window_extent() for text in display.ax_.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    band = display.intervals_[1].get_paths()[0].vertices
    assert set(display.scores["b"][:, 1]) <= set(band[:, 1])

    gain = GainDisplay.from_results(results, "a", "b")
    assert "dark for each size" in drawn(gain)[-1]
    assert "from 2 to 75" in drawn(gain)[0]
    shares = GainDisplay(gain.comparison).plot()
    assert shares.ax_.get_xlabel() == "labelled share of training samples"
    assert "from 0.02 to 1:" in drawn(shares)[0]


def test_an_entry_without_scores_stays_in_the_legend(data):
    entries = {"genes": GaussianNB(), "ridge": RidgeClassifier()}
    results = label_efficiency_curve(entries, *data, **SWEEP | {"label_sizes": [20, 40]})
    display = LabelEfficiencyDisplay.from_results(results, metric="neg_log_loss")
    assert drawn(display) == ["genes", "ridge (no scores)"]
    with pytest.raises(ValueError, match=r"None of \['ridge'\] has any neg_log_loss"):
        LabelEfficiencyDisplay.from_results(results, metric="neg_log_loss", entries=["ridge"])


def test_sizes_at_which_all_fits_failed_are_gaps(data):
    with pytest.warns(FitFailedWarning, match="20 samples are not enough"):
        results = label_efficiency_curve(
            {"picky": Picky(), "chance": DummyClassifier()}, *data, **SWEEP
        )
    display = LabelEfficiencyDisplay.from_results(results)
    np.testing.assert_array_equal(np.isnan(display.lines_[0].get_ydata()), [1, 0, 0, 0])
    assert "picky" in drawn(display)


def test_differences_that_nobody_knows_are_gaps(results):
    found = compare(results, "genes", "chance", lo=40)
    unknown = [True, False, False, False]
    difference = np.where(unknown, np.nan, found.difference)
    interval = np.where(np.array(unknown)[:, None], np.nan, found.interval)
    verdicts = ["cannot tell", *found.verdicts[1:]]
    partial = replace(found, difference=difference, interval=interval, verdicts=verdicts)
    gain = GainDisplay(partial).plot()
    np.testing.assert_array_equal(np.isnan(gain.line_.get_ydata()), unknown)
    np.testing.assert_array_equal(ends(gain.interval_), interval)
    assert tick_labels(gain.ax_) == ["20", "40", "60", "100"]
    assert "mean gain from 40 to 100" in drawn(gain)[0]


def test_groups(data):
    X, y = data
    groups = np.arange(len(y)) // 2
    results = label_efficiency_curve(
        {"genes": GaussianNB(), "chance": DummyClassifier()},
        X,
        y,
        groups=groups,
        **SWEEP | {"label_sizes": [20, 40]},
    )
    display = LabelEfficiencyDisplay.from_results(results)
    np.testing.assert_array_equal(ends(display.intervals_[0]), mean_scores(results)["genes"][:, 1:])


def test_intervals_of_labels_drawn_once_say_so(data, entries):
    once = label_efficiency_curve(
        entries, *data, **SWEEP | {"protocol": "dradjat2025", "label_sizes": [20, 40]}
    )
    title = LabelEfficiencyDisplay.from_results(once).ax_.get_legend().get_title().get_text()
    assert title.endswith("with these labelled samples")
    gain = GainDisplay.from_results(once, "genes", "chance")
    assert set(gain.comparison.notes) <= set(drawn(gain)[0].split("\n"))
    assert gain.comparison.notes


def test_results_of_several_sweeps_are_drawn_together(data, results):
    other = label_efficiency_curve({"another": KNeighborsClassifier(1)}, *data, **SWEEP)
    display = LabelEfficiencyDisplay.from_results([results, other])
    assert display.entries == ["genes", "nearest", "chance", "another"]
    gain = GainDisplay.from_results([results, other], "another", "chance")
    assert gain.comparison.verdict == "helps"


# The difference


def test_gain_is_the_comparison(results):
    found = compare(results, "genes", "chance", metric="f1_macro", level=0.9)
    display = GainDisplay.from_results(results, "genes", "chance", metric="f1_macro", level=0.9)
    np.testing.assert_array_equal(display.line_.get_xdata(), SIZES)
    np.testing.assert_array_equal(display.line_.get_ydata(), found.difference)
    np.testing.assert_array_equal(display.markers_.get_offsets()[:, 1], found.difference)
    np.testing.assert_array_equal(ends(display.interval_), found.interval)
    np.testing.assert_array_equal(ends(display.simultaneous_interval_), found.simultaneous_interval)
    assert display.interval_.get_linewidth() > display.simultaneous_interval_.get_linewidth()
    np.testing.assert_array_equal(display.zero_line_.get_ydata(), [0, 0])


def test_the_legend_has_the_gain_that_was_asked_for(results):
    of = {"lo": SIZES[0], "hi": SIZES[-2], "area": "relative"}
    display = GainDisplay.from_results(results, "genes", "chance", **of)
    assert display.comparison.gain == compare(results, "genes", "chance", **of).gain
    assert f"relative area from {SIZES[0]} to {SIZES[-2]}:" in drawn(display)[0]


def test_markers_are_hollow_where_nobody_can_tell(results):
    found = compare(results, "genes", "chance")
    verdicts = ["helps", "cannot tell", "hurts", "cannot tell"]
    display = GainDisplay(replace(found, verdicts=verdicts, verdict="cannot tell")).plot()
    hollow = [same_color(face, "white") for face in display.markers_.get_facecolors()]
    assert hollow == [False, True, False, True]
    assert same_color(display.line_.get_markerfacecolor(), "white")


def test_the_legend_has_the_verdict(results):
    display = GainDisplay.from_results(results, "chance", "genes")
    found = display.comparison
    gain, low, high = (f"{abs(x):.3f}" for x in (found.gain, *found.gain_interval))
    assert drawn(display) == [
        f"chance against genes: hurts\nmean gain from 20 to 100: −{gain} [−{low}, −{high}]",
        "filled: helps or hurts at this size; hollow: cannot tell",
        "95 % interval: thick for each size, thin for all together",
    ]


def test_the_legend_names_the_area_and_the_range(results):
    for area, name in {"integral": "area", "relative": "relative area"}.items():
        found = compare(results, "genes", "chance", area=area, lo=40, hi=60)
        head = drawn(GainDisplay(found).plot())[0]
        assert f"\n{name} from 40 to 60: +" in head
    found = compare(results, "genes", "chance", lo=40, hi=40)
    assert "\nmean gain at 40: +" in drawn(GainDisplay(found).plot())[0]


def test_gains_share_axes(results):
    first = GainDisplay.from_results(results, "genes", "chance")
    second = GainDisplay.from_results(results, "nearest", "chance", ax=first.ax_)
    third = GainDisplay.from_results(results, "genes", "nearest", ax=first.ax_)
    heads = [text.split(":")[0] for text in drawn(third)[:3]]
    assert heads == ["genes against chance", "nearest against chance", "genes against nearest"]
    assert len(drawn(third)) == 5
    displays = first, second, third
    assert len({display.line_.get_color() for display in displays}) == 3
    places = [d.line_.get_transform().transform((40, 0))[0] for d in displays]
    assert places[2] < places[0] < places[1]
    assert len(plt.get_fignums()) == 1


def test_n_labels_must_fit_the_comparison(results):
    with pytest.raises(ValueError, match=r"shape \(2,\); one number for each of the 4 sizes"):
        GainDisplay(compare(results, "genes", "chance"), n_labels=[1, 2])


# The losses


def test_losses_of_an_estimator(data):
    scarf = ScarfTransformer((8,), max_epochs=4, validation_fraction=0.2, random_state=0)
    scarf.fit(data[0])
    display = LossCurveDisplay.from_estimator(scarf)
    (line,), (held_out,) = display.lines_, display.validation_lines_
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(line.get_ydata(), scarf.loss_curve_)
    np.testing.assert_array_equal(held_out.get_ydata(), scarf.validation_loss_curve_)
    assert (line.get_linestyle(), held_out.get_linestyle()) == ("-", "--")
    assert drawn(display) == ["ScarfTransformer", "ScarfTransformer, held out"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("epoch", "loss")
    assert all(tick == round(tick) for tick in display.ax_.get_xticks())
    assert display.ax_.get_xlim()[0] > 0

    relative = LossCurveDisplay.from_estimator(scarf, name="SCARF", relative=True)
    first = scarf.loss_curve_[0]
    np.testing.assert_allclose(relative.lines_[0].get_ydata() * first, scarf.loss_curve_)
    np.testing.assert_allclose(
        relative.validation_lines_[0].get_ydata() * first, scarf.validation_loss_curve_
    )
    assert drawn(relative) == ["SCARF", "SCARF, held out"]
    assert relative.ax_.get_ylabel() == "loss / loss of the first epoch"


def test_losses_of_fine_tuning_beside_those_of_another(data):
    X, y = data
    short = SSLClassifier(hidden_layer_sizes=(8,), max_epochs=2, random_state=0).fit(X, y)
    long = SSLClassifier(hidden_layer_sizes=(8,), max_epochs=5, random_state=0).fit(X, y)
    first = LossCurveDisplay.from_estimator(short, name="short")
    second = LossCurveDisplay.from_estimator(long, name="long", ax=first.ax_)
    assert first.validation_lines_ == []
    assert drawn(second) == ["short", "long"]
    assert first.lines_[0].get_color() != second.lines_[0].get_color()
    assert first.lines_[0].get_marker() != second.lines_[0].get_marker()
    assert second.ax_.get_xlim()[1] > 5


def test_one_epoch_can_be_seen():
    display = LossCurveDisplay({"short": [[2.0]]}).plot()
    (line,) = display.lines_
    drawn(display)
    assert line.get_marker() == "o"
    assert line.get_markevery() == (0, 1)


def test_losses_of_a_sweep_one_line_per_split(pretrained):
    display = LossCurveDisplay.from_results(pretrained)
    assert list(display.losses) == ["SCARF,\nSCARF again", "VIME"]
    assert drawn(display) == ["SCARF,\nSCARF again", "VIME"]
    curves = [*pretrained.loss_curves["SCARF"], *pretrained.loss_curves["VIME"]]
    assert len(display.lines_) == 4
    for line, curve in zip(display.lines_, curves, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)

    relative = LossCurveDisplay.from_results(pretrained, entries=["VIME"], relative=True)
    assert [line.get_ydata()[0] for line in relative.lines_] == [1.0, 1.0]


def test_splits_whose_pretraining_failed_are_left_out(pretrained):
    curves = pretrained.loss_curves | {"VIME": [[], pretrained.loss_curves["VIME"][1]]}
    display = LossCurveDisplay.from_results(replace(pretrained, loss_curves=curves), entries="VIME")
    assert len(display.lines_) == 1


def test_estimators_without_a_loss_say_why(data, pretrained):
    X, y = data
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(ScarfTransformer())
    with pytest.raises(ValueError, match="GaussianNB has no loss curve: it was not trained"):
        LossCurveDisplay.from_estimator(GaussianNB().fit(X, y))
    scarf = ScarfTransformer((8,), max_epochs=2, random_state=0).fit(X)
    frozen = SSLClassifier(scarf, mode="frozen", head=GaussianNB()).fit(X, y)
    with pytest.raises(ValueError, match=r"from_estimator\(classifier.encoder_\)"):
        LossCurveDisplay.from_estimator(frozen)
    display = LossCurveDisplay.from_estimator(frozen.encoder_)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), scarf.loss_curve_)
    pca = SSLClassifier(PCA(2), mode="frozen", head=GaussianNB()).fit(X, y)
    with pytest.raises(ValueError, match="fitted without epochs"):
        LossCurveDisplay.from_estimator(pca)
    with pytest.raises(ValueError, match=r"None of \['PCA'\] has a loss curve"):
        LossCurveDisplay.from_results(pretrained, entries=["PCA"])
    with pytest.raises(ValueError, match="first epoch, which is 0 for 'flat'"):
        LossCurveDisplay({"flat": [[0.0, 1.0]]}, relative=True)


# All of them


def test_from_estimator_is_from_results(data, entries, results):
    X, y = data
    display = LabelEfficiencyDisplay.from_estimator(
        entries, X, y, **SWEEP, metric="f1_macro", entries=["genes", "chance"], highlight="genes"
    )
    same = LabelEfficiencyDisplay.from_results(
        results, metric="f1_macro", entries=["genes", "chance"], highlight="genes"
    )
    assert display.results.content == results.content
    for line, other in zip(display.lines_, same.lines_, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), other.get_xydata())
    assert [bars is None for bars in display.intervals_] == [False, True]

    _, ax = plt.subplots()
    gain = GainDisplay.from_estimator(entries, X, y, "genes", "nearest", **SWEEP, level=0.8, ax=ax)
    same = GainDisplay.from_results(results, "genes", "nearest", level=0.8)
    assert gain.ax_ is ax
    np.testing.assert_array_equal(ends(gain.interval_), ends(same.interval_))
    assert repr(gain.comparison) == repr(same.comparison)


BAD = {
    "metric": ({"metric": "auc"}, "metric must be one of .* got 'auc'"),
    "level": ({"level": 95}, "level must be between 0 and 1, such as 0.95, got 95"),
}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *BAD.values(),
        ({"entries": ["genes", "gnees"]}, r"entries has \['gnees'\], but there are only"),
        ({"highlight": "PCA"}, r"highlight has \['PCA'\]"),
    ],
)
def test_bad_arguments_of_curves(data, entries, results, options, message):
    with pytest.raises(ValueError, match=message):
        LabelEfficiencyDisplay.from_results(results, **options)
    # Told before the sweep, which would fail at such labels.
    with pytest.raises(ValueError, match=message):
        LabelEfficiencyDisplay.from_estimator(entries, data[0], None, label_sizes=[20], **options)


@pytest.mark.parametrize(("options", "message"), BAD.values())
def test_bad_arguments_of_gains(data, entries, results, options, message):
    with pytest.raises(ValueError, match=message):
        GainDisplay.from_results(results, "genes", "chance", **options)
    with pytest.raises(ValueError, match=message):
        GainDisplay.from_estimator(
            entries, data[0], None, "genes", "chance", label_sizes=[20], **options
        )


def test_what_cannot_be_drawn(data, entries, results):
    with pytest.raises(ValueError, match="There is no entry 'PCA'"):
        GainDisplay.from_results(results, "PCA", "chance")
    with pytest.raises(ValueError, match=r"b has \['PCA'\]"):
        GainDisplay.from_estimator(entries, data[0], None, "genes", "PCA", label_sizes=[20])
    with pytest.raises(ValueError, match="entries is empty"):
        LabelEfficiencyDisplay.from_results(results, entries=[])
    with pytest.raises(TypeError, match="results must be what label_efficiency_curve returned"):
        LabelEfficiencyDisplay.from_results({"genes": 1.0})
    with pytest.raises(ValueError, match="take n_draws=2 or more"):
        LabelEfficiencyDisplay.from_estimator(entries, data[0], None, label_sizes=[20], n_draws=1)
    with pytest.raises(TypeError, match="estimators must be an estimator, a dict"):
        LabelEfficiencyDisplay.from_estimator(3, *data, label_sizes=[20])
