"""Which entries of a batch are corrupted, and what they get instead."""

import math

import numpy as np

from .rows import Rows

CHUNK = 16_384  # entries at a time: their buffers stay in the cache


def n_corrupted(rate: float, n_features: int) -> int:
    """Return floor(rate * n_features); 0.29 of 100 is 29, whatever binary fractions say."""
    return math.floor(rate * n_features + 1e-9)


def choose(counts: np.ndarray, n_features: int, rng: np.random.Generator) -> np.ndarray:
    """Choose ``counts[i]`` entries of row i, every such set being equally likely.

    A random byte per entry decides first; then as many entries as a row has too few or too many
    are added or taken back at random.

    Parameters
    ----------
    counts : ndarray of shape (n,), int
        From 0 to n_features.
    n_features : int
        Width of the rows.
    rng : numpy Generator
        Draws.

    Returns
    -------
    mask : ndarray of shape (n, n_features), bool
        Which entries were chosen.
    """
    n = len(counts)
    threshold = min(255, round(256 * counts.mean() / n_features))
    drawn = np.frombuffer(rng.bytes(n * n_features), dtype=np.uint8)
    mask = drawn < threshold
    missing = counts - np.count_nonzero(mask.reshape(n, n_features), axis=1)
    while missing.any():
        rows = np.repeat(np.arange(n), np.abs(missing))
        at = rows * n_features + rng.integers(n_features, size=len(rows))
        wanted = missing[rows] > 0
        right = mask[at] != wanted
        at, first = np.unique(at[right], return_index=True)
        rows, wanted = rows[right][first], wanted[right][first]
        mask[at] = wanted
        missing -= np.bincount(rows, np.where(wanted, 1, -1), minlength=n).astype(int)
    return mask.reshape(n, n_features)


def replace(
    values: np.ndarray, mask: np.ndarray, rows: Rows, index: np.ndarray, rng: np.random.Generator
) -> None:
    """Replace the chosen entries by the same gene's value in a random one of some rows, in place.

    Parameters
    ----------
    values : ndarray of shape (n, n_features), float32
        Standardised.
    mask : ndarray of shape (n, n_features), bool
        The chosen entries; each has a donor of its own.
    rows : Rows
        Where the donors are.
    index : ndarray of int
        Rows that may be donors.
    rng : numpy Generator
        Draws the donors.
    """
    for row, chosen in zip(values, mask, strict=True):
        for start in range(0, len(row), CHUNK):
            genes = np.flatnonzero(chosen[start : start + CHUNK]) + start
            donors = (rng.random(len(genes)) * len(index)).astype(np.intp)
            row[genes] = rows.entries(index.take(donors), genes)
