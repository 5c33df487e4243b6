"""The study's data sets, built from small files of the layouts of their sources."""

import gzip
import textwrap
from functools import partial
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.pipeline import make_pipeline

from sslgex import ScarfTransformer
from sslgex.datasets import build_archs4, build_tcga, common_genes
from sslgex.datasets._archs4_file import ARCHS4File
from sslgex.datasets._organs import find_organs, keywords_of

GENES = [f"ENSG{i:011d}.{i % 5 + 1}" for i in range(30)]


# ---- TCGA -------------------------------------------------------------------------------------


def log_values(n_genes, n_samples, seed=0):
    values = np.random.default_rng(seed).gamma(1, 3, size=(n_genes, n_samples)).round(4)
    values[0] = 0
    return values


def write_xena(folder, project, barcodes, values=None, genes=GENES, unit="star_tpm", extra=""):
    if values is None:
        values = log_values(len(genes), len(barcodes))
    frame = pd.DataFrame(values, index=pd.Index(genes, name="Ensembl_ID"), columns=barcodes)
    path = folder / f"{project}.{unit}.tsv.gz"
    with gzip.open(path, "wt") as file:
        file.write(frame.to_csv(sep="\t") + extra)
    return path


@pytest.fixture
def hub(tmp_path):
    """Two projects, out of alphabetical order, and what else lies in such a folder."""
    write_xena(tmp_path, "TCGA-LUAD", ["TCGA-05-0001-01A", "TCGA-05-0002-01A", "TCGA-05-0001-11A"])
    write_xena(
        tmp_path,
        "TCGA-BRCA",
        # a second vial before the first, normal tissue, a metastasis, a control
        [f"TCGA-A1-{s}" for s in ("0001-01B", "0001-01A", "0001-11A", "0002-06A", "0003-20A")],
        extra="__no_feature\t1\t2\t3\t4\t5\n",
    )
    (tmp_path / "TCGA-BRCA.clinical.tsv.gz").write_bytes(b"not read")
    return tmp_path


def test_tcga_labels_are_cancers_and_one_pooled_normal(hub):
    adata = build_tcga(hub, verbose=0)
    assert adata.uns["class_counts"] == {"BRCA": 2, "LUAD": 2, "Normal": 2}


def test_tcga_values_are_those_of_the_files(hub):
    adata = build_tcga(hub, verbose=0)
    frame = pd.read_csv(hub / "TCGA-LUAD.star_tpm.tsv.gz", sep="\t", index_col=0)
    X = adata[list(frame.columns)].X
    np.testing.assert_array_equal(X, frame.to_numpy(np.float32).T)


def test_tcga_is_float32_in_rows_of_samples(hub):
    adata = build_tcga(hub, verbose=0)
    assert (adata.X.dtype, adata.X.flags.c_contiguous) == (np.float32, True)


def test_tcga_keeps_the_first_vial_of_a_sample(hub):
    names = build_tcga(hub, verbose=0).obs_names
    assert [n for n in names if n.startswith("TCGA-A1-0001-01")] == ["TCGA-A1-0001-01A"]


def test_tcga_counts_what_it_leaves_out(hub):
    assert build_tcga(hub, verbose=0).uns["left_out"] == {
        "controls": 1,
        "duplicates": 1,
        "in_small_classes": 0,
        "summary_rows": 1,
        "genes_not_in_all_files": 0,
    }


def test_tcga_tumour_and_normal_of_a_patient_share_the_patient(hub):
    obs = build_tcga(hub, verbose=0).obs
    labels = obs.loc[obs["patient"] == "TCGA-05-0001", "label"]
    assert sorted(labels) == ["LUAD", "Normal"]


def test_tcga_a_metastasis_is_a_tumour(hub):
    assert build_tcga(hub, verbose=0).obs.loc["TCGA-A1-0002-06A", "label"] == "BRCA"


