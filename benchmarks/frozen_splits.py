"""The splits and labelled subsets on which the recipe is judged, and how a benchmark visits them.

A benchmark defines ``one_split(folder, name, split, n_draws)``, which returns a record per entry
and labelled subset; `visit` runs it over all splits of all data sets and keeps what is done.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import panel_data
from joblib import Memory, Parallel, delayed
from label_efficiency import machine
from scipy.special import softmax
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from sslgex.evaluation._metrics import Outcome, score

SEED = 20_261  # of splits and draws
DEVELOPMENT_SEED = 101  # of those on which something was chosen
N_SPLITS = 5
SIZES = ("one per class", 20, 50, 100)
METRICS = ("accuracy", "balanced_accuracy", "neg_log_loss", "neg_calibration_error")


class Split(NamedTuple):
    """One split of a data set.

    Attributes
    ----------
    train, test : ndarray of shape (n_samples, n_genes)
        Profiles.
    y, y_test : ndarray of int
        Classes, from 0; test samples of classes that the training part lacks are left out.
    """

    train: np.ndarray
    y: np.ndarray
    test: np.ndarray
    y_test: np.ndarray

    @property
    def n_classes(self) -> int:
        return int(self.y.max()) + 1


def load(folder: Path, name: str, split: int, seed: int = SEED) -> Split:
    """Return one of the splits; a patient is never divided."""
    data = panel_data.load(name, folder)
    kind = StratifiedKFold if data.groups is None else StratifiedGroupKFold
    folds = kind(N_SPLITS, shuffle=True, random_state=seed).split(data.X, data.y, data.groups)
    train, test = list(folds)[split]
    classes = np.unique(data.y[train])
    test = test[np.isin(data.y[test], classes)]
    X = data.X.to_numpy()
    codes, y_test = (np.searchsorted(classes, data.y[part]) for part in (train, test))
    return Split(np.ascontiguousarray(X[train]), codes, X[test], y_test)


def sizes(n_classes: int) -> list:
    """Return the numbers of labels; of many classes, one each is about 20."""
    return [size for size in SIZES if size != 20 or n_classes <= 10]


def draw(codes: np.ndarray, size, rng: np.random.Generator) -> np.ndarray:
    """Return labelled rows: one of each class, the others at random."""
    one = np.array([rng.choice(np.flatnonzero(codes == c)) for c in range(codes.max() + 1)])
    if size == "one per class" or size <= len(one):
        return one
    rest = np.setdiff1d(np.arange(len(codes)), one)
    return np.concatenate([one, rng.choice(rest, size - len(one), replace=False)])


def draws(codes: np.ndarray, sizes, split: int, n_draws: int, seed: int = SEED) -> Iterator[tuple]:
    """Yield a size, the number of the draw, and the rows that are labelled."""
    for size in sizes:
        for j in range(n_draws):
            yield (
                size,
                j,
                draw(codes, size, np.random.default_rng([seed, split, SIZES.index(size), j])),
            )


def measure(scores: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return the metrics of linear scores."""
    p = softmax(scores, axis=1)
    outcome = Outcome(p.argmax(axis=1), p[np.arange(len(y)), y], p.max(axis=1))
    return {metric: float(score(metric, y, outcome)[0]) for metric in METRICS}


def log_probabilities(clf, X: np.ndarray) -> np.ndarray:
    """Return those of a fitted classifier, none below -30."""
    return np.log(np.maximum(clf.predict_proba(X), np.exp(-30)))


def visit(
    one_split: Callable,
    doc: str,
    tables: Callable[[pd.DataFrame], dict[str, str]],
    *,
    sets=tuple(panel_data.NAMES),
    n_splits: int = N_SPLITS,
    n_draws: int,
) -> None:
    """Run a benchmark from the command line, print its tables and write them.

    Parameters
    ----------
    one_split : callable
        See the module.
    doc : str
        The benchmark's docstring.
    tables : callable
        Makes tables in Markdown, by the names of their files, of all records.
    sets : sequence of str
        Data sets.
    n_splits, n_draws : int
        Splits of every set, and labelled subsets of every size in a split.
    """
    root, name = Path(__file__).resolve().parent.parent, Path(one_split.__code__.co_filename).stem
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", default=list(sets), choices=list(panel_data.NAMES))
    parser.add_argument("--cache", type=Path, default=root / ".cache" / name)
    parser.add_argument("--n-draws", type=int, default=n_draws, help="per split and size")
    parser.add_argument("--n-splits", type=int, default=n_splits)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=root / "docs" / "tables")
    args = parser.parse_args()
    run = Memory(args.cache, verbose=0).cache(one_split, ignore=["folder"])
    parts = Parallel(args.n_jobs, verbose=10)(
        delayed(run)(args.data, name, split, args.n_draws)
        for name in args.sets
        for split in range(args.n_splits)
    )
    frame = pd.DataFrame([record for part in parts for record in part])
    frame.to_csv(args.cache / "cells.csv", index=False)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, table in tables(frame).items():
        (args.out / f"{name}.md").write_text(f"{table}\n", encoding="utf-8")
        print(f"\n{table}")
    print(f"\n{machine()}")
