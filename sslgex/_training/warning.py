"""Warnings that point at the user's line, however deep they come from."""

import inspect
import warnings

OURS = ("sslgex", "sklearn", "contextlib")  # whose frames are passed over


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line that is neither ours nor scikit-learn's."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and _package(frame) in OURS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level + 1)


def _package(frame) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]
