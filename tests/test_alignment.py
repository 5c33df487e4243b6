"""Alignment and uniformity: what is computed is what is defined, and drawn as it is."""

import sys
from itertools import combinations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sslgex import ScarfTransformer
from sslgex.datasets import make_expression
from sslgex.evaluation import _alignment
from sslgex.evaluation._alignment import AlignmentUniformity, alignment_uniformity
from sslgex.evaluation._corrupted import corrupted
from sslgex.evaluation._sweep import seed_of
from sslgex.plotting._alignment import AlignmentUniformityDisplay

N = 40
Z = np.random.default_rng(0).normal(size=(N, 6)) + 0.3
Y = np.arange(N) % 3
GROUPS = np.arange(N) // 2  # two samples of each patient


def times_plus(X, factor, offset):
    return factor * X + offset


def scaled(factor, offset=0.0):
    return FunctionTransformer(times_plus, kw_args={"factor": factor, "offset": offset})


def measured(encoder=None, X=Z, y=None, **params):
    """Return what is found of a fitted encoder, by default of these embeddings themselves."""
    same = StandardScaler(with_mean=False, with_std=False).fit(X)
    encoder = same if encoder is None else encoder
    return alignment_uniformity({"Z": encoder}, X, y, **{"random_state": 0, **params})


def unit(Z):
    return Z / np.linalg.norm(Z, axis=1, keepdims=True)


def squared_distances(f, different):
    """Return ||f(x) - f(x')||^2 of pairs, one by one."""
    pairs = [(i, j) for i, j in combinations(range(len(f)), 2) if different(i, j)]
    return np.array([np.sum((f[i] - f[j]) ** 2) for i, j in pairs])


@pytest.fixture(scope="module")
def found():
    X, y = make_expression(n_samples=90, n_genes=30, return_X_y=True, random_state=0)
    entries = {
        "PCA": PCA(5),
        "SCARF": ScarfTransformer((8,), max_epochs=2),
        "genes": FunctionTransformer(),
    }
    return alignment_uniformity(entries, X, y, n_repeats=2, cv=3, random_state=0)


# The numbers


def test_alignment_by_hand():
    found = measured(corruption_rate=0.5, n_repeats=3)
    split = seed_of(0, 0)
    by_hand = []
    for repeat in range(3):
        other = corrupted(Z, Z, 0.5, seed_of(split, repeat))
        by_hand.append(np.sum((unit(Z) - unit(other)) ** 2, axis=1).mean())
    np.testing.assert_allclose(found.alignment["Z"], [by_hand], rtol=1e-12)
    assert len(set(by_hand)) == 3


@pytest.mark.parametrize("block", [7, 512])
def test_uniformity_by_hand(block, monkeypatch):
    monkeypatch.setattr(_alignment, "BLOCK", block)
    squared = squared_distances(unit(Z), lambda i, j: True)
    expected = np.log(np.exp(-2 * squared).mean())
    np.testing.assert_allclose(measured().uniformity["Z"], [expected], rtol=1e-10)


@pytest.mark.parametrize("block", [7, 512])
def test_samples_of_one_group_are_no_different_samples(block, monkeypatch):
    monkeypatch.setattr(_alignment, "BLOCK", block)
    found = measured(y=Y, groups=GROUPS)
    other = squared_distances(unit(Z), lambda i, j: GROUPS[i] != GROUPS[j])
    expected = np.log(np.exp(-2 * other).mean())
    np.testing.assert_allclose(found.uniformity["Z"], [expected], rtol=1e-10)
    alike = squared_distances(unit(Z), lambda i, j: GROUPS[i] != GROUPS[j] and Y[i] == Y[j])
    np.testing.assert_allclose(found.class_alignment["Z"], [alike.mean()], rtol=1e-10)
    assert found.uniformity["Z"] != measured().uniformity["Z"]


def test_without_labels_there_is_no_class_alignment():
    found = measured()
    assert np.isnan(found.class_alignment["Z"]).all()
    assert "class alignment" not in repr(found)
    assert "class alignment" in repr(measured(y=Y))


def test_the_length_of_embeddings_does_not_matter():
    one, other = (measured(scaled(factor), y=Y, cv=2) for factor in (1.0, 1000.0))
    for field in ("alignment", "uniformity", "class_alignment"):
        np.testing.assert_allclose(getattr(one, field)["Z"], getattr(other, field)["Z"], rtol=1e-9)


def test_an_embedding_that_is_the_same_for_all_is_aligned_and_not_uniform():
    found = measured(FunctionTransformer(np.ones_like), cv=2)
    assert (found.alignment["Z"] == 0).all()
    np.testing.assert_allclose(found.uniformity["Z"], 0, atol=1e-12)


def test_opposite_embeddings_are_as_far_apart_as_can_be():
    X = np.array([[1.0, 1.0], [-1.0, -1.0]] * 2)
    found = measured(X=X, y=[0, 1, 0, 1], groups=[0, 1, 0, 1], corruption_rate=1.0)
    assert found.uniformity["Z"][0] == pytest.approx(-8)  # exp(-2 * 4)


