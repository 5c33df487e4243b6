"""One reader for every format: what it concludes, what it refuses, what it says."""

import gzip
import sys
import textwrap
import warnings
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sslgex.datasets import _hdf5, load_tcga_brca, make_expression, read_expression

ROWS, COLUMNS = "samples x genes", "genes x samples"
BRCA = load_tcga_brca(as_frame=True)
FRAME = BRCA.data.iloc[:8, :60].astype(np.float64)  # samples x genes
COUNTS = pd.DataFrame(
    make_expression(8, 60, random_state=0).counts, index=FRAME.index, columns=FRAME.columns
)
ENSEMBL = [f"ENSG{i:011d}.{i % 9 + 1}" for i in range(141500, 141560)]
GSM = [f"GSM{900000 + i}" for i in range(8)]


def read(source, **parameters):
    return read_expression(source, **{"verbose": 0, **parameters})


def said(adata, what):
    return adata.uns["sslgex"][what]


def assert_same(adata, frame):
    assert adata.obs_names.tolist() == [str(name) for name in frame.index]
    assert adata.var_names.tolist() == [str(name) for name in frame.columns]
    assert_allclose(adata.X, frame.to_numpy(), rtol=1e-6)


def write(path, text, compress=False):
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if compress else data)
    return path


def table(frame, sep="\t", corner="", **options):
    return frame.rename_axis(corner).to_csv(sep=sep, **options)


@pytest.fixture
def xena(tmp_path):
    """Return a file as Xena has it: genes x samples, "sample" over the genes."""
    return write(tmp_path / "HiSeqV2.gz", table(FRAME.T, corner="sample"), compress=True)


# -------------------------------------------------------------------------------- formats


def test_xena(xena):
    assert_same(read(xena), FRAME)


def test_xena_of_gdc_loses_the_versions(tmp_path):
    frame = COUNTS.set_axis(ENSEMBL, axis=1)
    path = write(tmp_path / "TCGA-BRCA.htseq_counts.tsv", table(frame.T, corner="Ensembl_ID"))
    adata = read(path)
    assert_same(adata, COUNTS.set_axis([name.split(".")[0] for name in ENSEMBL], axis=1))
    assert said(adata, "gene_ids") == "Ensembl gene"


def test_cbioportal(tmp_path):
    frame = FRAME.T.rename_axis("Hugo_Symbol").reset_index()
    frame.insert(1, "Entrez_Gene_Id", np.arange(60) + 100)
    path = write(tmp_path / "data_mrna_seq_v2_rsem.txt", frame.to_csv(sep="\t", index=False))
    adata = read(path)
    assert_same(adata, FRAME)
    assert adata.var["Entrez_Gene_Id"].tolist() == list(range(100, 160))
    assert said(adata, "format") == "cBioPortal"


def geo(frame, end="!series_matrix_table_end\n"):
    quoted = "\t".join(f'"{name}"' for name in frame.index)
    values = "\n".join(
        f'"{gene}"\t' + "\t".join(f"{value:.6g}" for value in frame[gene]) for gene in frame
    )
    tissue = "\t".join('"tissue: breast"' for _ in frame.index)
    return (
        '!Series_title\t"Breast tumours"\n\n'
        f"!Sample_geo_accession\t{quoted}\n!Sample_characteristics_ch1\t{tissue}\n"
        f"!Sample_characteristics_ch1\t{tissue.replace('tissue: breast', 'age: 50')}\n"
        f'!series_matrix_table_begin\n"ID_REF"\t{quoted}\n{values}\n{end}'
    )


def test_geo_series_matrix(tmp_path):
    frame = FRAME.set_axis(GSM).set_axis([f"{200000 + i}_at" for i in range(60)], axis=1)
    adata = read(write(tmp_path / "GSE1_series_matrix.txt.gz", geo(frame), compress=True))
    assert adata.obs_names.tolist() == GSM
    assert_allclose(adata.X, frame.to_numpy(), rtol=1e-5)
    assert said(adata, "gene_ids") == "probe"
    assert adata.obs["characteristics_ch1"].unique().tolist() == ["tissue: breast"]
    assert adata.obs["characteristics_ch1_2"].unique().tolist() == ["age: 50"]


