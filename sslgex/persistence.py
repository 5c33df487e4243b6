"""Saving a fitted estimator as one file that runs no code when it is read.

The file is in the safetensors format: all arrays as tensors, everything else as JSON in the
header. What may come out of a file is the list `CLASSES` and plain values, nothing else.
"""

import hashlib
import json
import os
import platform
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from ._fitting import is_state
from ._head import LinearHead
from ._linear_path import LinearPath
from ._nn.encoder import Encoder, MLPEncoder
from ._nn.residual import ResidualEncoder
from ._pooled import PooledHead
from ._untrained import UntrainedTransformer
from .byol import ByolTransformer
from .classifier import SSLClassifier
from .scarf import ScarfTransformer
from .vime import VimeTransformer

FORMAT = "sslgex"
FORMAT_VERSION = 1
CLASSES = {
    cls.__name__: cls
    for cls in (
        ByolTransformer,
        FrozenEstimator,
        LinearHead,
        LinearPath,
        PooledHead,
        SSLClassifier,
        ScarfTransformer,
        UntrainedTransformer,
        VimeTransformer,
    )
}


def save(estimator, path) -> None:
    """Write a fitted estimator to one safetensors file.

    The file appears complete or not at all: what was at `path` before is replaced at the end.

    Parameters
    ----------
    estimator : fitted pretrainer or SSLClassifier
        With its encoder and head from this package. Others can be pickled.
    path : str or path-like
        Where to write; ``.safetensors`` is the usual suffix.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    TypeError
        If it, its encoder or its head is not of this package, naming the part.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, sslgex
    >>> X = np.random.default_rng(0).normal(size=(20, 10))
    >>> scarf = sslgex.ScarfTransformer((8,), max_epochs=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "scarf.safetensors")
    ...     sslgex.save(scarf, path)
    ...     bool((sslgex.load(path).transform(X) == scarf.transform(X)).all())
    True
    """
    if type(estimator).__name__ not in CLASSES or not isinstance(estimator, BaseEstimator):
        raise TypeError(_not_ours(estimator, "the estimator"))
    check_is_fitted(estimator)
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no directory {path.parent} to write {path.name} into.")
    packer = _Packer()
    content = {
        "estimator": packer.pack(estimator, type(estimator).__name__),
        "versions": {
            "sslgex": _version(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
    }
    text = json.dumps(content)
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "content": text,
        "sha256": _digest(text, packer.arrays),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        save_file(packer.arrays, partial, metadata=metadata)
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise OSError(f"{path} could not be written: {error}. Nothing was changed.") from error
    finally:
        partial.unlink(missing_ok=True)


def load(path):
    """Read a fitted estimator that `save` wrote.

    No code from the file is run.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator
        The fitted estimator, on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is a pickle, truncated, damaged, of another program, of a newer format, or
        names a class that may not be loaded.

    Examples
    --------
    >>> import sslgex
    >>> sslgex.load("no_such.safetensors")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'no_such.safetensors'
    """
    path = Path(path)
    _refuse_pickle(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError) as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}): truncated, damaged or of "
            "another kind. Copy it again, or write it again with sslgex.save."
        ) from None
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} is a safetensors file, but sslgex.save did not write it "
            f"(its format is {metadata.get('format')!r})."
        )
    _check_version(path, metadata)
    text = metadata.get("content", "")
    if _digest(text, arrays) != metadata.get("sha256"):
        raise ValueError(
            f"{path} is damaged: its content does not match its checksum. Copy it again."
        )
    content = json.loads(text)
    try:
        return _unpack(content["estimator"], arrays)
    except (KeyError, TypeError, RuntimeError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{path} does not describe an estimator of sslgex {_version()}: {error!r}. It was "
            f"written with {content.get('versions')}."
        ) from error


