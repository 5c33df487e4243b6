"""The real data sets of the benchmarks: profiles, labels, groups."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

MIN_SAMPLES = 10  # of a class, or it is left out


class DataSet(NamedTuple):
    """Expression profiles with labels.

    Attributes
    ----------
    title : str
        For tables.
    X : DataFrame of shape (n_samples, n_genes)
        log2 or standardised values.
    y : ndarray of shape (n_samples,)
        Labels.
    groups : ndarray of shape (n_samples,) or None
        Patients.
    chosen_on : bool
        Whether some default of the package was chosen with an eye on this set.
    """

    title: str
    X: pd.DataFrame
    y: np.ndarray
    groups: np.ndarray | None
    chosen_on: bool


def load(name: str, folder: Path) -> DataSet:
    """Read one of `NAMES` from the folder with the h5ad files."""
    import anndata

    title, chosen_on, patient = NAMES[name]
    adata = anndata.read_h5ad(folder / f"{name}.h5ad")
    labels = adata.obs["label"].astype(str)
    adata = adata[labels.map(labels.value_counts()).to_numpy() >= MIN_SAMPLES]
    X = adata.to_df()
    if name == "rnaseqdb_counts":
        X = np.log2(X.div(X.sum(axis=1), axis=0) * 1e6 + 1)
    if name in ("rnaseqdb_counts", "tcga_9types"):
        # A third of its 20,242 genes, for the sake of time; chosen by name, not by what they tell.
        X = X[X.columns.intersection(anndata.read_h5ad(folder / "gdsc_cell_lines.h5ad").var_names)]
    groups = None if patient is None else patient(adata.obs)
    y = adata.obs["label"].astype(str).to_numpy(dtype=object)
    return DataSet(title, X.astype(np.float32), y, groups, chosen_on)


def _donor(obs: pd.DataFrame) -> np.ndarray:
    """GTEX-SNMC-0826-... is of donor GTEX-SNMC, TCGA-A7-A0CE-01A-... of patient TCGA-A7-A0CE."""
    parts = obs.index.str.split("-")
    return np.array(["-".join(p[: 2 if p[0] == "GTEX" else 3]) for p in parts], dtype=object)


# name: (title, whether something was chosen on it, groups)
NAMES = {
    "tcga_brca_pam50": ("TCGA-BRCA, PAM50 subtype", True, None),
    "tcga_11paired": ("TCGA, 11 cancers x tumour/normal", True, _donor),
    "gdsc_cell_lines": ("GDSC cell lines, tissue of origin", True, None),
    "rnaseqdb_counts": ("RNAseqDB, tissue and tumour site", True, _donor),
    "tcga_9types": ("TCGA, 9 cancers", False, _donor),
}