def test_geo_series_matrix_of_rna_seq_has_no_table(tmp_path):
    path = write(
        tmp_path / "GSE2_series_matrix.txt", geo(FRAME.iloc[:, :0]).replace("\n\n!", "\n!")
    )
    with pytest.raises(ValueError, match="supplementary files"):
        read(path)


def gct(frame, genes=None):
    frame = frame.T.rename_axis("Name").reset_index()
    frame.insert(1, "Description", "a gene")
    return f"#1.2\n{genes or len(frame)}\t{frame.shape[1] - 2}\n" + frame.to_csv(
        sep="\t", index=False
    )


def test_gct_of_gtex(tmp_path):
    names = [f"GTEX-111{i}-0226-SM-5GZZ7" for i in range(8)]
    frame = COUNTS.set_axis(names).set_axis(ENSEMBL, axis=1)
    adata = read(write(tmp_path / "gene_reads.gct", gct(frame)))
    assert_same(adata, frame.set_axis([name.split(".")[0] for name in ENSEMBL], axis=1))
    assert adata.var["Description"].unique().tolist() == ["a gene"]


def test_feature_counts(tmp_path):
    frame = COUNTS.set_axis([f"bam/SRR100000{i}.Aligned.sortedByCoord.out.bam" for i in range(8)]).T
    frame = frame.rename_axis("Geneid").reset_index()
    frame[["Chr", "Start", "End", "Strand", "Length"]] = ["1;1", "5;9", "7;11", "+;+", 4]
    frame = frame[["Geneid", "Chr", "Start", "End", "Strand", "Length", *frame.columns[1:9]]]
    text = '# Program:featureCounts v2.0.1; Command:"featureCounts" "-a"\n'
    adata = read(write(tmp_path / "counts.txt", text + frame.to_csv(sep="\t", index=False)))
    assert_same(adata, COUNTS.set_axis([f"SRR100000{i}" for i in range(8)]))
    assert list(adata.var) == ["Chr", "Start", "End", "Strand", "Length"]


def test_feature_counts_of_folders_keep_their_names(tmp_path):
    names = [f"star/S{i}/Aligned.sortedByCoord.out.bam" for i in range(8)]
    frame = COUNTS.set_axis(names).T.rename_axis("Geneid").reset_index()
    frame.insert(1, "Chr", "1")
    frame.insert(2, "Start", 5)
    path = write(tmp_path / "counts.txt", frame.to_csv(sep="\t", index=False))
    assert_same(read(path), COUNTS.set_axis(names))


@pytest.mark.parametrize("sep", [",", "\t", ";", " "])
def test_samples_in_rows_with_labels(tmp_path, sep):
    frame = FRAME.assign(subtype="LumA", age=range(50, 58))
    path = write(tmp_path / "brca.csv", table(frame, sep, "sample_id"))
    with pytest.warns(UserWarning, match="1 columns of numbers are taken for annotations.*'age'"):
        adata = read(path)
    assert_same(adata, FRAME)
    assert adata.obs["subtype"].tolist() == ["LumA"] * 8
    assert adata.obs["age"].tolist() == list(range(50, 58))


def test_table_of_r_names_no_first_column(tmp_path):
    text = table(FRAME.T, " ").removeprefix(" ")
    assert_same(read(write(tmp_path / "write_table.txt", text)), FRAME)


def test_table_without_names_of_samples_loses_no_gene(tmp_path):
    path = write(tmp_path / "unnamed.csv", FRAME.to_csv(index=False))
    assert_same(read(path), FRAME.reset_index(drop=True))


def test_numbers_are_names_where_the_header_says_so(tmp_path):
    frame = COUNTS.set_axis([str(7000 + 3 * i) for i in range(60)], axis=1)
    adata = read(write(tmp_path / "entrez.tsv", table(frame.T, corner="Entrez_Gene_Id")))
    assert_same(adata, frame)
    assert said(adata, "gene_ids") == "Entrez"


def test_labels_are_read_as_they_are_written(tmp_path):
    labels = {"treatment": ["None", "Drug"] * 4, "patient": ["0012", "0013"] * 4}
    path = write(tmp_path / "labels.csv", table(FRAME.assign(**labels), ",", "sample_id"))
    assert read(path).obs.to_dict("list") == labels


