"""`fit` and `transform` of matrices on disk: every kind, to the bit where that is promised."""

import functools
import pickle
import signal
import threading
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr
from on_disk import GENES, KINDS, NAMED, NAMES, ROW, N, X, backed, hdf5, memmap, parquet, shrink
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.datasets import samples_first

SCARF = ScarfTransformer(
    (16,), projection_sizes=(8,), max_epochs=2, batch_size=64, random_state=0, device="cpu"
)
each_kind = pytest.mark.parametrize("kind", KINDS)
some_kinds = pytest.mark.parametrize("kind", ["memmap", "h5ad, csr", "parquet"])
# The rows of a chunk, of a page or of ten row groups are a large part of these small windows.
few_blocks = pytest.mark.filterwarnings("ignore:.*are stored together:UserWarning")


@functools.cache
def in_memory():
    fitted = clone(SCARF).fit(X)
    return fitted, fitted.transform(X)


@each_kind
def test_what_fits_into_memory_gives_the_bits_of_the_array(kind, tmp_path):
    values = KINDS[kind](tmp_path, X)
    fitted = clone(SCARF).fit(values)
    assert np.array_equal(fitted.transform(values), in_memory()[1])
    assert hasattr(fitted, "feature_names_in_") == (kind in NAMED)


@few_blocks
@each_kind
def test_statistics_have_the_bits_of_those_in_memory(kind, tmp_path, monkeypatch):
    shrink(monkeypatch, window=1100 if "columns" in kind or kind == "genes first" else 200)
    values = KINDS[kind](tmp_path, X)
    fitted = clone(SCARF).fit(values)
    assert np.array_equal(fitted.mean_, in_memory()[0].mean_)
    assert np.array_equal(fitted.scale_, in_memory()[0].scale_)
    assert fitted.n_features_in_ == GENES
    if kind in NAMED:
        assert list(fitted.feature_names_in_) == NAMES
    losses = in_memory()[0].loss_curve_
    np.testing.assert_allclose(fitted.loss_curve_, losses, rtol=0.1)
    assert fitted.loss_curve_ != losses  # or nothing was streamed


@each_kind
def test_transform_has_the_bits_of_that_in_memory(kind, tmp_path, monkeypatch):
    fitted, Z = in_memory()
    if kind in NAMED:
        fitted = clone(SCARF).fit(pd.DataFrame(X, columns=NAMES))
    shrink(monkeypatch)
    values = KINDS[kind](tmp_path, X)
    found = fitted.transform(values)
    assert type(found) is np.ndarray
    assert np.array_equal(found, Z)
    assert np.array_equal(fitted.transform(values, out=tmp_path / "Z.npy"), Z)


@pytest.mark.parametrize("cls", [VimeTransformer, ByolTransformer])
@pytest.mark.parametrize("architecture", ["residual", "mlp"])
def test_the_other_methods_stream_too(cls, architecture, tmp_path, monkeypatch):
    shrink(monkeypatch)
    heads = {"decoder_sizes": (8,)}
    if cls is ByolTransformer:
        heads = {"projection_sizes": (8, 4), "prediction_sizes": (8, 4)}
    how = {"max_epochs": 2, "random_state": 0, "device": "cpu", "architecture": architecture}
    fitted = cls((16,), batch_size=64, **how, **heads).fit(hdf5(tmp_path, X))
    assert np.isfinite(fitted.transform(X)).all()
    assert fitted.n_iter_ == 2


@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.float64, ">f4"])
def test_types_are_those_of_the_array(dtype, tmp_path, monkeypatch):
    values = memmap(tmp_path, X.astype(dtype))
    fitted = clone(SCARF).fit(X)
    expected = fitted.transform(X.astype(dtype))
    shrink(monkeypatch, row=values[0].nbytes)
    found = clone(SCARF).fit(values)
    assert np.array_equal(found.mean_, fitted.mean_)
    for Z in (fitted.transform(values), fitted.transform(values, out=tmp_path / "Z.npy")):
        assert np.array_equal(Z, expected)
        assert Z.dtype == expected.dtype


def test_one_seed_is_one_run_however_slowly_rows_are_read(tmp_path, monkeypatch):
    shrink(monkeypatch)
    values = hdf5(tmp_path, X)
    one, two = (clone(SCARF).fit(values).transform(X) for _ in "ab")
    assert np.array_equal(one, two)
    slow = Watched(values, lambda start: threading.Event().wait(0.003 * (start % 3)))
    assert np.array_equal(clone(SCARF).fit(slow.source()).transform(X), one)
    other = clone(SCARF).set_params(random_state=1).fit(values).transform(X)
    assert not np.array_equal(other, one)


