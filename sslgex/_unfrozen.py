"""Fine-tuning from a fitted head, for as many epochs as pay out of fold; perhaps for none."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import log_softmax
from torch import nn

from ._head import LACKING, LinearHead
from ._training.finetuning import FineTuning, fine_tune
from ._training.rows import Rows
from ._training.seeds import Seeds

EPOCHS_IN_VAIN = 5  # after which a fold has seen enough
ANCHOR = 0.01  # what the squared way of the encoder's weights from their start costs


class Start(NamedTuple):
    """A head fitted on the frozen encoder, and what it was fitted on.

    Attributes
    ----------
    head : LinearHead
        Fitted on `view`; its folds judge.
    view : ndarray of shape (n_samples, k + n_embedding)
        `beside` and the embedding over `size`.
    beside : ndarray of shape (n_samples, k) or None
        What the head reads beside the embedding.
    size : float
        What the embedding is divided by.
    """

    head: LinearHead
    view: np.ndarray
    beside: np.ndarray | None = None
    size: float = 1.0


class Tuned(NamedTuple):
    """What fine-tuning leaves.

    Attributes
    ----------
    encoder : nn.Module or None
        The tuned network; None if no epoch paid.
    head : LinearHead
        Trained with it; with its out-of-fold log probabilities.
    history : list of dict
        An entry per epoch.
    curve : list of float
        Weighted mean out-of-fold log likelihood after 0, 1, ... epochs.
    """

    encoder: Any
    head: LinearHead
    history: list[dict]
    curve: list[float]


def unfreeze(
    start: Start,
    make_module: Callable[[], nn.Module],
    rows: Rows,
    y: np.ndarray,
    weight: np.ndarray,
    seeds: Seeds,
    *,
    choose: bool,
    batch_statistics: bool,
    max_epochs: int,
    report: Callable[[FineTuning, dict, np.ndarray], bool],
    report_fold: Callable[[int, int, int], None],
    **how,
) -> Tuned:
    """Train a copy of the network with the head, as long as that helps samples held out.

    The same training runs once without each fold of the labelled samples, from a head that has
    not seen them either, and tells after every epoch what it makes of them, until that has not
    improved for some epochs.

    Parameters
    ----------
    start : Start
        Where training begins.
    make_module : callable
        Returns a fresh copy of the pretrained network.
    rows : Rows
        The labelled samples.
    y : ndarray of shape (n_samples,)
        Their labels.
    weight : ndarray of shape (n_samples,)
        Their weights, those of the classes included.
    seeds : Seeds
        Of the training.
    choose : bool
        Whether to stop where samples held out are predicted best; otherwise train to the end.
    batch_statistics : bool
        As in `FineTuning`.
    max_epochs : int
        The most epochs.
    report : callable
        Called with the objective, the record of every epoch of the last training, and the
        out-of-fold log probabilities after it; returns whether to stop.
    report_fold : callable
        Called after every fold with its number, that of all folds, and the epochs best for it.
    **how
        Further arguments of `fine_tune`.
    """
    head, folds = start.head, start.head.folds
    frozen = Tuned(None, head, [], [])
    if choose and not folds:
        return frozen
    codes = np.searchsorted(head.classes_, y)
    spread = np.square(start.view - start.view.mean(axis=0)).sum() / len(y)

    def train(begin: LinearHead, train_rows: np.ndarray, told) -> tuple[FineTuning, list[dict]]:
        objective = FineTuning(
            make_module(),
            begin.to_layer(),
            codes,
            weight,
            penalty=head.penalty_,
            batch_statistics=batch_statistics,
            beside=start.beside,
            size=start.size,
            anchor=ANCHOR,
        )
        split = train_rows, None
        history = fine_tune(
            objective, rows, split, seeds, max_epochs=max_epochs,
            report=lambda epoch: told(objective, epoch), **how,
        )  # fmt: skip
        return objective, history

    n_epochs, shape = max_epochs + 1, (len(y), len(head.classes_))
    log_p = np.full((n_epochs, *shape), np.nan)
    for number, (fit_on, test) in enumerate(folds, 1):
        begin = LinearHead(None, C=head.C_ * spread)
        begin.fit(start.view[fit_on], y[fit_on], weight[fit_on])
        begin = _with_classes(begin, head.classes_)
        log_p[0, test] = log_softmax(begin.log_odds(start.view[test]), axis=1)
        values = rows.take(test)

        def judge(objective: FineTuning, epoch: dict, test=test, values=values) -> bool:
            done = epoch["epoch"]
            # To the end of the curve: of a fold that stops here the last word holds.
            log_p[done:, test] = _log_probabilities(objective, values, test)
            right = log_p[: done + 1, test, codes[test]] @ weight[test]
            return choose and done - int(np.argmax(right)) >= EPOCHS_IN_VAIN

        train(begin, fit_on, judge)
        report_fold(number, len(folds), int(np.argmax(log_p[:, test, codes[test]] @ weight[test])))
    curve: list[float] = []
    if folds:
        judged = np.concatenate([test for _, test in folds])
        right = log_p[:, judged, codes[judged]]
        curve = (right @ weight[judged] / weight[judged].sum()).tolist()
    best = int(np.argmax(curve)) if choose else max_epochs
    if best == 0:
        return frozen._replace(curve=curve)

    def told(objective: FineTuning, epoch: dict) -> bool:
        done = epoch["epoch"]
        return report(objective, epoch, log_p[done]) or done >= best

    objective, history = train(head, np.arange(len(y)), told)
    tuned = LinearHead.from_layer(objective.head, head.classes_)
    tuned.folds, tuned.out_of_fold = folds, log_p[len(history)]  # a callback may have stopped it
    return Tuned(objective.encoder, tuned, history, curve)


@torch.no_grad()
def _log_probabilities(objective: FineTuning, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    device = objective.codes.device
    training = objective.training
    objective.eval()
    scores = objective.logits(
        torch.from_numpy(values).to(device), torch.from_numpy(rows).to(device)
    )
    objective.train(training)
    return log_softmax(scores.float().cpu().double().numpy(), axis=1)


def _with_classes(head: LinearHead, classes: np.ndarray) -> LinearHead:
    """Return the head with a score for every class, also those it has not met."""
    coef = np.zeros((len(classes), head.coef_.shape[1]))
    intercept = np.full(len(classes), LACKING)
    known = np.searchsorted(classes, head.classes_)
    coef[known], intercept[known] = head.coef_, head.intercept_
    head.classes_, head.coef_, head.intercept_ = classes, coef, intercept
    return head