LABELS = [
    "response", "OS.time", "overall_survival_months", "tumor_size", "age_at_diagnosis",
    "lymph_nodes_examined_positive",
]  # fmt: skip


def test_labels_of_numbers_become_no_genes():
    frame = FRAME.assign(**dict.fromkeys(LABELS, np.arange(8)))
    with pytest.warns(UserWarning, match="6 columns of numbers are taken for annotations"):
        adata = read(frame)
    assert_same(adata, FRAME)


def test_statistics_of_numbers_become_no_samples():
    statistics = ["baseMean", "log2FoldChange", "padj", "width"]
    frame = COUNTS.set_axis(ENSEMBL, axis=1).T.assign(**dict.fromkeys(statistics, 0.5))
    with pytest.warns(UserWarning, match="4 columns of numbers are taken for annotations"):
        adata = read(frame)
    assert adata.obs_names.tolist() == COUNTS.index.tolist()


@pytest.mark.parametrize("header", ["samples", "SampleID", "Patient ID"])
def test_samples_may_be_numbers_below_a_header(tmp_path, header):
    frame = COUNTS.set_axis([101, 205, 99, 7, 8, 12, 300, 4])
    assert_same(read(write(tmp_path / "numbers.csv", table(frame, ",", header))), frame)


@pytest.mark.parametrize("unlike", ["ESR1_positive", "viable"])
def test_genes_named_unlike_the_others_are_told(unlike):
    frame = COUNTS.set_axis(ENSEMBL, axis=1).assign(**{unlike: 1})
    with pytest.warns(UserWarning, match=f"1 of 61 genes are named unlike the others .'{unlike}'"):
        read(frame)


def test_words_among_symbols_are_told():
    with pytest.warns(UserWarning, match="1 of 61 genes are named unlike the others .'remission'"):
        read(FRAME.assign(remission=1.0))


def test_samples_named_unlike_the_others_are_told():
    frame = COUNTS.set_axis([*GSM[:7], "average"])
    with pytest.warns(UserWarning, match="1 of 8 samples are named unlike the others .'average'"):
        read(frame)


SAMPLES = ["Control", "Treatment", "Normal", "Tumor", "Group", "Tissue", "P1_ID", "P2_ID"]


@pytest.mark.parametrize("corner", ["gene", ""])
def test_samples_called_like_labels_are_samples_where_genes_are_in_rows(tmp_path, corner):
    frame = COUNTS.set_axis(SAMPLES)
    assert_same(read(write(tmp_path / "groups.tsv", table(frame.T, corner=corner))), frame)


def test_samples_of_gct_may_be_called_like_labels(tmp_path):
    frame = COUNTS.set_axis(SAMPLES)
    assert_same(read(write(tmp_path / "groups.gct", gct(frame))), frame)


def test_filtered_frame_is_named_by_its_column_of_genes():
    frame = FRAME.T.rename_axis("gene").reset_index().iloc[[40, 3, 17, 4]]
    assert_same(read(frame), FRAME.iloc[:, [40, 3, 17, 4]])


def test_written_numbering_is_not_taken_for_genes(tmp_path):
    frame = FRAME.T.rename_axis("gene").reset_index().iloc[[40, 3, 17, 4]]
    assert_same(
        read(write(tmp_path / "numbered.csv", frame.to_csv())), FRAME.iloc[:, [40, 3, 17, 4]]
    )


def test_labels_of_numbers_and_text_are_text(tmp_path):
    label = ["1"] * 4 + ["2a"] * 4
    path = write(tmp_path / "grades.csv", table(FRAME.assign(who_grade=label), ",", "sample_id"))
    assert read(path).obs["who_grade"].tolist() == label


def test_parquet(tmp_path):
    FRAME.to_parquet(tmp_path / "brca.parquet")
    assert_same(read(tmp_path / "brca.parquet"), FRAME)


@pytest.fixture
def adata():
    obs = pd.DataFrame({"subtype": BRCA.target.iloc[:8].to_numpy()}, index=FRAME.index)
    adata = anndata.AnnData(FRAME.to_numpy(), obs=obs, var=pd.DataFrame(index=FRAME.columns))
    adata.layers["counts"] = sp.csr_matrix(COUNTS.to_numpy())
    return adata


