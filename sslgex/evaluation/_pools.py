"""Shares of the profiles there are without labels: how many, and which."""

from itertools import pairwise
from numbers import Integral, Real

import numpy as np

from .._training.seeds import Seeds
from ..base import BaseSSLTransformer
from ._fits import Data, Pool, pretrain

# The study's sizes: every hundredth to 5 %, then every twentieth.
GRID = np.r_[np.arange(1, 6), np.arange(10, 101, 5)] / 100


def resolve_shares(pretrain_sizes, n_profiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sizes, ascending, and what they come to in every split."""
    asked = GRID if pretrain_sizes is None else np.atleast_1d(pretrain_sizes).tolist()
    integers = all(isinstance(n, Integral) and not isinstance(n, bool) for n in asked)
    if not len(asked) or not all(isinstance(n, Real) and not isinstance(n, bool) for n in asked):
        raise ValueError(f"pretrain_sizes must hold numbers, got {pretrain_sizes!r}.")
    sizes = np.unique(np.asarray(asked, dtype=int if integers else float))
    smallest, s = int(n_profiles.min()), int(n_profiles.argmin())
    if integers:
        if sizes[-1] > smallest:
            raise ValueError(
                f"pretrain_sizes asks for {sizes[-1]:,} profiles, but in split {s} there are "
                f"{smallest:,}, training samples and X_unlabeled together. Ask for at most that "
                "many, or for shares, of which 1.0 is all."
            )
        n_pretrain = np.tile(sizes, (len(n_profiles), 1))
    elif not (sizes[0] > 0 and sizes[-1] <= 1):
        wrong = sizes[~((sizes > 0) & (sizes <= 1))].tolist()
        raise ValueError(
            f"pretrain_sizes has {wrong}, neither counts (all integers) nor shares of the profiles "
            "there are (floats in (0, 1])."
        )
    else:
        n_pretrain = np.rint(np.outer(n_profiles, sizes)).astype(int)
    if n_pretrain.min() < 2:
        raise ValueError(
            f"The pretraining size {sizes[0]:g} is {n_pretrain.min()} of the {smallest:,} profiles "
            f"in split {s}; at least 2 are needed. Name larger pretrain_sizes."
        )
    return sizes, n_pretrain


def nested_pools(train: np.ndarray, more, n_pretrain: np.ndarray, rng) -> list[Pool]:
    """Return what there is at every size, each holding the one before it."""
    starts = np.cumsum([0, len(train), *map(len, more)])
    order = rng.permutation(starts[-1])
    pools = []
    for n in n_pretrain:
        chosen = np.sort(order[:n])
        first, *others = (
            chosen[(chosen >= start) & (chosen < stop)] - start for start, stop in pairwise(starts)
        )
        pools.append(Pool(train[first], others))
    return pools


def check_smallest(name: str, encoder, data: Data, pool: Pool, size: float, seed: int) -> None:
    """Raise if an encoder cannot be pretrained on the smallest size there is."""
    n = len(pool.train) + sum(map(len, pool.more or []))
    try:
        if isinstance(encoder, BaseSSLTransformer):
            encoder._split(n, Seeds(seed))
        else:
            pretrain(encoder, data, pool, seed)
    except ValueError as error:
        raise ValueError(
            f"The pretraining size {size:g} is {n:,} profiles, which are too few for {name!r}: "
            f"{error} Name larger pretrain_sizes, or give it a smaller encoder."
        ) from None
