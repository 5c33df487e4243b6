"""Settings of all tests, and files that several read."""

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from expression_files import BRCA, COUNTS, FRAME, GSM, table, write


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Compute on one thread: two that wait for each other make small fits many times slower."""
    torch.set_num_threads(1)


@pytest.fixture
def xena(tmp_path):
    """Return a file as Xena has it: genes x samples, "sample" over the genes."""
    return write(tmp_path / "HiSeqV2.gz", table(FRAME.T, corner="sample"), compress=True)


@pytest.fixture
def adata():
    obs = pd.DataFrame({"subtype": BRCA.target.iloc[:8].to_numpy()}, index=FRAME.index)
    adata = anndata.AnnData(FRAME.to_numpy(), obs=obs, var=pd.DataFrame(index=FRAME.columns))
    adata.layers["counts"] = sp.csr_matrix(COUNTS.to_numpy())
    return adata


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