def test_tcga_gene_names_lose_their_versions(hub):
    adata = build_tcga(hub, verbose=0)
    assert list(adata.var_names) == [name.split(".")[0] for name in GENES]


def test_tcga_gene_names_as_written_are_kept_beside(hub):
    assert list(build_tcga(hub, verbose=0).var["ensembl_id"]) == GENES


def test_tcga_counts_genes_without_any_value(hub):
    assert build_tcga(hub, verbose=0).uns["n_all_zero_genes"] == 1


def test_tcga_says_its_unit(hub):
    assert build_tcga(hub, verbose=0).uns["unit"] == "log2(star_tpm + 1)"


def test_tcga_leaves_out_small_classes(hub):
    write_xena(hub, "TCGA-UVM", ["TCGA-U1-0001-01A"])
    assert "UVM" not in build_tcga(hub, min_samples=2, verbose=0).uns["class_counts"]


def test_tcga_says_that_no_class_is_large_enough(hub):
    with pytest.raises(ValueError, match=r"No class has 5 samples\. There are BRCA 2, LUAD 2"):
        build_tcga(hub, min_samples=5)


def test_tcga_is_written_as_h5ad_and_read_back(hub, tmp_path):
    adata = build_tcga(hub, verbose=0)
    adata.write_h5ad(tmp_path / "tcga.h5ad")
    read = anndata.read_h5ad(tmp_path / "tcga.h5ad")
    assert read.uns["class_counts"] == adata.uns["class_counts"]


def test_tcga_prints_class_counts(hub, capsys):
    build_tcga(hub)
    assert "Classes: BRCA 2, LUAD 2, Normal 2" in capsys.readouterr().out


def test_tcga_is_silent_when_told(hub, capsys):
    build_tcga(hub, verbose=0)
    assert capsys.readouterr().out == ""


def test_tcga_takes_a_list_of_files(hub):
    adata = build_tcga([hub / "TCGA-LUAD.star_tpm.tsv.gz"], verbose=0)
    assert set(adata.obs["project"]) == {"TCGA-LUAD"}


def test_tcga_takes_files_that_are_unpacked(hub):
    packed = build_tcga(hub, verbose=0)
    for path in hub.glob("*.star_tpm.tsv.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    np.testing.assert_array_equal(build_tcga(hub, verbose=0).X, packed.X)


def test_tcga_joins_genes_in_another_order(hub):
    expected = build_tcga(hub, verbose=0)
    path = hub / "TCGA-LUAD.star_tpm.tsv.gz"
    frame = pd.read_csv(path, sep="\t", index_col=0, float_precision="round_trip")
    frame.iloc[::-1].to_csv(path, sep="\t")
    np.testing.assert_array_equal(build_tcga(hub, verbose=0).X, expected.X)


def test_tcga_counts_genes_that_not_all_files_have(hub):
    # TCGA-ACC comes first: one gene of its own, and it lacks two of the others.
    genes = [*GENES[2:], "ENSG00000099999.1"]
    write_xena(hub, "TCGA-ACC", ["TCGA-C1-0001-01A"], genes=genes)
    adata = build_tcga(hub, verbose=0)
    assert (adata.n_vars, adata.uns["left_out"]["genes_not_in_all_files"]) == (28, 3)


def test_tcga_joins_genes_of_different_versions(hub):
    genes = [name.split(".")[0] + ".99" for name in GENES]
    write_xena(hub, "TCGA-UVM", ["TCGA-U1-0001-01A"], genes=genes)
    assert list(build_tcga(hub, verbose=0).var["ensembl_id"]) == GENES


def test_tcga_warns_where_many_genes_are_left_out(hub):
    write_xena(hub, "TCGA-ACC", ["TCGA-C1-0001-01A"], genes=GENES[4:])
    with pytest.warns(UserWarning, match="4 of 30 genes are left out"):
        build_tcga(hub, verbose=0)


def test_tcga_keeps_an_old_name_of_a_copy_on_y_as_another_locus(tmp_path):
    genes = ["ENSG00000002586.16", "ENSGR0000002586.16"]
    write_xena(tmp_path, "TCGA-ACC", ["TCGA-C1-0001-01A"], genes=genes)
    names = build_tcga(tmp_path, verbose=0).var_names
    assert list(names) == ["ENSG00000002586", "ENSGR0000002586"]


def test_tcga_reads_more_genes_than_a_block(tmp_path):
    genes = [f"ENSG{i:011d}.1" for i in range(4500)]
    values = log_values(4500, 2)
    write_xena(tmp_path, "TCGA-ACC", ["TCGA-C1-0001-01A", "TCGA-C1-0002-01A"], values, genes)
    adata = build_tcga(tmp_path, verbose=0)
    np.testing.assert_array_equal(adata.X, values.T.astype(np.float32))


def test_tcga_refuses_a_gzip_that_is_cut(hub):
    path = hub / "TCGA-LUAD.star_tpm.tsv.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"TCGA-LUAD.*is cut or damaged"):
        build_tcga(hub, verbose=0)


def test_tcga_refuses_a_text_that_is_cut(hub):
    path = hub / "TCGA-LUAD.star_tpm.tsv.gz"
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes())[:-30])
    path.unlink()
    with pytest.raises(ValueError, match=r"TCGA-LUAD.*has the value nan"):
        build_tcga(hub, verbose=0)


