"""ComBat with a stored reference."""

import pickle
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.utils.estimator_checks as checks
from hypothesis import given, settings
from hypothesis import strategies as st
from old_versions import routes_to_score
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sslgex.preprocessing import BatchCorrector, _combat

INMOOSE = np.load(Path(__file__).parent / "data" / "combat_inmoose.npz", allow_pickle=False)
CASES = {
    "default": {},
    "mean_only": {"mean_only": True},
    "ref_batch": {"ref_batch": "B"},
    "ref_batch_mean_only": {"ref_batch": "B", "mean_only": True},
}
every_case = pytest.mark.parametrize("case", CASES)

RNG = np.random.default_rng(0)
N, GENES = 40, 12
BATCH = RNG.permutation(np.repeat(["A", "B", "C"], [8, 12, 20]))
Y = np.tile([0, 1], N // 2)
X = RNG.normal(8, np.linspace(0.5, 2, GENES), size=(N, GENES))
X[BATCH == "B"] += RNG.normal(1, 1, GENES)
X[BATCH == "C"] *= RNG.uniform(0.7, 1.4, GENES)
NEW = 2 + 3 * RNG.normal(8, 1, size=(10, GENES))
NAMES = [f"gene{j}" for j in range(GENES)]
FITTED = BatchCorrector().fit(X, batch=BATCH)


def estimates(corrector):
    names = ("batches_", "counts_", "mean_", "scale_", "shift_", "spread_")
    return b"".join(getattr(corrector, name).tobytes() for name in names)


def adata(dtype=np.float64, **obs):
    return ad.AnnData(
        X.astype(dtype),
        obs=pd.DataFrame({"source": BATCH, **obs}, index=[f"s{i}" for i in range(N)]),
        var=pd.DataFrame(index=NAMES),
        layers={"log": X + 1},
    )


def raises(match, error=ValueError):
    return pytest.raises(error, match=match)


# The numbers


@every_case
def test_training_samples_are_corrected_as_by_inmoose(case):
    corrector = BatchCorrector(**CASES[case])
    Z = corrector.fit_transform(INMOOSE["X"], batch=INMOOSE["batch"])
    np.testing.assert_allclose(Z, INMOOSE[case], rtol=1e-9)


@every_case
def test_inmoose_itself_corrects_training_samples_so(case):
    pycombat_norm = pytest.importorskip("inmoose.pycombat").pycombat_norm
    Z = BatchCorrector(**CASES[case]).fit_transform(X, batch=BATCH)
    np.testing.assert_allclose(Z, np.asarray(pycombat_norm(X.T, BATCH, **CASES[case])).T, rtol=1e-9)


def test_a_constant_gene_stays_as_it_is_to_the_bit():
    constant = np.c_[X, np.full(N, 0.1)]
    Z = BatchCorrector().fit_transform(constant, batch=BATCH)
    assert np.array_equal(Z[:, -1], constant[:, -1])


@every_case
def test_a_constant_gene_changes_nothing_for_the_others(case):
    constant = np.c_[INMOOSE["X"], np.full(len(INMOOSE["X"]), 0.1)]
    Z = BatchCorrector(**CASES[case]).fit_transform(constant, batch=INMOOSE["batch"])
    np.testing.assert_allclose(Z[:, :-1], INMOOSE[case], rtol=1e-9)


def test_a_gene_constant_within_all_batches_becomes_constant():
    levels = np.c_[X, np.where(BATCH == "A", 3.0, 0.1)]
    Z = BatchCorrector().fit_transform(levels, batch=BATCH)
    np.testing.assert_allclose(Z[:, -1], levels[:, -1].mean(), rtol=1e-12)


def test_a_gene_constant_in_the_reference_alone_is_centred():
    levels = X.copy()
    levels[BATCH == "B", 0] = 5
    Z = BatchCorrector(ref_batch="B").fit_transform(levels, batch=BATCH)
    np.testing.assert_allclose(Z[BATCH == "C", 0].mean(), 5, rtol=1e-12)


def test_one_gene_alone_has_its_batch_effect_removed_whole():
    Z = BatchCorrector().fit_transform(X[:, :1], batch=BATCH)
    np.testing.assert_allclose(
        [Z[name == BATCH].mean() for name in "ABC"], X[:, 0].mean(), rtol=1e-9
    )


def test_data_centred_by_batch_before_keep_their_means():
    centred = X.copy()
    for name in "ABC":
        centred[name == BATCH] -= centred[name == BATCH].mean(axis=0)
    Z = BatchCorrector().fit_transform(centred, batch=BATCH)
    np.testing.assert_allclose(Z[BATCH == "A"].mean(axis=0), 0, atol=1e-12)


def test_mean_only_leaves_the_spread():
    Z = BatchCorrector(mean_only=True).fit_transform(X, batch=BATCH)
    np.testing.assert_allclose(Z[BATCH == "C"].std(axis=0), X[BATCH == "C"].std(axis=0))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_reference_batch_stays_as_it_is_to_the_bit(dtype):
    Z = BatchCorrector(ref_batch="B").fit_transform(X.astype(dtype), batch=BATCH)
    assert np.array_equal(Z[BATCH == "B"], X.astype(dtype)[BATCH == "B"])


def test_an_iteration_that_does_not_end_warns(monkeypatch):
    monkeypatch.setattr(_combat, "MAX_ITER", 1)
    with pytest.warns(UserWarning, match="still moved after 1 steps"):
        BatchCorrector().fit(X, batch=BATCH)


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_permuting_the_samples_of_fit_changes_no_estimate(random):
    order = np.array(random.sample(range(N), N))
    other = BatchCorrector().fit(X[order], batch=BATCH[order])
    np.testing.assert_allclose(other.shift_, FITTED.shift_, rtol=1e-6, atol=1e-9)


# Without batches


def test_without_batches_samples_pass_unchanged_to_the_bit():
    assert np.array_equal(BatchCorrector().fit_transform(X), X)


def test_one_batch_passes_unchanged_to_the_bit():
    assert np.array_equal(BatchCorrector().fit_transform(X, batch=["A"] * N), X)


def test_samples_without_a_batch_belong_to_the_only_one():
    corrector = BatchCorrector().fit(X, batch=["A"] * N)
    assert np.array_equal(corrector.transform(NEW), NEW)


def test_transform_asks_for_the_batch_after_a_fit_with_several():
    with raises("Of which batch are these samples.*fit had 3: 'A', 'B', 'C'"):
        FITTED.transform(X)


def test_batches_in_transform_alone_are_refused():
    with raises("not to fit.*set_fit_request"):
        BatchCorrector().fit(X).transform(X, batch=BATCH)


# Known batches


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_sample_alone_has_the_bits_it_has_in_the_batch(dtype):
    values = X.astype(dtype)
    alone = [FITTED.transform(values[i : i + 1], batch=BATCH[i : i + 1])[0] for i in range(N)]
    assert np.array_equal(alone, FITTED.transform(values, batch=BATCH))


def test_samples_of_a_new_batch_change_nothing_for_those_of_known_ones():
    with_new = FITTED.transform(np.r_[NEW, X], batch=["new"] * 10 + BATCH.tolist())
    assert np.array_equal(with_new[10:], FITTED.transform(X, batch=BATCH))


def test_the_order_in_memory_changes_no_bit():
    fortran = BatchCorrector().fit_transform(np.asfortranarray(X), batch=BATCH)
    assert np.array_equal(fortran, FITTED.transform(X, batch=BATCH))


def test_fit_transform_is_fit_then_transform():
    assert np.array_equal(
        BatchCorrector().fit_transform(X, batch=BATCH), FITTED.transform(X, batch=BATCH)
    )


# New batches


def test_a_new_batch_is_moved_to_the_mean_of_the_reference():
    Z = FITTED.transform(NEW, batch=["new"] * 10)
    assert (
        abs(Z.mean(axis=0) - FITTED.mean_).mean() < abs(NEW.mean(axis=0) - FITTED.mean_).mean() / 9
    )


def test_a_batch_of_fit_under_a_new_name_has_the_same_effect():
    rows = BATCH == "C"
    renamed = FITTED.transform(X[rows], batch=["new"] * rows.sum())
    np.testing.assert_allclose(renamed, FITTED.transform(X[rows], batch=BATCH[rows]), rtol=1e-12)


def test_two_new_batches_do_not_see_each_other():
    both = FITTED.transform(np.r_[NEW, X[:9] - 4], batch=["new"] * 10 + ["newer"] * 9)
    assert np.array_equal(both[:10], FITTED.transform(NEW, batch=["new"] * 10))


def test_transform_learns_nothing():
    corrector = BatchCorrector().fit(X, batch=BATCH)
    corrector.transform(NEW, batch=["new"] * 10)
    assert estimates(corrector) == estimates(FITTED)


@pytest.mark.parametrize("mean_only", [False, True])
def test_one_sample_of_a_new_batch_is_refused(mean_only):
    corrector = BatchCorrector(mean_only=mean_only).fit(X, batch=BATCH)
    with raises("Batch 'new' was not in fit, which had 'A', 'B', 'C'.*mean_only=True neither"):
        corrector.transform(NEW[:3], batch=["A", "new", "B"])


def test_a_new_batch_with_values_too_large_is_refused():
    huge = NEW.copy()
    huge[2, 5] = 1e200
    with raises("gene 5 holds the value 1e.200"):
        FITTED.transform(huge, batch=["new"] * 10)


# Labels


def test_labels_change_no_bit_of_the_estimates():
    assert estimates(BatchCorrector().fit(X, Y, batch=BATCH)) == estimates(FITTED)


def test_labels_confounded_with_the_batches_change_no_bit_of_the_estimates():
    with pytest.warns(UserWarning, match="confounded"):
        corrector = BatchCorrector().fit(X, BATCH, batch=BATCH)
    assert estimates(corrector) == estimates(FITTED)


def test_a_class_in_one_batch_only_is_reported():
    y = np.where(BATCH == "A", "liver", np.where(Y, "lung", "skin"))
    y[np.flatnonzero(BATCH == "A")[:3]] = ["lung", "skin", "lung"]
    with pytest.warns(UserWarning, match="1 of 3 classes .* 'liver', all 5 samples in 'A'"):
        BatchCorrector().fit(X, y, batch=BATCH)


def test_a_batch_of_one_class_only_is_reported():
    y = np.where(BATCH == "B", 1, Y)
    with pytest.warns(UserWarning, match="1 of 3 batches .* 'B', 12 samples of 1"):
        BatchCorrector().fit(X, y, batch=BATCH)


def test_nearly_confounded_batches_are_reported():
    batch = np.repeat([0, 1], N // 2)
    y = batch.copy()
    y[[0, -1]] = [1, 0]
    with pytest.warns(UserWarning, match=r"confounded: Cramér's V of batch and class is 0\.\d"):
        BatchCorrector().fit(X, y, batch=batch)


def test_the_warning_of_confounding_is_at_the_users_line():
    with pytest.warns(UserWarning, match="confounded") as caught:
        BatchCorrector().fit(X, BATCH, batch=BATCH)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "y",
    [Y, RNG.normal(size=N), np.c_[Y, Y], np.zeros(N), [None] * N, Y[:, None]],
    ids=["balanced", "continuous", "two targets", "one class", "unlabelled", "column"],
)
def test_no_other_target_warns(y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert estimates(BatchCorrector().fit(X, y, batch=BATCH)) == estimates(FITTED)


# In a Pipeline


@routes_to_score
def test_cross_validation_hands_each_fold_its_batches():
    with sklearn.config_context(enable_metadata_routing=True):
        step = BatchCorrector().set_fit_request(batch=True).set_transform_request(batch=True)
        result = cross_validate(
            make_pipeline(step, LogisticRegression(max_iter=1000)),
            X,
            Y,
            params={"batch": BATCH},
            cv=[(np.arange(30), np.arange(30, N))],
            return_estimator=True,
        )
    in_pipeline = result["estimator"][0][0]
    assert estimates(in_pipeline) == estimates(BatchCorrector().fit(X[:30], batch=BATCH[:30]))


@routes_to_score
def test_cross_validation_hands_batches_to_the_score():
    with sklearn.config_context(enable_metadata_routing=True):
        step = BatchCorrector().set_fit_request(batch=True).set_transform_request(batch=True)
        pipeline = make_pipeline(step, LogisticRegression(max_iter=1000))
        split = np.arange(30), np.arange(30, N)
        scores = cross_validate(pipeline, X, Y, params={"batch": BATCH}, cv=[split])
    train, test = (
        BatchCorrector().fit(X[:30], batch=BATCH[:30]).transform(X[s], batch=BATCH[s])
        for s in split
    )
    by_hand = LogisticRegression(max_iter=1000).fit(train, Y[:30]).score(test, Y[30:])
    assert scores["test_score"][0] == by_hand


def test_cross_validation_cuts_the_column_of_obs():
    pipeline = make_pipeline(BatchCorrector(batch="source"), LogisticRegression(max_iter=1000))
    scores = cross_validate(pipeline, adata(), Y, scoring="accuracy", error_score="raise")
    assert len(scores["test_score"]) == 5


# Input and output


@pytest.mark.parametrize(
    "batch",
    [
        BATCH.tolist(),
        BATCH.astype(object),
        pd.Series(BATCH),
        pd.Series(BATCH, dtype="category"),
        pd.Series(BATCH, dtype="string"),
        pl.Series(BATCH),
    ],
    ids=["list", "objects", "series", "categorical", "string", "polars"],
)
def test_batches_of_any_container_are_the_same(batch):
    assert estimates(BatchCorrector().fit(X, batch=batch)) == estimates(FITTED)


@pytest.mark.parametrize(
    "names",
    [[1, 2, 3], [0.5, 1.5, 2.5], pd.to_datetime(["2020-01-01", "2020-01-02", "2021-01-01"])],
    ids=["integers", "floats", "dates"],
)
def test_batches_need_not_be_text(names):
    batch = pd.Series(BATCH).map(dict(zip("ABC", names, strict=True)))
    Z = BatchCorrector().fit_transform(X, batch=batch)
    assert np.array_equal(Z, FITTED.transform(X, batch=BATCH))


def test_the_column_of_obs_is_the_batch():
    assert estimates(BatchCorrector("source").fit(adata())) == estimates(FITTED)


def test_batch_in_the_call_goes_before_the_column_of_obs():
    corrector = BatchCorrector("source").fit(adata(), batch=np.repeat(["P", "Q"], N // 2))
    assert corrector.batches_.tolist() == ["P", "Q"]


def test_the_layer_is_read():
    corrector = BatchCorrector("source", layer="log").fit(adata())
    np.testing.assert_allclose(corrector.mean_, FITTED.mean_ + 1)


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csr_array, sp.csc_matrix])
def test_a_sparse_matrix_comes_out_dense(make):
    Z = BatchCorrector().fit_transform(make(X), batch=BATCH)
    assert np.array_equal(Z, FITTED.transform(X, batch=BATCH))


def test_integers_come_out_as_float32():
    assert BatchCorrector().fit_transform(X.astype(int), batch=BATCH).dtype == np.float32


def test_x_is_not_written_to():
    before = X.copy()
    BatchCorrector().fit_transform(X, batch=BATCH)
    assert np.array_equal(X, before)


def test_set_output_keeps_names_of_genes_and_samples():
    Z = BatchCorrector("source").set_output(transform="pandas").fit_transform(adata())
    assert (list(Z.columns), list(Z.index)) == (NAMES, [f"s{i}" for i in range(N)])


def test_a_pickle_corrects_to_the_same_bits():
    again = pickle.loads(pickle.dumps(FITTED))
    assert np.array_equal(again.transform(X, batch=BATCH), FITTED.transform(X, batch=BATCH))


# Errors


def test_a_batch_of_one_sample_is_refused():
    batch = BATCH.copy()
    batch[7] = "Z"
    with raises("1 of 4 batches have one sample only: 'Z'.*Merge it"):
        BatchCorrector(mean_only=True).fit(X, batch=batch)


def test_a_batch_of_copies_is_refused():
    copies = X.copy()
    copies[BATCH == "A"] = copies[0]
    with raises("The 8 samples of batch 'A' are the same in every gene.*mean_only"):
        BatchCorrector().fit(copies, batch=BATCH)


def test_a_constant_x_is_refused():
    with raises("All 12 genes are constant"):
        BatchCorrector().fit(np.ones_like(X), batch=BATCH)


def test_batches_of_another_length_are_refused():
    with raises("batch has 39 values, but X has 40 samples"):
        BatchCorrector().fit(X, batch=BATCH[:-1])


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, ""])
def test_missing_batches_are_refused(missing):
    batch = [*BATCH[:5], missing, *BATCH[6:]]
    with raises(r"batch is missing for 1 of 40 samples \(first: row 5\)"):
        BatchCorrector().fit(X, batch=batch)


