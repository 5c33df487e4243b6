"""read_expression: every format, and what of a table is a value, a name or an annotation."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from expression_files import (
    COUNTS,
    ENSEMBL,
    FRAME,
    GSM,
    assert_same,
    gct,
    geo,
    read,
    said,
    table,
    write,
)
from numpy.testing import assert_allclose, assert_array_equal

from sslgex.datasets import _hdf5


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
