"""Which of its parent's worker processes this one is, and how many there are."""

import multiprocessing
import os

import psutil


def is_worker() -> bool:
    """Tell whether this process was started by another Python process to work for it."""
    return multiprocessing.parent_process() is not None


def n_workers() -> int:
    """Return how many workers this one's parent has, itself included."""
    return max(1, len(_workers()))


def worker_index() -> int:
    """Return how many of its parent's workers were started before this one."""
    workers = _workers()
    return workers.index(os.getpid()) if os.getpid() in workers else 0


def set_here(variable: str) -> bool:
    """Tell whether an environment variable was set after this process had started."""
    try:
        return os.environ.get(variable) != psutil.Process().environ().get(variable)
    except psutil.Error:
        return False


def _workers() -> list[int]:
    """Return the process ids of this one's parent's workers, in the order of their start."""
    try:
        # The parent by the system's word: a fork server stands between it and Python's.
        siblings = psutil.Process(os.getppid()).children()
        python = psutil.Process().exe()
    except psutil.Error:
        return []
    found = [(p.create_time(), p.pid) for p in siblings if _is_sibling(p, python)]
    return [pid for _, pid in sorted(found)]


def _is_sibling(process: psutil.Process, python: str) -> bool:
    try:
        return process.exe() == python and "resource_tracker" not in " ".join(process.cmdline())
    except psutil.Error:  # it ended meanwhile, or is not ours
        return False
