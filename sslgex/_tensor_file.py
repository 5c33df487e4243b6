"""Plain values and arrays in one file that runs no code when it is read.

The file is in the safetensors format: arrays are its tensors, everything else is JSON in the
header.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ._writing import appearing, not_written

LARGEST_TEXT = 2**28  # bytes of all arrays of text in a file


@dataclass(frozen=True)
class Kind:
    """What a file is for.

    Attributes
    ----------
    format : str
        Its name in the header.
    version : int
        The newest that is written and read.
    writer : str
        Who writes it, for errors.
    cure : str
        What to do about a file that cannot be read, for errors.
    """

    format: str
    version: int
    writer: str
    cure: str


class Packer:
    """Turns values into JSON, and their arrays into named tensors, each stored once.

    The values must live as long as the packer, which knows arrays by where they are in memory.
    """

    def __init__(self):
        self.arrays: dict[str, np.ndarray] = {}
        self._names: dict[tuple, str] = {}

    def pack(self, value, name: str) -> Any:
        """Return ``value`` as something JSON holds; ``name`` says where it stands."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, list):
            return [self.pack(v, f"{name}.{i}") for i, v in enumerate(value)]
        if isinstance(value, tuple):
            return {"tuple": [self.pack(v, f"{name}.{i}") for i, v in enumerate(value)]}
        if isinstance(value, dict):
            pairs = [[self.pack(k, name), self.pack(v, f"{name}.{k}")] for k, v in value.items()]
            return {"dict": pairs}
        if isinstance(value, np.ndarray):
            return self._pack_array(value, name)
        return self.pack_other(value, name)

    def pack_other(self, value, name: str) -> Any:
        """Return a value of another type as a dict; subclasses say which they know."""
        raise TypeError(f"{name} is a {type(value).__name__}, which the file does not hold.")

    def store(self, array: np.ndarray, name: str) -> str:
        """Keep an array of numbers and return the name of its tensor."""
        key = (array.__array_interface__["data"][0], array.shape, array.dtype.str)
        if array.size == 0 or key not in self._names:
            self._names[key] = name
            stored = array.dtype.newbyteorder("<")  # as the format has it
            self.arrays[name] = np.asarray(array, dtype=stored, order="C")
        return self._names[key]

    def _pack_array(self, array: np.ndarray, name: str) -> dict:
        if array.dtype.kind in "biuf":
            return {"array": self.store(array, name)}
        values = self.pack(array.tolist(), name)
        return {"values": values, "dtype": "O" if array.dtype == object else array.dtype.str}


class Unpacker:
    """Turns what a `Packer` made back into values.

    Parameters
    ----------
    arrays : dict of ndarray
        Those of the file.
    """

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.arrays = arrays
        self._text = 0  # bytes of all arrays of text so far

    def unpack(self, node):
        """Return what `Packer.pack` packed."""
        if isinstance(node, list):
            return [self.unpack(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "tuple" in node:
            return tuple(self.unpack(item) for item in node["tuple"])
        if "dict" in node:
            return {self.unpack(k): self.unpack(v) for k, v in node["dict"]}
        if "array" in node:
            return self.arrays[node["array"]]
        if "values" in node:
            return self._unpack_values(self.unpack(node["values"]), node["dtype"])
        return self.unpack_other(node)

    def unpack_other(self, node: dict):
        """Return what `Packer.pack_other` packed; subclasses say what they know."""
        raise KeyError(f"no value has the fields {sorted(node)}")

    def _unpack_values(self, values: list, dtype: str) -> np.ndarray:
        if dtype != "O":
            kind = np.dtype(dtype)
            # Room comes from what the file says, not from what it holds: it could say anything.
            self._text += kind.itemsize * len(values)
            if kind.kind != "U" or self._text > LARGEST_TEXT:
                raise ValueError(f"{len(values):,} values of dtype {dtype!r} are not read")
            return np.array(values, dtype=kind)
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array


def write(
    path: Path, content, arrays: dict[str, np.ndarray], kind: Kind, token: str | None = None
) -> None:
    """Write a file that appears complete or not at all.

    Parameters
    ----------
    path : Path
        Where to write; what was there before is replaced at the end.
    content : object
        What JSON holds.
    arrays : dict of ndarray
        Of numbers.
    kind : Kind
        Of the file.
    token : str, optional
        Part of the name of the file until it is complete.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    text = json.dumps(content)
    metadata = {
        "format": kind.format,
        "format_version": str(kind.version),
        "content": text,
        "sha256": digest(text, arrays),
    }
    n_bytes = len(text) + sum(array.nbytes for array in arrays.values())
    with appearing(path, n_bytes, token) as partial:
        try:
            save_file(arrays, partial, metadata)
        except (OSError, SafetensorError) as error:
            raise not_written(path, n_bytes, error) from error


def save_file(arrays: dict[str, np.ndarray], path: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file and no other: safetensors' own leaves a hidden copy when killed."""
    path.write_bytes(save(arrays, metadata=metadata))


def read(path: Path, kind: Kind) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the content and the arrays of a file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged, of another kind or newer than this code.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError) as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}): truncated, damaged or of "
            f"another kind. {kind.cure}"
        ) from None
    if metadata.get("format") != kind.format:
        raise ValueError(
            f"{path} is a safetensors file, but {kind.writer} did not write it (its format is "
            f"{metadata.get('format')!r})."
        )
    _check_version(path, metadata, kind)
    text = metadata.get("content", "")
    if digest(text, arrays) != metadata.get("sha256"):
        raise ValueError(f"{path} is damaged: its content does not match its checksum. {kind.cure}")
    try:
        return json.loads(text), arrays
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}. {kind.cure}") from None


def digest(text: str, arrays: dict[str, np.ndarray]) -> str:
    """Return a hash of a text and of named arrays."""
    sha = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def _check_version(path: Path, metadata: dict[str, str], kind: Kind) -> None:
    from . import __version__

    version = metadata.get("format_version", "")
    if not re.fullmatch("[0-9]{1,9}", version):
        raise ValueError(f"{path} is damaged: its format version is {version[:20]!r}. {kind.cure}")
    if int(version) > kind.version:
        raise ValueError(
            f"{path} has format version {version}; sslgex {__version__} reads up to "
            f"{kind.version}. Upgrade sslgex."
        )
