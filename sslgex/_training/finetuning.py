"""Fine-tuning: the classifier's loss, over the head alone or the encoder too."""

from contextlib import closing

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.model_selection import train_test_split
from torch import nn

from .._nn.encoder import BatchNorm
from .._nn.momentum import momentum_copy
from .._nn.wide import squared_distance
from .engine import Engine
from .objective import Objective
from .rows import Rows
from .seeds import Seeds
from .sources import make_sources
from .stopping import EarlyStopping
from .views import Views
from .warning import warn_user


class FineTuning(Objective):
    r"""Weighted cross-entropy of a linear layer on the embedding.

    .. math:: L = \frac1B \sum_i w_i\, \mathrm{CE}_i + \lambda \|V\|^2
        + \alpha \|\theta - \theta_0\|^2

    with the layer's weights :math:`V`, the encoder's :math:`\theta` and those it starts from,
    :math:`\theta_0` (L2-SP, Li, Grandvalet, Davoine 2018).

    Parameters
    ----------
    encoder : nn.Module
        Trained along; `nn.Identity` where the rows are embeddings already.
    head : nn.Linear
        From the embedding to the classes.
    codes : ndarray of shape (n_rows,), int
        Class of every row of the source.
    weight : ndarray of shape (n_rows,)
        Weight of every row of the source.
    penalty : float
        What the squared weights of the head cost.
    batch_statistics : bool
        Whether BatchNorm normalises by the batch; otherwise by what it has stored.
    beside : ndarray of shape (n_rows, k) or None
        What the head reads of every row beside the embedding.
    size : float
        What the embedding is divided by.
    anchor : float
        What the squared way of the encoder's weights from their start costs.
    """

    codes: torch.Tensor
    weight: torch.Tensor

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Linear,
        codes: np.ndarray,
        weight: np.ndarray,
        *,
        penalty: float,
        batch_statistics: bool,
        beside: np.ndarray | None = None,
        size: float = 1.0,
        anchor: float = 0.0,
    ):
        super().__init__(encoder)
        self.head = head
        self.penalty = penalty
        self.batch_statistics = batch_statistics
        self.size = size
        self.anchor = anchor
        self.origin = momentum_copy(encoder) if anchor else nn.Identity()
        self.beside: torch.Tensor | None
        seen = None if beside is None else torch.as_tensor(beside, dtype=torch.float32)
        self.register_buffer("beside", seen, persistent=False)
        self.register_buffer("codes", torch.as_tensor(codes), persistent=False)
        # Mean weight 1, so that the learning rate means the same whatever the weights.
        scaled = torch.as_tensor(weight / weight.mean(), dtype=torch.float32)
        self.register_buffer("weight", scaled, persistent=False)

    def train(self, mode: bool = True) -> "FineTuning":
        """Enter training (or evaluation) with BatchNorm as asked."""
        super().train(mode)
        if not self.batch_statistics:
            for module in self.encoder.modules():
                if isinstance(module, BatchNorm):
                    module.eval()
        return self

    def loss(self, views: Views) -> torch.Tensor:
        """Return the penalised loss of a batch."""
        rows = torch.as_tensor(views.index, device=self.codes.device)
        logits = self.logits(views.clean, rows)
        losses = F.cross_entropy(logits, self.codes[rows], reduction="none")
        loss = (losses * self.weight[rows]).mean() + self.penalty * self.head.weight.square().sum()
        if self.anchor:
            loss = loss + self.anchor * squared_distance(self.encoder, self.origin)
        return loss

    @property
    def n_embedding(self) -> int:
        """Width of the embedding."""
        return self.head.in_features - (0 if self.beside is None else self.beside.shape[1])

    def logits(self, values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return the scores of some rows, given their standardised genes."""
        z = self.encoder(values)
        if self.beside is not None:
            z = torch.cat([self.beside[rows], z / self.size], dim=1)
        return self.head(z)


def split_labelled(
    codes: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return training and validation rows, stratified, or all and None where labels are too few.

    Too few: the share has fewer rows than there are classes, or a class has a single row.

    Warns
    -----
    UserWarning
        If labels are too few.
    """
    counts = np.bincount(codes)
    n_held_out = round(fraction * len(codes))
    if n_held_out < len(counts) or counts.min() < 2 or len(codes) - n_held_out < len(counts):
        warn_user(
            f"Too few labels for early stopping: {fraction:.0%} of {len(codes)} samples cannot "
            f"hold one of each of {codes.max() + 1} classes while the others train. Training runs "
            "to max_epochs.",
        )
        return np.arange(len(codes)), None
    train, held_out = train_test_split(
        np.arange(len(codes)), test_size=n_held_out, stratify=codes, random_state=seed
    )
    return np.sort(train), np.sort(held_out)


def fine_tune(
    objective: FineTuning,
    rows: Rows,
    split: tuple[np.ndarray, np.ndarray | None],
    seeds: Seeds,
    *,
    batch_size: int,
    n_iter_no_change: int,
    tol: float,
    device: torch.device,
    **engine,
) -> list[dict]:
    """Train ``objective`` in place on labelled rows and return the history.

    Parameters
    ----------
    objective : FineTuning
        What is trained.
    rows : Rows
        The labelled samples.
    split : pair of ndarrays of int
        Rows to train on, and rows held out for early stopping; None there trains to the end.
    seeds : Seeds
        For batches and dropout.
    batch_size : int
        Rows per step.
    n_iter_no_change, tol : int, float
        Of early stopping.
    device : torch.device
        Where to compute.
    **engine
        Further arguments of `Engine`.
    """
    train, held_out = split
    source, validation = make_sources(
        rows, train, held_out, batch_size=batch_size, seeds=seeds, device=device
    )
    callbacks = [] if held_out is None else [EarlyStopping(n_iter_no_change, tol)]
    with closing(source):
        return Engine(
            objective,
            source=source,
            validation=validation,
            device=device,
            generator=seeds.generator("dropout", device),
            callbacks=callbacks,
            **engine,
        ).run()