def test_unlabelled_matrices_are_rows_like_those_on_disk(tmp_path, monkeypatch):
    shrink(monkeypatch)
    values = memmap(tmp_path, X[:600])
    fitted = clone(SCARF).fit(values, X_unlabeled=[X[600:800], sp.csr_matrix(X[800:])])
    np.testing.assert_allclose(fitted.mean_, in_memory()[0].mean_, rtol=1e-12)


def test_held_out_rows_are_validated_on(tmp_path, monkeypatch):
    shrink(monkeypatch)
    est = clone(SCARF).set_params(validation_fraction=0.2, early_stopping=True, max_epochs=5)
    fitted = est.fit(hdf5(tmp_path, X))
    assert len(fitted.validation_loss_curve_) == fitted.n_iter_
    np.testing.assert_allclose(fitted.validation_loss_curve_, fitted.loss_curve_, rtol=0.2)


def test_a_classifier_takes_an_encoder_from_disk(tmp_path, monkeypatch):
    y = (X[:, 0] > 3).astype(int)
    shrink(monkeypatch)
    encoder = clone(SCARF).fit(memmap(tmp_path, X))
    predicted = SSLClassifier(encoder, mode="frozen", random_state=0).fit(X[:200], y[:200])
    assert predicted.score(X[200:], y[200:]) > 0.9


def test_a_pipeline_passes_a_matrix_on_disk_through(tmp_path, monkeypatch):
    shrink(monkeypatch)
    values = hdf5(tmp_path, X)
    steps = make_pipeline(FunctionTransformer(), clone(SCARF))
    assert np.array_equal(steps.fit_transform(values), clone(SCARF).fit(values).transform(X))


def test_a_pickle_holds_neither_data_nor_file(tmp_path, monkeypatch):
    size = len(pickle.dumps(in_memory()[0]))
    shrink(monkeypatch)
    fitted = clone(SCARF).fit(hdf5(tmp_path, X))
    text = pickle.dumps(fitted)  # an open HDF5 file cannot be pickled
    assert abs(len(text) - size) < ROW
    assert np.array_equal(pickle.loads(text).transform(X), fitted.transform(X))


# ------------------------------------------------------------------------------ transform(out)


def test_out_is_a_file_of_the_embedding(tmp_path):
    fitted, Z = in_memory()
    found = fitted.transform(X, out=tmp_path / "Z.npy")
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert np.array_equal(found, Z)
    assert np.array_equal(np.load(tmp_path / "Z.npy"), Z)
    assert [path.name for path in tmp_path.iterdir()] == ["Z.npy"]


def test_a_transform_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    fitted, Z = in_memory()
    fitted.transform(X, out=tmp_path / "Z.npy")
    shrink(monkeypatch)
    bad = X.copy()
    bad[900, 3] = np.nan
    values = memmap(tmp_path, bad)
    with pytest.raises(ValueError, match="row 900"):
        fitted.transform(values, out=tmp_path / "Z.npy")
    assert np.array_equal(np.load(tmp_path / "Z.npy"), Z)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["X.npy", "Z.npy"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        in_memory()[0].transform(X, out=tmp_path / "nowhere" / "Z.npy")


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("kind", ["memmap", "hdf5", "genes first", "h5ad", "h5ad, csr", "parquet"])
def test_the_file_that_is_read_is_not_replaced(kind, streams, tmp_path, monkeypatch):
    fitted = clone(SCARF).fit(pd.DataFrame(X, columns=NAMES)) if kind in NAMED else in_memory()[0]
    values = KINDS[kind](tmp_path, X)
    if streams:
        shrink(monkeypatch)
    path = sorted(tmp_path.iterdir())[-1]
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is the file that X is read from, and would be replaced"):
        fitted.transform(values, out=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "."])
def test_a_folder_is_refused_before_anything_is_computed(name, tmp_path, monkeypatch):
    fitted = in_memory()[0]
    monkeypatch.setattr("sslgex._embedding.embed", None)
    with pytest.raises(IsADirectoryError, match="is a directory, not a file to write"):
        fitted.transform(X, out=name and tmp_path)


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_not_what_it_holds(kind):
    for est in (clone(SCARF), SSLClassifier(clone(SCARF))):
        with pytest.raises(TypeError, match=r"X is the path 'X.npy'; pass .*np\.load\(path, mmap"):
            est.fit(kind("X.npy"), [0, 1])


