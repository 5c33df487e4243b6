"""The preprocessing steps: what each computes, what it refuses, and that rows stay apart."""

import anndata
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm, rankdata
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sslgex.datasets import make_expression
from sslgex.preprocessing import (
    GeneAligner,
    GeneFilter,
    LogCounts,
    QuantileNormalizer,
    RankNormalizer,
)

N_GENES = 60
GENES = [f"GENE{j}" for j in range(N_GENES)]
STEPS = {
    "align": GeneAligner(),
    "filter": GeneFilter(n_top_genes=20),
    "log": LogCounts(target_sum="median"),
    "quantile": QuantileNormalizer(),
    "rank": RankNormalizer(),
    "normal": RankNormalizer(output="normal"),
}
every_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


@pytest.fixture(scope="module")
def counts():
    # More rows than pass through a step at once.
    X = make_expression(n_samples=150, n_genes=N_GENES, random_state=0).data
    values = np.rint(2.0**X).astype(np.float32)
    return np.where(values < np.median(values) / 2, 0, values)


def to_anndata(values, names=GENES, **kwargs):
    obs = pd.DataFrame(index=[f"sample {i}" for i in range(values.shape[0])])
    return anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=names), **kwargs)


def dense(Z):
    return Z.toarray() if sp.issparse(Z) else np.asarray(Z)


# What holds for all of them


@every_step
def test_a_sample_has_the_same_bits_alone_and_in_the_batch(step, counts):
    step = clone(step).fit(counts)
    Z = step.transform(counts)
    for i in [0, 17, 128, 149]:
        np.testing.assert_array_equal(step.transform(counts[i : i + 1])[0], Z[i])


@every_step
def test_permuting_samples_permutes_the_result(step, counts):
    step = clone(step).fit(counts)
    order = np.random.default_rng(0).permutation(len(counts))
    np.testing.assert_array_equal(step.transform(counts[order]), step.transform(counts)[order])


@every_step
@pytest.mark.parametrize(
    "layout",
    [np.asfortranarray, sp.csr_matrix, sp.csr_array, sp.csc_matrix, pd.DataFrame, to_anndata],
)
def test_the_layout_of_X_changes_no_bit(step, layout, counts):
    expected = clone(step).fit_transform(counts)
    np.testing.assert_array_equal(dense(clone(step).fit_transform(layout(counts))), expected)


@every_step
def test_repeated_entries_of_a_sparse_matrix_count_together(step, counts):
    halves = sp.csr_matrix(counts / 2)
    indices = np.repeat(halves.indices, 2)
    twice = sp.csr_matrix((np.repeat(halves.data, 2), indices, 2 * halves.indptr), counts.shape)
    expected = clone(step).fit_transform(counts)
    np.testing.assert_array_equal(dense(clone(step).fit_transform(twice)), expected)


@every_step
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8])
def test_float64_comes_out_of_float64_and_float32_of_any_other(step, dtype, counts):
    X = np.minimum(counts, 200).astype(dtype)
    expected = np.float64 if dtype == np.float64 else np.float32
    assert clone(step).fit_transform(X).dtype == expected


@every_step
@pytest.mark.parametrize("layout", [np.asarray, sp.csr_matrix])
def test_X_is_never_written_to(step, layout, counts):
    X = layout(counts.astype(np.float64))
    before = X.copy()
    clone(step).fit(X).transform(X)
    np.testing.assert_array_equal(dense(X), dense(before))


@every_step
def test_transform_learns_nothing(step, counts):
    step = clone(step).fit(counts[:100])
    before = step.transform(counts[:5])
    step.transform(counts[100:])
    np.testing.assert_array_equal(step.transform(counts[:5]), before)


@every_step
def test_a_failed_fit_leaves_the_step_as_it_was(step, counts):
    step = clone(step).fit(counts)
    before = step.transform(counts)
    with pytest.raises(ValueError, match="NaN"):
        step.fit(np.full_like(counts, np.nan))
    np.testing.assert_array_equal(step.transform(counts), before)


@every_step
def test_names_of_samples_and_genes_come_out_of_anndata(step, counts):
    step = clone(step).set_output(transform="pandas")
    adata = to_anndata(sp.csr_matrix(counts))
    Z = step.fit_transform(adata)
    assert list(Z.index) == list(adata.obs_names)
    assert list(Z.columns) == list(step.get_feature_names_out())


