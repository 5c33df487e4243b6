"""read_expression: what it concludes of orientation, genes and units, and on which evidence."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from expression_files import COUNTS, ENSEMBL, FRAME, GSM, assert_same, read, said, table, write
from numpy.testing import assert_allclose, assert_array_equal

ROWS, COLUMNS = "samples x genes", "genes x samples"


def test_conclusions_are_printed_with_their_evidence(capsys):
    read(COUNTS, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("[read_expression] unit: counts (all integers") for line in lines)


def test_silent_without_verbose(capsys):
    read(COUNTS)
    assert capsys.readouterr().out == ""


def test_conclusions_survive_h5ad(tmp_path):
    adata = read(COUNTS)
    adata.write_h5ad(tmp_path / "written.h5ad")
    assert dict(anndata.read_h5ad(tmp_path / "written.h5ad").uns["sslgex"]) == adata.uns["sslgex"]


@pytest.mark.parametrize("frame", [FRAME, FRAME.T], ids=[ROWS, COLUMNS])
def test_orientation_follows_the_names(frame):
    assert_same(read(frame), FRAME)


def test_orientation_by_symbols_alone():
    frame = FRAME.set_axis([f"patient {i}" for i in range(8)])
    assert said(read(frame.T), "orientation") == COLUMNS


def test_cell_lines_that_look_like_symbols_are_no_genes():
    lines = ["A549", "MCF7", "T47D", "HT29", "PC3", "U2OS", "K562", "CAL51"]
    assert said(read(FRAME.set_axis(lines).T), "orientation") == COLUMNS


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(np.eye(20)),
        FRAME.set_axis([f"a{i}" for i in range(8)]).set_axis([f"b{i}" for i in range(60)], axis=1),
        pd.DataFrame(0.5, index=FRAME.columns[:8], columns=FRAME.columns[8:16]),
        pd.DataFrame(0.5, index=GSM, columns=FRAME.index),
    ],
    ids=["no names", "unknown names", "genes twice", "samples twice"],
)
def test_orientation_is_not_guessed(frame):
    with pytest.raises(ValueError, match=r"(?s)rows or in columns.*Rows: .*orientation='samples"):
        read(frame)


def test_orientation_of_unknown_names_can_be_given():
    assert read(pd.DataFrame(np.eye(4, 3)), orientation=COLUMNS).shape == (3, 4)


def test_transposed_anndata_is_refused(adata):
    with pytest.raises(ValueError, match="The format has samples x genes"):
        read(adata.T)


def test_orientation_against_the_names_warns():
    with pytest.warns(UserWarning, match="the names say 'samples x genes'"):
        read(FRAME, orientation=COLUMNS)


def test_numbers_do_not_decide_the_orientation():
    patients = [str(7 * i + 3) for i in np.random.default_rng(0).permutation(1200)]
    frame = pd.DataFrame(1.5, index=patients, columns=[f"gene {i}" for i in range(5)])
    with pytest.raises(ValueError, match="100% are numbers"):
        read(frame)


def test_patients_of_numbers_and_micro_rnas(tmp_path):
    frame = COUNTS.set_axis([300, 7, 21, 5, 99, 1, 12, 4])
    frame = frame.set_axis([f"hsa-miR-{i}" for i in range(60)], axis=1)
    assert_same(read(write(tmp_path / "mirna.csv", table(frame, ",", "patient"))), frame)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ([str(7892501 + 7 * i) for i in range(60)], "probe"),
        ([str(16650001 + 7 * i) for i in range(60)], "probe"),
        ([f"TC01000064{i:02d}.hg.1" for i in range(60)], "probe"),
        ([f"cg{i:08d}" for i in range(60)], "probe"),
        (
            [*[f"{1000 + i}_at" for i in range(58)], "AFFX-BioB-5_at", "AFFX-r2-P1-cre-3_at"],
            "probe",
        ),
        ([f"NM_{i:06d}.2" for i in range(60)], "RefSeq"),
        ([*ENSEMBL[:59], "ENSGR0000002586.16"], "Ensembl gene"),
    ],
)
def test_kinds_of_identifiers(names, kind):
    adata = read(COUNTS.set_axis(GSM).set_axis(names, axis=1))
    assert said(adata, "gene_ids") == kind


def test_old_name_of_a_copy_on_y_is_another_locus():
    names = [*ENSEMBL[:58], "ENSG00000002586.16", "ENSGR0000002586.16"]
    adata = read(COUNTS.set_axis(names, axis=1))
    assert adata.var_names[-2:].tolist() == ["ENSG00000002586", "ENSGR0000002586"]


def test_mixed_identifiers_are_refused():
    frame = FRAME.set_axis([*FRAME.columns[:30], *ENSEMBL[:30]], axis=1)
    with pytest.raises(ValueError, match=r"mixes kinds .* 50.0% .*'ENSG.*gene_ids="):
        read(frame)


def test_mixed_numbers_are_told_by_an_example_of_each():
    names = [str(7892501 + i) for i in range(30)] + [str(501 + 2 * i) for i in range(30)]
    with pytest.raises(ValueError, match=r"'501' and '7892501'|'7892501' and '501'"):
        read(COUNTS.set_axis(GSM).set_axis(names, axis=1))


def test_mixed_identifiers_can_be_kept():
    frame = FRAME.set_axis([*FRAME.columns[:30], *ENSEMBL[:30]], axis=1)
    assert read(frame, gene_ids="symbol").var_names[-1] == ENSEMBL[29]


def test_gene_ids_against_the_names_warn():
    with pytest.warns(UserWarning, match="the names look like symbol"):
        read(FRAME, gene_ids="Entrez")


def test_dates_among_genes_are_told():
    frame = FRAME.set_axis([*FRAME.columns[:-2], "1-Mar", "2-Sep"], axis=1)
    with pytest.warns(UserWarning, match="2 gene names are dates"):
        read(frame)


def test_tallies_of_counting_programs_are_left_out():
    frame = COUNTS.assign(__no_feature=5, N_unmapped=7)
    adata = read(frame)
    assert_same(adata, COUNTS)
    assert said(adata, "left_out").startswith("2 ")


def test_tallies_of_old_htseq_are_left_out():
    tallies = ["no_feature", "ambiguous", "too_low_aQual", "not_aligned", "alignment_not_unique"]
    assert_same(read(COUNTS.assign(**dict.fromkeys(tallies, 5))), COUNTS)


def test_genes_without_a_name_are_left_out_and_told():
    frame = COUNTS.set_axis(
        [*COUNTS.columns[:52], np.nan, None, "NaN", "NA", "<NA>", "---", "?", ""], axis=1
    )
    adata = read(frame)
    assert_same(adata, COUNTS.iloc[:, :52])
    assert said(adata, "left_out").startswith("8 that are no genes: 'nan', 'None'")


TPM = COUNTS.div(COUNTS.sum(axis=1), axis=0) * 1e6


LN = np.log1p(TPM / 100)


# Every sample has the values of the first, without a zero, in its own order.
QUANTILES = FRAME.rank(axis=1, method="first").map(
    lambda rank: np.sort(FRAME.iloc[0] - FRAME.iloc[0].min() + 2)[int(rank) - 1]
)


SMALL_AMOUNTS = pd.DataFrame(
    np.random.default_rng(0).gamma(0.3, 2, (8, 60)).round(1), FRAME.index, FRAME.columns
).clip(upper=25)


@pytest.mark.parametrize(
    ("frame", "unit"),
    [
        (COUNTS, "counts"),
        (TPM, "TPM or CPM"),
        (np.log2(TPM + 1), "log2(TPM + 1)"),
        (np.log1p(TPM / 100), "ln(x + 1)"),
        (np.log2(TPM + 1).iloc[:, :40], "log2(x + 1)"),
        (np.log2(TPM.iloc[:, :40] + 0.001), "log"),
        (FRAME, "log"),
        (FRAME - FRAME.mean(), "centred"),
        ((FRAME - FRAME.mean()) / FRAME.std(ddof=0), "standardised"),
        (
            FRAME.sub(FRAME.mean(axis=1), axis=0).div(FRAME.std(axis=1, ddof=0), axis=0),
            "standardised",
        ),
        (TPM.iloc[:, :40], "linear"),
        (COUNTS + (np.arange(60) % 5 == 0) * 0.25, "expected counts"),
        (COUNTS.clip(upper=2), "unknown"),
        (TPM.round(), "TPM or CPM"),
        (np.log2(TPM / 100 + 1), "log2(x + 1)"),
        (COUNTS.rank(axis=1, method="first"), "unknown"),
        (QUANTILES, "log"),
        (TPM.iloc[:, :40] / 1e6, "unknown"),
        (SMALL_AMOUNTS, "unknown"),
        ((FRAME - FRAME.mean()) / FRAME.std(ddof=1), "standardised"),
        (
            FRAME.sub(FRAME.mean(axis=1), axis=0).div(FRAME.std(axis=1, ddof=1), axis=0),
            "standardised",
        ),
    ],
)
def test_unit(frame, unit):
    assert said(read(frame), "unit") == unit


def test_unit_against_the_values_warns():
    with pytest.warns(UserWarning, match="the values look like log"):
        read(FRAME, unit="counts")


def test_unit_is_recorded_as_given():
    assert said(read(TPM, unit="TPM"), "unit") == "TPM"


def twice(frame):
    """Return the frame with its first gene again as the last, doubled."""
    again = frame.iloc[:, [0]] * 2
    return pd.concat([frame, again], axis=1)


@pytest.mark.parametrize(
    ("frame", "rule", "factor"),
    [
        (COUNTS, "auto", 3),
        (FRAME, "auto", 1.5),
        (COUNTS, "mean", 1.5),
        (COUNTS, "max", 2),
        (COUNTS, "first", 1),
    ],
)
def test_genes_of_the_same_name_are_merged(frame, rule, factor):
    frame = frame.iloc[:, 2:]
    adata = read(twice(frame), duplicates=rule)
    assert adata.var_names.tolist() == frame.columns.tolist()
    assert_allclose(adata.X[:, 0], factor * frame.iloc[:, 0], rtol=1e-6)
    assert_allclose(adata.X[:, 1:], frame.iloc[:, 1:], rtol=1e-6)


@pytest.mark.parametrize("rule", ["sum", "mean", "max"])
def test_a_missing_value_does_not_spread_to_other_merged_genes(rule):
    frame = pd.concat([COUNTS.iloc[:, 1:9]] * 2, axis=1).astype(float)
    frame.iloc[0, 0] = np.nan
    with pytest.warns(UserWarning, match="not finite"):
        adata = read(frame, duplicates=rule)
    assert np.argwhere(np.isnan(adata.X)).tolist() == [[0, 0]]


@pytest.mark.parametrize("rule", ["sum", "mean", "max", "first"])
def test_merging_of_sparse_and_dense_agree(rule):
    frame = twice(COUNTS)
    sparse = anndata.AnnData(sp.csr_matrix(frame.to_numpy()))
    sparse.obs_names, sparse.var_names = frame.index, frame.columns
    assert_array_equal(read(sparse, duplicates=rule).X.toarray(), read(frame, duplicates=rule).X)


def test_duplicates_of_unknown_unit_are_refused():
    with pytest.raises(ValueError, match=r"1 gene names .* unit is linear, .*duplicates='sum'"):
        read(twice(TPM.iloc[:, 2:40]))


def test_duplicates_can_be_refused():
    with pytest.raises(ValueError, match="duplicates='error'"):
        read(twice(COUNTS), duplicates="error")


def test_all_zero_sample_is_named():
    frame = COUNTS.copy()
    frame.iloc[3] = 0
    with pytest.warns(
        UserWarning, match=f"1 of 8 samples are zero in all genes .'{frame.index[3]}'"
    ):
        adata = read(frame)
    assert frame.index[3] in said(adata, "empty_samples")


@pytest.mark.filterwarnings("ignore:.* not finite")
def test_sample_of_zeros_and_a_missing_value_is_named():
    frame = COUNTS.astype(float)
    frame.iloc[3] = 0
    frame.iloc[3, 5] = np.nan
    with pytest.warns(UserWarning, match="1 of 8 samples are zero in all genes"):
        read(frame)


def test_missing_values_are_kept_and_told():
    frame = FRAME.copy()
    frame.iloc[2, 5] = np.nan
    with pytest.warns(UserWarning, match=f"'{frame.index[2]}', gene '{frame.columns[5]}'"):
        adata = read(frame)
    assert np.isnan(adata.X).sum() == 1


def test_values_are_float32():
    assert read(FRAME).X.dtype == np.float32


def test_integers_beyond_float32_keep_their_digits():
    frame = COUNTS.copy()
    frame.iloc[0, 0] = 2**24 + 1
    assert read(frame).X[0, 0] == 2**24 + 1
