"""The samples of a sweep on the workers of a dask cluster: sent to each once, not per task.

joblib's dask backend sends a task with all that its arguments hold. What dask itself scatters would
be lost with the last worker that holds it, and is held by one alone as soon as no task waits for
it. A worker plugin is with every worker for as long as it is registered, also with one that is
started anew.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from joblib import parallel_config
from joblib.parallel import get_active_backend

HELD: dict[str, Any] = {}  # what this process was sent


class Held(NamedTuple):
    """Stands in a task's arguments for what its worker holds."""

    key: str


def dask_client():
    """Return the client of joblib's dask backend, None if tasks go elsewhere."""
    backend, _ = get_active_backend()
    return getattr(backend, "client", None)


@contextmanager
def held_by_workers(client, value) -> Iterator[Held]:
    """Have every worker of a cluster hold a value, also those that come later."""
    import dask

    from ._cluster_plugin import Holder

    held = Held(f"sslgex-{uuid4().hex}")
    # A fitted encoder goes with the tasks that start from it, and is larger than dask's 10 MB.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
        try:
            HELD[held.key] = value  # of one worker alone joblib makes none, and runs tasks here
            client.register_plugin(Holder(held.key, value), name=held.key)
            yield held
        finally:
            HELD.pop(held.key)
            client.unregister_worker_plugin(held.key)


def call_on_worker(function: Callable, *arguments):
    """Call a function in a worker: give it what stands for held values, and no other workers.

    A fit whose own parallel calls went to the cluster would fail with a worker it is not on.
    """
    with parallel_config("threading", n_jobs=1):
        return function(*(HELD[a.key] if isinstance(a, Held) else a for a in arguments))


def check_shared(client, folder: Path) -> None:
    """Raise unless all workers see the files of a folder."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        seen = client.run(os.path.exists, file.name)
    blind = [worker for worker, sees in seen.items() if not sees]
    if blind:
        raise ValueError(
            f"cache={str(folder)!r} is not there for {len(blind)} of {len(seen)} workers of the "
            f"cluster (first: {blind[0]}): name a directory on a file system that all share."
        )
