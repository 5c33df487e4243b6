"""Counting the memory of arrays, also of those that do not exist."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

P = ParamSpec("P")
M = TypeVar("M", bound=nn.Module)
# glibc's `malloc` maps apart what is larger than all that has gone so far, and gives it back to the
# system when it goes; smaller arrays come from a heap that stays with the process. The limit is in
# this range.
LEAST_MAPPED, MOST_IN_HEAP = 128 * 2**10, 32 * 2**20


class Heap:
    """What a process holds while arrays come and go.

    Attributes
    ----------
    peak : int
        The most that was held, in bytes.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._limit = LEAST_MAPPED
        self._mapped = self._in_heap = self._heap = 0

    @property
    def held(self) -> int:
        """What is held now, in bytes."""
        return self._mapped + self._heap

    def add(self, n_bytes: int, times: int = 1) -> tuple[int, int, bool]:
        """Let an array come, or several of one size; return what `remove` wants."""
        mapped = n_bytes > self._limit
        if mapped:
            self._mapped += times * n_bytes
        else:
            self._in_heap += times * n_bytes
            self._heap = max(self._heap, self._in_heap)
        self.peak = max(self.peak, self.held)
        return n_bytes, times, mapped

    def remove(self, array: tuple[int, int, bool]) -> None:
        """Let it go, or them."""
        n_bytes, times, mapped = array
        if not mapped:
            self._in_heap -= times * n_bytes
            return
        self._mapped -= times * n_bytes
        if n_bytes <= MOST_IN_HEAP:
            self._limit = max(self._limit, n_bytes)

    @contextmanager
    def holding(self, *sizes: int, times: int = 1) -> Iterator[None]:
        """Let arrays come, so many of each size, and go at the end."""
        arrays = [self.add(n_bytes, times) for n_bytes in sizes]
        yield
        for array in arrays:
            self.remove(array)


class Tally(TorchDispatchMode):
    """Within this context, count the tensors that come into being, and those that go.

    Parameters
    ----------
    heap : Heap
        Where those come into being that are to come; may be changed.
    """

    def __init__(self, heap: Heap):
        super().__init__()
        self.heap = heap
        self._known: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Call a function of torch, and count what it returns."""
        found = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return found

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        array = self.heap.add(storage.nbytes())
        weakref.finalize(storage, self._forget, key, self.heap, array)

    def _forget(self, key: int, heap: Heap, array: tuple[int, int, bool]) -> None:
        self._known.discard(key)
        heap.remove(array)


@contextmanager
def pretending(heap: Heap) -> Iterator[Tally]:
    """Within this context tensors have a shape and a type, but no values and no memory.

    They are counted as if they were there.
    """
    with FakeTensorMode(allow_non_fake_inputs=True), Tally(heap) as tally:
        yield tally


def without_memory(make: Callable[P, M], *args: P.args, **kwargs: P.kwargs) -> M:
    """Return the module that a function makes, its parameters being in no memory."""
    with torch.device("meta"):
        return make(*args, **kwargs)


def pretend(module: nn.Module) -> None:
    """Give a module that is in no memory tensors of the context, of the same layout."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(_like(parameter), parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = _like(buffer)


def _like(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")
