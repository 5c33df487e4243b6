"""GeneAligner: one list of genes, whatever the columns of X."""

import pickle

import anndata
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from old_versions import takes_tables
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sslgex import ScarfTransformer, SSLClassifier
from sslgex.datasets import load_tcga_brca
from sslgex.preprocessing import GeneAligner, LogCounts

TRAIN = pd.DataFrame([[1.0, 2.0, 3.0], [3.0, 6.0, 5.0]], columns=["ESR1", "GATA3", "KRT5"])
IDS = [f"ENSG{i:011d}" for i in range(10)]


def frame(columns, *rows):
    return pd.DataFrame([list(map(float, row)) for row in rows], columns=list(columns))


@pytest.fixture(scope="module")
def brca():
    X, y = load_tcga_brca(return_X_y=True, as_frame=True)
    return X.iloc[:120, :60], y[:120]


@pytest.fixture(scope="module")
def scarf(brca):
    return ScarfTransformer(hidden_layer_sizes=(8, 8), max_epochs=1, random_state=0).fit(brca[0])


# Columns to genes


def test_columns_in_another_order_come_in_that_of_fit():
    Z = GeneAligner().fit(TRAIN).transform(frame(["KRT5", "ESR1", "GATA3"], [1, 2, 3]))
    np.testing.assert_array_equal(Z, [[2, 3, 1]])


def test_unknown_columns_are_left_out():
    Z = GeneAligner().fit(TRAIN).transform(frame(["ESR1", "ACTB", "GATA3", "KRT5"], [1, 9, 2, 3]))
    np.testing.assert_array_equal(Z, [[1, 2, 3]])


def test_missing_genes_get_their_training_mean():
    aligner = GeneAligner(warn_missing=0.5).fit(TRAIN)
    np.testing.assert_array_equal(aligner.transform(frame(["KRT5", "ESR1"], [7, 8])), [[8, 4, 7]])


@pytest.mark.parametrize(
    ("duplicates", "expected"), [("mean", 3), ("sum", 9), ("max", 6), ("first", 1)]
)
@pytest.mark.parametrize("layout", ["dense", "sparse", "anndata"])
@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_columns_of_one_gene_are_merged(duplicates, expected, layout):
    aligner = GeneAligner(duplicates=duplicates).fit(TRAIN)
    X = frame(["ESR1", "GATA3", "ESR1", "KRT5", "ESR1"], [1, 0, 2, 0, 6])
    if layout != "dense":
        values = sp.csr_matrix(X) if layout == "sparse" else X.to_numpy()
        X = anndata.AnnData(values, var=pd.DataFrame(index=X.columns))
    Z = aligner.transform(X)
    assert (Z.toarray() if sp.issparse(Z) else Z)[0, 0] == expected


def test_columns_of_one_gene_are_refused_on_demand():
    aligner = GeneAligner(duplicates="error").fit(TRAIN)
    with pytest.raises(ValueError, match=r"1 genes are in several columns of X \(first: ESR1\)"):
        aligner.transform(frame(["ESR1", "ESR1", "GATA3", "KRT5"], [1, 2, 3, 4]))


def test_training_columns_of_one_gene_are_merged():
    aligner = GeneAligner().fit(frame(["ESR1", "KRT5", "ESR1"], [1, 2, 3], [3, 4, 5]))
    assert list(aligner.genes_) == ["ESR1", "KRT5"]
    np.testing.assert_array_equal(aligner.fill_values_, [3, 3])


@pytest.mark.parametrize(("ours", "theirs"), [("", ".7"), (".3", ""), (".3", ".7")])
def test_ensembl_ids_match_whatever_their_version(ours, theirs):
    reference = [name + ours for name in IDS]
    X = frame([name + theirs for name in IDS], range(10), range(10))
    np.testing.assert_array_equal(GeneAligner(reference).fit_transform(X), X)


def test_genes_keep_the_spelling_of_the_reference():
    reference = [name + ".3" for name in IDS]
    aligner = GeneAligner(reference).fit(frame(IDS, range(10), range(10)))
    assert list(aligner.get_feature_names_out()) == reference


def test_two_versions_of_an_id_are_one_gene():
    X = frame([IDS[0] + ".1", IDS[0] + ".2"], [1, 3], [1, 3])
    np.testing.assert_array_equal(GeneAligner().fit_transform(X), [[2], [2]])


