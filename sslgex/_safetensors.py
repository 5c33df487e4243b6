"""Writing a file in the safetensors format.

The `save_file` of safetensors 0.8 writes a second file beside the one it is given, under a name of
its own. A process that is killed leaves that, one more for every kill, as large as the whole.
"""

import json
from pathlib import Path

import numpy as np

TYPES = {
    **{f"f{n}": f"F{8 * n}" for n in (2, 4, 8)},
    **{f"i{n}": f"I{8 * n}" for n in (1, 2, 4, 8)},
    **{f"u{n}": f"U{8 * n}" for n in (1, 2, 4, 8)},
    "b1": "BOOL",
}


def save_file(arrays: dict[str, np.ndarray], path: Path, metadata: dict[str, str]) -> None:
    """Write arrays of numbers, and text, to a file that only this process writes.

    Parameters
    ----------
    arrays : dict of ndarray
        In C order, with the least byte of a number first.
    path : Path
        Where to write.
    metadata : dict of str
        For the header.

    Raises
    ------
    OSError
        If it cannot be written.
    TypeError
        If the format has no such numbers.
    """
    header: dict[str, object] = {"__metadata__": metadata}
    # The largest numbers first: each begins at a multiple of its own size.
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    at = 0
    for name in names:
        array = arrays[name]
        kind = TYPES.get(array.dtype.str[1:])
        if kind is None or array.dtype.byteorder == ">":
            raise TypeError(f"{name} is of dtype {array.dtype}, which the file does not hold.")
        end = at + array.nbytes
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in names:
            file.write(arrays[name].reshape(-1).view(np.uint8).data)
