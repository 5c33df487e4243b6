"""A matrix in every form that stays on disk."""

from itertools import pairwise

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
import zarr

from sslgex.datasets import samples_first

N, GENES = 1_000, 40
NAMES = [f"gene{j}" for j in range(GENES)]
X = np.random.default_rng(0).poisson(3.0, size=(N, GENES)).astype(np.float32)
X[:, -1] = 0  # an all-zero gene, as in every RNA-seq matrix
ROW = X[0].nbytes


def memmap(folder, X):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def columns_first(folder, X):
    np.save(folder / "F.npy", np.asfortranarray(X))
    return np.load(folder / "F.npy", mmap_mode="r")


def hdf5(folder, X, **how):
    return h5py.File(folder / "x.h5", "w").create_dataset("X", data=X, **how)


def genes_first(folder, X, **how):
    return samples_first(h5py.File(folder / "t.h5", "w").create_dataset("X", data=X.T, **how))


def zarr_array(folder, X, chunks=(13, 7)):
    how = {"shape": X.shape, "chunks": chunks, "dtype": X.dtype}
    array = zarr.open(folder / "x.zarr", mode="w", **how)  # create_array is zarr 3's alone
    array[:] = X
    return array


def backed(folder, X, name="x.h5ad"):
    adata = ad.AnnData(X, var=pd.DataFrame(index=NAMES[: X.shape[1]]))
    adata.write_h5ad(folder / name)
    return ad.read_h5ad(folder / name, backed="r")


def parquet(folder, X, bounds=(0, 300, 710, N), row_group_size=17):
    paths = []
    for start, stop in pairwise(bounds):
        index = [f"sample{i}" for i in range(start, stop)]
        frame = pd.DataFrame(X[start:stop], columns=NAMES[: X.shape[1]], index=index)
        paths.append(folder / f"from{start}.parquet")
        frame.to_parquet(paths[-1], row_group_size=row_group_size)
    return paths


KINDS = {
    "memmap": memmap,
    "memmap, columns first": columns_first,
    "hdf5": hdf5,
    "hdf5, chunks": lambda folder, X: hdf5(folder, X, chunks=(11, 9), compression="gzip"),
    "genes first": genes_first,
    "genes first, chunks": lambda folder, X: genes_first(folder, X, chunks=(9, 11)),
    "zarr": zarr_array,
    "h5ad": backed,
    "h5ad, csr": lambda folder, X: backed(folder, sp.csr_matrix(X)),
    "anndata of a memmap": lambda folder, X: ad.AnnData(
        memmap(folder, X), var=pd.DataFrame(index=NAMES)
    ),
    "parquet": parquet,
    "parquet, strings": lambda folder, X: [str(path) for path in parquet(folder, X)],
}
NAMED = {"h5ad", "h5ad, csr", "anndata of a memmap", "parquet", "parquet, strings"}


def shrink(monkeypatch, *, window=200, blocks=10, donors=300, piece=50, row=ROW):
    """Let a thousand rows be more than memory holds: sizes are in rows."""
    from sslgex import _inputs
    from sslgex._training import stream

    monkeypatch.setattr(_inputs, "IN_MEMORY", 0)
    monkeypatch.setattr(stream, "WINDOW", window * row)
    monkeypatch.setattr(stream, "BLOCKS", blocks)
    monkeypatch.setattr(stream, "DONORS", donors * row)
    monkeypatch.setattr(stream, "LEAST_DONORS", 2)
    monkeypatch.setattr(stream, "PIECE", piece * row)
