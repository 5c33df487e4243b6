"""Writing a .npy file row by row, whole or not at all."""

import errno
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ._writing import appearing, writing


def write_npy(path, blocks: Iterable[np.ndarray], shape: tuple[int, int], dtype) -> np.memmap:
    """Write blocks of rows to a .npy file and return it, opened for reading.

    The file appears complete or not at all: what was at ``path`` before is replaced at the end.

    Parameters
    ----------
    path : path
        Of the file.
    blocks : iterable of ndarray of shape (some, n_columns)
        One after the other.
    shape : tuple of int
        Of all together.
    dtype : dtype
        Of the file.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    if path.is_dir():  # it would be told at the end, after all has been computed
        raise IsADirectoryError(
            errno.EISDIR, f"{path} is a directory, not a file to write. Name a file in it."
        )
    dtype = np.dtype(dtype)
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": tuple(map(int, shape)),
    }
    n_bytes = math.prod(shape) * dtype.itemsize
    with appearing(path, n_bytes) as partial:
        with writing(path, n_bytes):
            # Not by a writable map: on a full disk that would kill the process.
            # Nor through a buffer: closing that would fail once more.
            file = open(partial, "xb", buffering=0)  # noqa: SIM115
        with file:
            with writing(path, n_bytes):
                np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:  # whose errors are of what is read
                values = np.ascontiguousarray(block, dtype=dtype)
                left = values.reshape(-1).view(np.uint8).data
                while len(left):
                    with writing(path, n_bytes):
                        left = left[file.write(left) :]
    return np.load(path, mmap_mode="r")
