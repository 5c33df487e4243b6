"""What diagnoses of encoders share: who is fitted on what, and how samples are corrupted."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from sslgex.evaluation._corrupted import check_rate, corrupted

# Donors tell their row and gene; the samples are unlike any of them.
GENES, DONORS = 50, 20
FROM = np.add.outer(100.0 * np.arange(1, DONORS + 1), np.arange(GENES))
CLEAN = -np.add.outer(100.0 * np.arange(1, 31), np.arange(GENES))


def test_exactly_the_share_of_every_row_is_replaced_by_the_same_gene_of_a_donor():
    found = corrupted(CLEAN, FROM, 0.29, seed=0)
    replaced = found != CLEAN
    assert (replaced.sum(axis=1) == 14).all()  # floor(14.5)
    row, gene = np.nonzero(replaced)
    values = found[row, gene]
    np.testing.assert_array_equal(values % 100, gene)
    assert set(values // 100) == set(range(1, DONORS + 1))


def test_not_exactly_means_that_rows_differ_in_how_many_are_replaced():
    counts = (corrupted(CLEAN, FROM, 0.3, seed=0, exact=False) != CLEAN).sum(axis=1)
    assert len(set(counts)) > 3
    assert abs(counts.mean() - 15) < 3


def test_a_rate_of_one_leaves_nothing():
    assert (corrupted(CLEAN, FROM, 1.0, seed=0) > 0).all()


def test_one_seed_one_corruption():
    one, same, other = (corrupted(CLEAN, FROM, 0.3, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_sparse_samples_and_donors_give_the_same_and_stay_sparse(kind):
    clean, donors = CLEAN * (CLEAN % 3 == 0), FROM * (FROM % 2 == 0)
    found = corrupted(kind(clean), kind(donors), 0.3, seed=0)
    assert type(found) is kind
    np.testing.assert_array_equal(found.toarray(), corrupted(clean, donors, 0.3, seed=0))


def test_a_data_frame_stays_one_and_is_not_changed():
    frame = pd.DataFrame(CLEAN, columns=[f"g{i}" for i in range(GENES)], index=np.arange(30) + 5)
    before = frame.copy()
    found = corrupted(frame, FROM, 0.3, seed=0)
    pd.testing.assert_frame_equal(frame, before)
    assert found.columns.equals(frame.columns)
    assert found.index.equals(frame.index)
    np.testing.assert_array_equal(found.to_numpy(), corrupted(CLEAN, FROM, 0.3, seed=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype):
    found = corrupted(CLEAN.astype(dtype), FROM.astype(dtype), 0.3, seed=0)
    assert found.dtype == dtype


def test_more_values_than_pass_at_a_time():
    wide = np.zeros((3, 70_000), dtype=np.float32)
    found = corrupted(wide, wide[:2] + 1, 0.5, seed=0)
    assert (found.sum(axis=1) == 35_000).all()


@pytest.mark.parametrize("rate", [0, -0.1, 1.1, True, "0.3", np.nan])
def test_rates_that_are_none(rate):
    with pytest.raises(ValueError, match="corruption_rate must be a number above 0"):
        check_rate("corruption_rate", rate, 100)


def test_a_rate_of_less_than_one_gene():
    assert check_rate("corruption_rate", 0.02, 50) == 0.02
    with pytest.raises(ValueError, match=r"0.01 of 50 genes is less than one gene.*0.02 or more"):
        check_rate("corruption_rate", 0.01, 50)
