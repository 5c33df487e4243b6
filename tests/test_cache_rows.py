"""Rows written once: to the bit, in order, whole or not at all."""

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from on_disk import KINDS, X, genes_first, hdf5, memmap

from sslgex.datasets import _cache_rows, cache_rows, samples_first
from sslgex.preprocessing import LogCounts


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_cache_rows, "BLOCK", 30 * X[0].nbytes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_to_the_bit(kind, tmp_path):
    rows = cache_rows(KINDS[kind](tmp_path, X), tmp_path / "rows.npy")
    assert isinstance(rows, np.memmap)
    assert not rows.flags.writeable
    assert rows.dtype == X.dtype
    assert np.array_equal(rows, X)


def test_some_samples_logged(tmp_path):
    counts = X.astype(np.uint32)
    logs = LogCounts().fit(counts)
    chosen = np.r_[5:40, 900, 7]
    values = genes_first(tmp_path, counts, chunks=(5, 9), compression="gzip")
    rows = cache_rows(values, tmp_path / "rows.npy", samples=chosen, transform=logs.transform)
    assert rows.dtype == np.float32
    assert np.array_equal(rows, logs.transform(counts)[np.unique(chosen)])
    mask = np.isin(np.arange(len(X)), chosen)
    half = cache_rows(values, tmp_path / "half.npy", samples=mask, dtype=np.float16)
    assert np.array_equal(half, X[mask].astype(np.float16))


def test_a_step_that_fails_leaves_the_old_file_and_says_where(tmp_path):
    (tmp_path / "rows.npy").write_text("old")

    def fail(block):
        if 905.0 in block[:, 0]:
            raise ValueError("no logs of this")
        return block

    values = memmap(tmp_path, np.arange(1000.0)[:, None] + np.zeros(5))
    with pytest.raises(ValueError, match="no logs of this") as info:
        cache_rows(values, tmp_path / "rows.npy", transform=fail)
    assert info.value.__notes__ == ["That is of samples 840 to 959, 120 of them."]
    assert (tmp_path / "rows.npy").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["X.npy", "rows.npy"]
    with pytest.raises(ValueError, match="it must return as many samples"):
        cache_rows(values, tmp_path / "rows.npy", transform=lambda block: block[1:])


def test_what_cannot_be_written(tmp_path):
    values = hdf5(tmp_path, X)
    with pytest.raises(TypeError, match=r"takes a matrix on disk, got ndarray.*np.save"):
        cache_rows(X, tmp_path / "rows.npy")
    with pytest.raises(ValueError, match="Samples are 0 to 999, got 3 to 1000"):
        cache_rows(values, tmp_path / "rows.npy", samples=[3, 1000])
    with pytest.raises(ValueError, match=r"shape \(5,\), but X has 1,000"):
        cache_rows(values, tmp_path / "rows.npy", samples=np.ones(5, bool))
    with pytest.raises(ValueError, match="No sample of 1,000"):
        cache_rows(values, tmp_path / "rows.npy", samples=[])
    with pytest.raises(TypeError, match=r"numbers of rows, int, or a mask, bool; got dtype <U1"):
        cache_rows(values, tmp_path / "rows.npy", samples=["a"])
    for wrong in ([1, 2], X, sp.csr_matrix(X), values.file, samples_first(values)):
        with pytest.raises(TypeError, match="samples_first takes a matrix of genes x samples on"):
            samples_first(wrong)


@pytest.mark.parametrize(
    ("dtype", "transform", "said"),
    [
        (np.uint8, None, "300.0 would become 44 as uint8"),  # silently, if numpy is asked
        (np.float16, lambda block: block * 1000, "300000.0 would become inf as float16"),
        (np.int32, lambda block: np.log1p(block), "would become 1 as int32"),
        (np.uint16, lambda block: -block, "would become .* as uint16"),
    ],
)
def test_values_that_the_type_does_not_hold_are_refused(dtype, transform, said, tmp_path):
    counts = X.copy()
    counts[:, 0], counts[500, 3] = 2, 300
    if dtype != np.int32:
        counts = np.where(counts == 300, counts, 0)
    with pytest.raises(ValueError, match=rf"{said}\. Choose another dtype"):
        cache_rows(
            memmap(tmp_path, counts), tmp_path / "rows.npy", dtype=dtype, transform=transform
        )
    assert [path.name for path in tmp_path.iterdir()] == ["X.npy"]


def test_values_that_the_type_holds_are_written(tmp_path):
    values = memmap(tmp_path, np.where(X == 3, np.nan, X))
    half = cache_rows(values, tmp_path / "half.npy", dtype=np.float16)  # NaN is not lost
    assert np.array_equal(half, np.where(X == 3, np.nan, X), equal_nan=True)
    whole = cache_rows(memmap(tmp_path, X), tmp_path / "whole.npy", dtype=np.uint8)
    assert np.array_equal(whole, X)
    with pytest.raises(TypeError, match="is of no real numbers"):
        cache_rows(values, tmp_path / "rows.npy", dtype="S3")


def test_a_step_that_makes_fewer_columns_later_is_refused(tmp_path):
    def drop(block):  # columns that are constant in the block, a common mistake
        return block[:, block.max(axis=0) > block.min(axis=0)]

    values = X.copy()
    values[:120, 3] = 1
    with pytest.raises(ValueError, match="38 columns of the first samples and 39 of later ones"):
        cache_rows(memmap(tmp_path, values), tmp_path / "rows.npy", transform=drop)
    assert not (tmp_path / "rows.npy").exists()


def test_the_file_that_is_read_is_not_replaced(tmp_path):
    values = memmap(tmp_path, X)
    (tmp_path / "link.npy").symlink_to(tmp_path / "X.npy")
    for path in (tmp_path / "X.npy", str(tmp_path / "link.npy")):
        with pytest.raises(ValueError, match="is the file that X is read from"):
            cache_rows(values, path, samples=[0, 1])
    assert np.array_equal(np.load(tmp_path / "X.npy"), X)


def test_the_counts_of_archs4(archs4, tmp_path):
    with h5py.File(archs4) as file:
        counts = file["data/expression"]
        rows = cache_rows(samples_first(counts), tmp_path / "rows.npy")
        assert np.array_equal(rows, counts[:].T)
