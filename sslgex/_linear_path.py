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
        Standardised, unless the encoder has ``standardize=False``; (0, n_genes) of unlabelled
        samples, whose genes nobody looks at.
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
        path.components_, _ = principal_components(rows, N_COMPONENTS, seed)
        return path

    def features(self, matrix, embedding: np.ndarray, *, genes: bool = True) -> Features:
        """Return what there is to see of the samples of a checked matrix."""
        rows = Rows([matrix], self.mean_, self.scale_)
        axes = self.components_.T.astype(np.float64)
        # In float64, so that a sample's components do not depend on its neighbours.
        parts = [block.astype(np.float64) @ axes for block in rows.blocks()]
        components = np.concatenate(parts)[: len(rows)]
        values = rows.take(np.arange(len(rows) if genes else 0))
        return Features(values, components, embedding)
