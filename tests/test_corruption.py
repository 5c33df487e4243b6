"""Batches, corrupted views and the genes' statistics."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from sslgex._training import tensor_corruption
from sslgex._training.resident import ResidentRows, ResidentSource
from sslgex._training.rows import BLOCK, Rows
from sslgex._training.views import MemorySource

CPU = torch.device("cpu")
KINDS = [pytest.param(True, id="exact"), pytest.param(False, id="bernoulli")]
CUDA = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here"),
]


@pytest.fixture(params=["host", "device", "pieces", pytest.param("cuda", marks=CUDA)])
def source(request, monkeypatch):
    """Return the function that makes a source: drawn on the host, or where the rows are kept."""
    if request.param == "pieces":
        monkeypatch.setattr(tensor_corruption, "CHUNK", 100)
    device = torch.device("cuda" if request.param == "cuda" else "cpu")

    def make(
        matrices, *, batch_size=None, held_out=None, index=None, seed=0, mean=None, scale=None
    ):
        matrices = matrices if isinstance(matrices, list) else [matrices]
        rows = Rows(matrices, mean, scale)
        index = np.arange(len(rows)) if index is None else index
        how = {"batch_size": batch_size or len(rows), "seed": seed}
        if request.param == "host":
            return MemorySource(rows, index, device=device, held_out=held_out, **how)
        resident = ResidentRows(rows, index, held_out, device)
        return Fetched(ResidentSource(resident, held_out=held_out is not None, **how))

    return make


class Fetched:
    """A source whose batches come to the CPU, and their numbers to numpy."""

    def __init__(self, source):
        self.source = source

    def __len__(self):
        return len(self.source)

    def __iter__(self):
        return map(FetchedViews, self.source)


class FetchedViews:
    def __init__(self, views):
        self.views = views
        self.index, self.clean = views.index.cpu().numpy(), views.clean.cpu()

    def corrupted(self, rate, **kw):
        values, mask = self.views.corrupted(rate, **kw)
        return values.cpu(), mask.cpu()


def coded(n, n_genes):
    """A matrix whose every value tells its row and its gene: row + 1000 * gene."""
    return (np.arange(n)[:, None] + 1000 * np.arange(n_genes)).astype(np.float32)


def first(batches):
    return next(iter(batches))


# ---------------------------------------------------------------------- how many genes


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("n_genes", [7, 100])
def test_scarf_replaces_exactly_floor_of_c_n_genes_in_every_row(rate, n_genes, source):
    views = first(source(coded(50, n_genes)))
    values, mask = views.corrupted(rate, exact=True)
    assert mask.dtype == torch.bool
    assert set(mask.sum(dim=1).tolist()) == {int(np.floor(rate * n_genes))}
    assert torch.equal(values[~mask], views.clean[~mask])
    # c of the genes, not 1 - c: an upstream bug. Few draws return the value that was there.
    assert (values != views.clean).float().mean() == pytest.approx(
        mask.float().mean().item(), rel=0.1
    )


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.8])
def test_vime_and_byol_replace_each_gene_with_that_probability(rate, source):
    _, mask = first(source(coded(200, 300))).corrupted(rate)
    five_sigma = 5 * np.sqrt(rate * (1 - rate) / mask.numel())
    assert mask.float().mean().item() == pytest.approx(rate, abs=five_sigma)
    # Binomial from row to row and from gene to gene, not a fixed number.
    for dim, n in ((1, 300), (0, 200)):
        counts = mask.sum(dim=dim).double()
        assert counts.var().item() == pytest.approx(n * rate * (1 - rate), rel=0.6)


def test_every_gene_of_scarf_is_chosen_equally_often(source):
    _, mask = first(source(coded(4000, 20))).corrupted(0.5, exact=True)
    frequency = mask.float().mean(dim=0)
    assert (frequency - 0.5).abs().max() < 5 * np.sqrt(0.25 / 4000)


# ---------------------------------------------------------------------------- donors


@pytest.mark.parametrize("exact", KINDS)
def test_every_drawn_value_occurs_in_that_genes_column(exact, source):
    X = np.random.default_rng(0).normal(size=(40, 30))
    batches = source(X, mean=X.mean(axis=0), scale=X.std(axis=0))
    clean = np.empty((40, 30), np.float32)
    for views in batches:
        clean[views.index] = views.clean
    values, mask = first(batches).corrupted(0.5, exact=exact)
    for j in range(30):
        drawn = values[mask[:, j], j].numpy()
        assert len(drawn)
        assert np.isin(drawn, clean[:, j]).all()  # bitwise


@pytest.mark.parametrize("exact", KINDS)
def test_donors_of_different_genes_are_independent(exact, source):
    # Perfectly correlated genes: one donor row for the sample would keep them so.
    X = np.repeat(np.arange(64, dtype=np.float32)[:, None], 400, axis=1)
    batches = source(X)
    drawn = []
    for _ in range(5):
        values, mask = first(batches).corrupted(0.5, exact=exact)
        for row, chosen in zip(values, mask, strict=True):
            assert len(set(row[chosen].tolist())) > 50  # of 64 donors, in about 200 draws
        both = mask[:, 0::2] & mask[:, 1::2]
        drawn.append(np.stack([values[:, 0::2][both], values[:, 1::2][both]]))
    neighbours = np.concatenate(drawn, axis=1)
    assert neighbours.shape[1] > 5000
    assert abs(np.corrcoef(neighbours)[0, 1]) < 0.07


def test_donors_of_different_samples_are_independent(source):
    values, mask = first(source(coded(64, 300))).corrupted(0.5)
    donors = values % 1000
    for j in range(0, 300, 30):
        assert len(set(donors[mask[:, j], j].tolist())) > 8


def test_draws_follow_the_genes_empirical_marginals(source):
    # One outlier among twenty: Uniform(min, max) would nearly never return another value.
    X = np.zeros((20, 500), np.float32)
    X[3] = 1000
    values, mask = first(source(X)).corrupted(0.8)
    drawn = values[mask]
    assert set(drawn.unique().tolist()) == {0.0, 1000.0}
    share = (drawn == 1000).float().mean().item()
    assert share == pytest.approx(1 / 20, abs=5 * np.sqrt(0.05 * 0.95 / len(drawn)))


def test_every_row_is_a_donor_equally_often(source):
    values, mask = first(source(coded(25, 2000))).corrupted(0.8)
    counts = np.bincount((values[mask] % 1000).long().numpy(), minlength=25)
    expected = counts.sum() / 25
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


@pytest.mark.parametrize("validation", [False, True])
def test_donors_come_from_training_rows_only(validation, source):
    X, train = coded(60, 50), np.arange(0, 60, 3)
    held_out = np.setdiff1d(np.arange(60), train)
    batches = source(X, index=train, held_out=held_out if validation else None, batch_size=16)
    for views in batches:
        assert np.isin(views.index, held_out if validation else train).all()
        values, mask = (t.numpy() for t in views.corrupted(0.5))
        rows = values % 1000
        assert np.isin(rows[mask], train).all()
        own = np.broadcast_to(views.index[:, None], rows.shape)
        assert np.array_equal(rows[~mask], own[~mask])


# --------------------------------------------------------------------------- freshness


@pytest.mark.parametrize("exact", KINDS)
def test_corruption_is_drawn_anew_for_every_view_batch_and_epoch(exact, source):
    batches = source(coded(32, 40), batch_size=16)
    masks = []
    for _ in range(2):
        for views in batches:
            masks += [views.corrupted(0.5, exact=exact)[1] for _ in range(2)]
    assert len(masks) == 8
    for i, one in enumerate(masks):
        assert not any(torch.equal(one, other) for other in masks[:i])


def test_epochs_shuffle_and_hold_every_row_once(source):
    batches = source(coded(33, 3), batch_size=8)
    orders = [np.concatenate([views.index for views in batches]) for _ in range(3)]
    for order in orders:
        assert np.array_equal(np.sort(order), np.arange(33))
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[1], orders[2])


def test_validation_views_are_the_same_at_every_pass(source):
    batches = source(coded(50, 20), index=np.arange(30), held_out=np.arange(30, 50), batch_size=8)
    passes = [[(v.index, *v.corrupted(0.5)) for v in batches] for _ in range(3)]
    for other in passes[1:]:
        for (index, values, mask), (index2, values2, mask2) in zip(passes[0], other, strict=True):
            assert np.array_equal(index, index2)
            assert torch.equal(values, values2)
            assert torch.equal(mask, mask2)
    # Drawn once, but for every batch apart.
    assert not torch.equal(passes[0][0][2], passes[0][1][2])


def test_seeds_decide_the_views(source):
    def draw(seed):
        views = first(source(coded(20, 20), seed=seed))
        return views.index, views.corrupted(0.5)[0]

    assert np.array_equal(draw(1)[0], draw(1)[0])
    assert torch.equal(draw(1)[1], draw(1)[1])
    assert not np.array_equal(draw(1)[0], draw(2)[0])
    assert not torch.equal(draw(1)[1], draw(2)[1])


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(9, 4, [4, 5]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (5, 5, [5]), (3, 2, [3]), (1, 4, [1])],
)
def test_a_last_batch_of_one_row_joins_the_one_before(n, batch_size, sizes, source):
    batches = source(coded(n, 3), batch_size=batch_size)
    assert [len(views.clean) for views in batches] == sizes
    assert len(batches) == len(sizes)


# ------------------------------------------------------------------------ kinds of source


def all_views(batches):
    return [(v.index, v.clean, *v.corrupted(0.5, exact=e)) for e in (True, False) for v in batches]


def assert_same_views(one, other):
    for a, b in zip(all_views(one), all_views(other), strict=True):
        assert np.array_equal(a[0], b[0])
        assert all(torch.equal(x, y) for x, y in zip(a[1:], b[1:], strict=True))


def sparse_counts(n=50, n_genes=30):
    rng = np.random.default_rng(0)
    return rng.poisson(0.7, size=(n, n_genes)).astype(np.float32)


@pytest.mark.parametrize("standardized", [False, True])
@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, np.asfortranarray])
def test_csr_and_fortran_sources_give_the_dense_sources_bits(kind, standardized, source):
    X = sparse_counts()
    moments = {"mean": X.mean(axis=0), "scale": X.std(axis=0)} if standardized else {}
    dense, other = source(X, batch_size=8, **moments), source(kind(X), batch_size=8, **moments)
    assert_same_views(dense, other)


def test_several_matrices_act_as_one(source):
    X = sparse_counts()
    parts = [X[:7], sp.csr_matrix(X[7:30]), X[30:31], X[31:].astype(np.int16)]
    assert_same_views(source(X, batch_size=8), source(parts, batch_size=8))
    one, several = Rows([X]).statistics(), Rows(parts).statistics()
    for name in ("mean", "scale", "largest"):
        np.testing.assert_allclose(getattr(several, name), getattr(one, name), rtol=1e-12)


def test_blocks_hold_all_rows_in_order_and_zeros_behind_them():
    X = coded(BLOCK + 5, 3) + 1
    blocks = list(Rows([X]).blocks())
    assert [block.shape for block in blocks] == [(BLOCK, 3)] * 2
    np.testing.assert_array_equal(np.concatenate(blocks)[: len(X)], X)
    assert not blocks[1][5:].any()


# --------------------------------------------------------------------------- statistics


def check_statistics(X, *matrices, rtol=1e-9):
    statistics = Rows(list(matrices) or [X]).statistics()
    X = np.asarray(X, dtype=np.float64)
    np.testing.assert_allclose(statistics.mean, X.mean(axis=0), rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(statistics.scale, X.std(axis=0), rtol=rtol)
    np.testing.assert_allclose(statistics.largest, np.abs(X).max(axis=0), rtol=1e-12)
    assert statistics.mean.dtype == statistics.scale.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int8, np.int64])
def test_statistics_are_numpys_in_float64(dtype):
    X = (20 * np.random.default_rng(0).normal(size=(2 * BLOCK + 9, 6)) - 3).astype(dtype)
    check_statistics(X)
    check_statistics(X, X[:100], X[100:])
    check_statistics(X, np.asfortranarray(X))


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_statistics_of_csr_are_bitwise_those_of_dense(kind):
    X = sparse_counts(2 * BLOCK + 9, 20)
    X[:, 4] = 0
    dense, sparse = Rows([X]).statistics(), Rows([kind(X)]).statistics()
    for name in ("mean", "scale", "largest"):
        assert np.array_equal(getattr(dense, name), getattr(sparse, name))


def test_statistics_of_booleans():
    X = np.random.default_rng(0).random((30, 5)) < 0.4
    check_statistics(X)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -1e6, 3e-30, 1e18])
def test_a_constant_gene_has_infinite_scale_and_is_0_ever_after(dtype, value):
    X = np.random.default_rng(0).normal(size=(3 * BLOCK + 1, 2)).astype(dtype)
    X[:, 1] = value
    statistics = Rows([X]).statistics()
    assert np.isinf(statistics.scale[1])
    assert np.isfinite(statistics.scale[0])
    later = np.array([[0, value], [0, 7]], dtype=dtype)
    taken = Rows([later], statistics.mean, statistics.scale).take(np.arange(2))
    assert not taken[:, 1].any()
    assert taken.dtype == np.float32


def test_statistics_keep_a_small_spread_on_a_large_offset():
    rng = np.random.default_rng(0)
    X = 1e6 + 1e-3 * rng.normal(size=(500, 4))
    statistics = Rows([X]).statistics()
    np.testing.assert_allclose(statistics.scale, X.std(axis=0), rtol=1e-6)
    taken = Rows([X], statistics.mean, statistics.scale).take(np.arange(500))
    np.testing.assert_allclose(taken.std(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(taken.mean(axis=0), 0, atol=1e-4)


def test_statistics_survive_a_first_row_far_from_the_others():
    X = np.random.default_rng(0).normal(size=(300, 3))
    X[0] = 1e6
    check_statistics(X, rtol=1e-7)


def test_taken_rows_are_standardised_and_entries_are_raw():
    X = np.random.default_rng(0).normal(3, 2, size=(30, 8)).astype(np.float32)
    mean, scale = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    for matrix in (X, sp.csr_matrix(X), np.asfortranarray(X)):
        rows = Rows([matrix], mean, scale)
        i, j = np.array([3, 29, 0, 3]), np.array([7, 0, 2, 2])
        taken = rows.take(i)
        np.testing.assert_allclose(taken, ((X - mean) / scale)[i], rtol=1e-4, atol=1e-5)
        assert np.array_equal(rows.raw_entries(i, j), X[i, j])


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_every_entry_of_a_sparse_matrix_is_found(kind):
    X = sparse_counts(12, 9)
    X[[0, 5, 11]] = 0  # rows without an entry, first and last among them
    X[3] = np.arange(1, 10)
    i, j = np.divmod(np.arange(X.size), X.shape[1])
    for values in (X, np.zeros_like(X)):
        matrix = kind(values)
        assert np.array_equal(Rows([matrix]).raw_entries(i, j), values[i, j])
    # Entries out of order, and one stated in two parts.
    loose = kind(([1.0, 2.0, 3.0], [2, 0, 2], [0, 3]), shape=(1, 3))
    assert Rows([loose]).raw_entries(np.zeros(3, int), np.arange(3)).tolist() == [2, 0, 4]