class _Packer:
    """Turns an estimator into JSON, and its arrays into named tensors, each stored once."""

    def __init__(self):
        self.arrays: dict[str, np.ndarray] = {}
        self._names: dict[tuple, str] = {}

    def pack(self, value, name: str) -> Any:
        """Return ``value`` as something JSON holds; ``name`` says where it stands."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, list):
            return [self.pack(v, f"{name}.{i}") for i, v in enumerate(value)]
        if isinstance(value, tuple):
            return {"tuple": [self.pack(v, f"{name}.{i}") for i, v in enumerate(value)]}
        if isinstance(value, dict):
            pairs = [[self.pack(k, name), self.pack(v, f"{name}.{k}")] for k, v in value.items()]
            return {"dict": pairs}
        if isinstance(value, np.ndarray):
            return self._pack_array(value, name)
        if isinstance(value, Encoder):
            state = {k: self._store(v.numpy(), f"{name}.{k}") for k, v in _state(value).items()}
            node = {"encoder": state, "dropout": value.dropout.p}
            if isinstance(value, MLPEncoder):
                node["embedding"] = value.embedding
            return node
        if CLASSES.get(type(value).__name__) is type(value):
            return self._pack_estimator(value, name)
        raise TypeError(_not_ours(value, name))

    def _pack_array(self, array: np.ndarray, name: str) -> dict:
        if array.dtype.kind in "biuf":
            return {"array": self._store(array, name)}
        values = self.pack(array.tolist(), name)
        return {"values": values, "dtype": "O" if array.dtype == object else array.dtype.str}

    def _pack_estimator(self, estimator, name: str) -> dict:
        params = estimator.get_params(deep=False)
        if "memory" in params and not isinstance(params["memory"], str | None):
            params["memory"] = None
        if isinstance(params.get("random_state"), np.random.RandomState):
            warnings.warn(
                f"random_state of {name} is a RandomState, which the file does not hold; it is "
                "saved as None. The fitted estimator is complete.",
                stacklevel=4,
            )
            params["random_state"] = None
        state = {
            key: value
            for key, value in vars(estimator).items()
            if key not in params and is_state(key)
        }
        return {
            "class": type(estimator).__name__,
            "params": {k: self.pack(v, f"{name}.{k}") for k, v in params.items()},
            "state": {k: self.pack(v, f"{name}.{k}") for k, v in state.items()},
        }

    def _store(self, array: np.ndarray, name: str) -> str:
        # A frozen classifier's encoder shares its weights with the one it was given.
        key = (array.__array_interface__["data"][0], array.shape, array.dtype.str)
        if array.size == 0 or key not in self._names:
            self._names[key] = name
            self.arrays[name] = np.ascontiguousarray(array)
        return self._names[key]


def _unpack(node, arrays: dict[str, np.ndarray]):
    """Return what `_Packer.pack` packed."""
    if isinstance(node, list):
        return [_unpack(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    if "tuple" in node:
        return tuple(_unpack(item, arrays) for item in node["tuple"])
    if "dict" in node:
        return {_unpack(k, arrays): _unpack(v, arrays) for k, v in node["dict"]}
    if "array" in node:
        return arrays[node["array"]]
    if "values" in node:
        return _unpack_values(_unpack(node["values"], arrays), node["dtype"])
    if "encoder" in node:
        return _unpack_encoder(node, arrays)
    return _unpack_estimator(node, arrays)


def _unpack_values(values: list, dtype: str) -> np.ndarray:
    if dtype != "O":
        return np.array(values, dtype=dtype)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _unpack_encoder(node: dict, arrays: dict[str, np.ndarray]) -> Encoder:
    state = {k: torch.from_numpy(arrays[name].copy()) for k, name in node["encoder"].items()}
    # Sizes come from the tensors that are there, not from numbers that could promise more.
    stem = state["input.linear.weight"]
    n_norms = sum(name.startswith("norms.") and name.endswith(".weight") for name in state)
    sizes = [len(state[f"norms.{i}.weight"]) for i in range(n_norms)]
    how = {"dropout": node["dropout"], "generator": torch.Generator()}
    encoder: Encoder
    if "embedding" in node:
        encoder = MLPEncoder(stem.shape[1], sizes, embedding=node["embedding"], **how)
    else:
        encoder = ResidualEncoder(stem, 1.0, sizes[1::2], **how)
    encoder.load_state_dict(state)
    return encoder.eval()


def _unpack_estimator(node: dict, arrays: dict[str, np.ndarray]):
    name = node["class"]
    if name not in CLASSES:
        raise ValueError(
            f"The file names the class {name!r}, which is not one of those that may be loaded: "
            f"{', '.join(sorted(CLASSES))}."
        )
    estimator = CLASSES[name](**{k: _unpack(v, arrays) for k, v in node["params"].items()})
    for key, value in node["state"].items():
        if not is_state(key):
            raise ValueError(f"The file sets {key!r}, which is not fitted state of {name}.")
        setattr(estimator, key, _unpack(value, arrays))
    return estimator


def _state(encoder: Encoder) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu() for name, value in encoder.state_dict().items()}


def _digest(text: str, arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _refuse_pickle(path: Path) -> None:
    with open(path, "rb") as file:
        start = file.read(9)
    # A safetensors file may start with any byte, the length of its header, but the header follows.
    if start[8:] != b"{" and (start[:1] == b"\x80" or start[:2] == b"PK"):
        raise ValueError(
            f"{path} is a pickle (or a torch.save archive). Reading one can run any code, so "
            "sslgex.load refuses it. If you trust its source, use joblib.load and then sslgex.save."
        )


def _check_version(path: Path, metadata: dict[str, str]) -> None:
    version = metadata.get("format_version", "")
    if not version.isdigit():
        raise ValueError(f"{path} is damaged: its format version is {version!r}.")
    if int(version) > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {version}; sslgex {_version()} reads up to "
            f"{FORMAT_VERSION}. Upgrade sslgex."
        )


def _not_ours(value, name: str) -> str:
    return (
        f"{name} is a {type(value).__name__}, which sslgex.save does not hold; it holds "
        f"{', '.join(sorted(CLASSES))}. joblib.dump writes any estimator, as a pickle."
    )


def _version() -> str:
    from . import __version__

    return __version__