def test_a_group_is_not_one_of_its_matrices(tmp_path):
    for group in (hdf5(tmp_path, X).file, zarr.open_group(tmp_path / "g.zarr", mode="w")):
        with pytest.raises(TypeError, match=r"X is a .*not a matrix; pass one of what it holds"):
            clone(SCARF).fit(group)


def test_text_that_stays_on_disk(tmp_path, monkeypatch):
    shrink(monkeypatch)
    with pytest.raises(ValueError, match="X must hold real numbers, got values of dtype object"):
        clone(SCARF).fit(hdf5(tmp_path, [["a", "b"]] * 5))


def test_a_part_without_rows(tmp_path):
    paths = parquet(tmp_path, X, bounds=(0, 0, N))
    assert np.array_equal(clone(SCARF).fit(paths).mean_, in_memory()[0].mean_)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        clone(SCARF).fit(parquet(tmp_path, X, bounds=(0, 0)))


@some_kinds
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_the_first_value_that_is_not_finite_is_named(kind, value, word, tmp_path, monkeypatch):
    bad = X.copy()
    bad[[987, 999], 7] = value
    shrink(monkeypatch)
    values = KINDS[kind](tmp_path, bad)
    gene = "gene 'gene7'" if kind in NAMED else "column 7"
    with pytest.raises(ValueError, match=rf"Input X contains {word}(?s:.*)row 987, {gene}. Impute"):
        clone(SCARF).fit(values)
    fitted = clone(SCARF).fit(pd.DataFrame(X, columns=NAMES) if kind in NAMED else X)
    with pytest.raises(ValueError, match=f"row 987, {gene}"):
        fitted.transform(values)


def test_a_value_that_overflows(tmp_path, monkeypatch):
    bad = X.copy()
    bad[900, 7] = 1e20
    shrink(monkeypatch)
    with pytest.raises(ValueError, match=r"gene 7 holds the value 1e\+20, whose square overflows"):
        clone(SCARF).fit(memmap(tmp_path, bad))


def test_other_genes(tmp_path, monkeypatch):
    shrink(monkeypatch)
    fitted = in_memory()[0]
    with pytest.raises(ValueError, match="X has 39 features, but ScarfTransformer is expecting 40"):
        fitted.transform(memmap(tmp_path, X[:, 1:]))
    with pytest.raises(ValueError, match=r"as many rows as genes in fit: pass .*samples_first"):
        fitted.transform(hdf5(tmp_path, X.T))
    named = clone(SCARF).fit(pd.DataFrame(X, columns=NAMES))
    with pytest.raises(ValueError, match=r"The feature names should match(?s:.*)1 of 40 genes are"):
        named.transform(parquet(tmp_path, X[:, 1:], bounds=(0, N)))


def test_a_matrix_of_genes_and_samples_of_archs4(archs4):
    with h5py.File(archs4) as file:
        counts = file["data/expression"]
        with pytest.raises(ValueError, match=r"genes x 8 samples.*samples_first(?s:.*)cache_rows"):
            clone(SCARF).fit(counts)
        fitted = clone(SCARF).fit(samples_first(counts))
        assert fitted.transform(samples_first(counts)).shape[0] == 8


def test_a_file_that_was_closed(tmp_path):
    values = hdf5(tmp_path, X)
    values.file.close()
    with pytest.raises(OSError, match=r"closed(?s:.*)within the file's with block"):
        clone(SCARF).fit(values)


def test_a_sparse_matrix_by_columns(tmp_path):
    values = backed(tmp_path, sp.csc_matrix(X))
    with pytest.raises(TypeError, match=r"stored by columns(?s:.*)tocsr"):
        clone(SCARF).fit(values)


def test_a_view_of_an_anndata_on_disk(tmp_path):
    with pytest.raises(TypeError, match=r"view of one that is backed(?s:.*)to_memory"):
        clone(SCARF).fit(backed(tmp_path, X)[:, :5])


def test_a_layer_of_an_anndata_on_disk_is_in_memory(tmp_path):
    ad.AnnData(np.full_like(X, np.nan), layers={"log": X}).write_h5ad(tmp_path / "x.h5ad")
    adata = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    fitted = clone(SCARF).set_params(layer="log").fit(adata)
    assert np.array_equal(fitted.mean_, in_memory()[0].mean_)


