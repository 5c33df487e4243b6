"""The reservoir of rows seen: uniform whatever the calls were, bounded, and never written into."""

import numpy as np
import pytest
import scipy.sparse as sp

from sslgex._training.reservoir import Reservoir

ROWS = np.arange(24, dtype=np.float32)[:, None]  # a row is its number


def filled(chunks, capacities, seed, rows=ROWS):
    """Return the reservoir after chunks of so many rows each, and of such capacities."""
    reservoir, at = Reservoir(), 0
    for call, (n, capacity) in enumerate(zip(chunks, capacities, strict=True)):
        draw = reservoir.draw(n, capacity, 1_000 * seed + call)
        reservoir = draw.filled(rows[at : at + n][draw.new])
        at += n
    return reservoir


@pytest.mark.parametrize(
    ("chunks", "capacities"),
    [
        ([24], [6]),
        ([12, 12], [6, 6]),
        ([3, 2, 12, 1, 6], [6] * 5),  # not yet full, then full
        ([8, 8, 8], [8, 4, 6]),  # rows have become wider: the smallest holds
        ([3] * 8, [6] * 8),
    ],
)
def test_every_row_is_as_likely_as_any_other_and_so_is_every_pair(chunks, capacities):
    n, size, n_draws = len(ROWS), min(capacities), 2_000
    together = np.zeros((n, n))
    for seed in range(n_draws):
        reservoir = filled(chunks, capacities, seed)
        held = reservoir.matrix[:, 0].astype(int)
        assert len(held) == len(np.unique(held)) == size
        assert (reservoir.n_seen, reservoir.capacity) == (n, size)
        together[held[:, None], held] += 1
    for counts, share in (
        (np.diag(together), size / n),
        (together[np.triu_indices(n, 1)], size * (size - 1) / (n * (n - 1))),
    ):
        z = (counts - n_draws * share) / np.sqrt(n_draws * share * (1 - share))
        assert abs(z).max() < 4.5
        assert (z**2).mean() < 2


def test_all_rows_are_held_in_order_while_there_is_room():
    reservoir = filled([7, 2, 11], [20] * 3, 0)
    assert np.array_equal(reservoir.matrix, ROWS[:20])


def test_its_marginals_are_those_of_all_rows_though_they_come_sorted():
    rows = np.sort(np.random.default_rng(0).normal(size=(40_000, 1)), axis=0)
    held = np.sort(filled([1_000] * 40, [2_048] * 40, 0, rows).matrix[:, 0])
    # The largest difference of the two distribution functions, against the bound for 2,048 rows.
    share = np.searchsorted(rows[:, 0], held) / len(rows)
    assert np.abs(share - np.arange(len(held)) / len(held)).max() < 0.03


def test_what_was_held_before_is_left_as_it_was():
    first = filled([12], [6], 0)
    rows = first.matrix.copy()
    draw = first.draw(12, 6, 1)
    draw.filled(ROWS[12:][draw.new])
    assert np.array_equal(first.matrix, rows)
    assert first.n_seen == 12


@pytest.mark.parametrize("kinds", [("sparse", "sparse"), ("sparse", "dense"), ("dense", "sparse")])
def test_sparse_rows_stay_sparse_among_their_like(kinds):
    make = {"sparse": sp.csr_matrix, "dense": np.asarray}
    reservoir = Reservoir()
    for kind, dtype in zip(kinds, (np.int16, np.float32), strict=True):
        rows = make[kind](ROWS.astype(dtype))
        draw = reservoir.draw(24, 200, 0)
        reservoir = draw.filled(rows[draw.new])
    assert sp.issparse(reservoir.matrix) == (kinds == ("sparse", "sparse"))
    values = reservoir.matrix.toarray() if sp.issparse(reservoir.matrix) else reservoir.matrix
    assert values.dtype == np.float32
    assert np.array_equal(values, np.concatenate([ROWS, ROWS]))


def test_more_rows_have_been_seen_than_numpy_draws_from():
    held = Reservoir(ROWS[:12], 10**12, 12)
    draw = held.draw(60, 12, 0)
    assert np.array_equal(draw.kept, np.arange(12))
    assert len(draw.new) == 0