def test_tcga_refuses_what_is_not_gzip(hub):
    path = hub / "TCGA-LUAD.star_tpm.tsv.gz"
    path.write_text("<html>not found</html>")
    with pytest.raises(ValueError, match="is not what its name says"):
        build_tcga(hub, verbose=0)


def test_tcga_refuses_a_page_in_place_of_the_matrix(hub):
    path = hub / "TCGA-UVM.star_tpm.tsv"
    path.write_text("<html>not found</html>")
    with pytest.raises(ValueError, match="tab-separated matrix of genes x samples"):
        build_tcga(hub, verbose=0)


def test_tcga_refuses_a_transposed_file(tmp_path):
    frame = pd.DataFrame(log_values(2, 30), columns=GENES, index=["TCGA-A-1", "TCGA-A-2"])
    frame.to_csv(tmp_path / "TCGA-ACC.star_tpm.tsv.gz", sep="\t")
    with pytest.raises(ValueError, match="Its columns are genes: transpose it"):
        build_tcga(tmp_path)


def test_tcga_refuses_rows_that_are_no_genes(tmp_path):
    write_xena(tmp_path, "TCGA-ACC", ["TCGA-C1-0001-01A"], genes=["hsa-mir-21"] * 3)
    with pytest.raises(ValueError, match="0 of 3 rows are Ensembl genes"):
        build_tcga(tmp_path)


def test_tcga_refuses_text_among_the_values(tmp_path):
    write_xena(tmp_path, "TCGA-ACC", ["TCGA-C1-0001-01A"], extra="ENSG00000099999.1\tmuch\n")
    with pytest.raises(ValueError, match=r"TCGA-ACC\.star_tpm\.tsv\.gz: .*'much'"):
        build_tcga(tmp_path)


def test_tcga_refuses_values_without_log(tmp_path):
    values = np.full((30, 1), 1500.0)
    write_xena(tmp_path, "TCGA-ACC", ["TCGA-C1-0001-01A"], values)
    with pytest.raises(ValueError, match="has the value 1500, but log2"):
        build_tcga(tmp_path)


