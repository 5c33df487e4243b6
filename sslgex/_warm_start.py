"""Training that goes on from an encoder that has been trained before."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ._inputs import LARGEST, gene
from ._nn.encoder import Encoder, MLPEncoder
from ._training.objective import Objective
from ._training.statistics import ColumnStatistics
from ._training.warning import warn_user

ENCODER = "encoder."  # what the names of its weights in an objective begin with


@dataclass(frozen=True)
class GoingOn:
    """What a training that goes on from an earlier one is called in messages.

    Attributes
    ----------
    name : str
        What the user asked for.
    anew : str
        What starts anew instead.
    lost : str
        What is not there without heads, with its verb.
    """

    name: str
    anew: str
    lost: str


WARM_START = GoingOn(
    "warm_start=True",
    "set warm_start=False",
    "the heads that the encoder was trained with are",
)
PARTIAL_FIT = GoingOn(
    "partial_fit",
    "call fit",
    "the heads that the encoder was trained with, the state of the optimiser and the reservoir of "
    "samples that donors are drawn from are",
)


def heads_of(objective: Objective) -> dict[str, torch.Tensor]:
    """Return all weights of an objective that are not the encoder's."""
    state = objective.state_dict()
    return {name: value for name, value in state.items() if not name.startswith(ENCODER)}


def check_scale(estimator, statistics: ColumnStatistics, how: GoingOn = WARM_START) -> None:
    """Raise unless the statistics of an earlier fit are there and standardise these samples."""
    if estimator.standardize != (estimator.mean_ is not None):
        raise ValueError(_differs(f"standardize={estimator.standardize}, which it was not", how))
    if estimator.mean_ is None:
        return
    size = (statistics.largest + np.abs(estimator.mean_)) / estimator.scale_
    worst = int(size.argmax())
    if size[worst] > LARGEST:
        raise ValueError(
            f"{gene(estimator, worst)} of X is up to {size[worst]:.3g} standard deviations from "
            f"its mean in the first fit, whose square overflows float32 (beyond {LARGEST:.3g}). "
            f"Correct it, put X on the scale of those data, or {how.anew}."
        )


def start_from(encoder: Encoder, earlier: Encoder, how: GoingOn = WARM_START) -> None:
    """Give a new encoder the weights of an earlier one.

    Raises
    ------
    ValueError
        If it has another architecture.
    """
    if type(encoder) is not type(earlier):
        name = "mlp" if isinstance(earlier, MLPEncoder) else "residual"
        raise ValueError(_differs(f"architecture={name!r}", how))
    _load(encoder, earlier.state_dict(), "the encoder", how)


def start_heads_from(
    objective: Objective, heads: dict[str, torch.Tensor] | None, how: GoingOn = WARM_START
) -> None:
    """Give an objective, whose encoder is in place, the heads of an earlier one.

    Raises
    ------
    ValueError
        If they have another architecture.

    Warns
    -----
    UserWarning
        If there are none.
    """
    if heads is None:
        warn_user(
            f"{how.name}: {how.lost} not there, since pickles, copies and saved files leave them "
            "out. They start anew."
        )
        return
    own = {f"{ENCODER}{name}": v for name, v in objective.encoder.state_dict().items()}
    _load(objective, {**own, **heads}, "the heads", how)


def digest_of_start(encoder: Encoder, heads: dict[str, torch.Tensor] | None) -> str:
    """Return a hash of what training starts from."""
    sha = hashlib.sha256()
    for state in (encoder.state_dict(), heads or {}):
        for name in sorted(state):
            value = np.asarray(state[name].cpu().numpy(), order="C")
            sha.update(f"{name} {value.shape}".encode())
            sha.update(value.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def _load(module: nn.Module, state: dict[str, torch.Tensor], what: str, how: GoingOn) -> None:
    own = module.state_dict()
    for name in dict.fromkeys([*state, *own]):
        then, now = (tuple(s[name].shape) if name in s else None for s in (state, own))
        if then != now:
            said = f"{what} with {name} of shape {then}, where the parameters ask for {now}"
            raise ValueError(_differs(said, how))
    module.load_state_dict(state)


def _differs(what: str, how: GoingOn) -> str:
    return (
        f"{how.name} goes on with what was fitted before: {what}. Set the parameters to those of "
        f"that fit, or {how.anew} to start anew."
    )
