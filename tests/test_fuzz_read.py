"""`read_expression` of files changed at random: a matrix, or an error that names the file."""

import gzip
import shutil
import warnings

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from expression_files import COUNTS, ENSEMBL, FRAME, GSM, gct, geo, read, table
from fuzzing import changed_bytes, inputs, only_our_errors, seeds
from hypothesis import given

VALUES, AMOUNTS = FRAME.iloc[:5, :12], COUNTS.iloc[:5, :12]
NOTED = AMOUNTS.T.rename_axis("Geneid").reset_index()
for place, name in enumerate(["Chr", "Start", "End", "Strand", "Length"], 1):
    NOTED.insert(place, name, "1")
TEXTS = [
    table(VALUES.T, corner="sample"),
    table(VALUES.set_axis(ENSEMBL[:12], axis=1), sep=","),
    table(AMOUNTS, sep=";"),
    table(VALUES.assign(label="tumour", age=50)),
    AMOUNTS.to_csv(sep=" "),
    geo(VALUES),
    gct(VALUES),
    "# Program:featureCounts\n" + NOTED.to_csv(sep="\t", index=False),
    VALUES.T.rename_axis("Hugo_Symbol").reset_index().to_csv(sep="\t", index=False),
]
TEXTS = [text.encode() for text in TEXTS]
WORDS = """
    " ' 0 - . , ; # ! ( [ \\ 1,234 1.234.567 nan NA inf -inf 1e400 1e308 1e2147483648 1e4294967297
    #1.2\n #1.3\n !series_matrix_table_end\n !Sample_x\t 1-Mar ENSG00000141510.18 gene sample age
    True 1j 0x10 1_000 None <NA> 18446744073709551616 9223372036854775808 __no_feature 2021-01-01
""".replace("\\t", "\t").replace("\\n", "\n")
WORDS = [word.encode() for word in WORDS.split(" ")] + [
    *(b"\t", b"\n", b"\r\n", b"\r", b" ", b"", b"\xff", b"\x00", b"\xef\xbb\xbf", b"\x1f\x8b"),
    *(b"\xc2\xa0", b"\xe2\x80\x8b", b"9" * 400, b"Unnamed: 0"),
]


def random_table(rng):
    """Return cells of anything, between delimiters."""
    cells = [*WORDS, b"g1", b"TP53", b"s1", b"1", b"2.5", b"3"]
    sep, end = rng.choice([b"\t", b",", b";", b" "]), rng.choice([b"\n", b"\r\n"])
    rows = range(rng.randint(1, 7))
    return end.join(sep.join(rng.choices(cells, k=rng.randint(1, 5))) for _ in rows)


def changed_text(rng):
    """Return a table of which words, rows or bytes are others, or the end lacks."""
    text = rng.choice(TEXTS)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        at, rows = rng.randint(0, len(text)), text.split(b"\n")
        row = rng.randrange(len(rows))
        how = rng.randrange(6)
        if how == 0:
            text = text[:at] + rng.choice(WORDS) + text[at + rng.choice([0, 0, 1, 3, 20]) :]
        elif how == 1:
            text = text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]
        elif how == 2:
            text = b"\n".join(
                [*rows[:row], *rng.choice([[], [rng.choice(rows)]]), *rows[row + 1 :]]
            )
        elif how == 3:
            cells = rows[row].split(b"\t")
            cells[rng.randrange(len(cells))] = rng.choice(WORDS)
            text = b"\n".join([*rows[:row], b"\t".join(cells), *rows[row + 1 :]])
        elif how == 4:
            old = rng.choice([b"\t", b"\n", b".", b"0", b"-", b","])
            text = text.replace(old, rng.choice(WORDS), rng.choice([1, 2, -1]))
        else:
            text = text[:at]
    return text


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "changed"


def check(path):
    with warnings.catch_warnings(), only_our_errors(path):
        warnings.simplefilter("ignore", UserWarning)  # ours, of what was found
        adata = read(path)
        assert adata.X.shape == (adata.n_obs, adata.n_vars)
        assert adata.n_obs * adata.n_vars > 0


@inputs(3_500)
@given(rng=seeds)
def test_tables(rng, path):
    text = random_table(rng) if rng.random() < 0.15 else changed_text(rng)
    if rng.random() < 0.1:
        text = gzip.compress(text, mtime=0)
        text = changed_bytes(rng, text) if rng.random() < 0.7 else text
    path.write_bytes(text)
    check(path)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "whole.parquet"
    VALUES.assign(label="tumour").to_parquet(path)
    return path.read_bytes()


@inputs(300)
@given(rng=seeds)
def test_parquet(rng, parquet, path):
    path.write_bytes(changed_bytes(rng, parquet))
    check(path)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Return the paths of a dense and a sparse h5ad and of a file like ARCHS4's."""
    folder = tmp_path_factory.mktemp("whole")
    obs = pd.DataFrame({"subtype": pd.Categorical(list("abcab"))}, index=VALUES.index)
    var = pd.DataFrame({"length": np.arange(12)}, index=VALUES.columns)
    dense = anndata.AnnData(VALUES.to_numpy(), obs=obs, var=var, uns={"x": {"a": [1, 2]}})
    dense.write_h5ad(folder / "dense")
    sparse = anndata.AnnData(sp.csr_matrix(AMOUNTS.to_numpy()), obs=obs, var=var)
    sparse.write_h5ad(folder / "sparse")
    with h5py.File(folder / "archs4", "w") as file:
        counts = AMOUNTS.to_numpy().T.astype(np.uint32)
        file.create_dataset("data/expression", data=counts, chunks=(4, 3), compression="gzip")
        file["meta/genes/symbol"] = [str(name) for name in AMOUNTS.columns]
        file["meta/samples/geo_accession"] = GSM[:5]
        file["meta/samples/series_id"] = ["GSE1"] * 5
    return sorted(folder.iterdir())


OTHERS = [
    *(5, 1.5, "x", True, np.nan, [], [1, 2], ["a", "b"], [[1, 2], [3, 4]], [-1, 100, 0, 1, 2]),
    *(np.zeros((5, 12)), np.zeros((5, 0)), np.zeros((5, 12, 2)), np.full((5, 12), 1j)),
    *(np.zeros(5, dtype="S3"), np.zeros((0, 12), np.float32), np.zeros(3, dtype=[("a", "i4")])),
]


def change_store(rng, file):
    """Delete, move or replace a part of an HDF5 file, or an attribute of one."""
    names = []
    file.visit(names.append)
    name, other = rng.choice(names), rng.choice(names)
    how = rng.randrange(4)
    if how == 0:
        del file[name]
    elif how == 1:
        del file[name]
        file[name] = rng.choice(OTHERS)
    elif how == 2 and not other.startswith(name) and not name.startswith(other):
        del file[name]
        file[name] = file[other]
    else:
        attributes = file[name].attrs
        if len(attributes):
            key = rng.choice(list(attributes))
            del attributes[key]
            if rng.random() < 0.7:
                attributes[key] = rng.choice(OTHERS)


@inputs(300)
@given(rng=seeds)
def test_stores(rng, stores, path):
    """Parts of a whole HDF5 file; damage to HDF5's own structures ends in its library."""
    shutil.copy(rng.choice(stores), path)
    with h5py.File(path, "r+") as file:
        for _ in range(rng.randint(1, 2)):
            change_store(rng, file)
    check(path)
