"""How many labels, and which samples carry them."""

from numbers import Integral, Real

import numpy as np

from .._training.warning import warn_user


def resolve_sizes(
    label_sizes, n_train: list[int], name: str = "label_sizes"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of labels, and what they come to in every split.

    Parameters
    ----------
    label_sizes : array-like of int or of float
        Counts, or proportions of the training samples.
    n_train : list of int
        Training samples of every split.
    name : str
        What the caller calls them.

    Returns
    -------
    sizes : ndarray of shape (n_sizes,)
        As asked for, ascending, each once; integers or floats.
    n_labels : ndarray of shape (n_splits, n_sizes), int
        Labelled samples.
    """
    asked = [label_sizes] if np.ndim(label_sizes) == 0 else list(label_sizes)
    integers = all(isinstance(n, Integral) and not isinstance(n, bool) for n in asked)
    if not asked or not all(isinstance(n, Real) and not isinstance(n, bool) for n in asked):
        raise ValueError(f"{name} must hold numbers, got {label_sizes!r}.")
    sizes = np.unique(np.asarray(asked, dtype=int if integers else float))
    smallest = min(n_train)
    if integers:
        if sizes[0] < 2:
            raise ValueError(f"{name} must be at least 2, got {sizes[0]}.")
        if sizes[-1] > smallest:
            raise ValueError(
                f"{name} asks for {sizes[-1]:,} labelled samples, but the training part of "
                f"split {int(np.argmin(n_train))} has {smallest:,}. Ask for at most that many, or "
                "take more splits, whose training parts are larger."
            )
        return sizes, np.tile(sizes, (len(n_train), 1))
    if not (sizes[0] > 0 and sizes[-1] <= 1):
        raise ValueError(
            f"{name} {sizes.tolist()} are neither counts (integers) nor proportions of the "
            "training samples (floats in (0, 1])."
        )
    n_labels = np.rint(np.outer(n_train, sizes)).astype(int)
    if n_labels.min() < 2:
        raise ValueError(
            f"The proportion {sizes[0]:g} of {smallest:,} training samples is "
            f"{n_labels.min()} labelled samples; at least 2 are needed."
        )
    return sizes, n_labels


def stratified_order(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the samples in a random order of which every beginning is stratified.

    The first of every class come first, frequent classes before rare ones; after them the classes
    follow each other in proportion to their frequency.
    """
    key = np.empty(len(y))
    first = np.zeros(len(y), dtype=bool)
    for c in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == c))
        key[members] = (np.arange(len(members)) + rng.random()) / len(members)
        first[members[0]] = True
    return np.lexsort([key, ~first])


def draw_subsets(
    y: np.ndarray,
    classes: np.ndarray,
    splits: list,
    sizes: np.ndarray,
    n_labels: np.ndarray,
    n_draws: int,
    *,
    seed: int,
    protocol: str,
) -> list[list[list[np.ndarray]]]:
    """Return the labelled samples of every split, size and draw; warn if they lack a class.

    With ``protocol="resample"`` they are drawn anew for every split, size and draw; with
    "dradjat2025" they are the beginnings of one order per split, the same for all draws.
    """
    subsets: list[list[list[np.ndarray]]] = []
    for s, (train, _) in enumerate(splits):
        subsets.append([])
        for size, n in zip(sizes, n_labels[s], strict=True):
            draws = []
            for draw in range(n_draws):
                # By the size itself: a size more or less leaves the other subsets as they are.
                anew = [round(float(size) * 10**6), draw] if protocol == "resample" else []
                rng = np.random.default_rng([seed, s, *anew])
                draws.append(np.sort(train[stratified_order(y[train], rng)[:n]]))
            subsets[-1].append(draws)
    _warn_of_missing_classes(y, subsets, classes)
    return subsets


def _warn_of_missing_classes(y: np.ndarray, subsets, classes: np.ndarray) -> None:
    lacking: dict[int, object] = {}
    for subset in (draw for split in subsets for draws in split for draw in draws):
        missing = np.setdiff1d(np.arange(len(classes)), y[subset])
        if len(missing):
            lacking.setdefault(len(subset), classes[missing[0]])
    if lacking:
        n = min(lacking)
        also = f" (so with {', '.join(map(str, sorted(lacking)[1:]))})" if len(lacking) > 1 else ""
        warn_user(
            f"Labelled subsets lack a class: with {n} labels for example {str(lacking[n])!r}"
            f"{also}. One sample of each of the {len(classes)} classes needs as many labels, and a "
            "training part that has them all. A class that was not shown gets probability 0."
        )
