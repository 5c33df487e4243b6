"""Which worker process this is, and which GPU is its own: what can be told without a GPU."""

from collections import Counter

import pytest

from sslgex._training.device import gpu_of_worker
from sslgex._training.workers import is_worker, n_workers, set_here, worker_index


@pytest.mark.parametrize("n_workers", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("n_gpus", [1, 2, 4])
def test_no_gpu_has_two_workers_more_than_another(n_workers, n_gpus):
    chosen = [gpu_of_worker(index, n_gpus, assigned=False) for index in range(n_workers)]
    assert set(chosen) == set(range(min(n_workers, n_gpus)))
    counts = Counter(chosen).values()
    assert len(chosen) < n_gpus or max(counts) - min(counts) <= 1


def test_a_worker_that_was_told_its_gpus_takes_the_first():
    # dask-cuda tells the second of two workers "1,0": the second of these would be the other's.
    assert [gpu_of_worker(index, 2, assigned=True) for index in range(2)] == [0, 0]


def test_a_variable_set_here_is_told_from_one_that_was_inherited(monkeypatch):
    assert not set_here("PATH")
    monkeypatch.setenv("PATH", "/somewhere/else")
    assert set_here("PATH")
    monkeypatch.setenv("SSLGEX_NEW_HERE", "1")
    assert set_here("SSLGEX_NEW_HERE")
    monkeypatch.delenv("SSLGEX_NEW_HERE")
    assert not set_here("SSLGEX_NEW_HERE")


def test_numbers_of_workers_are_below_how_many_there_are():
    # Of this process too, be it a worker of pytest-xdist.
    assert 0 <= worker_index() < n_workers()


def test_the_first_process_is_no_worker():
    assert not is_worker()