def test_h5ad(tmp_path, adata):
    adata.write_h5ad(tmp_path / "brca.h5ad")
    found = read(tmp_path / "brca.h5ad")
    assert_same(found, FRAME)
    assert found.obs["subtype"].tolist() == adata.obs["subtype"].tolist()


def test_layer_of_h5ad_stays_sparse(tmp_path, adata):
    adata.write_h5ad(tmp_path / "brca.h5ad")
    found = read(tmp_path / "brca.h5ad", layer="counts")
    assert sp.issparse(found.X)
    assert_array_equal(found.X.toarray(), COUNTS.to_numpy())


def test_zarr(tmp_path, adata):
    pytest.importorskip("zarr")
    with warnings.catch_warnings():  # of versions of zarr's own format
        warnings.simplefilter("ignore")
        adata.write_zarr(tmp_path / "brca.zarr")
    assert_same(read(tmp_path / "brca.zarr"), FRAME)


def test_data_frame_of_genes_in_a_column():
    assert_same(read(FRAME.T.rename_axis("gene").reset_index()), FRAME)


def test_polars_frame():
    polars = pytest.importorskip("polars")
    assert_same(read(polars.from_pandas(FRAME.T.rename_axis("gene").reset_index())), FRAME)


def test_source_is_left_as_it_was(adata):
    before = adata.copy()
    read(adata).X[:] = 0
    assert_array_equal(adata.X, before.X)
    assert "sslgex" not in adata.uns


@pytest.fixture
def archs4(tmp_path):
    path = tmp_path / "human_gene_v2.2.h5"
    with h5py.File(path, "w") as file:
        counts = COUNTS.to_numpy().T.astype(np.uint32)
        file.create_dataset("data/expression", data=counts, chunks=(20, 3), compression="gzip")
        file["meta/genes/symbol"] = [str(name) for name in COUNTS.columns]
        file["meta/samples/geo_accession"] = GSM
        file["meta/samples/series_id"] = ["GSE1"] * 4 + ["GSE2"] * 4
        file["meta/samples/title"] = ["Liver", "lung"] * 4
        file["meta/samples/singlecellprobability"] = np.linspace(0, 1, 8)
    return path


def test_archs4(archs4):
    assert_same(read(archs4), COUNTS.set_axis(GSM))


def test_archs4_samples_come_in_the_order_of_the_file(archs4):
    adata = read(archs4, samples=[GSM[6], GSM[1]])
    assert_same(adata, COUNTS.set_axis(GSM).iloc[[1, 6]])
    assert adata.obs["singlecellprobability"].tolist() == [1 / 7, 6 / 7]


def test_archs4_search_is_a_regular_expression_in_any_case(archs4):
    assert read(archs4, search="^liv.r").obs_names.tolist() == GSM[::2]


def test_archs4_samples_and_search_both_select(archs4):
    assert read(archs4, samples=GSM[:3], search="liver").obs_names.tolist() == [GSM[0], GSM[2]]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"samples": ["GSM1", GSM[0]]}, r"lacks 1 of 2 samples \(first: GSM1\)"),
        ({"search": "kidney"}, "none of 8 samples is left"),
        ({"search": "("}, "no regular expression"),
    ],
)
def test_archs4_refuses_a_selection_of_nothing(archs4, selection, message):
    with pytest.raises(ValueError, match=message):
        read(archs4, **selection)


def test_archs4_refuses_to_read_everything_of_a_large_file(archs4, monkeypatch):
    monkeypatch.setattr(_hdf5, "LARGEST_ARCHS4", 7)
    with pytest.raises(ValueError, match=r"8 samples, .* up to 7 are read at once"):
        read(archs4)


def test_samples_of_another_format_are_refused(xena):
    with pytest.raises(ValueError, match=r"HiSeqV2.gz .* samples and search select"):
        read(xena, samples=GSM)


# ---------------------------------------------------------------------------- conclusions


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


# ------------------------------------------------------------------------------- bad input


def test_duplicate_samples_are_refused():
    frame = FRAME.set_axis([*FRAME.index[:7], FRAME.index[0]])
    with pytest.raises(ValueError, match=r"names must be unique.*samples number 1, 8"):
        read(frame)


def test_last_row_cut(tmp_path):
    path = write(tmp_path / "cut.tsv", table(FRAME.T, corner="sample")[:-30])
    with pytest.raises(ValueError, match=r"cut.tsv .* last row has \d of 9 fields"):
        read(path)