def test_tcga_refuses_a_project_that_comes_twice(hub, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    again = write_xena(other, "TCGA-LUAD", ["TCGA-05-0009-01A"])
    with pytest.raises(ValueError, match="TCGA-LUAD comes twice"):
        build_tcga([hub / "TCGA-LUAD.star_tpm.tsv.gz", again])


def test_tcga_refuses_a_sample_under_two_labels(hub):
    write_xena(hub, "TCGA-LUSC", ["TCGA-05-0001-01A"])
    with pytest.raises(ValueError, match="Sample TCGA-05-0001-01 is in TCGA-LUAD and in TCGA-LUSC"):
        build_tcga(hub)


def test_tcga_refuses_mixed_units(hub):
    write_xena(hub, "TCGA-LUAD", ["TCGA-05-0001-01A"], unit="star_counts")
    with pytest.raises(ValueError, match="must not be mixed: 2 of star_tpm, 1 of star_counts"):
        build_tcga(hub)


def test_tcga_takes_the_unit_asked_for(hub):
    write_xena(hub, "TCGA-LUAD", ["TCGA-05-0001-01A"], unit="star_counts")
    adata = build_tcga(hub, unit="star_counts", verbose=0)
    assert adata.uns["unit"] == "log2(star_counts + 1)"


def test_tcga_says_that_a_folder_has_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"named like TCGA-BRCA\.star_tpm\.tsv\.gz"):
        build_tcga(tmp_path)


def test_tcga_says_that_there_is_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file or folder"):
        build_tcga(tmp_path / "nowhere")


def test_tcga_refuses_a_file_of_another_name(hub):
    with pytest.raises(ValueError, match="is not named as the expression files"):
        build_tcga([hub / "TCGA-BRCA.clinical.tsv.gz"])


# ---- ARCHS4 -----------------------------------------------------------------------------------

TITLES = ["Liver_rep1", "colon", "Fetal livers", "delivery room", "colon, liver metastasis"]
TITLES += ["HEPATOCYTES, sorted", "single liver cell"]
SERIES = ["GSE1", "GSE1,GSE2", "GSE2", "GSE3", "GSE4", "GSE4", "GSE5"]
COUNTS = np.random.default_rng(1).integers(1, 2**32 - 1, size=(len(GENES), 7), dtype=np.uint32)
BARE = [name.split(".")[0] for name in GENES]
SYMBOLS = [f"SYM{i}" for i in range(len(GENES))]


def write_archs4(path, version=2, text="bytes", leave_out=(), **storage):
    """Write a file as versions 1 (early), 1.11 and 2 have it."""
    encode = {
        "str": list,
        "bytes": lambda names: [name.encode() for name in names],
        "fixed": lambda names: np.array(names, dtype="S"),
    }[text]
    fields = {
        "geo_accession": encode([f"GSM{i}" for i in range(7)]),
        "series_id": encode(SERIES),
        "title": encode(TITLES),
        "source_name_ch1": encode(["tissue"] * 7),
        "characteristics_ch1": encode(["sex: male"] * 7),
        "singlecellprobability": np.array([0.1, 0.2, 0, 0.1, 0, 0.49, 0.5]),
    }
    prefix = "meta/Sample_" if version == 1 else "meta/samples/"
    parts = {prefix + field: values for field, values in fields.items()}
    parts |= {
        1: {"meta/genes": encode(SYMBOLS)},
        1.11: {
            "meta/genes/gene_symbol": encode(SYMBOLS),
            "meta/genes/ensembl_gene_id": encode(BARE),
        },
        2: {"meta/genes/symbol": encode(SYMBOLS), "meta/genes/ensembl_gene": encode(BARE)},
    }[version]
    with h5py.File(path, "w") as file:
        counts = COUNTS.T if version == 1 else COUNTS
        file.create_dataset("data/expression", data=counts, **storage)
        for name, values in parts.items():
            if not name.endswith(tuple(leave_out) or ("\0",)):
                file[name] = values
    return path


@pytest.fixture
def archs4(tmp_path):
    return write_archs4(tmp_path / "human_gene_v2.2.h5", chunks=(8, 2), compression="gzip")


@pytest.mark.parametrize("version", [1, 1.11, 2])
@pytest.mark.parametrize("text", ["str", "bytes", "fixed"])
def test_archs4_labels_are_the_same_of_every_version(tmp_path, version, text):
    path = write_archs4(tmp_path / "human.h5", version, text)
    obs = build_archs4(path, organs=["liver", "colon"], verbose=0).obs
    assert dict(obs["label"]) == {
        "GSM0": "liver",
        "GSM1": "colon",
        "GSM2": "liver",
        "GSM5": "liver",
    }


