"""Runs tasks in parallel, shows how far they are, and keeps what is done."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import joblib
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from ._cache import Cache
from ._cluster import call_on_worker, check_shared, dask_client, held_by_workers


class Failure(NamedTuple):
    """What a task gives that went wrong: the error, and nothing else."""

    error: str
    seconds: float = float("nan")
    encoder: None = None


class Runner:
    """Runs tasks.

    Parameters
    ----------
    n_jobs : int or None
        As in joblib, whose backend is the user's choice.
    cache : Cache
        Keeps the results.
    error_score : "raise" or nan
        Whether an exception is raised or becomes a `Failure`, which is never kept.
    """

    def __init__(self, n_jobs, cache: Cache, error_score):
        self.n_jobs = n_jobs
        self.cache = cache
        self.error_score = error_score

    @contextmanager
    def sharing(self, data) -> Iterator:
        """Return what stands for data in the arguments of all tasks that are run meanwhile.

        That is the data themselves, unless the tasks go to a cluster.
        """
        client = dask_client()
        if client is None:
            yield data
            return
        if self.cache.folder is not None:
            check_shared(client, self.cache.folder)
        with held_by_workers(client, data) as held:
            yield held

    def run(self, function: Callable, batches: list[list[tuple]], what: str) -> list[list]:
        """Return ``function(*arguments)`` for all tasks.

        Parameters
        ----------
        function : callable
            What to run.
        batches : list of list of (key, arguments)
            A batch is run in one piece. The key says what the result depends on.
        what : str
            For the progress bar.

        Returns
        -------
        results : list of list
            In the order of the tasks.
        """
        # In a log file a line a minute, and none of a short sweep.
        seen = sys.stderr.isatty() or "ipykernel" in sys.modules
        pace = {} if seen else {"mininterval": 60, "maxinterval": 120, "delay": 60, "ascii": True}
        ends = [0]
        for batch in batches:
            ends.append(ends[-1] + len(batch))
        with tqdm(total=ends[-1], desc=what, **pace) as bar:

            class ParallelWithBar(Parallel):
                def print_progress(self):
                    bar.update(ends[self.n_completed_tasks] - bar.n)

            call = _call if dask_client() is None else call_on_worker
            fixed = function, call, self.cache, self.error_score
            return ParallelWithBar(n_jobs=self.n_jobs)(
                delayed(_run_batch)(*fixed, batch) for batch in batches
            )


def _call(function: Callable, *arguments):
    return function(*arguments)


def _run_batch(function: Callable, call: Callable, cache: Cache, error_score, batch: list) -> list:
    done: list = []
    for what, arguments in batch:
        key = joblib.hash([function.__name__, *what])
        result = cache.load(key)
        if result is None:
            try:
                result = call(function, *arguments)
            except Exception as error:
                if error_score == "raise":
                    raise
                result = Failure(f"{type(error).__name__}: {error}".split("\n")[0])
            else:
                cache.save(key, result)
        done.append(result)
    return done
