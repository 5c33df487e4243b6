"""One pretraining, or one fit with its predictions."""

import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import joblib
import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import has_fit_parameter

from .._callbacks import Task
from .._encoders import fit_encoder, is_fitted, seeded_clone
from .._finish import takes_unlabeled
from ..classifier import SSLClassifier
from ._metrics import Outcome
from ._profiles import Profiles


class Data(NamedTuple):
    """What all fits take their samples from.

    Attributes
    ----------
    profiles : Profiles
        The samples with labels.
    more : list of Profiles or of Part
        The samples without.
    y, classes : ndarray
        Codes of the samples' classes, and the labels; of samples without labels None, and none.
    groups : ndarray or None
        Codes of the samples' groups.
    """

    profiles: Profiles
    more: Sequence
    y: Any
    classes: np.ndarray
    groups: np.ndarray | None

    def content(self) -> str:
        """Return a hash of the data."""
        values = [part.values for part in (self.profiles, *self.more)]
        names = self.profiles.names
        names = None if names is None else names.tolist()
        return joblib.hash([values, names, self.y, self.classes.tolist(), self.groups])


class Part:
    """Some of the samples of a matrix, gathered when they are asked for.

    Parameters
    ----------
    profiles : Profiles
        The matrix.
    rows : ndarray
        Which of its rows.
    """

    def __init__(self, profiles: Profiles, rows: np.ndarray):
        self.profiles = profiles
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: np.ndarray | slice):
        return self.profiles[self.rows[rows]]


class Pool(NamedTuple):
    """The samples that are there without their labels, in one split.

    Attributes
    ----------
    train : ndarray
        Rows of the samples with labels.
    more : list of ndarray or None
        Rows of each matrix of samples without; None: all of them.
    """

    train: np.ndarray
    more: list[np.ndarray] | None = None

    def of(self, data: Data) -> Data:
        """Return the data with no other unlabelled samples than these."""
        if self.more is None:
            return data
        parts = [Part(part, rows) for part, rows in zip(data.more, self.more, strict=True)]
        return data._replace(more=[part for part in parts if len(part)])


class Pretrained(NamedTuple):
    """An encoder fitted on a split's training samples without their labels."""

    encoder: object
    seconds: float


class Fit(NamedTuple):
    """The predictions of one fit, and the seconds it took."""

    outcome: Outcome
    seconds: float


def to_pretrain(entry):
    """Return the encoder that an entry wants pretrained, or None."""
    encoder = entry.encoder if isinstance(entry, SSLClassifier) else None
    return None if encoder is None or is_fitted(encoder) else encoder


def pretrain(encoder, data: Data, pool: Pool, seed: int) -> Pretrained:
    """Fit an encoder on the training samples without labels and on the unlabelled ones."""
    parts = Part(data.profiles, pool.train), *pool.of(data).more
    X, *more = (part[:] for part in parts if len(part))
    matrix = X if sp.issparse(X) else np.asarray(X)
    start = time.perf_counter()
    fitted = fit_encoder(encoder, X, matrix, more, memory=None, random_state=seed, task=Task(None))
    return Pretrained(fitted, time.perf_counter() - start)


def fit_and_predict(
    entry, encoder, data: Data, pool: Pool, labelled, test, seed: int, watch: Callable | None = None
) -> Fit:
    """Fit an entry on labelled samples and predict the test samples.

    Parameters
    ----------
    entry : classifier
        Unfitted.
    encoder : transformer or None
        What its encoder has become by pretraining.
    data : Data
        The samples.
    pool : Pool
        Those of the split to learn from.
    labelled, test : ndarray
        Rows of the samples with labels, and of the test samples.
    seed : int
        For parts of the entry without a seed.
    watch : callable or None
        Called after every epoch of fine-tuning with the classifier and the fitted attributes that
        it would have, were it to end there.
    """
    model = seeded_clone(entry, seed)
    if watch is not None:
        model._watch = partial(watch, model)
    if encoder is not None:
        model.encoder = encoder
    more = {}
    if wants_unlabeled(model):
        others = np.setdiff1d(pool.train, labelled)
        more["X_unlabeled"] = [data.profiles[others]] if len(others) else []
        more["X_unlabeled"] += [part[:] for part in pool.of(data).more]
    X, y = data.profiles[labelled], data.classes[data.y[labelled]]
    with warnings.catch_warnings():
        # Few samples of many classes are what this is for.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        warnings.filterwarnings("ignore", "Too few labels for early stopping", UserWarning)
        # Of many subsets some are too easy; where all are, the scores tell.
        warnings.filterwarnings("ignore", "Of the L2 penalties on offer", UserWarning)
        start = time.perf_counter()
        model.fit(X, y, **more)
        seconds = time.perf_counter() - start
    return Fit(predict(model, data.profiles[test], data.y[test], data.classes), seconds)


def wants_unlabeled(model) -> bool:
    """Tell whether a classifier, its encoder aside, learns from samples without labels."""
    if isinstance(model, SSLClassifier):
        return takes_unlabeled(model)
    return has_fit_parameter(model, "X_unlabeled")


def predict(model, X, y: np.ndarray, classes: np.ndarray) -> Outcome:
    """Return the predictions of a fitted classifier for samples whose classes are known."""
    labels = np.asarray(model.predict(X))
    predicted = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    if not (classes[predicted] == labels).all():
        unknown = labels[classes[predicted] != labels][0]
        raise ValueError(f"predict returned {unknown!r}, which is none of the labels.")
    p_true = confidence = np.full(len(y), np.nan, dtype=np.float32)
    if hasattr(model, "predict_proba"):
        # Classes that were not among the labelled samples have probability 0.
        p = np.zeros((len(y), len(classes)))
        p[:, np.searchsorted(classes, model.classes_)] = model.predict_proba(X)
        if not (p >= 0).all() or not np.allclose(p.sum(axis=1), 1, atol=1e-3):
            raise ValueError("predict_proba returned rows that are no probabilities.")
        rows = np.arange(len(y))
        p_true, confidence = (p[rows, c].astype(np.float32) for c in (y, predicted))
    return Outcome(predicted.astype(np.int16), p_true, confidence)
