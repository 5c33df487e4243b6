"""Choosing architectures by samples that are neither trained on nor tested."""

import warnings
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from ._fits import Data
from ._results import LabelEfficiencyResults, area_weights
from ._shapes import entry_name
from ._splits import make_splits
from ._sweep import seed_of


def check_fraction(fraction) -> None:
    """Raise for what is no share of the training samples to hold out."""
    if not isinstance(fraction, float) or not 0 < fraction <= 0.5:
        raise ValueError(f"validation_fraction must be in (0, 0.5], got {fraction!r}.")


def hold_out(s: int, train: np.ndarray, data: Data, fraction, seed: int) -> tuple:
    """Return the training samples of a split in two parts: to train on, and to choose by.

    Parameters
    ----------
    s : int
        Number of the split.
    train : ndarray
        Rows of its training samples.
    data : Data
        Their labels and groups.
    fraction : float
        Share to hold out.
    seed : int
        Of the sweep.
    """
    groups = None if data.groups is None else data.groups[train]
    n_folds = round(1 / fraction)
    try:
        with warnings.catch_warnings():
            # A rare class may well be missing among the held-out samples.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            rest, held = make_splits(n_folds, data.y[train], groups, seed=seed_of(seed, s))[0]
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={fraction} takes one of {n_folds} folds of the {len(train):,} "
            f"training samples of split {s}, which cannot be made. {error} A larger fraction, "
            "up to 0.5, has fewer folds."
        ) from None
    return train[rest], train[held]


def choose(validation: LabelEfficiencyResults, name: str, depths, widths) -> list[tuple[int, int]]:
    """Return the depth and width of the best mean score in every split; of equals the smallest."""
    shapes = list(product(depths, widths))
    scores = validation.scores(validation.scoring[0])
    chosen = []
    for s in range(len(validation.splits)):
        means = [
            _mean_over_sizes(scores[entry_name(name, *shape)][s], validation.n_labels[s])
            for shape in shapes
        ]
        chosen.append(shapes[int(np.argmax(means))])
    return chosen


def with_selected(results: LabelEfficiencyResults, selected: dict) -> LabelEfficiencyResults:
    """Return the results with an entry for what was chosen, split by split."""
    found: dict[str, Any] = {
        key: dict(getattr(results, key))
        for key in ("outcomes", "pretrain_seconds", "fit_seconds", "loss_curves")
    }
    for name, shapes in selected.items():
        entries = [entry_name(name, *shape) for shape in shapes]
        for per_entry in found.values():
            picked = [per_entry[entry][s] for s, entry in enumerate(entries)]
            array = isinstance(per_entry[entries[0]], np.ndarray)
            per_entry[f"{name}, selected"] = np.stack(picked) if array else picked
    names = [*results.entries, *(f"{name}, selected" for name in selected)]
    return replace(results, entries=names, **found, _kept={})


def _mean_over_sizes(scores: np.ndarray, n_labels: np.ndarray) -> float:
    """Return the mean height of the curve of one split, -inf if there is none."""
    there = ~np.isnan(scores)
    known = there.any(axis=1)
    if not known.any():
        return -np.inf
    curve = np.where(there, scores, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return float(curve @ area_weights(n_labels, known))
