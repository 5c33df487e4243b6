"""Principal components of rows that need not fit into memory together."""

from collections.abc import Iterator

import numpy as np

from .rows import Rows

EXTRA = 10  # directions beyond those asked for, which make these exact sooner
PASSES = 4
SIZE = 128  # rows at a time


def principal_components(
    rows: Rows, n_components: int, seed: int, index: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading principal axes of the rows, by randomised subspace iteration [1]_.

    Parameters
    ----------
    rows : Rows
        Two or more.
    n_components : int
        Number of axes; fewer come where the rows have no more.
    seed : int
        Of the start.
    index : ndarray of shape (n_samples,), default=None
        Which of the rows to look at; None for all.

    Returns
    -------
    components : ndarray of shape (n_components, n_features), float32
        Orthonormal, the axis of the largest variance first, the largest entry of each positive.
    deviations : ndarray of shape (n_components,), float32
        Standard deviations of the rows along them.

    References
    ----------
    .. [1] Halko, Martinsson, Tropp (2011). Finding structure with randomness: probabilistic
       algorithms for constructing approximate matrix decompositions. SIAM Review 53.
    """
    index = np.arange(len(rows)) if index is None else index
    size = max(1, min(n_components + EXTRA, len(index) - 1, rows.n_features))
    mean = sum(b.sum(axis=0, dtype=np.float64) for b in _blocks(rows, index)) / len(index)
    mean = mean.astype(np.float32)
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((rows.n_features, size), dtype=np.float32)
    for _ in range(PASSES):
        image = np.zeros_like(basis)
        for block in _blocks(rows, index, mean):
            image += block.T @ (block @ basis)
        basis = np.linalg.qr(image)[0]
    gram = np.zeros((size, size))
    for block in _blocks(rows, index, mean):
        scores = (block @ basis).astype(np.float64)
        gram += scores.T @ scores
    squares, turn = np.linalg.eigh(gram)
    spread = np.sqrt(np.maximum(squares[::-1], 0))
    found = spread > spread[0] * len(index) * np.finfo(np.float32).eps
    turn = turn[:, ::-1].T.astype(np.float32)
    components = (turn @ basis.T)[found][:n_components]
    largest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(len(components)), largest])[:, None]
    deviations = spread[found][:n_components] / np.sqrt(len(index))
    return components, deviations.astype(np.float32)


def _blocks(rows: Rows, index, mean: np.ndarray | None = None) -> Iterator[np.ndarray]:
    for start in range(0, len(index), SIZE):
        block = rows.take(index[start : start + SIZE])
        yield block if mean is None else block - mean
