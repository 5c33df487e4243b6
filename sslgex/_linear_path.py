"""What linear experts see of a sample: its standardised genes and their principal components."""

from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from ._training.components import principal_components
from ._training.rows import Rows
from .base import N_COMPONENTS, BaseSSLTransformer


class Features(NamedTuple):
    """What the experts see of some samples.

    Attributes
    ----------
    genes : ndarray of shape (n_samples, n_genes)
        Standardised; of unlabelled samples none, (n_samples, 0): nobody looks at them.
    components : ndarray of shape (n_samples, n_components)
        Principal components, that of the largest variance first.
    embedding : ndarray of shape (n_samples, n_embedding)
        What the encoder makes of them.
    """

    genes: np.ndarray
    components: np.ndarray
    embedding: np.ndarray


class LinearPath(BaseEstimator):
    """The way past the encoder.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_genes,) or None
        Of the genes.
    components_ : ndarray of shape (n_components, n_genes)
        Principal axes of the standardised genes.
    """

    @classmethod
    def of(cls, encoder, matrices: list, seed: int) -> "LinearPath":
        """Return the path past an encoder: its own, or that of the samples at hand."""
        path = cls()
        if hasattr(encoder, "components_") and isinstance(encoder, BaseSSLTransformer):
            path.mean_, path.scale_ = encoder.mean_, encoder.scale_
            path.components_ = encoder.components_
            return path
        statistics = Rows(matrices).statistics()
        path.mean_, path.scale_ = statistics.mean, statistics.scale
        rows = Rows(matrices, path.mean_, path.scale_)
        path.components_ = principal_components(rows, N_COMPONENTS, seed)
        return path

    def features(self, matrix, embedding: np.ndarray, *, genes: bool = True) -> Features:
        """Return what there is to see of the samples of a checked matrix."""
        rows = Rows([matrix], self.mean_, self.scale_)
        if genes:
            values = rows.take(np.arange(len(rows)))
            return Features(values, values @ self.components_.T, embedding)
        parts = [block @ self.components_.T for block in rows.blocks()]
        none = np.empty((len(rows), 0), dtype=np.float32)
        return Features(none, np.concatenate(parts)[: len(rows)], embedding)
