"""Which entries of a batch are corrupted, and what they get instead, drawn where the rows are.

What `corruption` does on the host, in operations that a GPU runs over all entries at once. None of
them needs an answer from the device. What they cost is memory traffic, so numbers are as short and
passes as few as they can be: at 512 rows of 57,000 genes one pass over the donors, 8 bytes an
entry, is a quarter of a gigabyte.
"""

import torch
from torch import Tensor

from .corruption import n_corrupted

CHUNK = 2**24  # entries at a time: 0.3 GB of temporaries
LARGEST = 2**31 - 1  # of what keys hold


def corrupt(
    table: Tensor,
    places: Tensor,
    rate: float,
    *,
    exact: bool,
    n_donors: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return rows some of whose entries are the same gene's value in a random one of the first.

    Parameters
    ----------
    table : Tensor of shape (n_rows, n_features)
        All rows.
    places : Tensor of shape (n,), int64
        Which of them are returned.
    rate : float
        Share of the genes to replace.
    exact : bool
        Whether it is that of every row; otherwise the probability of every entry.
    n_donors : int
        How many of the first rows may be donors; each entry has one of its own.
    generator : torch.Generator
        Draws, on the device of the table.

    Returns
    -------
    values : Tensor of shape (n, n_features)
        Like ``table``.
    mask : Tensor of shape (n, n_features), bool
        Which entries were replaced.
    """
    shape = len(places), table.shape[1]
    values = torch.empty(shape, dtype=table.dtype, device=table.device)
    mask = torch.empty(shape, dtype=torch.bool, device=table.device)
    size = max(1, CHUNK // shape[1])
    for start in range(0, len(places), size):
        some = slice(start, start + size)
        chosen, own = mask[some], places[some, None]
        if exact:
            choose(n_corrupted(rate, shape[1]), generator, out=chosen)
        else:
            chosen.bernoulli_(rate, generator=generator)
        donors = torch.randint(n_donors, chosen.shape, generator=generator, device=table.device)
        # Entries that stay have their own row for a donor: one pass gathers both, and reads from
        # all over the table no more than it must.
        torch.gather(table, 0, torch.where(chosen, donors, own), out=values[some])
    return values, mask


def choose(count: int, generator: torch.Generator, *, out: Tensor) -> None:
    """Choose ``count`` entries of every row, every such set being equally likely.

    Those with the smallest of random keys. Keys are short, so some are alike at first; an order of
    the genes that is random, too, tells them apart, and no row has an entry more or less.

    Parameters
    ----------
    count : int
        From 0 to the number of columns.
    generator : torch.Generator
        Draws.
    out : Tensor of shape (n, n_features), bool
        Becomes which entries were chosen.
    """
    if count == 0:
        out.zero_()
        return
    n_features, device = out.shape[1], out.device
    order = torch.randperm(n_features, generator=generator, device=device).int()
    keys = torch.randint(
        LARGEST // n_features, out.shape, generator=generator, dtype=torch.int32, device=device
    )
    torch.add(order, keys, alpha=n_features, out=keys)  # at most LARGEST - 1
    torch.le(keys, _smallest(keys, count), out=out)


def _smallest(keys: Tensor, k: int) -> Tensor:
    """Return the k-th smallest key of every row, as a column."""
    if torch.are_deterministic_algorithms_enabled():
        # torch refuses kthvalue then, for the place that it returns along with the value.
        return keys.sort(dim=1).values[:, k - 1 : k]
    return keys.kthvalue(k, dim=1, keepdim=True).values