@every_step
def test_a_layer_of_anndata_is_read(step, counts):
    adata = to_anndata(np.full_like(counts, np.nan), layers={"counts": counts})
    Z = clone(step).set_params(layer="counts").fit_transform(adata)
    np.testing.assert_array_equal(Z, clone(step).fit_transform(counts))


@pytest.mark.parametrize("layout", [sp.csr_matrix, lambda X: to_anndata(sp.csr_matrix(X))])
@every_step
def test_a_sparse_matrix_comes_out_as_a_polars_frame(step, layout, counts):
    # polars cannot hold the sparse result, and scikit-learn's code failed on it.
    step = clone(step).set_output(transform="polars")
    Z = step.fit_transform(layout(counts))
    assert isinstance(Z, pl.DataFrame)
    np.testing.assert_array_equal(Z.to_numpy(), clone(step).fit_transform(counts).to_numpy())


@pytest.mark.parametrize("name", ["align", "filter", "log"])
def test_sparse_stays_sparse(name, counts):
    Z = clone(STEPS[name]).fit_transform(sp.csr_matrix(counts))
    assert sp.issparse(Z)


@every_step
def test_genes_of_another_matrix_are_refused_or_aligned(step, counts):
    X = pd.DataFrame(counts, columns=GENES)
    step = clone(step).fit(X)
    other = X[GENES[::-1]]
    if isinstance(step, GeneAligner):
        np.testing.assert_array_equal(step.transform(other), step.transform(X))
    else:
        with pytest.raises(ValueError, match="genes are the same in another order"):
            step.transform(other)


# LogCounts


def test_logs_of_counts_per_million():
    Z = LogCounts().fit_transform(np.array([[1, 3], [2, 2]]))
    expected = np.log2(1 + 1e6 * np.array([[0.25, 0.75], [0.5, 0.5]]))
    np.testing.assert_allclose(Z, expected, rtol=1e-6)


def test_base_none_is_the_natural_logarithm():
    Z = LogCounts(target_sum=1, base=None).fit_transform(np.array([[1, 3], [2, 2]]))
    np.testing.assert_allclose(Z, np.log1p([[0.25, 0.75], [0.5, 0.5]]), rtol=1e-6)


def test_the_median_total_is_that_of_the_training_samples():
    step = LogCounts(target_sum="median").fit(np.array([[1, 1], [2, 2], [50, 50]]))
    step.transform(np.array([[1000, 1000]]))
    assert step.target_sum_ == 4


@settings(deadline=None, max_examples=25)
@given(arrays(np.int64, (3, 5), elements=st.integers(0, 10**6)), st.integers(1, 1000))
def test_depth_has_no_effect_on_logs(X, factor):
    X[:, 0] += 1
    step = LogCounts().fit(X)
    np.testing.assert_allclose(step.transform(X * factor), step.transform(X), rtol=1e-6)


@settings(deadline=None, max_examples=25)
@given(arrays(np.int64, (3, 5), elements=st.integers(0, 10**6)))
def test_undone_logs_sum_to_the_target(X):
    X[:, 0] += 1
    Z = LogCounts(target_sum=1e4).fit_transform(X.astype(np.float64))
    np.testing.assert_allclose((2**Z - 1).sum(axis=1), 1e4)


@pytest.mark.parametrize("layout", [np.asarray, sp.csr_matrix])
def test_the_first_negative_count_is_named(layout):
    X = np.ones((200, 3))
    X[150, 2] = -4
    with pytest.raises(ValueError, match="1 of them, the first -4 in row 150, gene 2"):
        LogCounts().fit(layout(X))


def test_entries_of_one_place_are_counts_together():
    X = sp.csr_matrix(([3.0, -1.0, 1.0], [0, 0, 1], [0, 2, 3]), (2, 2))
    Z = LogCounts(target_sum=1).fit_transform(X)
    np.testing.assert_array_equal(Z.toarray(), np.eye(2))


