"""The finish: a head on the frozen embedding, or head and encoder trained together."""

import copy
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import has_fit_parameter
from torch import nn

from ._callbacks import Task
from ._encoders import seeded_clone, transform
from ._head import LinearHead, class_weights, warn_of_edge
from ._linear_path import Features, LinearPath
from ._nn.init import linear
from ._parameters import epoch_line
from ._pooled import PooledHead
from ._training.device import resolve_device, resolve_precision
from ._training.finetuning import FineTuning, fine_tune, split_labelled
from ._training.rows import Rows
from ._training.seeds import Seeds
from ._unfrozen import Start, Tuned, unfreeze
from ._untrained import UntrainedTransformer
from .base import BaseSSLTransformer


class Finish(NamedTuple):
    """What the finish leaves: the encoder (a copy if it was trained), the head, the history."""

    encoder: object
    head: object
    n_embedding: int
    history: list[dict]
    linear_path: LinearPath | None = None
    curve: list[float] | None = None


def check_head(clf, sample_weight) -> None:
    """Raise unless the classifier's ``head`` goes with its mode and the weights."""
    if isinstance(clf.head, str):
        pooled = clf.head == "pooled" and clf.mode == "unfrozen" and not _from_scratch(clf)
        if pooled and holds_out(clf):
            raise ValueError(
                "head='pooled' holds no samples out, it judges each without its own fold: use "
                "early_stopping='auto', or head='linear'."
            )
        return
    if clf.mode == "unfrozen":
        raise ValueError(
            f"head={clf.head!r} cannot be trained together with the encoder: use head='linear', "
            "or mode='frozen'."
        )
    if sample_weight is not None and not has_fit_parameter(clf.head, "sample_weight"):
        raise TypeError(
            f"sample_weight was given, but head={clf.head!r} takes none in its fit. "
            "Use head='linear'."
        )


def holds_out(clf) -> bool:
    """Tell whether labelled samples are held out to stop by."""
    return not isinstance(clf.early_stopping, str) and bool(clf.early_stopping)


class Labelled(NamedTuple):
    """The labelled samples: a checked matrix, labels, weights (those of the classes included)."""

    matrix: object
    y: np.ndarray
    weight: np.ndarray


def takes_unlabeled(clf) -> bool:
    """Tell whether the head of ``clf`` learns from unlabelled samples too."""
    if isinstance(clf.head, str):
        return clf.head == "pooled" and not _from_scratch(clf)
    return has_fit_parameter(clf.head, "X_unlabeled")


def _from_scratch(clf) -> bool:
    """Tell whether a network with random weights is trained, which has a linear layer only."""
    return clf.encoder is None and clf.mode == "unfrozen"


def finish(clf, encoder, X, matrix, y, sample_weight, pool, task: Task) -> Finish:
    """Fit the head of ``clf`` and, in unfrozen mode, train a copy of the encoder with it.

    Parameters
    ----------
    clf : SSLClassifier
        Its parameters and ``classes_`` are read.
    encoder : transformer
        Fitted; left as it is.
    X, matrix : array-like
        The labelled samples as the user gave them and as a checked matrix.
    y : ndarray of shape (n_samples,)
        Their labels.
    sample_weight : ndarray of shape (n_samples,) or None
        Their weights.
    pool : list of (matrix, ndarray) or None
        Unlabelled samples and their embedding; None if the head does not take them.
    task : Task
        Of which this becomes a part.
    """
    seeds = Seeds(clf.random_state)
    weight = class_weights(clf.class_weight, clf.classes_, y)[np.searchsorted(clf.classes_, y)]
    if sample_weight is not None:
        weight = weight * sample_weight
    labelled = Labelled(matrix, y, weight)
    from_scratch = isinstance(encoder, UntrainedTransformer)
    if clf.mode == "unfrozen" and from_scratch:
        return _train(clf, encoder, labelled, None, None, seeds, task)
    Z = transform(encoder, X, matrix)
    if (Z[0] == Z).all():
        raise ValueError(
            f"All {len(Z):,} labelled samples have the same embedding: there is nothing to "
            "tell them apart by. Is this the right matrix, samples in rows?"
        )
    if clf.head == "sgd":
        return _train(clf, encoder, labelled, Z, None, seeds, task)
    more = {} if sample_weight is None else {"sample_weight": sample_weight}
    if isinstance(clf.head, str) and clf.head == "pooled":
        return _pool(clf, encoder, labelled, Z, more, pool, seeds, task)
    if clf.head == "linear":
        return _linear(clf, encoder, labelled, Z, more, seeds, task)
    if pool is not None:
        more["X_unlabeled"] = np.concatenate([z for _, z in pool]) if pool else Z[:0]
    head = seeded_clone(clf.head, clf.random_state).fit(Z, y, **more)
    task.begin("fit-head").end()
    return Finish(encoder, head, Z.shape[1], [])


