"""Spectra of embeddings: known ones are found, and drawn as they are."""

import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sslgex import SSLClassifier, VimeTransformer
from sslgex.datasets import make_expression
from sslgex.evaluation._spectrum import EmbeddingSpectrum, embedding_spectrum
from sslgex.plotting._spectrum import SpectrumDisplay

WHITE = np.random.default_rng(0).normal(size=(2000, 8))
MIXING = np.random.default_rng(1).normal(size=(5, 8))


def measured(Z, **params):
    """Return the spectrum of these embeddings, all of them as one split."""
    same = StandardScaler(with_mean=False, with_std=False).fit(Z)
    return embedding_spectrum({"Z": same}, Z, random_state=0, **params)


@pytest.fixture(scope="module")
def found():
    """Two fitted per split, one of them of low rank."""
    X, y = make_expression(n_samples=90, n_genes=30, return_X_y=True, random_state=0)
    low = SSLClassifier(VimeTransformer((8,), max_epochs=2), mode="frozen", head="linear")
    flat = FunctionTransformer(np.dot, kw_args={"b": np.ones((30, 4))})
    entries = {"PCA": PCA(5), "VIME": low, "flat": flat}
    return embedding_spectrum(entries, X, y, cv=3, random_state=0)


# Known spectra


def test_singular_values_are_those_of_the_covariance():
    Z = WHITE[:50] * np.arange(1, 9) + 3
    spectrum = measured(Z)
    expected = np.linalg.svd(np.cov(Z, rowvar=False), compute_uv=False)
    np.testing.assert_allclose(spectrum.singular_values["Z"][0], expected, rtol=1e-10)
    assert spectrum.n_samples.tolist() == [50]


def test_both_ranks_by_hand():
    Z = WHITE[:50] * np.arange(1, 9) + 3
    spectrum = measured(Z)
    for values, eps, rank in (
        (np.linalg.svd(Z - Z.mean(axis=0))[1], 0.0, spectrum.effective_rank["Z"]),
        (np.linalg.svd(Z)[1], 1e-7, spectrum.rankme["Z"]),
    ):
        p = values / values.sum() + eps
        np.testing.assert_allclose(rank, np.exp(-(p * np.log(p)).sum()), rtol=1e-10)


def test_constant_dimensions_have_collapsed():
    Z = WHITE[:100].copy()
    Z[:, [1, 4, 6]] = [0.0, 0.1, -7e3]
    spectrum = measured(Z)
    assert spectrum.n_collapsed["Z"].tolist() == [3]
    assert spectrum.n_measurable["Z"].tolist() == [8]
    assert (spectrum.singular_values["Z"][0][5:] < 1e-20).all()
    # Also where nothing counts as next to nothing.
    constant = Z.copy()
    constant[:, [0, 2, 3, 5, 7]] = 0
    assert measured(constant, tol=0.0).n_collapsed["Z"].tolist() == [8]


def test_a_dimension_that_follows_from_others_has_collapsed_even_in_float32():
    Z = (WHITE[:100, :5] @ MIXING + 10).astype(np.float32)
    assert measured(Z).n_collapsed["Z"].tolist() == [3]


def test_tol_is_a_share_of_the_largest_variance():
    Z = np.linalg.qr(WHITE - WHITE.mean(axis=0))[0] * [1, 1, 1, 1, 1, 1, 1e-2, 1e-4]
    assert [measured(Z, tol=tol).n_collapsed["Z"][0] for tol in (1e-3, 1e-5, 1e-9)] == [2, 1, 0]


def test_isotropic_noise_has_nearly_all_dimensions():
    spectrum = measured(WHITE)
    assert 7.9 < spectrum.effective_rank["Z"][0] <= 8
    assert 7.9 < spectrum.rankme["Z"][0] <= 8
    assert spectrum.n_collapsed["Z"][0] == 0


def test_rank_one_has_one_dimension():
    spectrum = measured(np.outer(WHITE[:, 0], np.arange(1, 9)))
    assert spectrum.effective_rank["Z"][0] == pytest.approx(1)
    assert spectrum.rankme["Z"][0] == pytest.approx(1, abs=1e-3)
    assert spectrum.n_collapsed["Z"][0] == 7