def test_parts_of_other_genes(tmp_path):
    paths = parquet(tmp_path, X)
    frame = pd.DataFrame(X, columns=[*NAMES[:5], "other", *NAMES[6:]])
    frame.to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"other.parquet differ(?s:.*)5 is 'other', not 'gene5'"):
        clone(SCARF).fit([*paths, tmp_path / "other.parquet"])
    frame.iloc[:, :5].to_parquet(tmp_path / "few.parquet")
    with pytest.raises(ValueError, match="5 genes, not 40"):
        clone(SCARF).fit([*paths, tmp_path / "few.parquet"])


def test_a_part_with_text_or_missing_values(tmp_path):
    frame = pd.DataFrame(X, columns=NAMES).assign(label="tumour")
    frame.to_parquet(tmp_path / "text.parquet")
    with pytest.raises(ValueError, match=r"1 of 41 columns of .*text.parquet do not"):
        clone(SCARF).fit([tmp_path / "text.parquet"])
    whole = pd.DataFrame(X, columns=NAMES).astype("Int32")
    whole.iloc[5, 7] = pd.NA
    whole.to_parquet(tmp_path / "missing.parquet")
    with pytest.raises(OSError, match="'gene7' has 1 missing"):
        clone(SCARF).fit([tmp_path / "missing.parquet"])


def test_no_such_part_and_no_parquet(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        clone(SCARF).fit([tmp_path / "none.parquet"])
    (tmp_path / "cut.parquet").write_bytes(parquet(tmp_path, X)[0].read_bytes()[:-9])
    with pytest.raises(OSError, match=r"cut.parquet cannot be read as parquet"):
        clone(SCARF).fit([tmp_path / "cut.parquet"])


def test_one_row_to_fit(tmp_path, monkeypatch):
    shrink(monkeypatch)
    with pytest.raises(ValueError, match=r"1 sample(?s:.*)minimum of 2"):
        clone(SCARF).fit(memmap(tmp_path, X[:1]))


def test_a_file_that_is_cut_while_open(tmp_path, monkeypatch):
    shrink(monkeypatch)
    hdf5(tmp_path, X, chunks=(10, GENES), compression="gzip").file.close()
    with h5py.File(tmp_path / "x.h5") as file:
        with open(tmp_path / "x.h5", "r+b") as raw:
            raw.truncate(raw.seek(0, 2) - 10 * ROW)
        before = threading.active_count()
        with pytest.raises(OSError, match=r"Rows [\d,]+ to [\d,]+ of .*x.h5 cannot be read"):
            clone(SCARF).fit(file["X"])
        assert threading.active_count() == before


# ------------------------------------------------------------------------------ the thread


class Watched:
    """Rows of an array, with something done at every read."""

    def __init__(self, X, act):
        self.X, self.act = X, act
        self.shape, self.dtype = X.shape, X.dtype
        self.n = 0

    def __getitem__(self, rows):
        self.n += 1
        self.act(rows.start)
        return self.X[rows]

    def source(self):
        from sslgex._sources import Sliced

        return Sliced(self, "the rows")


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "sslgex-reader"]


@pytest.mark.parametrize("n_reads", [15, 45], ids=["statistics", "training"])
def test_what_the_reader_raises_is_raised_with_the_rows(n_reads, monkeypatch):
    shrink(monkeypatch)

    def act(start):
        if rows.n == n_reads:
            raise RuntimeError("no more")

    rows = Watched(X, act)
    with pytest.raises(
        OSError, match=r"Rows \d+ to \d+ of the rows .*RuntimeError: no more"
    ) as info:
        clone(SCARF).fit(rows.source())
    assert isinstance(info.value.__cause__, RuntimeError)
    assert not readers()


@pytest.mark.parametrize("n_reads", [15, 45], ids=["statistics", "training"])
def test_ctrl_c_leaves_no_thread_and_an_unfitted_estimator(n_reads, monkeypatch):
    import _thread

    shrink(monkeypatch)
    rows = Watched(X, lambda start: rows.n == n_reads and _thread.interrupt_main())
    est = clone(SCARF)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # xdist ignores it
    try:
        with pytest.raises(KeyboardInterrupt) as info:
            est.fit(rows.source())
    finally:
        signal.signal(signal.SIGINT, before)
    assert not readers()
    assert not hasattr(est, "mean_")
    del info  # which kept the frames of fit, and all they hold, until here


def test_no_thread_is_left_by_a_fit_or_transform(tmp_path, monkeypatch):
    shrink(monkeypatch)
    values = memmap(tmp_path, X)
    clone(SCARF).fit(values).transform(values, out=tmp_path / "Z.npy")
    assert not readers()
