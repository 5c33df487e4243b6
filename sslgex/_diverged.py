"""What is kept of a training that blew up."""

import copy

import torch

from .exceptions import DivergedError


def hand_over(error: DivergedError, estimator) -> None:
    """Give the error a copy of the estimator, fitted by the epochs before.

    But not if that embeds nothing: weights may be finite where what they compute is not.
    """
    if all(torch.isfinite(value).all() for value in estimator.encoder_.state_dict().values()):
        error.last_good = copy.copy(estimator)
        error.args = (
            f"{error} `last_good` of this error is the {type(estimator).__name__} fitted by the "
            f"{estimator.n_iter_} epochs before.",
        )
