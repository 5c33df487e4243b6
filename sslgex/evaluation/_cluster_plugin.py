"""What dask gives to every worker; apart, as it cannot be defined without dask."""

from distributed import WorkerPlugin

from ._cluster import HELD


class Holder(WorkerPlugin):
    """Holds a value in the worker's process under a key.

    Parameters
    ----------
    key : str
        What tasks ask for.
    value : object
        What they get.
    """

    def __init__(self, key: str, value):
        self.key = key
        self.value = value

    def setup(self, worker) -> None:
        """Hold it: called when the plugin is registered, or else when a worker starts."""
        HELD[self.key] = self.value

    def teardown(self, worker) -> None:
        """Let go of it."""
        HELD.pop(self.key, None)