def test_last_row_cut_before_a_label(tmp_path):
    text = table(FRAME.assign(age=50), corner="sample_id")
    with pytest.raises(ValueError, match="last row has 61 of 62 fields"):
        read(write(tmp_path / "cut.tsv", text[: text.rindex("\t")]))


def test_row_of_too_many_fields(tmp_path):
    lines = table(FRAME.T, corner="sample").splitlines()
    lines[30] += "\t1.5"
    path = write(tmp_path / "long.tsv", "\n".join(lines))
    with pytest.raises(ValueError, match="line 31 has 10 fields, the header has 9"):
        read(path)


def test_gzip_cut(tmp_path, xena):
    path = write(tmp_path / "cut.tsv.gz", xena.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"cut.tsv.gz cannot be read as gzip"):
        read(path)


def test_gct_of_fewer_rows_than_stated(tmp_path):
    with pytest.raises(ValueError, match="states 61 rows and 8 samples, and has 60 and 8"):
        read(write(tmp_path / "cut.gct", gct(COUNTS, genes=61)))


def test_geo_series_matrix_without_its_end(tmp_path):
    with pytest.raises(ValueError, match="no line !series_matrix_table_end"):
        read(write(tmp_path / "cut.txt", geo(FRAME.set_axis(GSM), end="")))


def test_parquet_cut(tmp_path):
    FRAME.to_parquet(tmp_path / "whole.parquet")
    path = write(tmp_path / "cut.parquet", (tmp_path / "whole.parquet").read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"cut.parquet cannot be read as parquet"):
        read(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_h5ad_cut(tmp_path, adata, share):
    adata.write_h5ad(tmp_path / "whole.h5ad")
    whole = (tmp_path / "whole.h5ad").read_bytes()
    path = write(tmp_path / "cut.h5ad", whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"cut.h5ad cannot be read as HDF5"):
        read(path)


def test_archs4_cut(tmp_path, archs4):
    path = write(tmp_path / "cut.h5", archs4.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"cut.h5 cannot be read as HDF5"):
        read(path)


def test_hdf5_of_another_kind(tmp_path):
    with h5py.File(tmp_path / "10x.h5", "w") as file:
        file["matrix/data"] = [1]
    with pytest.raises(ValueError, match=r"neither h5ad .* 'matrix'.*read_10x_h5"):
        read(tmp_path / "10x.h5")


def test_absent_layer(tmp_path, adata):
    adata.write_h5ad(tmp_path / "brca.h5ad")
    with pytest.raises(ValueError, match=r"brca.h5ad has no layer 'tpm'; it has \['counts'\]"):
        read(tmp_path / "brca.h5ad", layer="tpm")


def test_layer_of_a_table(xena):
    with pytest.raises(ValueError, match="'counts' is a layer of an AnnData"):
        read(xena, layer="counts")


def test_gzip_is_told_by_its_bytes(tmp_path, xena):
    path = write(tmp_path / "unnamed.tsv", xena.read_bytes())
    assert_same(read(path), FRAME)


def test_text_named_gz_is_read(tmp_path):
    adata = read(write(tmp_path / "unpacked.tsv.gz", table(FRAME.T, corner="sample")))
    assert_same(adata, FRAME)
    assert said(adata, "compression") == "none, whatever the name says"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"bad.tsv.gz is empty \(0 bytes\)"),
        (b"\n \n", "bad.tsv.gz is empty"),
        (b"<!DOCTYPE html><html>503</html>", "bad.tsv.gz is a web page"),
        (b"PK\x03\x04" + b"\x00" * 40, "bad.tsv.gz is a spreadsheet"),
        (b"\x01\x02\x00\x03" * 9, "bad.tsv.gz is named .gz but no gzip"),
        ("\ufeffa\tb".encode("utf-16"), "bad.tsv.gz is UTF-16"),
        (b"\x1f\x8b\x08 no gzip at all", "bad.tsv.gz cannot be read as gzip"),
        (gzip.compress(b"", mtime=0), "bad.tsv.gz is empty"),
        (b"word", "bad.tsv.gz has a single column"),
        (b"gene\tx\rTP53\t1\r", "bad.tsv.gz has line ends of old Macintosh"),
        (b"TP53\t12\nBRCA1\t3\n", "bad.tsv.gz has no header"),
        (b"Name\tLength\tTPM\tNumReads\nENST00000456328\t9\t1.5\t3\n", "is of one sample"),
        (b"gene\tTCGA-3C-AAAU", "bad.tsv.gz has a header and no rows"),
        (b"gene\tTCGA-3C-AAAU\nTP53\thigh\n", "bad.tsv.gz has no column of numbers"),
    ],
)
def test_what_is_no_matrix_is_told(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path / "bad.tsv.gz", content))