def test_an_encoder_that_knows_two_versions_of_an_id_gets_both():
    X = frame([IDS[0] + ".1", IDS[0] + ".2", IDS[1]], [1, 3, 0], [2, 5, 1])
    np.testing.assert_array_equal(GeneAligner(StandardScaler().fit(X)).fit_transform(X), X)


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(10)), st.integers(5, 10))
def test_the_order_of_the_columns_has_no_effect(order, n_known):
    aligner = GeneAligner(warn_missing=1.0).fit(frame(IDS, range(10), range(10, 20)))
    X = frame(IDS[:n_known] + [f"ACTB{i}" for i in range(10 - n_known)], range(30, 40))
    np.testing.assert_array_equal(aligner.transform(X.iloc[:, list(order)]), aligner.transform(X))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from([*IDS, "ACTB", "TP53"]), min_size=1, max_size=15))
def test_what_is_aligned_stays_as_it_is(columns):
    aligner = GeneAligner(warn_missing=1.0, max_missing=1.0).fit(frame(IDS, range(10), range(10)))
    once = aligner.transform(frame(columns, range(len(columns))))
    np.testing.assert_array_equal(aligner.transform(pd.DataFrame(once, columns=IDS)), once)


def test_polars_is_aligned_by_name():
    X = pl.DataFrame({"KRT5": [1.0], "ESR1": [2.0], "GATA3": [3.0]})
    np.testing.assert_array_equal(GeneAligner().fit(TRAIN).transform(X), [[2, 3, 1]])


def test_an_array_has_the_columns_of_fit():
    X = frame(["ESR1", "KRT5", "ESR1"], [1, 2, 3], [3, 4, 5])
    aligner = GeneAligner().fit(X)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        Z = aligner.transform(X.to_numpy())
    np.testing.assert_array_equal(Z, aligner.transform(X))


def test_without_any_names_columns_pass_as_they_are():
    X = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(GeneAligner().fit_transform(X), X)


def test_without_names_the_number_of_columns_must_be_that_of_fit():
    aligner = GeneAligner().fit(np.ones((2, 3)))
    with pytest.raises(ValueError, match="X has 2 features, but GeneAligner is expecting 3"):
        aligner.transform(np.ones((2, 2)))


def test_without_names_the_number_of_columns_must_be_that_of_the_reference():
    with pytest.raises(ValueError, match=r"2 columns without names, but the reference has 3 genes"):
        GeneAligner(["ESR1", "GATA3", "KRT5"]).fit(np.ones((2, 2)))


def test_gene_ids_that_are_numbers_are_refused():
    with pytest.raises(ValueError, match=r"named by numbers \(first: 7157, 2099\).*astype\(str\)"):
        GeneAligner().fit(pd.DataFrame(np.eye(2), columns=[7157, 2099]))


# All of these were matched by their position, without a word.
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([b"KRT5", b"ESR1", b"GATA3"], r"bytes \(first: b'KRT5', .*str\.decode\('utf-8'\)"),
        ([3852.0, 2099.0, 2625.0], r"numbers .*astype\(int\)\.astype\(str\)"),
        ([("KRT5", "a"), ("ESR1", "b"), ("GATA3", "c")], r"tuples .*get_level_values\(0\)"),
        (["KRT5", "ESR1", np.nan], r"1 of 3 names are no text \(first: nan\)"),
    ],
)
@pytest.mark.parametrize("side", ["X", "reference"])
def test_names_that_are_no_text_are_refused(columns, message, side):
    X = pd.DataFrame([[30.0, 10.0, 20.0], [31.0, 11.0, 21.0]])
    X.columns = pd.Index(columns)
    with pytest.raises(ValueError, match=message):
        GeneAligner().fit(TRAIN).transform(X) if side == "X" else GeneAligner(X).fit(TRAIN)


def test_the_cure_for_bytes_cures():
    X = frame([b"KRT5", b"ESR1", b"GATA3"], [1, 2, 3])
    X.columns = X.columns.str.decode("utf-8")
    np.testing.assert_array_equal(GeneAligner().fit(TRAIN).transform(X), [[2, 3, 1]])


def test_a_frame_without_columns_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        GeneAligner().fit(pd.DataFrame(index=range(3)))


