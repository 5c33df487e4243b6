"""read_expression: damaged, mistaken and ambiguous files are refused with the cure."""

import gzip
import sys

import h5py
import pandas as pd
import pytest
from expression_files import (
    COUNTS,
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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sslgex.datasets import read_expression


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
        read_expression(FRAME.rename(columns={FRAME.columns[9]: "1-Mar"}))
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


# pandas' parser ends the process at the first of these, and reads the second as 10.
@pytest.mark.parametrize("name", ["1e2147483648", "1e4294967297", "51e308519531255"])
def test_ids_that_look_like_numbers_of_endless_exponent(tmp_path, name):
    frame = FRAME.assign(barcode=[name, *(f"b{i}" for i in range(1, len(FRAME)))])
    adata = read(write(tmp_path / "x.tsv", table(frame)))
    assert adata.obs["barcode"].iloc[0] == name
    assert_same(adata, FRAME)
    assert read(pd.DataFrame(frame)).obs["barcode"].iloc[0] == name


def test_a_value_beyond_float32_stays_one(tmp_path):
    frame = FRAME.copy()
    frame.iloc[2, 3] = 4.6e125
    assert_allclose(read(write(tmp_path / "x.tsv", table(frame))).X[2, 3], 4.6e125)