def test_what_all_embeddings_share_is_in_rankme_alone():
    shifted, plain = measured(WHITE + 1000), measured(WHITE)
    np.testing.assert_allclose(shifted.effective_rank["Z"], plain.effective_rank["Z"], rtol=1e-6)
    assert shifted.rankme["Z"][0] < 1.1


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_an_embedding_that_is_one_point_has_no_dimension(value):
    spectrum = measured(np.full((20, 4), value))
    assert spectrum.n_collapsed["Z"].tolist() == [4]
    assert spectrum.effective_rank["Z"].tolist() == [0]
    assert spectrum.rankme["Z"][0] == pytest.approx(1, abs=1e-4)


def test_rounding_around_one_point_is_no_spread():
    Z = (100 + 1e-6 * WHITE[:50]).astype(np.float32)
    assert measured(Z).n_collapsed["Z"].tolist() == [8]


def test_what_few_samples_cannot_show_has_not_collapsed():
    spectrum = measured(WHITE[:5])
    assert spectrum.n_dimensions["Z"].tolist() == [8]
    assert spectrum.n_measurable["Z"].tolist() == [4]
    assert len(spectrum.singular_values["Z"][0]) == 4
    assert spectrum.n_collapsed["Z"].tolist() == [0]
    assert "0 of 4" in repr(spectrum)
    assert "'Z' has more dimensions than its held-out samples can show" in repr(spectrum)
    assert "can show" not in repr(measured(WHITE))


# Results


def test_all_splits_of_all_estimators(found):
    assert isinstance(found, EmbeddingSpectrum)
    assert found.entries == ["PCA", "VIME", "flat"]
    assert found.n_samples.tolist() == [30, 30, 30]
    assert found.n_collapsed["flat"].tolist() == [3, 3, 3]
    assert found.n_dimensions["PCA"].tolist() == [5, 5, 5]
    for name in found.entries:
        assert [len(v) for v in found.singular_values[name]] == found.n_measurable[name].tolist()


def test_a_row_per_estimator_and_split(found):
    frame = found.to_frame()
    assert frame["entry"].tolist() == ["PCA"] * 3 + ["VIME"] * 3 + ["flat"] * 3
    assert frame["split"].tolist() == [0, 1, 2] * 3
    for column in ("n_dimensions", "n_measurable", "n_collapsed", "effective_rank", "rankme"):
        values = [*getattr(found, column).values()]
        np.testing.assert_array_equal(frame[column], np.concatenate(values))


def test_the_table_has_means_and_ranges(found):
    head, titles, pca, *_ = repr(found).split("\n")
    assert head == "Embedding spectrum: 3 splits, 30 held-out samples each"
    assert titles.split() == ["dimensions", "collapsed", "effective", "rank", "RankMe"]
    low, mean, high = (f(found.effective_rank["PCA"]) for f in (np.min, np.mean, np.max))
    assert pca.split("  ")[0] == "PCA"
    assert "0 of 5" in pca
    assert f" {mean:.1f} ({low:.1f} to {high:.1f}) " in pca


@pytest.mark.parametrize("tol", [-1, 1, np.nan, True, "0"])
def test_a_tol_that_is_none(tol):
    with pytest.raises(ValueError, match="tol must be a number from 0 to below 1"):
        measured(WHITE, tol=tol)


def test_one_sample_shows_no_spread():
    one_out = [(np.arange(1, 9), [0])]
    with pytest.raises(ValueError, match="One test sample of a split shows no spread"):
        embedding_spectrum(PCA(2), WHITE[:9], cv=one_out)


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


def test_lines_are_geometric_means_of_the_splits(found):
    display = SpectrumDisplay.from_results(found)
    line = display.lines_[0]
    shares = np.array([values / values[0] for values in found.singular_values["PCA"]])
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 6))
    np.testing.assert_allclose(line.get_ydata(), np.exp(np.log(shares).mean(axis=0)))
    for thin, share in zip(display.split_lines_[:3], shares, strict=True):
        np.testing.assert_array_equal(thin.get_ydata(), share)
    assert len(display.split_lines_) == 9
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_xlabel() == "rank of the singular value"
    assert display.ax_.get_ylabel() == "singular value / largest"