@pytest.mark.parametrize("left_out", [[np.nan, 1.0], ["yes", "no"]], ids=["NaN", "text"])
@pytest.mark.parametrize(
    "kind", [pd.DataFrame, pl.DataFrame, pytest.param(pa.table, marks=takes_tables)]
)
def test_a_column_that_is_left_out_may_hold_anything(kind, left_out):
    X = kind({"KRT5": [1.0, 4.0], "smoker": left_out, "ESR1": [2.0, 5.0], "GATA3": [3.0, 6.0]})
    Z = GeneAligner().fit(TRAIN).transform(X)
    np.testing.assert_array_equal(Z, [[2, 3, 1], [5, 6, 4]])


def test_a_gene_of_anndata_that_is_left_out_may_hold_anything():
    X = anndata.AnnData(
        np.array([[1, np.nan, 2, 3]]), var=pd.DataFrame(index=["KRT5", "ACTB", "ESR1", "GATA3"])
    )
    np.testing.assert_array_equal(GeneAligner().fit(TRAIN).transform(X), [[2, 3, 1]])


def test_numbered_columns_have_no_names():
    assert GeneAligner().fit(pd.DataFrame(np.eye(2))).genes_ is None


def test_a_value_that_is_missing_is_named_by_its_gene():
    aligner = GeneAligner().fit(TRAIN)
    with pytest.raises(ValueError, match="row 0, gene 'GATA3'"):
        aligner.transform(frame(["KRT5", "GATA3", "ESR1"], [1, np.nan, 2]))


# The reference


def test_a_list_of_names_takes_means_of_fit_and_0_for_genes_unknown_there():
    with pytest.warns(UserWarning, match=r"1 of 3 genes .*first: ACTB\).* filled with 0. Pass the"):
        aligner = GeneAligner(["GATA3", "ACTB", "ESR1"]).fit(TRAIN)
    np.testing.assert_array_equal(aligner.fill_values_, [4, 0, 2])


def test_a_pipeline_gives_the_means_of_the_step_that_sees_X():
    # The means of the last step are those of scaled values.
    pipeline = make_pipeline(StandardScaler(), StandardScaler()).set_output(transform="pandas")
    aligner = GeneAligner(pipeline.fit(TRAIN)).fit(TRAIN[["ESR1", "KRT5"]])
    np.testing.assert_array_equal(aligner.fill_values_, [2, 4, 4])


def test_a_pipeline_whose_first_step_aligns_gives_what_that_fills_with(scarf, brca):
    X, y = brca
    aligner = GeneAligner(pipeline_on(scarf).fit(X.iloc[:, ::-1], y)).fit(X.iloc[:, :50])
    np.testing.assert_array_equal(aligner.genes_, scarf.feature_names_in_)
    np.testing.assert_array_equal(aligner.fill_values_, scarf.mean_)


def test_a_pipeline_without_means_is_warned_of_where_genes_are_missing():
    pipeline = make_pipeline(LogCounts(), StandardScaler()).fit(TRAIN)
    with pytest.warns(UserWarning, match="GATA3.*reference gives no mean"):
        GeneAligner(pipeline).fit(TRAIN[["ESR1", "KRT5"]])


@pytest.mark.parametrize("kind", ["frame", "anndata", "polars"])
def test_a_reference_of_data_gives_genes_and_means(kind):
    reference = {
        "frame": TRAIN,
        "anndata": anndata.AnnData(sp.csr_matrix(TRAIN), var=pd.DataFrame(index=TRAIN.columns)),
        "polars": pl.DataFrame(TRAIN.to_dict("list")),
    }[kind]
    aligner = GeneAligner(reference).fit(frame(["KRT5", "ESR1"], [0, 0], [0, 0]))
    assert list(aligner.genes_) == list(TRAIN.columns)
    np.testing.assert_array_equal(aligner.fill_values_, [2, 4, 4])


def test_the_layer_is_read_of_the_reference_too():
    reference = anndata.AnnData(
        np.zeros((2, 3)),
        var=pd.DataFrame(index=TRAIN.columns),
        layers={"logs": TRAIN.to_numpy()},
    )
    aligner = GeneAligner(reference, layer="logs").fit(reference)
    np.testing.assert_array_equal(aligner.fill_values_, [2, 4, 4])


def test_a_fitted_estimator_gives_genes_and_means(scarf, brca):
    aligner = GeneAligner(scarf).fit(brca[0].iloc[:50, ::-1] + 1)
    np.testing.assert_array_equal(aligner.genes_, scarf.feature_names_in_)
    np.testing.assert_array_equal(aligner.fill_values_, scarf.mean_)


