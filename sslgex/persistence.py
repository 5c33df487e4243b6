"""Saving a fitted estimator as one file that runs no code when it is read.

What may come out of a file is the list `CLASSES` and plain values, nothing else.
"""

import math
import platform
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from ._fitting import is_state
from ._head import LinearHead
from ._linear_path import LinearPath
from ._nn.encoder import Encoder, MLPEncoder
from ._nn.residual import ResidualEncoder
from ._pooled import PooledHead
from ._tensor_file import Kind, Packer, Unpacker, read, write
from ._untrained import UntrainedTransformer
from .byol import ByolTransformer
from .classifier import SSLClassifier
from .scarf import ScarfTransformer
from .vime import VimeTransformer

KIND = Kind("sslgex", 1, "sslgex.save", "Copy it again, or write it again with sslgex.save.")
# A classifier and its steps hold a few encoders, of the same tensors in the file.
MOST_ENCODERS = 16
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
    write(path, content, packer.arrays, KIND)


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
    content, arrays = read(path, KIND)
    try:
        estimator = _Unpacker(arrays).unpack(content["estimator"])
        _check_class(type(estimator).__name__)
    except MemoryError:
        raise
    except Exception as error:  # a file of anyone's making: many kinds, one meaning
        versions = content.get("versions") if isinstance(content, dict) else None
        raise ValueError(
            f"{path} does not describe an estimator of sslgex {_version()} "
            f"({type(error).__name__}: {error}). It was written with {versions}. {KIND.cure}"
        ) from error
    return estimator


class _Packer(Packer):
    """Packs encoders and estimators too."""

    def pack_other(self, value, name: str) -> dict:
        """Return an encoder or an estimator as a dict, or raise."""
        if isinstance(value, Encoder):
            state = {k: self.store(v.numpy(), f"{name}.{k}") for k, v in _state(value).items()}
            node = {"encoder": state, "dropout": value.dropout.p}
            if isinstance(value, MLPEncoder):
                node["embedding"] = value.embedding
            return node
        if CLASSES.get(type(value).__name__) is type(value):
            return self._pack_estimator(value, name)
        raise TypeError(_not_ours(value, name))

    def _pack_estimator(self, estimator, name: str) -> dict:
        params = estimator.get_params(deep=False)
        if "memory" in params and not isinstance(params["memory"], str | None):
            params["memory"] = None
        if isinstance(params.get("random_state"), np.random.RandomState):
            warnings.warn(
                f"random_state of {name} is a RandomState, which the file does not hold; it is "
                "saved as None. The fitted estimator is complete.",
                stacklevel=5,
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


class _Unpacker(Unpacker):
    """Unpacks encoders and estimators too."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        super().__init__(arrays)
        # Each encoder has weights of its own, whichever tensors of the file they are read from.
        self._left = MOST_ENCODERS * sum(array.nbytes for array in arrays.values())

    def unpack_other(self, node: dict):
        """Return what `_Packer.pack_other` packed."""
        return self._unpack_encoder(node) if "encoder" in node else self._unpack_estimator(node)

    def _unpack_encoder(self, node: dict) -> Encoder:
        stored = {k: self.arrays[name] for k, name in node["encoder"].items()}
        self._left -= sum(array.nbytes for array in stored.values())
        if self._left < 0:
            raise ValueError(f"its encoders take more than {MOST_ENCODERS} times what is there")
        state = {k: torch.from_numpy(array.copy()) for k, array in stored.items()}
        # Sizes come from the tensors that are there, not from numbers that could promise more.
        stem = state["input.linear.weight"]
        n_norms = sum(name.startswith("norms.") and name.endswith(".weight") for name in state)
        sizes = [len(state[f"norms.{i}.weight"]) for i in range(n_norms)]
        residual = "embedding" not in node
        widths = [n for size in sizes[1::2] for n in (len(stem), size)] if residual else sizes
        n_weights = sum(math.prod(pair) for pair in pairwise([stem.shape[1], *sizes]))
        there = sum(tensor.numel() for tensor in state.values())
        if widths != sizes or len(stem) != sizes[0] or n_weights > there:
            raise ValueError(
                f"layers of {len(stem)} x {stem.shape[1]} and {sizes} units do not fit"
            )
        how = {"dropout": node["dropout"], "generator": torch.Generator()}
        encoder: Encoder
        if not residual:
            encoder = MLPEncoder(stem.shape[1], sizes, embedding=node["embedding"], **how)
        else:
            encoder = ResidualEncoder(stem, 1.0, sizes[1::2], **how)
        encoder.load_state_dict(state)
        return encoder.eval()

    def _unpack_estimator(self, node: dict):
        name = node["class"]
        _check_class(name)
        estimator = CLASSES[name](**{k: self.unpack(v) for k, v in node["params"].items()})
        for key, value in node["state"].items():
            if not is_state(key):
                raise ValueError(f"it sets {key!r}, which is not fitted state of {name}")
            setattr(estimator, key, self.unpack(value))
        return estimator


def _check_class(name) -> None:
    if name not in CLASSES:
        raise ValueError(
            f"it names the class {name!r}, which is not one of those that may be loaded: "
            f"{', '.join(sorted(CLASSES))}"
        )


def _state(encoder: Encoder) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu() for name, value in encoder.state_dict().items()}


def _refuse_pickle(path: Path) -> None:
    with open(path, "rb") as file:
        start = file.read(9)
    # A safetensors file may start with any byte, the length of its header, but the header follows.
    if start[8:] != b"{" and (start[:1] == b"\x80" or start[:2] == b"PK"):
        raise ValueError(
            f"{path} is a pickle (or a torch.save archive). Reading one can run any code, so "
            "sslgex.load refuses it. If you trust its source, use joblib.load and then sslgex.save."
        )


def _not_ours(value, name: str) -> str:
    return (
        f"{name} is a {type(value).__name__}, which sslgex.save does not hold; it holds "
        f"{', '.join(sorted(CLASSES))}. joblib.dump writes any estimator, as a pickle."
    )


def _version() -> str:
    from . import __version__

    return __version__