@pytest.mark.parametrize(
    ("version", "storage"),
    [
        (1, {"chunks": (3, 7)}),
        (2, {}),
        (2, {"chunks": (30, 1)}),
        (2, {"chunks": (7, 3), "compression": "gzip"}),
        (2, {"chunks": (1, 7)}),
    ],
    ids=str,
)
def test_archs4_counts_are_those_of_the_file_however_stored(tmp_path, version, storage):
    adata = build_archs4(write_archs4(tmp_path / "human.h5", version, **storage), verbose=0)
    np.testing.assert_array_equal(adata.X, COUNTS[:, [0, 1, 2, 5]].T)


def test_archs4_counts_come_in_the_order_asked_for(archs4):
    wanted = [6, 0, 3, 3]
    with ARCHS4File(archs4) as file:
        np.testing.assert_array_equal(file.counts(wanted), COUNTS[:, wanted].T)


def test_archs4_counts_are_read_in_blocks_of_the_memory_allowed(archs4, monkeypatch):
    monkeypatch.setattr("sslgex.datasets._archs4_file._BLOCK", 2 * 8 * 4)
    with ARCHS4File(archs4) as file:
        np.testing.assert_array_equal(file.counts(), COUNTS.T)


def test_archs4_counts_are_unsigned_integers(archs4):
    assert build_archs4(archs4, verbose=0).X.dtype == np.uint32


def test_archs4_names_genes_by_ensembl_with_symbols_beside(archs4):
    var = build_archs4(archs4, verbose=0).var
    assert (list(var.index), list(var["symbol"])) == (BARE, SYMBOLS)


def test_archs4_names_genes_by_symbol_where_there_is_nothing_else(tmp_path):
    adata = build_archs4(write_archs4(tmp_path / "human.h5", 1), verbose=0)
    assert list(adata.var_names) == SYMBOLS


def test_archs4_counts_what_it_leaves_out(archs4):
    assert build_archs4(archs4, organs=["liver", "colon"], verbose=0).uns["left_out"] == {
        "single_cells": 1,
        "without_keyword": 1,
        "of_several_organs": 1,
        "in_small_classes": 0,
        "beyond_max_per_organ": 0,
    }


def test_archs4_keeps_single_cells_when_told(archs4):
    adata = build_archs4(archs4, max_single_cell_probability=None, verbose=0)
    assert "GSM6" in adata.obs_names


def test_archs4_series_tied_by_a_sample_are_one_study(archs4):
    study = build_archs4(archs4, verbose=0).obs["study"]
    assert study.to_dict() == {"GSM0": "GSE1", "GSM1": "GSE1", "GSM2": "GSE1", "GSM5": "GSE4"}


def test_archs4_text_is_what_was_searched(archs4):
    adata = build_archs4(archs4, verbose=0)
    assert adata.obs.loc["GSM1", "text"] == "tissue | colon | sex: male"


def test_archs4_takes_keywords_of_ones_own(archs4):
    adata = build_archs4(archs4, organs={"hospital": ["delivery room"]}, verbose=0)
    assert list(adata.obs_names) == ["GSM3"]


@pytest.mark.parametrize(
    ("keyword", "found"),
    [
        ("liver", {"GSM0", "GSM2", "GSM4", "GSM6"}),  # Liver_rep1, livers, but not delivery
        ("LIVERS", {"GSM2"}),
        ("rep1", {"GSM0"}),
        ("rep", {"GSM0"}),
        ("single  liver-cell", {"GSM6"}),
    ],
)
def test_archs4_keywords_are_whole_words_in_any_case(archs4, keyword, found):
    organs = {"organ": [keyword]}
    adata = build_archs4(archs4, organs=organs, max_single_cell_probability=None, verbose=0)
    assert set(adata.obs_names) == found