def test_a_classifier_gives_the_means_of_its_encoder(scarf, brca):
    clf = SSLClassifier(scarf, mode="frozen", head=LogisticRegression(max_iter=2000)).fit(*brca)
    np.testing.assert_array_equal(GeneAligner(clf).fit(brca[0]).fill_values_, scarf.mean_)


def test_an_estimator_without_means_takes_those_of_fit():
    scaler = StandardScaler(with_mean=False, with_std=False).fit(TRAIN)
    scaler.mean_ = None
    np.testing.assert_array_equal(GeneAligner(scaler).fit(TRAIN * 2).fill_values_, [4, 8, 8])


@pytest.mark.parametrize(
    ("reference", "error", "message"),
    [
        ("TP53", TypeError, "reference is 'TP53'"),
        (3, TypeError, "reference is 3"),
        ([], ValueError, "empty"),
        ([7157, 2099], TypeError, r"2 of 2 are not \(first: of type int\)"),
        (PCA, TypeError, "reference is the class PCA"),
        (PCA(), NotFittedError, "PCA instance is not fitted"),
        (PCA().fit(np.eye(3)), ValueError, "PCA that was fitted on X without gene names"),
        (pd.DataFrame(np.eye(3)), ValueError, "columns of the reference are numbers"),
        (TRAIN * np.nan, ValueError, "NaN[^$]*This X is the reference"),
    ],
    ids=str,
)
def test_an_unusable_reference_is_refused(reference, error, message):
    with pytest.raises(error, match=message):
        GeneAligner(reference).fit(TRAIN)


# What the user is told


def test_a_share_of_missing_genes_beyond_warn_missing_is_warned_of():
    aligner = GeneAligner(warn_missing=0.1).fit(frame(IDS, range(10), range(10)))
    message = (
        r"2 of 10 genes \(20%\) are missing from X \(first: ENSG00000000008, ENSG00000000009\)"
    )
    with pytest.warns(UserWarning, match=message):
        aligner.transform(frame(IDS[:8], range(8)))


def test_a_share_of_missing_genes_up_to_warn_missing_is_not():
    aligner = GeneAligner(warn_missing=0.1).fit(frame(IDS, range(10), range(10)))
    aligner.transform(frame(IDS[:9], range(9)))


def test_the_warning_points_at_the_users_line():
    aligner = GeneAligner().fit(TRAIN)
    with pytest.warns(UserWarning, match="missing") as caught:
        aligner.transform(TRAIN[["ESR1", "KRT5"]])
    assert caught[0].filename == __file__


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_a_share_of_missing_genes_beyond_max_missing_is_refused(method):
    aligner = GeneAligner(IDS).fit(frame(IDS, range(10), range(10)))
    with pytest.raises(ValueError, match=r"6 of 10 genes \(60%\) .* more than max_missing=0.5"):
        getattr(aligner, method)(frame(IDS[:4], range(4), range(4)))


def test_other_kinds_of_identifiers_are_told():
    with pytest.raises(
        ValueError, match=r"look like symbols \(100%\), .* Ensembl gene ids \(100%\)"
    ):
        GeneAligner(IDS).fit(TRAIN)


def test_half_of_another_kind_is_told():
    aligner = GeneAligner(max_missing=0.6).fit(frame(IDS, range(10), range(10)))
    X = frame([*IDS[:5], "ESR1", "GATA3", "KRT5", "TP53", "ACTB"], range(10))
    with pytest.warns(UserWarning, match=r"ids \(50%\) and symbols \(50%\), the reference's"):
        aligner.transform(X)


def test_genes_of_mixed_kinds_are_warned_of_in_fit():
    with pytest.warns(UserWarning, match=r"symbols \(60%\) and Ensembl gene ids \(40%\)"):
        GeneAligner().fit(frame(["ESR1", "GATA3", "KRT5", *IDS[:2]], range(5), range(5)))


def test_genes_in_rows_are_told_by_their_names():
    X = pd.DataFrame(TRAIN.T.to_numpy(), index=TRAIN.columns, columns=["a", "b"])
    with pytest.raises(ValueError, match=r"3 of the genes are names of rows of X: .* transpose"):
        GeneAligner(list(TRAIN)).fit(X)


