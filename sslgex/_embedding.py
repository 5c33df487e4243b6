"""Embedding profiles with a fitted encoder."""

from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from ._inputs import LARGEST, check_X, gene, with_obs_names
from ._memory import advice_on_memory
from ._npy import write_npy
from ._on_disk import check_finite, find_source, refuse_own_file
from ._sources import Source
from ._training.ahead import Ahead
from ._training.device import resolve_device
from ._training.embed import embed
from ._training.rows import Rows
from ._training.stream import pieces
from ._training.warning import warn_user
from .exceptions import OutOfMemoryError


class EmbeddingMixin(TransformerMixin):
    """`transform` of the pretrainers, and what the classifier takes of it.

    A TransformerMixin, because scikit-learn gives its output container only to methods of those.
    """

    encoder_: Any
    mean_: np.ndarray | None
    scale_: np.ndarray | None
    layer: str | None
    device: str

    # A path is no metadata that a Pipeline could route.
    __metadata_request__transform = {"out": UNUSED}

    def transform(self, X, *, out=None):
        """Embed expression profiles.

        A profile's embedding depends on that profile alone: it is bitwise the same whether the
        profile comes alone, permuted or within a batch, and for any number of threads.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame, AnnData, on disk} of shape (n_samples, n_features)
            Profiles over the genes of `fit`, in their order. What `fit` takes on disk is read in
            blocks.
        out : path, default=None
            Write the embedding to this .npy file, block by block. The file appears complete or
            not at all; that of X itself is refused.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            Embedding; float64 for float64 input, float32 for any other. A data frame if
            `set_output` says so. With `out` a memmap of the file, opened for reading.

        Raises
        ------
        ValueError
            If X is unusable; the message names the cause, the numbers, the cure.
        OSError
            If X on disk cannot be read or `out` cannot be written.
        exceptions.OutOfMemoryError
            If memory is not enough.
        """
        check_is_fitted(self)
        try:
            if out is not None:
                refuse_own_file(find_source(X, self.layer), out)
            X_checked = check_X(self, X, reset=False, layer=self.layer, streams=True)
            return with_obs_names(self, self._embed(X_checked, out), X)
        except Exception as error:
            advice = advice_on_memory(self, "transform", error)
            if advice is None:
                raise
            raise OutOfMemoryError(advice) from error

    @property
    def _n_features_out(self) -> int:
        return self.encoder_.n_embedding

    def _rows(self, matrices: list) -> Rows:
        return Rows(matrices, self.mean_, self.scale_)

    def _embed(self, X, out=None) -> np.ndarray:
        """Embed a checked matrix, into a file if ``out`` is one."""
        shape = X.shape[0], self._n_features_out
        dtype = np.float64 if X.dtype == np.float64 else np.float32
        with closing(self._embeddings(X)) as blocks:
            if out is not None:
                return write_npy(out, blocks, shape, dtype)
            if not isinstance(X, Source):
                return next(blocks).astype(dtype, copy=False)
            Z, at = np.empty(shape, dtype), 0
            for block in blocks:
                Z[at : at + len(block)] = block
                at += len(block)
            return Z

    def _embeddings(self, X) -> Generator[np.ndarray]:
        """Yield the embedding of a matrix in memory, or piece by piece of one on disk."""
        device = self._device_or_cpu()
        if not isinstance(X, Source):
            yield embed(self.encoder_, self._rows([X]), device, self._refuse_overflow)
            return
        with Ahead(pieces(X)) as found:
            for start, piece in found:
                check_finite(self, piece, start)
                yield embed(self.encoder_, self._rows([piece]), device, self._refuse_overflow)

    def _device_or_cpu(self) -> torch.device:
        """Return the device, or the CPU where an encoder from a GPU machine has come to."""
        try:
            return resolve_device(self.device)
        except ValueError:
            warn_user(f"device={self.device!r} is not in this machine: using the CPU.")
            return torch.device("cpu")

    def _refuse_overflow(self, block: np.ndarray) -> None:
        if max(block.max(), -block.min()) <= LARGEST:
            return
        row, j = np.unravel_index(np.abs(block).argmax(), block.shape)
        raise ValueError(
            f"{gene(self, int(j))} of X is {block[row, j]:.3g} standard deviations from its mean "
            f"in fit, whose square overflows float32 (beyond {LARGEST:.3g}). Correct it, or put X "
            "on the scale of the data of fit."
        )