@pytest.mark.parametrize(
    "text",
    [
        "bone marrow mononuclear cells",
        "iPSC + bone morphogenetic protein 4",
        "internal mammary artery",
        "gall bladder",
        "macrophages, liver X receptor agonist",
        "MCF10A, hepatocyte growth factor",
        "keratinocyte growth factor",
        "neurons, brain-derived neurotrophic factor",
        "renal artery",
        "pulmonary artery endothelial cells",
        "alveolar rhabdomyosarcoma",
        "T cells; eye color: brown",
        "heart rate 72",
        "cause of death: heart attack",
        "blood glucose 5.4, blood pressure 120",
        "skin-type I",
        "left | ventricle of lateral",
        "buffy, coat",
    ],
)
def test_archs4_phrases_that_merely_name_an_organ_are_no_label(text):
    assert find_organs(np.array([text]), keywords_of(None))[1].tolist() == [0]


@pytest.mark.parametrize(
    ("text", "organ"),
    [
        ("skin, type: biopsy", "skin"),
        ("liver, treated with hepatocyte growth factor", "liver"),
        ("blood from bone marrow donors", "blood"),
    ],
)
def test_archs4_a_phrase_hides_no_keyword_beside_it(text, organ):
    assert find_organs(np.array([text]), keywords_of(None))[0].tolist() == [organ]


def test_archs4_a_keyword_of_ones_own_may_be_such_a_phrase():
    assert find_organs(np.array(["bone marrow"]), keywords_of({"marrow": "marrow"}))[1] == [1]


def test_archs4_entries_of_version_1_are_split_where_they_were_joined(tmp_path):
    path = write_archs4(tmp_path / "human.h5", 1)
    with h5py.File(path, "a") as file:
        del file["meta/Sample_characteristics_ch1"]
        file["meta/Sample_characteristics_ch1"] = ["tissue: kidneyXx-xXsex: male"] * 7
    with ARCHS4File(path) as file:
        assert file.metadata("characteristics_ch1")[0] == "tissue: kidney,sex: male"


@pytest.mark.parametrize("size", ["min_per_organ", "max_per_organ"])
def test_archs4_refuses_sizes_below_one(archs4, size):
    with pytest.raises(ValueError, match=f"{size} == 0, must be >= 1"):
        build_archs4(archs4, **{size: 0})


def test_archs4_leaves_out_small_organs(archs4):
    adata = build_archs4(archs4, min_per_organ=2, verbose=0)
    assert adata.uns["class_counts"] == {"liver": 3}


def test_archs4_draws_from_large_organs(archs4):
    adata = build_archs4(archs4, max_per_organ=1, random_state=0, verbose=0)
    assert adata.uns["class_counts"] == {"colon": 1, "liver": 1}


def test_archs4_draws_the_same_with_the_same_seed(archs4):
    one, two = (build_archs4(archs4, max_per_organ=1, random_state=3, verbose=0) for _ in "ab")
    assert list(one.obs_names) == list(two.obs_names)


def test_archs4_prints_class_counts(archs4, capsys):
    build_archs4(archs4)
    assert "Classes: colon 1, liver 3" in capsys.readouterr().out


def test_archs4_is_written_as_h5ad_and_read_back(archs4, tmp_path):
    adata = build_archs4(archs4, verbose=0)
    adata.write_h5ad(tmp_path / "archs4.h5ad")
    np.testing.assert_array_equal(anndata.read_h5ad(tmp_path / "archs4.h5ad").X, adata.X)


def test_archs4_says_that_no_keyword_matches(archs4):
    with pytest.raises(ValueError, match=r"No sample of one organ is left of 7.*'Liver_rep1"):
        build_archs4(archs4, organs={"tail": ["tail"]}, fields="title")


def test_archs4_says_which_organs_it_knows(archs4):
    with pytest.raises(ValueError, match=r"Unknown organs \['tail'\]. Known are \['adipose'"):
        build_archs4(archs4, organs=["tail"])