def test_a_negative_count_is_named_by_its_gene():
    X = pd.DataFrame([[1.0, -2.0], [1.0, 1.0]], columns=["TP53", "ESR1"])
    with pytest.raises(ValueError, match=r"row 0, gene 'ESR1' \(column 1\)"):
        LogCounts().fit(X)


def test_a_sample_without_counts_is_named():
    X = np.ones((200, 3))
    step = LogCounts().fit(X)
    X[150] = 0
    with pytest.raises(ValueError, match=r"Sample 150 .* has no counts"):
        step.transform(X)


def test_logs_are_refused_as_counts(counts):
    with pytest.raises(ValueError, match=r"does not look like counts: .* check_counts=False"):
        LogCounts().fit(np.log2(1 + counts))


def test_a_shallow_sample_passes_alone_as_it_does_in_company():
    # The check for logs was made in transform too, and of a single sample it means nothing.
    X = np.array([[100.5, 2.5], [20.5, 2.5]])
    step = LogCounts().fit(X)
    np.testing.assert_array_equal(step.transform(X[1:])[0], step.transform(X)[1])


def test_small_fractions_pass_if_the_user_says_they_are_counts():
    Z = LogCounts(check_counts=False, target_sum=1).fit_transform([[0.5, 1.5], [1.0, 1.0]])
    np.testing.assert_allclose(Z, np.log2([[1.25, 1.75], [1.5, 1.5]]))


def test_large_fractions_are_expected_counts():
    LogCounts().fit([[0.5, 1000.25], [3.75, 20.0]])


# QuantileNormalizer


def naive_quantiles(X, reference):
    """Look up every value's rank one by one; equal values take the mean."""
    Z = np.empty(X.shape)
    for i, row in enumerate(X):
        for j, value in enumerate(row):
            below, equal = (row < value).sum(), (row == value).sum()
            Z[i, j] = reference[below : below + equal].mean()
    return Z


def test_quantiles_are_those_of_a_naive_implementation(counts):
    step = QuantileNormalizer().fit(counts[:20])
    reference = np.mean([sorted(row) for row in counts[:20].astype(np.float64)], axis=0)
    expected = naive_quantiles(counts[20:40], reference)
    np.testing.assert_allclose(step.transform(counts[20:40].astype(np.float64)), expected)


def test_training_samples_come_out_as_from_qnorm():
    X = np.array([[5, 2, 3, 4], [4, 1, 4, 2], [3, 4, 6, 8], [3, 3, 3, 0]], dtype=np.float64)
    # qnorm 1.0.0: quantile_normalize(X, axis=0)
    expected = [
        [5.0, 1.5, 3.0, 4.25],
        [4.625, 1.5, 4.625, 3.0],
        [1.5, 3.0, 4.25, 5.0],
        [4.08333333, 4.08333333, 4.08333333, 1.5],
    ]
    np.testing.assert_allclose(QuantileNormalizer().fit_transform(X), expected)


@settings(deadline=None, max_examples=25)
@given(arrays(np.int64, (4, 6), elements=st.integers(0, 100), unique=True))
def test_samples_without_ties_get_the_reference(X):
    step = QuantileNormalizer().fit(X.astype(np.float64))
    Z = np.sort(step.transform(X.astype(np.float64)), axis=1)
    np.testing.assert_array_equal(Z, np.tile(step.reference_, (4, 1)))


# RankNormalizer


@settings(deadline=None, max_examples=25)
@given(arrays(np.int64, (3, 7), elements=st.integers(0, 20)))
def test_what_keeps_the_order_keeps_the_ranks(X):
    step = RankNormalizer().fit(X)
    np.testing.assert_array_equal(step.transform(np.exp(X / 4)), step.transform(X / 4))


def test_normal_scores_are_quantiles_of_the_uniform_ranks(counts):
    X = counts.astype(np.float64)
    expected = norm.ppf(RankNormalizer().fit_transform(X))
    np.testing.assert_allclose(RankNormalizer(output="normal").fit_transform(X), expected)


def test_ranks_are_those_of_scipy(counts):
    expected = rankdata(counts, axis=1) / (N_GENES + 1)
    Z = RankNormalizer().fit_transform(counts.astype(np.float64))
    np.testing.assert_array_equal(Z, expected)


