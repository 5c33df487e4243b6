"""Principal components of rows that need not fit into memory together."""

from collections.abc import Iterator

import numpy as np
import torch

from .rows import Rows

WIDTH = 44  # directions that one pass over the rows finds
SPARE = 2  # times the directions asked for: what brings the last of these near the truth
SIZE = 128  # rows at a time


def principal_components(
    rows: Rows, n_components: int, seed: int, index: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading principal axes of the rows, by randomised block Krylov iteration [1]_.

    Against plain subspace iteration of the same cost it keeps what every pass has found.

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
    .. [1] Musco, Musco (2015). Randomized block Krylov methods for stronger and faster approximate
       singular value decomposition. NeurIPS.
    """
    index = np.arange(len(rows)) if index is None else index
    n = len(index)
    # Weights that sum to zero: the rows' mean cancels in what they weigh.
    weights = np.random.default_rng(seed).standard_normal((n, WIDTH), dtype=np.float32)
    weights -= weights.mean(axis=0)
    mean = np.zeros(rows.n_features)
    image = np.zeros((WIDTH, rows.n_features), dtype=np.float32)
    for here, block in _blocks(rows, index):
        mean += block.sum(axis=0, dtype=np.float64) / n
        image += weights[here].T @ block
    mean = mean.astype(np.float32)
    basis = np.empty((0, rows.n_features), dtype=np.float32)
    passes = -(-SPARE * n_components // WIDTH)
    scatter = np.zeros((passes * WIDTH, passes * WIDTH))  # of the rows, in the basis
    for _ in range(passes):
        axes = _orthonormal(image, basis)
        if not len(axes):
            break
        image, own = np.zeros_like(axes), np.zeros((len(axes), len(axes)))
        for _, block in _blocks(rows, index):
            block -= mean
            projected = block @ axes.T
            own += projected.T.astype(np.float64) @ projected
            image += projected.T @ block
        old, new = slice(len(basis)), slice(len(basis), len(basis) + len(axes))
        scatter[new, new] = own
        scatter[new, old] = image @ basis.T
        scatter[old, new] = scatter[new, old].T
        basis = np.concatenate([basis, axes])
    squares, turn = np.linalg.eigh(scatter[: len(basis), : len(basis)])
    spread = np.sqrt(np.maximum(squares[::-1], 0))
    found = spread > (n + 100) * spread[0] * np.finfo(np.float32).eps  # less is rounding
    turn = turn[:, ::-1].T.astype(np.float32)
    components = turn[found][:n_components] @ basis
    largest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(len(components)), largest])[:, None]
    deviations = spread[found][:n_components] / np.sqrt(n)
    return components, deviations.astype(np.float32)


def _orthonormal(image: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return orthonormal rows that span what ``image`` holds beside the rows of ``basis``."""
    axes = _rows_of_q(image - (image @ basis.T) @ basis)
    axes -= (axes @ basis.T) @ basis
    # Where the image held nothing new, rounding went into the basis again, and now out of it.
    squares, turn = np.linalg.eigh(axes @ axes.T)
    axes = turn[:, squares > 0.01].T @ axes
    return _rows_of_q(axes - (axes @ basis.T) @ basis)


def _rows_of_q(matrix: np.ndarray) -> np.ndarray:
    """Return orthonormal rows that span those of ``matrix``, of which there are no more."""
    # torch's decomposition is several times as fast as numpy's.
    return torch.linalg.qr(torch.from_numpy(matrix).T)[0].T.numpy()


def _blocks(rows: Rows, index: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, len(index), SIZE):
        here = slice(start, start + SIZE)
        yield here, rows.take(index[here])