@pytest.mark.parametrize(("package", "extra"), [("pyarrow", "parquet"), ("h5py", "anndata")])
def test_missing_package_names_its_extra(tmp_path, adata, monkeypatch, package, extra):
    path = tmp_path / "brca"
    if extra == "parquet":
        FRAME.to_parquet(path)
    else:
        adata.write_h5ad(path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'requires {package} .* "sslgex\[{extra}\]"'):
        read(path)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*absent.tsv"):
        read(tmp_path / "absent.tsv")


def test_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read(tmp_path)


def test_complex_numbers_are_refused(adata):
    adata.X = adata.X * 1j
    with pytest.raises(ValueError, match="must hold real numbers, got dtype complex128"):
        read(adata)


@pytest.mark.parametrize("source", [FRAME.to_numpy(), [[1, 2]], None, 3])
def test_source_without_names(source):
    with pytest.raises(TypeError, match=r"names of genes|must be a path"):
        read(source)


def test_text_in_the_matrix_is_located(tmp_path):
    frame = FRAME.T.astype(object)
    frame.iloc[17, 2] = "n.d."
    path = write(tmp_path / "text.tsv", table(frame, corner="sample"))
    place = f"Row '{FRAME.columns[17]}' .number 18., column '{FRAME.index[2]}' holds 'n.d.'"
    with pytest.raises(ValueError, match=place):
        read(path)


@pytest.mark.parametrize("sep", ["\t", ";"])
def test_decimal_commas(tmp_path, sep):
    path = write(tmp_path / "deutsch.csv", table(FRAME, sep, "sample", decimal=","))
    assert_same(read(path), FRAME)


def test_thousands_are_not_guessed(tmp_path):
    frame = (COUNTS * 100 + 1000).map(lambda n: f"{n:,}")
    with pytest.raises(ValueError, match="may be a decimal or a number in thousands"):
        read(write(tmp_path / "thousands.tsv", table(frame, corner="sample")))


@pytest.mark.parametrize("first", ["0", "7"])
def test_decimal_commas_late_in_a_file_are_told(tmp_path, first):
    frame = FRAME.T.map(lambda value: f"{value:.2f}".replace(".", ","))
    frame.iloc[:25] = first
    path = write(tmp_path / "late.csv", table(frame, ";", "gene"))
    with pytest.raises(ValueError, match=rf"column '{FRAME.index[0]}' holds '-?\d+,\d\d'"):
        read(path)


def test_lists_of_numbers_beside_decimal_points_make_no_decimal_commas(tmp_path):
    frame = FRAME.round(2).T.assign(exons="1,2")
    with pytest.raises(ValueError, match=r"column 'exons' holds '1,2'.*take the column out"):
        read(write(tmp_path / "lists.tsv", table(frame, corner="gene")))


def test_columns_called_like_statistics_only_are_no_matrix():
    frame = FRAME.T.iloc[:, :2].set_axis(["logFC", "padj"], axis=1)
    with pytest.raises(ValueError, match=r"no column of numbers that are measurements.*'logFC'"):
        read(frame)


def test_labels_without_any_value_stay_labels(tmp_path):
    path = write(tmp_path / "empty.csv", table(FRAME.assign(age=""), ",", "sample_id"))
    with pytest.warns(UserWarning, match="taken for annotations"):
        assert_same(read(path), FRAME)


def test_decimal_commas_of_one_sample_are_told(tmp_path):
    frame = COUNTS.T.astype(object)
    frame.iloc[25:, 3] = "3,25"
    with pytest.raises(ValueError, match=f"column '{FRAME.index[3]}' holds '3,25'"):
        read(write(tmp_path / "late.csv", table(frame, ";", "gene")))


