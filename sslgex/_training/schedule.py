"""Learning rate by step."""

import math

WARM_UP = 0.1


def one_cycle(step: int, n_steps: float) -> float:
    """Return the factor of the learning rate at ``step`` of ``n_steps``.

    A cosine up from 1/25 over the first tenth, then a cosine down to 0: the shape of
    `torch.optim.lr_scheduler.OneCycleLR` with its defaults but for the shorter warm-up.
    """
    position = (step + 0.5) / n_steps
    if position < WARM_UP:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * position / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (position - WARM_UP) / (1 - WARM_UP))) / 2


def constant(step: int, n_steps: float) -> float:
    """Return 1."""
    return 1.0


SCHEDULES = {"one-cycle": one_cycle, "constant": constant}