def test_samples_in_columns_are_told_by_their_names():
    X = frame(["TCGA-3C-AAAU-01", "TCGA-3C-AALI-01"], [1, 2], [3, 4])
    with pytest.raises(ValueError, match=r"columns of X look like samples .* transpose it"):
        GeneAligner().fit(X)


def test_symbols_in_other_letters_are_told():
    with pytest.raises(ValueError, match=r"2 of them are in X in other letters.*species"):
        GeneAligner(["ESR1", "GATA3"]).fit(frame(["Esr1", "Gata3"], [1, 2], [3, 4]))


def test_the_report_lists_the_genes():
    aligner = GeneAligner().fit(TRAIN)
    report = aligner.report(frame(["ESR1", "ACTB", "ESR1", "KRT5"], [1, 2, 3, 4]))
    assert list(report.missing) == ["GATA3"]
    assert list(report.unknown) == ["ACTB"]
    assert list(report.duplicated) == ["ESR1"]
    assert report.share_missing == 1 / 3


def test_the_report_prints_as_a_summary():
    report = GeneAligner().fit(TRAIN).report(frame(["ESR1", "ACTB"], [1, 2]))
    assert str(report).splitlines() == [
        "3 genes, 2 columns of X",
        "missing: 2 (GATA3, KRT5)",
        "unknown: 1 (ACTB)",
        "duplicated: 0",
    ]


# In a Pipeline


def pipeline_on(scarf):
    steps = [
        ("align", GeneAligner(scarf)),
        ("ssl", FrozenEstimator(scarf)),
        ("clf", LogisticRegression(max_iter=2000)),
    ]
    return Pipeline(steps).set_output(transform="pandas")


def test_an_encoder_gets_its_genes_in_its_order(scarf, brca):
    X, y = brca
    pipeline = pipeline_on(scarf).fit(X, y)
    np.testing.assert_array_equal(pipeline[:-1].transform(X.iloc[:, ::-1]), scarf.transform(X))


@pytest.mark.parametrize("layout", [np.asarray, sp.csr_matrix])
def test_anndata_goes_through_a_pipeline(layout, scarf, brca):
    X, y = brca
    pipeline = pipeline_on(scarf).fit(X, y)
    adata = anndata.AnnData(
        layout(X.iloc[:, ::-1].to_numpy()), var=pd.DataFrame(index=X.columns[::-1])
    )
    np.testing.assert_array_equal(pipeline.predict_proba(adata), pipeline.predict_proba(X))


def test_a_grid_search_leaves_the_encoder_as_it_is(scarf, brca):
    X, y = brca
    search = GridSearchCV(pipeline_on(scarf), {"clf__C": [0.1, 1.0]}, cv=2, error_score="raise")
    assert search.fit(X.iloc[:, :55], y).best_estimator_["align"].reference is scarf


def test_a_clone_keeps_parameters_and_the_way_of_output(scarf):
    copied = clone(GeneAligner(scarf, duplicates="max").set_output(transform="pandas"))
    assert copied.duplicates == "max"
    assert isinstance(
        copied.fit_transform(pd.DataFrame(np.ones((2, 60)), columns=scarf.feature_names_in_)),
        pd.DataFrame,
    )


def test_cloning_leaves_the_original_its_reference(scarf):
    aligner = GeneAligner(scarf)
    clone(aligner)
    assert aligner.reference is scarf


def test_a_pickle_aligns_alike(scarf, brca):
    aligner = GeneAligner(scarf).fit(brca[0])
    X = brca[0].iloc[:, 57::-1]
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(aligner)).transform(X), aligner.transform(X)
    )


def test_a_fit_without_names_forgets_those_of_the_fit_before():
    aligner = GeneAligner().fit(TRAIN).fit(np.ones((2, 4)))
    assert list(aligner.get_feature_names_out()) == ["x0", "x1", "x2", "x3"]


def test_parameters_of_the_reference_cannot_be_set_through_it():
    scarf = ScarfTransformer((8, 8), max_epochs=1)
    scarf.fit(np.random.default_rng(0).normal(size=(10, 5)))
    before = scarf.get_params()
    with pytest.raises(ValueError, match="used as it is, by every clone"):
        GeneAligner(scarf).set_params(warn_missing=0.2, reference__lr=1.0)
    assert scarf.get_params() == before