def test_quoted_thousands_of_one_sample_are_told(tmp_path):
    frame = COUNTS.T.astype(object)
    frame.iloc[:, 2] = [f"{1000 + n:,}" for n in COUNTS.iloc[2]]
    with pytest.raises(ValueError, match=rf"column '{FRAME.index[2]}' holds '1,\d\d\d'"):
        read(write(tmp_path / "thousands.csv", table(frame, ",", "gene")))


def test_points_of_thousands_are_not_guessed(tmp_path):
    frame = (COUNTS * 7 + 400).T.map(lambda n: f"{n:,}".replace(",", "."))
    with pytest.raises(ValueError, match="may be a decimal or a number in thousands"):
        read(write(tmp_path / "tausend.csv", table(frame, ";", "gene")))


def test_three_decimals_everywhere_are_decimals(tmp_path):
    frame = (FRAME - FRAME.min().min() + 2).round(3)
    path = write(tmp_path / "three.tsv", table(frame.T, corner="gene", float_format="%.3f"))
    assert_same(read(path), frame)


@pytest.mark.parametrize("n", [5, 45])
def test_sample_of_cells_without_value_becomes_no_annotation(tmp_path, n):
    frame = COUNTS.T.astype(object)
    frame.iloc[:n, 2] = "n.d."
    with pytest.raises(ValueError, match=f"column '{FRAME.index[2]}' holds 'n.d.'; {n} of 60"):
        read(write(tmp_path / "text.tsv", table(frame, corner="gene")))


@pytest.mark.parametrize("n", [20, 60])
def test_header_that_may_be_one_short_is_not_guessed(tmp_path, n):
    frame = COUNTS.T.astype(object)
    frame.iloc[:n, -1] = ""
    path = write(tmp_path / "write_table.tsv", table(frame).removeprefix("\t"))
    with pytest.raises(ValueError, match=r"rows have one field more than the header"):
        read(path)


def test_values_below_no_name_are_refused(tmp_path):
    frame = COUNTS.T.astype(object)
    frame.iloc[:20, -1] = ""
    path = write(
        tmp_path / "short.tsv", table(frame.set_axis([*GSM[:7], ""], axis=1), corner="gene")
    )
    with pytest.raises(ValueError, match="column number 9 has values and no name"):
        read(path)


@pytest.mark.parametrize("ends", [",", ",,", ",,,"])
def test_empty_columns_and_rows_of_spreadsheets_are_dropped(tmp_path, ends):
    text = table(FRAME.T, ",", "gene").replace("\n", f"{ends}\n") + "," * (8 + len(ends)) + "\n"
    assert_same(read(write(tmp_path / "excel.csv", text)), FRAME)


def test_rows_that_an_open_quote_runs_together_are_told(tmp_path):
    lines = table(COUNTS.T.assign(note="a"), corner="gene").splitlines()
    lines[4] += '"'
    lines[4], lines[9] = lines[4].replace("\ta", '\t"a'), lines[9].replace("\ta", '\t"a')
    lines[4] = lines[4].rstrip('"')
    with pytest.raises(ValueError, match="a quotation mark opens before 'a"):
        read(write(tmp_path / "quotes.tsv", "\n".join(lines) + "\n"))


def test_byte_order_mark(tmp_path):
    path = write(tmp_path / "bom.csv", ("\ufeff" + table(FRAME.T, ",", "gene")).encode())
    assert_same(read(path), FRAME)


def test_windows_line_ends(tmp_path):
    path = write(tmp_path / "dos.tsv", table(FRAME.T, corner="gene", lineterminator="\r\n"))
    assert_same(read(path), FRAME)


@pytest.mark.parametrize(
    "parameter",
    [{"orientation": "rows"}, {"gene_ids": "entrez"}, {"unit": "tpm"}, {"duplicates": "drop"}],
)
def test_unknown_choice(parameter):
    with pytest.raises(ValueError, match="must be 'auto' or one of"):
        read(FRAME, **parameter)


