"""The recipes of docs/reading.rst, on small files of their layouts."""

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from expression_files import COUNTS, ENSEMBL, assert_same, read, table, write
from numpy.testing import assert_array_equal


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