def _linear(clf, encoder, labelled, Z, more: dict, seeds: Seeds, task: Task) -> Finish:
    """Fit the linear head and, unfrozen, train the encoder under it."""
    head = LinearHead(clf.class_weight, random_state=seeds.integer("split"))
    if clf.mode == "unfrozen" and not isinstance(clf.early_stopping, str):
        return _train(clf, encoder, labelled, Z, head, seeds, task, more)
    head.fit(Z, labelled.y, **more)
    warn_of_edge([head], len(Z))
    if clf.mode == "frozen":
        task.begin("fit-head").end()
        return Finish(encoder, head, Z.shape[1], [])
    tuned = _unfreeze(clf, encoder, labelled, Start(head, Z), seeds, task)
    return Finish(tuned.encoder, tuned.head, Z.shape[1], tuned.history, curve=tuned.curve)


def _pool(clf, encoder, labelled, Z, more: dict, pool: list, seeds: Seeds, task: Task) -> Finish:
    """Fit the pooled head and, unfrozen, train the encoder under one of its experts."""
    matrices = [labelled.matrix, *(m for m, _ in pool)]
    path = LinearPath.of(encoder, matrices, seeds.integer("components"))
    parts = [path.features(m, z, genes=False) for m, z in pool]
    if parts:
        more["X_unlabeled"] = Features(*map(np.concatenate, zip(*parts, strict=True)))
    head = PooledHead(clf.class_weight, random_state=seeds.integer("split"))
    features = path.features(labelled.matrix, Z)
    head.fit(features, labelled.y, **more)
    experts = [expert for name, expert in head.experts_.items() if name != "propagated"]
    warn_of_edge(experts, len(Z))
    if clf.mode == "frozen":
        task.begin("fit-head").end()
        return Finish(encoder, head, Z.shape[1], [], path)
    start = head.start(features)
    tuned = _unfreeze(clf, encoder, labelled, start, seeds, task, head.with_expert, path)
    head = head.with_expert(tuned.head) if tuned.history else head
    return Finish(tuned.encoder, head, Z.shape[1], tuned.history, path, tuned.curve)


def _unfreeze(
    clf,
    encoder,
    labelled,
    start: Start,
    seeds: Seeds,
    task: Task,
    whole_head=lambda head: head,
    path: LinearPath | None = None,
) -> Tuned:
    """Train the encoder from a fitted head, as long as that pays out of fold."""
    step = task.begin("fine-tune", clf.max_epochs)
    report = _reporter(clf, encoder, step, whole_head, path)
    tuned = unfreeze(
        start,
        lambda: _network(clf, encoder),
        _rows(encoder, labelled),
        labelled.y,
        labelled.weight,
        seeds,
        choose=clf.early_stopping == "auto",
        batch_statistics=clf.batch_norm == "batch",
        report=report,
        report_fold=_fold_reporter(clf),
        **_how(clf, from_scratch=False),
    )
    step.end()
    return tuned._replace(
        encoder=_with_module(encoder, tuned.encoder) if tuned.history else encoder
    )


