"""Batches of rows on disk: what they are made of, how well they are mixed, who donates."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from on_disk import shrink
from scipy.stats import ks_2samp

from sslgex._sources import Chain, Sliced
from sslgex._training import stream
from sslgex._training.ahead import Ahead
from sslgex._training.statistics import Moments
from sslgex._training.stream import Drawn, StreamSource, check_blocks, draw, n_drawn, survey

GENES = 6
ROW = 4 * GENES


def coded(n, n_genes=GENES):
    """A matrix whose every value tells its row and its gene: row + n * gene."""
    return (np.arange(n)[:, None] + n * np.arange(n_genes)).astype(np.float32)


def streamed(X, *, batch_size=32, held_out=None, donors=None, seed=0):
    source = X if isinstance(X, Chain) else Sliced(X, "the rows")
    donors = np.arange(4) if donors is None else donors
    _, matrix = survey(source, donors, lambda block, start: None)
    drawn = Drawn(matrix, None, None, source, held_out)
    how = {"batch_size": batch_size, "seed": seed, "device": torch.device("cpu")}
    return StreamSource(drawn, np.arange(len(donors)), **how)


def rows_of(source):
    """Return the row numbers of every batch of a pass."""
    return [views.clean[:, 0].numpy().astype(int) for views in source]


# ------------------------------------------------------------------------------ the batches


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize(("n", "batch_size"), [(1000, 32), (1000, 333), (97, 32), (10, 32)])
def test_every_row_comes_once_an_epoch(n, batch_size, kind, monkeypatch):
    shrink(monkeypatch, window=100, row=ROW)
    source = streamed(kind(coded(n)), batch_size=batch_size)
    for _ in range(3):
        batches = rows_of(source)
        assert sorted(np.concatenate(batches)) == list(range(n))
        assert [len(batch) for batch in batches] == np.diff(source.bounds).tolist()
        assert len(batches) == len(source)
        assert min(map(len, batches)) >= 2


def test_the_epochs_are_in_other_orders_and_a_seed_is_one_of_them(monkeypatch):
    shrink(monkeypatch, window=100, row=ROW)
    source, same, other = (streamed(coded(500), seed=seed) for seed in (0, 0, 1))
    first, second = (np.concatenate(rows_of(source)) for _ in "ab")
    assert (first != second).mean() > 0.9
    assert np.array_equal(np.concatenate(rows_of(same)), first)
    assert (np.concatenate(rows_of(other)) != first).mean() > 0.9


def test_held_out_rows_do_not_come(monkeypatch):
    shrink(monkeypatch, window=100, row=ROW)
    held_out = np.r_[3, 50:75, 499]
    found = np.concatenate(rows_of(streamed(coded(500), held_out=held_out)))
    assert sorted(found) == sorted(set(range(500)) - set(held_out))


def test_sources_behind_one_another(monkeypatch):
    shrink(monkeypatch, window=100, row=ROW)
    X = coded(500)
    parts = [X[:7], sp.csr_matrix(X[7:260]), X[260:].astype(np.float64)]
    chain = Chain([Sliced(part, "a part") for part in parts])
    assert np.array_equal(chain.read(5, 300), X[5:300])
    assert sorted(np.concatenate(rows_of(streamed(chain)))) == list(range(500))


def test_a_corrupted_row_has_the_values_of_donors_where_the_mask_says_so(monkeypatch):
    shrink(monkeypatch, window=100, row=ROW)
    donors = np.array([3, 77, 420])
    for views in streamed(coded(500), donors=donors):
        values, mask = (part.numpy() for part in views.corrupted(0.5))
        clean = views.clean.numpy()
        assert np.array_equal(values[~mask], clean[~mask])
        rows, genes = np.divmod(values[mask].astype(int), 500)[::-1]
        assert set(rows) == set(donors)
        assert np.array_equal(genes, np.nonzero(mask)[1])


# ------------------------------------------------------------------------------ how random


def test_how_often_two_of_a_batch_are_neighbours_on_disk(monkeypatch):
    """Of 64 blocks a window, two rows share a block once in 64 times, by chance once in 320."""
    block, blocks, n = 8, 64, 8 * 320
    shrink(monkeypatch, window=block * blocks, blocks=blocks, row=ROW)
    source = streamed(coded(n), batch_size=64)
    assert len(source.blocks) == 320
    pairs, shared, seen = 0, 0, np.zeros((320, 320))
    for _ in range(30):
        for batch in rows_of(source):
            count = np.bincount(batch // block, minlength=320)
            seen += np.outer(count, count)
            shared += (count * (count - 1)).sum()
            pairs += len(batch) * (len(batch) - 1)
    expected = (block - 1) / (block * blocks - 1)  # 0.0137; in a shuffle of all rows 0.0027
    assert shared / pairs == pytest.approx(expected, rel=0.05)
    # Near blocks of the source meet as often as far ones do.
    near = np.mean([np.diag(seen, k).mean() for k in range(1, 5)])
    far = np.mean([np.diag(seen, k).mean() for k in range(150, 250)])
    assert near == pytest.approx(far, rel=0.1)


def test_rows_of_a_window_are_in_uniform_order(monkeypatch):
    shrink(monkeypatch, window=16, blocks=4, row=ROW)
    source = streamed(coded(16), batch_size=4)
    where = np.zeros((16, 16))
    for _ in range(4000):
        where[np.arange(16), np.concatenate(rows_of(source))] += 1
    assert abs(where / 4000 - 1 / 16).max() < 4.5 * np.sqrt(1 / 16 / 4000)


# ------------------------------------------------------------------------------ the donors


def test_donors_have_the_marginals_of_the_data(monkeypatch):
    """The bound of the documentation, for data in an order that blocks would not mix."""
    n, n_genes = 30_000, 200
    rng = np.random.default_rng(0)
    X = np.sort(rng.gamma(2.0, size=(n, n_genes)).astype(np.float32), axis=0)
    source = Sliced(X, "the rows")
    monkeypatch.setattr(stream, "DONORS", 0)
    assert n_drawn(source) == 2_048
    kept = draw(np.arange(n), n_drawn(source), seed=0)
    assert len(set(kept)) == 2_048
    _, matrix = survey(source, kept, lambda block, start: None)
    assert np.array_equal(matrix, X[kept])
    distances = [ks_2samp(matrix[:, j], X[:, j]).statistic for j in range(n_genes)]
    # All columns are sorted alike, so that this is one draw: of 20, one may be above the bound.
    assert np.max(distances) < 0.03
    beyond = [
        ks_2samp(draw(np.arange(n), 2_048, seed), np.arange(n)).statistic > 0.03
        for seed in range(200)
    ]
    assert np.mean(beyond) < 0.05


def test_so_many_donors_as_the_bytes_hold():
    wide = Sliced(np.broadcast_to(np.float32(0), (10_000, 20_000)), "the rows")
    assert n_drawn(wide) == 256 * 2**20 // 80_000
    assert np.array_equal(draw(np.arange(5, 9), 10, seed=0), [5, 6, 7, 8])


# ------------------------------------------------------------------------------ the statistics


@pytest.mark.parametrize("piece", [1, 77, 128, 200, 10_000])
def test_statistics_have_the_same_bits_however_rows_are_read(piece, monkeypatch):
    X = np.random.default_rng(0).lognormal(size=(1000, GENES)).astype(np.float32)
    moments = Moments(GENES)
    for start in range(0, 1000, 128):
        moments.add(X[start : start + 128])
    shrink(monkeypatch, piece=piece, row=ROW)
    seen = []
    found, kept = survey(
        Sliced(X, "the rows"), np.array([0, 999]), lambda block, start: seen.append(start)
    )
    for name in ("mean", "scale", "largest"):
        assert np.array_equal(getattr(found, name), getattr(moments.statistics(), name))
    assert np.array_equal(kept, X[[0, 999]])
    assert seen[:2] == [0, min(piece, 128)]


# ------------------------------------------------------------------------------ memory, blocks


def test_two_windows_are_in_memory_and_no_more(monkeypatch):
    X = np.zeros((40_000, 64), np.float32)
    window = 2_000
    shrink(monkeypatch, window=window, blocks=20, row=X[0].nbytes)
    source = streamed(X, batch_size=100)
    tracemalloc.start()
    for views in source:
        del views
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * window * X[0].nbytes


def test_rows_that_are_stored_together(monkeypatch):
    shrink(monkeypatch, window=100, row=ROW)
    source = Sliced(coded(1000), "the rows", step=50)
    with pytest.warns(UserWarning, match=r"50 rows of the rows .* from 2.0 places .*cache_rows"):
        check_blocks(source)
    source.step = 200
    with pytest.raises(ValueError, match=r"200 rows of the rows are stored together.*cache_rows"):
        check_blocks(source)


def test_the_last_window_is_not_of_what_the_others_left(monkeypatch):
    shrink(monkeypatch, window=100, row=ROW)
    source = streamed(coded(410))  # by windows of 100 the last batch would be of one block
    for _ in range(20):
        assert min(len(set(batch // 10)) for batch in rows_of(source)[:-1]) > 4


# ------------------------------------------------------------------------------ the thread


def test_one_item_is_made_ahead_and_no_more():
    made, ready = [], threading.Event()

    def items():
        for i in range(5):
            made.append(i)
            ready.set()
            yield i

    with Ahead(items()) as found:
        assert next(found) == 0
        while len(made) < 2:
            ready.wait()
        assert made == [0, 1]
        assert list(found) == [1, 2, 3, 4]
    assert list(found) == []


def test_closing_ends_the_thread_whatever_it_does():
    before = threading.active_count()
    for taken in (0, 1, 2, 3):
        found = Ahead(iter(range(2)))
        assert [item for item, _ in zip(found, range(taken), strict=False)] == [0, 1][:taken]
        found.close()
        found.close()
        assert threading.active_count() == before


def test_ctrl_c_while_the_thread_starts_leaves_neither_thread_nor_rows(monkeypatch):
    """It went on waiting with a window and the donors, as long as the process lived."""
    source = streamed(coded(100))
    rows, start, threads = weakref.ref(source.donors), threading.Thread.start, []

    def interrupted(thread):
        threads.append(thread)
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(iter(source))
    del source
    gc.collect()  # should the traceback be in a cycle
    threads.pop().join(timeout=60)
    assert "sslgex-reader" not in {thread.name for thread in threading.enumerate()}
    gc.collect()
    assert rows() is None


def test_an_error_comes_after_what_was_made_before_it():
    def items():
        yield 1
        raise RuntimeError("broken")

    found = Ahead(items())
    assert next(found) == 1
    with pytest.raises(RuntimeError, match="broken"):
        next(found)
    assert list(found) == []
