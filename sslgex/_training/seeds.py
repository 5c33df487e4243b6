"""Randomness from one ``random_state``, without touching a global generator."""

import numpy as np
import torch
from sklearn.utils import check_random_state


class Seeds:
    """Independent generators, one for each use, all from one number.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        As in scikit-learn: None draws the number from numpy's global generator.
    root : int, default=None
        The number, if there is one already.

    Attributes
    ----------
    root : int
        The number.
    """

    USES = ("weights", "heads", "batches", "validation", "dropout", "split", "components", "donors")

    def __init__(self, random_state, root: int | None = None):
        if root is None:
            root = int(check_random_state(random_state).randint(2**31 - 1))
        self.root = root
        states = np.random.SeedSequence(root).generate_state(len(self.USES))
        self._seeds = dict(zip(self.USES, map(int, states), strict=True))

    def generator(self, use: str, device: torch.device | None = None) -> torch.Generator:
        """Return a fresh torch generator for ``use``: of the device, if that draws."""
        place = "cpu" if device is None or not self.drawn_on(device) else device
        return torch.Generator(place).manual_seed(self._seeds[use])

    @staticmethod
    def drawn_on(device: torch.device) -> bool:
        """Tell whether a device draws what every step needs, rather than the host for it."""
        return device.type == "cuda"

    def integer(self, use: str) -> int:
        """Return the seed for ``use``, for scikit-learn's ``random_state``."""
        return self._seeds[use]

    def of_call(self, number: int) -> "Seeds":
        """Return the seeds of one of several trainings that follow each other; 0 is the first."""
        if number == 0:
            return self
        return Seeds(None, int(np.random.SeedSequence([self.root, number]).generate_state(1)[0]))
