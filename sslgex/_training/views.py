"""Batches and their corrupted views."""

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from .rows import Rows
from .seeds import Seeds


def n_corrupted(rate: float, n_features: int) -> int:
    """Return floor(rate * n_features); 0.29 of 100 is 29, whatever binary fractions say."""
    return math.floor(rate * n_features + 1e-9)


class Views:
    """One batch, and as many corruptions of it as the method asks for.

    Attributes
    ----------
    clean : Tensor of shape (batch, n_features)
        Standardised values.
    index : ndarray of shape (batch,)
        Which rows these are.
    """

    def __init__(self, source: "MemorySource", index: np.ndarray):
        self._source = source
        self.index = index
        self._values = source.rows.take(index)
        self.clean = torch.from_numpy(self._values).to(source.device)

    def corrupted(self, rate: float, *, exact: bool = False) -> tuple[Tensor, Tensor]:
        """Replace entries by draws from their genes' empirical marginals.

        An entry (sample i, gene j) that the mask chooses takes the value of gene j in a random
        training row, drawn for that entry alone.

        Parameters
        ----------
        rate : float
            Share of the genes to replace.
        exact : bool, default=False
            Replace exactly ``floor(rate * n_features)`` genes of each row (SCARF); otherwise each
            entry with probability ``rate`` (VIME, BYOL).

        Returns
        -------
        values : Tensor of shape (batch, n_features)
            The corrupted view.
        mask : Tensor of shape (batch, n_features), bool
            Which entries were replaced.
        """
        source = self._source
        n, n_features = self._values.shape
        draw = torch.rand(n, n_features, generator=source.generator)
        if exact:
            chosen = draw.topk(n_corrupted(rate, n_features), dim=1, sorted=False).indices
            mask = torch.zeros(n, n_features, dtype=torch.bool).scatter_(1, chosen, True)
        else:
            mask = draw < rate
        flat = np.flatnonzero(mask.numpy())
        donors = torch.randint(len(source.index), (len(flat),), generator=source.generator)
        values = self._values.copy()
        values.reshape(-1)[flat] = source.rows.entries(
            source.index[donors.numpy()], flat % n_features
        )
        return torch.from_numpy(values).to(source.device), mask.to(source.device)


class MemorySource:
    """Batches of rows in memory.

    Parameters
    ----------
    rows : Rows
        All rows there are.
    index : ndarray of int
        The training rows: what batches are made of and where donors come from.
    batch_size : int
        Rows per batch. A last batch of one row, which BatchNorm cannot use, joins the one before.
    generator : torch.Generator
        Draws the order of the rows and the corruption, on the CPU: one seed, one run, whatever
        the device.
    device : torch.device
        Where the views go.
    held_out : ndarray of int, optional
        Validation rows: batches are made of these, in order, while donors still come from
        ``index``; every pass draws the same views.
    """

    def __init__(
        self,
        rows: Rows,
        index: np.ndarray,
        *,
        batch_size: int,
        generator: torch.Generator,
        device: torch.device,
        held_out: np.ndarray | None = None,
    ):
        self.rows = rows
        self.index = index
        self.generator = generator
        self.device = device
        self.held_out = held_out
        n = len(index if held_out is None else held_out)
        self.bounds = list(range(0, n, batch_size))
        if len(self.bounds) > 1 and n - self.bounds[-1] == 1:
            self.bounds.pop()
        self.bounds.append(n)

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[Views]:
        """Pass once over the rows: shuffled for training, in order and repeatable held out."""
        if self.held_out is None:
            order = torch.randperm(len(self.index), generator=self.generator).numpy()
            order = self.index[order]
        else:
            self.generator.manual_seed(self.generator.initial_seed())
            order = self.held_out
        for start, stop in zip(self.bounds[:-1], self.bounds[1:], strict=True):
            yield Views(self, order[start:stop])


def make_sources(
    rows: Rows,
    train: np.ndarray,
    held_out: np.ndarray | None,
    *,
    batch_size: int,
    seeds: Seeds,
    device: torch.device,
) -> tuple[MemorySource, MemorySource | None]:
    """Return the batches to train on and, if rows are held out, those to validate on."""
    make = partial(MemorySource, rows, train, batch_size=min(batch_size, len(train)), device=device)
    source = make(generator=seeds.generator("batches"))
    if held_out is None:
        return source, None
    return source, make(generator=seeds.generator("validation"), held_out=held_out)