def test_points_spread_over_the_sphere_have_the_uniformity_of_the_sphere():
    X = np.random.default_rng(1).normal(size=(1500, 3))
    # On the sphere in three dimensions squared distances are uniform between 0 and 4.
    assert measured(X=X, corruption_rate=0.5).uniformity["Z"][0] == pytest.approx(
        np.log((1 - np.exp(-8)) / 8), abs=0.01
    )


def test_more_corruption_moves_embeddings_further():
    found = [measured(corruption_rate=rate) for rate in (0.2, 0.5, 1.0)]
    means = [one.alignment["Z"].mean() for one in found]
    assert means[0] < means[1] < means[2]
    assert len({one.uniformity["Z"][0] for one in found}) == 1


def test_a_common_offset_turns_all_directions_alike_unless_it_is_removed():
    shifted = scaled(1.0, offset=100.0)
    plain, offset = measured(scaled(1.0), cv=2), measured(shifted, cv=2)
    assert offset.alignment["Z"].max() < 0.01 < plain.alignment["Z"].min()
    assert offset.uniformity["Z"].min() > -0.1 > plain.uniformity["Z"].max()
    centred, also = (
        measured(make_pipeline(first, StandardScaler(with_std=False)), cv=2)
        for first in (scaled(1.0), shifted)
    )
    np.testing.assert_allclose(centred.alignment["Z"], also.alignment["Z"], rtol=1e-6)


def test_donors_are_training_samples():
    X = np.concatenate([np.full((20, 4), 1.0), np.full((20, 4), -1.0)])
    cv = [(np.arange(20), np.arange(20, 40))]
    found = measured(FunctionTransformer(), X=X, cv=cv, corruption_rate=1.0)
    np.testing.assert_allclose(found.alignment["Z"], 4)  # to the other side


def test_all_estimators_meet_the_same_corruption():
    same = {"one": scaled(1.0), "other": scaled(2.0)}
    found = alignment_uniformity(same, Z, cv=2, random_state=0)
    np.testing.assert_allclose(found.alignment["one"], found.alignment["other"], rtol=1e-12)


def test_zeros_have_no_direction_and_are_counted():
    X = Z.copy()
    X[:3] = 0
    found = measured(X=X, y=Y, corruption_rate=0.5, n_repeats=2)
    split = seed_of(0, 0)
    for repeat in range(2):
        other = corrupted(X, X, 0.5, seed_of(split, repeat))
        both = X.any(axis=1) & other.any(axis=1)
        expected = np.sum((unit(X[both]) - unit(other[both])) ** 2, axis=1).mean()
        assert found.alignment["Z"][0, repeat] == pytest.approx(expected)
        assert found.n_zero["Z"][0, repeat] == N - both.sum() >= 3
    squared = squared_distances(unit(X[3:]), lambda i, j: True)
    assert found.uniformity["Z"][0] == pytest.approx(np.log(np.exp(-2 * squared).mean()))
    alike = squared_distances(unit(X[3:]), lambda i, j: Y[3:][i] == Y[3:][j])
    assert found.class_alignment["Z"][0] == pytest.approx(alike.mean())
    assert f"'Z': {found.n_zero['Z'].sum()} of 80 pairs" in repr(found)


def test_nothing_but_zeros():
    with pytest.warns(UserWarning, match=r"'Z': uniformity is NaN in 2 of 2 splits"):
        found = measured(FunctionTransformer(np.zeros_like), cv=2)
    assert np.isnan(found.alignment["Z"]).all()
    assert (found.n_zero["Z"] == 20).all()
    with pytest.raises(ValueError, match="'Z' has no split with both"):
        AlignmentUniformityDisplay(found)


def test_splits_that_test_one_group_each():
    with pytest.warns(UserWarning, match="all are of one group"):
        found = measured(FunctionTransformer(), groups=np.arange(N) // 10, cv=LeaveOneGroupOut())
    assert np.isnan(found.uniformity["Z"]).all()
    assert np.isfinite(found.alignment["Z"]).all()


# Arguments and results


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"corruption_rate": 0}, "corruption_rate must be a number above 0"),
        ({"corruption_rate": 0.1}, "0.1 of 6 genes is less than one gene"),
        ({"n_repeats": 0}, "n_repeats must be a positive integer, got 0"),
        ({"n_repeats": 1.5}, "n_repeats must be a positive integer, got 1.5"),
    ],
)
def test_unusable_arguments(params, message):
    with pytest.raises(ValueError, match=message):
        measured(**params)


def test_profiles_that_are_no_matrix():
    for X in (None, np.arange(20)):
        with pytest.raises(ValueError, match=r"(?i)expected 2D|array"):
            alignment_uniformity(PCA(2), X)


def test_the_samples_are_not_changed():
    X = Z.copy()
    measured(X=X)
    np.testing.assert_array_equal(X, Z)