def test_ranks_lie_inside_0_and_1():
    Z = RankNormalizer().fit_transform([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])
    np.testing.assert_array_equal(Z, [[0.25, 0.5, 0.75], [0.5, 0.5, 0.5]])


# GeneFilter

EXPRESSED = np.array([[0, 1, 3, 9], [0, 0, 4, 9], [0, 0, 5, 9], [0, 0, 0, 9]], dtype=float)


@pytest.mark.parametrize(
    ("min_samples", "kept"),
    [(0, [0, 1, 2, 3]), (1, [1, 2, 3]), (2, [2, 3]), (0.75, [2, 3]), (0.76, [3]), (1.0, [3])],
)
def test_genes_expressed_in_enough_samples_are_kept(min_samples, kept):
    step = GeneFilter(min_samples=min_samples).fit(EXPRESSED)
    assert list(step.get_support(indices=True)) == kept


def test_a_share_of_samples_is_not_rounded_up_by_its_last_bit():
    # 0.07 * 100 is 7.000000000000001.
    X = (np.arange(100) < 7)[:, None].astype(float)
    assert GeneFilter(min_samples=0.07).fit(X).get_support().all()


def test_expressed_means_above_min_value():
    assert list(GeneFilter(min_value=4).fit(EXPRESSED).get_support(indices=True)) == [2, 3]


def test_the_most_variable_of_the_expressed_genes_are_kept():
    assert list(GeneFilter(n_top_genes=2).fit(EXPRESSED).get_support(indices=True)) == [1, 2]


def test_of_equally_variable_genes_the_first_are_kept():
    X = np.array([[1.0], [2.0]]) + np.zeros(100)
    X[:, ::2] *= 3
    assert list(GeneFilter(n_top_genes=20).fit(X).get_support(indices=True)) == [*range(0, 40, 2)]


def test_variances_are_those_of_numpy(counts):
    step = GeneFilter().fit(counts)
    np.testing.assert_allclose(step.variances_, counts.astype(np.float64).var(axis=0))


def test_no_gene_left_says_how_near_the_best_came():
    with pytest.raises(ValueError, match=r"none of 4 is above .* in 4 of 4 .* best is in 3"):
        GeneFilter(min_samples=4).fit(EXPRESSED[:, [0, 1, 2, 2]])


def test_names_of_the_kept_genes():
    step = GeneFilter(min_samples=2).fit(pd.DataFrame(EXPRESSED, columns=list("abcd")))
    assert list(step.get_feature_names_out()) == ["c", "d"]


def test_inverse_transform_puts_zeros_where_genes_were_left_out():
    step = GeneFilter(min_samples=2).fit(EXPRESSED)
    expected = EXPRESSED * [0, 0, 1, 1]
    np.testing.assert_array_equal(step.inverse_transform(step.transform(EXPRESSED)), expected)


# With rnanorm


@pytest.mark.parametrize("name", ["CPM", "TMM"])
def test_steps_of_rnanorm_come_before_ours(name, counts):
    rnanorm = pytest.importorskip("rnanorm")
    X = pd.DataFrame(counts.astype(np.float64) + 1, columns=GENES)
    pipeline = make_pipeline(getattr(rnanorm, name)(), GeneFilter(n_top_genes=10))
    Z = pipeline.set_output(transform="pandas").fit_transform(X)
    assert set(Z.columns) <= set(GENES)
    assert Z.shape == (150, 10)


def test_our_counts_per_million_are_those_of_rnanorm(counts):
    rnanorm = pytest.importorskip("rnanorm")
    X = counts.astype(np.float64)
    np.testing.assert_allclose(
        LogCounts().fit_transform(X), np.log2(1 + rnanorm.CPM().fit_transform(X))
    )


@every_step
def test_a_step_that_is_not_fitted_says_so(step, counts):
    with pytest.raises(NotFittedError):
        clone(step).transform(counts)


@pytest.mark.parametrize("step", [LogCounts(), RankNormalizer()], ids=lambda s: type(s).__name__)
def test_a_step_that_learns_nothing_takes_one_sample(step):
    one = np.array([[3.0, 0.0, 5.0]])
    np.testing.assert_array_equal(
        step.fit_transform(one), step.fit(one.repeat(2, 0)).transform(one)
    )
