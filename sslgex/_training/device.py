"""Where to compute, and in what precision."""

import torch

from .memory import free_on_host
from .workers import is_worker, set_here, worker_index

VISIBLE = "CUDA_VISIBLE_DEVICES"


def resolve_device(device: str) -> torch.device:
    """Return the device that ``device`` means here.

    Parameters
    ----------
    device : str
        "auto" (CUDA, else MPS, else the CPU) or a torch device name. Of several GPUs that "auto"
        and "cuda" may mean, worker processes take turns.

    Raises
    ------
    ValueError
        If the name is none of torch's, or its device is not in this machine.
    """
    if device == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
        device = name
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise ValueError(
            f"device={device!r} is not a device: use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        ) from None
    found = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }.get(resolved.type, 0)
    if (resolved.index or 0) >= found:
        raise ValueError(
            f"device={device!r} is not available: torch {torch.__version__} sees {found} "
            f"{resolved.type} device(s) here. Use device='auto' to take what there is."
        )
    if resolved.type == "cuda" and resolved.index is None and is_worker():
        return torch.device("cuda", gpu_of_worker(worker_index(), found, set_here(VISIBLE)))
    return resolved


def gpu_of_worker(index: int, n_gpus: int, assigned: bool) -> int:
    """Return which of the GPUs that it sees a worker computes on.

    Parameters
    ----------
    index : int
        How many of its parent's workers were started before it.
    n_gpus : int
        How many GPUs it sees.
    assigned : bool
        Whether it was told which are its own, the first one foremost, as dask-cuda does.
    """
    return 0 if assigned else index % n_gpus


def free_memory(device: torch.device) -> int:
    """Return how many bytes this process may still take on a device."""
    if device.type != "cuda":
        return free_on_host()
    free, _ = torch.cuda.mem_get_info(device)
    # What torch has taken and holds for later is free to us.
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of training's matrix products.

    "auto" is bfloat16 on a CUDA device that computes in it, and float32 elsewhere.
    """
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if fast else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