def test_one_seed_one_result():
    again, other = (measured(scaled(1.0), cv=2, random_state=seed) for seed in (0, 1))
    first = measured(scaled(1.0), cv=2)
    np.testing.assert_array_equal(first.alignment["Z"], again.alignment["Z"])
    assert (first.alignment["Z"] != other.alignment["Z"]).any()


def test_a_row_per_estimator_split_and_repeat(found):
    assert isinstance(found, AlignmentUniformity)
    frame = found.to_frame()
    assert len(frame) == 3 * 3 * 2
    rows = frame[(frame["entry"] == "SCARF") & (frame["split"] == 1)]
    assert rows["repeat"].tolist() == [0, 1]
    np.testing.assert_array_equal(rows["alignment"], found.alignment["SCARF"][1])
    assert (rows["uniformity"] == found.uniformity["SCARF"][1]).all()
    assert (rows["class_alignment"] == found.class_alignment["SCARF"][1]).all()
    assert (rows["n_samples"] == found.n_samples[1]).all()


def test_the_table_has_means_and_ranges_over_splits(found):
    head, titles, pca, *_ = repr(found).split("\n")
    assert head == (
        "Alignment and uniformity (lower is better): 3 splits, 30 held-out samples each, 30 % of "
        "the genes corrupted"
    )
    assert titles.split() == ["alignment", "uniformity", "class", "alignment"]
    per_split = found.alignment["PCA"].mean(axis=1)
    low, mean, high = (f(per_split) for f in (np.min, np.mean, np.max))
    assert f" {mean:.3f} ({low:.3f} to {high:.3f}) " in pca


# The picture

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    yield
    plt.close("all")


def legend(display):
    display.figure_.canvas.draw()
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_a_marker_per_estimator_and_small_ones_for_splits(found):
    display = AlignmentUniformityDisplay.from_results(found)
    splits = np.column_stack([found.uniformity["SCARF"], found.alignment["SCARF"].mean(axis=1)])
    np.testing.assert_allclose(display.split_markers_[1].get_xydata(), splits)
    np.testing.assert_allclose(display.markers_[1].get_xydata(), [splits.mean(axis=0)])
    assert legend(display) == ["PCA", "SCARF", "genes"]
    assert display.ax_.get_legend().get_title().get_text() == "mean; small: splits"
    assert display.markers_[1].get_markersize() > display.split_markers_[1].get_markersize()


def test_the_axes_say_what_is_better(found):
    ax = AlignmentUniformityDisplay.from_results(found).ax_
    assert ax.get_xlabel() == "uniformity (lower is better)"
    assert ax.get_ylabel() == "alignment (lower is better)"


def test_one_split_is_one_marker():
    display = AlignmentUniformityDisplay.from_results(measured())
    assert display.split_markers_ == []
    assert display.ax_.get_legend().get_title().get_text() == ""


def test_several_draws_in_axes_that_are_there(found):
    _, ax = plt.subplots()
    one = AlignmentUniformityDisplay.from_results(found, entries="SCARF", ax=ax)
    two = AlignmentUniformityDisplay.from_results(found, entries=["PCA"], ax=ax)
    assert one.ax_ is two.ax_ is ax
    assert legend(two) == ["SCARF", "PCA"]
    assert one.markers_[0].get_color() != two.markers_[0].get_color()
    assert one.markers_[0].get_marker() != two.markers_[0].get_marker()
    assert len(plt.get_fignums()) == 1


def test_from_estimator_is_from_results_of_the_function():
    display = AlignmentUniformityDisplay.from_estimator(PCA(3), Z, cv=2, random_state=0)
    expected = alignment_uniformity(PCA(3), Z, cv=2, random_state=0)
    np.testing.assert_array_equal(display.results.alignment["PCA"], expected.alignment["PCA"])


def test_drawn_again_in_a_new_figure(found):
    display = AlignmentUniformityDisplay.from_results(found)
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first
    assert len(display.ax_.get_legend().get_texts()) == len(first.axes[0].get_legend().get_texts())


def test_without_matplotlib_the_extra_is_named(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for draw in (
        lambda: AlignmentUniformityDisplay.from_results(found),
        lambda: AlignmentUniformityDisplay.from_estimator(
            PCA(3), None
        ),  # before anything is fitted
    ):
        with pytest.raises(
            ImportError, match=r"AlignmentUniformityDisplay .* pip install 'sslgex\[plot\]'"
        ):
            draw()


def test_what_cannot_be_drawn(found):
    with pytest.raises(TypeError, match="must be what alignment_uniformity returned, got 3"):
        AlignmentUniformityDisplay.from_results(3)
    with pytest.raises(ValueError, match=r"entries has \['ICA'\]"):
        AlignmentUniformityDisplay.from_results(found, entries="ICA")
    with pytest.raises(ValueError, match=r"entries has \['ICA'\]"):  # before anything is fitted
        AlignmentUniformityDisplay.from_estimator(PCA(3), None, entries="ICA")
