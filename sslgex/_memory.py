"""What to do when memory is not enough."""

import re

import torch

from .exceptions import OutOfMemoryError

# What torch says where it raises a mere RuntimeError: on a CPU, on Windows, on a Mac's GPU; and
# what oneDNN says of a product that its compiler finds no memory for.
_TORCH = re.compile(
    r"can't allocate memory|not enough memory|out of memory|could not create a primitive",
    re.IGNORECASE,
)


def advice_on_memory(estimator, what: str, error: BaseException) -> str | None:
    """Return what takes less memory, None for an error that is of anything else.

    Parameters
    ----------
    estimator : estimator
        Its ``batch_size``, ``n_features_in_`` and ``device``, if it has them, go into the text.
    what : {"fit", "partial_fit", "transform"}
        What it was doing.
    error : exception
        Of any package.
    """
    # Not one of ours, that an estimator within has raised.
    if not _is_out_of_memory(error) or isinstance(error, OutOfMemoryError):
        return None
    said = str(error).strip().splitlines() or [type(error).__name__]
    advice = [f"{type(estimator).__name__}.{what} is out of memory ({said[0]})."]
    batch_size = getattr(estimator, "batch_size", None)
    n_genes = getattr(estimator, "n_features_in_", 0)
    if what == "transform":
        advice.append("Pass fewer samples at a time, or write the embedding to a file: out=path.")
    elif batch_size is None:
        advice.append("Pass fewer samples, or a float32 or CSR matrix.")
    else:
        advice.append(
            f"A batch of batch_size={batch_size:,} samples of {n_genes:,} genes takes "
            f"{batch_size * n_genes * 4 / 2**20:,.0f} MB, and training several times as much "
            "beside the network: lower batch_size first, then hidden_layer_sizes or the number of "
            "genes. The pretrainers take a matrix that stays on disk, such as a memmap."
        )
    if getattr(estimator, "device", "cpu") != "cpu" and torch.cuda.is_available():
        advice.append("device='cpu' takes none of the GPU's memory.")
    return " ".join(advice)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _TORCH.search(str(error)) is not None
