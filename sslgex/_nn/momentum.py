"""The slow copy of a network that BYOL predicts."""

import copy
import math
from typing import TypeVar

import torch
from torch import nn

T = TypeVar("T", bound=nn.Module)


def momentum_copy(module: T) -> T:
    """Return a copy of ``module`` that no gradient reaches."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def update_momentum(target: nn.Module, online: nn.Module, decay: float) -> None:
    r"""Move the target's parameters, :math:`\xi \leftarrow \tau\xi + (1-\tau)\theta`.

    Parameters only: the target's BatchNorm statistics are those of the batches it has seen
    itself, since it runs, as in BYOL's own code, in training mode on the same batches.
    """
    torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), 1 - decay)


def cosine_decay(start: float, step: int, n_steps: float) -> float:
    r"""BYOL's schedule, :math:`1 - (1-\tau_0)(\cos(\pi k/K) + 1)/2`: from ``start`` to 1."""
    return 1 - (1 - start) * (math.cos(math.pi * step / n_steps) + 1) / 2
