"""The finish: a head on the frozen embedding, or head and encoder trained together."""

import copy
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import has_fit_parameter
from torch import nn

from ._callbacks import Task
from ._encoders import seeded_clone, transform
from ._head import LinearHead, class_weights
from ._linear_path import Features, LinearPath
from ._nn.init import linear
from ._parameters import epoch_line
from ._pooled import PooledHead
from ._training.device import resolve_device, resolve_precision
from ._training.finetuning import FineTuning, fine_tune, split_labelled
from ._training.rows import Rows
from ._training.seeds import Seeds
from ._untrained import UntrainedTransformer
from .base import BaseSSLTransformer


class Finish(NamedTuple):
    """What the finish leaves: the encoder (a copy if it was trained), the head, the history."""

    encoder: object
    head: object
    history: list[dict]
    n_embedding: int
    linear_path: LinearPath | None = None


def check_head(clf, sample_weight) -> None:
    """Raise unless the classifier's ``head`` goes with its mode and the weights."""
    if clf.head == "pooled" and clf.mode == "unfrozen":
        raise ValueError("head='pooled' is not trained along: use head='linear' or mode='frozen'.")
    if isinstance(clf.head, str):
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


def takes_unlabeled(head) -> bool:
    """Tell whether a head learns from unlabelled samples too."""
    if isinstance(head, str):
        return head == "pooled"
    return has_fit_parameter(head, "X_unlabeled")


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
    codes = np.searchsorted(clf.classes_, y)
    by_gradient = clf.mode == "unfrozen" or clf.head == "sgd"
    train, held_out = np.arange(len(y)), None
    if by_gradient and clf.early_stopping:
        train, held_out = split_labelled(codes, clf.validation_fraction, seeds.integer("split"))
    head, Z = None, None
    if clf.mode == "frozen" or not isinstance(encoder, UntrainedTransformer):
        Z = transform(encoder, X, matrix)
        if (Z[0] == Z).all():
            raise ValueError(
                f"All {len(Z):,} labelled samples have the same embedding: there is nothing to "
                "tell them apart by. Is this the right matrix, samples in rows?"
            )
    if Z is not None and clf.head != "sgd":
        more = {} if sample_weight is None else {"sample_weight": sample_weight[train]}
        if clf.head == "pooled":
            return _pool(clf, encoder, matrix, Z, y, more, pool, seeds, task)
        head = clf.head
        if head == "linear":
            head = LinearHead(clf.class_weight, random_state=seeds.integer("split"))
        if pool is not None:
            more["X_unlabeled"] = np.concatenate([z for _, z in pool]) if pool else Z[:0]
        # Held-out samples must tell of a head that has not seen them either.
        head = seeded_clone(head, clf.random_state).fit(Z[train], y[train], **more)
        if not by_gradient:
            task.begin("fit-head").end()
            return Finish(encoder, head, [], Z.shape[1])
    split = train, held_out
    return _train(clf, encoder, matrix, Z, head, codes, split, sample_weight, seeds, task)


def _pool(clf, encoder, matrix, Z, y, more: dict, pool: list, seeds: Seeds, task: Task) -> Finish:
    """Fit the pooled head."""
    path = LinearPath.of(encoder, [matrix, *(m for m, _ in pool)], seeds.integer("components"))
    parts = [path.features(m, z, genes=False) for m, z in pool]
    if parts:
        more["X_unlabeled"] = Features(*map(np.concatenate, zip(*parts, strict=True)))
    head = PooledHead(clf.class_weight, random_state=seeds.integer("split"))
    head.fit(path.features(matrix, Z), y, **more)
    task.begin("fit-head").end()
    return Finish(encoder, head, [], Z.shape[1], path)


def _train(
    clf, encoder, matrix, Z, head, codes, split, sample_weight, seeds: Seeds, task: Task
) -> Finish:
    """Train by gradient: a linear layer and, unfrozen, a copy of the encoder below it."""
    from_scratch = isinstance(encoder, UntrainedTransformer)
    n_embedding = encoder._n_features_out if Z is None else Z.shape[1]
    if clf.mode == "frozen":
        module, rows = nn.Identity(), Rows([Z])
    else:
        if isinstance(matrix, np.ndarray):
            matrix = np.ascontiguousarray(matrix)  # gathering rows of columns is slow
        module, rows = copy.deepcopy(encoder.encoder_), encoder._rows([matrix])
        module.dropout.p = clf.dropout
    if head is not None:
        layer, penalty = head.to_layer(), head.penalty_
    else:
        layer, penalty = linear(n_embedding, len(clf.classes_), seeds.generator("heads")), 0.0
        if clf.head == "linear":  # as logistic regression starts; "sgd" starts as published
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    labels = clf.classes_[codes]
    weight = class_weights(clf.class_weight, clf.classes_, labels)[codes]
    by_batch = clf.batch_norm == "batch" or (clf.batch_norm == "auto" and from_scratch)
    objective = FineTuning(
        module,
        layer,
        codes,
        weight if sample_weight is None else weight * sample_weight,
        penalty=penalty,
        batch_statistics=by_batch,
    )
    lr = clf.lr
    if lr == "auto":
        lr = 1e-3 if from_scratch or clf.mode == "frozen" else 1e-4
    device = resolve_device(clf.device)
    step = task.begin("fine-tune", clf.max_epochs)

    def report(epoch: dict) -> bool:
        if clf.verbose:
            print(epoch_line(type(clf).__name__, epoch, clf.max_epochs), flush=True)
        return step.begin("epoch").end(state)

    def state() -> dict:
        tuned = encoder
        if clf.mode == "unfrozen":
            tuned = _with_module(encoder, copy.deepcopy(module).cpu().eval())
        head = LinearHead.from_layer(layer, clf.classes_)
        return {"encoder_": tuned, "head_": head, "_n_embedding": n_embedding}

    history = fine_tune(
        objective,
        rows,
        split,
        seeds,
        batch_size=clf.batch_size,
        n_iter_no_change=clf.n_iter_no_change,
        tol=clf.tol,
        device=device,
        lr=lr,
        weight_decay=clf.weight_decay,
        schedule=clf.schedule,
        max_epochs=clf.max_epochs,
        precision=resolve_precision(clf.precision, device),
        report=report,
    )
    step.end()
    if clf.mode == "unfrozen":
        encoder = _with_module(encoder, module)
    return Finish(encoder, LinearHead.from_layer(layer, clf.classes_), history, n_embedding)


def _with_module(encoder: BaseSSLTransformer, module) -> BaseSSLTransformer:
    """Return a copy of a fitted transformer around another module."""
    tuned = copy.copy(encoder)
    tuned.encoder_ = module
    return tuned
