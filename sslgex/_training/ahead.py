"""Making the next item in a background thread while the one before is used."""

import threading
import weakref
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
END = object()


class Ahead(Generic[T]):
    """The items of an iterator, one ahead: a context manager that leaves no thread behind.

    Two items exist at a time, the one in use and the next. What the thread raises is raised where
    the item was wanted.

    Parameters
    ----------
    items : iterator
        Advanced by one background thread only.
    """

    def __init__(self, items: Iterator[T]):
        self._made: SimpleQueue = SimpleQueue()
        self._wanted = threading.Semaphore(1)
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=_make,
            args=(items, self._made, self._wanted, self._closed),
            name="sslgex-reader",
            daemon=True,  # a read that hangs must not keep the program from ending
        )
        # Ctrl-C while it starts, and nobody would have anything to close.
        self._stop = weakref.finalize(self, _stop, self._wanted, self._closed)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._closed.is_set():
            raise StopIteration
        item, error = self._made.get()
        if item is END:
            self.close()
            if error is not None:
                raise error
            raise StopIteration
        self._wanted.release()
        return item

    def close(self) -> None:
        """End the thread, once the read that it is in has ended."""
        self._stop()
        self._thread.join()
        self._made = SimpleQueue()  # and what nobody will want

    def __enter__(self) -> "Ahead[T]":
        return self

    def __exit__(self, *exc_info) -> None:
        self.close()


def _stop(wanted, closed) -> None:
    """Ask the thread to end."""
    closed.set()
    wanted.release()


def _make(items: Iterator, made: SimpleQueue, wanted, closed) -> None:
    """Put an item into the queue whenever one is wanted, and (END, error or None) at the end."""
    try:
        while True:
            wanted.acquire()
            if closed.is_set():
                return
            item = next(items, END)
            made.put((item, None))
            if item is END:
                return
            del item  # or it would outlive its use
    except BaseException as error:
        made.put((END, error))