def test_a_data_frame_of_batches_is_refused():
    with raises(r"one dimension.*\(40, 1\) of a DataFrame"):
        BatchCorrector().fit(X, batch=pd.DataFrame({"source": BATCH}))


def test_the_name_of_a_column_in_place_of_batches_is_refused():
    with raises(r"BatchCorrector\(batch='source'\)", TypeError):
        BatchCorrector().fit(adata(), batch="source")


def test_a_column_that_obs_lacks_is_refused():
    with raises(r"no column 'center' in obs; it has \['source', 'sex'\]"):
        BatchCorrector("center").fit(adata(sex="f"))


def test_a_column_of_obs_without_anndata_is_refused():
    with raises("'source' names a column of AnnData's obs, but X is a ndarray"):
        BatchCorrector("source").fit(X)


def test_text_and_numbers_in_one_batch_are_refused():
    with raises("mixes text and other values"):
        BatchCorrector().fit(X, batch=[1, *BATCH[1:]])


def test_numbers_after_text_are_refused():
    with raises("values such as 0, in fit it held such as 'A'"):
        FITTED.transform(NEW, batch=[0] * 10)


def test_batches_in_the_order_of_other_samples_are_refused():
    batch = adata().obs["source"].iloc[::-1]
    with raises("in another order"):
        BatchCorrector().fit(adata(), batch=batch)


def test_an_unknown_reference_is_refused():
    with raises("ref_batch='Z' is none of the batches: 'A', 'B', 'C'"):
        BatchCorrector(ref_batch="Z").fit(X, batch=BATCH)


def test_a_reference_without_batches_is_refused():
    with raises("ref_batch='A', but no batches are named"):
        BatchCorrector(ref_batch="A").fit(X)


def test_a_fit_that_fails_leaves_what_was_learned():
    corrector = clone(FITTED).fit(X, batch=BATCH)
    with raises("one sample only"):
        corrector.fit(NEW, batch=[*"ABCDEFGHIJ"])
    assert estimates(corrector) == estimates(FITTED)


# scikit-learn's checks


@parametrize_with_checks([BatchCorrector()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", ["check_param_validation", "check_set_output_transform_pandas"])
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
def test_checks_scikit_learn_does_not_yield(check):
    getattr(checks, check)("BatchCorrector", BatchCorrector())