@pytest.mark.parametrize("keywords", [[], [""], [None]])
def test_archs4_refuses_an_organ_without_keywords(archs4, keywords):
    with pytest.raises(ValueError, match="Organ 'tail' needs keywords"):
        build_archs4(archs4, organs={"tail": keywords})


def test_archs4_says_which_field_is_missing_and_which_there_are(tmp_path):
    path = write_archs4(tmp_path / "human.h5", leave_out=["source_name_ch1"])
    with pytest.raises(ValueError, match=r"no field 'source_name_ch1'.*'title'\]"):
        build_archs4(path)


def test_archs4_says_how_to_do_without_predictions_of_single_cells(tmp_path):
    path = write_archs4(tmp_path / "human.h5", leave_out=["singlecellprobability"])
    with pytest.raises(ValueError, match="max_single_cell_probability=None keeps all"):
        build_archs4(path)


def test_archs4_refuses_a_file_that_is_cut(archs4):
    archs4.write_bytes(archs4.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"cannot be opened .*download it again"):
        build_archs4(archs4)


def test_archs4_refuses_a_damaged_chunk(archs4):
    with h5py.File(archs4) as file:
        chunk = file["data/expression"].id.get_chunk_info(0)
    content = bytearray(archs4.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    archs4.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged: the counts of samples 0 to 1"):
        build_archs4(archs4)


def test_archs4_refuses_what_is_not_hdf5(tmp_path):
    (tmp_path / "human.h5").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match="is not an HDF5 file"):
        build_archs4(tmp_path / "human.h5")


def test_archs4_refuses_an_h5ad(tmp_path):
    anndata.AnnData(np.ones((2, 3), dtype=np.float32)).write_h5ad(tmp_path / "some.h5ad")
    with pytest.raises(ValueError, match="not a gene-level file of ARCHS4: it lacks data/express"):
        build_archs4(tmp_path / "some.h5ad")


def test_archs4_refuses_a_transcript_file(archs4):
    with h5py.File(archs4, "a") as file:
        file.move("meta/genes", "meta/transcripts")
    with pytest.raises(ValueError, match="is a transcript-level file"):
        build_archs4(archs4)


def test_archs4_refuses_counts_that_fit_no_names(archs4):
    with h5py.File(archs4, "a") as file:
        del file["data/expression"]
        file["data/expression"] = COUNTS[:-1]
    with pytest.raises(ValueError, match=r"shape \(29, 7\), but there are 30 genes and 7 samples"):
        build_archs4(archs4)


def test_archs4_says_that_there_is_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        build_archs4(tmp_path / "nowhere.h5")


# ---- both -------------------------------------------------------------------------------------


def test_the_two_sets_have_their_genes_in_common(hub, archs4):
    tcga, tissues = build_tcga(hub, verbose=0), build_archs4(archs4, verbose=0)
    assert common_genes(tcga, tissues).tolist() == BARE


def test_recipe_of_the_docs_leaves_the_pretrained_encoder_as_it_was(hub, archs4, monkeypatch):
    monkeypatch.chdir(archs4.parent)
    page = (Path(__file__).parents[1] / "docs" / "study_data.rst").read_text(encoding="utf-8")
    block = page.split(":name: transfer-recipe\n")[1].split("\nTime and memory")[0]
    pretraining, transfer = textwrap.dedent(block).split("# TCGA's values are logs already.")
    names = {
        "adata": build_tcga(hub, verbose=0),
        "train": np.arange(4),
        "test": np.arange(4, 6),
        "make_pipeline": make_pipeline,
        "ScarfTransformer": partial(ScarfTransformer, hidden_layer_sizes=(4,), max_epochs=1),
    }
    exec(pretraining, names)
    before = {k: v.clone() for k, v in names["scarf"].encoder_.state_dict().items()}
    exec(transfer, names)
    after = names["scarf"].encoder_.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
