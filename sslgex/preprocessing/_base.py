"""What the steps share: how X is checked, in which type the values leave, and under which names."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_is_fitted

from .._doc_link import DocumentationLinkMixin
from .._fitting import all_or_nothing
from .._inputs import check_X, is_anndata, with_obs_names
from .._training.rows import BLOCK


class Preprocessor(DocumentationLinkMixin, TransformerMixin, BaseEstimator):
    """Base of the steps that change expression values sample by sample.

    A step defines `_learn`, what it takes from the training samples, and `_apply`, what it does to
    a few samples. Whatever the layout of X, `_apply` gets float64 rows in C order that are its own,
    so a sample has the same bits alone, permuted or in the batch, dense or sparse.
    """

    _parameter_constraints: dict = {"layer": [str, None]}
    # Whether the step leaves zeros alone, so that a sparse matrix stays sparse.
    _keeps_zeros = True
    # What there is to learn takes two samples, unless a step says otherwise.
    _min_samples = 2

    @_fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def fit(self, X, y=None):
        """Learn from the training samples.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows; two at least, where there is something to learn.
        y : None
            Ignored; present for scikit-learn's Pipeline.

        Returns
        -------
        self : estimator
            The fitted step.

        Raises
        ------
        ValueError
            If X or a parameter is unusable; the message names the cause, the numbers, the cure.
        """
        self._learn(self._check(X, reset=True))
        return self

    def transform(self, X):
        """Transform expression profiles, each on its own.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Profiles over the genes of `fit`, in their order. Never written to.

        Returns
        -------
        X_new : {ndarray, sparse matrix, data frame} of shape (n_samples, n_features_out)
            float64 for float64 input, float32 for any other. A data frame if `set_output` says so.
        """
        check_is_fitted(self)
        return self._through(self._apply, self._check(X, reset=False), X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    # What a step defines

    def _learn(self, X) -> None:
        """Take from the training samples, a checked matrix, what `transform` needs."""

    def _apply(self, block: np.ndarray, start: int) -> np.ndarray:
        """Return the transformed samples of ``block``, the first of which is row ``start`` of X."""
        raise NotImplementedError

    # What it can use

    def _check(self, X, *, reset: bool):
        """Return X checked: an array, or a CSR matrix without repeated entries."""
        least = self._min_samples if reset else 1
        return canonical(check_X(self, X, reset=reset, layer=self.layer, min_samples=least))

    def _through(self, apply, matrix, X):
        """Return what ``apply`` makes of a checked matrix, under the names of the user's X."""
        dtype = np.float64 if matrix.dtype == np.float64 else np.float32
        done = (apply(block, start).astype(dtype) for start, block in blocks(matrix))
        # polars knows no sparse frames.
        wanted = _get_output_config("transform", self)["dense"]
        if sp.issparse(matrix) and self._keeps_zeros and wanted != "polars":
            Z = sp.vstack([sp.csr_matrix(block) for block in done], format="csr")
        else:
            Z = _stack(done, matrix.shape[0])
        return _with_names(self, Z, X)


def blocks(X) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number of the first row, a few rows as a new float64 array in C order)."""
    for start in range(0, X.shape[0], BLOCK):
        block = X[start : start + BLOCK]
        block = block.toarray() if sp.issparse(block) else block
        yield start, np.array(block, dtype=np.float64, order="C")


def canonical(X):
    """Return a sparse matrix without repeated entries, and any other X as it is."""
    if sp.issparse(X) and not X.has_canonical_format:
        X = X.copy()  # the user's stays as it is
        X.sum_duplicates()
    return X


def _stack(done: Iterator[np.ndarray], n_samples: int) -> np.ndarray:
    """Return blocks of rows as one array, without holding them twice."""
    first = next(done)
    Z = np.empty((n_samples, first.shape[1]), dtype=first.dtype)
    Z[: len(first)] = first
    start = len(first)
    for block in done:
        Z[start : start + len(block)] = block
        start += len(block)
    return Z


def _with_names(step, Z, X):
    """Return ``Z`` as what `set_output` can name, a sparse matrix and AnnData included."""
    if sp.issparse(Z) and _get_output_config("transform", step)["dense"] == "pandas":
        import pandas as pd

        index = X.obs_names if is_anndata(X) else getattr(X, "index", None)
        return pd.DataFrame.sparse.from_spmatrix(Z, index=index)
    return with_obs_names(step, Z, X)