def test_warnings_point_at_the_line_of_the_user():
    with pytest.warns(UserWarning, match="dates") as caught:
        read(FRAME.rename(columns={FRAME.columns[9]: "1-Mar"}))
    assert caught[0].filename == __file__


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), compress=st.booleans())
def test_a_file_cut_anywhere_is_refused_or_whole_rows(tmp_path, data, compress):
    whole = table(FRAME.T, corner="sample").encode()
    whole = gzip.compress(whole, mtime=0) if compress else whole
    cut = data.draw(st.integers(0, len(whole) - 1))
    path = write(tmp_path / "cut", whole[:cut])
    try:
        adata = read(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017 (a cut between two rows is no error)
    else:
        assert not compress
        assert_allclose(adata.X[:, :-1], FRAME.to_numpy()[:, : adata.n_vars - 1], rtol=1e-6)


# --------------------------------------------------------------------- recipes of the docs


@pytest.fixture
def gdc(tmp_path, monkeypatch):
    """Go to a folder that holds what GDC delivers: a folder and a file per sample, and a sheet."""
    sheet = []
    for i, (sample, counts) in enumerate(COUNTS.iterrows()):
        frame = pd.DataFrame({"gene_id": ENSEMBL, "gene_name": COUNTS.columns, "gene_type": "x"})
        frame[["unstranded", "stranded_first"]] = np.stack([counts, counts // 2], axis=1)
        tallies = [[name, None, None, 5, 5] for name in ("N_unmapped", "N_ambiguous")]
        frame = pd.concat([pd.DataFrame(tallies, columns=frame.columns), frame])
        folder = tmp_path / "gdc" / f"{i:08d}"
        folder.mkdir(parents=True)
        name = f"{9 - i:08d}.rna_seq.augmented_star_gene_counts.tsv"
        text = "# gene-model: GENCODE v36\n" + frame.to_csv(sep="\t", index=False)
        write(folder / name, text)
        sheet.append({"File ID": folder.name, "File Name": name, "Sample ID": f"{sample}-01A"})
    pd.DataFrame(sheet).to_csv(tmp_path / "gdc_sample_sheet.tsv", sep="\t", index=False)
    monkeypatch.chdir(tmp_path)


def test_recipe_for_gdc(gdc):
    page = (Path(__file__).parents[1] / "docs" / "reading.rst").read_text(encoding="utf-8")
    block = page.split(":name: gdc-recipe\n")[1].split("\n\nThe four rows")[0]
    names = {}
    exec(textwrap.dedent(block), names)
    expected = COUNTS.set_axis([f"{name}-01A" for name in COUNTS.index])
    expected = expected.set_axis([name.split(".")[0] for name in ENSEMBL], axis=1)
    assert_same(names["adata"], expected)


def firehose(folder):
    """Write a file as Firehose has it: a second line of header, symbols with Entrez ids."""
    names = [f"{symbol}|{i + 3}" for i, symbol in enumerate(COUNTS.columns)]
    names[-2:] = "?|100130426", f"{COUNTS.columns[0]}|99"
    lines = table(COUNTS.set_axis(names, axis=1).T, corner="Hybridization REF").splitlines()
    lines.insert(1, "gene_id" + "\tnormalized_count" * 8)
    return write(folder / "BRCA.rnaseqv2.txt", "\n".join(lines) + "\n")


def test_second_line_of_header_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"Row 'gene_id' .*holds 'normalized_count'"):
        read(firehose(tmp_path))


def test_recipe_for_firehose(tmp_path, monkeypatch):
    firehose(tmp_path)
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[1] / "docs" / "reading.rst").read_text(encoding="utf-8")
    names = {}
    exec(textwrap.dedent(page.split(":name: firehose-recipe\n")[1]), names)
    expected = COUNTS.iloc[:, :58].copy()
    expected.iloc[:, 0] += COUNTS.iloc[:, 59]
    assert_same(names["adata"], expected)


def test_a_single_file_of_gdc_is_refused(gdc):
    file = next(Path("gdc").rglob("*.tsv"))
    with pytest.raises(ValueError, match=r"of one sample: its columns are 'unstranded'"):
        read(file)


def test_recount3(tmp_path):
    head = "##annotation=G026\n##date.generated=2019-11-11\n"
    frame = COUNTS.set_axis([f"SRR38744{i}" for i in range(8)]).set_axis(ENSEMBL, axis=1)
    path = write(tmp_path / "sra.gz", head + table(frame.T, corner="gene_id"), compress=True)
    assert_array_equal(read(path, unit="linear").X, COUNTS.to_numpy())
