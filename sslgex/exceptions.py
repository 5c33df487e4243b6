"""Errors of training that hold more than a message, or that other packages raise in many kinds."""

from typing import Any

__all__ = ["DivergedError", "OutOfMemoryError"]


class DivergedError(ValueError):
    """Training has blown up: a loss or a weight is no longer a finite number.

    Attributes
    ----------
    last_good : estimator or None
        The pretrainer, fitted, with the weights after the last epoch in which all was finite. None
        if the first epoch blew up, and of fine-tuning, which leaves the encoder as it was given.

    Examples
    --------
    >>> from sslgex import ScarfTransformer
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.exceptions import DivergedError
    >>> X, _ = make_expression(n_samples=100, n_genes=50, return_X_y=True, random_state=0)
    >>> scarf = ScarfTransformer((8,), lr=1e20, schedule="constant", random_state=0)
    >>> try:
    ...     scarf.fit(X)
    ... except DivergedError as error:
    ...     print(error.last_good)
    None
    """

    last_good: Any = None


class OutOfMemoryError(MemoryError):
    """The memory of the machine or of its GPU is not enough; the message says what takes less.

    Examples
    --------
    >>> from sslgex.exceptions import OutOfMemoryError
    >>> issubclass(OutOfMemoryError, MemoryError)
    True
    """
