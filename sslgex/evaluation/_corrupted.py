"""Held-out samples, corrupted as pretraining corrupts its own."""

from numbers import Real

import numpy as np
import scipy.sparse as sp

from .._training.corruption import below, choose, n_corrupted
from .._training.rows import CHUNK, Rows
from .._training.views import new_rng


def corrupted(X, donors, rate: float, seed: int, exact: bool = True):
    """Replace entries by the values of the same genes in random rows of `donors`.

    Parameters
    ----------
    X : {ndarray, CSR matrix, data frame} of shape (n_samples, n_genes)
        Not changed.
    donors : {ndarray, CSR matrix} of shape (n_donors, n_genes)
        Every replaced entry has a row of its own.
    rate : float
        Share of the genes to replace.
    seed : int
        Of masks and donors.
    exact : bool, default=True
        Replace exactly ``floor(rate * n_genes)`` genes of every row; otherwise every entry with
        probability `rate`.

    Returns
    -------
    corrupted : {ndarray, CSR matrix, data frame} of shape (n_samples, n_genes)
        As `X`.
    """
    if hasattr(X, "columns"):
        values = corrupted(X.to_numpy(), donors, rate, seed, exact)
        return type(X)(values, index=X.index, columns=X.columns)
    rng = new_rng(seed)
    rows = Rows([donors])
    n, n_genes = X.shape
    size = max(1, CHUNK // n_genes)  # rows at a time
    parts = []
    for start in range(0, n, size):
        part = X[start : start + size]
        part = part.toarray() if sp.issparse(part) else np.asarray(part)
        part = part.astype(np.result_type(part, rows.dtype))
        if exact:
            counts = np.full(len(part), n_corrupted(rate, n_genes))
        else:
            counts = rng.binomial(n_genes, rate, size=len(part))
        where = np.nonzero(choose(counts, n_genes, rng))
        part[where] = rows.raw_entries(below(len(rows), len(where[0]), rng), where[1])
        parts.append(sp.csr_matrix(part) if sp.issparse(X) else part)
    if not sp.issparse(X):
        return np.concatenate(parts)
    # A sparse array stays one.
    return type(X)(sp.vstack(parts, format="csr"))


def check_rate(name: str, rate, n_genes: int | None = None) -> float:
    """Return a corruption rate that replaces one gene at least; raise for any other."""
    if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 < float(rate) <= 1:
        raise ValueError(f"{name} must be a number above 0 and at most 1, got {rate!r}.")
    if n_genes is not None and not n_corrupted(float(rate), n_genes):
        raise ValueError(
            f"{name}={rate:g} of {n_genes:,} genes is less than one gene: nothing would be "
            f"corrupted. Take {1 / n_genes:.2g} or more."
        )
    return float(rate)
