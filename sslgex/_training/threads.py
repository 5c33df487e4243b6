"""As many threads as a worker process has processors.

The threads of OpenMP and BLAS wait busily for each other: two workers of two threads each on two
processors do the work of one several times slower. joblib gives its workers their share, but not
where ``inner_max_num_threads`` or ``OMP_NUM_THREADS`` says otherwise, nor do multiprocessing's own
pools. The bits of `transform` do not depend on the number of threads, those of `fit` may.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from joblib import cpu_count
from threadpoolctl import threadpool_info, threadpool_limits

from .workers import is_worker, n_workers

SWITCH = "SSLGEX_SHARE_PROCESSORS"  # environment variable; "0" leaves the threads as they are


@contextmanager
def share_of_processors() -> Iterator[None]:
    """In a worker, have no more threads than the worker's share of the processors."""
    before, most = torch.get_num_threads(), share()
    pools = threadpool_info() if most < cpu_count() else []
    if before <= most and all(pool["num_threads"] <= most for pool in pools):
        yield
        return
    # Several pools may be of one kind; the limit is the kind's.
    limits: dict[str, int] = {}
    for pool in pools:
        wanted = min(pool["num_threads"], most)
        limits[pool["prefix"]] = max(wanted, limits.get(pool["prefix"], 1))
    torch.set_num_threads(min(before, most))
    try:
        with threadpool_limits(limits):
            yield
    finally:
        torch.set_num_threads(before)


def share() -> int:
    """Return how many processors this process has for itself, at least 1."""
    if not is_worker() or os.environ.get(SWITCH) == "0":
        return cpu_count()
    return max(1, cpu_count() // n_workers())