def _train(
    clf, encoder, labelled, Z, head: LinearHead | None, seeds: Seeds, task: Task, more=None
) -> Finish:
    """Train by gradient to the end or to the best epoch of held-out samples.

    A linear layer with random weights, or from a head that is fitted first, and, unfrozen, a copy
    of the encoder below it.
    """
    codes = np.searchsorted(clf.classes_, labelled.y)
    from_scratch = isinstance(encoder, UntrainedTransformer)
    n_embedding = encoder._n_features_out if Z is None else Z.shape[1]
    train, held_out = np.arange(len(codes)), None
    if holds_out(clf):
        train, held_out = split_labelled(codes, clf.validation_fraction, seeds.integer("split"))
    if clf.mode == "frozen":
        module: nn.Module = nn.Identity()
        rows = Rows([Z])
    else:
        module, rows = _network(clf, encoder), _rows(encoder, labelled)
    if head is not None:
        # Held-out samples must tell of a head that has not seen them either.
        head.fit(Z[train], labelled.y[train], **{k: w[train] for k, w in (more or {}).items()})
        layer, penalty = head.to_layer(), head.penalty_
    else:
        layer, penalty = linear(n_embedding, len(clf.classes_), seeds.generator("heads")), 0.0
        if clf.head != "sgd":  # as logistic regression starts; "sgd" starts as published
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    by_batch = clf.batch_norm == "batch" or (clf.batch_norm == "auto" and from_scratch)
    objective = FineTuning(
        module, layer, codes, labelled.weight, penalty=penalty, batch_statistics=by_batch
    )
    step = task.begin("fine-tune", clf.max_epochs)
    report = _reporter(clf, encoder, step)
    history = fine_tune(
        objective,
        rows,
        (train, held_out),
        seeds,
        report=lambda epoch: report(objective, epoch),
        **_how(clf, from_scratch or clf.mode == "frozen"),
    )
    step.end()
    if clf.mode == "unfrozen":
        encoder = _with_module(encoder, module)
    return Finish(encoder, LinearHead.from_layer(layer, clf.classes_), n_embedding, history)


def _network(clf, encoder: BaseSSLTransformer) -> nn.Module:
    """Return a copy of the encoder's network to train."""
    module = copy.deepcopy(encoder.encoder_)
    module.dropout.p = clf.dropout
    return module


def _rows(encoder: BaseSSLTransformer, labelled: Labelled) -> Rows:
    matrix = labelled.matrix
    if isinstance(matrix, np.ndarray):
        matrix = np.ascontiguousarray(matrix)  # gathering rows of columns is slow
    return encoder._rows([matrix])


def _how(clf, from_scratch: bool) -> dict:
    """Return how the classifier wants to be trained."""
    lr = clf.lr
    if lr == "auto":
        lr = 1e-3 if from_scratch else 3e-4
    device = resolve_device(clf.device)
    return {
        "batch_size": clf.batch_size,
        "n_iter_no_change": clf.n_iter_no_change,
        "tol": clf.tol,
        "device": device,
        "lr": lr,
        "weight_decay": clf.weight_decay,
        "schedule": clf.schedule,
        "max_epochs": clf.max_epochs,
        "precision": resolve_precision(clf.precision, device),
    }


def _reporter(clf, encoder, step: Task, whole_head=lambda head: head, path=None):
    """Return the function that tells the user and scikit-learn's callbacks of an epoch."""
    watch = getattr(clf, "_watch", None)  # of `evaluation.convergence_curve`

    def report(objective: FineTuning, epoch: dict, out_of_fold=None) -> bool:
        if clf.verbose:
            print(epoch_line(type(clf).__name__, epoch, clf.max_epochs), flush=True)
        if watch is not None:
            watch(state(objective, out_of_fold))
        return step.begin("epoch").end(lambda: state(objective, out_of_fold))

    def state(objective: FineTuning, out_of_fold) -> dict:
        tuned = encoder
        if clf.mode == "unfrozen":
            tuned = _with_module(encoder, copy.deepcopy(objective.encoder).cpu().eval())
        layer = LinearHead.from_layer(objective.head, clf.classes_)
        if out_of_fold is not None:
            layer.out_of_fold = out_of_fold  # by which a pooled head weighs it
        return {
            "encoder_": tuned,
            "head_": whole_head(layer),
            "linear_path_": path,
            "_n_embedding": objective.n_embedding,
        }

    return report


def _fold_reporter(clf):
    """Return the function that tells the user of a fold."""

    def report(number: int, n_folds: int, best: int) -> None:
        if clf.verbose:
            name = type(clf).__name__
            print(f"{name}  fold {number}/{n_folds}  best epoch {best}", flush=True)

    return report


def _with_module(encoder: BaseSSLTransformer, module) -> BaseSSLTransformer:
    """Return a copy of a fitted transformer around another module."""
    tuned = copy.copy(encoder)
    tuned.encoder_ = module
    return tuned
