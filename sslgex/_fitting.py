"""Fitting is all or nothing."""

import functools

from ._memory import advice_on_memory
from .exceptions import OutOfMemoryError

# Fitted state that does not end in an underscore.
PRIVATE_STATE = {"_n_embedding", "_sklearn_output_config"}
HEADS = "_heads"  # what an encoder was trained with: for a warm start, not for a file
PROGRESS = "_progress"  # what the next partial_fit goes on with, likewise
KEPT = (HEADS, PROGRESS)


def is_state(name: str) -> bool:
    """Tell whether an attribute is fitted state (or the container that `set_output` chose)."""
    return name in PRIVATE_STATE or (name.endswith("_") and not name.startswith("_"))


def all_or_nothing(fit):
    """Let a ``fit`` that fails or is interrupted leave the estimator as it was.

    Where memory was not enough, the error says what takes less.

    Otherwise an encoder would stay beside the genes and the scales of the data that another one
    was to be fitted on, and `transform` would compute nonsense in silence.
    """

    @functools.wraps(fit)
    def whole_fit(estimator, *args, **kwargs):
        def learned() -> list[str]:
            return [name for name in vars(estimator) if is_state(name) or name in KEPT]

        before = {name: vars(estimator)[name] for name in learned()}
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException as error:
            advice = advice_on_memory(estimator, fit.__name__, error)
            for name in learned():
                delattr(estimator, name)
            vars(estimator).update(before)
            if advice is None:
                raise
            raise OutOfMemoryError(advice) from error

    return whole_fit
