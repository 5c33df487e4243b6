"""Which entries of a batch are corrupted, and what they get instead."""

import math

import numpy as np

from .rows import CHUNK, Rows


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
    n, share = len(counts), counts.mean() / n_features
    if share > 0.9:  # the last few that are missing would take long to find
        return ~choose(n_features - counts, n_features, rng)
    threshold = round(256 * share) if share > 1 / 64 else 0
    mask = words(n * n_features, np.uint8, rng) < threshold
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


def replaced(
    rows: Rows,
    batch: np.ndarray,
    mask: np.ndarray,
    donors: Rows,
    index: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return rows whose chosen entries are the same gene's value in a random one of some rows.

    Parameters
    ----------
    rows : Rows
        Where the rows are.
    batch : ndarray of shape (n,), int
        Which of them are returned.
    mask : ndarray of shape (n, n_features), bool
        The chosen entries; each has a donor of its own.
    donors : Rows
        Where the donors are.
    index : ndarray of int
        Which of them may be donors.
    rng : numpy Generator
        Draws the donors.

    Returns
    -------
    values : ndarray of shape (n, n_features), float32
        Standardised.
    """
    n, n_features = mask.shape
    values = np.empty((n, n_features), dtype=np.float32)
    size = max(1, CHUNK // n_features)  # rows at a time
    for start in range(0, n, size):
        some = slice(start, start + size)
        raw = rows.raw(batch[some])
        flat, chosen_of = raw.reshape(-1), mask[some].reshape(-1)
        for at in range(0, len(flat), CHUNK):
            chosen = np.flatnonzero(chosen_of[at : at + CHUNK]) + at
            genes = chosen % n_features if size > 1 else chosen
            drawn = index.take(below(len(index), len(chosen), rng))
            flat[chosen] = donors.raw_entries(drawn, genes)
        rows.standardise(raw, values[some])
    return values


def words(n: int, dtype: type, rng: np.random.Generator) -> np.ndarray:
    """Draw ``n`` integers from all that ``dtype`` holds."""
    size = np.dtype(dtype).itemsize
    return rng.bit_generator.random_raw(-(-n * size // 8)).view(dtype)[:n]


def below(high: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``n`` integers from 0 to ``high - 1``; for any two, the odds differ by high / 2**32."""
    # numpy before 2.0 would multiply 32 bits by a scalar of 64 in 32 bits.
    product = np.multiply(words(n, np.uint32, rng), np.uint64(high), dtype=np.uint64)
    return (product >> np.uint64(32)).view(np.int64)