def test_absolute_values(found):
    display = SpectrumDisplay.from_results(found, relative=False, entries="PCA")
    expected = np.exp(np.mean(np.log(found.singular_values["PCA"]), axis=0))
    np.testing.assert_allclose(display.lines_[0].get_ydata(), expected)
    assert display.tol_line_ is None
    assert display.ax_.get_ylabel() == "singular value"


def test_collapsed_values_are_drawn_at_a_hundredth_of_tol(found):
    display = SpectrumDisplay.from_results(found, entries="flat")
    np.testing.assert_allclose(display.lines_[0].get_ydata(), [1, 1e-8, 1e-8, 1e-8])
    assert display.tol_line_.get_ydata()[0] == found.tol
    assert display.tol_line_.get_linestyle() == "--"
    assert legend(display)[-1] == "collapsed: below 1e-06\n(drawn at 1e-08 or above)"
    none = SpectrumDisplay.from_results(found, entries="PCA")
    assert legend(none)[-1] == "collapsed: below 1e-06"


def test_the_legend_has_effective_ranks_and_how_much_is_shown(found):
    rank = found.effective_rank["PCA"].mean()
    assert legend(SpectrumDisplay.from_results(found))[0] == f"PCA: effective rank {rank:.1f}"
    few = legend(SpectrumDisplay.from_results(measured(WHITE[:5])))[0]
    assert few.endswith("(shown: 4 of 8 dimensions)")


def test_splits_of_different_sizes_share_a_mean_of_the_ranks_they_all_have():
    Z = WHITE[:20]
    cv = [(np.arange(4, 20), np.arange(4)), (np.arange(4), np.arange(4, 20))]
    same = FunctionTransformer()
    display = SpectrumDisplay.from_estimator({"Z": same}, Z, cv=cv, random_state=0)
    assert [len(line.get_xdata()) for line in display.split_lines_] == [3, 8]
    assert len(display.lines_[0].get_xdata()) == 3


def test_one_split_has_no_thin_lines():
    display = SpectrumDisplay.from_results(measured(WHITE))
    assert display.split_lines_ == []
    assert len(display.lines_) == 1


def test_several_draws_in_axes_that_are_there(found):
    _, ax = plt.subplots()
    one = SpectrumDisplay.from_results(found, entries=["PCA"], ax=ax)
    two = SpectrumDisplay.from_results(found, entries=["flat"], ax=ax)
    assert one.ax_ is two.ax_ is ax
    assert [text.split(":")[0] for text in legend(two)] == ["PCA", "flat", "collapsed"]
    assert one.lines_[0].get_color() != two.lines_[0].get_color()
    assert len(plt.get_fignums()) == 1


def test_from_estimator_is_from_results_of_the_function():
    display = SpectrumDisplay.from_estimator(PCA(3), WHITE[:60], cv=2, random_state=0)
    expected = embedding_spectrum(PCA(3), WHITE[:60], cv=2, random_state=0)
    np.testing.assert_array_equal(
        display.results.singular_values["PCA"], expected.singular_values["PCA"]
    )


def test_drawn_again_in_a_new_figure(found):
    display = SpectrumDisplay.from_results(found)
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first
    assert len(display.ax_.get_legend().get_texts()) == len(first.axes[0].get_legend().get_texts())


def test_without_matplotlib_the_extra_is_named(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for draw in (
        lambda: SpectrumDisplay.from_results(found),
        lambda: SpectrumDisplay.from_estimator(PCA(3), None),  # before anything is fitted
    ):
        with pytest.raises(ImportError, match=r"SpectrumDisplay .* pip install 'sslgex\[plot\]'"):
            draw()


def test_what_cannot_be_drawn(found):
    with pytest.raises(TypeError, match="must be what embedding_spectrum returned, got 3"):
        SpectrumDisplay.from_results(3)
    with pytest.raises(ValueError, match=r"entries has \['ICA'\]"):
        SpectrumDisplay.from_results(found, entries="ICA")
    with pytest.raises(ValueError, match=r"entries has \['ICA'\]"):  # before anything is fitted
        SpectrumDisplay.from_estimator(PCA(3), None, entries="ICA")
