"""Writing a file that appears complete or not at all, and what is said if it could not be."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def appearing(path: Path, n_bytes: int, token: str | None = None) -> Iterator[Path]:
    """Yield where to write; what was at ``path`` is replaced at the end.

    Parameters
    ----------
    path : Path
        Of the file.
    n_bytes : int
        How large it will be, for errors.
    token : str, optional
        Part of the name until it is complete, by default a random one: of two that write at once,
        each writes a file of its own. A process that is killed leaves ``.name.token.partial``.

    Raises
    ------
    OSError
        If it cannot be completed. What the caller's own writing raises is the caller's.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # of a directory the system says so
        raise not_written(path, n_bytes, OSError("it is no ordinary file, such as a device"))
    partial = path.with_name(f".{path.name}.{token or secrets.token_hex(4)}.partial")
    try:
        yield partial
        with writing(path, n_bytes):
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())  # or a crash of the machine could leave an empty file
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def writing(path: Path, n_bytes: int) -> Iterator[None]:
    """Let an error say which file could not be written, how large it is, and what to do."""
    try:
        yield
    except OSError as error:
        raise not_written(path, n_bytes, error) from error


def not_written(path: Path, n_bytes: int, error: Exception) -> OSError:
    """Return what to raise for a file that could not be written.

    Parameters
    ----------
    path : Path
        Of the file.
    n_bytes : int
        How large it would be.
    error : Exception
        Why it could not be.
    """
    said = f"{path} could not be written: {getattr(error, 'strerror', None) or error}."
    with suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        said += f" It takes {n_bytes:,} bytes, and {free:,} are free there."
    said += " Nothing was changed. Free some space, or name another place."
    code = getattr(error, "errno", None)
    return OSError(said) if code is None else OSError(code, said)
