"""Writing a .npy file row by row, whole or not at all."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np


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
    dtype = np.dtype(dtype)
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": tuple(map(int, shape)),
    }
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        # Not by a writable map: on a full disk that would kill the process.
        with open(partial, "xb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype=dtype).data)
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r")
