"""Encoders of one study for the samples of another: what `transfer.py` compares."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import anndata
import numpy as np
import pandas as pd
from joblib import Memory
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.preprocessing import StandardScaler

from sslgex import ByolTransformer, ScarfTransformer, VimeTransformer
from sslgex._untrained import UntrainedTransformer
from sslgex.datasets import common_genes
from sslgex.evaluation._baselines import PrincipalComponents
from sslgex.preprocessing import BatchCorrector

METHODS = {
    "BYOL": ByolTransformer(random_state=0),
    "SCARF": ScarfTransformer(random_state=0),
    "VIME": VimeTransformer(random_state=0),
    "random network": UntrainedTransformer(embedding="all", random_state=0),
    "PCA of the source": PrincipalComponents(64, random_state=0),
}
# name: (standardise every study by itself, correct batches)
WAYS = {
    "as they are": (False, False),
    "standardised": (True, False),
    "corrected": (False, True),
    "standardised and corrected": (True, True),
}
ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
CACHE = ROOT / ".cache" / "transfer"


class Pair(NamedTuple):
    """A source and a target: the names of their files, and how the pair is called."""

    title: str
    sources: tuple[str, ...]
    target: str


PAIRS = {
    "cancers": Pair("Cell lines, then nine cancers", ("gdsc_cell_lines",), "tcga_9types"),
    "breast": Pair(
        "Colorectal and lung tumours, then subtypes of breast tumours",
        ("tcga_coadread", "tcga_luad"),
        "tcga_brca_pam50",
    ),
}


@cache
def studies(pair: str) -> tuple[list[np.ndarray], pd.DataFrame, np.ndarray]:
    """Return the matrices of the sources, and profiles and labels of the target."""
    sources = [anndata.read_h5ad(DATA / f"{name}.h5ad") for name in PAIRS[pair].sources]
    target = anndata.read_h5ad(DATA / f"{PAIRS[pair].target}.h5ad")
    genes = common_genes(target, *sources)
    return (
        [study[:, genes].to_df().to_numpy(np.float32) for study in sources],
        target[:, genes].to_df().astype(np.float32),
        target.obs["label"].astype(str).to_numpy(dtype=object),
    )


def labels_of_source(pair: str) -> np.ndarray:
    """Return the labels of the samples of the source."""
    found = [anndata.read_h5ad(DATA / f"{name}.h5ad").obs["label"] for name in PAIRS[pair].sources]
    return np.concatenate([labels.astype(str).to_numpy(dtype=object) for labels in found])


class FromSource(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An encoder of the source, for the target.

    Of the target it learns in `fit` what brings the two together, never more.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    pair, way : str
        One of `PAIRS`, of `WAYS`.
    """

    def __init__(self, method, pair, way):
        self.method = method
        self.pair = pair
        self.way = way

    def fit(self, X, y=None):
        """Bring source and target together; pretrain on the source."""
        source = self.meet(X)
        pretrain = Memory(CACHE / "encoders", verbose=0).cache(pretrained)
        self.encoder_ = pretrain(self.method, source)
        self._n_features_out = self.encoder_.transform(source[:2]).shape[1]
        return self

    def meet(self, X) -> np.ndarray:
        """Learn of the target what brings the two together, and return the source so."""
        sources, _, _ = studies(self.pair)
        standardise, correct = WAYS[self.way]
        self.scaler_ = StandardScaler().fit(np.asarray(X)) if standardise else None
        if standardise:
            sources = [StandardScaler().fit_transform(source) for source in sources]
        source = np.concatenate(sources)
        self.corrector_ = None
        if correct:
            names = [f"source {i}" for i, study in enumerate(sources) for _ in study]
            batch = np.array(names + ["target"] * len(X))
            both = np.concatenate([source, self._scaled(X)])
            self.corrector_ = BatchCorrector().fit(both, batch=batch)
            source = self.corrector_.transform(source, batch=batch[: len(source)])
        return np.ascontiguousarray(source, dtype=np.float32)

    def transform(self, X):
        """Embed samples of the target."""
        X = self._scaled(X)
        if self.corrector_ is not None:
            X = self.corrector_.transform(X, batch=np.full(len(X), "target"))
        return self.encoder_.transform(X.astype(np.float32))

    def _scaled(self, X) -> np.ndarray:
        X = np.asarray(X, dtype=np.float32)
        return X if self.scaler_ is None else self.scaler_.transform(X)


def pretrained(method: str, source: np.ndarray):
    """Return an encoder of the source."""
    return clone(METHODS[method]).fit(source)
