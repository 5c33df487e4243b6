"""Finished work in files, so that an interrupted sweep goes on where it stopped."""

import os
import tempfile
import warnings
from pathlib import Path

import joblib


class Cache:
    """Results in files named by what they depend on.

    Not joblib's `Memory`: that empties the cache of a function whose source has changed, and a
    sweep of hours must survive an edit of the package while it runs.

    Parameters
    ----------
    folder : str, path or None
        Made if it is not there; None keeps nothing.
    """

    def __init__(self, folder):
        self.folder = None if folder is None else Path(folder).expanduser().absolute()
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise ValueError(
                f"cache={str(folder)!r} cannot be written to: {error}. Name a directory of yours."
            ) from None

    def load(self, key: str):
        """Return what was saved under a key, None if nothing was or the file is damaged."""
        path = self._path(key)
        if path is None or not path.exists():
            return None
        try:
            return joblib.load(path)
        except Exception as error:
            warnings.warn(
                f"{path} is damaged, and computed anew: {type(error).__name__}: {error}",
                UserWarning,
                stacklevel=2,
            )
            return None

    def save(self, key: str, result) -> None:
        """Save a result; a full disk is a warning, as the result itself is not lost."""
        path = self._path(key)
        if path is None:
            return
        part = None
        try:
            path.parent.mkdir(exist_ok=True)
            handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
            os.close(handle)
            joblib.dump(result, part)
            os.replace(part, path)  # whole or not at all
        except Exception as error:  # such as an encoder that cannot be pickled
            warnings.warn(
                f"A result could not be kept in {self.folder}: {error}. The sweep goes on, but "
                "would have to compute it again.",
                UserWarning,
                stacklevel=2,
            )
        finally:
            if part is not None:
                Path(part).unlink(missing_ok=True)

    def _path(self, key: str) -> Path | None:
        return self.folder and self.folder / key[:2] / f"{key}.joblib"
