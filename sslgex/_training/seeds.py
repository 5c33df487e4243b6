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

    def generator(self, use: str) -> torch.Generator:
        """Return a fresh torch generator for ``use``."""
        return torch.Generator().manual_seed(self._seeds[use])

    def integer(self, use: str) -> int:
        """Return the seed for ``use``, for scikit-learn's ``random_state``."""
        return self._seeds[use]
