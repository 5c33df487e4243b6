"""Genes that several data sets have in common."""

import numpy as np

from .._genes import shares_of_kinds, strip_versions
from .._inputs import column_names


def common_genes(*datasets) -> np.ndarray:
    """Return the genes that all data sets have.

    Parameters
    ----------
    *datasets : AnnData, data frame, fitted estimator or sequence of str
        Two or more. Of a fitted estimator its ``feature_names_in_`` are taken. Samples are in
        rows, genes in columns.

    Returns
    -------
    genes : ndarray of shape (n_common,), str of dtype object
        In the order of the first data set, each once, Ensembl ids without version.

    Raises
    ------
    TypeError
        If a data set has no gene names.
    ValueError
        If there are fewer than two data sets, or they have no gene in common.

    See Also
    --------
    build_tcga, build_archs4 : Data sets whose genes have no versions.
    sslgex.preprocessing.GeneAligner : Brings a matrix to a list of genes, such as this one.

    Examples
    --------
    >>> import pandas as pd
    >>> from sslgex.datasets import common_genes
    >>> tcga = pd.DataFrame([[1.0, 2.0]], columns=["ENSG00000141510.18", "ENSG00000012048.23"])
    >>> common_genes(tcga, ["ENSG00000012048", "ENSG00000139618"]).tolist()
    ['ENSG00000012048']
    """
    if len(datasets) < 2:
        raise ValueError(f"common_genes compares two or more data sets, got {len(datasets)}.")
    names = [strip_versions(_names(data, i)) for i, data in enumerate(datasets)]
    everywhere = set(names[0]).intersection(*names[1:])
    if not everywhere:
        found = "; ".join(f"data set {i}: {_described(names[i])}" for i in range(len(names)))
        raise ValueError(
            f"The data sets have no gene in common. {found}. Bring them to one kind of "
            "identifier, samples in rows."
        )
    return np.array([name for name in dict.fromkeys(names[0]) if name in everywhere], dtype=object)


def _names(data, i: int):
    """Return the names of the genes of a data set."""
    names = column_names(data)
    if names is None:
        names = getattr(data, "feature_names_in_", None)
    if names is None and np.ndim(data) == 1 and all(isinstance(name, str) for name in data):
        names = data
    if names is None:
        raise TypeError(
            f"Data set {i} is a {type(data).__name__} without gene names. Give an AnnData, a data "
            "frame, an estimator fitted on one of them, or a sequence of names."
        )
    return names


def _described(names: np.ndarray) -> str:
    """Say how many names there are and what they look like."""
    if not len(names):
        return "no names"
    kinds = ", ".join(f"{share:.0%} {kind}" for kind, share in shares_of_kinds(names).items())
    return f"{len(names):,} names ({kinds}; first: {names[0]})"
