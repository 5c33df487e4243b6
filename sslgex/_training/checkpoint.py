"""A training in a file, to go on from after the process has died."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skorch.callbacks import Callback

from .._tensor_file import Kind, Packer, Unpacker, read, write
from .state import capture, restore
from .warning import warn_user

KIND = Kind(
    "sslgex checkpoint", 1, "fit with checkpoint=", "Delete it, and fit starts from the beginning."
)


class Checkpoint(Callback):
    """Writes the training to a file after epochs, and goes on from one that is there.

    Last of an engine's callbacks: it writes what the others have made of the epoch.

    Parameters
    ----------
    path : Path
        The file.
    epochs : int or None
        Write after every so many epochs.
    seconds : float or None
        Or once so many seconds have gone by since it was last written.

    Attributes
    ----------
    about : dict
        What the training is of, in plain values; at first of that in the file, None without one.

    Raises
    ------
    ValueError
        If there is a file that is no checkpoint, or damaged.
    """

    def __init__(self, path: Path, epochs: int | None, seconds: float | None):
        self.path = path
        self.epochs = epochs
        self.seconds = seconds
        self.about: dict | None = None
        self._state: dict | None = None
        self._seen = _stamp(path)
        if self._seen is not None:
            content, arrays = read(path, KIND)
            with self._described():
                unpacker = Unpacker(arrays)
                self.about = unpacker.unpack(content["about"])
                self._state = unpacker.unpack(content["state"])

    @property
    def n_epochs(self) -> int:
        """How many epochs have been trained in the file that was there."""
        return 0 if self._state is None else len(self._state["history"])

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Go on from the file, if there was one."""
        if self._state is not None:
            with self._described():
                restore(net, self._state)
        self._state = None
        self._written = time.monotonic()

    def on_epoch_end(self, net, **kwargs):
        """Write the file, if it is time."""
        n = len(net.history)
        due = n == net.max_epochs or net.stop_
        if self.epochs is not None:
            due = due or n % self.epochs == 0
        if self.seconds is not None:
            due = due or time.monotonic() - self._written >= self.seconds
        if due:
            self._write(capture(net))
            self._written = time.monotonic()

    @contextmanager
    def _described(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, RuntimeError, IndexError, AttributeError) as error:
            raise ValueError(
                f"{self.path} does not describe such a training: {error!r}. {KIND.cure}"
            ) from error

    def _write(self, state: dict) -> None:
        stamp = _stamp(self.path)
        if stamp not in (None, self._seen):
            raise ValueError(
                f"checkpoint={str(self.path)!r} has been written by another fit since this one "
                "began. Two fits need two files; of two runs of one script end one."
            )
        packer = Packer()
        content = {"about": self.about, "state": state}
        packed = {name: packer.pack(value, name) for name, value in content.items()}
        try:
            # One name until it is complete: processes that die leave one such file at most.
            write(self.path, packed, packer.arrays, KIND, "checkpoint")
        except OSError as error:
            warn_user(f"No checkpoint, training goes on: {error}")
            return
        self._seen = _stamp(self.path)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what tells one version of a file from another, None where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size
