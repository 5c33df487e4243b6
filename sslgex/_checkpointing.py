"""The checkpoint of a pretrainer's fit: which training it is of, and when it is refused."""

import hashlib
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch

from ._sources import Source
from ._training.checkpoint import Checkpoint
from ._training.seeds import Seeds
from ._training.stream import blocks_of

SECONDS = {"second": 1, "minute": 60, "hour": 3600}
INTERVAL = re.compile(r"(\d+(?:\.\d+)?) (second|minute|hour)s?")
# What makes no other training, or is told in another way.
IRRELEVANT = {"checkpoint", "checkpoint_every", "device", "random_state", "verbose", "warm_start"}
PIECE = 2**22  # bytes that are hashed at a time


def check_interval(estimator) -> None:
    """Raise unless ``checkpoint_every`` says when to write."""
    every = estimator.checkpoint_every
    found = INTERVAL.fullmatch(every) if isinstance(every, str) else None
    if isinstance(every, str) and (found is None or not float(found[1])):
        raise ValueError(
            f"checkpoint_every of {type(estimator).__name__} must be a number of epochs or a time "
            f"such as '10 minutes', in seconds, minutes or hours; got {every!r}."
        )


class CheckpointedFit:
    """One fit of a pretrainer, with a checkpoint or, if it is not asked for, without.

    Parameters
    ----------
    estimator : BaseSSLTransformer
        Being fitted.
    start : str or None
        Hash of what training starts from, if that is not drawn.

    Raises
    ------
    ValueError
        If the file cannot be written or holds no checkpoint.
    """

    def __init__(self, estimator, start: str | None = None):
        self.estimator = estimator
        self.start = start
        self.checkpoint = None if estimator.checkpoint is None else _open(estimator)
        self._hash = hashlib.sha256()
        self._layout: str | None = None

    def seeds(self) -> Seeds:
        """Return the seeds; without a random_state those that the checkpoint began with."""
        about = None if self.checkpoint is None else self.checkpoint.about
        seeded = self.estimator.random_state is not None
        return Seeds(
            self.estimator.random_state, None if seeded or about is None else about["seed"]
        )

    def see(self, rows: np.ndarray) -> None:
        """Take rows of the data into account, in order."""
        if self.checkpoint is not None:
            self._hash.update(np.asarray(rows, order="C").reshape(-1).view(np.uint8).data)

    def see_source(self, source: Source) -> None:
        """Take into account how rows lie on disk: of other blocks other batches are mixed."""
        if self.checkpoint is not None:
            self._layout = _sha((source.shape, source.dtype.str, blocks_of(source)))

    def see_all(self, matrices: list) -> None:
        """Take matrices in memory into account."""
        if self.checkpoint is None:
            return
        for matrix in matrices:
            self._hash.update(f"{matrix.shape} {matrix.dtype.str}".encode())
            parts = [matrix]
            if sp.issparse(matrix):
                parts = [matrix.data, matrix.indices, matrix.indptr]
            for part in parts:
                step = max(1, PIECE // max(1, part[:1].nbytes))
                for start in range(0, len(part), step):
                    self.see(part[start : start + step])

    def callbacks(self, seeds: Seeds, n_samples: int) -> list[Checkpoint]:
        """Return what keeps the training, now that the data have been seen.

        Raises
        ------
        ValueError
            If the checkpoint is of another training.
        """
        checkpoint = self.checkpoint
        if checkpoint is None:
            return []
        about = self._about(seeds, n_samples)
        if checkpoint.about is not None:
            different = _differences(checkpoint.about, about)
            if different:
                raise ValueError(
                    f"checkpoint={str(self.estimator.checkpoint)!r} is of another training: "
                    f"{'; '.join(different)}. Fit with what it was made with to go on with it, "
                    "delete it to begin anew, or name another file."
                )
            if self.estimator.verbose:
                print(
                    f"[{type(self.estimator).__name__}] goes on after epoch "
                    f"{checkpoint.n_epochs} of {checkpoint.path}",
                    flush=True,
                )
        checkpoint.about = about
        return [checkpoint]

    def _about(self, seeds: Seeds, n_samples: int) -> dict:
        """Return all that the result depends on, as plain values."""
        from . import __version__

        estimator = self.estimator
        names = getattr(estimator, "feature_names_in_", None)
        params = estimator.get_params(deep=False).items()
        return {
            "class": f"{type(estimator).__module__}.{type(estimator).__qualname__}",
            **{name: _plain(value) for name, value in params if name not in IRRELEVANT},
            "seed": seeds.root,
            "number of samples": n_samples,
            "number of genes": estimator.n_features_in_,
            "names of the genes": _sha(None if names is None else names.tolist()),
            "values of X": self._hash.hexdigest(),
            "layout": self._layout,
            "start": self.start,
            "version of sslgex": __version__,
            "version of torch": torch.__version__,
            "version of numpy": np.__version__,
        }


def _open(estimator) -> Checkpoint:
    """Return the checkpoint; raise now if it could not be written later."""
    path = Path(estimator.checkpoint).expanduser().absolute()
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.is_dir():
            raise IsADirectoryError("it is a directory")
    except OSError as error:
        raise ValueError(
            f"checkpoint={os.fspath(estimator.checkpoint)!r} cannot be written: {error}. Name a "
            "file in a directory of yours."
        ) from None
    every = estimator.checkpoint_every
    if not isinstance(every, str):
        return Checkpoint(path, epochs=int(every), seconds=None)
    number, unit = INTERVAL.fullmatch(every).groups()  # type: ignore[union-attr]
    return Checkpoint(path, epochs=None, seconds=float(number) * SECONDS[unit])


def _differences(then: dict, now: dict) -> list[str]:
    """Say in what two trainings differ; hashes are not shown."""
    said = []
    for name in dict.fromkeys([*then, *now]):
        old, new = then.get(name), now.get(name)
        if old == new:
            continue
        if name in ("names of the genes", "values of X"):
            said.append(f"the {name} are others")
        elif name == "layout":
            said.append("X lies on disk in another way (type of its values, rows stored together)")
        elif name == "seed":
            said.append("random_state gives another seed")
        elif name == "start":
            said.append("it starts from other weights (warm_start)")
        else:
            said.append(f"{name} was {old!r} and is {new!r}")
    return said


def _plain(value):
    """Return a parameter as JSON gives it back."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _sha(value) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
